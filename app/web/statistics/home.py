"""The first page: a search box, what needs somebody, what runs, the campaigns, the newest jobs."""

from datetime import datetime
from typing import NamedTuple

from flask import Blueprint, Response

from jobprov.app.kept_answers import read_attention, read_campaigns, read_throughput
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked
from jobprov.app.web.starred import shared_pages, sharing_address, starred_pages
from jobprov.app.web.statistics.burn_downs import HEIGHT, DrawnBurnDown, draw_burn_down
from jobprov.app.web.statistics.throughput import first_line
from jobprov.app.web.statistics.visits import last_visit, note_visit
from jobprov.app.web.tasks import queue as queue_page
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.attention import Attention, Need
from jobprov.provenance.answers.statistics.campaigns import CampaignList, CampaignStages
from jobprov.provenance.answers.statistics.throughput import Throughput
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.verdicts import LEVELS
from jobprov.provenance.services.statistics.home import home_facts

_LAST_DAY = "24h"
_MOST_STAGES = 8
"""What the template shows of a campaign."""


class CampaignRow(NamedTuple):
    """A campaign, and how its units became done; None where nobody knows how many there are."""

    campaign: CampaignStages
    burn_down: DrawnBurnDown | None


class ShownNeed(NamedTuple):
    """A need, and whether it began since the reader was here last."""

    need: Need
    is_new: bool


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/", view_func=show_home)


def show_home() -> Response:
    """Show what needs somebody and what is recorded.

    `since=` says since when causes are new, `starred=` which pages somebody keeps.
    """
    with get_service().reading() as connection:
        facts = home_facts(connection)
    campaigns = read_campaigns()
    attention = read_attention(asked("since") or _LAST_DAY, campaigns, facts.queue)
    lately = _last_day() if facts.amounts.jobs else None
    shared, own = shared_pages(), starred_pages()
    rows = _campaign_rows(campaigns)
    states: set[UnitState] = set()
    for row in rows:
        for stage in row.campaign.stages[:_MOST_STAGES]:
            states.update(stage.units.states)
    page = answer(
        "statistics/home.html",
        twin=address("/attention", {"since": asked("since")}),
        facts=facts,
        counted=campaigns,
        campaigns=rows,
        has_burn_downs=any(row.burn_down for row in rows),
        attention=attention,
        attention_line=attention_line(attention),
        needs=_shown_needs(attention.needs, last_visit()),
        last_day=lately,
        last_day_line=None if lately is None else first_line(lately, {"since": _LAST_DAY}),
        queue_line=queue_page.first_line(facts.queue.counts),
        states=[state for state in UnitState if state in states],
        levels=LEVELS,
        burn_down_height=HEIGHT,
        starred=shared or own,
        is_shared=bool(shared),
        sharing=sharing_address(own),
    )
    note_visit(page)
    return page


def _campaign_rows(campaigns: CampaignList | None) -> list[CampaignRow]:
    if campaigns is None:
        return []
    return [CampaignRow(row, draw_burn_down(row.burn_down)) for row in campaigns.campaigns]


def _shown_needs(needs: list[Need], visited_at: datetime | None) -> list[ShownNeed]:
    shown = []
    for need in needs:
        is_new = False
        if visited_at is not None and need.since is not None:
            is_new = datetime.fromisoformat(need.since) > visited_at
        shown.append(ShownNeed(need, is_new))
    return shown


def attention_line(attention: Attention) -> str:
    """Return in a sentence whether anything needs somebody."""
    needs = len(attention.needs) + attention.left_out
    if not needs:
        return "Nothing needs attention."
    verb = "needs" if needs == 1 else "need"
    return f"{counted(needs, 'thing')} {verb} attention"


def _last_day() -> Throughput | None:
    """Return what ended in the last day; None while so many jobs are counted for the first time."""
    try:
        return read_throughput({"since": _LAST_DAY})
    except LimitError:
        return None
