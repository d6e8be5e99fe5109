"""`jobprov jobs`: a list of jobs, a line each. The filters are those of `GET /api/v1/jobs`."""

import sys
from itertools import islice
from typing import Any

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, file_name, json_option, table, url_option
from jobprov.app.reports.rows import moment
from jobprov.provenance.answers.lookup import JobSummary

_STATES = ["running", "succeeded", "failed", "killed", "lost"]
_COLUMNS = {
    "job_id": "JOB",
    "state": "STATE",
    "stage": "STAGE",
    "task_id": "TASK",
    "unit": "UNIT",
    "files": "FILES",
    "code": "CODE",
    "started": "STARTED",
}
_MOST_A_PAGE = 1000


@click.command()
@click.option(
    "--parameter",
    help="Jobs whose configuration has this parameter; its key, with * for any letters.",
)
@click.option(
    "--value",
    help=(
        "With --parameter: its value, after one of = != < <= > >= ~, "
        "such as '<5', '[1,2]' or '~Slicer*'."
    ),
)
@click.option(
    "--variable",
    metavar="NAME=VALUE",
    help="Jobs with this environment variable, of those that decide physics; != and ~ go, too.",
)
@click.option(
    "--software",
    metavar="NAME=VERSION:QUALIFIERS",
    help="Jobs that used this product, such as larsoft=v09_88_00:e26:prof; or code of this name.",
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
    """List jobs, newest first; exit code 1 where there are none."""
    given = {name: value for name, value in filters.items() if value is not None}
    newest = client_for(url).jobs(**given, limit=min(limit + 1, _MOST_A_PAGE))
    # one more than is listed tells whether there are more
    read = list(islice(newest, limit + 1))
    listed, has_more = read[:limit], len(read) > limit
    if not listed and not as_json:
        click.echo("No job matches these filters.", err=True)
        sys.exit(1)
    text = table([_row(job) for job in listed], _COLUMNS)
    if has_more:
        text += "\nThere are more: --limit."
    emit(listed, text, as_json=as_json)
    if not listed:
        sys.exit(1)


def _row(job: JobSummary) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "state": job.state,
        "stage": job.task.stage,
        "task_id": job.task.task_id,
        "unit": job.task.unit,
        "files": job.output_count,
        "code": job.code,
        "started": moment(job.started_at),
    }


COMMANDS = {"jobs": jobs}
