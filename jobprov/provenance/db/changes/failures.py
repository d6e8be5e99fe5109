"""Writes classes of failures, and the rules that decide them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert

from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import FailureClass, Reclassification, RuleTableRow
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import chunks


class NewClass(NamedTuple):
    """What the failure of a job was, as it was read from record and logs.

    Attributes:
        job_id: the job's key.
        rule: name of the rule that fits, None where none does.
        version: of the experiment's table of rules, 0 where it has none.
        built_in: version of the built-in rules.
        transient: whether trying again may help, None where nobody knows.
        log_name, log_at: the log that told, and the byte at which its line begins; None where none
            did.
        cause_key: what failures of one cause share.
        cause: the cause in words.
    """

    job_id: int
    class_name: str
    rule: str | None
    version: int
    built_in: int
    transient: bool | None
    log_name: str | None
    log_at: int | None
    cause_key: str
    cause: str


class NewRules(NamedTuple):
    """A version of an experiment's rules; its ledger entry is there.

    Attributes:
        built_in: version of the built-in rules behind them.
        document: the rules as JSON.
    """

    entry: int
    experiment: int
    version: int
    built_in: int
    document: str
    created_at: datetime


class NewReclassification(NamedTuple):
    """Failures that are read again by a version of the rules; its ledger entry is there.

    Attributes:
        task: key of the task, None for all of the experiment.
    """

    entry: int
    experiment: int
    task: int | None
    version: int
    created_at: datetime


def replace_classes(
    connection: Connection, jobs: Sequence[int], classes: Sequence[NewClass]
) -> None:
    """Write what failures were; of all these jobs what was written before goes first."""
    for part in chunks(jobs):
        connection.execute(delete(FailureClass).where(FailureClass.job_id.in_(part)))
    rows = [new_class._asdict() for new_class in classes]
    insert_rows(connection, table_of(FailureClass), rows)


def add_rules(connection: Connection, rules: NewRules) -> None:
    """Write a version of an experiment's rules."""
    row = {
        "entry_id": rules.entry,
        "experiment_id": rules.experiment,
        "version": rules.version,
        "built_in": rules.built_in,
        "document": rules.document,
        "created_at": rules.created_at,
    }
    connection.execute(insert(RuleTableRow).values(row))


def add_reclassification(connection: Connection, reclassification: NewReclassification) -> None:
    """Note that failures are read again."""
    row = {
        "entry_id": reclassification.entry,
        "experiment_id": reclassification.experiment,
        "task_id": reclassification.task,
        "version": reclassification.version,
        "created_at": reclassification.created_at,
    }
    connection.execute(insert(Reclassification).values(row))
