"""Ends of the logs of running jobs, so that a job that is killed keeps what it said last.

Rows of the database, so that every service shows them, whichever took them: pieces as they came,
joined when they are many. No record names them. A log that came with a record goes before; what
nobody wrote to for a month is removed, and of an experiment the oldest beyond its share. Positions
count bytes as the hook sent them.
"""

import re
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, select

from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.packing import pack, unpack
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import Experiment, Job, LogTailPiece
from jobprov.provenance.errors import BadInputError, LimitError

KEPT_BYTES = 256 * 1024
KEPT_SECONDS = 30 * 86_400
EXPERIMENT_BYTES = 1 << 30
"""Packed; text takes a fifth to a tenth of its length."""
LOGS_OF_A_JOB = 8
_PIECES = 32
_SWEEP_SECONDS = 600
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_swept: dict[tuple[str, int], float] = {}  # (database, experiment) -> when this process last swept


class LogTail(NamedTuple):
    """The end of a log.

    Attributes:
        start: position of its first byte in the log; `end` that behind the last.
        content: at most 256 KiB; empty in a list.
        received_at: when the last of it came.
    """

    name: str
    start: int
    end: int
    content: bytes
    received_at: datetime


class Chunk(NamedTuple):
    """Bytes of a running job's log.

    Attributes:
        job, experiment: integer keys.
        offset: position of the first byte in the log.
    """

    job: int
    experiment: int
    name: str
    offset: int
    content: bytes
    received_at: datetime


def append_tail(connection: Connection, chunk: Chunk) -> int:
    """Put bytes of a log at their position; return the position behind its last.

    The same again changes nothing.

    Raises:
        BadInputError: no log may have that name.
        LimitError: the job has too many logs.
    """
    if not _NAME.fullmatch(chunk.name):
        words = ["letters, digits and . _ + -, 100 at most, no dot first"]
        raise BadInputError(
            f"{chunk.name[:100]!r} is no name of a running job's log.", {"name": words}
        )
    pieces = _places(connection, chunk.job, chunk.name)
    if not pieces:
        _make_room(connection, chunk)
    end = max((start + size for start, size in pieces), default=chunk.offset)
    if pieces and (chunk.offset != end or len(pieces) >= _PIECES):
        return _rewrite(connection, chunk)
    if not pieces or chunk.content:
        _insert(connection, chunk, chunk.offset, chunk.content)
    end += len(chunk.content)
    if pieces and pieces[0][0] + pieces[0][1] <= end - KEPT_BYTES:
        is_past = LogTailPiece.start + LogTailPiece.size_bytes <= end - KEPT_BYTES
        connection.execute(delete(LogTailPiece).where(*_of(chunk.job, chunk.name), is_past))
    return end


def read_tail(connection: Connection, job: int, name: str) -> LogTail | None:
    """Return the end of a log; None where none came."""
    runs = _runs(_contents(connection, job, name))
    if not runs:
        return None
    received_at = connection.execute(
        select(func.max(LogTailPiece.received_at)).where(*_of(job, name))
    ).scalar_one()
    content, end = runs[0].content, runs[0].end
    for run in runs[1:]:
        content += b"\n[jobprov: %d bytes did not arrive]\n" % (run.start - end) + run.content
        end = run.end
    content = content[-KEPT_BYTES:]
    return LogTail(name, end - len(content), end, content, received_at)


def list_tails(connection: Connection, experiment: str, job_id: str) -> list[LogTail]:
    """Return all of a job, by name, without their content."""
    end = func.max(LogTailPiece.start + LogTailPiece.size_bytes)
    query = (
        select(
            LogTailPiece.name, func.min(LogTailPiece.start), end, func.max(LogTailPiece.received_at)
        )
        .join(Job, Job.id == LogTailPiece.job_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Job.uuid == job_id, Experiment.name == experiment)
        .group_by(LogTailPiece.name)
        .order_by(LogTailPiece.name)
    )
    rows = connection.execute(query).all()
    return [
        LogTail(name, max(start, end - KEPT_BYTES), end, b"", at) for name, start, end, at in rows
    ]


def drop_tails(connection: Connection, whole: Mapping[tuple[str, str], Collection[str]]) -> None:
    """Remove those of logs that came whole: names by (experiment, job id)."""
    found: list[Any] = []
    for part in chunks(sorted({job_id for _, job_id in whole})):
        query = (
            select(LogTailPiece.job_id, LogTailPiece.name, Experiment.name, Job.uuid)
            .join(Job, Job.id == LogTailPiece.job_id)
            .join(Experiment, Experiment.id == Job.experiment_id)
            .where(Job.uuid.in_(part))
            .distinct()
        )
        found += connection.execute(query).all()
    for job, name, experiment, job_id in found:
        if name in whole.get((experiment, job_id), ()):
            connection.execute(delete(LogTailPiece).where(*_of(job, name)))


def sweep(connection: Connection, experiment: int, now: datetime) -> None:
    """Remove from an experiment what is too old, and the oldest jobs beyond its share."""
    newest = func.max(LogTailPiece.received_at)
    query = (
        select(LogTailPiece.job_id, newest, func.sum(func.length(LogTailPiece.content)))
        .join(Job, Job.id == LogTailPiece.job_id)
        .where(Job.experiment_id == experiment)
        .group_by(LogTailPiece.job_id)
        .order_by(newest.desc())
    )
    room, gone = EXPERIMENT_BYTES, []
    for job, changed, size in connection.execute(query):
        room -= size
        if changed < now - timedelta(seconds=KEPT_SECONDS) or room < 0:
            gone.append(job)
    for part in chunks(gone):
        connection.execute(delete(LogTailPiece).where(LogTailPiece.job_id.in_(part)))


def _of(job: int, name: str) -> tuple[Any, Any]:
    return LogTailPiece.job_id == job, LogTailPiece.name == name


def _places(connection: Connection, job: int, name: str) -> list[tuple[int, int]]:
    query = (
        select(LogTailPiece.start, LogTailPiece.size_bytes)
        .where(*_of(job, name))
        .order_by(LogTailPiece.start)
    )
    return [(start, size) for start, size in connection.execute(query)]


def _insert(connection: Connection, chunk: Chunk, start: int, content: bytes) -> None:
    row = {"job_id": chunk.job, "name": chunk.name, "start": start, "size_bytes": len(content)}
    row |= {"content": pack(content), "received_at": chunk.received_at}
    insert_rows(connection, table_of(LogTailPiece), [row])


def _rewrite(connection: Connection, chunk: Chunk) -> int:
    """Put what came among the pieces, joined where nothing is missing between them.

    Return where the log ends now.
    """
    runs = _laid_in(
        _runs(_contents(connection, chunk.job, chunk.name)), chunk.offset, chunk.content
    )
    connection.execute(delete(LogTailPiece).where(*_of(chunk.job, chunk.name)))
    room = KEPT_BYTES
    for run in reversed(runs[-_PIECES // 2 :]):
        content = run.content[max(0, len(run.content) - room) :]
        if content or run is runs[-1]:
            _insert(connection, chunk, run.end - len(content), content)
        room -= len(content)
    return runs[-1].end


class _Run(NamedTuple):
    """Bytes of a log without a gap."""

    start: int
    content: bytes

    @property
    def end(self) -> int:
        """The position behind the last."""
        return self.start + len(self.content)


def _contents(connection: Connection, job: int, name: str) -> list[_Run]:
    query = (
        select(LogTailPiece.start, LogTailPiece.content)
        .where(*_of(job, name))
        .order_by(LogTailPiece.start)
    )
    return [_Run(start, unpack(content)) for start, content in connection.execute(query)]


def _runs(pieces: Iterable[_Run]) -> list[_Run]:
    """Return the pieces in the order of their places.

    Pieces are joined where one begins within what is before it, or right behind.
    """
    joined: list[tuple[int, bytearray]] = []
    for piece in pieces:
        if joined and piece.start <= joined[-1][0] + len(joined[-1][1]):
            start, content = joined[-1]
            content[piece.start - start : piece.end - start] = piece.content
        else:
            joined.append((piece.start, bytearray(piece.content)))
    return [_Run(start, bytes(content)) for start, content in joined]


def _laid_in(runs: list[_Run], offset: int, came: bytes) -> list[_Run]:
    """Return what is held with what came at its place.

    The same again changes nothing, and what was missing fills its gap. Where other bytes are held
    in its place the log was written anew: what is behind its beginning is of the old one.
    """
    new = _Run(offset, came)
    if any(_differ(run, new) for run in runs):
        runs = [
            _Run(run.start, run.content[: max(0, offset - run.start)])
            for run in runs
            if run.start < offset
        ]
    return _runs(sorted([*runs, new], key=lambda run: (run.start, len(run.content))))


def _differ(one: _Run, other: _Run) -> bool:
    """Return whether both hold bytes of one place that are not the same."""
    start, end = max(one.start, other.start), min(one.end, other.end)
    return (
        start < end
        and one.content[start - one.start : end - one.start]
        != (other.content[start - other.start : end - other.start])
    )


def _make_room(connection: Connection, chunk: Chunk) -> None:
    names = select(func.count(LogTailPiece.name.distinct())).where(LogTailPiece.job_id == chunk.job)
    if connection.execute(names).scalar_one() >= LOGS_OF_A_JOB:
        raise LimitError(
            f"A running job has the ends of {LOGS_OF_A_JOB} logs at most.", LOGS_OF_A_JOB
        )
    key = str(connection.engine.url), chunk.experiment
    if time.monotonic() - _swept.get(key, -_SWEEP_SECONDS) >= _SWEEP_SECONDS:
        _swept[key] = time.monotonic()
        sweep(connection, chunk.experiment, chunk.received_at)
