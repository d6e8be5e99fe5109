"""What is done with ticked jobs: each leads to the page on which it is looked at and decided.

Nothing changes here. All is in the address, so that it works without a script.
"""

from typing import NamedTuple, cast
from urllib.parse import urlencode

from flask import Response, redirect, request

from jobprov.app.web.frame.page import SELECTION_PAGE, asked, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import difference_page, jobs_list
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    MOST_IDS,
    JobFilters,
    read_job_ids,
)
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.lookup.jobs import list_jobs

_LONGEST_ADDRESS = 8000
"""Letters of an address that this leads to; a request line has 8,190."""
_TEXT = "text/plain; charset=utf-8"
_ACTIONS = ("list", "compare", "retry", "waive", "csv", "ids")


class _OneTask(NamedTuple):
    """Whose jobs are ticked.

    Attributes:
        task_id: None where they are of several tasks, or of none.
        units: each once.
    """

    experiment: str
    task_id: str | None
    units: list[str]


@pages.get(SELECTION_PAGE, endpoint="job_selection")
def go_on() -> Response:
    """Lead on with the jobs that are ticked; without ticks, with all of a list by ids."""
    action = asked("do")
    if action not in _ACTIONS:
        raise BadInputError.of_field("do", f"one of {', '.join(_ACTIONS)}")
    ticked = ",".join(request.args.getlist("job_id")) or request.args.get("all", "")
    if not ticked.strip(", "):
        raise BadInputError("Tick at least one job.")
    jobs = read_job_ids(ticked)
    if action == "ids":
        return Response("\n".join(jobs) + "\n", content_type=_TEXT)
    if action == "csv":
        return _led_to(jobs_list(job_id=",".join(jobs), format="csv"))
    if action == "list":
        return _led_to(jobs_list(job_id=",".join(jobs)))
    if action == "compare":
        return _led_to(_comparison(jobs))
    return _led_to(_retry(jobs) if action == "retry" else _waiver(jobs))


def _comparison(jobs: list[str]) -> str:
    if len(jobs) != 2:  # noqa: PLR2004 - a pair
        raise BadInputError(f"Tick two jobs to compare them, not {len(jobs)}.")
    return difference_page(jobs[0], jobs[1])


def _retry(jobs: list[str]) -> str:
    task = _task_of(jobs)
    words = [("experiment", task.experiment)]
    if task.task_id is not None:
        words.append(("task_id", task.task_id))
    return "/retry?" + urlencode([*words, *(("job", job) for job in jobs)])


def _waiver(jobs: list[str]) -> str:
    task = _task_of(jobs)
    if task.task_id is None:
        raise BadInputError(
            "Tick jobs of one task at a time: those ticked are of several, or of none."
        )
    if not task.units:
        raise BadInputError("Tick jobs with a unit: none of those ticked names one.")
    words = [("experiment", task.experiment), ("task_id", task.task_id)]
    return "/waive?" + urlencode([*words, *(("unit", unit) for unit in task.units)])


def _task_of(ids: list[str]) -> _OneTask:
    """Return the experiment and task that jobs share, and their units.

    Raises:
        NotFoundError: one is not recorded.
        BadInputError: they are of several experiments.
    """
    jobs = _listed(ids)
    experiments = sorted({job.experiment for job in jobs})
    if len(experiments) > 1:
        raise BadInputError(
            f"Tick jobs of one experiment at a time, not of {', '.join(experiments)}."
        )
    tasks = {job.task.task_id for job in jobs}
    units = dict.fromkeys(job.task.unit for job in jobs if job.task.unit)
    task = tasks.pop() if len(tasks) == 1 else None
    return _OneTask(experiments[0], task, list(units))


def _listed(ids: list[str]) -> list[JobSummary]:
    with get_service().reading() as connection:
        jobs = list_jobs(connection, JobFilters(job_id=",".join(ids)), limit=2 * MOST_IDS).jobs
    known = {job.job_id for job in jobs}
    for job in ids:
        if job not in known:
            raise NotFoundError(f"No job {job} is recorded.")
    return jobs


def _led_to(where: str) -> Response:
    if len(where) > _LONGEST_ADDRESS:
        raise BadInputError(
            "Tick fewer jobs: the names of their units are too long for one address."
        )
    return cast("Response", redirect(where, 303))
