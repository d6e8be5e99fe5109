"""Tables of rules of experiments: each change is a version, and what was classified by an older one keeps its meaning.

The rules in force for a failure are those of the moment when its record came, or of a later
reclassification that covers it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import (
    Experiment,
    Job,
    LedgerEntry,
    Reclassification,
    RuleTableRow,
)
from jobprov.provenance.errors import ConflictError, NotFoundError
from jobprov.provenance.records.documents import check_experiment_name
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.work.classifications import enqueue_failures
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.triage.built_in import VERSION, built_in_rules
from jobprov.provenance.triage.rules import Rule, RuleTable, read_rules

_FIRST_BAD = 2  # in STATES, from `failed` on


class RuleVersion(NamedTuple):
    """A version of an experiment's table (0 and None where it has none) and of the built-in rules behind it."""

    version: int
    built_in: int
    document: str | None

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in the order in which they are tried."""
        return _rules(self.document, self.built_in)


NO_TABLE = RuleVersion(0, VERSION, None)


@lru_cache(maxsize=64)
def _rules(document: str | None, built_in: int) -> tuple[Rule, ...]:
    own = read_rules(json.loads(document)).rules if document is not None else []
    return (*own, *built_in_rules(built_in))


def declare_rules(
    writing: Writing,
    experiment: str,
    document: Mapping[str, Any],
    *,
    after: int | None = None,
) -> dict[str, Any]:
    """Declare an experiment's rules anew, as a whole; return `{experiment, version, is_new}`.

    The same again changes nothing.

    Args:
        writing: the transaction.
        experiment: whose they are.
        document: see `RuleTable`.
        received_at: when it came.
        submitter: who sent it.
        after: the version that it was made from; None where that does not matter.

    Raises:
        BadInputError: the rules cannot be read, or no record could name the experiment.
        ConflictError: somebody else declared another version since `after`.
    """
    connection = writing.connection
    table = read_rules(document)
    key = intern_experiments(writing, {check_experiment_name(experiment)})[experiment]
    held = _newest(connection, key)
    if after is not None and after != held.version:
        raise ConflictError(
            f"The rules of {experiment} are of version {held.version} by now, not {after}: look at what changed, then "
            "change them again."
        )
    if held.document is not None and read_rules(json.loads(held.document)).rules == table.rules:
        return {"experiment": experiment, "version": held.version, "is_new": False}
    body = {"rules": dict(document), "built_in": VERSION}
    entry = enter_document(writing, key, "rules", body)
    version = write_rules_row(connection, key, entry, body, writing.received_at)
    return {"experiment": experiment, "version": version, "is_new": True}


def write_rules_row(
    connection: Connection,
    experiment: int,
    entry: int,
    body: Mapping[str, Any],
    received_at: datetime,
) -> int:
    """Write the row of a declaration whose ledger entry is there.

    Return its version, which follows the one before.
    """
    row = {
        "entry_id": entry,
        "experiment_id": experiment,
        "version": _newest(connection, experiment).version + 1,
        "built_in": body["built_in"],
        "document": json.dumps(body["rules"], sort_keys=True, ensure_ascii=False),
        "created_at": received_at,
    }
    connection.execute(table_of(RuleTableRow).insert(), [row])
    return int(str(row["version"]))


def reclassify(
    writing: Writing,
    experiment: str,
    *,
    task: FoundTask | None = None,
) -> dict[str, Any]:
    """Have the failures of an experiment, or of one task of it, read again by the rules of now, stored logs included.

    Returns:
        `{experiment, version, jobs}`: by which version, and how many failures will be read.
    """
    connection = writing.connection
    key = intern_experiments(writing, {experiment})[experiment]
    version = _newest(connection, key).version
    body = {"version": version, "task_id": task.task_id if task else None}
    entry = enter_document(writing, key, "reclassification", body)
    write_reclassification_row(
        connection,
        key,
        entry,
        version=version,
        task=task.key if task else None,
        received_at=writing.received_at,
    )
    jobs = failures_of(connection, key, task.key if task else None)
    enqueue_failures(connection, jobs)
    return {"experiment": experiment, "version": version, "jobs": len(jobs)}


def write_reclassification_row(
    connection: Connection,
    experiment: int,
    entry: int,
    *,
    version: int,
    task: int | None,
    received_at: datetime,
) -> None:
    """Write the row of a reclassification whose ledger entry is there."""
    row = {
        "entry_id": entry,
        "experiment_id": experiment,
        "task_id": task,
        "version": version,
        "created_at": received_at,
    }
    connection.execute(table_of(Reclassification).insert(), [row])


def failures_of(
    connection: Connection, experiment: int | None, task: int | None = None
) -> list[int]:
    """Return the keys of the jobs that did not succeed, of one experiment and task or of all."""
    query = select(Job.id).where(Job.state >= _FIRST_BAD).order_by(Job.id)
    if experiment is not None:
        query = query.where(Job.experiment_id == experiment)
    if task is not None:
        query = query.where(Job.task_id == task)
    return [row[0] for row in connection.execute(query)]


class RuleHistory:
    """The versions of the rules of some experiments, and when they hold."""

    def __init__(self, connection: Connection, experiments: Iterable[int]) -> None:
        wanted = sorted(set(experiments))
        self._tables: dict[int, list[Any]] = {}
        self._again: dict[int, list[Any]] = {}
        tables = (
            select(RuleTableRow)
            .where(RuleTableRow.experiment_id.in_(wanted))
            .order_by(RuleTableRow.version.desc())
        )
        again = select(Reclassification).where(Reclassification.experiment_id.in_(wanted))
        for row in connection.execute(tables.with_only_columns(*table_of(RuleTableRow).c)):
            self._tables.setdefault(row.experiment_id, []).append(row)
        order = (
            Reclassification.created_at.desc(),
            Reclassification.entry_id.desc(),
        )  # what is adopted has later keys
        newest_first = again.with_only_columns(*table_of(Reclassification).c).order_by(*order)
        for row in connection.execute(newest_first):
            self._again.setdefault(row.experiment_id, []).append(row)

    def version(self, experiment: int, number: int) -> RuleVersion:
        """Return a version by number; 0 where the experiment had no table."""
        for row in self._tables.get(experiment, ()):
            if row.version == number:
                return RuleVersion(row.version, row.built_in, row.document)
        return NO_TABLE

    def in_force(self, experiment: int, task: int | None, received_at: datetime) -> RuleVersion:
        """Return the version that a failure recorded at this moment is read by."""
        for row in self._again.get(experiment, ()):
            if row.created_at >= received_at and row.task_id in (None, task):
                return self.version(experiment, row.version)
        for row in self._tables.get(experiment, ()):
            if row.created_at <= received_at:
                return RuleVersion(row.version, row.built_in, row.document)
        return NO_TABLE


def show_rules(
    connection: Connection, experiment: str, *, version: int | None = None
) -> dict[str, Any]:
    """Return `{experiment, version, rules, who, why, built_in, versions}`.

    The newest table or the one asked for.

    `built_in` are the rules behind it; `versions` say `{version, who, why, created_at, submitter,
    rule_count}`, the newest first.

    Raises:
        NotFoundError: no such experiment or version.
    """
    known = select(Experiment.id).where(Experiment.name == experiment)
    key = connection.execute(known).scalar_one_or_none()
    if key is None:
        raise NotFoundError(f"No experiment {experiment} is recorded.")
    query = (
        select(
            RuleTableRow.version,
            RuleTableRow.document,
            RuleTableRow.built_in,
            RuleTableRow.created_at,
        )
        .add_columns(LedgerEntry.submitter)
        .join(LedgerEntry, LedgerEntry.id == RuleTableRow.entry_id)
        .where(RuleTableRow.experiment_id == key)
        .order_by(RuleTableRow.version.desc())
    )
    rows = connection.execute(query).all()
    shown = next((row for row in rows if version in (None, row.version)), None)
    if shown is None and version:
        raise NotFoundError(f"Experiment {experiment} has no rules of version {version}.")
    document = json.loads(shown.document) if shown else {"rules": [], "who": None, "why": None}
    return {
        "experiment": experiment,
        "version": shown.version if shown else 0,
        **document,
        "built_in": _plain(built_in_rules(shown.built_in if shown else VERSION)),
        "versions": [_version_row(row) for row in rows],
    }


def _version_row(row: Any) -> dict[str, Any]:
    table: RuleTable = read_rules(json.loads(row.document))
    return {
        "version": row.version,
        "who": table.who,
        "why": table.why,
        "created_at": row.created_at.isoformat(),
        "submitter": row.submitter,
        "rule_count": len(table.rules),
    }


def _plain(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(rule) for rule in rules]


def _newest(connection: Connection, experiment: int) -> RuleVersion:
    last = (
        select(func.max(RuleTableRow.version))
        .where(RuleTableRow.experiment_id == experiment)
        .scalar_subquery()
    )
    query = select(RuleTableRow.version, RuleTableRow.built_in, RuleTableRow.document)
    row = connection.execute(
        query.where(RuleTableRow.experiment_id == experiment, RuleTableRow.version == last)
    ).first()
    return NO_TABLE if row is None else RuleVersion(*row)
