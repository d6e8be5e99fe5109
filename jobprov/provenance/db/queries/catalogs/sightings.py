"""Which job a file belongs to that a catalog or transfer service saw."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.tables import Claim, File, Job, Producer, Sighting


class ProducingJob(NamedTuple):
    """A job that can have made an identity of a file.

    Attributes:
        birth: the claim of which the job's claim is a new name; None if it is the first name.
    """

    job_id: str
    is_sure: bool
    birth: int | None


def seen_before(connection: Connection, seen: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """Return which of these documents about these files were seen before, exactly so."""
    files = sorted({file for file, _ in seen})
    query = select(Sighting.file_id, Sighting.document)
    before = rows_among(connection, query, Sighting.file_id, files)
    return {(file, document) for file, document in before} & set(seen)


def producing_jobs(connection: Connection, identity: int) -> list[ProducingJob]:
    """Return the jobs that can have made an identity, sure ones first."""
    query = (
        select(Job.uuid, Producer.is_sure, Claim.alias_of)
        .select_from(Producer)
        .join(Claim, Claim.id == Producer.claim_id)
        .join(Job, Job.id == Claim.job_id)
        .where(Producer.identity_id == identity)
        .order_by(Producer.is_sure.desc(), Claim.id)
    )
    return [ProducingJob(*row) for row in connection.execute(query)]


def namespaces_of_births(
    connection: Connection, task: int, names: Collection[str]
) -> dict[str, set[str]]:
    """Return the namespaces of outputs of these names that jobs of a task recorded; "" for none."""
    query = (
        select(File.name, File.namespace)
        .join(Claim, Claim.file_id == File.id)
        .join(Job, Job.id == Claim.job_id)
        .where(
            File.name.in_(names),
            Job.task_id == task,
            Claim.alias_of.is_(None),
        )
        .distinct()
    )
    namespaces: dict[str, set[str]] = {}
    for name, namespace in connection.execute(query):
        namespaces.setdefault(name, set()).add(namespace)
    return namespaces


def names_of_claims(connection: Connection, claims: Collection[int], *, but: int) -> list[str]:
    """Return the names of the files that these claims are of, but not of one file, in order."""
    query = (
        select(File.name)
        .join(Claim, Claim.file_id == File.id)
        .where(Claim.id.in_(claims), File.id != but)
        .distinct()
    )
    return sorted(row.name for row in connection.execute(query))
