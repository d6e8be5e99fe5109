"""The page of a campaign: its stages in order, how far each is, and its tasks."""

from typing import Any

from flask import Blueprint, Response

from app.web.cuts import address, cut_rows
from app.web.formats import counted, number, text
from app.web.frame import answer
from app.web.progress import Piece, progress
from app.wiring import get_service
from provenance.services.tasks import show_campaign


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/campaigns/<experiment>/<path:name>", view_func=show_page, endpoint="campaign")


def show_page(experiment: str, name: str) -> Response:
    """Show a campaign."""
    service = get_service()
    with service.reading() as connection:
        campaign = show_campaign(connection, service.store, experiment, name)
    tasks = [{**task, "bars": _bars(task)} for task in campaign["tasks"]]
    return answer(
        "campaign.html",
        twin=address("/jobs", {"experiment": experiment, "campaign": name}),
        campaign=campaign,
        first_line=first_line(campaign),
        stages=[{**stage, "bars": _bars(stage["units"])} for stage in campaign["stages"]],
        tasks=cut_rows("tasks", tasks, 40),
    )


def _bars(units: dict[str, Any]) -> list[Piece]:
    return progress({**units["states"], "waived": units["waived"]}, units["expected"])


def first_line(campaign: dict[str, Any]) -> str:
    """Return how far the campaign is: the last stage begun, and what went wrong on the way."""
    stages = campaign["stages"]
    if not stages:
        return f"{counted(len(campaign['tasks']), 'task')} declared; no job is recorded yet."
    newest = stages[-1]
    done = newest["states"].get("succeeded", 0)
    total = sum(newest["states"].values())
    counts = {state: sum(stage["states"].get(state, 0) for stage in stages) for state in ("failed", "killed", "lost")}
    mishaps = ", ".join(f"{number(count)} {state}" for state, count in counts.items() if count)
    return (
        f"{counted(len(stages), 'stage')} begun, the last is {text(newest['stage'])}: "
        f"{number(done)} of {counted(total, 'job')} done" + (f"; {mishaps} in all." if mishaps else ".")
    )
