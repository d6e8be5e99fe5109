"""`jobprov waive`: let a task go on without some of its units."""

from typing import TextIO

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, experiment_option, json_option, url_option
from jobprov.provenance.lineage.words import counted


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
@click.option("--withdraw", is_flag=True, help="Take back an earlier waiver of these units.")
@experiment_option
@url_option
@json_option
def waive(
    *,
    task_id: str,
    units: tuple[str, ...],
    file: TextIO | None,
    who: str,
    why: str,
    withdraw: bool,
    experiment: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Let task ID go on without these units."""
    listed = list(units)
    if file is not None:
        listed += [line.strip() for line in file if line.strip()]
    if not listed:
        raise click.UsageError("Name at least one unit, or a file of them with --from.")
    waiver = {"units": listed, "who": who, "why": why, "withdrawn": withdraw}
    answer = client_for(url).waive_units(task_id, waiver, experiment=experiment)
    verb = "waits again for" if withdraw else "goes on without"
    units_waived = counted(answer.unit_count, "unit")
    text = f"Task {answer.task_id} {verb} {units_waived}; decided by {who}."
    emit(answer, text, as_json=as_json)


COMMANDS = {"waive": waive}
