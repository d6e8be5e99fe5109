"""What the failures of jobs were: a class, plain words, advice, and whether trying again may help.

Each failure is read once in the background, from its record and the ends of its logs, by the rules
in force; `classes_of` answers for those that were not read yet from what the list of jobs knows.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store

# The answer, and below what the rules of triage are given: both are called Failure at home
from jobprov.provenance.answers.lookup.jobs import Failure as ClassifiedFailure
from jobprov.provenance.db.changes.failures import NewClass, replace_classes
from jobprov.provenance.db.changes.work import remove_items_of
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.failures.classes import FailedJobRow, failed_jobs
from jobprov.provenance.db.queries.failures.rules import failures_of
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.records.job_record import JobRecord, Log, Step
from jobprov.provenance.services.failures.rules import RuleHistory, RuleVersion
from jobprov.provenance.services.ledger.witnessed_jobs import read_records
from jobprov.provenance.services.work.classifications import CLASSIFY
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import writing_alone
from jobprov.provenance.triage.causes import Cause, name_cause
from jobprov.provenance.triage.rules import Failure as FailureFacts
from jobprov.provenance.triage.rules import LogEnd, Match, find_cause, find_rule, log_end

UNKNOWN = "unknown"
MEMORY = "memory"
"""The class of failures for want of memory: another try gets more of it, and no other does."""
END_BYTES = 64 * 1024
_MOST_LOGS = 8
_AT_ONCE = 200
_MISSING_INPUT = ("built-in.missing-input", "built-in.missing-input-checked")
"""Rules of tries that were never begun, because an input was not there."""
_ART = frozenset({"art", "lar", "mu2e", "nova", "gm2", "uboone"})


def lacked_input(job_class: ClassifiedFailure) -> bool:
    """Return whether a job did nothing, because an input was not there."""
    return job_class.rule in _MISSING_INPUT


def classes_of(connection: Connection, jobs: Iterable[int]) -> dict[int, ClassifiedFailure]:
    """Return what the failures of these jobs were, by integer key.

    Jobs that did not fail are left out. A few statements in all.
    """
    failed = failed_jobs(connection, sorted(set(jobs)))
    history = RuleHistory(connection, (job.experiment_id for job in failed))
    classes: dict[int, ClassifiedFailure] = {}
    for job in failed:
        if job.read_class is not None:
            rules = history.version(job.experiment_id, job.read_class.version)
            classes[job.key] = _in_words(job.read_class, rules)
        else:
            rules = history.in_force(job.experiment_id, job.task_id, job.received_at)
            classes[job.key] = _class(find_rule(rules.rules(), _facts_of(job)), rules)
    return classes


def _in_words(job_class: ClassifiedFailure, rules: RuleVersion) -> ClassifiedFailure:
    """Return what a failure was, with words and advice of the rule that fitted then."""
    for rule in rules.rules():
        if rule.name == job_class.rule:
            return replace(job_class, words=rule.words, advice=rule.advice)
    return job_class


def _facts_of(job: FailedJobRow, program: str | None = None) -> FailureFacts:
    return FailureFacts(
        job.state,
        job.exit_code,
        job.exit_signal,
        job.failed_step,
        program,
        job.error_class,
        job.message,
    )


def _class(match: Match | None, rules: RuleVersion) -> ClassifiedFailure:
    unknown = ClassifiedFailure(
        class_name=UNKNOWN,
        words=None,
        advice=None,
        transient=None,
        rule=None,
        version=rules.version,
        log_name=None,
        log_at=None,
        is_read=False,
        cause=None,
        cause_id=None,
    )
    if match is None:
        return unknown
    rule = match.rule
    return replace(
        unknown,
        class_name=rule.class_name,
        words=rule.words,
        advice=rule.advice,
        transient=rule.transient,
        rule=rule.name,
        log_name=match.log,
        log_at=match.at,
    )


def classify(parts: Parts, keys: Sequence[str]) -> None:
    """Read the failures that keys name (see `enqueue_failures`), and write what they were."""
    named: set[int] = set()
    for key in keys:
        named.update(map(int, key.partition(":")[2].split(",")))
    jobs = sorted(named)
    with parts.database.reading.connect() as connection:
        classes = _read_failures(connection, parts.store, jobs)
    # Of all the jobs: one that is another one's by now, or succeeded, loses its class, and is read
    # again when that is noted
    parts.writer.run(lambda writing: replace_classes(writing.connection, jobs, classes))


def classify_waiting(database: Database, memory: Memory, store: Store) -> int:
    """Read every failure of a database that was rebuilt, which has no writer; return how many."""
    with database.reading.connect() as connection:
        jobs = failures_of(connection, None)
    for part in chunks(jobs, _AT_ONCE):
        with writing_alone(database, memory, store) as writing:
            classes = _read_failures(writing.connection, writing.store, part)
            replace_classes(writing.connection, part, classes)
    with writing_alone(database, memory, store) as writing:
        remove_items_of(writing.connection, CLASSIFY)
    return len(jobs)


def _read_failures(connection: Connection, store: Store, jobs: Sequence[int]) -> list[NewClass]:
    """Return what failures were, from the records of the jobs and the ends of their logs."""
    failed = failed_jobs(connection, jobs)
    records = read_records(connection, store, [job.key for job in failed])
    uploaded = _uploaded_logs(connection, failed, records)
    history = RuleHistory(connection, (job.experiment_id for job in failed))
    classes = []
    for job in failed:
        record = records[job.key]
        rules = history.in_force(job.experiment_id, job.task_id, job.received_at)
        logs = list(_log_ends(store, record, uploaded[job.experiment]))
        failure = _facts_of(job, program_of(record))
        match = find_rule(rules.rules(), failure, logs)
        job_class = _class(match, rules)
        if job_class.log_name is None:
            job_class = _with_place(job_class, failure, logs)
        rule = None if match is None else match.rule
        details = failure_details(record, failure.step)
        cause = name_cause(failure, job_class.class_name, rule, details)
        classes.append(_new_class(job.key, job_class, rules, cause))
    return classes


def failure_details(record: JobRecord, step: str | None) -> Mapping[str, Any]:
    """Return what the hook read of a failure: of the step that failed, or the only one."""
    read = (record.extra or {}).get("failure")
    if not isinstance(read, Mapping):
        return {}
    details = read.get(step)
    if details is None and len(read) == 1:
        details = next(iter(read.values()))
    return details if isinstance(details, Mapping) else {}


def _with_place(
    job_class: ClassifiedFailure, failure: FailureFacts, logs: Sequence[LogEnd]
) -> ClassifiedFailure:
    """Return the class with the line of a log that holds the exit message."""
    place = find_cause(failure, logs)
    if place is None:
        return job_class
    return replace(job_class, log_name=place.log_name, log_at=place.log_at)


def _new_class(
    job: int, job_class: ClassifiedFailure, rules: RuleVersion, cause: Cause
) -> NewClass:
    return NewClass(
        job_id=job,
        class_name=job_class.class_name,
        rule=job_class.rule,
        version=rules.version,
        built_in=rules.built_in,
        transient=job_class.transient,
        log_name=job_class.log_name,
        log_at=job_class.log_at,
        cause_key=cause.key,
        cause=cause.words,
    )


def program_of(record: JobRecord) -> str | None:
    """Return the program of the step that failed, without its folder.

    `art` for any that read FHiCL; None where it is not known.
    """
    failed_step = record.exit.failed_step if record.exit else None
    if _has_read_fcl(record, failed_step):
        return "art"
    argv = _arguments_of(record, failed_step)
    if not argv:
        return None
    program = argv[0].rpartition("/")[2]
    return "art" if program in _ART else program


def _has_read_fcl(record: JobRecord, step: str | None) -> bool:
    """Whether a step read FHiCL; a job that names no step is its only one."""
    configurations = record.configurations or ()
    if step is None:
        return bool(configurations) and len(_steps_of(record)) <= 1
    return any(configuration.step == step for configuration in configurations)


def _arguments_of(record: JobRecord, step: str | None) -> Sequence[str] | None:
    """Return the arguments of a step, or of the whole command where it has no steps."""
    steps = _steps_of(record)
    if not steps:
        return record.command.argv if record.command else None
    for candidate in steps:
        if candidate.name == step:
            return candidate.argv
    return None


def _steps_of(record: JobRecord) -> Sequence[Step]:
    if record.command is None:
        return ()
    return record.command.steps or ()


def _uploaded_logs(
    connection: Connection, jobs: Iterable[FailedJobRow], records: Mapping[int, JobRecord]
) -> dict[str, set[str]]:
    """Return the digests of those logs of the jobs that their experiments uploaded.

    They are by experiment.
    """
    named: dict[str, set[str]] = {}
    for job in jobs:
        digests = named.setdefault(job.experiment, set())
        digests.update(log.sha256 for log in _read_logs(records[job.key]) if log.sha256)
    return {name: possessed_blobs(connection, name, digests) for name, digests in named.items()}


def _read_logs(record: JobRecord) -> list[Log]:
    """Return the logs of a job that are read, standard error first."""
    sent = [log for log in record.logs or () if log.sha256 is not None][:_MOST_LOGS]
    return sorted(sent, key=lambda log: (log.name or "") != "stderr")


def _log_ends(store: Store, record: JobRecord, uploaded: Collection[str]) -> Iterator[LogEnd]:
    """Yield the ends of the logs of a job that are here, standard error first."""
    for log in _read_logs(record):
        if log.sha256 is None or log.sha256 not in uploaded:
            continue
        try:
            start = max(0, store.size(log.sha256) - END_BYTES)
            with store.open(log.sha256) as stream:
                stream.seek(start)
                content = stream.read(END_BYTES)
        except ArchiveError:
            continue  # damaged or gone: `archive check` reports it
        yield log_end(log.name or "", content, start)
