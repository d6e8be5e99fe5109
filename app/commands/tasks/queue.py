"""`jobprov queue`: what runs and waits."""

from collections.abc import Iterator

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option, table, url_option
from jobprov.app.csv_rows import Cell
from jobprov.provenance.answers.queue import Progress, Queue, QueueEntry
from jobprov.provenance.lineage.words import counted, duration, number, size

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
_LONGEST_REASON = 100


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
    """Tell what runs and waits: of TASK, of a campaign, or all. Held and stuck jobs come first."""
    client = client_for(url)
    if task_id is None:
        found = client.queue(experiment=experiment, campaign=campaign, limit=limit)
    elif campaign is not None:
        raise click.UsageError("A task has its campaign: name TASK or --campaign, not both.")
    else:
        found = client.task_queue(task_id, experiment=experiment, limit=limit)
    emit(found, queue_text(found), as_json=as_json)


def queue_text(found: Queue) -> str:
    """Return what runs and waits as text."""
    return "\n".join(_lines(found))


def _lines(found: Queue) -> Iterator[str]:
    counts = found.counts
    line = f"{number(counts.running)} running"
    marked = [(counts.slow, "slow"), (counts.stuck, "stuck")]
    words = [f"{number(count)} {word}" for count, word in marked if count]
    if words:
        line += f" ({', '.join(words)})"
    yield f"{line}, {number(counts.idle)} idle, {number(counts.held)} held."
    for source in found.sources:
        yield f"As of {source.as_of}: queue of {source.schedd}"
    if found.warning:
        yield f"Warning: {found.warning}"
    if found.jobs:
        columns = _COLUMNS if found.task_id else {"task": "TASK", **_COLUMNS}
        rows = [_row(job) for job in found.jobs]
        # No column that is empty throughout
        used = {name: title for name, title in columns.items() if any(row[name] for row in rows)}
        yield table(rows, used)
    if found.next:
        left = max(0, counts.total - len(found.jobs))
        yield f"{counted(left, 'more job')}: --limit lists up to 1000, the service's page all."


def _row(job: QueueEntry) -> dict[str, Cell]:
    marks = [word for word, is_so in (("stuck", job.is_stuck), ("slow", job.is_slow)) if is_so]
    reason = (job.hold_reason or "")[:_LONGEST_REASON]
    return {
        "task": job.task_id,
        "unit": job.unit,
        "state": f"{job.state} ({', '.join(marks)})" if marks else job.state,
        "for": None if job.seconds is None else duration(job.seconds),
        "where": "/".join(word for word in (job.site, job.host) if word),
        "memory": _memory(job),
        "events": _events(job.progress),
        "batch_id": job.batch_id,
        "reason": reason,
    }


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
