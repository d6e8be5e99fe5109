"""The page of a task: how many of its units are done, what failed and why, what it took."""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response

from jobprov.app.web.failures.errors import linked_causes
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, duration, number
from jobprov.app.web.frame.page import answer, experiment_asked
from jobprov.app.web.frame.progress import progress
from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.services.lookup.gaps import list_gaps
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from jobprov.provenance.services.tasks.units import list_ready

_JOBS = 25
_READY = 100


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/tasks/<path:task_id>", view_func=show_page, endpoint="task")


def show_page(task_id: str) -> Response:
    """Show a task."""
    service, experiment = get_service(), experiment_asked()
    with service.reading() as connection:
        task = show_task(connection, service.store, task_id, experiment=experiment)
        filters = JobFilters(experiment=task["experiment"], task_id=task["task_id"])
        jobs = list_jobs(connection, filters, limit=_JOBS)
        gaps = list_gaps(connection, filters)
        ready = list_ready(
            connection, find_task(connection, task_id, experiment=task["experiment"]), limit=_READY
        )
    mine = {"experiment": task["experiment"], "task_id": task["task_id"]}
    return answer(
        "tasks/task.html",
        twin=f"/tasks/{quote(task['task_id'], safe='')}{address('', {'experiment': task['experiment']})}",
        is_live=bool(task["running"] or task["missing"]),
        task=task,
        first_line=first_line(task),
        bars=progress(shown_states(task), task["expected"]),
        states=shown_states(task),
        causes=cut_rows("causes", linked_causes(task["errors"], mine), 15),
        failing=cut_rows("failing", task["failing_jobs"], 15),
        blocking=cut_rows("blocking", task["blocking"], 20),
        waivers=cut_rows("waivers", task["waivers"], 10),
        gaps=cut_rows("gaps", gaps.gaps, 15),
        gap_jobs=gaps.job_count,
        ready=cut_rows("ready", ready["files"], 15),
        is_more_ready=ready["next"] is not None,
        jobs=jobs.jobs,
        all_jobs=address("/jobs", mine),
        again=address(
            "/estimate", {**mine, "files": str(task["expected"] or task["produced"] or "")}
        ),
        missing=_missing(task) if task["missing"] else None,
        is_more=jobs.next is not None,
    )


def _missing(task: dict[str, Any]) -> str:
    """Return the address of the units that are missing, up to the form that they are wanted in."""
    where = address("", {"experiment": task["experiment"]})
    return f"/api/v1/tasks/{quote(task['task_id'], safe='')}/missing{where}&format="


def shown_states(task: dict[str, Any]) -> dict[str, int]:
    """Return units by state, those that fell silent apart from those that run."""
    silent = task["silent"]
    states = {
        "succeeded": task["produced"],
        "running": task["running"] - silent,
        "silent": silent,
        **{state: task["states"].get(state, 0) for state in ("failed", "killed", "lost")},
        "waived": task["waived"],
    }
    return {state: count for state, count in states.items() if count}


def first_line(task: dict[str, Any]) -> str:
    """Return how far the task is."""
    states = shown_states(task)
    done = states.pop("succeeded", 0)
    expected = task["expected"]
    head = (
        f"{counted(done, 'unit')} done"
        if expected is None
        else f"{number(done)} of {counted(expected, 'unit')} done"
    )
    others = "".join(f", {number(count)} {state}" for state, count in states.items())
    causes = len(task["errors"])
    why = f"; {counted(causes, 'cause')} of failure" if causes else ""
    left = f"; about {duration(task['seconds_left'])} left" if task["seconds_left"] else ""
    rest = "" if expected is not None else " How many were to be was not declared."
    return f"{head}{others}{why}{left}.{rest}"
