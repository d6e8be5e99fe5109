"""The first page: a search box, what needs somebody, what runs, the campaigns, the newest jobs."""

from datetime import UTC, datetime
from typing import NamedTuple

from flask import Response

from jobprov.app.kept_answers import read_attention, read_campaigns, read_throughput
from jobprov.app.web.failures.errors import recent_errors
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted, duration
from jobprov.app.web.frame.page import answer, asked, pages
from jobprov.app.web.starred import shared_pages, sharing_address, starred_pages
from jobprov.app.web.statistics.burn_downs import HEIGHT, DrawnBurnDown, draw_burn_down
from jobprov.app.web.statistics.throughput import first_line
from jobprov.app.web.statistics.visits import last_visit, note_visit
from jobprov.app.web.tasks import queue as queue_page
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.attention import OF_SERVICE, Attention, Need
from jobprov.provenance.answers.statistics.campaigns import CampaignList, CampaignStages
from jobprov.provenance.answers.statistics.throughput import Throughput
from jobprov.provenance.answers.tasks.queue import Queue
from jobprov.provenance.answers.tasks.tasks import NEEDS_SOMEBODY, UnitState
from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.verdicts import LEVELS
from jobprov.provenance.services.statistics.home import home_facts
from jobprov.provenance.services.statistics.throughput import length_of

_LAST_DAY = "24h"
_DAY = 86_400
_MOST_STAGES = 8
"""What the template shows of a campaign."""


class CampaignRow(NamedTuple):
    """A campaign, and how its units were done over time; None if their number is not declared."""

    campaign: CampaignStages
    burn_down: DrawnBurnDown | None


class ShownNeed(NamedTuple):
    """A need, and whether it began since the reader was here last."""

    need: Need
    is_new: bool


class AttentionGroup(NamedTuple):
    """What needs attention in productions, or in the service.

    Attributes:
        line: in a sentence whether anything does, without its full stop if something does.
        since, ago: when the oldest began, and how long ago that was; None and empty where that is
            not known.
    """

    line: str
    since: str | None
    ago: str
    needs: list[ShownNeed]


@pages.get("/")
def show_home() -> Response:
    """Show what needs somebody and what is recorded.

    `since=` says since when causes are new, `starred=` which pages somebody keeps.
    """
    with get_service().reading() as connection:
        facts = home_facts(connection)
    campaigns = read_campaigns()
    attention = read_attention(asked("since") or _LAST_DAY, campaigns, facts.queue)
    last_day, last_day_line = None, None
    if facts.amounts.jobs:
        last_day = _last_day()
    if last_day is not None:
        last_day_line = first_line(last_day, {"since": _LAST_DAY})
    shared, own = shared_pages(), starred_pages()
    rows = _campaign_rows(campaigns)
    now = datetime.now(UTC)
    page = answer(
        "statistics/home.html",
        twin=address("/attention", {"since": asked("since")}),
        facts=facts,
        counted=campaigns,
        campaigns=rows,
        has_burn_downs=any(row.burn_down for row in rows),
        attention=attention,
        new_seconds=int(length_of(attention.window, "since").total_seconds()),
        attention_groups=attention_groups(attention, last_visit(), now),
        last_day=last_day,
        last_day_line=last_day_line,
        queue_line=_queue_line(facts.queue),
        recent_errors=recent_errors(now),
        states=_states_of(rows),
        levels=LEVELS,
        burn_down_height=HEIGHT,
        starred=shared or own,
        is_shared=bool(shared),
        sharing=sharing_address(own),
    )
    note_visit(page)
    return page


def _states_of(rows: list[CampaignRow]) -> list[UnitState]:
    """Return the states of units that the shown stages have, for the legend of their bars."""
    occurring: set[UnitState] = set()
    for row in rows:
        for stage in row.campaign.stages[:_MOST_STAGES]:
            occurring.update(stage.units.states)
    return [state for state in UnitState if state in occurring]


def _campaign_rows(campaigns: CampaignList | None) -> list[CampaignRow]:
    if campaigns is None:
        return []
    now = datetime.fromisoformat(campaigns.counted_at)
    rows = []
    for campaign in campaigns.campaigns:
        drawn = draw_burn_down(campaign.burn_down, _units_to_decide(campaign), now)
        rows.append(CampaignRow(campaign, drawn))
    return rows


def _units_to_decide(campaign: CampaignStages) -> int:
    """Return how many units stay undone until somebody decides, where their number is declared."""
    count = 0
    for stage in campaign.stages:
        if stage.units.expected is not None:
            count += sum(stage.units.states.get(state, 0) for state in NEEDS_SOMEBODY)
    return count


def _shown_needs(needs: list[Need], visited_at: datetime | None) -> list[ShownNeed]:
    shown = []
    for need in needs:
        is_new = False
        if visited_at is not None and need.since is not None:
            is_new = datetime.fromisoformat(need.since) > visited_at
        shown.append(ShownNeed(need, is_new))
    return shown


def attention_groups(
    attention: Attention, visited_at: datetime | None, now: datetime
) -> list[AttentionGroup]:
    """Return what needs attention: in productions, though nothing may, then in the service.

    They are kept apart so that an old missing backup does not hide when a production got in
    trouble.
    """
    of_production = [need for need in attention.needs if need.kind not in OF_SERVICE]
    of_service = [need for need in attention.needs if need.kind in OF_SERVICE]
    count = len(of_production) + attention.left_out
    if count:
        line = f"{_things(count)} attention"
    elif attention.problems:
        line = "Nothing else is known to need attention."
    elif of_service:
        line = "Nothing in production needs attention."
    else:
        line = "Nothing needs attention."
    groups = [_attention_group(line, of_production, visited_at, now)]
    if of_service:
        line = f"{_things(len(of_service))} attention in the service itself"
        groups.append(_attention_group(line, of_service, visited_at, now))
    return groups


def _things(count: int) -> str:
    verb = "needs" if count == 1 else "need"
    return f"{counted(count, 'thing')} {verb}"


def _attention_group(
    line: str, needs: list[Need], visited_at: datetime | None, now: datetime
) -> AttentionGroup:
    since = min((need.since for need in needs if need.since), default=None)
    ago = ""
    if since is not None:
        seconds = (now - datetime.fromisoformat(since)).total_seconds()
        # Minutes say nothing about what began days ago
        ago = duration(max(0, seconds)) if seconds < _DAY else counted(int(seconds // _DAY), "day")
    return AttentionGroup(line, since, ago, _shown_needs(needs, visited_at))


def _queue_line(queue: Queue) -> str:
    if not queue.counts.total and not queue.sources:
        return "Not known: no queue is reported to this service."
    return queue_page.first_line(queue)


def _last_day() -> Throughput | None:
    """Return what ended in the last day; None while so many jobs are counted for the first time."""
    try:
        return read_throughput({"since": _LAST_DAY})
    except LimitError:
        return None
