"""The pages of workflows: how each stands, what comes next and why not more, what it declares."""

import time
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from flask import Response, current_app

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import answer, asked_number, experiment_asked, pages
from jobprov.app.web.frame.progress import ProgressPiece, progress
from jobprov.app.wiring import Connection, get_service
from jobprov.provenance.answers.orders.workflows import StageStanding, WorkflowStanding
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.orders.workflows import WorkflowVersion
from jobprov.provenance.services.orders.workflow_steps import list_workflows, show_workflow
from jobprov.provenance.services.orders.workflows import find_workflow

_WORDS = {
    "running": ("runs", "run"),
    "queued": ("waits in the batch system", "wait in the batch system"),
    "wanted": ("is to be submitted", "are to be submitted"),
    "ended": (
        "has ended, and its record or files are not here yet",
        "have ended, and their records or files are not here yet",
    ),
    "retrying": ("will be retried", "will be retried"),
    "held_back": ("waits for other jobs to end", "wait for other jobs to end"),
    "to_come": ("waits for its files", "wait for their files"),
    "failed": ("failed for good and needs a decision", "failed for good and need a decision"),
}
"""What one unit does, and several, by the member of `StageStanding` that counts them."""


class StageRow(NamedTuple):
    """A row of the table of stages.

    Attributes:
        bars: its progress as pieces of a line.
        next: what happens next, in words.
        retry: the address of the page of retries.
    """

    standing: StageStanding
    bars: list[ProgressPiece]
    next: str
    retry: str


@pages.get("/workflows", endpoint="workflows")
def show_list() -> Response:
    """Show the newest version of each workflow."""
    service, experiment = get_service(), experiment_asked()
    with service.reading() as connection:
        workflows = list_workflows(connection, service.store, experiment=experiment).workflows
    running = sum(workflow.state == "running" for workflow in workflows)
    lead = "No workflow is declared."
    if workflows:
        lead = f"{counted(len(workflows), 'workflow')}; {number(running)} running."
    return answer(
        "orders/workflows.html",
        twin=address("/workflows", {"experiment": experiment or ""}),
        workflows=cut_rows("workflows", workflows, 60),
        first_line=lead,
    )


@pages.get("/workflows/<experiment>/<name>", endpoint="workflow")
def show_page(experiment: str, name: str) -> Response:
    """Show how a workflow stands."""
    number_asked = asked_number("version", least=1, most=1_000_000)
    with get_service().reading() as connection:
        version = find_workflow(connection, name, experiment=experiment, version=number_asked)
        workflow = _standing(connection, version)
    rows = [_stage_row(stage, experiment) for stage in workflow.stages]
    query = address("", {"experiment": experiment, "version": str(version.number)})
    return answer(
        "orders/workflow.html",
        twin=f"/workflows/{quote(name, safe='')}{query}",
        is_live=workflow.state == "running",
        workflow=workflow,
        rows=rows,
        blocking=[row for row in rows if row.standing.failed],
        first_line=first_line(workflow),
    )


def _stage_row(stage: StageStanding, experiment: str) -> StageRow:
    return StageRow(
        standing=stage,
        bars=progress(_shares(stage), stage.units or None),
        next=next_words(stage),
        retry=address("/retry", {"experiment": experiment, "task_id": stage.task_id}),
    )


_MOST_KEPT = 100
_CHEAP_SECONDS = 0.05
_REST = 20
"""A standing is kept for this many times what it took.

So looking at a large workflow costs a twentieth of a processor at most.
"""


def _standing(connection: Connection, version: WorkflowVersion) -> WorkflowStanding:
    """Return how a workflow stands, from memory where it was costly and is still fresh."""
    kept: dict[int, tuple[float, WorkflowStanding]] = current_app.extensions.setdefault(
        "jobprov-standings", {}
    )
    began = time.monotonic()
    if version.key in kept:
        until, workflow = kept[version.key]
        if until > began:
            return workflow
    workflow = show_workflow(connection, get_service().store, version, now=datetime.now(UTC))
    seconds = time.monotonic() - began
    if seconds > _CHEAP_SECONDS:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[version.key] = (began + seconds * _REST, workflow)
    return workflow


def first_line(workflow: WorkflowStanding) -> str:
    """Return how the workflow stands: whether it runs, how far it is, what it waits for most."""
    done = sum(stage.done for stage in workflow.stages)
    units = sum(stage.units for stage in workflow.stages)
    progress_words = (
        f"{number(done)} of {counted(units, 'unit')} done in "
        f"{counted(len(workflow.stages), 'stage')}"
    )
    return f"{_state_words(workflow)}: {progress_words}{_failed_words(workflow)}."


def _state_words(workflow: WorkflowStanding) -> str:
    if workflow.state == "complete":
        return "Complete"
    if workflow.state == "stopped":
        return f"Stopped ({workflow.why})"
    has_failed = any(stage.failed for stage in workflow.stages)
    is_busy = any(stage.in_work or stage.held_back for stage in workflow.stages)
    return "Waiting" if has_failed and not is_busy else "Running"


def _failed_words(workflow: WorkflowStanding) -> str:
    """Return which stages need a decision, to go on a sentence; empty where none do."""
    failed = [stage for stage in workflow.stages if stage.failed]
    if not failed:
        return ""
    at = ", ".join(f"{number(stage.failed)} of {stage.stage}" for stage in failed)
    one, several = _WORDS["failed"]
    is_one = sum(stage.failed for stage in failed) == 1
    return f"; {at} {one if is_one else several}"


def next_words(stage: StageStanding) -> str:
    """Return what happens next in a stage, and what it waits for."""
    if stage.is_closed:
        return "Complete."
    parts = []
    for member, (one, several) in _WORDS.items():
        count = getattr(stage, member)
        if count:
            parts.append(f"{number(count)} {one if count == 1 else several}")
    sentences = []
    if parts:
        sentences.append(f"{', '.join(parts)}.")
    if stage.follows:
        sentences.append(f"Takes what appears in {stage.source}.")
    if stage.waits_for and stage.to_come:
        sentences.append(f"Waits: {stage.waits_for}.")
    return " ".join(sentences) or "Nothing to do."


def _shares(stage: StageStanding) -> dict[UnitState, int]:
    shares = {
        UnitState.SUCCEEDED: stage.done,
        UnitState.RUNNING: stage.in_work,
        UnitState.FAILED: stage.failed,
        UnitState.WAIVED: stage.waived,
    }
    return {name: count for name, count in shares.items() if count}
