"""The frames of a segment's body: 128 entries each, compressed by zstd.

With frames, one entry is read without the rest of its segment. Within a frame, each entry is `<HI`
(length of its submitter, length of its body), a salt of 16 bytes, the submitter and the body. An
erased entry has neither salt nor body; a length that no entry can have marks it.

Source: storage.md, "Sealing".
"""

import struct
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import zstandard

from jobprov.archive.errors import DocumentMissingError
from jobprov.archive.store import Store
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.services.ledger.erased_segments import ERASED_LENGTH, NO_SALT

FRAME_ENTRIES = 128
_HEAD = struct.Struct("<HI")
_SALT_BYTES = 16
_LEVEL, _LEAST_MATCH = 9, 6
"""Compression: a record of 6 kB takes 27 us once, and 355 bytes for ever.

With level 9's own shortest match of five bytes it takes 368 bytes, with level 12 it takes 366.
"""
_MOST_READS = 4
"""Up to so many frames are read one by one; more in one read, with the frames between them.

On S3 each read is a request, which costs more than some frames that nobody asked for.
"""
_MOST_OUTLINES = 1024


class SegmentError(ProvenanceError):
    """A sealed segment does not hold what its chain has."""


class PackedEntry(NamedTuple):
    """An entry as a frame holds it; the body of an erased one is None."""

    submitter: bytes
    salt: bytes
    body: bytes | None


class Outline(NamedTuple):
    """The part of a head about the first body of its segment.

    Attributes:
        body_sha256: its digest.
        starts: where its frames begin, and where the last one ends.
    """

    body_sha256: str
    starts: Sequence[int]


class _Head(msgspec.Struct):
    body_sha256: str
    frames: list[int]


_head = msgspec.json.Decoder(_Head)
_ENTRIES = b',"entries":'
"""What is written before the entries of a head. No text has these bytes: quotes are escaped."""


def head_name(experiment: str, segment: int) -> str:
    """Return the name of a segment's head in the archive."""
    return f"ledger/{experiment}/{segment:08d}.head"


def body_name(experiment: str, segment: int, sha256: str) -> str:
    """Return the name of a segment's body in the archive."""
    return f"ledger/{experiment}/{segment:08d}-{sha256[:16]}.body"


def read_outline(head: bytes) -> Outline:
    """Return the part of a head about its body.

    The entries, which come last and are most of it, are not looked at.
    """
    start, is_followed, _ = head.partition(_ENTRIES)
    outline = _head.decode(start + b"}" if is_followed else head)
    return Outline(outline.body_sha256, array("Q", outline.frames))


def pack_frame(entries: Iterable[PackedEntry]) -> bytes:
    """Return a frame; the same entries give the same bytes."""
    parts = []
    for submitter, salt, body in entries:
        length = ERASED_LENGTH if body is None else len(body)
        parts += [_HEAD.pack(len(submitter), length), salt, submitter, body or b""]
    content = b"".join(parts)
    settings = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        source_size=len(content),
        min_match=_LEAST_MATCH,
        write_content_size=True,
        write_checksum=True,
    )
    return zstandard.ZstdCompressor(compression_params=settings).compress(content)


def unpack_frame(frame: bytes) -> Iterator[PackedEntry]:
    """Yield the entries of a frame in order.

    Raises:
        SegmentError: its bytes changed.
    """
    try:
        content = zstandard.ZstdDecompressor().decompress(frame)  # it compares the checksum
    except zstandard.ZstdError as problem:
        raise SegmentError(
            f"A frame of a sealed segment cannot be read ({problem}): `jobprov archive check` "
            "names the segment; restore its body."
        ) from None
    at = 0
    while at < len(content):
        submitter_length, length = _HEAD.unpack_from(content, at)
        salt_at = at + _HEAD.size
        start = salt_at + _SALT_BYTES + submitter_length
        submitter = content[salt_at + _SALT_BYTES : start]
        if length == ERASED_LENGTH:
            yield PackedEntry(submitter, NO_SALT, None)
            at = start
        else:
            at = start + length
            yield PackedEntry(
                submitter, content[salt_at : salt_at + _SALT_BYTES], content[start:at]
            )


def read_parts(
    store: Store, experiment: str, segment: int, positions: Collection[int]
) -> dict[int, bytes | None] | None:
    """Return bodies by position (None: erased), without reading the whole body of the segment.

    Return None where only the whole body can be read: the store does not keep it as it came, or it
    was rewritten without erased entries. The bytes are checked against the checksums of their
    frames, not against their leaves.
    """
    # Stores are hashable, which their protocol does not say
    outline: Outline = _outline(store, experiment, segment)  # type: ignore[arg-type]
    name = body_name(experiment, segment, outline.body_sha256)
    wanted: dict[int, list[int]] = {}
    for position in sorted(positions):
        wanted.setdefault(position // FRAME_ENTRIES, []).append(position)
    bodies: dict[int, bytes | None] = {}
    for first, last in _runs(list(wanted)):
        start, end = outline.starts[first], outline.starts[last + 1]
        try:
            part = store.read_document(name, start, end - start, sha256=outline.body_sha256)
        except DocumentMissingError:
            return None  # it was rewritten, under another name
        if part is None:
            return None
        for number in range(first, last + 1):
            if number not in wanted:
                continue
            frame = part[outline.starts[number] - start : outline.starts[number + 1] - start]
            entries = list(unpack_frame(frame))
            for position in wanted[number]:
                bodies[position] = entries[position % FRAME_ENTRIES].body
    return bodies


def _runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last frame of each read."""
    if len(frames) <= _MOST_READS:
        return [(frame, frame) for frame in frames]
    return [(frames[0], frames[-1])]


@lru_cache(maxsize=_MOST_OUTLINES)
def _outline(store: Store, experiment: str, segment: int) -> Outline:
    return read_outline(store.get_document(head_name(experiment, segment)))
