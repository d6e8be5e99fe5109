"""The page of alerts: what is wrong now, what was wrong, and which receivers got it."""

from typing import NamedTuple

from flask import Response

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer_rows, asked, first_page, next_page, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.alerts import Alert, AlertCheck, AlertDelivery, AlertList
from jobprov.provenance.services.alerts.lists import list_alerts

_ROWS = 60
_CHECKS = 20
_DELIVERIES = 4


class ShownAlert(NamedTuple):
    """An alert as the page shows it.

    Attributes:
        told: messages about it, those that were not sent first, `_DELIVERIES` at most.
        more: how many more there are.
    """

    alert: Alert
    told: list[AlertDelivery]
    more: int


class AlertsPage(NamedTuple):
    """What the page shows.

    Attributes:
        is_watched: whether the operator named a file of rules.
        has_more_open: whether there are more that are not over than it shows.
    """

    experiment: str | None
    first_line: str
    is_watched: bool
    open_alerts: list[ShownAlert]
    has_more_open: bool
    past_alerts: list[ShownAlert]
    checks: list[AlertCheck]
    twin: str
    first_page: str | None
    next_page: str | None


@pages.get("/alerts", endpoint="alerts")
def show_page() -> Response:
    """Show what is wrong now, and what was."""
    return answer_rows("alerts/alerts.html", _ROWS, _page)


def _page(rows: int) -> AlertsPage:
    """Return the contents of the page with so many rows."""
    experiment, cursor, service = asked("experiment"), asked("cursor"), get_service()
    is_watched = service.settings.alerts is not None
    with service.reading() as connection:
        standing = list_alerts(connection, experiment=experiment, state="open", limit=rows)
        past = list_alerts(
            connection, experiment=experiment, state="over", limit=rows, cursor=cursor
        )
    return AlertsPage(
        experiment=experiment,
        first_line=_first_line(standing, is_watched=is_watched),
        is_watched=is_watched,
        open_alerts=[_shown(alert) for alert in standing.alerts],
        has_more_open=standing.next is not None,
        past_alerts=[_shown(alert) for alert in past.alerts],
        checks=standing.checks[:_CHECKS],
        twin=address("/alerts", {"experiment": experiment}),
        first_page=first_page(),
        next_page=next_page(past.next),
    )


def _shown(alert: Alert) -> ShownAlert:
    deliveries = sorted(alert.deliveries, key=lambda delivery: delivery.state == "sent")
    return ShownAlert(alert, deliveries[:_DELIVERIES], max(0, len(deliveries) - _DELIVERIES))


def _first_line(standing: AlertList, *, is_watched: bool) -> str:
    """Return how much is wrong now."""
    if not standing.alerts:
        if standing.checks:
            return "Nothing is wrong that a rule looks at."
        if is_watched:
            return "No rule has been looked at yet."
        return "No rule is declared, so nothing is looked at."
    shown = counted(len(standing.alerts), "alert")
    if standing.next is not None:
        return f"More than {shown} now."
    return f"{shown} now."
