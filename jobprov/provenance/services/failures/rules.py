"""Tables of rules of experiments.

Each change is a version, and what was classified by an older one keeps its meaning.

The rules in force for a failure are those of the moment when its record came, or of a later
reclassification that covers it.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.failures import (
    ExperimentRules,
    RulesDeclared,
    RulesReapplied,
    RulesVersion,
)
from jobprov.provenance.db.changes.failures import (
    NewReclassification,
    NewRules,
    add_reclassification,
    add_rules,
)
from jobprov.provenance.db.queries.failures.rules import (
    ReclassificationRow,
    TableVersion,
    failures_of,
    newest_table,
    reclassifications,
    table_versions,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import ConflictError, NotFoundError
from jobprov.provenance.records.reading.documents import check_experiment_name
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.work.classifications import enqueue_failures
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.triage.built_in import VERSION, built_in_rules
from jobprov.provenance.triage.rules import Rule, read_rules


class RuleVersion(NamedTuple):
    """A version of an experiment's table (0 and None without one), and of the built-in rules."""

    version: int
    built_in: int
    document: str | None

    @classmethod
    def of(cls, table: TableVersion) -> "RuleVersion":
        """Return a stored version."""
        return cls(table.version, table.built_in, table.document)

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
) -> RulesDeclared:
    """Declare an experiment's rules anew, as a whole.

    The same again changes nothing.

    Args:
        experiment: the one that declares them.
        document: see `RuleTable`.
        after: the version that it was made from; None where that does not matter.

    Raises:
        BadInputError: the rules cannot be read, or no record could name the experiment.
        ConflictError: somebody else declared another version since `after`.
    """
    connection = writing.connection
    table = read_rules(document)
    key = intern_experiments(writing, {check_experiment_name(experiment)})[experiment]
    newest = _newest(connection, key)
    if after is not None and after != newest.version:
        raise ConflictError(
            f"The rules of {experiment} are of version {newest.version} by now, not {after}: look "
            "at what changed, then change them again."
        )
    if newest.document is not None and read_rules(json.loads(newest.document)).rules == table.rules:
        return RulesDeclared(experiment, newest.version, is_new=False)
    body = {"rules": dict(document), "built_in": VERSION}
    entry = enter_document(writing, key, "rules", body)
    version = write_rules_row(connection, key, entry, body, writing.received_at)
    return RulesDeclared(experiment, version, is_new=True)


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
    version = _newest(connection, experiment).version + 1
    document = json.dumps(body["rules"], sort_keys=True, ensure_ascii=False)
    rules = NewRules(entry, experiment, version, body["built_in"], document, received_at)
    add_rules(connection, rules)
    return version


def reclassify(
    writing: Writing,
    experiment: str,
    *,
    task: FoundTask | None = None,
) -> RulesReapplied:
    """Have the failures of an experiment, or of one of its tasks, read again by the newest rules.

    Their stored logs are read too. This happens in the background.
    """
    connection = writing.connection
    key = intern_experiments(writing, {experiment})[experiment]
    version = _newest(connection, key).version
    task_id, task_key = (None, None) if task is None else (task.task_id, task.key)
    body = {"version": version, "task_id": task_id}
    entry = enter_document(writing, key, "reclassification", body)
    row = NewReclassification(entry, key, task_key, version, writing.received_at)
    add_reclassification(connection, row)
    jobs = failures_of(connection, key, task_key)
    enqueue_failures(connection, jobs)
    return RulesReapplied(experiment, version, len(jobs))


class RuleHistory:
    """The versions of the rules of some experiments, and when they hold."""

    def __init__(self, connection: Connection, experiments: Iterable[int]) -> None:
        keys = sorted(set(experiments))
        self._tables: dict[int, list[TableVersion]] = {}
        for table in table_versions(connection, keys):
            self._tables.setdefault(table.experiment_id, []).append(table)
        self._reclassifications: dict[int, list[ReclassificationRow]] = {}
        for reclassification in reclassifications(connection, keys):
            rows = self._reclassifications.setdefault(reclassification.experiment_id, [])
            rows.append(reclassification)

    def version(self, experiment: int, number: int) -> RuleVersion:
        """Return a version by number; 0 where the experiment had no table."""
        for row in self._tables.get(experiment, ()):
            if row.version == number:
                return RuleVersion.of(row)
        return NO_TABLE

    def in_force(self, experiment: int, task: int | None, received_at: datetime) -> RuleVersion:
        """Return the version that a failure recorded at this moment is read by."""
        for row in self._reclassifications.get(experiment, ()):
            if row.created_at >= received_at and row.task_id in (None, task):
                return self.version(experiment, row.version)
        for table in self._tables.get(experiment, ()):
            if table.created_at <= received_at:
                return RuleVersion.of(table)
        return NO_TABLE


def show_rules(
    connection: Connection, experiment: str, *, version: int | None = None
) -> ExperimentRules:
    """Return the newest rules of an experiment, or the version asked for.

    Raises:
        NotFoundError: no such experiment or version.
    """
    key = find_experiment(connection, experiment)
    tables = table_versions(connection, [key])
    shown = next((table for table in tables if version in (None, table.version)), None)
    if shown is None and version:
        raise NotFoundError(f"Experiment {experiment} has no rules of version {version}.")

    versions = [_version_row(table) for table in tables]
    if shown is None:
        return ExperimentRules(experiment, 0, [], None, None, _plain_rules(VERSION), versions)
    document = json.loads(shown.document)
    return ExperimentRules(
        experiment=experiment,
        version=shown.version,
        rules=document["rules"],
        who=document["who"],
        why=document["why"],
        built_in=_plain_rules(shown.built_in),
        versions=versions,
    )


def _version_row(declared: TableVersion) -> RulesVersion:
    table = read_rules(json.loads(declared.document))
    return RulesVersion(
        version=declared.version,
        who=table.who,
        why=table.why,
        created_at=declared.created_at.isoformat(),
        submitter=declared.submitter,
        rule_count=len(table.rules),
    )


def _plain_rules(built_in: int) -> list[dict[str, object]]:
    return [msgspec.to_builtins(rule) for rule in built_in_rules(built_in)]


def _newest(connection: Connection, experiment: int) -> RuleVersion:
    table = newest_table(connection, experiment)
    return NO_TABLE if table is None else RuleVersion.of(table)
