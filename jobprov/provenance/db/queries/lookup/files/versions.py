"""Versions of files: their claims, numbered so that everybody counts alike.

They are ordered by (ended_at, job_id, position among the outputs). A claim of a job that did not
succeed is a version only where another job surely read it; claims of reruns are no versions. Of a
crowded name only the last thousand that were recorded count: a name that every job writes has as
many versions as there are jobs.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, case, func, select
from sqlalchemy.orm import aliased

from jobprov.provenance.db.queries.fragments.versions import LAST_FIRST, is_version
from jobprov.provenance.db.recording.job_rows import STATES, SUCCEEDED
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import Claim, File, Identity, Job
from jobprov.provenance.db.tables.base import EPOCH

MOST_VERSIONS = 1000


_late, _late_job = aliased(Claim), aliased(Job)
_FIRST_OF_CROWD = (
    select(_late.id)
    .join(_late_job, _late_job.id == _late.job_id)
    .where(_late.file_id == File.id, _late_job.rerun_of.is_(None), _late_job.state == SUCCEEDED)
    .order_by(_late.id.desc())
    .offset(MOST_VERSIONS - 1)
    .limit(1)
    .correlate(File)
    .scalar_subquery()
)
# Else PostgreSQL looks for the first of a crowd at each of its claims
_looked_at = (
    select(
        File.id.label("file_id"),
        case((File.is_crowded, func.coalesce(_FIRST_OF_CROWD, 0)), else_=0).label("first"),
    )
    .where(File.id.in_(bindparam("files", expanding=True)))
    .cte("looked_at")
    .prefix_with("MATERIALIZED")
)
_CLAIMS = (
    select(
        Claim.file_id, Claim.id.label("claim_id"), Claim.job_id, Job.uuid, Job.state, Job.ended_at,
        Identity.size_bytes, Identity.checksums, Claim.status, Claim.data_tier, Claim.event_count,
        Claim.alias_of, Claim.position,
    )
    .select_from(_looked_at)
    .join(Claim, and_(Claim.file_id == _looked_at.c.file_id, Claim.id >= _looked_at.c.first))
    .join(Job, Job.id == Claim.job_id)
    .join(Identity, Identity.id == Claim.identity_id)
    .where(Job.rerun_of.is_(None), is_version(Job.state))
)  # fmt: skip


_ranked = (
    select(
        Claim.file_id,
        Claim.job_id,
        func.row_number().over(partition_by=Claim.file_id, order_by=LAST_FIRST).label("place"),
    )
    .join(Job, Job.id == Claim.job_id)
    .where(
        Claim.file_id.in_(bindparam("files", expanding=True)),
        Job.rerun_of.is_(None),
        Job.state != SUCCEEDED,
    )
    .subquery()
)
_TRIES = select(_ranked.c.file_id, _ranked.c.job_id).where(_ranked.c.place == 1)

_SECOND = (
    select(Claim.id)
    .where(Claim.file_id == File.id)
    .offset(1)
    .limit(1)
    .correlate(File)
    .scalar_subquery()
)
_CLAIMED_AGAIN = select(File.id).where(
    File.id.in_(bindparam("files", expanding=True)), _SECOND.is_not(None)
)


class Version(NamedTuple):
    """One version of a file.

    Attributes:
        number: from 1, oldest first.
    """

    number: int
    claim_id: int
    job_id: int
    job_uuid: str
    state: str
    ended_at: datetime | None
    size_bytes: int | None
    checksums: tuple[str, ...]
    status: str | None
    data_tier: str | None
    event_count: int | None
    alias_of: int | None


def versions_of(connection: Connection, files: Sequence[int]) -> dict[int, list[Version]]:
    """Return the versions of each file, oldest first, of a crowded name the last thousand.

    Files without one are left out.
    """
    claims: dict[int, list[Any]] = {}
    for row in run(connection, _CLAIMS, {"files": files}):
        claims.setdefault(row.file_id, []).append(row)
    return {file: _numbered(rows) for file, rows in claims.items()}


def numbers_that_tell_apart(connection: Connection, files: Collection[int]) -> dict[int, int]:
    """Return the number of each version by its claim, of those files that have several."""
    # Nearly all files were claimed once: a seek in an index tells that
    several = [file for (file,) in run(connection, _CLAIMED_AGAIN, {"files": sorted(files)})]
    numbers: dict[int, int] = {}
    if not several:
        return numbers
    for versions in versions_of(connection, several).values():
        if len(versions) > 1:
            for version in versions:
                numbers[version.claim_id] = version.number
    return numbers


def last_tries(connection: Connection, files: Sequence[int]) -> dict[int, int]:
    """Return the job that last wrote each file without success, by file; reruns claim nothing."""
    return dict(run(connection, _TRIES, {"files": files}))


def _numbered(rows: Iterable[Any]) -> list[Version]:
    """Return the versions of a file, of the rows of its claims."""
    ordered = sorted(rows, key=lambda row: (row.ended_at or EPOCH, row.uuid, row.position))
    versions = []
    for number, row in enumerate(ordered, 1):
        versions.append(
            Version(
                number=number,
                claim_id=row.claim_id,
                job_id=row.job_id,
                job_uuid=row.uuid,
                state=STATES[row.state],
                ended_at=row.ended_at,
                size_bytes=row.size_bytes,
                checksums=tuple(row.checksums.split()),
                status=row.status,
                data_tier=row.data_tier,
                event_count=row.event_count,
                alias_of=row.alias_of,
            )
        )
    return versions
