"""The erasures of a chain: which entries lost their bytes, and which record stands in for each.

A replay meets an erased record before it meets the entry that erased it. It then records the
correction in its place, so that the job exists when its verdicts, bundles and conflicts follow.

Source: storage.md, "Erasure".
"""

from collections.abc import Iterable
from typing import NamedTuple

from jobprov.archive.store import Store
from jobprov.provenance.services.ledger.chains import read_chain
from jobprov.provenance.services.ledger.documents import ErasureDocument, read_document
from jobprov.provenance.services.ledger.frames import SegmentError
from jobprov.provenance.services.ledger.segments import SegmentReader
from jobprov.provenance.services.ledger.witnessed_jobs import record_bytes

KIND = "erasure"
Place = tuple[int, int]
"""Segment and position."""


class ErasedItem(NamedTuple):
    """An erased entry, as the erasure describes it.

    Attributes:
        revision: None for a conflict or an unread record, which no job was made from.
        replacement: leaf of the record that corrected it; None where there is none.
    """

    kind: str
    sha256: str
    revision: int | None
    job_id: str
    witness: str
    replacement: str | None


class ChainErasures(NamedTuple):
    """Everything that was erased from a chain.

    Attributes:
        items: erased entries by leaf.
        places: where these entries and their replacements lie, by leaf; those sealed so far.
        digests: of blobs, records and plans that must not be taken back.
    """

    items: dict[str, ErasedItem]
    places: dict[str, Place]
    digests: set[str]

    def counts_for_job(self, leaf: str) -> bool:
        """Whether an erased entry was a record that its job was made from, not just evidence.

        An entry that no erasure names counts too, so that a replay fails on it instead of skipping
        a record whose bytes are lost.
        """
        return leaf not in self.items or self.items[leaf].revision is not None

    def has_erased(self, job_id: str, witness: str) -> bool:
        """Whether a record of this witness that the job was made from was erased."""
        records = [item for item in self.items.values() if item.revision is not None]
        return any((item.job_id, item.witness) == (job_id, witness) for item in records)

    def place_of(self, leaf: str) -> Place | None:
        """Return where the entry of a leaf lies; None where it is not sealed."""
        return self.places.get(leaf)

    def stand_in(self, store: Store, experiment: str, leaf: str) -> bytes:
        """Return the bytes of the record that replaced an erased one.

        Raises:
            SegmentError: no entry of the chain erased it, or nothing replaced it.
        """
        wanted: str | None = leaf
        # A replacement may have been erased as well; its own replacement then stands in for both
        while wanted is not None and wanted in self.items:
            wanted = self.items[wanted].replacement
        place = self.places.get(wanted or "")
        if place is None:
            raise SegmentError(
                f"The bytes of the entry with leaf {leaf} of {experiment} are gone, and no erasure "
                "says why: restore the body of its segment from a copy of the archive."
            )
        segment, position = place
        entry = SegmentReader.open(store, experiment, segment).entry(position)
        is_revision = entry.kind == "revision"
        return record_bytes(entry.body, int(is_revision))


class ErasuresRead:
    """Remembers the erasures of each chain. A chain that has grown is read again."""

    def __init__(self) -> None:
        self._by_experiment: dict[str, tuple[int, ChainErasures]] = {}

    def of(self, store: Store, experiment: str) -> ChainErasures:
        """Return what was erased according to the whole chain of an experiment.

        Raises:
            SegmentError: the chain is broken.
        """
        # Counting names is one listing; reading the chain unpacks each segment that has an erasure
        length = sum(1 for _ in store.documents(f"ledger/{experiment}/"))
        length_read, erasures = self._by_experiment.get(experiment, (None, None))
        if erasures is None or length_read != length:
            erasures = read_erasures(store, experiment)
            self._by_experiment[experiment] = length, erasures
        return erasures


def items_of(erasure: ErasureDocument) -> dict[str, ErasedItem]:
    """Return the erased entries that an erasure names, by leaf."""
    items: dict[str, ErasedItem] = {}
    for entry in erasure.entries:
        items[entry.leaf] = ErasedItem(
            kind=entry.kind,
            sha256=entry.sha256,
            revision=entry.revision,
            job_id=erasure.job_id,
            witness=erasure.witness,
            replacement=erasure.replacement,
        )
    return items


def read_erasures(store: Store, experiment: str) -> ChainErasures:
    """Return what was erased according to the chain of an experiment.

    Raises:
        SegmentError: the chain is broken.
    """
    items: dict[str, ErasedItem] = {}
    digests: set[str] = set()
    for reader in read_chain(store, experiment):
        for position in reader.positions(KIND):
            erasure = read_document(reader.body(position), ErasureDocument)
            items.update(items_of(erasure))
            digests.update(erasure.digests)
    leaves = set(items)
    for item in items.values():
        if item.replacement is not None:
            leaves.add(item.replacement)
    return ChainErasures(items, find_leaves(store, experiment, leaves), digests)


def find_leaves(store: Store, experiment: str, leaves: Iterable[str]) -> dict[str, Place]:
    """Return the places of the entries with these leaves. Entries not sealed yet are left out."""
    wanted = set(leaves)
    places: dict[str, Place] = {}
    if not wanted:
        return places
    for reader in read_chain(store, experiment):
        for position, envelope in enumerate(reader.head.entries):
            if envelope.leaf in wanted:
                places[envelope.leaf] = (reader.head.segment, position)
    return places
