"""Rows of alerts, of their deliveries, and of whose turn it is to look for alerts.

What is found, over, sent or given up has a ledger entry; leases and tries have none.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, insert, or_, select, update

from jobprov.provenance.answers.alerts import GIVEN_UP, SENT, WAITING
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import AlertCheckRow, AlertDeliveryRow, AlertRow, Experiment
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import allocate_keys

_ALERTS, _DELIVERIES = table_of(AlertRow), table_of(AlertDeliveryRow)
_CHECKS = table_of(AlertCheckRow)
MOST_TAKEN = 200
"""Deliveries that one message is about."""


_FOUND_AGAIN = "found again by another database of the same archive"


class NewAlert(NamedTuple):
    """An alert that began."""

    uuid: str
    rule: str
    condition: str
    subject: str
    words: str
    page: str
    began_at: datetime


class TakenDelivery(NamedTuple):
    """A delivery that somebody is about to send.

    Attributes:
        attempts: this try is one of them.
        is_uncertain: whether an earlier try may have reached the receiver.
    """

    key: int
    attempts: int
    is_uncertain: bool
    is_end: bool
    experiment_key: int
    experiment: str
    receiver: str
    uuid: str
    rule: str
    subject: str
    words: str
    page: str
    began_at: datetime
    ended_at: datetime | None
    ended_words: str | None


_TAKEN: tuple[Any, ...] = (
    AlertDeliveryRow.id,
    AlertDeliveryRow.attempts,
    AlertDeliveryRow.is_uncertain,
    AlertDeliveryRow.is_end,
    AlertRow.experiment_id,
    Experiment.name,
    AlertDeliveryRow.receiver,
    AlertRow.uuid,
    AlertRow.rule,
    AlertRow.subject,
    AlertRow.words,
    AlertRow.page,
    AlertRow.began_at,
    AlertRow.ended_at,
    AlertRow.ended_words,
)


def take_turn(
    connection: Connection, experiment: int, *, now: datetime, before: datetime, until: datetime
) -> int | None:
    """Take the turn to look at an experiment; return its number, or None if it is not due.

    Args:
        connection: in a transaction.
        experiment: its key.
        now: leases that ended before are free.
        before: an experiment that was looked at later is not due.
        until: when this turn ends, if nothing is heard of whoever has it.
    """
    row = {"experiment_id": experiment, "turn": 0}
    exists = connection.execute(
        select(AlertCheckRow.turn).where(AlertCheckRow.experiment_id == experiment)
    ).first()
    if exists is None:
        insert_rows(connection, _CHECKS, [row], skip_known=True)
    statement = (
        update(AlertCheckRow)
        .where(
            AlertCheckRow.experiment_id == experiment,
            or_(AlertCheckRow.checked_at.is_(None), AlertCheckRow.checked_at <= before),
            or_(AlertCheckRow.leased_until.is_(None), AlertCheckRow.leased_until < now),
        )
        .values(turn=AlertCheckRow.turn + 1, leased_until=until)
        .returning(AlertCheckRow.turn)
    )
    return connection.execute(statement).scalar_one_or_none()


def end_turn(
    connection: Connection, experiment: int, turn: int, *, now: datetime, problem: str | None
) -> bool:
    """End a turn; return whether it was still this one, so that what it found may be written."""
    statement = (
        update(AlertCheckRow)
        .where(AlertCheckRow.experiment_id == experiment, AlertCheckRow.turn == turn)
        .values(checked_at=now, leased_until=None, problem=problem)
    )
    return connection.execute(statement).rowcount == 1


def add_alert(
    connection: Connection, experiment: int, alert: NewAlert, receivers: Sequence[str]
) -> None:
    """Add an alert and a delivery for each receiver, unless it is there already.

    Of a rule and subject one alert is open. Another database of the same archive may have had one
    of its own, which is over with this.
    """
    if find_alert(connection, experiment, alert.uuid) is not None:
        return
    connection.execute(
        update(AlertRow)
        .where(
            AlertRow.experiment_id == experiment,
            AlertRow.rule == alert.rule,
            AlertRow.subject == alert.subject,
            AlertRow.ended_at.is_(None),
        )
        .values(ended_at=alert.began_at, ended_words=_FOUND_AGAIN, calm_since=None)
    )
    [key] = allocate_keys(connection, _ALERTS, 1)
    row = {"id": key, "experiment_id": experiment, **alert._asdict()}
    connection.execute(insert(_ALERTS).values(row))
    add_deliveries(connection, key, receivers, is_end=False, due_at=alert.began_at)


def find_alert(connection: Connection, experiment: int, uuid: str) -> int | None:
    """Return the key of an alert; None where there is none."""
    query = select(AlertRow.id).where(AlertRow.experiment_id == experiment, AlertRow.uuid == uuid)
    return connection.execute(query).scalar_one_or_none()


def add_deliveries(
    connection: Connection,
    alert: int,
    receivers: Sequence[str],
    *,
    is_end: bool,
    due_at: datetime,
) -> None:
    """Add a delivery for each of several receivers."""
    rows = []
    keys = allocate_keys(connection, _DELIVERIES, len(receivers))
    for key, receiver in zip(keys, receivers, strict=True):
        rows.append(
            {
                "id": key,
                "alert_id": alert,
                "receiver": receiver,
                "is_end": is_end,
                "due_at": due_at,
                "state": WAITING,
                "attempts": 0,
                "is_uncertain": False,
            }
        )
    insert_rows(connection, _DELIVERIES, rows)


def note_calm(connection: Connection, alerts: Sequence[int], since: datetime | None) -> None:
    """Note since when the rules of open alerts no longer hold; None where they hold again."""
    if alerts:
        connection.execute(update(AlertRow).where(AlertRow.id.in_(alerts)).values(calm_since=since))


def end_alert(connection: Connection, alert: int, *, ended_at: datetime, words: str) -> None:
    """Note that an alert is over."""
    values = {"ended_at": ended_at, "ended_words": words, "calm_since": None}
    connection.execute(update(AlertRow).where(AlertRow.id == alert).values(values))


def told_receivers(connection: Connection, alert: int) -> list[str]:
    """Return the receivers that know, or may know, that an alert began.

    Others are told both at once, by the message that still waits.
    """
    query = select(AlertDeliveryRow.receiver).where(
        AlertDeliveryRow.alert_id == alert,
        AlertDeliveryRow.is_end.is_(False),
        or_(
            AlertDeliveryRow.state == SENT,
            (AlertDeliveryRow.state == WAITING)
            & (AlertDeliveryRow.is_uncertain | AlertDeliveryRow.leased_until.is_not(None)),
        ),
    )
    return list(connection.execute(query.order_by(AlertDeliveryRow.receiver)).scalars())


def take_deliveries(
    connection: Connection, *, now: datetime, until: datetime
) -> list[TakenDelivery]:
    """Take what is due for the receiver that waits longest, until a moment; nothing if none is.

    What another process took and never settled is uncertain: it may have been sent.
    """
    is_due = (
        AlertDeliveryRow.state == WAITING,
        AlertDeliveryRow.due_at <= now,
        or_(AlertDeliveryRow.leased_until.is_(None), AlertDeliveryRow.leased_until < now),
    )
    first = connection.execute(
        select(AlertRow.experiment_id, AlertDeliveryRow.receiver)
        .join(AlertRow, AlertRow.id == AlertDeliveryRow.alert_id)
        .where(*is_due)
        .order_by(AlertDeliveryRow.due_at, AlertDeliveryRow.id)
        .limit(1)
    ).first()
    if first is None:
        return []
    query = (
        select(AlertDeliveryRow.id)
        .join(AlertRow, AlertRow.id == AlertDeliveryRow.alert_id)
        .where(*is_due)
        .where(AlertRow.experiment_id == first.experiment_id)
        .where(AlertDeliveryRow.receiver == first.receiver)
        .order_by(AlertDeliveryRow.id)
        .limit(MOST_TAKEN)
        # Two processes take two parts, and neither waits for the other
        .with_for_update(skip_locked=True, of=AlertDeliveryRow)
    )
    keys = list(connection.execute(query).scalars())
    if not keys:
        return []
    connection.execute(
        update(AlertDeliveryRow)
        .where(AlertDeliveryRow.id.in_(keys))
        .values(
            is_uncertain=AlertDeliveryRow.is_uncertain | AlertDeliveryRow.leased_until.is_not(None),
            attempts=AlertDeliveryRow.attempts + 1,
            leased_until=until,
        )
    )
    return [TakenDelivery(*row) for row in connection.execute(_taken_query(keys))]


def _taken_query(keys: Sequence[int]) -> Select[Any]:
    return (
        select(*_TAKEN)
        .join(AlertRow, AlertRow.id == AlertDeliveryRow.alert_id)
        .join(Experiment, Experiment.id == AlertRow.experiment_id)
        .where(AlertDeliveryRow.id.in_(keys))
        .order_by(AlertDeliveryRow.id)
    )


def put_off_deliveries(
    connection: Connection,
    taken: Sequence[TakenDelivery],
    *,
    due_at: datetime,
    problem: str | None,
    is_uncertain: bool,
) -> None:
    """Have deliveries tried again later.

    Args:
        connection: in a transaction.
        problem: why they were not sent; None where nobody tried.
        is_uncertain: whether they may have been sent.
    """
    values: dict[str, object] = {"due_at": due_at, "leased_until": None}
    if problem is None:
        values["attempts"] = AlertDeliveryRow.attempts - 1
    else:
        values["problem"] = problem
    if is_uncertain:
        values["is_uncertain"] = True
    keys = [delivery.key for delivery in taken]
    connection.execute(update(AlertDeliveryRow).where(AlertDeliveryRow.id.in_(keys)).values(values))


def settle_delivery(
    connection: Connection,
    alert: int,
    receiver: str,
    *,
    is_end: bool,
    is_sent: bool,
    at: datetime,
    problem: str | None,
) -> None:
    """Note that a delivery was sent, or given up."""
    statement = (
        update(AlertDeliveryRow)
        .where(
            AlertDeliveryRow.alert_id == alert,
            AlertDeliveryRow.receiver == receiver,
            AlertDeliveryRow.is_end.is_(is_end),
        )
        .values(
            state=SENT if is_sent else GIVEN_UP,
            settled_at=at,
            leased_until=None,
            problem=problem,
        )
    )
    connection.execute(statement)
