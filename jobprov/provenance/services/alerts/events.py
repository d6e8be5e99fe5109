"""What happens to alerts, as entries of the ledger: began, is over, was sent, was given up.

The rows are written by the same functions when the ledger is replayed, so that a database that was
rebuilt sends nothing again, and still sends what waits.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from jobprov.provenance.db.changes.alerts import (
    NewAlert,
    TakenDelivery,
    add_alert,
    add_deliveries,
    end_alert,
    find_alert,
    settle_delivery,
    told_receivers,
)
from jobprov.provenance.db.queries.alerts.alerts import OpenAlert
from jobprov.provenance.services.ledger.entries import enter_documents
from jobprov.provenance.services.writing import Writing

KIND = "alert"


class Found(NamedTuple):
    """What a rule found: the subject, what there is to say, and the page that shows it."""

    subject: str
    words: str
    page: str


class _Began(Struct, tag_field="event", tag="began", frozen=True):
    alert: str
    rule: str
    condition: str
    subject: str
    words: str
    page: str
    receivers: list[str]


class _Over(Struct, tag_field="event", tag="over", frozen=True):
    alert: str
    words: str
    receivers: list[str]


class _About(Struct, frozen=True):
    alert: str
    is_end: bool


class _Sent(Struct, tag_field="event", tag="sent", frozen=True):
    receiver: str
    about: list[_About]


class _GivenUp(Struct, tag_field="event", tag="given_up", frozen=True):
    receiver: str
    about: list[_About]
    problem: str


_Event = _Began | _Over | _Sent | _GivenUp


def begin_alerts(
    writing: Writing,
    experiment: int,
    found: Sequence[Found],
    *,
    rule: str,
    condition: str,
    receivers: Sequence[str],
) -> None:
    """Note that a rule now holds for these subjects, and queue messages to its receivers."""
    events: list[_Event] = []
    for subject, words, page in found:
        alert = str(uuid.uuid4())
        events.append(_Began(alert, rule, condition, subject, words, page, list(receivers)))
    _enter(writing, experiment, events)


def end_alerts(writing: Writing, experiment: int, alerts: Sequence[OpenAlert], words: str) -> None:
    """Note that alerts are over, and queue messages to the receivers that know of their beginning.

    `words` say why they are over.
    """
    events = []
    for alert in alerts:
        receivers = told_receivers(writing.connection, alert.key)
        events.append(_Over(alert.uuid, words, receivers))
    _enter(writing, experiment, events)


def end_alerts_without_rule(writing: Writing, experiment: int, alerts: Sequence[OpenAlert]) -> None:
    """Note that alerts are over since their rule was removed, without a message."""
    _enter(writing, experiment, [_Over(alert.uuid, "the rule was removed", []) for alert in alerts])


def note_sent(writing: Writing, taken: Sequence[TakenDelivery]) -> None:
    """Note that a message about deliveries of one receiver was sent."""
    _enter(writing, taken[0].experiment_key, [_Sent(taken[0].receiver, _about(taken))])


def give_up(writing: Writing, taken: Sequence[TakenDelivery], problem: str) -> None:
    """Note that deliveries of one receiver are not tried any more."""
    event = _GivenUp(taken[0].receiver, _about(taken), problem)
    _enter(writing, taken[0].experiment_key, [event])


def _about(taken: Sequence[TakenDelivery]) -> list[_About]:
    return [_About(delivery.uuid, delivery.is_end) for delivery in taken]


def _enter(writing: Writing, experiment: int, events: Sequence[_Event]) -> None:
    documents: list[dict[str, Any]] = [msgspec.to_builtins(event) for event in events]
    enter_documents(writing, experiment, KIND, documents)
    for document in documents:
        write_event(writing, experiment, document, writing.received_at)


def write_event(
    writing: Writing, experiment: int, document: Mapping[str, Any], received_at: datetime
) -> None:
    """Write the rows of an event whose ledger entry is there."""
    event: _Event = msgspec.convert(document, _Event)
    connection = writing.connection
    if isinstance(event, _Began):
        alert = NewAlert(
            event.alert,
            event.rule,
            event.condition,
            event.subject,
            event.words,
            event.page,
            received_at,
        )
        add_alert(connection, experiment, alert, event.receivers)
        return
    if isinstance(event, _Over):
        key = find_alert(connection, experiment, event.alert)
        if key is not None:
            end_alert(connection, key, ended_at=received_at, words=event.words)
            add_deliveries(connection, key, event.receivers, is_end=True, due_at=received_at)
        return
    problem = event.problem if isinstance(event, _GivenUp) else None
    for about in event.about:
        key = find_alert(connection, experiment, about.alert)
        if key is not None:
            settle_delivery(
                connection,
                key,
                event.receiver,
                is_end=about.is_end,
                is_sent=isinstance(event, _Sent),
                at=received_at,
                problem=problem,
            )
