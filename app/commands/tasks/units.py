"""`jobprov missing` and `jobprov ready`: what is still to be made, what the next stage can take."""

import sys

import click
from msgspec.structs import asdict

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    json_option,
    table,
    url_option,
)
from jobprov.provenance.lineage.words import size

_MISSING = {"unit": "UNIT", "state": "STATE", "why": "WHY"}
_READY = {
    "name": "FILE",
    "size": "SIZE",
    "event_count": "EVENTS",
    "failed_attempts": "FAILED ATTEMPTS",
}
_form_option = click.option(
    "--format", "form", type=click.Choice(["text", "plain", "sam"]), default="text",
    show_default=True, help="For people, one name a line, or a SAM dimension.",
)  # fmt: skip


@click.command()
@click.argument("task_id", metavar="ID")
@_form_option
@experiment_option
@url_option
@json_option
def missing(
    *, task_id: str, form: str, experiment: str | None, url: str | None, as_json: bool
) -> None:
    """List the units of task ID that are still to be made. Exit code 1 where there are any."""
    client = client_for(url)
    units = client.missing_units(task_id, experiment=experiment)
    if form == "text" or as_json:
        rows = [{**asdict(unit), "state": unit.state.label} for unit in units.missing]
        emit(units, table(rows, _MISSING), as_json=as_json)
    else:
        click.echo(client.missing_text(task_id, form, experiment=experiment), nl=False)
    if units.missing:
        sys.exit(1)


@click.command()
@click.argument("task_id", metavar="ID")
@click.option(
    "--format", "form", type=click.Choice(["text", "plain"]), default="text", show_default=True
)
@experiment_option
@url_option
@json_option
def ready(
    *, task_id: str, form: str, experiment: str | None, url: str | None, as_json: bool
) -> None:
    """List the files that jobs of task ID made and that no job has read yet.

    The next stage can take them.
    """
    files = list(client_for(url).ready_files(task_id, experiment=experiment))
    if form == "plain":
        # a file that several jobs made is there with each of them
        text = "\n".join(dict.fromkeys(file.name for file in files))
    else:
        rows = [{**asdict(file), "size": size(file.size_bytes)} for file in files]
        text = table(rows, _READY)
    emit({"files": files}, text, as_json=as_json)


COMMANDS = {"missing": missing, "ready": ready}
