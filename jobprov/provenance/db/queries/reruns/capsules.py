"""Environment capsules, and which jobs each of them serves.

A capsule serves the jobs of its experiment with one software list, in a stage of one name.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from jobprov.provenance.answers.reruns.capsules import RegisteredCapsule
from jobprov.provenance.db.recording.software_rows import software_set_digest
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import (
    CapsuleRow,
    CapsuleUse,
    Experiment,
    Job,
    LedgerEntry,
    SoftwareSet,
    Stage,
)
from jobprov.provenance.records.job_record import JobRecord

_SERVED = """
SELECT e.name, u.software_set_sha256, u.stage
FROM experiments e JOIN capsules c ON c.experiment_id = e.id
JOIN capsule_uses u ON u.entry_id = c.entry_id
WHERE e.name {among}
"""


class Use(NamedTuple):
    """What a capsule serves: jobs with a list of software, by its digest, and a stage, or ''."""

    software_set: str
    stage: str


class HeldCapsule(NamedTuple):
    """A registered capsule; `entry` is that of its registration."""

    entry: int
    name: str
    kind: str
    sha256: str
    size_bytes: int


def use_of(record: JobRecord) -> Use | None:
    """Return the key by which a capsule of a job is found; None if it names no software."""
    if not record.software:
        return None
    stage = record.task.stage if record.task else None
    return Use(software_set_digest(record.software), stage or "")


def capsules_of(
    connection: Connection, experiments: Iterable[str]
) -> dict[tuple[str, Use], HeldCapsule]:
    """Return the newest capsule by experiment and what it serves."""
    query = (
        select(
            Experiment.name,
            CapsuleUse.software_set_sha256,
            CapsuleUse.stage,
            CapsuleRow.entry_id,
            CapsuleRow.name,
            CapsuleRow.kind,
            CapsuleRow.sha256,
            CapsuleRow.size_bytes,
        )
        .join(CapsuleRow, CapsuleRow.experiment_id == Experiment.id)
        .join(CapsuleUse, CapsuleUse.entry_id == CapsuleRow.entry_id)
        .where(Experiment.name.in_(sorted(experiments)))
        .order_by(CapsuleRow.entry_id)
    )
    # In the order of registration: the newest of several for one use is the one that stays
    capsules = {}
    for experiment, software_set, stage, *held in connection.execute(query):
        capsules[experiment, Use(software_set, stage)] = HeldCapsule._make(held)
    return capsules


def registered_capsules(connection: Connection) -> list[RegisteredCapsule]:
    """Return all registrations, newest first."""
    stages: dict[int, set[str]] = {}
    for entry, stage in connection.execute(select(CapsuleUse.entry_id, CapsuleUse.stage)):
        stages.setdefault(entry, set()).add(stage)
    query = (
        select(
            Experiment.name.label("experiment"),
            CapsuleRow.name,
            CapsuleRow.kind,
            CapsuleRow.sha256,
            CapsuleRow.size_bytes,
            CapsuleRow.entry_id,
            LedgerEntry.received_at,
        )
        .join(Experiment, Experiment.id == CapsuleRow.experiment_id)
        .join(LedgerEntry, LedgerEntry.id == CapsuleRow.entry_id)
        .order_by(CapsuleRow.entry_id.desc())
    )
    capsules = []
    for row in connection.execute(query):
        capsule = RegisteredCapsule(
            experiment=row.experiment,
            name=row.name,
            kind=row.kind,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            stages=sorted(stages[row.entry_id]),
            registered_at=row.received_at.isoformat(),
        )
        capsules.append(capsule)
    return capsules


def capsule_digests(connection: Connection) -> set[str]:
    """Return the digests of all registered capsules."""
    return {row[0] for row in connection.execute(select(CapsuleRow.sha256))}


def uses_served(connection: Connection, experiments: Iterable[str]) -> set[tuple[str, Use]]:
    """Return (experiment, use) of what has a capsule.

    This is asked with every record, so the statement is constant.
    """
    rows = select_among(connection, _SERVED, experiments)
    return {(experiment, Use(bytes(sha256).hex(), stage)) for experiment, sha256, stage in rows}


def jobs_served(connection: Connection, entry: int) -> list[int]:
    """Return the keys of the jobs that a registration serves."""
    query = (
        select(Job.id)
        .join(CapsuleRow, CapsuleRow.experiment_id == Job.experiment_id)
        .join(CapsuleUse, CapsuleUse.entry_id == CapsuleRow.entry_id)
        .join(
            SoftwareSet,
            and_(
                SoftwareSet.id == Job.software_set_id,
                SoftwareSet.sha256 == CapsuleUse.software_set_sha256,
            ),
        )
        .outerjoin(Stage, Stage.id == Job.stage_id)
        .where(CapsuleRow.entry_id == entry, func.coalesce(Stage.name, "") == CapsuleUse.stage)
        .order_by(Job.id)
    )
    return [row[0] for row in connection.execute(query)]
