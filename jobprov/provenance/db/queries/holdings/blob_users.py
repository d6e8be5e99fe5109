"""The jobs that use a blob, a bundle plan or a sealed segment that a check found damaged."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.reruns.capsules import jobs_served
from jobprov.provenance.db.tables import (
    BundlePlan,
    CapsuleRow,
    EntryBody,
    Experiment,
    Job,
    LedgerEntry,
    Resolution,
    SoftwareRow,
    SoftwareSetMember,
)


class JobName(NamedTuple):
    """A job as people name it."""

    experiment: str
    job_id: str


def _jobs() -> Any:
    return select(Experiment.name, Job.uuid).join(Job, Job.experiment_id == Experiment.id)


def _named(connection: Connection, query: Any) -> list[JobName]:
    return sorted({JobName(row[0], row[1]) for row in connection.execute(query)})


def jobs_of_packs(connection: Connection, sha256: str) -> list[JobName]:
    """Return the jobs whose code is in this pack."""
    query = (
        _jobs()
        .join(SoftwareSetMember, SoftwareSetMember.software_set_id == Job.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .join(Resolution, Resolution.id == SoftwareRow.resolution_id)
        .where(Resolution.pack_sha256 == sha256)
    )
    return _named(connection, query)


def jobs_of_plans(connection: Connection, plan_sha256: str) -> list[JobName]:
    """Return the jobs whose bundle this plan is."""
    query = (
        _jobs()
        .join(BundlePlan, BundlePlan.job_id == Job.id)
        .where(BundlePlan.plan_sha256 == plan_sha256)
    )
    return _named(connection, query)


def jobs_of_capsules(connection: Connection, sha256: str) -> list[JobName]:
    """Return the jobs whose environment is in this capsule."""
    query = select(CapsuleRow.entry_id).where(CapsuleRow.sha256 == sha256)
    registrations = [entry for (entry,) in connection.execute(query)]
    served: set[int] = set()
    for registration in registrations:
        served.update(jobs_served(connection, registration))
    jobs = rows_among(connection, _jobs(), Job.id, sorted(served))
    return sorted({JobName(*job) for job in jobs})


def jobs_of_segment(connection: Connection, experiment: str, segment: int) -> list[JobName]:
    """Return the jobs with records sealed in this segment."""
    return _jobs_sealed(connection, experiment, LedgerEntry.segment == segment)


def jobs_from_segment_on(connection: Connection, experiment: str, segment: int) -> list[JobName]:
    """Return the jobs with records sealed in this segment or a later one.

    After a break in the chain, later segments cannot be verified either.
    """
    return _jobs_sealed(connection, experiment, LedgerEntry.segment >= segment)


def _jobs_sealed(
    connection: Connection, experiment: str, where: ColumnElement[bool]
) -> list[JobName]:
    query = (
        _jobs()
        .join(
            LedgerEntry,
            (LedgerEntry.job_id == Job.id) & (LedgerEntry.experiment_id == Experiment.id),
        )
        .where(Experiment.name == experiment, where)
    )
    return _named(connection, query)


class UnsealedBody(NamedTuple):
    """The packed bytes of an entry that waits to be sealed, with its experiment and kind."""

    experiment: str
    kind: str
    packed: bytes


def unsealed_bodies(connection: Connection) -> Iterator[UnsealedBody]:
    """Yield the bytes of the entries that wait to be sealed.

    Entries whose bytes were erased are left out.
    """
    query = (
        select(Experiment.name, LedgerEntry.kind, EntryBody.body)
        .join(LedgerEntry, LedgerEntry.experiment_id == Experiment.id)
        .join(EntryBody, EntryBody.entry_id == LedgerEntry.id)
        .where(LedgerEntry.segment.is_(None))
    )
    # In parts: all the bodies that wait may take gigabytes
    for experiment, kind, body in connection.execution_options(yield_per=500).execute(query):
        yield UnsealedBody(experiment, kind, bytes(body))
