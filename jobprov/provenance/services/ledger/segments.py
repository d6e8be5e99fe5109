"""Sealed segments of the ledger: a head that stays for ever, and a body of compressed frames.

A segment is two documents of the archive: `ledger/EXPERIMENT/00000001.head`, JSON, whose existence
commits the segment, and `ledger/EXPERIMENT/00000001-DIGEST.body`. Each head names the digest of the
head before it, so the heads of an experiment form a chain. The head also holds the envelope of each
entry (kind, time, leaf). A leaf is the SHA-256 of a salt and the entry's bytes: it proves what was
sealed and gives no clue to what an erased entry held, since the salt is erased with the bytes. A
body that was rewritten without erased entries is a document of its own (`erased_segments.py`).

Source: storage.md, "Sealing".
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from jobprov.archive.errors import DocumentMissingError
from jobprov.archive.store import Store
from jobprov.provenance.services.ledger.documents import PossessionDocument, read_document
from jobprov.provenance.services.ledger.erased_segments import find_rewritten, read_rewritten
from jobprov.provenance.services.ledger.frames import (
    FRAME_ENTRIES,
    PackedEntry,
    SegmentError,
    body_name,
    head_name,
    pack_frame,
    read_outline,
    read_parts,
    unpack_frame,
)

GENESIS = "0" * 64
"""What the first head of a chain names as the digest of the head before it."""
_CACHED_SEGMENTS = 8


class Envelope(NamedTuple):
    """What a head keeps of one entry for ever: an array of three in the JSON.

    Attributes:
        received_at: in ISO 8601, UTC.
        leaf: SHA-256 over the entry's salt and bytes.
    """

    kind: str
    received_at: str
    leaf: str


class SegmentHead(msgspec.Struct, frozen=True):
    """The head of a segment.

    Attributes:
        previous: digest of the head before it; `GENESIS` in the first one.
        frames: where the frames of the first body begin, and where the last one ends.
        entries: their envelopes, in order.
    """

    version: int
    experiment: str
    segment: int
    previous: str
    body_sha256: str
    frames: list[int]
    entries: list[Envelope]


_decode_head = msgspec.json.Decoder(SegmentHead).decode


class SealedEntry(NamedTuple):
    """One entry as sealed.

    Attributes:
        kind: `record`, `revision`, `verdict`, …
        received_at: when the service took it, UTC.
        submitter: name of the token, or None.
        salt: 16 random bytes. Without it, short entries could be guessed from their leaf.
        body: the exact bytes.
        erased: the leaf, where salt and bytes were erased.
    """

    kind: str
    received_at: datetime
    submitter: str | None
    salt: bytes
    body: bytes
    erased: str | None = None

    @property
    def leaf(self) -> str:
        """Return the SHA-256 of salt and bytes, as it was before these were erased."""
        return self.erased or hashlib.sha256(self.salt + self.body).hexdigest()


def write_segment(
    experiment: str, segment: int, previous: str, entries: Sequence[SealedEntry]
) -> tuple[bytes, bytes]:
    """Return head and body of a segment; the same entries give the same bytes."""
    offsets, body = write_frames(entries)
    # Written by `json`, not as a SegmentHead: the two escape names that are not ASCII differently,
    # and later segments name this one by the digest of these bytes
    head = {
        "version": 1,
        "experiment": experiment,
        "segment": segment,
        "previous": previous,
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "frames": offsets,
        "entries": [[entry.kind, entry.received_at.isoformat(), entry.leaf] for entry in entries],
    }
    return json.dumps(head, separators=(",", ":")).encode() + b"\n", body


def write_frames(entries: Sequence[SealedEntry]) -> tuple[list[int], bytes]:
    """Return the offset of each frame and of the end, and the body."""
    frames, offsets = [], [0]
    for start in range(0, len(entries), FRAME_ENTRIES):
        frames.append(pack_frame(map(_packed, entries[start : start + FRAME_ENTRIES])))
        offsets.append(offsets[-1] + len(frames[-1]))
    return offsets, b"".join(frames)


def _packed(entry: SealedEntry) -> PackedEntry:
    body: bytes | None = entry.body
    if entry.erased is not None:
        body = None
    return PackedEntry((entry.submitter or "").encode(), entry.salt, body)


class SegmentReader:
    """Reads one sealed segment and checks it against its head.

    Args:
        body: the document, or the frames of a rewritten one.
        frames: the offsets of the frames of a rewritten body.
    """

    def __init__(self, head: bytes, body: bytes, *, frames: Sequence[int] | None = None) -> None:
        self.head = _decode_head(head)
        self.head_bytes = head
        self.head_sha256 = hashlib.sha256(head).hexdigest()
        self._body = body
        self._starts = self.head.frames if frames is None else frames
        self._frames: dict[int, list[SealedEntry]] = {}
        if frames is None and hashlib.sha256(body).hexdigest() != self.head.body_sha256:
            raise SegmentError(
                f"The body of segment {self.head.segment} of {self.head.experiment} is "
                "damaged; restore it from a copy of the archive (its digest stands in the head)."
            )

    @classmethod
    def open(cls, store: Store, experiment: str, segment: int) -> "SegmentReader":
        """Return the reader of a segment in the archive. The last few are kept in memory."""
        # Stores are hashable, which their protocol does not say
        reader: SegmentReader = _open_cached(store, experiment, segment)  # type: ignore[arg-type]
        return reader

    def __len__(self) -> int:
        return len(self.head.entries)

    def body(self, position: int) -> bytes:
        """Return the exact bytes of the entry at `position` (from 0)."""
        return self.entry(position).body

    def is_erased(self, position: int) -> bool:
        """Whether salt and bytes of the entry at `position` were erased."""
        return self.entry(position).erased is not None

    def entries(self) -> Iterator[SealedEntry]:
        """Yield every entry in order, each checked against its leaf."""
        for frame in range(len(self._starts) - 1):
            for position, entry in enumerate(self._frame(frame), frame * FRAME_ENTRIES):
                if entry.leaf != self.head.entries[position].leaf:
                    raise SegmentError(
                        f"Entry {position} differs from its leaf; the segment was tampered with."
                    )
                yield entry

    def positions(self, *kinds: str) -> list[int]:
        """Return where the entries of these kinds are. Only the head is read, no frame."""
        return [position for position, entry in enumerate(self.head.entries) if entry.kind in kinds]

    def digests(self, position: int) -> list[str]:
        """Return the digests that an entry of kind `possession` lists."""
        return read_document(self.body(position), PossessionDocument).sha256

    def entry(self, position: int) -> SealedEntry:
        """Return the entry at `position`."""
        return self._frame(position // FRAME_ENTRIES)[position % FRAME_ENTRIES]

    def _frame(self, number: int) -> list[SealedEntry]:
        """Return a frame. The last one is kept, as neighbours are often read together."""
        entries = self._frames.get(number)
        if entries is None:
            start, end = self._starts[number : number + 2]
            entries = list(self._unpack_frame(number, self._body[start:end]))
            self._frames = {number: entries}
        return entries

    def _unpack_frame(self, number: int, frame: bytes) -> Iterator[SealedEntry]:
        """Return the entries of one frame."""
        for position, packed in enumerate(unpack_frame(frame), number * FRAME_ENTRIES):
            envelope = self.head.entries[position]
            yield SealedEntry(
                kind=envelope.kind,
                received_at=datetime.fromisoformat(envelope.received_at),
                submitter=packed.submitter.decode() or None,
                salt=packed.salt,
                body=packed.body or b"",
                erased=envelope.leaf if packed.body is None else None,
            )


def read_bodies(
    store: Store, experiment: str, segment: int, positions: Collection[int]
) -> dict[int, bytes]:
    """Return the bodies of sealed entries by position. Erased entries are left out.

    Raises:
        SegmentError: the archive holds other bytes than were sealed.
    """
    # Single frames are enough in most cases, and save reading and checking the whole body
    bodies = read_parts(store, experiment, segment, positions)
    if bodies is not None:
        return {position: body for position, body in bodies.items() if body is not None}
    reader = SegmentReader.open(store, experiment, segment)
    kept = [position for position in sorted(positions) if not reader.is_erased(position)]
    return {position: reader.body(position) for position in kept}


def forget_segments() -> None:
    """Drop the segments kept in memory, because some bodies were rewritten."""
    _open_cached.cache_clear()


@lru_cache(maxsize=_CACHED_SEGMENTS)
def _open_cached(store: Store, experiment: str, segment: int) -> SegmentReader:
    head = store.get_document(head_name(experiment, segment))
    name = body_name(experiment, segment, read_outline(head).body_sha256)
    try:
        return SegmentReader(head, store.get_document(name))
    except DocumentMissingError:
        rewritten = find_rewritten(store, name)
        if rewritten is None:
            raise
    try:
        frames, body = read_rewritten(store.get_document(rewritten))
    except ValueError as problem:
        raise SegmentError(
            f"{rewritten} cannot be read ({problem}); restore it from a copy of the archive."
        ) from None
    return SegmentReader(head, body, frames=frames)
