"""The history around a file as it had been recorded at a moment, and what has changed since.

The database has no older versions of its rows: a correction, or the record of another witness,
changes the rows of a job, and only the ledger has the earlier state. So a view of the past leaves
out what came later, and lists the jobs and links that are shown as they are today.

Among these are links that changed because a job read a file: its record may hold a checksum that
links versions of a file, or tells them apart. The edges of a name depend only on its identities and
claims (`recording/files/edges.py`), so the edges of an earlier moment are computed again, from what was
known then. Crowded names are left out: they link only equal identities, which no reader changes.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.answers.histories.lineage import LineagePast
from jobprov.provenance.db.queries.histories.whole_histories import History, jobs_of
from jobprov.provenance.db.recording.files.edges import (
    ClaimFacts,
    ClaimLink,
    IdentityFacts,
    resolve_name,
)
from jobprov.provenance.db.recording.files.linking import mark_readers
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.statements.selecting import StoredMoment, moment_for, select_among
from jobprov.provenance.db.tables import (
    Claim,
    Identity,
    Job,
    LedgerEntry,
    Mention,
    Parent,
    Sighting,
)
from jobprov.provenance.lineage import flow
from jobprov.provenance.lineage.keys import key_of_claim, key_of_file, key_of_job, row_numbers
from jobprov.provenance.records.files.checksums import unpack_checksums

MOST_NAMED = 100
"""Changed jobs and files that are listed; if there are more, they are only counted."""
_RECEIVED = "SELECT id, received_at FROM jobs WHERE id {among}"
_CLAIMS = """
SELECT c.id, c.file_id, j.received_at
FROM claims AS c JOIN jobs AS j ON j.id = c.job_id WHERE c.id {among}
"""
_LAST_RECORD = """
SELECT job_id, max(received_at) FROM ledger_entries WHERE job_id {among} GROUP BY job_id
"""
_CLAIMED = """
SELECT f.name, min(j.received_at), max(j.received_at)
FROM claims AS c JOIN jobs AS j ON j.id = c.job_id JOIN files AS f ON f.id = c.file_id
WHERE c.file_id {among} GROUP BY f.id, f.name
"""
_CORRECTED = """
SELECT f.name, j.id, j.received_at, e.received_at
FROM claims AS c CROSS JOIN jobs AS j CROSS JOIN ledger_entries AS e CROSS JOIN files AS f
WHERE c.file_id {among} AND j.id = c.job_id
AND e.job_id = j.id AND e.received_at > j.received_at AND f.id = c.file_id
"""
_SIGHTED = """
SELECT f.name, max(e.received_at)
FROM sightings AS s
JOIN ledger_entries AS e ON e.id = s.entry_id JOIN files AS f ON f.id = s.file_id
WHERE s.file_id {among} GROUP BY f.id, f.name
"""
_IDENTITIES = """
SELECT f.id, f.name, i.id, i.size_bytes, i.checksums, i.campaign,
    (SELECT min(m.job_id) FROM mentions AS m WHERE m.identity_id = i.id)
FROM files AS f CROSS JOIN identities AS i
WHERE f.id {among} AND i.file_id = f.id AND NOT f.is_crowded
"""
_CLAIMS_OF_FILES = """
SELECT c.file_id, c.id, c.identity_id, j.state, j.received_at, coalesce(s.campaign, '')
FROM files AS f CROSS JOIN claims AS c CROSS JOIN jobs AS j
LEFT JOIN stages AS s ON s.id = j.stage_id
WHERE f.id {among} AND c.file_id = f.id AND j.id = c.job_id
AND j.rerun_of IS NULL AND NOT f.is_crowded
"""


class _IdentityRow(NamedTuple):
    """An identity of a file, and the job of those that read it whose record came first."""

    file: int
    name: str
    identity: int
    size_bytes: int | None
    checksums: bytes
    campaign: str
    first_reader: int | None


class _Name(NamedTuple):
    """The identities of one file.

    Attributes:
        read_then: those that a job had read at the moment.
        read: those that any job has read until now.
    """

    name: str
    identities: list[IdentityFacts]
    read_then: set[int]
    read: set[int]


def known_at(connection: Connection, history: History, moment: datetime) -> History:
    """Return the part of the history that had been recorded at a moment.

    A file that no job had claimed by then was only known by name.
    """
    limit = moment_for(connection, moment)
    recorded_jobs = _recorded_jobs(connection, history, limit)
    file_of: dict[str, str] = {}
    claimed_later: set[str] = set()
    keys = sorted(row_numbers(_keys(history), "c"))
    for claim, file, received_at in select_among(connection, _CLAIMS, keys):
        file_of[key_of_claim(claim)] = key_of_file(file)
        if received_at > limit:
            claimed_later.add(key_of_claim(claim))
    unclaimed = _unclaimed(connection, history.start, limit)

    past = History(history.start, is_cut=history.is_cut, direction=history.direction)
    for (source, target), link in history.links.items():
        is_input = target in recorded_jobs and source not in claimed_later
        if not (is_input or source in recorded_jobs):
            continue
        if source in unclaimed:
            past.links[source, target] = link._replace(is_sure=True)
        else:
            past.links[source, target] = link
    past.links.update(_links_from_bare_names(history, past, claimed_later, file_of, recorded_jobs))
    past.sources.update(_sources_then(history, claimed_later, file_of))
    return past


def _links_from_bare_names(
    history: History,
    past: History,
    claimed_later: Collection[str],
    file_of: Mapping[str, str],
    recorded_jobs: Collection[str],
) -> dict[tuple[str, str], flow.Link]:
    """Return the links of files that had no claim yet: they led from the bare name.

    None where the job had another link from a version of that file.
    """
    resolved = {(file_of.get(source, source), target) for source, target in past.links}
    links: dict[tuple[str, str], flow.Link] = {}
    for (source, target), link in history.links.items():
        if source in claimed_later and target in recorded_jobs:
            bare_ends = (file_of[source], target)
            if bare_ends not in resolved:
                links[bare_ends] = link._replace(is_sure=True)
    return links


def _recorded_jobs(connection: Connection, history: History, limit: StoredMoment) -> set[str]:
    """Return the jobs of a history that had been recorded at a moment."""
    rows = select_among(connection, _RECEIVED, jobs_of(history))
    return {key_of_job(job) for job, received in rows if received <= limit}


def _sources_then(
    history: History, later: Collection[str], file_of: Mapping[str, str]
) -> dict[str, set[str]]:
    """Return what each claim was made from. Sources that were claimed later are bare names."""
    sources_then: dict[str, set[str]] = {}
    for claim, sources in history.sources.items():
        if claim not in later:
            sources_then[claim] = {file_of[key] if key in later else key for key in sources}
    return sources_then


def _unclaimed(connection: Connection, start: str, limit: StoredMoment) -> set[str]:
    """Return the start of a history if it is a bare name that no job had claimed.

    Without versions to be confused with, a job that read this name surely read this file.
    """
    files = row_numbers([start], "f")
    claimed = select_among(connection, _CLAIMED, files)
    if files and all(first > limit for _, first, _ in claimed):
        return {start}
    return set()


def changed_since(connection: Connection, history: History, moment: datetime) -> LineagePast:
    """Return which jobs and links of a history at a moment are shown as they are today."""
    limit = moment_for(connection, moment)
    keys = _keys(history)
    claims = select_among(connection, _CLAIMS, sorted(row_numbers(keys, "c")))
    files = sorted({file for _, file, _ in claims} | set(row_numbers(keys, "f")))
    known = set(jobs_of(history))
    last_records = select_among(connection, _LAST_RECORD, known)
    jobs = sorted(job for job, last in last_records if last > limit)
    names = _relinked(connection, files, known, limit)
    uuids = connection.execute(select(Job.uuid).where(Job.id.in_(jobs[:MOST_NAMED]))).scalars()
    return LineagePast(
        as_of=moment.astimezone(UTC).replace(microsecond=0),
        is_exact=not jobs and not names,
        changed_jobs=sorted(uuids),
        changed_count=len(jobs),
        relinked_files=sorted(names)[:MOST_NAMED],
        relinked_count=len(names),
    )


def _relinked(
    connection: Connection, files: Sequence[int], jobs: Collection[int], limit: StoredMoment
) -> set[str]:
    """Return the names of files whose links to these jobs may have changed since a moment."""
    names: set[str] = set()
    for name, first, last in select_among(connection, _CLAIMED, files):
        if first <= limit < last:  # another job claimed it since
            names.add(name)
    for name, job, first, last in select_among(connection, _CORRECTED, files):
        # A job that was corrected since may no longer be linked to the file, but was then
        if first <= limit < last and job not in jobs:
            names.add(name)
    for name, last in select_among(connection, _SIGHTED, files):
        if last > limit:  # a catalog saw it since
            names.add(name)
    return names | _relinked_by_readers(connection, files, limit)


def was_named(connection: Connection, file: int, moment: datetime) -> bool:
    """Return whether anything that was recorded until a moment names a file.

    That is a job that read it, claimed it or made another file from it, or a catalog that saw it.
    """
    seen = select(Identity.id).where(Identity.file_id == file)
    consumed = (
        select(Job.id).join(Mention, Mention.job_id == Job.id).where(Mention.identity_id.in_(seen))
    )
    claimed = select(Job.id).join(Claim, Claim.job_id == Job.id).where(Claim.file_id == file)
    made = (
        select(Job.id).join(Claim, Claim.job_id == Job.id).join(Parent, Parent.claim_id == Claim.id)
    )
    made = made.where(Parent.identity_id.in_(seen))
    sighted = (
        select(LedgerEntry.id)
        .join(Sighting, Sighting.entry_id == LedgerEntry.id)
        .where(Sighting.file_id == file)
    )
    queries = (
        *(query.where(Job.received_at <= moment) for query in (consumed, claimed, made)),
        sighted.where(LedgerEntry.received_at <= moment),
    )
    return any(connection.execute(query.limit(1)).first() is not None for query in queries)


def _relinked_by_readers(
    connection: Connection, files: Sequence[int], limit: StoredMoment
) -> set[str]:
    """Return the names of files whose makers changed because jobs read them since a moment.

    Args:
        limit: the moment, in the form in which the database driver returns times.
    """
    claims: defaultdict[int, list[ClaimFacts]] = defaultdict(list)
    for file, claim, identity, state, received, campaign in select_among(
        connection, _CLAIMS_OF_FILES, files
    ):
        if received <= limit:
            claims[file].append(ClaimFacts(claim, identity, state == SUCCEEDED, campaign))
    rows = [_IdentityRow(*row) for row in select_among(connection, _IDENTITIES, sorted(claims))]
    readers = {row.first_reader for row in rows if row.first_reader is not None}
    received_at: dict[int, Any] = dict(select_among(connection, _RECEIVED, sorted(readers)))
    known: dict[int, _Name] = {}
    for row in rows:
        facts = known.setdefault(row.file, _Name(row.name, [], set(), set()))
        checksums = unpack_checksums(row.checksums)
        facts.identities.append(
            IdentityFacts(row.identity, row.size_bytes, checksums, row.campaign)
        )
        if row.first_reader is not None:
            facts.read.add(row.identity)
            if received_at[row.first_reader] <= limit:
                facts.read_then.add(row.identity)
    mark_readers(connection, claims, {file: facts.identities for file, facts in known.items()})
    return {facts.name for file, facts in known.items() if _is_relinked(facts, claims[file])}


def _is_relinked(facts: _Name, claims: Sequence[ClaimFacts]) -> bool:
    """Whether a name had other edges, or other versions counted, before the last readers."""
    if facts.read == facts.read_then:
        return False
    claimed = {claim.identity_id for claim in claims}
    read_since = facts.read - facts.read_then
    then = []
    for identity in facts.identities:
        if identity.id not in read_since or identity.id in claimed:
            then.append(identity)
    before, now = resolve_name(then, claims), resolve_name(facts.identities, claims)
    # Edges of identities that are new since are no change: the history of then has none of these
    known_then = {identity.id for identity in then}
    if before != {link for link in now if link.identity_id in known_then}:
        return True
    return _versions(before, facts.read_then, claims) != _versions(now, facts.read, claims)


def _versions(
    links: Collection[ClaimLink], read: Collection[int], claims: Sequence[ClaimFacts]
) -> set[int]:
    """Return the claims of failed jobs that count as versions, because a job surely read them."""
    failed = {claim.id for claim in claims if not claim.has_succeeded}
    surely_read = {link.claim_id for link in links if link.is_sure and link.identity_id in read}
    return failed & surely_read


def _keys(history: History) -> set[str]:
    keys = {history.start}
    for ends in history.links:
        keys.update(ends)
    return keys
