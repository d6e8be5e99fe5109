"""The bodies of a batch, each by itself, also where one of them is no JSON.

Most batches are read at once by msgspec, which refuses the whole for one record that it cannot
read. Then the array is cut at its commas, by a scanner that knows strings, escapes and brackets,
goes over the body once and reads nothing of what is between.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from jobprov.app.api.wire.bodies import wrong_body
from jobprov.provenance.errors import LimitError

BATCH_RECORDS = 1000
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[][{},]', re.DOTALL)
_JOBS = re.compile(rb'[{,][ \t\r\n]*"jobs"[ \t\r\n]*:[ \t\r\n]*\Z')
_LONGEST_KEY = 200
_CLOSERS = {b"[": b"]", b"{": b"}"}


class Batch(msgspec.Struct):
    """Records to be taken together; each stands or falls alone."""

    jobs: list[msgspec.Raw]


_batch = msgspec.json.Decoder(Batch)


def read_batch(body: bytes) -> list[bytes]:
    """Return the exact bytes of each record, in order, also of records that are not JSON.

    Raises:
        BadInputError: it is no object with a list of jobs, or ends too early.
        LimitError: more records than a batch may have.
    """
    try:
        bodies = [bytes(raw) for raw in _batch.decode(body).jobs]
    except msgspec.ValidationError as problem:
        raise wrong_body(problem, Batch) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        apart = _split(body)
        if apart is None:
            raise wrong_body(problem, Batch) from None
        bodies = apart
    if len(bodies) > BATCH_RECORDS:
        message = f"The batch has more than {BATCH_RECORDS} records, which is the limit."
        raise LimitError(message, BATCH_RECORDS)
    return bodies


def _split(body: bytes) -> list[bytes] | None:
    """Return the elements of `jobs`, at most one more than a batch may have.

    None where they cannot be told apart.
    """
    ends = _ends_of_elements(body)
    if ends is None:
        return None
    pieces = [body[start + 1 : end].strip(b" \t\r\n") for start, end in pairwise(ends)]
    if len(pieces) > BATCH_RECORDS:
        return pieces
    around = body[: ends[0] + 1] + body[ends[-1] :]
    if b"" in pieces or not _is_batch(around):
        return None
    return pieces


def _ends_of_elements(body: bytes) -> list[int] | None:
    """Return where the list of jobs opens, its commas, and where it closes.

    It is None where brackets do not match.
    """
    marks = _marks(body)
    start = _find_list(body, marks)
    return None if start is None else _ends_from(start, marks)


def _find_list(body: bytes, marks: Iterator[tuple[bytes, int]]) -> int | None:
    """Return where the list of jobs opens, and leave the marks behind it; None without one."""
    closers: list[bytes] = []
    for mark, place in marks:
        if mark == b"[" and len(closers) == 1 and _is_jobs(body, place):
            return place
        if mark in _CLOSERS:
            closers.append(_CLOSERS[mark])
        elif mark != b"," and (not closers or closers.pop() != mark):
            return None
    return None


def _ends_from(start: int, marks: Iterator[tuple[bytes, int]]) -> list[int] | None:
    """Return where the list opens, its commas, and where it closes; None where it does not.

    A list that is too long ends after one element more than a batch may have.
    """
    ends = [start]
    closers = [b"]"]
    for mark, place in marks:
        if mark in _CLOSERS:
            closers.append(_CLOSERS[mark])
        elif mark == b",":
            if len(closers) == 1:
                ends.append(place)
                if len(ends) > BATCH_RECORDS + 1:
                    return ends
        elif closers.pop() != mark:
            return None
        elif not closers:
            return [*ends, place]
    return None


def _marks(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield brackets and commas outside strings with their places.

    An empty mark for a string that has no end.
    """
    for token in _TOKENS.finditer(body):
        if token[0][:1] != b'"':
            yield token[0], token.start()
        elif not token[1]:
            yield b"", token.start()


def _is_jobs(body: bytes, place: int) -> bool:
    """Return whether the list that opens there is that of the key `jobs`."""
    return _JOBS.search(body[max(0, place - _LONGEST_KEY) : place]) is not None


def _is_batch(rest: bytes) -> bool:
    """Return whether what is around the elements is a batch."""
    try:
        return not _batch.decode(rest).jobs
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
