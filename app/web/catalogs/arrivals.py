"""The page of an experiment's files on their way into the catalog: how many a day, which are late."""

from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.page import answer, asked, asked_number, experiment_asked, here
from jobprov.app.wiring import get_service
from jobprov.provenance.catalogs.opening import read_catalogs
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.catalogs.arrivals import (
    MOST_DAYS,
    arrivals_sentence,
    list_arrivals,
)

_ROWS = 100
_MOST_HOURS = 100_000


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/arrivals", view_func=show_page, endpoint="arrivals")


def show_page() -> Response:
    """Show what was written, a day each, and what did not arrive in time."""
    experiment = experiment_asked()
    if experiment is None:
        raise BadInputError("experiment: name one.", {"experiment": ["missing"]})
    days = asked_number("days", least=1, most=MOST_DAYS) or 7
    hours = asked_number("hours", least=0, most=_MOST_HOURS)
    cursor = asked("cursor")
    service = get_service()
    with service.reading() as connection:
        arrivals = list_arrivals(
            connection,
            experiment,
            catalogs=read_catalogs(service.settings.catalogs),
            days=days,
            hours=hours,
            limit=_ROWS,
            cursor=cursor,
        )
    words = {"experiment": experiment, "days": str(days)}
    if hours is not None:
        words["hours"] = str(hours)
    return answer(
        "catalogs/arrivals.html",
        twin=address("/arrivals", words),
        first_line=arrivals_sentence(arrivals),
        arrivals=arrivals,
        days=days,
        files=cut_rows("late", arrivals.files, _ROWS),
        is_first_page=cursor is None,
        next_page=here(cursor=arrivals.next) if arrivals.next else None,
    )
