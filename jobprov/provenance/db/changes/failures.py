"""Writes classes of failures, and the rules that decide them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert

from jobprov.provenance.db.queries.fragments.membership import remove_among
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import FailureClass, Reclassification, RuleTableRow
from jobprov.provenance.db.tables.base import table_of


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
    """A version of an experiment's rules; columns of `RuleTableRow`. Its ledger entry is there."""

    entry_id: int
    experiment_id: int
    version: int
    built_in: int
    document: str
    created_at: datetime


class NewReclassification(NamedTuple):
    """Failures that are read again by a version of the rules; columns of `Reclassification`.

    Its ledger entry is there.
    """

    entry_id: int
    experiment_id: int
    task_id: int | None
    version: int
    created_at: datetime


def replace_classes(
    connection: Connection, jobs: Sequence[int], classes: Sequence[NewClass]
) -> None:
    """Write what failures were; of all these jobs what was written before goes first."""
    remove_among(connection, FailureClass.job_id, jobs)
    rows = [new_class._asdict() for new_class in classes]
    insert_rows(connection, table_of(FailureClass), rows)


def add_rules(connection: Connection, rules: NewRules) -> None:
    """Write a version of an experiment's rules."""
    connection.execute(insert(RuleTableRow).values(rules._asdict()))


def add_reclassification(connection: Connection, reclassification: NewReclassification) -> None:
    """Note that failures are read again."""
    connection.execute(insert(Reclassification).values(reclassification._asdict()))
