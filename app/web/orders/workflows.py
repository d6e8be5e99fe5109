"""The pages of workflows: how each stands, what comes next and why not more, what it declares."""

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, current_app

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import answer, asked_number, experiment_asked
from jobprov.app.web.frame.progress import progress
from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.orders.orders import WorkflowFound
from jobprov.provenance.services.orders.workflow_steps import list_workflows, show_workflow
from jobprov.provenance.services.orders.workflows import find_workflow

_WORK = ("running", "queued", "wanted", "ended", "retrying")
_WORDS = {
    "running": ("runs", "run"),
    "queued": ("waits in the batch system", "wait in the batch system"),
    "wanted": ("is to be submitted", "are to be submitted"),
    "ended": ("is over and its record is to come", "are over and their records are to come"),
    "retrying": ("is to be tried again", "are to be tried again"),
    "held_back": ("waits for room", "wait for room"),
    "to_come": ("waits for its files", "wait for their files"),
    "failed": ("failed for good and waits for somebody", "failed for good and wait for somebody"),
}
"""Of one unit, and of several."""


def add_routes(blueprint: Blueprint) -> None:
    """Put the pages on the blueprint."""
    blueprint.add_url_rule("/workflows", view_func=show_list, endpoint="workflows")
    blueprint.add_url_rule(
        "/workflows/<experiment>/<name>", view_func=show_page, endpoint="workflow"
    )


def show_list() -> Response:
    """Show the newest version of each workflow."""
    service, experiment = get_service(), experiment_asked()
    with service.reading() as connection:
        workflows = list_workflows(connection, service.store, experiment=experiment)
    running = sum(each["state"] == "running" for each in workflows)
    words = (
        f"{counted(len(workflows), 'workflow')}; {number(running)} running."
        if workflows
        else "No workflow is declared."
    )
    return answer(
        "orders/workflows.html",
        twin=address("/workflows", {"experiment": experiment or ""}),
        workflows=cut_rows("workflows", workflows, 60),
        first_line=words,
    )


def show_page(experiment: str, name: str) -> Response:
    """Show how a workflow stands."""
    version = asked_number("version", least=1, most=1_000_000)
    with get_service().reading() as connection:
        found = find_workflow(connection, name, experiment=experiment, version=version)
        workflow = _standing(connection, found)
    stages = [
        {
            **stage,
            "bars": progress(_shares(stage), stage["units"] or None),
            "next": next_words(stage),
            "retry": address("/retry", {"experiment": experiment, "task_id": stage["task_id"]}),
        }
        for stage in workflow["stages"]
    ]
    query = address("", {"experiment": experiment, "version": str(found.version)})
    return answer(
        "orders/workflow.html",
        twin=f"/workflows/{quote(name, safe='')}{query}",
        is_live=workflow["state"] == "running",
        workflow=workflow,
        stages=stages,
        blocking=[stage for stage in stages if stage["failed"]],
        first_line=first_line(workflow),
    )


_MOST_KEPT = 100
_CHEAP_SECONDS = 0.05
_REST = 20
"""A standing is kept for this many times what it took.

So looking at a large workflow costs a twentieth of a processor at most.
"""


def _standing(connection: Any, found: WorkflowFound) -> dict[str, Any]:
    kept: dict[int, tuple[float, dict[str, Any]]] = current_app.extensions.setdefault(
        "jobprov-standings", {}
    )
    began = time.monotonic()
    until, workflow = kept.get(found.key, (0.0, {}))
    if until > began:
        return workflow
    workflow = show_workflow(connection, get_service().store, found, now=datetime.now(UTC))
    took = time.monotonic() - began
    if took > _CHEAP_SECONDS:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[found.key] = (began + took * _REST, workflow)
    return workflow


def first_line(workflow: dict[str, Any]) -> str:
    """Return how the workflow stands: whether it runs, how far it is, what it waits for most."""
    stages = workflow["stages"]
    done, units = (sum(stage[name] for stage in stages) for name in ("done", "units"))
    failed = [stage for stage in stages if stage["failed"]]
    is_idle = failed and not any(stage[name] for stage in stages for name in (*_WORK, "held_back"))
    heads = {
        "running": "Waiting" if is_idle else "Running",
        "stopped": "Stopped",
        "complete": "Complete",
    }
    head = heads[workflow["state"]]
    why = f" ({workflow['why']})" if workflow["state"] == "stopped" else ""
    at = ", ".join(f"{number(stage['failed'])} of {stage['stage']}" for stage in failed)
    blocked = (
        f"; {at} {_WORDS['failed'][sum(stage['failed'] for stage in failed) > 1]}" if failed else ""
    )
    return (
        f"{head}{why}: {number(done)} of {counted(units, 'unit')} done in "
        f"{counted(len(stages), 'stage')}{blocked}."
    )


def next_words(stage: dict[str, Any]) -> str:
    """Return what happens next in a stage, and what for it waits."""
    if stage["is_closed"]:
        return "Complete."
    parts = [
        f"{number(stage[name])} {words[stage[name] > 1]}"
        for name, words in _WORDS.items()
        if stage[name]
    ]
    words = f"{', '.join(parts)}." if parts else ""
    words += f" Takes what appears in {stage['from']}." if stage["follows"] else ""
    words = words.strip()
    because = f" Waits: {stage['waits_for']}." if stage["waits_for"] and stage["to_come"] else ""
    return (words[:1].upper() + words[1:] + because) or "Nothing is to be done."


def _shares(stage: dict[str, Any]) -> dict[str, int]:
    shares = {
        "succeeded": stage["done"],
        "running": sum(stage[name] for name in _WORK),
        "failed": stage["failed"],
        "waived": stage["waived"],
    }
    return {name: count for name, count in shares.items() if count}
