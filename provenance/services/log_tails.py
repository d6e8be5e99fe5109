"""Ends of the logs of running jobs, so that a job that is killed keeps what it said last.

Files, one a log: they are bulk, change every minute, and no record names them. A log that came with a record goes before; what
nobody wrote to for a month is removed, and of an experiment the oldest beyond its share. Positions count bytes as the hook sent them.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from provenance.errors import BadInputError, LimitError

TAILS = "log-tails"
"""The folder below the service's data folder."""

KEPT_BYTES = 256 * 1024
KEPT_SECONDS = 30 * 86_400
EXPERIMENT_BYTES = 2 << 30
LOGS_OF_A_JOB = 8
_SWEEP_SECONDS = 600
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_SWEPT = ".swept"


class LogTail(NamedTuple):
    """The end of a log.

    Attributes:
        start: position of its first byte in the log.
        content: at most 256 kB.
        received_at: when the last of it came.
    """

    name: str
    start: int
    content: bytes
    received_at: datetime

    @property
    def end(self) -> int:
        """Return the position behind the last byte."""
        return self.start + len(self.content)


class LogTails:
    """The ends of logs of one job; `folder` is that of all."""

    def __init__(self, folder: Path, experiment: str, job_id: str) -> None:
        self._experiment, self._place = folder / experiment, folder / experiment / job_id

    def append(self, name: str, offset: int, chunk: bytes) -> LogTail:
        """Put bytes of a log at their position, and return its end as it is now. The same again changes nothing.

        Raises:
            BadInputError: no log may have that name.
            LimitError: the job has too many logs.
        """
        if not _NAME.fullmatch(name):
            words = ["letters, digits and . _ + -, 100 at most, no dot first"]
            raise BadInputError(f"{name[:100]!r} is no name of a running job's log.", {"name": words})
        held = self.read(name)
        if held is None:
            self._make_room()
        start, content = _joined(held, offset, chunk)
        start, content = start + max(0, len(content) - KEPT_BYTES), content[-KEPT_BYTES:]
        with tempfile.NamedTemporaryFile(dir=self._place, prefix=".", delete=False) as stream:
            stream.write(b"%d\n" % start + content)
        Path(stream.name).replace(self._place / name)
        return LogTail(name, start, content, datetime.now(UTC))

    def read(self, name: str) -> LogTail | None:
        """Return the end of a log; None where none came."""
        if not _NAME.fullmatch(name):
            return None
        try:
            with (self._place / name).open("rb") as stream:
                changed = os.fstat(stream.fileno()).st_mtime
                start, _, content = stream.read().partition(b"\n")
        except FileNotFoundError:
            return None
        return LogTail(name, int(start), content, datetime.fromtimestamp(changed, UTC))

    def list(self) -> "list[LogTail]":
        """Return all of them, by name."""
        try:
            names = sorted(path.name for path in self._place.iterdir())
        except FileNotFoundError:
            return []
        return [tail for name in names if (tail := self.read(name)) is not None]

    def drop(self, names: Iterable[str]) -> None:
        """Remove those of logs that came whole."""
        if not self._place.is_dir():
            return
        for name in names:
            if _NAME.fullmatch(name):
                (self._place / name).unlink(missing_ok=True)
        with suppress(OSError):  # another log lies there
            self._place.rmdir()

    def _make_room(self) -> None:
        self._place.mkdir(parents=True, exist_ok=True)
        if sum(1 for _ in self._place.iterdir()) >= LOGS_OF_A_JOB:
            raise LimitError(f"A running job has the ends of {LOGS_OF_A_JOB} logs at most.", LOGS_OF_A_JOB)
        swept, now = self._experiment / _SWEPT, time.time()
        if not swept.exists() or swept.stat().st_mtime < now - _SWEEP_SECONDS:
            swept.touch()
            with suppress(FileNotFoundError):  # a job ended meanwhile; the next sweep does the rest
                sweep(self._experiment, now)


def _joined(held: LogTail | None, offset: int, chunk: bytes) -> tuple[int, bytes]:
    """Return position and bytes of what is held and what came; what lies between them and never came is said."""
    if held is None or offset < held.start:
        return offset, chunk
    if offset <= held.end:
        return held.start, held.content[: offset - held.start] + chunk
    line = b"\n[jobprov: %d bytes did not arrive]\n" % (offset - held.end)
    content = held.content + line + chunk
    return offset + len(chunk) - len(content), content


def sweep(place: Path, now: float) -> None:
    """Remove from an experiment's folder what is too old, and the oldest beyond its share."""
    jobs = []
    for job in place.iterdir():
        if job.is_dir():
            sizes = [path.stat() for path in job.iterdir()]
            jobs.append((max((status.st_mtime for status in sizes), default=job.stat().st_mtime), job, sizes))
    room = EXPERIMENT_BYTES
    for changed, job, sizes in sorted(jobs, key=lambda found: -found[0]):
        room -= sum(status.st_size for status in sizes)
        if changed < now - KEPT_SECONDS or room < 0:
            shutil.rmtree(job, ignore_errors=True)
