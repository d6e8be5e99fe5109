"""What the failures of jobs were: a class, plain words, advice, and whether trying again may help.

Each failure is read once in the background, from its record and the ends of its logs, by the rules
in force; `classes_of` answers for those that were not read yet from what the list of jobs knows.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.failures.rules import failures_of
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import Experiment, FailureClass, Job, WorkItem
from jobprov.provenance.db.transaction import Memory
from jobprov.provenance.records.job_record import JobRecord, Log
from jobprov.provenance.services.failures.rules import RuleHistory, RuleVersion
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_records, read_together
from jobprov.provenance.services.work.classifications import CLASSIFY
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import writing_alone
from jobprov.provenance.triage.rules import Failure, LogEnd, Match, find_cause, find_rule, log_end

UNKNOWN = "unknown"
END_BYTES = 64 * 1024
_MOST_LOGS = 8
_AT_ONCE = 200
_BAD = STATES.index("failed")
_ART = frozenset({"art", "lar", "mu2e", "nova", "gm2", "uboone"})


class JobClass(NamedTuple):
    """What a failure was.

    Attributes:
        class_name: `memory`, `storage`, … of the rule that fits; `unknown` where none does.
        words: what happened, for people; None where no rule fits.
        advice: what to do, where the rule says.
        transient: whether the same job may succeed when it is tried again; None where nobody knows.
        rule: the rule's name.
        version: of the experiment's table of rules, 0 where it had none.
        log_name: the log that told, or that says what the exit message says.
        log_at: where in it the line begins, in bytes.
        is_read: whether record and logs were read; else it is a first reading of code, signal, step
            and message.
    """

    class_name: str
    words: str | None
    advice: str | None
    transient: bool | None
    rule: str | None
    version: int
    log_name: str | None = None
    log_at: int | None = None
    is_read: bool = False

    def shown(self) -> dict[str, Any]:
        """Return it in the words of the HTTP interface."""
        return {
            "class": self.class_name,
            **{name: getattr(self, name) for name in self._fields[1:]},
        }


def classes_of(connection: Connection, jobs: Iterable[int]) -> dict[int, JobClass]:
    """Return what the failures of these jobs were, by integer key.

    Jobs that did not fail are left out. A few statements in all.
    """
    found: dict[int, JobClass] = {}
    for part in chunks(sorted(set(jobs))):
        rows = connection.execute(_columns().where(Job.id.in_(part), Job.state >= _BAD)).all()
        history = RuleHistory(connection, (row.experiment_id for row in rows))
        for row in rows:
            found[row.id] = (
                _read_class(row, history)
                if row.class_name is not None
                else _first_class(row, history)
            )
    return found


def _columns() -> Any:
    return select(
        Job.id, Job.experiment_id, Job.task_id, Job.received_at, Job.state, Job.exit_code, Job.exit_signal,
        Job.failed_step, Job.error_class, Job.message, FailureClass.class_name, FailureClass.version,
        FailureClass.rule, FailureClass.transient, FailureClass.log_name, FailureClass.log_at,
    ).outerjoin(FailureClass, FailureClass.job_id == Job.id)  # fmt: skip


def _read_class(row: Any, history: RuleHistory) -> JobClass:
    rules = history.version(row.experiment_id, row.version).rules()
    rule = next((rule for rule in rules if rule.name == row.rule), None)
    words, advice = (rule.words, rule.advice) if rule else (None, None)
    return JobClass(
        row.class_name,
        words,
        advice,
        row.transient,
        row.rule,
        row.version,
        row.log_name,
        row.log_at,
        is_read=True,
    )


def _first_class(row: Any, history: RuleHistory) -> JobClass:
    rules = history.in_force(row.experiment_id, row.task_id, row.received_at)
    return _class(find_rule(rules.rules(), _failure(row)), rules)


def _failure(row: Any, program: str | None = None) -> Failure:
    return Failure(
        STATES[row.state],
        row.exit_code,
        row.exit_signal,
        row.failed_step,
        program,
        row.error_class,
        row.message,
    )


def _class(match: Match | None, rules: RuleVersion) -> JobClass:
    if match is None:
        return JobClass(UNKNOWN, None, None, None, None, rules.version)
    rule = match.rule
    return JobClass(
        rule.class_name,
        rule.words,
        rule.advice,
        rule.transient,
        rule.name,
        rules.version,
        match.log,
        match.at,
    )


def classify(parts: Parts, key: str) -> None:
    """Read the failures that `key` names (see `enqueue_failures`), and write what they were."""
    jobs = [int(word) for word in key.partition(":")[2].split(",")]
    with parts.database.reading.connect() as connection:
        rows = _classified(connection, parts.store, jobs)
    parts.writer.run(lambda writing: _write(writing.connection, jobs, rows))


def classify_waiting(database: Database, memory: Memory, store: Store) -> int:
    """Read every failure of a database that was rebuilt, which has no writer; return how many."""
    with database.reading.connect() as connection:
        jobs = failures_of(connection, None)
    for part in chunks(jobs, _AT_ONCE):
        with writing_alone(database, memory, store) as writing:
            _write(writing.connection, part, _classified(writing.connection, store, part))
    with writing_alone(database, memory, store) as writing:
        writing.connection.execute(delete(WorkItem).where(WorkItem.kind == CLASSIFY))
    return len(jobs)


def _write(connection: Connection, jobs: Sequence[int], rows: list[dict[str, Any]]) -> None:
    """Write what was read.

    A job that is another one's by now, or succeeded, is read again when that is noted.
    """
    table = table_of(FailureClass)
    for part in chunks(jobs):
        connection.execute(delete(table).where(table.c.job_id.in_(part)))
    insert_rows(connection, table, rows)


def _classified(connection: Connection, store: Store, jobs: Sequence[int]) -> list[dict[str, Any]]:
    names = select(Experiment.id, Experiment.name)
    rows = connection.execute(_columns().where(Job.id.in_(jobs), Job.state >= _BAD)).all()
    experiments = {row[0]: row[1] for row in connection.execute(names)} if rows else {}
    held = {row.id: HeldJob(row.id, row.received_at, {}, {}) for row in rows}
    fill_records(connection, store, held)
    history = RuleHistory(connection, (row.experiment_id for row in rows))
    found = []
    for row in rows:
        record = read_together(held[row.id].records_but(None)).record
        rules = history.in_force(row.experiment_id, row.task_id, row.received_at)
        logs = list(_log_ends(connection, store, experiments[row.experiment_id], record.logs or ()))
        failure = _failure(row, program_of(record))
        read = _class(find_rule(rules.rules(), failure, logs), rules)
        if read.log_name is None and (place := find_cause(failure, logs)) is not None:
            read = read._replace(log_name=place[0], log_at=place[1])
        found.append(_row(row.id, read, rules))
    return found


def _row(job: int, read: JobClass, rules: RuleVersion) -> dict[str, Any]:
    return {
        "job_id": job,
        "log_at": read.log_at,
        "version": rules.version,
        "built_in": rules.built_in,
        "transient": read.transient,
        "class_name": read.class_name,
        "rule": read.rule,
        "log_name": read.log_name,
    }


def program_of(record: JobRecord) -> str | None:
    """Return the program of the step that failed, without its folder.

    `art` for any that read FHiCL; None where nothing tells.
    """
    step = record.exit.failed_step if record.exit else None
    steps = (record.command.steps or []) if record.command else []
    argv = next((each.argv for each in steps if each.name == step), None)
    if argv is None and record.command is not None and not steps:
        argv = record.command.argv
    if step is not None and any(fcl.step == step for fcl in record.configurations or ()):
        return "art"
    if step is None and record.configurations and len(steps) <= 1:
        return "art"
    name = argv[0].rpartition("/")[2] if argv else None
    return "art" if name in _ART else name


def _log_ends(
    connection: Connection, store: Store, experiment: str, logs: Iterable[Log]
) -> Iterator[LogEnd]:
    """Yield the ends of the logs that are here, standard error first."""
    named = [log for log in logs if log.sha256 is not None][:_MOST_LOGS]
    here = possessed_blobs(connection, experiment, {log.sha256 for log in named if log.sha256})
    for log in sorted(named, key=lambda log: (log.name or "") != "stderr"):
        if log.sha256 in here:
            try:
                start = max(0, store.size(log.sha256) - END_BYTES)
                with store.open(log.sha256) as stream:
                    stream.seek(start)
                    content = stream.read(END_BYTES)
            except ArchiveError:
                continue  # damaged or gone: `archive check` says so
            yield log_end(log.name or "", content, start)
