"""Alerts and their deliveries: those that are open, and lists of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.answers.alerts import WAITING, AlertCheck
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.tables import AlertCheckRow, AlertDeliveryRow, AlertRow, Experiment
from jobprov.provenance.times import utc_text


class OpenAlert(NamedTuple):
    """An alert that is not over."""

    key: int
    uuid: str
    rule: str
    subject: str
    calm_since: datetime | None


class ListedAlert(NamedTuple):
    """An alert as lists have it; `key` is its row's."""

    key: int
    uuid: str
    experiment: str
    rule: str
    condition: str
    subject: str
    began_at: datetime
    words: str
    ended_at: datetime | None
    ended_words: str | None
    page: str


class ListedDelivery(NamedTuple):
    """A delivery as lists have it; `state` is a place in `DELIVERY_STATES`."""

    alert: int
    receiver: str
    is_end: bool
    state: int
    settled_at: datetime | None
    attempts: int
    due_at: datetime
    problem: str | None


_LISTED = (
    AlertRow.id,
    AlertRow.uuid,
    Experiment.name,
    AlertRow.rule,
    AlertRow.condition,
    AlertRow.subject,
    AlertRow.began_at,
    AlertRow.words,
    AlertRow.ended_at,
    AlertRow.ended_words,
    AlertRow.page,
)


def open_alerts(connection: Connection, experiment: int) -> list[OpenAlert]:
    """Return the alerts of an experiment that are not over, oldest first."""
    query = (
        select(AlertRow.id, AlertRow.uuid, AlertRow.rule, AlertRow.subject, AlertRow.calm_since)
        .where(AlertRow.experiment_id == experiment, AlertRow.ended_at.is_(None))
        .order_by(AlertRow.id)
    )
    return [OpenAlert(*row) for row in connection.execute(query)]


def list_alert_rows(
    connection: Connection,
    *,
    experiment: int | None,
    is_open: bool | None,
    before: int | None,
    limit: int,
) -> list[ListedAlert]:
    """Return alerts, the newest first.

    Args:
        experiment: its key; None for all.
        is_open: only those that are not over, or only those that are; None for both.
        before: only those with a lower key.
    """
    query = select(*_LISTED).join(Experiment, Experiment.id == AlertRow.experiment_id)
    if experiment is not None:
        query = query.where(AlertRow.experiment_id == experiment)
    if is_open is not None:
        is_over = AlertRow.ended_at.is_not(None)
        query = query.where(~is_over if is_open else is_over)
    if before is not None:
        query = query.where(AlertRow.id < before)
    query = query.order_by(AlertRow.id.desc()).limit(limit)
    return [ListedAlert(*row) for row in connection.execute(query)]


def deliveries_of(connection: Connection, alerts: Sequence[int]) -> list[ListedDelivery]:
    """Return the deliveries of these alerts, oldest first."""
    query = select(
        AlertDeliveryRow.alert_id,
        AlertDeliveryRow.receiver,
        AlertDeliveryRow.is_end,
        AlertDeliveryRow.state,
        AlertDeliveryRow.settled_at,
        AlertDeliveryRow.attempts,
        AlertDeliveryRow.due_at,
        AlertDeliveryRow.problem,
    ).order_by(AlertDeliveryRow.is_end, AlertDeliveryRow.receiver)
    rows = rows_among(connection, query, AlertDeliveryRow.alert_id, alerts)
    return [ListedDelivery(*row) for row in rows]


def list_checks(connection: Connection, experiment: int | None) -> list[AlertCheck]:
    """Return when the rules of an experiment, or of all, were last looked at, by name."""
    query = (
        select(Experiment.name, AlertCheckRow.checked_at, AlertCheckRow.problem)
        .join(Experiment, Experiment.id == AlertCheckRow.experiment_id)
        .order_by(Experiment.name)
    )
    if experiment is not None:
        query = query.where(AlertCheckRow.experiment_id == experiment)
    checks = []
    for name, checked_at, problem in connection.execute(query):
        if checked_at is not None:
            checks.append(AlertCheck(name, utc_text(checked_at), problem))
    return checks


def has_due_delivery(connection: Connection, now: datetime) -> bool:
    """Return whether a message waits to be sent that nobody has taken."""
    query = select(AlertDeliveryRow.id).where(
        AlertDeliveryRow.state == WAITING,
        AlertDeliveryRow.due_at <= now,
        AlertDeliveryRow.leased_until.is_(None) | (AlertDeliveryRow.leased_until < now),
    )
    return connection.execute(query.limit(1)).first() is not None


def is_check_due(
    connection: Connection, experiment: int, *, now: datetime, before: datetime
) -> bool:
    """Return whether an experiment is to be looked at: not since a moment, and nobody does."""
    row = connection.execute(
        select(AlertCheckRow.checked_at, AlertCheckRow.leased_until).where(
            AlertCheckRow.experiment_id == experiment
        )
    ).first()
    if row is None:
        return True
    is_free = row.leased_until is None or row.leased_until < now
    return is_free and (row.checked_at is None or row.checked_at <= before)
