"""The first page: a search box, the newest jobs, the campaigns."""

from flask import Blueprint, Response

from jobprov.app.kept_answers import read_answer
from jobprov.app.web.frame.page import answer
from jobprov.app.wiring import get_service
from jobprov.provenance.records.verdicts import LEVELS
from jobprov.provenance.services.statistics.counting import CAMPAIGNS
from jobprov.provenance.services.statistics.home import home_facts

_MOST_CAMPAIGNS, _MOST_STAGES = 20, 8
"""What the template shows of them."""


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/", view_func=show_home)


def show_home() -> Response:
    """Show what is recorded, newest first."""
    with get_service().reading() as connection:
        facts = home_facts(connection)
    counted = read_answer(CAMPAIGNS)
    states: set[str] = set()
    for campaign in counted.campaigns[:_MOST_CAMPAIGNS]:
        for stage in campaign.stages[:_MOST_STAGES]:
            states.update(stage.states)
    return answer(
        "statistics/home.html",
        twin="/jobs?limit=20",
        facts=facts,
        campaigns=counted.campaigns,
        states=sorted(states),
        counted=counted,
        levels=LEVELS,
    )
