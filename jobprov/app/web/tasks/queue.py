"""The page of running and waiting jobs, and the part of it on other pages."""

from typing import NamedTuple

from flask import Response

from jobprov.app.reports.rows import running_marks
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import (
    answer_rows,
    asked,
    experiment_asked,
    first_page,
    next_page,
    pages,
)
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import task_call
from jobprov.provenance.answers.tasks.queue import Queue
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.tasks.queue import task_queue, whole_queue
from jobprov.provenance.services.tasks.tasks import find_task

_ROWS = 100


class QueuePage(NamedTuple):
    """What the page shows."""

    queue: Queue
    first_line: str
    twin: str
    first_page: str | None
    next_page: str | None


@pages.get("/queue", endpoint="queue")
def show_page() -> Response:
    """Show what runs and waits of a task, a campaign, an experiment, or all."""
    return answer_rows("tasks/queue.html", _ROWS, _page)


def _page(rows: int) -> QueuePage:
    """Return the contents of the page with so many rows."""
    cursor = asked("cursor")
    question = {
        "task_id": asked("task_id"),
        "experiment": experiment_asked(),
        "campaign": asked("campaign"),
    }
    queue = _ask(question, rows, cursor)
    return QueuePage(
        queue=queue,
        first_line=first_line(queue),
        twin=_twin(question, rows, cursor),
        first_page=first_page(),
        next_page=next_page(queue.next),
    )


def _ask(question: dict[str, str | None], rows: int, cursor: str | None) -> Queue:
    task_id, campaign = question["task_id"], question["campaign"]
    experiment = question["experiment"]
    with get_service().reading() as connection:
        if task_id is None:
            return whole_queue(
                connection, experiment=experiment, campaign=campaign, limit=rows, cursor=cursor
            )
        if campaign is not None:
            raise BadInputError.of_field("campaign", "a task has its campaign: name one of the two")
        task = find_task(connection, task_id, experiment=experiment)
        return task_queue(connection, task, limit=rows, cursor=cursor)


def _twin(question: dict[str, str | None], rows: int, cursor: str | None) -> str:
    """Return the address of the same as JSON, below /api/v1."""
    query = {**question, "limit": str(rows), "cursor": cursor}
    task_id = query.pop("task_id")
    if task_id is None:
        return address("/queue", query)
    return task_call(task_id, "/queue", query)


class QueueSection(NamedTuple):
    """The section of another page about running and waiting jobs, as templates take it.

    Attributes:
        whole_queue: the address of the page that lists them.
    """

    queue: Queue
    queue_line: str
    whole_queue: str


def queue_section(queue: Queue, place: dict[str, str]) -> QueueSection:
    """Return the section about the queue of a task or campaign, which `place` names."""
    return QueueSection(queue, first_line(queue), address("/queue", place))


def first_line(queue: Queue) -> str:
    """Return in a sentence how many jobs run and wait, and what needs a look."""
    counts = queue.counts
    if not counts.total:
        return "Nothing runs or waits." if queue.sources else "Nothing is known to run or wait."
    line = f"{counted(counts.running, 'job')} running{running_marks(counts)}"
    line += f", {number(counts.idle)} idle"
    if counts.held:
        line += f", {number(counts.held)} held"
    if counts.announced:
        line += f"; {number(counts.announced)} seen by their hook alone"
    return f"{line}."
