"""The page of a task: how many of its units are done, what failed and why, what it took."""

from urllib.parse import quote

from flask import Blueprint, Response

from jobprov.app.reports.rows import state_words
from jobprov.app.web.failures.errors import linked_causes
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import answer, experiment_asked
from jobprov.app.web.frame.progress import progress
from jobprov.app.web.tasks import queue as queue_page
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import jobs_list
from jobprov.provenance.answers.tasks import TaskProgress
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.lineage.words import duration_with_band, proof_line
from jobprov.provenance.services.lookup.gaps import list_gaps
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.tasks.queue import task_queue
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from jobprov.provenance.services.tasks.units import list_ready

_JOBS = 25
_READY = 100
_QUEUED = 50


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/tasks/<path:task_id>", view_func=show_page, endpoint="task")


def show_page(task_id: str) -> Response:
    """Show a task."""
    service, experiment = get_service(), experiment_asked()
    with service.reading() as connection:
        opened = find_task(connection, task_id, experiment=experiment)
        filters = JobFilters(experiment=opened.experiment, task_id=opened.task_id)
        task = show_task(connection, service.store, opened)
        jobs = list_jobs(connection, filters, limit=_JOBS)
        gaps = list_gaps(connection, filters)
        ready = list_ready(connection, opened, limit=_READY)
        queue = task_queue(connection, opened, limit=_QUEUED)

    place = {"experiment": task.experiment, "task_id": task.task_id}
    units = str(task.expected or task.produced or "")
    return answer(
        "tasks/task.html",
        twin=_address(task, ""),
        is_live=bool(task.running or task.missing),
        task=task,
        first_line=first_line(task),
        bars=progress(task.states, task.expected),
        states=task.states,
        causes=cut_rows("causes", linked_causes(task.errors, place), 15),
        failing=cut_rows("failing", task.failing_jobs, 15),
        blocking=cut_rows("blocking", task.blocking, 20),
        waivers=cut_rows("waivers", task.waivers, 10),
        gaps=cut_rows("gaps", gaps.gaps, 15),
        gap_jobs=gaps.job_count,
        proof=gaps.proof,
        proof_line=proof_line,
        queue=queue,
        queue_line=queue_page.first_line(queue.counts),
        queued=cut_rows("queue", queue.jobs, _QUEUED),
        whole_queue=address("/queue", place),
        is_under_way=bool(queue.counts.total or task.missing),
        ready=cut_rows("ready", ready.files, 15),
        is_more_ready=ready.next is not None,
        jobs=jobs.jobs,
        is_more=jobs.next is not None,
        all_jobs=jobs_list(**place),
        again=address("/estimate", {**place, "files": units}),
        missing=f"/api/v1{_address(task, '/missing')}&format=" if task.missing else None,
    )


def _address(task: TaskProgress, view: str) -> str:
    """Return the address of a task as JSON, or of a view of it, below /api/v1."""
    query = address("", {"experiment": task.experiment})
    return f"/tasks/{quote(task.task_id, safe='')}{view}{query}"


def first_line(task: TaskProgress) -> str:
    """Return how far the task is."""
    units = counted(task.produced, "unit")
    if task.expected is not None:
        units = f"{number(task.produced)} of {counted(task.expected, 'unit')}"
    line = f"{units} done"
    others = state_words(task.states)
    if others:
        line += f", {others}"
    if task.errors:
        line += f"; {counted(len(task.errors), 'cause')} of failure"
    if task.seconds_left:
        left = duration_with_band(task.seconds_left, task.seconds_left_low, task.seconds_left_high)
        line += f"; about {left} left"
    if task.expected is None:
        return f"{line}. Expected number of units: not declared."
    return f"{line}."
