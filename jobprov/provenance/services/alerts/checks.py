"""Checks the rules of an experiment, and writes which alerts began and which are over.

Several processes may try at once. The database knows whose turn it is, and a process that lost its
turn to another one meanwhile writes nothing: docs/decisions/0034-alerts.md.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.changes.alerts import end_turn, note_calm, take_turn
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.alerts.alerts import OpenAlert, is_check_due, open_alerts
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.services.alerts.conditions import Experiment, Watch
from jobprov.provenance.services.alerts.events import (
    Found,
    begin_alerts,
    end_alerts,
    end_alerts_without_rule,
)
from jobprov.provenance.services.alerts.rules import AnyRule, ExperimentAlerts
from jobprov.provenance.services.kept_answers.kept_answers import follow_up
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writing

PAUSE = timedelta(minutes=1)
"""Between two looks at an experiment."""
LEASE = timedelta(minutes=3)
_RULE_SECONDS = 10.0
_SHORTER = "give the rule a shorter window"
_ALL_SECONDS = 90.0
"""Of all rules of an experiment together; less than the lease."""


class CheckedExperiment(NamedTuple):
    """What one look at an experiment changed.

    Attributes:
        began, over: how many alerts.
        problem: what kept rules from being looked at; None where nothing did.
    """

    experiment: str
    began: int
    over: int
    problem: str | None


def check_experiment(
    parts: Parts,
    folders: Sequence[Path],
    experiment: Experiment,
    alerts: ExperimentAlerts,
    *,
    now: datetime | None = None,
    is_forced: bool = False,
) -> CheckedExperiment | None:
    """Look at the rules of an experiment; None where it is not its turn."""
    now = now or datetime.now(UTC)
    before = now if is_forced else now - PAUSE
    with parts.database.reading.connect() as connection:
        if not is_check_due(connection, experiment.key, now=now, before=before):
            return None
    turn = parts.writer.run(
        lambda writing: take_turn(
            writing.connection, experiment.key, now=now, before=before, until=now + LEASE
        )
    )
    if turn is None:
        return None
    looked = _look(parts, folders, experiment, alerts, now)
    return parts.writer.run(
        lambda writing: _write(writing, experiment, alerts, turn, looked), received_at=now
    )


class _Looked(NamedTuple):
    """What rules found, by the name of the rule; None where it is not known yet."""

    found: Mapping[str, list[Found] | None]
    watch: Watch
    problem: str | None


def _look(
    parts: Parts,
    folders: Sequence[Path],
    experiment: Experiment,
    alerts: ExperimentAlerts,
    now: datetime,
) -> _Looked:
    found: dict[str, list[Found] | None] = {}
    problem = None
    with parts.database.reading.connect() as connection:
        standing = open_alerts(connection, experiment.key)
        watch = Watch(
            connection,
            parts.store,
            experiment,
            now=now,
            folders=folders,
            open_subjects=lambda rule: _subjects(standing, rule),
        )
        with time_limit(connection, _SHORTER, seconds=_ALL_SECONDS):
            for rule in alerts.rules:
                try:
                    found[rule.name] = _look_in_time(connection, watch, rule)
                except (ProvenanceError, OSError) as reason:
                    # One rule must not keep the others from being looked at
                    found[rule.name] = None
                    problem = f"rule {rule.name}: {reason}"
    return _Looked(found, watch, problem)


def _look_in_time(connection: Connection, watch: Watch, rule: AnyRule) -> list[Found] | None:
    with time_limit(connection, _SHORTER, seconds=_RULE_SECONDS):
        return watch.look(rule)


def _subjects(alerts: Sequence[OpenAlert], rule: str) -> frozenset[str]:
    return frozenset(alert.subject for alert in alerts if alert.rule == rule)


def _write(
    writing: Writing,
    experiment: Experiment,
    alerts: ExperimentAlerts,
    turn: int,
    looked: _Looked,
) -> CheckedExperiment | None:
    """Write what was found, unless somebody else has looked since."""
    now, connection = writing.received_at, writing.connection
    if not end_turn(connection, experiment.key, turn, now=now, problem=looked.problem):
        return None
    for answer in looked.watch.to_follow:
        follow_up(writing, answer)
    standing = open_alerts(connection, experiment.key)
    began = over = 0
    for rule in alerts.rules:
        found = looked.found[rule.name]
        if found is None:
            continue
        own = [alert for alert in standing if alert.rule == rule.name]
        began += _begin(writing, experiment, rule, own, found)
        over += _end(writing, experiment, alerts.over_after, own, found)
    names = {rule.name for rule in alerts.rules}
    orphans = [alert for alert in standing if alert.rule not in names]
    end_alerts_without_rule(writing, experiment.key, orphans)
    return CheckedExperiment(experiment.name, began, over + len(orphans), looked.problem)


def _begin(
    writing: Writing,
    experiment: Experiment,
    rule: AnyRule,
    standing: Sequence[OpenAlert],
    found: Sequence[Found],
) -> int:
    """Begin an alert for each subject that has none; return how many began."""
    known = {alert.subject for alert in standing}
    new = [finding for finding in found if finding.subject not in known]
    begin_alerts(
        writing,
        experiment.key,
        new,
        rule=rule.name,
        condition=rule.condition,
        receivers=list(dict.fromkeys(rule.to)),
    )
    return len(new)


def _end(
    writing: Writing,
    experiment: Experiment,
    over_after: timedelta,
    standing: Sequence[OpenAlert],
    found: Sequence[Found],
) -> int:
    """End alerts whose rule has not held for long enough; return how many ended."""
    now = writing.received_at
    holding = {finding.subject for finding in found}
    again, calm, over = [], [], []
    for alert in standing:
        if alert.subject in holding:
            if alert.calm_since is not None:
                again.append(alert.key)
        elif alert.calm_since is None:
            calm.append(alert.key)
        elif now - alert.calm_since >= over_after:
            over.append(alert)
    note_calm(writing.connection, again, None)
    note_calm(writing.connection, calm, now)
    minutes = round(over_after.total_seconds() / 60)
    words = f"it has not been so for {minutes} minutes"
    end_alerts(writing, experiment.key, over, words)
    return len(over)
