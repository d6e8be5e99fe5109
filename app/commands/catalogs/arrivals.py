"""`jobprov arrivals`: what was written and no catalog or transfer service saw in time."""

import sys
from collections.abc import Iterator

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, json_option, url_option
from jobprov.app.commands.terminal.tables import table
from jobprov.app.reports.rows import moment
from jobprov.provenance.answers.catalogs.arrivals import Arrivals
from jobprov.provenance.services.catalogs.arrivals import MOST_DAYS, arrivals_sentence

_DAY_COLUMNS = {
    "day": "DAY",
    "written": "WRITTEN",
    "arrived": "ARRIVED",
    "waiting": "WAITING",
    "late": "LATE",
}
_FILE_COLUMNS = {
    "name": "LATE FILE",
    "ended_at": "WRITTEN",
    "task_id": "TASK",
    "stage": "STAGE",
    "batch_id": "BATCH JOB",
    "node": "NODE",
}


@click.command()
@click.option("--experiment", required=True, help="Whose files.")
@click.option(
    "--days",
    type=click.IntRange(1, MOST_DAYS),
    default=7,
    show_default=True,
    help="So many days, today being the last.",
)
@click.option(
    "--hours",
    type=click.IntRange(0, 100_000),
    help="So long a file may take; by default as the experiment's catalog is set up, else 24.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="List at most so many late files.",
)
@url_option
@json_option
def arrivals(
    *,
    experiment: str,
    days: int,
    hours: int | None,
    limit: int,
    url: str | None,
    as_json: bool,
) -> None:
    """Count what jobs of tasks wrote and what of it arrived, and list what is late.

    A file has arrived once a catalog, by `jobprov catalog sync`, or a transfer service, by
    `POST /files`, was seen to know it. Exit code 1 where a file is late.
    """
    client = client_for(url)
    answer = client.arrivals(experiment, days=days, hours=hours, limit=limit)
    if not any(day.written for day in answer.days):
        refuse_unknown_names(client, {"experiment": experiment})
    emit(answer, "\n".join(_lines(answer)), as_json=as_json)
    if answer.files:
        sys.exit(1)


def _lines(arrivals: Arrivals) -> Iterator[str]:
    yield arrivals_sentence(arrivals)
    rows = []
    for day in arrivals.days:
        counts = {"written": day.written, "arrived": day.arrived}
        rows.append({"day": day.day, **counts, "waiting": day.waiting, "late": day.late})
    yield table(rows, _DAY_COLUMNS)
    if arrivals.compared_at is None:
        yield "No task of the experiment was compared with a catalog yet."
    else:
        yield f"A task was last compared with the catalog at {moment(arrivals.compared_at)}."
    if arrivals.files:
        files = []
        for file in arrivals.files:
            name = f"{file.namespace}:{file.name}" if file.namespace else file.name
            places = {"batch_id": file.batch_id, "node": file.node}
            task = {"task_id": file.task_id, "stage": file.stage}
            files.append({"name": name, "ended_at": moment(file.ended_at), **task, **places})
        yield ""
        yield table(files, _FILE_COLUMNS)
    if arrivals.next:
        yield "There are more: raise --limit, or follow `next` of --json."


COMMANDS = {"arrivals": arrivals}
EXAMPLES = {
    "arrivals": ("jobprov arrivals --experiment toyexp --days 7 --hours 24",),
}
