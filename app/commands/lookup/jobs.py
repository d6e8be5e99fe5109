"""`jobprov jobs`: which jobs ran so, a line each. The filters are those of `GET /api/v1/jobs`."""

import sys
from itertools import islice
from typing import Any

import click

from jobprov.app.commands.lookup.asking import client_for
from jobprov.app.commands.terminal.opening import emit, file_name, json_option, table, url_option
from jobprov.app.reports.rows import moment

_STATES = ["running", "succeeded", "failed", "killed", "lost"]
_COLUMNS = {
    "job_id": "JOB",
    "state": "STATE",
    "stage": "STAGE",
    "task_id": "TASK",
    "unit": "UNIT",
    "code": "CODE",
    "started": "STARTED",
}


@click.command()
@click.option(
    "--parameter",
    help="Jobs whose configuration has this parameter; its key, with * for any letters.",
)
@click.option(
    "--value",
    help="With --parameter: its value, after one of = != < <= > >= ~, such as '<5', '[1,2]' or '~Slicer*'.",
)
@click.option("--experiment", help="Jobs of this experiment.")
@click.option("--campaign", help="Jobs of this campaign.")
@click.option("--stage", help="Jobs of this stage.")
@click.option("--task-id", help="Jobs of this task.")
@click.option("--state", type=click.Choice(_STATES), help="Jobs in this state.")
@click.option("--file", type=file_name, help="Jobs that produced or consumed this file.")
@click.option(
    "--file-experiment", help="Whose file it is, where several experiments know its name."
)
@click.option("--revision", help="Jobs that ran this commit.")
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    help="How many at most.",
)
@url_option
@json_option
def jobs(*, limit: int, url: str | None, as_json: bool, **filters: Any) -> None:
    """List jobs, newest first; exit code 1 where there is none."""
    asked = {name: value for name, value in filters.items() if value is not None}
    found = list(islice(client_for(url).jobs(**asked, limit=min(limit + 1, 1000)), limit + 1))
    is_more, found = len(found) > limit, found[:limit]
    if not found and not as_json:
        click.echo("No job is recorded that is so.", err=True)
        sys.exit(1)
    rows = [{**job, **job["task"], "started": moment(job["started_at"])} for job in found]
    more = "\nThere are more: --limit." if is_more else ""
    emit(found, table(rows, _COLUMNS) + more, as_json=as_json)
    if not found:
        sys.exit(1)


COMMANDS = {"jobs": jobs}
