"""Reads the whole archive and reports what is wrong with it, and which jobs that affects.

Only the loss of something that was there is damage: a flipped bit, a possessed blob that is gone, a
broken chain. A blob that records name and that never came is a *gap*: it is counted, but it is not
damage. The jobs are looked up only when something was found, since that reads every record.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive import fsck
from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Finding, FindingKind, Store
from jobprov.provenance.db.queries.holdings.blob_users import (
    JobName,
    jobs_from_segment_on,
    jobs_of_capsules,
    jobs_of_packs,
    jobs_of_plans,
    jobs_of_segment,
)
from jobprov.provenance.db.queries.holdings.erasures import erased_of, erased_places
from jobprov.provenance.db.queries.holdings.expiry import needed_by_nobody
from jobprov.provenance.db.queries.holdings.possessions import possessed_by_anybody
from jobprov.provenance.db.queries.ledger import LastSegment
from jobprov.provenance.db.queries.lookup.experiments import experiment_names
from jobprov.provenance.db.queries.upkeep import AwaitedCount, all_possessed, count_awaited
from jobprov.provenance.progress import is_watched, tell, watched
from jobprov.provenance.services.bundles.plan_blobs import live_plans, named_in_plan, packs_of_code
from jobprov.provenance.services.ledger.chain_erasures import KIND, read_erasures
from jobprov.provenance.services.ledger.chains import archived_experiments, chain_tip, read_chain
from jobprov.provenance.services.ledger.entry_bytes import record_bodies
from jobprov.provenance.services.ledger.frames import SegmentError, head_name
from jobprov.provenance.services.ledger.segments import SegmentReader

# A digest anywhere in a record's bytes: no field that names a blob can be forgotten this way
_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
# The quotes are escaped in a revision, which has its record as text
_LISTING = re.compile(rb'touched_sha256\\?"\s*:\s*\\?"([0-9a-f]{64})')
_SEGMENT = re.compile(r"ledger/([^/]+)/(\d{8})")
_BLOB_KINDS = frozenset(
    {FindingKind.BLOB_MISSING, FindingKind.BLOB_DAMAGED, FindingKind.COPY_DAMAGED}
)
_FINISH = "`jobprov erase finish` goes on"
_HARMLESS = frozenset({FindingKind.COPY_DAMAGED, FindingKind.STRAY})


class Trouble(NamedTuple):
    """One thing that is wrong.

    Attributes:
        kind: of `archive.store.FindingKind`, or `chain-broken`.
        name: the digest of a blob, or the name of a document, file or chain.
        jobs: those that need it for their record, bundle or code; sorted.
    """

    kind: str
    name: str
    where: str
    detail: str
    jobs: list[JobName]

    @property
    def is_harmless(self) -> bool:
        """Whether nothing is lost: a second copy is intact, or the file belongs to nobody."""
        return self.kind in _HARMLESS


class ArchiveReport(NamedTuple):
    """What a check found.

    Attributes:
        gaps: blobs that records name and that never came.
        blobs: how many are stored, as `jobprov archive stats` counts them.
        needed_blobs: how many had to be there.
        entries: how many ledger entries were read and compared with their leaves.
    """

    troubles: list[Trouble]
    gaps: AwaitedCount
    blobs: int
    needed_blobs: int
    segments: int
    entries: int

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost."""
        return all(trouble.is_harmless for trouble in self.troubles)


def check_archive(connection: Connection, store: Store) -> ArchiveReport:
    """Return everything that is wrong with the archive, with the jobs that it affects."""
    expected = _Counted(_expected(connection, store))
    heads = _expected_heads(connection)
    findings = list(
        fsck.check(store, expected=expected, expected_documents=heads, seen=_SeenBlobs(store))
    )
    chains = _check_chains(connection, store)
    blobs = {finding.name for finding in findings if finding.kind in _BLOB_KINDS}
    users = _users(connection, store, blobs)
    troubles = [_trouble(connection, finding, users) for finding in findings]
    troubles += _not_erased(connection, store)
    return ArchiveReport(
        troubles + chains.troubles,
        count_awaited(connection),
        sum(1 for _ in store.digests()),
        expected.count,
        chains.segments,
        chains.entries,
    )


class _SeenBlobs:
    """Tells how many blobs were read; one that is loose and in a pack is read twice."""

    def __init__(self, store: Store) -> None:
        self._total = store.stats().blobs if is_watched() else None
        self._count = 0

    def __call__(self) -> None:
        self._count += 1
        tell("blobs read", self._count, self._total)


class _Counted:
    """Counts what passes."""

    def __init__(self, items: Iterable[str]) -> None:
        self._items = items
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        for item in self._items:
            self.count += 1
            yield item


def _expected(connection: Connection, store: Store) -> Iterator[str]:
    """Yield the blobs that must be there.

    They are uploads, packs of code, plans of bundles, and the members that plans generated.
    """
    yield from all_possessed(connection)
    yield from packs_of_code(connection)
    for sha256 in live_plans(connection):
        yield sha256
        named = named_in_plan(store, sha256)
        yield from sorted(named - possessed_by_anybody(connection, sorted(named)))


def _expected_heads(connection: Connection) -> list[str]:
    names = []
    for experiment in experiment_names(connection):
        last = chain_tip(connection, experiment).segment
        names += [head_name(experiment, number) for number in range(1, last + 1)]
    return names


class _Chains(NamedTuple):
    """The troubles in some chains, and how much of them was read."""

    troubles: list[Trouble]
    segments: int = 0
    entries: int = 0


def _check_chains(connection: Connection, store: Store) -> _Chains:
    """Follow every chain, compare each entry with its leaf, and the end with the database."""
    troubles: list[Trouble] = []
    segments = entries = 0
    recorded = set(experiment_names(connection))
    for experiment in sorted(recorded | archived_experiments(store)):
        chain = _check_chain(connection, store, experiment)
        troubles += chain.troubles
        segments += chain.segments
        entries += chain.entries
    return _Chains(troubles, segments, entries)


def _check_chain(connection: Connection, store: Store, experiment: str) -> _Chains:
    """Follow one chain as far as it goes."""
    tip = chain_tip(connection, experiment)
    erased_positions: dict[int, set[int]] = {}
    is_anything_erased = bool(erased_places(connection, experiment))
    segments = entries = 0
    troubles: list[Trouble] = []
    try:
        for reader in watched(f"segments of {experiment} read", read_chain(store, experiment)):
            positions = _erased_positions(reader)
            erased_positions[segments + 1] = positions
            is_anything_erased = is_anything_erased or bool(positions or reader.positions(KIND))
            entries += len(reader)
            segments += 1
            _check_tip(experiment, LastSegment(segments, reader.head_sha256), tip)
        # Listing the erasures reads the chain a second time; most chains have none
        if is_anything_erased:
            troubles += _compare_erased(connection, store, experiment, erased_positions)
    except (SegmentError, ArchiveError) as problem:
        head = head_name(experiment, segments + 1)
        jobs = jobs_from_segment_on(connection, experiment, segments + 1)
        troubles.append(Trouble("chain-broken", experiment, head, str(problem), jobs))
    return _Chains(troubles, segments, entries)


def _erased_positions(reader: SegmentReader) -> set[int]:
    """Return the positions of entries without bytes. Each entry is compared with its leaf."""
    positions: set[int] = set()
    for position, entry in enumerate(reader.entries()):
        if entry.erased is not None:
            positions.add(position)
    return positions


def _erased_entries(connection: Connection, store: Store, experiment: str) -> dict[int, set[int]]:
    """Return the positions, by segment, of entries whose erasure the chain or database records."""
    places = erased_places(connection, experiment)
    chain = read_erasures(store, experiment)
    for leaf in chain.items:
        if (place := chain.place_of(leaf)) is not None:
            places.setdefault(place[0], set()).add(place[1])
    return places


def _compare_erased(
    connection: Connection, store: Store, experiment: str, gone: dict[int, set[int]]
) -> Iterator[Trouble]:
    """Yield entries that are gone without an erasure, and entries that are erased and still there.

    `gone` are the positions without bytes, by segment.
    """
    erased = _erased_entries(connection, store, experiment)
    for segment, positions in sorted(gone.items()):
        recorded, where = erased.get(segment, set()), head_name(experiment, segment)
        for position in sorted(positions - recorded):
            detail = (
                f"the bytes of entry {position} are gone, and no erasure says why; restore the "
                "body from a copy"
            )
            jobs = jobs_of_segment(connection, experiment, segment)
            yield Trouble("body-missing", experiment, where, detail, jobs)
        for position in sorted(recorded - positions):
            detail = f"entry {position} was erased and is still there; {_FINISH}"
            yield Trouble("not-erased", experiment, where, detail, [])


def _not_erased(connection: Connection, store: Store) -> Iterator[Trouble]:
    """Yield the blobs that were erased, that no other experiment sent, and that are still there."""
    for experiment in experiment_names(connection):
        free = needed_by_nobody(connection, erased_of(connection, experiment))
        for sha256 in sorted(set(free) - store.missing(free)):
            yield Trouble(
                "not-erased",
                sha256,
                "the archive",
                f"it was erased and is still there; {_FINISH}",
                [],
            )


def _check_tip(experiment: str, reached: LastSegment, tip: LastSegment) -> None:
    if reached.segment == tip.segment and reached != tip:
        raise SegmentError(
            f"Segment {reached.segment} of {experiment} is not the one that this database sealed."
        )


def _users(connection: Connection, store: Store, digests: set[str]) -> dict[str, set[JobName]]:
    """Return the jobs that need each of these blobs.

    A job needs what its record names, what the listing of a traced job names, its bundle plans, the
    code that it ran, and the capsule of that code.
    """
    users: dict[str, set[JobName]] = defaultdict(set)
    if not digests:
        return users
    listings: dict[str, set[JobName]] = defaultdict(set)
    for body, job in record_bodies(connection, store):
        for sha256 in _named_in(body) & digests:
            users[sha256].add(job)
        for listing in _LISTING.findall(body):
            listings[listing.decode()].add(job)
    for listing, jobs in listings.items():
        for sha256 in _named_in_listing(store, listing) & digests:
            users[sha256].update(jobs)
    for sha256 in digests:
        users[sha256].update(jobs_of_packs(connection, sha256))
        users[sha256].update(jobs_of_capsules(connection, sha256))
    for plan in live_plans(connection):
        for sha256 in ({plan} | named_in_plan(store, plan)) & digests:
            users[sha256].update(jobs_of_plans(connection, plan))
    return users


def _named_in(content: bytes) -> set[str]:
    return {digest.decode() for digest in _DIGEST.findall(content)}


def _named_in_listing(store: Store, listing: str) -> set[str]:
    """Return the blobs of what a traced job touched; none where the listing itself is lost."""
    try:
        return _named_in(store.get(listing))
    except ArchiveError:
        return set()


def _trouble(connection: Connection, finding: Finding, users: dict[str, set[JobName]]) -> Trouble:
    jobs = sorted(users.get(finding.name, ()))
    segment = _SEGMENT.match(finding.name)
    if segment is not None and finding.kind not in _BLOB_KINDS:
        jobs = jobs_of_segment(connection, segment.group(1), int(segment.group(2)))
    return Trouble(str(finding.kind), finding.name, finding.where, finding.detail, jobs)
