"""`jobprov catalog`: what SAM or MetaCat knows of a task, compared with its jobs."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    opens_service,
    option_with_default,
)
from jobprov.app.commands.terminal.progress import shown_progress
from jobprov.app.reports.rows import moment
from jobprov.provenance.answers.catalogs.differences import (
    CatalogComparison,
    DifferingFile,
    SilentUnit,
)
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, number, units_of

if TYPE_CHECKING:
    from jobprov.app.wiring import Service
    from jobprov.provenance.services.catalogs.syncing.task import TaskSync

_LISTED = 10


@click.group(cls=Group)
def catalog() -> None:
    """Compare tasks with SAM or MetaCat."""


@catalog.command()
@click.option(
    "--experiment", help="Only this one; by default all in the file that JOBPROV_CATALOGS names."
)
@click.option("--task", "task_id", help="Only this task.")
@option_with_default("--seconds", click.FloatRange(0, 86_400), 600, "Stop after so many seconds.")
@click.option(
    "--everything",
    is_flag=True,
    help="Ask again about all units and files: some may have been retired.",
)
@opens_service
def sync(
    *, experiment: str | None, task_id: str | None, seconds: float, everything: bool,
    service: "Service", as_json: bool,
) -> None:  # fmt: skip
    """Copy what the catalogs know of declared tasks into the database; for cron.

    It continues where the last run stopped.

    Exit code 3 where a catalog was not reached, or refused what it was asked; what was found is
    kept.
    """
    from jobprov.provenance.catalogs.opening import read_catalogs  # noqa: PLC0415
    from jobprov.provenance.services.catalogs.sync import sync_experiment  # noqa: PLC0415

    catalogs = read_catalogs(service.settings.catalogs)
    experiments = [experiment] if experiment else sorted(catalogs)
    syncs: list[tuple[str, TaskSync]] = []
    with shown_progress(as_json=as_json):
        for name in experiments:
            task_syncs = sync_experiment(
                service.database,
                service.writer,
                service.store,
                catalogs,
                name,
                task_id=task_id,
                seconds=seconds,
                everything=everything,
            )
            syncs += [(name, sync) for sync in task_syncs]
    tasks = [{"experiment": name, **sync._asdict()} for name, sync in syncs]
    emit({"tasks": tasks}, "\n".join(sync_lines(syncs)), as_json=as_json)
    if any(sync.problem and not sync.is_whole for _, sync in syncs):
        sys.exit(3)


@catalog.command()
@click.argument("task_id", metavar="ID")
@click.option(
    "--late-after-hours",
    type=click.IntRange(0, 100_000),
    help="So long after its job ended, an output that the catalog does not know never arrived; by "
    "default as the experiment's catalog is set up, else 6.",
)
@experiment_option
@asks_service
def differences(
    *,
    task_id: str,
    late_after_hours: int | None,
    experiment: str | None,
    client: Client,
    as_json: bool,
) -> None:
    """List where the jobs of task ID and its catalog differ. Exit code 1 where they do."""
    comparison = client.task_catalog(
        task_id, experiment=experiment, late_after_hours=late_after_hours
    )
    emit(comparison, "\n".join(_difference_lines(comparison)), as_json=as_json)
    if comparison.differences:
        sys.exit(1)


@catalog.command()
@click.argument("task_id", metavar="ID")
@option_with_default(
    "--format",
    click.Choice(["plain", "did", "mql", "sam"]),
    "plain",
    "`did` and `mql` for MetaCat, `sam` for SAM.",
    to="form",
)
@experiment_option
@asks_service
def draining(
    *, task_id: str, form: str, experiment: str | None, client: Client, as_json: bool
) -> None:
    """List the inputs of task ID without an output in the catalog.

    Exit code 1 where there are any; where there are none, it says so on standard error.
    """
    units = client.draining_units(task_id, experiment=experiment)
    if as_json:
        emit(units, "", as_json=True)
    else:
        click.echo(client.draining_text(task_id, form, experiment=experiment), nl=False)
    if units.draining:
        sys.exit(1)
    click.echo(
        f"No unit of {task_id} drains: each has an output in the catalog or was waived.", err=True
    )


def sync_lines(syncs: "Sequence[tuple[str, TaskSync]]") -> Iterator[str]:
    """Yield what was done, a line for each experiment and task and for what it tells besides."""
    if not syncs:
        yield "No catalog is set up (JOBPROV_CATALOGS), or no task is declared."
    for experiment, sync in syncs:
        progress = "compared whole" if sync.is_whole else "continues next time"
        yield f"{experiment} {sync.task_id}: {_asked_words(sync)}, {progress}"
        if sync.unarrived:
            yield f"    {counted(sync.unarrived, 'output')} never arrived, and others overtook them"
        if sync.retired:
            yield f"    {counted(sync.retired, 'output')} retired or removed, and nothing made from it"
        if sync.named:
            yield f"    {counted(sync.named, 'input')} got the namespace that the catalog has"
        if sync.problem:
            yield f"    {sync.problem}"


def _asked_words(sync: "TaskSync") -> str:
    found = f"found {counted(sync.outputs, 'output')}"
    if sync.units:
        return f"asked about {counted(sync.units, 'unit')}, {found}"
    if sync.problem and not sync.is_whole:
        return "could not ask about any unit"
    # Outputs of all units are known, or the task has no list of units
    return found if sync.outputs else "found nothing new"


def _difference_lines(comparison: CatalogComparison) -> Iterator[str]:
    if comparison.not_compared is not None:
        yield f"Not compared with its catalog yet. {comparison.not_compared}"
        return
    units = comparison.units
    known = units_of(units.in_catalog, units.expected)
    yield f"The catalog knows the outputs of {known}, as of {moment(comparison.synced_at)}."
    if comparison.problem:
        yield f"The last time: {comparison.problem}"
    for difference in comparison.differences:
        yield f"{number(difference.count):>7}  {difference.kind}: {difference.meaning}"
        for file in difference.files[:_LISTED]:
            yield f"         {_file_words(file)}"
        if difference.count > _LISTED:
            yield f"         and {number(difference.count - _LISTED)} more; --json lists them"
    for unit in comparison.silent[:_LISTED]:
        yield f"  no news of {unit.unit}: {_process_words(unit)}"
    if not comparison.differences:
        yield "Jobs and catalog agree."


def _file_words(file: DifferingFile) -> str:
    places = [place for place in (file.batch_id, file.node) if place]
    if not places:
        return file.name
    return f"{file.name}  ({', '.join(places)})"


def _process_words(unit: SilentUnit) -> str:
    batch_id, node = unit.batch_id or "no batch id", unit.node or "an unknown node"
    return f"process {unit.process_id}, {batch_id} on {node}, {unit.status}"


COMMANDS = {"catalog": catalog}
EXAMPLES = {
    "catalog sync": ("jobprov catalog sync --experiment toyexp",),
    "catalog differences": ("jobprov catalog differences toyexp-demo-reco-0001",),
    "catalog draining": ("jobprov catalog draining toyexp-demo-reco-0001 --format plain",),
}
