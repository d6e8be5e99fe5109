"""Grades and gaps of jobs, brought up to date when what they lacked has come.

That is a blob, or the commit of their code.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from sqlalchemy import Connection, select, update

from jobprov.archive.store import Store
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.reruns.capsules import jobs_served
from jobprov.provenance.db.recording.writing import gap_document, intern_experiments, table_of
from jobprov.provenance.db.tables import (
    AwaitedBlob,
    Closure,
    ClosureSetMember,
    Experiment,
    GapSet,
    Job,
    SoftwareRow,
    SoftwareSetMember,
)
from jobprov.provenance.db.turns import begin_deriving, wait_for_derivations
from jobprov.provenance.records.job_record import FAILED
from jobprov.provenance.services.ledger.entry_bytes import find_holders
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_taken, read_together
from jobprov.provenance.services.recording.derivation import Grading, grade, write_awaited
from jobprov.provenance.services.recording.findings import find_for, pending_of
from jobprov.provenance.services.work.classifications import enqueue_failures
from jobprov.provenance.services.work.evaluations import enqueue_evaluations
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writing

_AT_ONCE = 200
"""Jobs a transaction: some 0.1 s, so that no record waits longer behind it."""


def refresh(parts: Parts, key: str) -> None:
    """Bring grade and gaps of the jobs that `key` names up to date, some hundreds a transaction."""
    kind, _, name = key.partition(":")
    wait_for_derivations(parts.database)
    with parts.database.reading.connect() as connection:
        jobs = _FINDERS[kind](connection, parts.store, name)
    for part in chunks(jobs, _AT_ONCE):
        parts.writer.run(partial(refresh_jobs, jobs=list(part)))


def refresh_jobs(writing: Writing, jobs: Sequence[int]) -> None:
    """Compute grade and gaps of these jobs anew, and write what changed."""
    connection = writing.connection
    begin_deriving(connection)
    held_jobs: dict[int, HeldJob] = {}
    for key, received_at in connection.execute(
        select(Job.id, Job.received_at).where(Job.id.in_(jobs))
    ):
        held_jobs[key] = HeldJob(key, received_at, {}, {})
    fill_taken(connection, writing.store, held_jobs)
    readings = [read_together(held_job.records_but(None)) for held_job in held_jobs.values()]
    findings = find_for(connection, writing.memory, readings)
    gradings: dict[int, Grading] = {}
    awaited: dict[int, AbstractSet[str]] = {}
    failed: list[int] = []
    for key, reading, job_findings in zip(held_jobs, readings, findings, strict=True):
        gradings[key] = grade(reading, job_findings)
        awaited[key] = job_findings.awaited
        if reading.record.state in FAILED:
            failed.append(key)
    _write_gradings(writing, gradings)
    write_awaited(connection, awaited, replace=list(held_jobs))
    if failed:
        enqueue_failures(connection, failed)  # what came may be a log
    pending = pending_of(readings, findings)
    experiments = intern_experiments(writing, {experiment for experiment, _ in pending})
    enqueue_evaluations(connection, experiments, pending)


def _write_gradings(writing: Writing, gradings: Mapping[int, Grading]) -> None:
    """Write level and gaps of jobs, by their keys."""
    documents = {key: gap_document(grading.gaps) for key, grading in gradings.items()}
    rows = {
        sha256: {"sha256": sha256, "document": document} for sha256, document in documents.values()
    }
    gap_sets = writing.intern(table_of(GapSet), ["sha256"], rows)
    for key, grading in gradings.items():
        sha256, _ = documents[key]
        columns = {"level": grading.level, "gap_set_id": gap_sets[sha256]}
        writing.connection.execute(update(Job).where(Job.id == key).values(columns))


def _jobs_awaiting(connection: Connection, _store: Store, sha256: str) -> list[int]:
    query = (
        select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == sha256).order_by(AwaitedBlob.job_id)
    )
    return [row[0] for row in connection.execute(query)]


def _jobs_using(connection: Connection, _store: Store, software_sha256: str) -> list[int]:
    sets = (
        select(SoftwareSetMember.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .where(SoftwareRow.sha256 == software_sha256)
    )
    query = select(Job.id).where(Job.software_set_id.in_(sets)).order_by(Job.id)
    return [row[0] for row in connection.execute(query)]


def _jobs_configured(connection: Connection, _store: Store, key: str) -> list[int]:
    return jobs_configured(connection, key)


def jobs_configured(connection: Connection, key: str) -> list[int]:
    """Return the jobs of an experiment that ran a configuration.

    The key of the configuration's evaluation names both.
    """
    experiment, _, sha256 = key.partition(":")
    sets = (
        select(ClosureSetMember.closure_set_id)
        .join(Closure, Closure.id == ClosureSetMember.closure_id)
        .where(Closure.sha256 == sha256)
    )
    query = (
        select(Job.id)
        .where(Job.closure_set_id.in_(sets), Job.experiment_id == int(experiment))
        .order_by(Job.id)
    )
    return [row[0] for row in connection.execute(query)]


def _jobs_naming(connection: Connection, store: Store, key: str) -> list[int]:
    """Return the jobs whose records name a blob; reads the whole ledger of the experiment."""
    sha256, _, experiment = key.partition(":")
    named = [
        job.job_id for job in find_holders(connection, store, experiment, [sha256.encode()]).jobs
    ]
    query = (
        select(Job.id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Experiment.name == experiment)
    )
    jobs: list[int] = []
    for part in chunks(named):
        jobs.extend(row.id for row in connection.execute(query.where(Job.uuid.in_(part))))
    return sorted(jobs)


def _jobs_served(connection: Connection, _store: Store, entry: str) -> list[int]:
    return jobs_served(connection, int(entry))


_FINDERS = {
    "blob": _jobs_awaiting,
    "software": _jobs_using,
    "configuration": _jobs_configured,
    "named": _jobs_naming,
    "capsule": _jobs_served,
}
