"""The page of a campaign, its stages in order, how far each is, its tasks; and its report.

The report is a page that prints, without the frame of the others: it is saved and sent on.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from flask import Response, make_response

from jobprov.app.kept_answers import read_answer, read_report, read_spending
from jobprov.app.reports.page import report_page
from jobprov.app.reports.rows import (
    SPENT,
    done_words,
    left_words,
    silent_words,
    spent_row,
    state_words,
    week_words,
)
from jobprov.app.web.frame.cuts import Cut, asked_section, cut_rows
from jobprov.app.web.frame.formats import counted, number, text
from jobprov.app.web.frame.page import answer, asked, asset, here, pages
from jobprov.app.web.frame.progress import ProgressPiece, progress
from jobprov.app.web.tasks.backlogs import backlog_section
from jobprov.app.web.tasks.figures import show_figure
from jobprov.app.web.tasks.queue import queue_section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import (
    campaign_page,
    fits_path,
    throughput_page,
    with_query,
)
from jobprov.provenance.answers.statistics.campaigns import (
    CampaignProgress,
    StageProgress,
    TaskUnits,
    UnitCounts,
)
from jobprov.provenance.answers.statistics.spending import Spending
from jobprov.provenance.answers.tasks.queue import Queue
from jobprov.provenance.answers.tasks.tasks import NEEDS_SOMEBODY, UnitState
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.lineage.words import elided, proof_line
from jobprov.provenance.services.kept_answers.counting import CAMPAIGN, jobs_of
from jobprov.provenance.services.lookup.gaps import list_gaps
from jobprov.provenance.services.tasks.queue import whole_queue

_MOST_COUNTED = 20_000
_STAGE_WIDTH = 60
"""Jobs: the gaps of more are counted only when asked for; 100,000 take a second."""

_TRIED = NEEDS_SOMEBODY | {UnitState.RUNNING, UnitState.IDLE}


class SpentRow(NamedTuple):
    """The cost of jobs in words, and the page that shows it over time; None if there is no cost."""

    url: str | None
    cells: tuple[str, ...]


class SpentTable(NamedTuple):
    """What jobs cost; the first column has what they are grouped by."""

    column: str
    rows: list[SpentRow]


@pages.get("/campaigns/<experiment>/<path:name>", endpoint="campaign")
def show_page(experiment: str, name: str) -> Response:
    """Show a campaign; `campaign=` names one that no path can."""
    name = asked("campaign") or name
    campaign = read_answer(CAMPAIGN, experiment=experiment, campaign=name)
    if asked("figure"):
        return show_figure(campaign, read_spending(experiment, name))
    queue = _queue(campaign)
    spending = read_spending(experiment, name)
    backlog = backlog_section(campaign.backlog, datetime.fromisoformat(campaign.counted_at))
    has_missing = any(task.missing for task in campaign.tasks)
    # Tasks with something left come first: among a thousand, nobody would find them
    tasks = sorted(campaign.tasks, key=lambda task: task.missing == 0)
    return answer(
        "tasks/campaign.html",
        twin=twin_of(name, "", {"experiment": experiment}),
        is_live=has_missing or any(task.running for task in campaign.tasks),
        campaign=campaign,
        first_line=first_line(campaign),
        bars_of=_bars,
        **backlog._asdict(),
        figure=None if backlog.backlog is None else here(figure="svg"),
        **queue_section(queue, {"experiment": experiment, "campaign": name})._asdict(),
        is_under_way=has_missing or bool(queue.counts.total),
        tasks=cut_rows("tasks", tasks, 40),
        spending=_spent_tables(campaign, spending),
        week_line="" if spending is None else _cost_line(spending),
        spent_titles=SPENT,
        **_gap_section(campaign)._asdict(),
        proof_line=proof_line,
        # An estimate learns from jobs that succeeded, whatever became of their files
        is_begun=any(stage.states.get("succeeded") for stage in campaign.stages),
        count_gaps=here(whole="gaps"),
    )


def _cost_line(spending: Spending) -> str:
    """Return what goes before the tables of what a campaign cost."""
    return f"{week_words(spending)} {silent_words(spending)}".strip()


def _spent_tables(campaign: CampaignProgress, spending: Spending | None) -> list[SpentTable]:
    """Return what a campaign cost by week, site and release, each name with the page of its jobs.

    Return nothing where it is not counted yet, or cost nothing.
    """
    if spending is None or not spending.total.jobs:
        return []
    experiment, name = campaign.experiment, campaign.campaign
    weeks = [SpentRow(None, spent_row(spent, "When")) for spent in spending.weeks]
    weeks.append(SpentRow(None, spent_row(spending.total, "When")))
    sites = []
    for spent in spending.sites:
        url = None
        if spent.name is not None:
            url = throughput_page(
                experiment=experiment, campaign=name, site=spent.name, since="28d"
            )
        sites.append(SpentRow(url, spent_row(spent, "Site")))
    releases = [SpentRow(None, spent_row(spent, "Release")) for spent in spending.releases]
    return [
        SpentTable("When", weeks),
        SpentTable("Site", sites),
        SpentTable("Release", releases),
    ]


class GapSection(NamedTuple):
    """The gaps of a campaign's jobs, and how many jobs have any; None if they are not counted."""

    gaps: Cut | None
    gap_jobs: int | None


def _gap_section(campaign: CampaignProgress) -> GapSection:
    """Return the gaps of the campaign's jobs, unless there are too many jobs to count unasked."""
    if jobs_of(campaign) > _MOST_COUNTED and asked_section() != "gaps":
        return GapSection(None, None)
    filters = JobFilters(experiment=campaign.experiment, campaign=campaign.campaign)
    with get_service().reading() as connection:
        counts = list_gaps(connection, filters)
    return GapSection(cut_rows("gaps", counts.gaps, 15), counts.job_count)


def _queue(campaign: CampaignProgress) -> Queue:
    """Return how many of the campaign's jobs run and wait, without the jobs."""
    with get_service().reading() as connection:
        return whole_queue(
            connection,
            experiment=campaign.experiment,
            campaign=campaign.campaign,
            limit=0,
        )


def twin_of(name: str, view: str, query: dict[str, str]) -> str:
    """Return the address of the same as JSON, below /api/v1."""
    if fits_path(name):
        return with_query(f"/campaigns/{quote(name, safe='')}{view}", query)
    return with_query(f"/campaigns/-{view}", {**query, "campaign": name})


def _bars(units: UnitCounts | TaskUnits) -> list[ProgressPiece]:
    return progress(units.states, units.expected)


def first_line(campaign: CampaignProgress) -> str:
    """Return how far the campaign is and what is missing.

    In stages without a declared number of units, units that have jobs are counted.
    """
    stages = campaign.stages
    if not stages:
        return f"{counted(campaign.task_count, 'task')} declared; no job is recorded yet."
    left = left_words(campaign)
    declared = [stage for stage in stages if stage.units.expected is not None]
    if not declared:
        return f"{_begun_done(stages)}.{left}"
    line = _units_done(declared)
    undeclared = [_made(stage) for stage in stages if stage.units.expected is None]
    if undeclared:
        line += f"; without a declared number: {', '.join(undeclared)}"
    return f"{line}.{left}"


def _units_done(stages: Sequence[StageProgress]) -> str:
    done = sum(stage.units.produced for stage in stages)
    expected = sum(stage.units.expected or 0 for stage in stages)
    line = f"{done_words(done, expected)} in {counted(len(stages), 'stage')}"
    waived = sum(stage.units.waived for stage in stages)
    if waived:
        line += f", {number(waived)} waived"
    incomplete = [_missing(stage) for stage in stages if stage.units.missing]
    if incomplete:
        line += f"; missing: {', '.join(incomplete)}"
    return line


def _begun_done(stages: Sequence[StageProgress]) -> str:
    newest = stages[-1]
    total = sum(newest.units.states.values())
    begun = f"{counted(len(stages), 'stage')} begun, the last is {_stage_name(newest)}"
    line = f"{begun}: {number(newest.units.produced)} of {counted(total, 'unit')} done"

    mishaps: Counter[UnitState] = Counter()
    for stage in stages:
        for state in NEEDS_SOMEBODY:
            mishaps[state] += stage.units.states.get(state, 0)
    states = state_words(mishaps)
    return f"{line}; {states} in all" if states else line


def _stage_name(stage: StageProgress) -> str:
    return elided(text(stage.stage or "no stage"), _STAGE_WIDTH)


def _missing(stage: StageProgress) -> str:
    """Return `371 of reco (217 failed, 54 running)`."""
    units = stage.units
    line = f"{number(units.missing)} of {_stage_name(stage)}"
    return f"{line}{_tried(units)}"


def _made(stage: StageProgress) -> str:
    """Return `2,394 of reco done (3 failed)`."""
    line = f"{number(stage.units.produced)} of {_stage_name(stage)} done"
    return f"{line}{_tried(stage.units)}"


def _tried(units: UnitCounts) -> str:
    """Return in brackets what became of the units that are not done but had a job; '' for none."""
    tried = {state: count for state, count in units.states.items() if state in _TRIED}
    states = state_words(tried)
    return f" ({states})" if states else ""


@pages.get("/reports/<experiment>/<path:name>", endpoint="report")
def show_report(experiment: str, name: str) -> Response:
    """Show the report of a campaign."""
    name = asked("campaign") or name
    report = read_report(experiment, name)
    address = f"{get_service().settings.public_url}{campaign_page(name, experiment)}"
    return make_response(report_page(report, address, stylesheet=asset("report.css")))
