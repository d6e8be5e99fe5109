"""Sealed segments of the ledger.

A segment has a chain header that stays for ever, and a body of zstd frames of 128 entries.

A segment is two documents of the archive: `ledger/EXPERIMENT/00000001.head`, JSON, whose existence
commits the segment, and `ledger/EXPERIMENT/00000001-DIGEST.body`. The head names the digest of the
head before it, so that the heads of an experiment are a chain; it holds the envelope of each entry
(position, kind, time, leaf). A leaf is SHA-256 over a salt and the entry's bytes: proof of what was
sealed, and no clue to what an erased entry said. Of an erased entry the salt is gone with the
bytes; the leaf stays in the head. A body that was written anew without some entries is another
document (`erased_segments.py`).

Source: storage.md, "Sealing".
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

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


class SealedEntry(NamedTuple):
    """One entry as sealed.

    Attributes:
        kind: `record`, `revision`, `verdict`, …
        received_at: when the service took it, UTC.
        submitter: name of the token, or None.
        salt: 16 random bytes.
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
        """Return SHA-256 of salt and bytes; of erased ones as it was."""
        return self.erased or hashlib.sha256(self.salt + self.body).hexdigest()


def write_segment(
    experiment: str, segment: int, previous: str, entries: Sequence[SealedEntry]
) -> tuple[bytes, bytes]:
    """Return head and body of a segment; the same entries give the same bytes."""
    offsets, body = write_frames(entries)
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
    """Return where each frame of a body begins, and where the last one ends, and the body."""
    frames, offsets = [], [0]
    for start in range(0, len(entries), FRAME_ENTRIES):
        frames.append(pack_frame(map(_packed, entries[start : start + FRAME_ENTRIES])))
        offsets.append(offsets[-1] + len(frames[-1]))
    return offsets, b"".join(frames)


def _packed(entry: SealedEntry) -> PackedEntry:
    return PackedEntry(
        (entry.submitter or "").encode(), entry.salt, entry.body if entry.erased is None else None
    )


class SegmentReader:
    """Reads one sealed segment and checks it against its head.

    Args:
        head: the document.
        body: the document, or the frames of one that was written anew.
        frames: where the frames of a body that was written anew begin.
    """

    def __init__(self, head: bytes, body: bytes, *, frames: Sequence[int] | None = None) -> None:
        self.head: dict[str, Any] = json.loads(head)
        self.head_bytes = head
        self.head_sha256 = hashlib.sha256(head).hexdigest()
        self._body = body
        self._starts = self.head["frames"] if frames is None else frames
        self._frames: dict[int, list[SealedEntry]] = {}
        if frames is None and hashlib.sha256(body).hexdigest() != self.head["body_sha256"]:
            raise SegmentError(
                f"The body of segment {self.head['segment']} of {self.head['experiment']} is "
                "damaged; restore it from a copy of the archive (its digest stands in the head)."
            )

    @classmethod
    def open(cls, store: Store, experiment: str, segment: int) -> "SegmentReader":
        """Return the reader of a segment in the archive; the last few are kept in memory."""
        reader: SegmentReader = _open_cached(store, experiment, segment)  # type: ignore[arg-type]  # stores are hashable
        return reader

    def __len__(self) -> int:
        return len(self.head["entries"])

    def body(self, position: int) -> bytes:
        """Return the exact bytes of the entry at `position` (from 0)."""
        return self.entry(position).body

    def is_erased(self, position: int) -> bool:
        """Whether salt and bytes of the entry at `position` were erased."""
        return self.entry(position).erased is not None

    def entries(self) -> Iterator[SealedEntry]:
        """Yield every entry in order, each checked against its leaf."""
        for frame in range(len(self._starts) - 1):
            for place, entry in enumerate(self._frame(frame)):
                if entry.leaf != self.head["entries"][frame * FRAME_ENTRIES + place][2]:
                    raise SegmentError(
                        f"Entry {frame * FRAME_ENTRIES + place} differs from its leaf; the segment "
                        "was tampered with."
                    )
                yield entry

    def positions(self, *kinds: str) -> list[int]:
        """Return where the entries of these kinds are; the head says it, no frame is read."""
        return [place for place, entry in enumerate(self.head["entries"]) if entry[0] in kinds]

    def digests(self, position: int) -> list[str]:
        """Return what an entry of kind `possession` lists."""
        return read_document(self.body(position), PossessionDocument).sha256

    def entry(self, position: int) -> SealedEntry:
        """Return the entry at `position`."""
        return self._frame(position // FRAME_ENTRIES)[position % FRAME_ENTRIES]

    def _frame(self, number: int) -> list[SealedEntry]:
        """Return a frame, and keep the last one: neighbours are often asked for together."""
        entries = self._frames.get(number)
        if entries is None:
            start, end = self._starts[number : number + 2]
            entries = list(self._unpack_frame(number, self._body[start:end]))
            self._frames = {number: entries}
        return entries

    def _unpack_frame(self, number: int, frame: bytes) -> Iterator[SealedEntry]:
        for place, packed in enumerate(unpack_frame(frame), number * FRAME_ENTRIES):
            kind, received_at, leaf = self.head["entries"][place]
            yield SealedEntry(
                kind=kind,
                received_at=datetime.fromisoformat(received_at),
                submitter=packed.submitter.decode() or None,
                salt=packed.salt,
                body=packed.body or b"",
                erased=leaf if packed.body is None else None,
            )


def read_bodies(
    store: Store, experiment: str, segment: int, positions: Collection[int]
) -> dict[int, bytes]:
    """Return the bodies of sealed entries by position, those that were erased left out.

    Raises:
        SegmentError: the archive holds other bytes than were sealed.
    """
    # Most often single frames do, which saves reading and checking the whole body
    bodies = read_parts(store, experiment, segment, positions)
    if bodies is not None:
        return {position: body for position, body in bodies.items() if body is not None}
    reader = SegmentReader.open(store, experiment, segment)
    return {
        position: reader.body(position)
        for position in sorted(positions)
        if not reader.is_erased(position)
    }


def forget_segments() -> None:
    """Let go of the segments that are kept in memory: some were written anew."""
    _open_cached.cache_clear()


@lru_cache(maxsize=8)
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
