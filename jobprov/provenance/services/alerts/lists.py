"""Alerts as pages and calls list them: what was found, and which receivers got it.

No address of a receiver is here: the database has none.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.provenance.answers.alerts import (
    DELIVERY_STATES,
    WAITING,
    Alert,
    AlertDelivery,
    AlertList,
)
from jobprov.provenance.db.queries.alerts.alerts import (
    ListedAlert,
    ListedDelivery,
    deliveries_of,
    list_alert_rows,
    list_checks,
)
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.paging import next_cursor, read_cursor
from jobprov.provenance.times import utc_text, utc_text_or_none

STATES = ("open", "over")


def list_alerts(
    connection: Connection,
    *,
    experiment: str | None = None,
    state: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> AlertList:
    """Return alerts, the newest first.

    Args:
        experiment: of this one alone.
        state: only those that are `open`, or `over`.

    Raises:
        NotFoundError: there is no such experiment.
        BadInputError: there is no such state, or the cursor cannot be read.
    """
    is_open = _is_open(state)
    key = None
    if experiment is not None:
        key = find_experiment(connection, experiment)
    rows = list_alert_rows(
        connection,
        experiment=key,
        is_open=is_open,
        before=read_cursor(cursor),
        limit=limit + 1,
    )
    return AlertList(
        alerts=_with_deliveries(connection, rows[:limit]),
        checks=list_checks(connection, key),
        next=next_cursor(rows, limit, lambda row: row.key),
    )


def _is_open(state: str | None) -> bool | None:
    """Return whether open alerts are asked for, False for those that are over; None for all."""
    if state is None:
        return None
    if state not in STATES:
        raise BadInputError.of_field("state", f"say open or over, not {state!r}", "open or over")
    return state == "open"


def _with_deliveries(connection: Connection, rows: Sequence[ListedAlert]) -> list[Alert]:
    """Return these alerts, each with the receivers that it was sent to."""
    deliveries: dict[int, list[ListedDelivery]] = defaultdict(list)
    for delivery in deliveries_of(connection, [row.key for row in rows]):
        deliveries[delivery.alert].append(delivery)
    return [_alert(row, deliveries[row.key]) for row in rows]


def _alert(row: ListedAlert, deliveries: Sequence[ListedDelivery]) -> Alert:
    return Alert(
        id=row.uuid,
        experiment=row.experiment,
        rule=row.rule,
        condition=row.condition,
        subject=row.subject,
        began_at=utc_text(row.began_at),
        words=row.words,
        ended_at=utc_text_or_none(row.ended_at),
        ended_words=row.ended_words,
        url=row.page,
        deliveries=[_delivery(delivery) for delivery in deliveries],
    )


def _delivery(row: ListedDelivery) -> AlertDelivery:
    due_at = None
    if row.state == WAITING:
        due_at = utc_text(row.due_at)
    return AlertDelivery(
        receiver=row.receiver,
        about="over" if row.is_end else "began",
        state=DELIVERY_STATES[row.state],
        settled_at=utc_text_or_none(row.settled_at),
        attempts=row.attempts,
        due_at=due_at,
        problem=row.problem,
    )
