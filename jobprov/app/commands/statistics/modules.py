"""`jobprov modules`: which of art's modules takes the time, and which became slower."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    job_filters,
    option_with_default,
)
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.statistics.modules import (
    ModuleChange,
    ModuleComparison,
    ModuleShare,
    ModuleSum,
    ModuleSums,
)
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, duration, number, percent

_MOST = 15


@click.command()
@job_filters("task", "campaign", "stage", "revision", "started_after", "started_before")
@option_with_default("--by", click.Choice(["version", "stage", "site", "host"]), "version")
@click.option(
    "--compare",
    nargs=2,
    metavar="FIRST SECOND",
    help="Compare these two groups; the two largest by default.",
)
@experiment_option
@asks_service
def modules(
    *, client: Client, as_json: bool, by: str, compare: tuple[str, str] | None, **query: Any
) -> None:
    """Show what art's modules took in jobs that succeeded, and what changed between two versions.

    Exit code 1 where no job recorded its modules.
    """
    first, second = compare or (None, None)
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
    for place, group in enumerate(sums.groups):
        if place or sums.comparison is not None:
            yield ""
        yield (
            f"{group.name or 'unknown'}, {counted(group.jobs, 'job')}, "
            f"{duration(group.seconds)} in modules:"
        )
        yield table(group.modules[:_MOST], _COLUMNS)


def _comparison_lines(compared: ModuleComparison) -> Iterator[str]:
    yield f"From {compared.first or 'unknown'} to {compared.second or 'unknown'}:"
    changed = [module for module in compared.modules if module.outcome != "same"]
    if changed:
        yield table(changed[:_MOST], _CHANGES)
    else:
        yield "No module became slower or faster."


def _name(module: ModuleChange | ModuleShare) -> str | None:
    """Return what a module is called: its path or type where it has no label, as the source."""
    return module.label or module.path or module.type


def _outcome(module: ModuleChange) -> str:
    if module.sigma is None:
        return module.outcome
    return f"{module.outcome}, {abs(module.sigma):.1f} sigma"


def _each(sums: ModuleShare | ModuleSum | None) -> str | None:
    if sums is None or sums.seconds_per_event is None:
        return None
    return duration(sums.seconds_per_event)


_CHANGES: Columns[ModuleChange] = {
    "MODULE": _name,
    "STEP": lambda module: module.step,
    "BEFORE": lambda module: _each(module.first),
    "AFTER": lambda module: _each(module.second),
    "CHANGE": lambda module: None if module.change is None else percent(module.change, 0, sign="+"),
    "OUTCOME": _outcome,
}
_COLUMNS: Columns[ModuleShare] = {
    "MODULE": _name,
    "TYPE": lambda module: module.type,
    "STEP": lambda module: module.step,
    "SHARE": lambda module: None if module.share is None else percent(module.share),
    "PER EVENT": _each,
    "EVENTS": lambda module: number(module.events),
    "JOBS": lambda module: number(module.jobs),
}


COMMANDS = {"modules": modules}
"""The commands of this file, by name."""
EXAMPLES = {
    "modules": (
        "jobprov modules --stage reco",
        "jobprov modules --stage reco --compare v1_4_0 v1_5_0",
    ),
}
