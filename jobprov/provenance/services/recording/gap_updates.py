"""Grades and gaps of jobs, brought up to date when what they lacked has come.

That is a blob, or the commit of their code.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.changes.recording import JobGrade, write_awaited, write_grades
from jobprov.provenance.db.changes.reruns import note_due_proofs
from jobprov.provenance.db.queries.code.software import entries_of_jobs
from jobprov.provenance.db.queries.holdings.awaited import jobs_awaiting
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.db.queries.recording import jobs as queries
from jobprov.provenance.db.queries.recording.findings import closures_of_jobs, jobs_waiting
from jobprov.provenance.db.queries.reruns.capsules import jobs_served
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.turns import begin_deriving, wait_for_derivations
from jobprov.provenance.records.job_record import FAILED
from jobprov.provenance.services.code.repositories import enqueue_carried
from jobprov.provenance.services.ledger.entry_bytes import find_holders
from jobprov.provenance.services.ledger.witnessed_jobs import WitnessedJob, fill_taken
from jobprov.provenance.services.recording.derivation import ask_for_evaluations, grade
from jobprov.provenance.services.recording.findings import find_for
from jobprov.provenance.services.work.classifications import enqueue_failures
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writing

_AT_ONCE = 200
"""Jobs a transaction: some 0.1 s, so that no record waits longer behind it."""


def refresh(parts: Parts, key: str) -> None:
    """Bring grade and gaps of the jobs that `key` names up to date, some hundreds a transaction."""
    kind, _, name = key.partition(":")
    # A job that another process records now may not have seen what came, and is not found yet
    wait_for_derivations(parts.database)
    with parts.database.reading.connect() as connection:
        jobs = _jobs_concerned(connection, parts.store, kind, name)
        software = entries_of_jobs(connection, jobs) if kind == "blob" else {}
    # Whatever blob came: the notice of another one may find the job no longer waiting
    if software:
        parts.writer.run(lambda writing: enqueue_carried(writing.connection, software))
    for part in chunks(jobs, _AT_ONCE):
        parts.writer.run(partial(refresh_jobs, jobs=list(part)))


def refresh_jobs(writing: Writing, jobs: Sequence[int]) -> None:
    """Compute grade and gaps of these jobs anew, and write what changed."""
    connection = writing.connection
    begin_deriving(connection)
    known_jobs: dict[int, WitnessedJob] = {}
    for key, received_at in queries.arrivals_of(connection, jobs):
        known_jobs[key] = WitnessedJob(key=key, received_at=received_at)
    fill_taken(connection, writing.store, known_jobs)
    readings = [job.reading() for job in known_jobs.values()]
    closures = list(closures_of_jobs(connection, list(known_jobs)).values())
    arrivals = [job.received_at for job in known_jobs.values()]
    findings = find_for(connection, writing.memory, readings, closures, arrivals)
    grades: dict[int, JobGrade] = {}
    awaited: dict[int, AbstractSet[str]] = {}
    failed: list[int] = []
    for key, reading, job_findings in zip(known_jobs, readings, findings, strict=True):
        grading = grade(reading, job_findings)
        grades[key] = JobGrade(grading.level, grading.gaps)
        awaited[key] = job_findings.awaited
        if reading.record.state in FAILED:
            failed.append(key)
    write_grades(writing, grades)
    note_due_proofs(connection, jobs=jobs)
    write_awaited(connection, awaited, replace=list(known_jobs))
    if failed:
        enqueue_failures(connection, failed)  # what came may be a log
    ask_for_evaluations(writing, readings, findings)


def jobs_configured(connection: Connection, key: str) -> list[int]:
    """Return the jobs of an experiment that ran a configuration.

    The key of the configuration's evaluation names both.
    """
    experiment, _, sha256 = key.partition(":")
    return queries.jobs_configured(connection, int(experiment), sha256)


def _jobs_concerned(connection: Connection, store: Store, kind: str, name: str) -> list[int]:
    """Return the jobs that a notice concerns; `services/work/notices.py` writes the notices."""
    match kind:
        case "blob":
            return jobs_awaiting(connection, name)
        case "software":
            return queries.jobs_using(connection, name)
        case "configuration":
            return jobs_configured(connection, name)
        case "named":
            return _jobs_naming(connection, store, name)
        case "capsule":
            return jobs_served(connection, int(name))
        case "trace":
            key, _, experiment = name.partition(":")
            return jobs_waiting(connection, (experiment, key))
    raise KeyError(kind)


def _jobs_naming(connection: Connection, store: Store, key: str) -> list[int]:
    """Return the jobs whose records name a blob, and all running ones, whose are not in the ledger.

    The whole ledger of the experiment is read.
    """
    sha256, _, experiment = key.partition(":")
    holders = find_holders(connection, store, experiment, [sha256.encode()])
    whose = experiment_key(connection, experiment)
    if whose is None:
        return []
    called = queries.jobs_called(connection, whose, [job.job_id for job in holders.jobs])
    return sorted(called | queries.running_jobs(connection, whose))
