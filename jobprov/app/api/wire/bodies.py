"""Reading what a client sent, in bounded memory.

It is plain or gzip, and never more than the limit says, before or after unpacking.
"""

import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from flask import request
from msgspec import ValidationError
from werkzeug.exceptions import ClientDisconnected, UnsupportedMediaType

from jobprov.provenance.errors import BadInputError, LimitError
from jobprov.provenance.records.reading.misfits import misfit

_CHUNK_BYTES = 1 << 16
_DISCARDED_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 16_384
_MOST_MEMBERS = 10_000
_GZIP = 31  # zlib's word for a gzip header and the largest window


def read_body(limit_bytes: int) -> bytes:
    """Return the body, unpacked.

    Raises:
        LimitError: it is longer than the limit, as sent or unpacked.
        BadInputError: it says gzip and is not.
        UnsupportedMediaType: another encoding.
    """
    encoding = _encoding()
    body = _read(limit_bytes)
    return body if encoding == "identity" else _unpack(body, limit_bytes)


def body_chunks(limit_bytes: int) -> Iterator[bytes]:
    """Yield the body as it comes, unpacked.

    Raises:
        LimitError, BadInputError, UnsupportedMediaType: as `read_body`, when it shows.
    """
    if _encoding() == "gzip":
        yield read_body(limit_bytes)
        return
    _checked_length(limit_bytes)
    yield from _chunks(limit_bytes)


def _encoding() -> str:
    word = request.headers.get("Content-Encoding", "identity").strip().lower()
    if word not in ("identity", "gzip", "x-gzip", ""):
        message = f"The content encoding {word[:40]!r} is not read here; send gzip or none."
        raise UnsupportedMediaType(message)
    return "gzip" if word.endswith("gzip") else "identity"


def _read(limit_bytes: int) -> bytes:
    length = _checked_length(limit_bytes)
    if length is not None:
        return _read_exactly(length)
    return b"".join(_chunks(limit_bytes))


def _chunks(limit_bytes: int) -> Iterator[bytes]:
    """Yield the body as it was sent, up to the limit."""
    stream, left = _stream(limit_bytes), limit_bytes
    while chunk := stream.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise _too_long(limit_bytes)
        yield chunk


def _read_exactly(length: int) -> bytes:
    """Return so many bytes, read from the server's own stream.

    The framework's stream around it checks limits that are checked here already.
    """
    body: bytes = request.environ["wsgi.input"].read(length)
    if len(body) < length:
        raise ClientDisconnected
    return body


def _stream(limit_bytes: int) -> BinaryIO:
    # One byte more, so that a body past the limit gets our answer and not the framework's
    request.max_content_length = limit_bytes + 1
    return cast("BinaryIO", request.stream)


def _checked_length(limit_bytes: int) -> int | None:
    """Return the length that the client announced, None where it announced none."""
    length = request.content_length
    if length is not None and length > limit_bytes:
        _discard(length)
        raise _too_long(limit_bytes)
    return length


def _discard(length: int) -> None:
    """Read what comes, up to a limit.

    A client that is still sending when the connection is cut never sees why.
    """
    request.max_content_length = length + 1
    left = _DISCARDED_BYTES
    while left > 0 and (chunk := request.stream.read(_CHUNK_BYTES)):
        left -= len(chunk)


def _unpack(body: bytes, limit_bytes: int) -> bytes:
    """Return every member of the gzip stream, one after the other."""
    parts: list[bytes] = []
    left, place, members = limit_bytes, 0, 0
    while place < len(body):
        members += 1
        if members > _MOST_MEMBERS:
            problem = f"at most {_MOST_MEMBERS} gzip members"
            raise BadInputError(f"The body is too finely cut: {problem}.", {"": [problem]})
        decompressor = zlib.decompressobj(_GZIP)
        while not decompressor.eof:
            # Piece by piece, since zlib copies what follows a member in what it was given
            piece = body[place : place + _PIECE_BYTES]
            if not piece:
                raise BadInputError(
                    "The gzip body ends too early; send it again.", {"": ["gzip cut short"]}
                )
            part = _decompress(decompressor, piece, left + 1)
            left -= len(part)
            if left < 0:
                raise _too_long(limit_bytes)
            parts.append(part)
            place += len(piece) - len(decompressor.unused_data)
    return b"".join(parts)


def _decompress(decompressor: "zlib._Decompress", piece: bytes, most_bytes: int) -> bytes:
    try:
        return decompressor.decompress(piece, most_bytes)
    except zlib.error as problem:
        raise BadInputError(
            f"The body is not gzip, though it says so: {problem}.", {"": ["not gzip"]}
        ) from None


def _too_long(limit_bytes: int) -> LimitError:
    return LimitError(
        f"The body is longer than {limit_bytes} bytes, which is the limit of this call.",
        limit_bytes,
    )


def wrong_body(problem: Exception, kind: Any) -> BadInputError:
    """Return the error about a body that is no JSON, or does not fit what is read from it."""
    field, message = misfit(problem, kind)
    if not isinstance(problem, ValidationError):
        return BadInputError(f"The body is not JSON: {message}.", {"": [message]})
    return BadInputError(f"{field or 'The body'}: {message}.", {field: [message]})
