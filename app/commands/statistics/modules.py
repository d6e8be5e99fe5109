"""`jobprov modules`: which of art's modules takes the time, and which became slower."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    job_filters,
    json_option,
    url_option,
)
from jobprov.app.commands.terminal.tables import table
from jobprov.provenance.answers.statistics.modules import (
    ModuleChange,
    ModuleComparison,
    ModuleShare,
    ModuleSum,
    ModuleSums,
)
from jobprov.provenance.lineage.words import counted, duration, number, percent

_MOST = 15


@click.command()
@job_filters("task", "campaign", "stage", "revision", "started_after", "started_before")
@click.option(
    "--by",
    type=click.Choice(["version", "stage", "site", "host"]),
    default="version",
    show_default=True,
)
@click.option(
    "--compare",
    nargs=2,
    metavar="FIRST SECOND",
    help="Compare these two groups; else the two largest.",
)
@experiment_option
@url_option
@json_option
def modules(
    *, url: str | None, as_json: bool, by: str, compare: tuple[str, str] | None, **query: Any
) -> None:
    """Show what art's modules took in jobs that succeeded, and what changed between two versions.

    Exit code 1 where no job tells of modules.
    """
    first, second = compare or (None, None)
    client = client_for(url)
    sums = client.modules(**query, by=by, first=first, second=second)
    if not sums.jobs:
        refuse_unknown_names(client, query)
    emit(sums, "\n".join(_lines(sums)), as_json=as_json)
    sys.exit(0 if sums.jobs else 1)


def _lines(sums: ModuleSums) -> Iterator[str]:
    if not sums.jobs:
        yield "No job that succeeded and passes these filters tells of art's modules."
        return
    if sums.comparison is not None:
        yield from _comparison_lines(sums.comparison)
    for group in sums.groups:
        yield ""
        yield (
            f"{group.name or 'unknown'}, {counted(group.jobs, 'job')}, "
            f"{duration(group.seconds)} in modules:"
        )
        yield table([_row(module) for module in group.modules[:_MOST]], _COLUMNS)


def _comparison_lines(compared: ModuleComparison) -> Iterator[str]:
    yield f"From {compared.first or 'unknown'} to {compared.second or 'unknown'}:"
    rows = [_change(module) for module in compared.modules if module.outcome != "same"]
    if rows:
        yield table(rows[:_MOST], _CHANGES)
    else:
        yield "No module became slower or faster."


_CHANGES = {
    "label": "MODULE",
    "step": "STEP",
    "first": "BEFORE",
    "second": "AFTER",
    "change": "CHANGE",
    "outcome": "OUTCOME",
}
_COLUMNS = {
    "label": "MODULE",
    "type": "TYPE",
    "step": "STEP",
    "share": "SHARE",
    "each": "PER EVENT",
    "events": "EVENTS",
    "jobs": "JOBS",
}


def _change(row: ModuleChange) -> dict[str, str | None]:
    change, outcome = None, row.outcome
    if row.change is not None:
        change = percent(row.change, 0, sign="+")
    if row.sigma is not None:
        outcome += f", {abs(row.sigma):.1f} sigma"
    return {
        **_named(row),
        "first": _each(row.first),
        "second": _each(row.second),
        "change": change,
        "outcome": outcome,
    }


def _named(row: ModuleChange | ModuleShare) -> dict[str, str | None]:
    """Return what tells a module from others of the same name.

    That is its step and, without a label (as of the source), its path.
    """
    return {"label": row.label or row.path or row.type, "step": row.step}


def _row(row: ModuleShare) -> dict[str, str | None]:
    return {
        **_named(row),
        "type": row.type,
        "share": None if row.share is None else percent(row.share),
        "each": _each(row),
        "events": number(row.events),
        "jobs": number(row.jobs),
    }


def _each(sums: ModuleShare | ModuleSum | None) -> str | None:
    if sums is None or sums.seconds_per_event is None:
        return None
    return duration(sums.seconds_per_event)


COMMANDS = {"modules": modules}
"""The commands of this file, by name."""
EXAMPLES = {
    "modules": (
        "jobprov modules --stage reco",
        "jobprov modules --stage reco --compare v1_4_0 v1_5_0",
    ),
}
