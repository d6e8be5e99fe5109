"""Reads the whole archive through and says what is wrong with it, and which jobs that touches.

Damage is what was there once: a flipped bit, a possessed blob that is gone, a broken chain. A *gap* is a blob that records name and
that never came; it is counted, and is no damage. Which jobs a blob touches is looked up only when something was found.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from archive import fsck
from archive.errors import ArchiveError
from archive.store import Finding, FindingKind, Store
from provenance.bundle.plan import Plan
from provenance.db.queries.blob_users import (
    JobName,
    jobs_of_capsules,
    jobs_of_entries,
    jobs_of_packs,
    jobs_of_plans,
    plan_digests,
    unsealed_bodies,
)
from provenance.db.recording.job_rows import unpack
from provenance.db.tables import AwaitedBlob, Experiment, ExpiredLog, Possession, Resolution
from provenance.errors import BundleError
from provenance.services.chains import archived_experiments, chain_tip, read_chain
from provenance.services.replaying import RECORDS
from provenance.services.resolve_submodules import packs_of_submodules
from provenance.services.segments import SegmentError, head_name

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_BLOB_KINDS = frozenset({FindingKind.BLOB_MISSING, FindingKind.BLOB_DAMAGED, FindingKind.COPY_DAMAGED})
_HARMLESS = frozenset({FindingKind.COPY_DAMAGED, FindingKind.STRAY})


class Trouble(NamedTuple):
    """One thing that is wrong.

    Attributes:
        kind: of `archive.store.FindingKind`, or `chain-broken`.
        name: the digest of a blob, or the name of a document, file or chain.
        jobs: those whose record, bundle or code it is; sorted.
    """

    kind: str
    name: str
    where: str
    detail: str
    jobs: list[JobName]

    @property
    def is_harmless(self) -> bool:
        """Whether nothing is lost by it: a second copy is intact, or a file is nobody's."""
        return self.kind in _HARMLESS


class Gaps(NamedTuple):
    """Blobs that records name and that never came, and how many jobs wait for any."""

    blobs: int
    jobs: int


class ArchiveReport(NamedTuple):
    """What a check found.

    Attributes:
        blobs: that had to be there.
        entries: of the ledger that were read and compared with their leaves.
    """

    troubles: list[Trouble]
    gaps: Gaps
    blobs: int
    segments: int
    entries: int

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost."""
        return all(trouble.is_harmless for trouble in self.troubles)


def check_archive(connection: Connection, store: Store) -> ArchiveReport:
    """Return everything that is wrong with the archive, each with the jobs that it touches."""
    expected = _Counted(_expected(connection, store))
    found = list(fsck.check(store, expected=expected, expected_documents=_expected_heads(connection)))
    chains = _check_chains(connection, store)
    users = _users(connection, store, {finding.name for finding in found if finding.kind in _BLOB_KINDS})
    troubles = [_trouble(connection, finding, users) for finding in found]
    return ArchiveReport(troubles + chains.troubles, _gaps(connection), expected.count, chains.segments, chains.entries)


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
    """Yield the blobs that must be there: what was uploaded, packs of code, plans of bundles and what these generated."""
    rows = connection.execution_options(yield_per=5000).execute(select(Possession.sha256).distinct())
    yield from (row[0] for row in rows)
    packs = select(Resolution.pack_sha256).where(Resolution.pack_sha256.is_not(None)).distinct()
    yield from [sha256 for (sha256,) in connection.execute(packs) if sha256]
    for (document,) in connection.execute(
        select(Resolution.document).where(Resolution.document.contains("submodules"))
    ):
        yield from packs_of_submodules(json.loads(document))
    possessed = select(Possession.sha256)
    for sha256 in plan_digests(connection):
        yield sha256
        named = _named_in_plan(store, sha256)
        held = {row[0] for row in connection.execute(possessed.where(Possession.sha256.in_(named)))}
        yield from sorted(named - held)


def _named_in_plan(store: Store, sha256: str) -> set[str]:
    try:
        data = store.get(sha256)
    except ArchiveError:
        return set()  # reported as a blob of its own
    try:
        return Plan.from_bytes(data, store.get).blobs()
    except (ArchiveError, BundleError):
        return Plan.named_in(data)  # a fragment is damaged or gone: it is reported, and what it names with it


def _expected_heads(connection: Connection) -> list[str]:
    names = []
    for (experiment,) in connection.execute(select(Experiment.name)).all():
        segment, _ = chain_tip(connection, experiment)
        names += [head_name(experiment, number) for number in range(1, segment + 1)]
    return names


class _Chains(NamedTuple):
    troubles: list[Trouble]
    segments: int
    entries: int


def _check_chains(connection: Connection, store: Store) -> _Chains:
    """Follow every chain, compare every entry with its leaf, and the end with what the database knows."""
    troubles: list[Trouble] = []
    segments = entries = 0
    known = {row[0] for row in connection.execute(select(Experiment.name))}
    for experiment in sorted(known | archived_experiments(store)):
        tip = chain_tip(connection, experiment)
        reached = 0
        try:
            for reader in read_chain(store, experiment):
                entries += sum(1 for _ in reader.entries())
                segments += 1
                reached += 1
                _check_tip(experiment, (reached, reader.head_sha256), tip)
        except (SegmentError, ArchiveError) as problem:
            jobs = jobs_of_entries(connection, experiment, reached + 1)
            troubles.append(Trouble("chain-broken", experiment, head_name(experiment, reached + 1), str(problem), jobs))
    return _Chains(troubles, segments, entries)


def _check_tip(experiment: str, found: tuple[int, str], tip: tuple[int, str]) -> None:
    if found[0] == tip[0] and found != tip:
        raise SegmentError(f"Segment {found[0]} of {experiment} is not the one that this database sealed.")


def _users(connection: Connection, store: Store, digests: set[str]) -> dict[str, set[JobName]]:
    """Return which jobs each of these blobs touches: by their records, bundle plans, the code that they ran and its capsule."""
    users: dict[str, set[JobName]] = defaultdict(set)
    if not digests:
        return users
    for body, job in _record_bodies(connection, store):
        for sha256 in {found.decode() for found in _DIGEST.findall(body)} & digests:
            users[sha256].add(job)
    for sha256 in digests:
        users[sha256].update(jobs_of_packs(connection, sha256))
        users[sha256].update(jobs_of_capsules(connection, sha256))
    for plan in plan_digests(connection):
        for sha256 in ({plan} | _named_in_plan(store, plan)) & digests:
            users[sha256].update(jobs_of_plans(connection, plan))
    return users


_JOB_ID = re.compile(rb'\\?"job_id\\?"\s*:\s*\\?"([0-9a-f-]{36})\\?"')


def _record_bodies(connection: Connection, store: Store) -> Iterator[tuple[bytes, JobName]]:
    """Yield the bytes of every record in the ledger with its job; of broken chains, as far as they go."""
    for experiment, packed in unsealed_bodies(connection, sorted(RECORDS)):
        body = unpack(packed)
        yield from _with_job(experiment, body)
    for experiment in sorted(archived_experiments(store)):
        try:
            for reader in read_chain(store, experiment):
                for position in reader.positions(*RECORDS):
                    yield from _with_job(experiment, reader.body(position))
        except (SegmentError, ArchiveError):
            continue  # reported as a broken chain


def _with_job(experiment: str, body: bytes) -> Iterator[tuple[bytes, JobName]]:
    named = _JOB_ID.search(body)
    if named is not None:
        yield body, JobName(experiment, named.group(1).decode())


def _trouble(connection: Connection, finding: Finding, users: dict[str, set[JobName]]) -> Trouble:
    jobs = sorted(users.get(finding.name, ()))
    segment = _SEGMENT.match(finding.name)
    if segment is not None and finding.kind not in _BLOB_KINDS:
        jobs = jobs_of_entries(connection, segment.group(1), int(segment.group(2)), only=True)
    return Trouble(str(finding.kind), finding.name, finding.where, finding.detail, jobs)


_SEGMENT = re.compile(r"ledger/([^/]+)/(\d{8})")


def _gaps(connection: Connection) -> Gaps:
    expired = AwaitedBlob.sha256.in_(select(ExpiredLog.sha256))
    blobs = select(func.count(AwaitedBlob.sha256.distinct())).where(~expired)
    jobs = select(func.count(AwaitedBlob.job_id.distinct())).where(~expired)
    return Gaps(connection.execute(blobs).scalar_one(), connection.execute(jobs).scalar_one())
