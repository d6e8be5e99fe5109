"""Alerts: what a rule of an experiment found, whom it was told, and when it was over."""

from typing import Literal

from msgspec import Struct

DeliveryState = Literal["waiting", "sent", "given up"]
DELIVERY_STATES: tuple[DeliveryState, ...] = ("waiting", "sent", "given up")
"""By number, as the table of deliveries has them."""
WAITING, SENT, GIVEN_UP = range(3)


class AlertDelivery(Struct, frozen=True):
    """A message about an alert.

    Attributes:
        receiver: its name in the operator's file.
        about: that the alert began, or that it is over.
        settled_at: when it was sent or given up; None while it waits.
        attempts: tries so far.
        due_at: when it is tried next; None once it is settled.
        problem: why the last try failed.
    """

    receiver: str
    about: Literal["began", "over"]
    state: DeliveryState
    settled_at: str | None
    attempts: int
    due_at: str | None
    problem: str | None


class Alert(Struct, frozen=True):
    """One time that a rule held.

    Attributes:
        rule: its name in the operator's file.
        condition: what the rule watches, such as `failure_share`.
        subject: the site, stage or cause; '' for the whole experiment.
        words: what was found.
        ended_at: when it was over; None while it holds.
        ended_words: what was found then.
        url: of the page that shows it.
    """

    id: str
    experiment: str
    rule: str
    condition: str
    subject: str
    began_at: str
    words: str
    ended_at: str | None
    ended_words: str | None
    url: str
    deliveries: list[AlertDelivery]


class AlertCheck(Struct, frozen=True):
    """When the rules of an experiment were last looked at.

    Attributes:
        problem: what kept rules from being looked at; None where nothing did.
    """

    experiment: str
    checked_at: str
    problem: str | None


class AlertList(Struct, frozen=True):
    """Alerts, the newest first.

    Attributes:
        checks: of the experiments that have rules.
        next: what goes into `cursor` of the next call; None at the end.
    """

    alerts: list[Alert]
    checks: list[AlertCheck]
    next: str | None
