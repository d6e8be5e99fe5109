"""`jobprov queue`: what runs and waits."""

from collections.abc import Iterator

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, option_with_default
from jobprov.app.commands.terminal.tables import Columns, duration_cell, table
from jobprov.app.reports.rows import moment, running_marks
from jobprov.provenance.answers.tasks.queue import Progress, Queue, QueueEntry
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, number, shown, size


@click.command()
@click.argument("task_id", metavar="[TASK]", required=False)
@click.option("--experiment", help="Only its jobs.")
@click.option("--campaign", help="Only jobs of this campaign's tasks.")
@option_with_default("--limit", click.IntRange(0, 1000), 50, "Jobs to list.")
@asks_service
def queue(
    *,
    task_id: str | None,
    experiment: str | None,
    campaign: str | None,
    limit: int,
    client: Client,
    as_json: bool,
) -> None:
    """Show what runs and waits: of TASK, of a campaign, or all. Held and stuck jobs come first."""
    if task_id is None:
        answer = client.queue(experiment=experiment, campaign=campaign, limit=limit)
        if not answer.counts.total:
            names = {"experiment": experiment, "campaign": campaign}
            refuse_unknown_names(client, names)
    elif campaign is not None:
        raise click.UsageError("A task has its campaign: name TASK or --campaign, not both.")
    else:
        answer = client.task_queue(task_id, experiment=experiment, limit=limit)
    emit(answer, queue_text(answer), as_json=as_json)


def queue_text(queue: Queue) -> str:
    """Return what runs and waits as text."""
    return "\n".join(_lines(queue))


def _lines(queue: Queue) -> Iterator[str]:
    counts = queue.counts
    running = f"{number(counts.running)} running{running_marks(counts)}"
    yield f"{running}, {number(counts.idle)} idle, {number(counts.held)} held."
    for source in queue.sources:
        yield f"As of {moment(source.as_of)}: queue of {source.schedd}"
    if queue.warning:
        yield f"Warning: {queue.warning}"
    for reason in queue.held_reasons:
        yield f"{counted(reason.jobs, 'job')} held: {shown(reason.words) or 'no reason given'}"
    if queue.jobs:
        yield _table(queue)
    if queue.next:
        left = max(0, counts.total - len(queue.jobs))
        yield f"{counted(left, 'more job')}: --limit lists up to 1000, the service's page all."


def _table(queue: Queue) -> str:
    """Return the jobs as a table, without columns that are empty, or the same in every row."""
    columns = {}
    for title, show in _COLUMNS.items():
        is_told_above = title == "TASK" and queue.task_id
        if not is_told_above and any(show(job) for job in queue.jobs):
            columns[title] = show
    return table(queue.jobs, columns)


def _state(job: QueueEntry) -> str:
    marks = []
    if job.is_stuck:
        marks.append("stuck")
    if job.is_slow:
        marks.append("slow")
    return f"{job.state} ({', '.join(marks)})" if marks else job.state


def _memory(job: QueueEntry) -> str | None:
    """Return the memory that a job uses, and its request if that is known."""
    if job.memory_bytes is None:
        return None
    used = size(job.memory_bytes)
    if job.requested_memory_bytes is None:
        return used
    return f"{used} of {size(job.requested_memory_bytes)}"


def _events(progress: Progress | None) -> str | None:
    if progress is None:
        return None
    line = number(progress.events)
    if progress.events_per_second is None:
        return line
    return f"{line}, {progress.events_per_second:.3g} a second"


_COLUMNS: Columns[QueueEntry] = {
    "TASK": lambda job: job.task_id,
    "UNIT": lambda job: job.unit,
    "STATE": _state,
    "FOR": lambda job: duration_cell(job.seconds),
    "WHERE": lambda job: "/".join(word for word in (job.site, job.host) if word),
    "MEMORY": _memory,
    "EVENTS": lambda job: _events(job.progress),
    "BATCH JOB": lambda job: job.batch_id,
    "HELD BECAUSE": lambda job: job.hold_reason,
}


COMMANDS = {"queue": queue}
EXAMPLES = {
    "queue": (
        "jobprov queue toyexp-demo-reco-0001",
        "jobprov queue --campaign demo-2026",
    ),
}
