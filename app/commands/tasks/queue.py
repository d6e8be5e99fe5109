"""`jobprov queue`: what runs and waits."""

from collections.abc import Iterator

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, json_option, url_option
from jobprov.app.commands.terminal.tables import table
from jobprov.app.csv_rows import Cell
from jobprov.app.reports.rows import moment, running_marks
from jobprov.provenance.answers.tasks.queue import Progress, Queue, QueueEntry
from jobprov.provenance.lineage.words import counted, duration, number, shown, size

_COLUMNS = {
    "unit": "UNIT",
    "state": "STATE",
    "for": "FOR",
    "where": "WHERE",
    "memory": "MEMORY",
    "events": "EVENTS",
    "batch_id": "BATCH JOB",
    "reason": "HELD BECAUSE",
}


@click.command()
@click.argument("task_id", metavar="[TASK]", required=False)
@click.option("--experiment", help="Only its jobs.")
@click.option("--campaign", help="Only jobs of this campaign's tasks.")
@click.option(
    "--limit", type=click.IntRange(0, 1000), default=50, show_default=True, help="Jobs to list."
)
@url_option
@json_option
def queue(
    *,
    task_id: str | None,
    experiment: str | None,
    campaign: str | None,
    limit: int,
    url: str | None,
    as_json: bool,
) -> None:
    """Show what runs and waits: of TASK, of a campaign, or all. Held and stuck jobs come first."""
    client = client_for(url)
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
    columns = dict(_COLUMNS)
    if not queue.task_id:
        columns = {"task": "TASK", **columns}
    rows = [_row(job) for job in queue.jobs]
    filled: set[str] = set()
    for row in rows:
        filled.update(name for name, cell in row.items() if cell)
    return table(rows, {name: title for name, title in columns.items() if name in filled})


def _row(job: QueueEntry) -> dict[str, Cell]:
    return {
        "task": job.task_id,
        "unit": job.unit,
        "state": _state(job),
        "for": None if job.seconds is None else duration(job.seconds),
        "where": "/".join(word for word in (job.site, job.host) if word),
        "memory": _memory(job),
        "events": _events(job.progress),
        "batch_id": job.batch_id,
        "reason": job.hold_reason,
    }


def _state(job: QueueEntry) -> str:
    marks = []
    if job.is_stuck:
        marks.append("stuck")
    if job.is_slow:
        marks.append("slow")
    return f"{job.state} ({', '.join(marks)})" if marks else job.state


def _memory(job: QueueEntry) -> str | None:
    """Return how much memory a job uses of what it asked for."""
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


COMMANDS = {"queue": queue}
EXAMPLES = {
    "queue": (
        "jobprov queue toyexp-demo-reco-0001",
        "jobprov queue --campaign demo-2026",
    ),
}
