"""`jobprov jobs` and `gaps`: jobs by state, host, code or parameter, and what would stop reruns."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click
from msgspec.structs import asdict

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import (
    emit,
    file_name,
    job_filters,
    list_limit_option,
    task_option,
)
from jobprov.app.commands.terminal.tables import Columns, cell_table, duration_cell, table
from jobprov.app.reports.rows import moment
from jobprov.provenance.answers.lookup.job_facets import JOB_FACETS
from jobprov.provenance.answers.lookup.jobs import (
    JOB_ORDERS,
    GapCount,
    GapCounts,
    JobSummary,
    MatchedParameter,
)
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, facets_line, proof_line, size
from jobprov.provenance.services.comparisons.sentences import readable

_STATES = ("running", "succeeded", "failed", "killed", "lost")
_COLUMNS: Columns[JobSummary] = {
    "JOB": lambda job: job.job_id,
    "STATE": lambda job: job.state,
    "STAGE": lambda job: job.task.stage,
    "TASK": lambda job: job.task.task_id,
    "UNIT": lambda job: job.task.unit,
    "FILES": lambda job: job.output_count,
    "CODE": lambda job: job.code,
    "STARTED": lambda job: moment(job.started_at),
}
_OF_SORTED: Mapping[str, Columns[JobSummary]] = {
    "ended_at": {"ENDED": lambda job: moment(job.ended_at)},
    "wall_seconds": {"TOOK": lambda job: duration_cell(job.took_seconds())},
    "cpu_seconds": {"CPU": lambda job: duration_cell(job.resources.cpu_seconds)},
    "max_rss_bytes": {"MEMORY": lambda job: size(job.resources.max_rss_bytes)},
    "exit_code": {"EXIT": lambda job: job.exit.code},
    "site": {"SITE": lambda job: job.host.site},
    "host": {"HOST": lambda job: job.host.hostname},
}
"""The column that a list has as well if it is sorted by it."""
_MOST_A_PAGE, _MOST_VALUES = 1000, 100
_GAP_COLUMNS: Columns[GapCount] = {
    "GAP": lambda gap: gap.code,
    "STOPS": lambda gap: gap.stops,
    "JOBS": lambda gap: gap.job_count,
    "HOW TO CLOSE IT": lambda gap: gap.how_to_close,
}


def _checked_states(states: str | None) -> str | None:
    """Return the states of `--state`, once each is one."""
    for state in (states or "").split(","):
        if states is not None and state.strip() not in _STATES:
            raise click.BadParameter(f"{state[:40]!r} is not one of {', '.join(_STATES)}.")
    return states


def _checked_facets(facets: str | None) -> str | None:
    """Return what `--count-by` names, once all of it is something that jobs are counted by."""
    for facet in (facets or "").split(","):
        if facets is not None and facet.strip() not in JOB_FACETS:
            raise click.BadParameter(f"{facet[:40]!r} is not one of {', '.join(JOB_FACETS)}.")
    return facets


def _checked_order(sort: str | None) -> str | None:
    """Return the order of `--sort`, once it is one."""
    if sort is not None and sort.removeprefix("-") not in JOB_ORDERS:
        raise click.BadParameter(f"{sort[:40]!r} is not one of {', '.join(JOB_ORDERS)}.")
    return sort


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
@job_filters("seed", "variable")
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
@job_filters("campaign", "stage")
@task_option("Jobs of this task.")
@click.option("--unit", help="Jobs of this unit of their task.")
@click.option(
    "--state",
    metavar="STATE,…",
    callback=lambda _context, _option, states: _checked_states(states),
    help=f"Jobs in these states: {', '.join(_STATES)}; several with commas between them.",
)
@click.option("--exit-code", type=int, help="Jobs that ended with this exit code.")
@click.option("--failed-step", help="Jobs that failed in this step.")
@click.option("--failure-class", help="Jobs whose failure is of this class, by rules of triage.")
@job_filters("site", "host")
@click.option(
    "--started-after",
    metavar="TIME",
    help="Jobs that started at or after this time, such as 2026-11-24 or 2026-11-24T16:00:00Z.",
)
@job_filters("started_before")
@click.option("--job", "job_id", metavar="ID,…", help="These jobs alone, commas between their ids.")
@click.option("--file", type=file_name, help="Jobs that produced or consumed this file.")
@click.option("--reads", type=file_name, help="Jobs that consumed this file.")
@click.option("--file-experiment", help="The experiment of the file, where several know its name.")
@job_filters("checksum", "revision")
@click.option(
    "--sort",
    metavar="[-]NAME",
    callback=lambda _context, _option, sort: _checked_order(sort),
    help=(
        "The order, with - in front the largest or latest first: received_at, started_at or "
        "ended_at; for at most 10,000 jobs of a task, host, cause or time also wall_seconds, "
        "cpu_seconds, max_rss_bytes, exit_code, output_count, state, stage, task_id, unit, site "
        "or host. -received_at by default."
    ),
)
@click.option(
    "--count-by",
    metavar="NAME,…",
    callback=lambda _context, _option, facets: _checked_facets(facets),
    help=(
        "Count the jobs instead of listing them, by state, experiment, campaign, stage, task_id, "
        "site, host, exit_code, failed_step, error_class or failure_class; several with commas "
        "between them."
    ),
)
@list_limit_option
@asks_service
def jobs(
    *, limit: int, client: Client, as_json: bool, count_by: str | None, **filters: Any
) -> None:
    """List jobs, newest first or in another order; exit code 1 where there are none.

    `--task NAME --sort=-max_rss_bytes` lists what took the most memory of a task.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    if count_by is not None:
        _count(client, given, count_by, as_json=as_json)
        return
    listed = _read(client, given, limit)
    if not listed.jobs:
        refuse_unknown_names(client, given)
        if as_json:
            emit([], "", as_json=True)
        else:
            click.echo("No job matches these filters.", err=True)
        sys.exit(1)
    sort = str(given.get("sort", "")).removeprefix("-")
    emit(listed.document(), _list_text(listed, sort), as_json=as_json)


class _Listed(NamedTuple):
    """Jobs that are listed.

    Attributes:
        matched: by job id the values that `--value` found; empty without one.
        has_more: whether there are more jobs than that.
    """

    jobs: list[JobSummary]
    matched: dict[str, list[MatchedParameter]]
    has_more: bool

    def document(self) -> Sequence[object]:
        """Return the jobs for programs; with `--value`, each with what matched."""
        if not self.matched:
            return self.jobs
        entries = []
        for job in self.jobs:
            entries.append({**asdict(job), "matched": self.matched.get(job.job_id, [])})
        return entries

    def matched_words(self, job: JobSummary) -> str:
        """Return the values of a job that `--value` found."""
        matched = self.matched.get(job.job_id, ())
        return ", ".join(f"{found.key}={readable(found.value)}" for found in matched)


def _read(client: Client, given: Mapping[str, Any], limit: int) -> _Listed:
    jobs: list[JobSummary] = []
    matched: dict[str, list[MatchedParameter]] = {}
    # one more than is listed tells whether there are more
    for page in client.job_pages(**given, limit=min(limit + 1, _MOST_A_PAGE)):
        jobs += page.jobs
        matched |= page.matched
        if len(jobs) > limit:
            break
    return _Listed(jobs[:limit], matched, has_more=len(jobs) > limit)


def _list_text(listed: _Listed, sort: str) -> str:
    """Return the jobs as a table; where they are sorted by something, it is a column."""
    columns = {**_COLUMNS, **_OF_SORTED.get(sort, {})}
    if listed.matched:
        columns["MATCHED"] = listed.matched_words
    text = table(listed.jobs, columns)
    if listed.has_more:
        text += "\nThere are more: raise --limit."
    return text


def _count(client: Client, given: Mapping[str, Any], count_by: str, *, as_json: bool) -> None:
    """Print how many jobs there are of each value."""
    if "sort" in given:
        raise click.UsageError("--sort is for lists, and --count-by lists no jobs.")
    counted_jobs = client.job_facets(**given, by=count_by, limit=_MOST_VALUES)
    if not counted_jobs.total:
        refuse_unknown_names(client, given)
    lines = [facets_line(counted_jobs)]
    for facet in counted_jobs.facets:
        jobs_column = "JOBS" if facet.is_exact else "JOBS, OR MORE"
        rows = [(_word(value.value), value.count) for value in facet.values]
        lines += ["", cell_table((facet.by.upper(), jobs_column), rows)]
        if facet.more:
            lines.append(f"and {counted(facet.more, 'further value')}")
    emit(counted_jobs, "\n".join(lines), as_json=as_json)
    if not counted_jobs.total:
        sys.exit(1)


def _word(value: str | int | None) -> str:
    return "not known" if value is None else str(value)


@click.command()
@task_option("Jobs of this task.")
@job_filters("campaign", "stage")
@click.option("--experiment", help="Jobs of this experiment.")
@asks_service
def gaps(*, client: Client, as_json: bool, **filters: Any) -> None:
    """Count the gaps of jobs by code, with how to close them.

    Exit code 1 where there are any, or no job that could have one.
    """
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
        lines.append(table(counts.gaps, _GAP_COLUMNS))
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
