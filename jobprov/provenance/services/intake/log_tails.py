"""Ends of the logs of running jobs, so that the last lines of a killed job are not lost.

They are rows of the database, so that every service can show them, whichever one took them. Each
arrival is a piece, and pieces are joined when there are many. No record names them. A log that came
with a record takes precedence. Logs without news for a month are removed, and so are the oldest of
an experiment beyond its share. Positions count bytes as the hook sent them.
"""

import os
import re
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import LogTail
from jobprov.provenance.art.event_lines import events_in
from jobprov.provenance.capture.secrets.texts import redact
from jobprov.provenance.db.changes.intake import (
    NewPiece,
    add_piece,
    remove_log,
    remove_logs_of_jobs,
    remove_pieces_before,
)
from jobprov.provenance.db.queries.intake import (
    LogPiece,
    count_logs,
    last_received,
    piece_places,
    pieces_of,
    tail_extents,
    tail_sizes,
    tails_of_jobs,
)
from jobprov.provenance.errors import BadInputError, LimitError

KEPT_BYTES = 256 * 1024
KEPT_SECONDS = 30 * 86_400
EXPERIMENT_BYTES = 1 << 30
"""Packed; text takes a fifth to a tenth of its length."""
LOGS_OF_A_JOB = 8
_PIECES = 32
_LONGEST_SECRET = 8192
_SWEEP_SECONDS = 600
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_swept: dict[tuple[str, int], float] = {}  # (database, experiment) -> when this process last swept


class ReadTail(NamedTuple):
    """The end of a log.

    Attributes:
        start: position of its first byte in the log; `end` that behind the last.
        content: at most 256 KiB.
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

    @property
    def end(self) -> int:
        """The position behind the last byte."""
        return self.offset + len(self.content)


def append_tail(connection: Connection, chunk: Chunk) -> int:
    """Store bytes of a log at their position; return the end of the log.

    To send the same bytes again changes nothing. If a secret came in two parts, both parts are
    replaced by stars.

    Raises:
        BadInputError: no log may have that name.
        LimitError: the job has too many logs.
    """
    _check_name(chunk.name)
    places = piece_places(connection, chunk.job, chunk.name)
    if places and (hidden := _without_secret(connection, chunk)) is not None:
        return _rewrite(connection, hidden)
    if not places:
        _make_room(connection, chunk)
        _add(connection, chunk, chunk.offset, chunk.content)
        return chunk.end
    end = max(place.end for place in places)
    # A log that was empty has a piece that ends where it starts
    is_taken = any(place.start == chunk.offset for place in places)
    # Most chunks follow the last one, and cost one row; any other is merged with what is stored
    if chunk.offset != end or is_taken or len(places) >= _PIECES:
        return _rewrite(connection, chunk)
    if chunk.content:
        _add(connection, chunk, chunk.offset, chunk.content)
    if places[0].end <= chunk.end - KEPT_BYTES:
        remove_pieces_before(connection, chunk.job, chunk.name, chunk.end - KEPT_BYTES)
    return chunk.end


def _without_secret(connection: Connection, chunk: Chunk) -> Chunk | None:
    """Return the chunk and its surroundings with a secret starred out; None if they hold none.

    The length stays the same, since positions count what the hook sent.
    """
    for run in _merged(pieces_of(connection, chunk.job, chunk.name), chunk):
        if run.start <= chunk.offset < run.end:
            start = max(run.start, chunk.offset - _LONGEST_SECRET)
            end = chunk.end + _LONGEST_SECRET
            around = run.content[start - run.start : end - run.start]
            clean, rules = redact(around)
            if not rules:
                return None
            return chunk._replace(offset=start, content=_starred(around, clean))
    return None


def _starred(content: bytes, clean: bytes) -> bytes:
    """Return the content with stars from the first to the last byte that differs in `clean`."""
    begin = _common_length(content, clean)
    rest, clean_rest = content[begin:], clean[begin:]
    after = _common_length(rest[::-1], clean_rest[::-1])
    end = len(content) - after
    return content[:begin] + b"*" * (end - begin) + content[end:]


def _common_length(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning are equal."""
    return len(os.path.commonprefix([one, other]))  # noqa: RUF071 - these are no paths


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        words = ["letters, digits and . _ + -, 100 at most, no dot first"]
        raise BadInputError(
            f"{name[:100]!r} is not a valid name of a running job's log.", {"name": words}
        )


def _add(connection: Connection, chunk: Chunk, start: int, content: bytes) -> None:
    events = events_in(content)
    piece = NewPiece(chunk.job, chunk.name, start, content, chunk.received_at, events)
    add_piece(connection, piece)


def read_tail(connection: Connection, job: int, name: str) -> ReadTail | None:
    """Return the end of a log; None where none came."""
    runs = _runs(pieces_of(connection, job, name))
    if not runs:
        return None
    content, end = runs[0].content, runs[0].end
    for run in runs[1:]:
        content += b"\n[jobprov: %d bytes did not arrive]\n" % (run.start - end) + run.content
        end = run.end
    content = content[-KEPT_BYTES:]
    received_at = last_received(connection, job, name)
    return ReadTail(name, end - len(content), end, content, received_at)


def list_tails(connection: Connection, experiment: str, job_id: str) -> list[LogTail]:
    """Return the log tails of a job, by name, without their content."""
    tails = []
    for tail in tail_extents(connection, experiment, job_id):
        tails.append(replace(tail, start=max(tail.start, tail.end - KEPT_BYTES)))
    return tails


def drop_tails(connection: Connection, whole: Mapping[tuple[str, str], Collection[str]]) -> None:
    """Remove the tails of logs that a record brought whole.

    Args:
        connection: to write with.
        whole: names of these logs, by (experiment, job id).
    """
    job_ids = sorted({job_id for _, job_id in whole})
    for tail in tails_of_jobs(connection, job_ids):
        if tail.name in whole.get((tail.experiment, tail.job_id), ()):
            remove_log(connection, tail.job, tail.name)


def sweep(connection: Connection, experiment: int, now: datetime) -> None:
    """Remove an experiment's tails that are too old, and the oldest ones beyond its share."""
    oldest = now - timedelta(seconds=KEPT_SECONDS)
    room = EXPERIMENT_BYTES
    gone: list[int] = []
    for tail in tail_sizes(connection, experiment):
        room -= tail.packed_bytes
        if tail.received_at < oldest or room < 0:
            gone.append(tail.job)
    remove_logs_of_jobs(connection, gone)


def _rewrite(connection: Connection, chunk: Chunk) -> int:
    """Merge a chunk with the stored pieces; return where the log ends now."""
    runs = _merged(pieces_of(connection, chunk.job, chunk.name), chunk)
    remove_log(connection, chunk.job, chunk.name)
    room = KEPT_BYTES
    newest_runs = runs[-(_PIECES // 2) :]
    for run in reversed(newest_runs):
        content = run.content[max(0, len(run.content) - room) :]
        # The last run is kept even if it is empty: its place is the end of the log
        if content or run is runs[-1]:
            _add(connection, chunk, run.end - len(content), content)
        room -= len(content)
    return runs[-1].end


def _runs(pieces: Iterable[LogPiece]) -> list[LogPiece]:
    """Return sorted pieces, joined where nothing is missing between them."""
    joined: list[tuple[int, bytearray]] = []
    end = -1
    for piece in pieces:
        if piece.start <= end:
            start, content = joined[-1]
            place = piece.start - start
            content[place : place + len(piece.content)] = piece.content
        else:
            start, content = piece.start, bytearray(piece.content)
            joined.append((start, content))
        end = start + len(content)
    return [LogPiece(start, bytes(content)) for start, content in joined]


def _merged(pieces: Iterable[LogPiece], chunk: Chunk) -> list[LogPiece]:
    """Return the runs of a log after a chunk was put in its place.

    If other bytes are stored in that place, the log was overwritten: what is stored from there on
    belongs to the old log and is dropped.
    """
    runs = _runs(pieces)
    new = LogPiece(chunk.offset, chunk.content)
    if any(_differ(run, new) for run in runs):
        runs = _cut_at(runs, chunk.offset)
    in_order = sorted([*runs, new], key=lambda run: (run.start, len(run.content)))
    return _runs(in_order)


def _cut_at(runs: Iterable[LogPiece], end: int) -> list[LogPiece]:
    """Return the runs up to a position."""
    cut = []
    for run in runs:
        if run.start < end:
            cut.append(LogPiece(run.start, run.content[: end - run.start]))
    return cut


def _differ(piece: LogPiece, other: LogPiece) -> bool:
    """Return whether two pieces overlap and hold different bytes there."""
    start, end = max(piece.start, other.start), min(piece.end, other.end)
    if start >= end:
        return False
    bytes_of_one = piece.content[start - piece.start : end - piece.start]
    bytes_of_other = other.content[start - other.start : end - other.start]
    return bytes_of_one != bytes_of_other


def _make_room(connection: Connection, chunk: Chunk) -> None:
    """Refuse too many logs of a job, and sweep the experiment from time to time.

    Raises:
        LimitError: the job has too many logs already.
    """
    if count_logs(connection, chunk.job) >= LOGS_OF_A_JOB:
        raise LimitError(
            f"A running job has the ends of {LOGS_OF_A_JOB} logs at most.", LOGS_OF_A_JOB
        )
    key = str(connection.engine.url), chunk.experiment
    if time.monotonic() - _swept.get(key, -_SWEEP_SECONDS) >= _SWEEP_SECONDS:
        _swept[key] = time.monotonic()
        sweep(connection, chunk.experiment, chunk.received_at)
