"""The body of a batch of blobs: a line that lists them, then their bytes, one after the other.

The line is JSON: `[[sha256, length, package], …]`, where `package` is null, or names what brought
an unchanged file, as the header `Jobprov-Package` of a single blob does.
"""

import re
from typing import NamedTuple

import msgspec

from jobprov.provenance.errors import BadInputError, LimitError
from jobprov.provenance.records.reading.misfits import misfit

CONTENT_TYPE = "application/octet-stream"
BATCH_BYTES = 8 * 1024 * 1024
"""Of the whole body, its first line included."""
BATCH_BLOBS = 1000
DIGEST = re.compile(r"[0-9a-f]{64}")


class SentBlob(NamedTuple):
    """A blob of a batch, as the sender names it.

    Attributes:
        sha256: the digest that its bytes are to have.
        is_packaged: whether the sender states that a package brought it.
        content: its bytes.
    """

    sha256: str
    is_packaged: bool
    content: bytes


_Listed = list[tuple[str, int, str | None]]
_listed = msgspec.json.Decoder(_Listed)


def read_blobs(body: bytes) -> list[SentBlob]:
    """Return the blobs of a batch, in order.

    Raises:
        BadInputError: the first line cannot be read, or the bytes are not as many as it says.
        LimitError: more blobs than a batch may have.
    """
    head, _, content = body.partition(b"\n")
    try:
        listed = _listed.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        reason = misfit(problem, _Listed)
        raise _bad(f"the first line is [[sha256, length, package], …] ({reason})") from None
    if len(listed) > BATCH_BLOBS:
        message = f"The batch has {len(listed)} blobs; {BATCH_BLOBS} is the limit."
        raise LimitError(message, BATCH_BLOBS)
    blobs: list[SentBlob] = []
    start = 0
    for place, (sha256, length, package) in enumerate(listed):
        if not DIGEST.fullmatch(sha256):
            raise _bad("not a SHA-256 in lower-case hex", f"[{place}][0]")
        if length < 0:
            raise _bad("a length is 0 or more", f"[{place}][1]")
        blobs.append(SentBlob(sha256, package is not None, content[start : start + length]))
        start += length
    if start != len(content):
        raise _bad(f"{start} bytes are listed, and {len(content)} came")
    return blobs


def _bad(words: str, field: str = "") -> BadInputError:
    return BadInputError(f"The batch of blobs cannot be read: {words}.", {field: [words]})
