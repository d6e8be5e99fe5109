"""The page of a campaign: its stages in order, how far each is, and its tasks."""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response

from jobprov.app.kept_answers import read_answer
from jobprov.app.web.frame.cuts import address, asked_section, cut_rows
from jobprov.app.web.frame.formats import counted, duration, number, text
from jobprov.app.web.frame.page import answer, asked, here
from jobprov.app.web.frame.progress import Piece, progress
from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.records.addresses import fits_path
from jobprov.provenance.services.lookup.gaps import list_gaps
from jobprov.provenance.services.statistics.counting import jobs_in

_MOST_COUNTED = 20_000
"""Jobs: the gaps of more are counted only when asked for; 100,000 take a second."""


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule(
        "/campaigns/<experiment>/<path:name>", view_func=show_page, endpoint="campaign"
    )


def show_page(experiment: str, name: str) -> Response:
    """Show a campaign; `campaign=` names one that no path can."""
    name = asked("campaign") or name
    campaign = read_answer("campaign", experiment=experiment, campaign=name)
    with get_service().reading() as connection:
        filters = JobFilters(experiment=experiment, campaign=name)
        is_counted = jobs_in(campaign["stages"]) <= _MOST_COUNTED or asked_section() == "gaps"
        gaps = list_gaps(connection, filters) if is_counted else None
    tasks = [{**task, "bars": _bars(task)} for task in campaign["tasks"]]
    return answer(
        "tasks/campaign.html",
        twin=twin_of(name, "", {"experiment": experiment}),
        is_live=any(task["running"] or task["missing"] for task in campaign["tasks"]),
        campaign=campaign,
        first_line=first_line(campaign),
        stages=[{**stage, "bars": _bars(stage["units"])} for stage in campaign["stages"]],
        tasks=cut_rows("tasks", tasks, 40),
        gaps=cut_rows("gaps", gaps.gaps, 15) if gaps else None,
        gap_jobs=gaps.job_count if gaps else None,
        is_begun=any(stage["states"].get("succeeded") for stage in campaign["stages"]),
        count_gaps=here(whole="gaps"),
    )


def twin_of(name: str, view: str, words: dict[str, str]) -> str:
    """Return the address of the same as JSON, below /api/v1."""
    if fits_path(name):
        return address(f"/campaigns/{quote(name, safe='')}{view}", words)
    return address(f"/campaigns/-{view}", {**words, "campaign": name})


def _bars(units: dict[str, Any]) -> list[Piece]:
    return progress({**units["states"], "waived": units["waived"]}, units["expected"])


def first_line(campaign: dict[str, Any]) -> str:
    """Return how far the campaign is and what it lacks.

    Where nobody said how many units there are to be, what its jobs say.
    """
    stages = campaign["stages"]
    if not stages:
        return f"{counted(campaign['task_count'], 'task')} declared; no job is recorded yet."
    left = f" About {duration(campaign['seconds_left'])} left." if campaign["seconds_left"] else ""
    if all(stage["units"]["expected"] is not None for stage in stages):
        done, expected = (
            sum(stage["units"][name] for stage in stages) for name in ("produced", "expected")
        )
        lacking = ", ".join(_lacking(stage) for stage in stages if stage["units"]["missing"])
        head = (
            f"{number(done)} of {counted(expected, 'unit')} done in {counted(len(stages), 'stage')}"
        )
        return f"{head}; missing: {lacking}.{left}" if lacking else f"{head}.{left}"
    newest = stages[-1]
    done = newest["states"].get("succeeded", 0)
    total = sum(newest["states"].values())
    counts = {
        state: sum(stage["states"].get(state, 0) for stage in stages)
        for state in ("failed", "killed", "lost")
    }
    mishaps = ", ".join(f"{number(count)} {state}" for state, count in counts.items() if count)
    return (
        f"{counted(len(stages), 'stage')} begun, the last is {text(newest['stage'])}: "
        f"{number(done)} of {counted(total, 'job')} done"
        + (f"; {mishaps} in all." if mishaps else ".")
        + left
    )


def _lacking(stage: dict[str, Any]) -> str:
    """Return `371 of reco (217 failed, 54 running)`.

    How many units a stage lacks, and how those stand of which there are jobs.
    """
    units = stage["units"]
    stands = [(units["failed"], "failed"), (units["running"], "running")]
    words = ", ".join(f"{number(count)} {word}" for count, word in stands if count)
    return f"{number(units['missing'])} of {text(stage['stage'] or 'no stage')}" + (
        f" ({words})" if words else ""
    )
