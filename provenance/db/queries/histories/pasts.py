"""The history around a file as it had been recorded at a moment.

What of it is shown as it is today is found out here as well.

Jobs and files carry no versions of themselves in the database: a correction or another witness's
record changes their rows, and only the ledger has the earlier state. Here is found out which jobs
and links changed since, so that a reader knows where the view of the past is exact.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.histories.relinking import relinked_by_readers
from jobprov.provenance.db.queries.histories.whole_histories import History, jobs_of
from jobprov.provenance.db.selecting import moment_for, select_among
from jobprov.provenance.db.tables import (
    Claim,
    Identity,
    Job,
    LedgerEntry,
    Mention,
    Parent,
    Sighting,
)
from jobprov.provenance.lineage.graph import Past

MOST_NAMED = 100
"""Changed jobs and files that are named; more are counted."""
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


def known_at(connection: Connection, history: History, moment: datetime) -> History:
    """Return the history as far as it had been recorded at a moment.

    A file that nobody had claimed by then is one that is only mentioned.
    """
    limit = moment_for(connection, moment)
    recorded_jobs = _recorded_jobs(connection, history, limit)
    claims = select_among(connection, _CLAIMS, _numbers(_keys(history), "c"))
    file_of = {f"c{claim}": f"f{file}" for claim, file, _ in claims}
    later = {f"c{claim}" for claim, _, received in claims if received > limit}
    unclaimed = _unclaimed(connection, history.start, limit)
    past = History(history.start, is_cut=history.is_cut, direction=history.direction)
    for ends, link in history.links.items():
        source, target = ends
        if source in recorded_jobs or (target in recorded_jobs and source not in later):
            past.links[ends] = link._replace(is_sure=True) if source in unclaimed else link
    resolved = {(file_of.get(source, source), target) for source, target in past.links}
    for (source, target), link in history.links.items():
        if source not in later or target not in recorded_jobs:
            continue
        # the file had no claim yet, so the job read the name alone
        if (file_of[source], target) not in resolved:
            past.links[file_of[source], target] = link._replace(is_sure=True)
    past.sources.update(_sources_then(history, later, file_of))
    return past


def _recorded_jobs(connection: Connection, history: History, limit: Any) -> set[str]:
    """Return the jobs of a history that had been recorded at a moment."""
    rows = select_among(connection, _RECEIVED, jobs_of(history))
    return {f"j{job}" for job, received in rows if received <= limit}


def _sources_then(
    history: History, later: Collection[str], file_of: Mapping[str, str]
) -> dict[str, set[str]]:
    """Return what each claim was made from; sources that were claimed later by their file."""
    sources_then: dict[str, set[str]] = {}
    for claim, sources in history.sources.items():
        if claim not in later:
            sources_then[claim] = {file_of[key] if key in later else key for key in sources}
    return sources_then


def _unclaimed(connection: Connection, start: str, limit: Any) -> set[str]:
    """Return the start of a history where nobody had claimed it, else nothing.

    Whoever read such a file surely read this one.
    """
    claimed = select_among(connection, _CLAIMED, _numbers([start], "f"))
    return {start} if start[0] == "f" and all(first > limit for _, first, _ in claimed) else set()


def changed_since(connection: Connection, history: History, moment: datetime) -> Past:
    """Return which jobs and links of a history at a moment are shown as they are today."""
    limit = moment_for(connection, moment)
    keys = _keys(history)
    claims = select_among(connection, _CLAIMS, _numbers(keys, "c"))
    files = sorted({file for _, file, _ in claims} | set(_numbers(keys, "f")))
    known = set(jobs_of(history))
    jobs = sorted(
        job for job, last in select_among(connection, _LAST_RECORD, known) if last > limit
    )
    names = {
        name
        for name, first, last in select_among(connection, _CLAIMED, files)
        if first <= limit < last
    }
    # by jobs that are linked no more as well, since they say otherwise now
    corrected = select_among(connection, _CORRECTED, files)
    names |= {
        name for name, job, first, last in corrected if first <= limit < last and job not in known
    }
    names |= {name for name, last in select_among(connection, _SIGHTED, files) if last > limit}
    names |= relinked_by_readers(connection, files, limit)
    uuids = connection.execute(select(Job.uuid).where(Job.id.in_(jobs[:MOST_NAMED]))).scalars()
    return Past(
        moment, tuple(sorted(uuids)), len(jobs), tuple(sorted(names)[:MOST_NAMED]), len(names)
    )


def was_named(connection: Connection, file: int, moment: datetime) -> bool:
    """Return whether anything recorded until a moment mentions a file.

    That is a job that read it, claimed it or made another from it, or a catalog that saw it.
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


def _keys(history: History) -> set[str]:
    return {history.start, *(key for ends in history.links for key in ends)}


def _numbers(keys: Iterable[str], kind: str) -> list[int]:
    """Return the row numbers of the keys of one kind: `f12` is file 12, `j` a job, `c` a claim."""
    return sorted(int(key[1:]) for key in keys if key[0] == kind)
