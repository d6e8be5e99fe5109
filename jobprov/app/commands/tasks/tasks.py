"""`jobprov task`, `missing`, `ready` and `waive`: how far a task is, and its units."""

import sys
from collections.abc import Iterator
from typing import TextIO

import click

from jobprov.app.command_lines import command_line
from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    listed_lines,
    option_with_default,
)
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.app.reports.rows import (
    cause_words,
    class_words,
    hidden_words,
    state_words,
    unlisted_words,
)
from jobprov.provenance.answers.addresses import task_page
from jobprov.provenance.answers.tasks.tasks import (
    MissingUnits,
    OpenUnit,
    ReadyFile,
    TaskProgress,
    UnitsWaived,
)
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, duration_with_band, number, size, units_of

_LISTED = 10
_MISSING: Columns[OpenUnit] = {
    "UNIT": lambda unit: unit.unit,
    "STATE": lambda unit: unit.state.label,
    "WHY": lambda unit: unit.why,
}
_READY: Columns[ReadyFile] = {
    "FILE": lambda file: file.name,
    "SIZE": lambda file: size(file.size_bytes),
    "EVENTS": lambda file: file.event_count,
    "FAILED ATTEMPTS": lambda file: file.failed_attempts,
}
_form_option = option_with_default(
    "--format", click.Choice(["text", "plain", "sam"]), "text",
    "For people, one name a line, or a SAM dimension.", to="form",
)  # fmt: skip


@click.command()
@click.argument("task_id", metavar="ID")
@experiment_option
@asks_service
def task(*, task_id: str, experiment: str | None, client: Client, as_json: bool) -> None:
    """Show how far task ID is, and what stands in its way."""
    progress = client.task(task_id, experiment=experiment)
    emit(progress, "\n".join(_task_lines(progress, client.url)), as_json=as_json)


def _task_lines(task: TaskProgress, url: str) -> Iterator[str]:
    yield _progress(task)
    if task.expected is None:
        yield "Expected number of units: not declared. `jobprov declare` freezes the list."
    if task.unlisted:
        yield unlisted_words(task.unlisted)
    if task.hidden_failures:
        yield hidden_words(task.hidden_failures)
    for cause in task.errors[:_LISTED]:
        yield f"  {number(cause.count)} x {cause_words(cause)}, such as job {cause.example}"
        if meaning := class_words(cause):
            yield f"      {meaning}"
    for waiver in task.waivers[:_LISTED]:
        units = counted(waiver.unit_count, "unit")
        yield f"  waived by {waiver.who}: {units}, because {waiver.why}"
    if task.blocking:
        yield f"What is missing: {missing_command(task.task_id, task.experiment)}"
    yield url + task_page(task.task_id, task.experiment)


def _progress(task: TaskProgress) -> str:
    parts = [f"{units_of(task.produced, task.expected)} done"]
    others = state_words(task.states)
    if others:
        parts.append(others)
    if task.missing:
        parts.append(f"{number(task.missing)} missing")
    line = ", ".join(parts)
    if task.seconds_left:
        left = duration_with_band(task.seconds_left, task.seconds_left_low, task.seconds_left_high)
        line += f"; about {left} left"
    return f"{line}."


def missing_command(task_id: str, experiment: str) -> str:
    """Return the shell command that lists what is missing of a task."""
    return command_line("missing", task_id, experiment=experiment)


@click.command()
@click.argument("task_id", metavar="ID")
@_form_option
@experiment_option
@asks_service
def missing(
    *, task_id: str, form: str, experiment: str | None, client: Client, as_json: bool
) -> None:
    """List the units of task ID that are still to be made. Exit code 1 where there are any."""
    units = client.missing_units(task_id, experiment=experiment)
    if form == "text" or as_json:
        emit(units, _missing_text(units, task_id), as_json=as_json)
    else:
        click.echo(client.missing_text(task_id, form, experiment=experiment), nl=False)
        if units.unnamed_count:
            click.echo(_unnamed(units), err=True)
    if units.missing or units.unnamed_count:
        sys.exit(1)


def _missing_text(units: MissingUnits, task_id: str) -> str:
    parts = []
    if units.missing:
        parts.append(table(units.missing, _MISSING))
    if units.unnamed_count:
        parts.append(_unnamed(units))
    return "\n".join(parts) or f"No unit of task {task_id} is missing."


def _unnamed(units: MissingUnits) -> str:
    noun = "more unit" if units.missing else "unit"
    verb = "is" if units.unnamed_count == 1 else "are"
    return (
        f"{counted(units.unnamed_count, noun)} {verb} expected, and not known by name: "
        "no list was declared, or what they are made from is not there yet."
    )


@click.command()
@click.argument("task_id", metavar="ID")
@option_with_default("--format", click.Choice(["text", "plain"]), "text", to="form")
@experiment_option
@asks_service
def ready(
    *, task_id: str, form: str, experiment: str | None, client: Client, as_json: bool
) -> None:
    """List the files that jobs of task ID made and that no job has read yet.

    The next stage can take them.
    """
    files = list(client.ready_files(task_id, experiment=experiment))
    if form == "plain":
        # a file that several jobs made is there with each of them
        text = "\n".join(dict.fromkeys(file.name for file in files))
    else:
        text = f"No file of task {task_id} waits for a job that reads it."
        if files:
            text = table(files, _READY)
    emit({"files": files}, text, as_json=as_json)


@click.command()
@click.argument("task_id", metavar="ID")
@click.argument("units", metavar="[UNIT]...", nargs=-1)
@click.option(
    "--from",
    "file",
    type=click.File(encoding="utf-8"),
    help="More units, one a line; - for standard input.",
)
@click.option("--who", required=True, help="The person who decided it.")
@click.option("--why", required=True, help="The reason, for whoever asks in a year.")
@click.option(
    "--withdraw",
    is_flag=True,
    help="Take back an earlier waiver of these units; exit code 1 where none of them is waived.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Where no list is declared: also units that no job, order, queue or catalog knows.",
)
@experiment_option
@asks_service
def waive(
    *,
    task_id: str,
    units: tuple[str, ...],
    file: TextIO | None,
    who: str,
    why: str,
    withdraw: bool,
    force: bool,
    experiment: str | None,
    client: Client,
    as_json: bool,
) -> None:
    """Let task ID go on without these units."""
    listed = list(units)
    if file is not None:
        listed += listed_lines(file)
    if not listed:
        raise click.UsageError("Name at least one unit, or a file of them with --from.")
    waiver = {
        "units": listed,
        "who": who,
        "why": why,
        "withdrawn": withdraw,
        "known_only": not force,
    }
    answer = client.waive_units(task_id, waiver, experiment=experiment)
    emit(answer, "\n".join(_waiver_lines(answer, who, withdraw=withdraw)), as_json=as_json)
    if answer.not_waived_count == answer.unit_count:
        sys.exit(1)


def _waiver_lines(answer: UnitsWaived, who: str, *, withdraw: bool) -> Iterator[str]:
    """Yield what a waiver did, and of which units a withdrawal took nothing back."""
    decided = answer.unit_count - answer.not_waived_count
    if decided:
        verb = "waits again for" if withdraw else "goes on without"
        yield f"Task {answer.task_id} {verb} {counted(decided, 'unit')}; decided by {who}."
    if answer.not_waived_count:
        was = "was" if answer.not_waived_count == 1 else "were"
        units = counted(answer.not_waived_count, "unit")
        named = ", ".join(answer.not_waived[:_LISTED])
        if answer.not_waived_count > _LISTED:
            named += f" and {number(answer.not_waived_count - _LISTED)} more"
        yield f"{units} of task {answer.task_id} {was} not waived: {named}."


COMMANDS = {"task": task, "missing": missing, "ready": ready, "waive": waive}
EXAMPLES = {
    "task": ("jobprov task toyexp-demo-reco-0001",),
    "missing": ("jobprov missing toyexp-demo-reco-0001 --format plain > again.txt",),
    "ready": ("jobprov ready toyexp-demo-gen-0001 --format plain",),
    "waive": (
        "jobprov waive toyexp-demo-reco-0001 unit-17 --who 'Ada Lovelace' --why 'broken input'",
    ),
}
