"""Sends the messages that are due: one a receiver, tried again until it is sent or given up.

Several processes may do so at once: who sends what is taken in the database first, by a lease that
is longer than sending may take.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from jobprov.provenance.db.changes.alerts import TakenDelivery, put_off_deliveries, take_deliveries
from jobprov.provenance.db.queries.alerts.alerts import has_due_delivery
from jobprov.provenance.services.alerts.events import give_up, note_sent
from jobprov.provenance.services.alerts.messages import compose
from jobprov.provenance.services.alerts.receivers import Sending, send
from jobprov.provenance.services.alerts.rules import ExperimentAlerts
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writing

LEASE = timedelta(minutes=3)
FIRST_DELAY, LONGEST_DELAY = timedelta(minutes=1), timedelta(hours=1)
MOST_TRIES = 77
"""About three days, since most of them are an hour apart."""
_MOST_MESSAGES = 100
"""Messages of one round; what is left waits for the next."""
_NO_RECEIVER = "the file has no receiver of this name any more"


class SentMessages(NamedTuple):
    """How many messages of a round were sent, and how many could not be."""

    sent: int
    failed: int


def send_due(
    parts: Parts,
    address: str,
    rules: Mapping[str, ExperimentAlerts],
    *,
    now: datetime | None = None,
) -> SentMessages:
    """Send what is due, one message a receiver.

    Args:
        address: of the service.
        now: for tests; each message has a time of its own otherwise.
    """
    sent = failed = 0
    for _ in range(_MOST_MESSAGES):
        moment = now or datetime.now(UTC)
        with parts.database.reading.connect() as connection:
            if not has_due_delivery(connection, moment):
                break
        taken = parts.writer.run(_taker(moment))
        if not taken:
            break
        alerts = rules.get(taken[0].experiment)
        to_send = _without_quiet(parts, taken, alerts, moment)
        if not to_send:
            continue
        if _send(parts, address, to_send, alerts, moment):
            sent += 1
        else:
            failed += 1
    return SentMessages(sent, failed)


def _taker(now: datetime) -> Callable[[Writing], list[TakenDelivery]]:
    return lambda writing: take_deliveries(writing.connection, now=now, until=now + LEASE)


def _without_quiet(
    parts: Parts,
    taken: Sequence[TakenDelivery],
    alerts: ExperimentAlerts | None,
    now: datetime,
) -> list[TakenDelivery]:
    """Return what is to be sent now; the rest waits until the quiet hours are over."""
    ends = alerts.quiet.ends(now) if alerts and alerts.quiet else None
    if alerts is None or ends is None:
        return list(taken)
    urgent: list[TakenDelivery] = []
    waiting: list[TakenDelivery] = []
    for delivery in taken:
        (urgent if alerts.is_urgent(delivery.rule) else waiting).append(delivery)
    if waiting:
        parts.writer.run(
            lambda writing: put_off_deliveries(
                writing.connection, waiting, due_at=ends, problem=None, is_uncertain=False
            )
        )
    return urgent


def _send(
    parts: Parts,
    address: str,
    taken: Sequence[TakenDelivery],
    alerts: ExperimentAlerts | None,
    now: datetime,
) -> bool:
    """Send a message and note what became of it; return whether it was sent."""
    name = taken[0].receiver
    receiver = alerts.receivers.get(name) if alerts else None
    if receiver is None:
        sending = Sending(_NO_RECEIVER)
    else:
        message = compose(taken, address)
        sending = send(name, receiver, message.title, message.body)
    parts.writer.run(lambda writing: _settle(writing, taken, sending), received_at=now)
    return sending.is_sent


def _settle(writing: Writing, taken: Sequence[TakenDelivery], sending: Sending) -> None:
    if sending.problem is None:
        note_sent(writing, taken)
        return
    now = writing.received_at
    last: list[TakenDelivery] = []
    others: list[TakenDelivery] = []
    for delivery in taken:
        (last if delivery.attempts >= MOST_TRIES else others).append(delivery)
    if last:
        give_up(writing, last, sending.problem)
    if others:
        attempts = min(delivery.attempts for delivery in others)
        # The power is bounded, since a timedelta overflows
        delay = min(FIRST_DELAY * 2 ** min(attempts - 1, 10), LONGEST_DELAY)
        put_off_deliveries(
            writing.connection,
            others,
            due_at=now + delay,
            problem=sending.problem,
            is_uncertain=sending.is_uncertain,
        )
