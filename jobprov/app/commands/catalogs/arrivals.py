"""`jobprov arrivals`: what was written and no catalog or transfer service saw in time."""

import sys
from collections.abc import Iterator

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, option_with_default
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.app.reports.rows import moment
from jobprov.provenance.answers.catalogs.arrivals import ArrivalDay, Arrivals, LateFile
from jobprov.provenance.client import Client
from jobprov.provenance.records.files.names import full_name
from jobprov.provenance.services.catalogs.arrivals import MOST_DAYS, arrivals_sentence

_DAY_COLUMNS: Columns[ArrivalDay] = {
    "DAY": lambda day: day.day,
    "WRITTEN": lambda day: day.written,
    "ARRIVED": lambda day: day.arrived,
    "WAITING": lambda day: day.waiting,
    "LATE": lambda day: day.late,
}
_FILE_COLUMNS: Columns[LateFile] = {
    "LATE FILE": lambda file: full_name(file.name, file.namespace),
    "WRITTEN": lambda file: moment(file.ended_at),
    "TASK": lambda file: file.task_id,
    "STAGE": lambda file: file.stage,
    "BATCH JOB": lambda file: file.batch_id,
    "NODE": lambda file: file.node,
}


@click.command()
@click.option("--experiment", required=True, help="Whose files.")
@option_with_default(
    "--days", click.IntRange(1, MOST_DAYS), 7, "So many days, today being the last."
)
@click.option(
    "--hours",
    type=click.IntRange(0, 100_000),
    help="So long a file may take; by default as the experiment's catalog is set up, else 24.",
)
@option_with_default("--limit", click.IntRange(1, 1000), 100, "List at most so many late files.")
@asks_service
def arrivals(
    *,
    experiment: str,
    days: int,
    hours: int | None,
    limit: int,
    client: Client,
    as_json: bool,
) -> None:
    """Count what jobs of tasks wrote and what of it arrived, and list what is late.

    A file has arrived once a catalog, by `jobprov catalog sync`, or a transfer service, by
    `POST /files`, was seen to know it. Exit code 1 where a file is late.
    """
    answer = client.arrivals(experiment, days=days, hours=hours, limit=limit)
    if not any(day.written for day in answer.days):
        refuse_unknown_names(client, {"experiment": experiment})
    emit(answer, "\n".join(_lines(answer)), as_json=as_json)
    if answer.files:
        sys.exit(1)


def _lines(arrivals: Arrivals) -> Iterator[str]:
    yield arrivals_sentence(arrivals)
    yield table(arrivals.days, _DAY_COLUMNS)
    if arrivals.compared_at is None:
        yield "No task of the experiment was compared with a catalog yet."
    else:
        yield f"A task was last compared with the catalog at {moment(arrivals.compared_at)}."
    if arrivals.files:
        yield ""
        yield table(arrivals.files, _FILE_COLUMNS)
    if arrivals.next:
        yield "There are more: raise --limit, or follow `next` of --json."


COMMANDS = {"arrivals": arrivals}
EXAMPLES = {
    "arrivals": ("jobprov arrivals --experiment toyexp --days 7 --hours 24",),
}
