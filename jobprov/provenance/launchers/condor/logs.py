"""What the batch system kept of a job's output, and what its event log says of it.

Secrets redacted.

The ad names the files, and whoever submitted wrote the ad. So a file is read only where it is a
plain file of the job's owner: else the witness, which may run as root, could be made to publish any
file of the submit node.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from jobprov.provenance.capture.running.streams import HEAD_BYTES, TAIL_BYTES, Buffer
from jobprov.provenance.capture.secrets.texts import redact
from jobprov.provenance.capture.sending.leftovers import BLOCK
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor.attempts import Attempt
from jobprov.provenance.launchers.condor.ends import started_at
from jobprov.provenance.launchers.condor.events import read_events

LARGEST_EVENT_LOG_BYTES = 32 << 20


class KeptLog(NamedTuple):
    """A log as it is stored.

    Attributes:
        name: `stdout`, `stderr` or `condor.log`.
        content: its bytes, without secrets; head and tail where it was long.
        size_bytes: of the whole file.
        is_truncated: whether something is left out.
    """

    name: str
    content: bytes
    size_bytes: int
    is_truncated: bool


def kept_logs(attempt: Attempt) -> Iterator[KeptLog]:
    """Yield the logs of an attempt that are there."""
    yield from _output(attempt)
    yield from _event_log(attempt)


def _output(attempt: Attempt) -> Iterator[KeptLog]:
    """Yield standard output and error; a file that is older than the attempt is another one's."""
    if attempt.fact("Out") == "/dev/null" and attempt.fact("Err") == "/dev/null":
        return
    start = started_at(attempt) or 0.0
    for name, attribute in (("stdout", "Out"), ("stderr", "Err")):
        with _opened(attempt, attribute) as stream:
            if stream is not None and os.fstat(stream.fileno()).st_mtime >= start:
                yield from _cut(name, stream)


def _event_log(attempt: Attempt) -> Iterator[KeptLog]:
    """Yield the events of this attempt's job, which may share its event log with thousands."""
    with _opened(attempt, "UserLog") as stream:
        if stream is None or os.fstat(stream.fileno()).st_size > LARGEST_EVENT_LOG_BYTES:
            return
        content = _own_events(stream, attempt).encode()
    if content:
        yield KeptLog("condor.log", _clean(content), len(content), is_truncated=False)


def _own_events(stream: BinaryIO, attempt: Attempt) -> str:
    """Return the last events of the attempt's job."""
    job = (attempt.fact("ClusterId"), attempt.fact("ProcId"))
    lines = (line.decode("utf-8", "replace") for line in stream)
    texts = []
    try:
        for event in read_events(lines, "the event log"):
            if event.job == job:
                texts.append(event.text)
    except BadInputError:
        return ""  # in JSON or XML: its facts are in the history too
    return "".join(texts)[-TAIL_BYTES:]


def _cut(name: str, stream: BinaryIO) -> Iterator[KeptLog]:
    size = os.fstat(stream.fileno()).st_size
    buffer = Buffer()
    buffer.add(stream.read(HEAD_BYTES))
    if size > HEAD_BYTES + TAIL_BYTES:
        buffer.total += size - TAIL_BYTES - stream.tell()
        stream.seek(size - TAIL_BYTES)
    buffer.add(stream.read(TAIL_BYTES))
    content, is_cut = buffer.content()
    content = BLOCK.sub(b"[jobprov: a record that could not be sent stood here]", content)
    if content:
        yield KeptLog(name, _clean(content), size, is_cut)


def _clean(content: bytes) -> bytes:
    return bytes(redact(content)[0])


class _opened:  # noqa: N801 - used as a function
    """The file that an attribute names, open, where it is a plain file of the job's owner.

    Else None.
    """

    def __init__(self, attempt: Attempt, attribute: str) -> None:
        self._stream = open_owned(attempt, attempt.fact(attribute))

    def __enter__(self) -> BinaryIO | None:
        return self._stream

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()


def open_owned(attempt: Attempt, named: object) -> BinaryIO | None:
    """Return an open file, if it is a plain file of the job's owner; else None.

    Its name is relative to the job's folder.
    """
    folder = attempt.fact("Iwd")
    if not isinstance(named, str) or "\0" in named:
        return None
    if not isinstance(folder, str):
        folder = "/"
    path = Path(folder) / named
    try:
        owner = pwd.getpwnam(str(attempt.fact("OsUser", "Owner")).split("@", maxsplit=1)[0]).pw_uid
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, KeyError):
        return None
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != owner:
        os.close(number)
        return None
    return os.fdopen(number, "rb")
