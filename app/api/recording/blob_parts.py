"""Parts of blobs: what `Content-Range` says of a body.

Source: RFC 9110, 14.4; 308 with `Range` is what resumable uploads answer.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from flask import request

from jobprov.app.api.wire.bodies import body_chunks
from jobprov.provenance.errors import BadInputError, LimitError

_RANGE = re.compile(r"bytes (?:(\d{1,15})-(\d{1,15})|\*)/(\d{1,15})")


class Part(NamedTuple):
    """Which bytes of a blob a body is.

    Attributes:
        start: the first; None where the body is empty and the question is how much is here.
        length: how many.
        total: how many the blob has.
    """

    start: int | None
    length: int
    total: int


def asked_part(limit_bytes: int) -> Part | None:
    """Return which part of a blob comes; None where it comes whole.

    Raises:
        BadInputError: the header says nothing that can be, or the body is packed.
        LimitError: the blob is longer than the limit.
    """
    text = request.headers.get("Content-Range")
    if text is None:
        return None
    if request.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise BadInputError(
            "A part of a blob is sent unpacked.", {"Content-Encoding": ["none with Content-Range"]}
        )
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise _bad(text)
    total = int(match[3])
    if total > limit_bytes:
        raise LimitError(
            f"The blob is longer than {limit_bytes} bytes, which is the limit of this call.",
            limit_bytes,
        )
    if match[1] is None:
        return Part(None, 0, total)
    start, end = int(match[1]), int(match[2])
    if not start <= end < total:
        raise _bad(text)
    return Part(start, end - start + 1, total)


def part_chunks(part: Part) -> Iterator[bytes]:
    """Yield the body as it comes.

    Raises:
        LimitError: it is longer than the header says.
    """
    return body_chunks(part.length)


def _bad(text: str) -> BadInputError:
    return BadInputError(
        f"Content-Range {text[:100]!r} names no part of a blob.",
        {"Content-Range": ["bytes FIRST-LAST/TOTAL, or */TOTAL"]},
    )
