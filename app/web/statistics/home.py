"""The first page: a search box, the newest jobs, the campaigns."""

from flask import Blueprint, Response

from jobprov.app.kept_answers import read_answer, read_throughput
from jobprov.app.web.frame.page import answer
from jobprov.app.web.statistics.throughput import first_line
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.statistics.campaigns import CampaignList
from jobprov.provenance.answers.statistics.throughput import Throughput
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.verdicts import LEVELS
from jobprov.provenance.services.statistics.counting import CAMPAIGNS
from jobprov.provenance.services.statistics.home import home_facts

_LAST_DAY = "24h"
_MOST_STAGES = 8
"""What the template shows of a campaign."""


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/", view_func=show_home)


def show_home() -> Response:
    """Show what is recorded, newest first."""
    with get_service().reading() as connection:
        facts = home_facts(connection)
    counted = _campaigns()
    lately = _last_day() if facts.amounts.jobs else None
    states: set[UnitState] = set()
    for campaign in counted.campaigns if counted else ():
        for stage in campaign.stages[:_MOST_STAGES]:
            states.update(stage.units.states)
    return answer(
        "statistics/home.html",
        twin="/jobs?limit=20",
        facts=facts,
        counted=counted,
        last_day=lately,
        last_day_line=None if lately is None else first_line(lately, {"since": _LAST_DAY}),
        states=[state for state in UnitState if state in states],
        levels=LEVELS,
    )


def _last_day() -> Throughput | None:
    """Return what ended in the last day; None while so many jobs are counted for the first time."""
    try:
        return read_throughput({"since": _LAST_DAY})
    except LimitError:
        return None


def _campaigns() -> CampaignList | None:
    """Return the newest campaigns; None while so many jobs are counted for the first time."""
    try:
        return read_answer(CAMPAIGNS)
    except LimitError:
        return None
