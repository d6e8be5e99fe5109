"""`jobprov jobs` and `gaps`: jobs by state, host, code or parameter, and what would stop reruns."""

import sys
from collections.abc import Sequence
from typing import Any

import click
from msgspec.structs import asdict

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import (
    emit,
    file_name,
    json_option,
    list_limit_option,
    table,
    url_option,
)
from jobprov.app.csv_rows import Cell
from jobprov.app.reports.rows import moment
from jobprov.provenance.answers.lookup.jobs import GapCounts, JobSummary, MatchedParameter
from jobprov.provenance.lineage.words import counted, proof_line
from jobprov.provenance.services.comparisons.sentences import readable

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
_GAP_COLUMNS = {
    "code": "GAP",
    "stops": "STOPS",
    "job_count": "JOBS",
    "how_to_close": "HOW TO CLOSE IT",
}


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
    "--seed", type=int, help="Jobs with a random engine that began with this seed, as drawn."
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
@click.option(
    "--cause",
    "cause_id",
    metavar="ID",
    help="Jobs that failed of this cause, which `jobprov job` and `jobprov errors` name.",
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
@list_limit_option
@url_option
@json_option
def jobs(*, limit: int, url: str | None, as_json: bool, **filters: Any) -> None:
    """List jobs, newest first; exit code 1 where there are none."""
    given = {name: value for name, value in filters.items() if value is not None}
    client = client_for(url)
    read: list[JobSummary] = []
    matched: dict[str, list[MatchedParameter]] = {}
    # one more than is listed tells whether there are more
    for page in client.job_pages(**given, limit=min(limit + 1, _MOST_A_PAGE)):
        read += page.jobs
        matched |= page.matched
        if len(read) > limit:
            break
    listed = read[:limit]
    if not listed:
        refuse_unknown_names(client, given)
        if as_json:
            emit(listed, "", as_json=True)
        else:
            click.echo("No job matches these filters.", err=True)
        sys.exit(1)
    columns = dict(_COLUMNS)
    if matched:
        columns["matched"] = "MATCHED"
    text = table([_row(job, matched.get(job.job_id, ())) for job in listed], columns)
    if len(read) > limit:
        text += "\nThere are more: --limit."
    content: list[dict[str, Any]] | list[JobSummary] = listed
    if matched:
        content = [{**asdict(job), "matched": matched.get(job.job_id, [])} for job in listed]
    emit(content, text, as_json=as_json)


def _row(job: JobSummary, matched: Sequence[MatchedParameter]) -> dict[str, Cell]:
    return {
        "job_id": job.job_id,
        "state": job.state,
        "stage": job.task.stage,
        "task_id": job.task.task_id,
        "unit": job.task.unit,
        "files": job.output_count,
        "code": job.code,
        "started": moment(job.started_at),
        "matched": ", ".join(f"{found.key}={readable(found.value)}" for found in matched),
    }


@click.command()
@click.option("--task-id", help="Jobs of this task.")
@click.option("--campaign", help="Jobs of this campaign.")
@click.option("--stage", help="Jobs of this stage.")
@click.option("--experiment", help="Jobs of this experiment.")
@url_option
@json_option
def gaps(*, url: str | None, as_json: bool, **filters: Any) -> None:
    """Count the gaps of jobs by code, with how to close them.

    Exit code 1 where there are any, or no job that could have one.
    """
    client = client_for(url)
    counts = client.gaps(**filters)
    if not counts.job_count:
        refuse_unknown_names(client, filters)
    emit(counts, _text(counts), as_json=as_json)
    sys.exit(1 if counts.gaps or not counts.job_count else 0)


def _text(counts: GapCounts) -> str:
    if not counts.job_count:
        return "No job matches."
    lines = [counted(counts.job_count, "job")]
    if counts.gaps:
        lines.append(table([asdict(gap) for gap in counts.gaps], _GAP_COLUMNS))
    else:
        lines.append("no gaps")
    lines.append(proof_line(counts.proof))
    return "\n".join(lines)


COMMANDS = {"jobs": jobs, "gaps": gaps}
EXAMPLES = {
    "jobs": (
        "jobprov jobs --experiment toyexp --state failed",
        "jobprov jobs --file merge_dimuon.root --json",
    ),
    "gaps": ("jobprov gaps --experiment toyexp --campaign demo-2026",),
}
