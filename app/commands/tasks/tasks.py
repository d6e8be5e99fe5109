"""`jobprov task`, `missing`, `ready` and `waive`.

How far a task is, what is still to be made, what the next stage can take.
"""

import shlex
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import click
import msgspec

from jobprov.app.commands.lookup.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    json_option,
    table,
    url_option,
)
from jobprov.app.reports.rows import cause_words, class_words
from jobprov.provenance.answers.failures import FailureCause
from jobprov.provenance.lineage.words import counted, duration, number, size

_LISTED = 10
_form_option = click.option(
    "--format", "form", type=click.Choice(["text", "plain", "sam"]), default="text", show_default=True,
    help="For people, one name a line, or a SAM dimension.",
)  # fmt: skip


@click.command()
@click.argument("task_id", metavar="ID")
@experiment_option
@url_option
@json_option
def task(*, task_id: str, experiment: str | None, url: str | None, as_json: bool) -> None:
    """Tell how far task ID is, and what stands in its way."""
    client = client_for(url)
    shown = client.task(task_id, experiment=experiment)
    emit(shown, "\n".join(_task_lines(shown, client.url)), as_json=as_json)


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
    found = client.missing_units(task_id, experiment=experiment)["missing"]
    if form == "text" or as_json:
        emit(
            {"missing": found},
            table(found, {"unit": "UNIT", "state": "BEST ATTEMPT"}),
            as_json=as_json,
        )
    else:
        click.echo(client.missing_units(task_id, experiment=experiment, form=form), nl=False)
    sys.exit(1 if found else 0)


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

    What the next stage can take.
    """
    found = list(client_for(url).ready_files(task_id, experiment=experiment))
    rows = [{**file, "size": size(file["size_bytes"])} for file in found]
    columns = {
        "name": "FILE",
        "size": "SIZE",
        "event_count": "EVENTS",
        "failed_attempts": "FAILED ATTEMPTS",
    }
    text = (
        "\n".join(dict.fromkeys(file["name"] for file in found))
        if form == "plain"
        else table(rows, columns)
    )
    emit({"files": found}, text, as_json=as_json)


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
@click.option("--withdraw", is_flag=True, help="Take an earlier waiver of these units back.")
@experiment_option
@url_option
@json_option
def waive(
    *,
    task_id: str,
    units: tuple[str, ...],
    file: Any,
    withdraw: bool,
    url: str | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Let task ID go on without these units."""
    listed = [*units, *(line.strip() for line in file or () if line.strip())]
    if not listed:
        raise click.UsageError("Name at least one unit, or a file of them with --from.")
    waiver = {"units": listed, "who": said["who"], "why": said["why"], "withdrawn": withdraw}
    answer = client_for(url).waive_units(task_id, waiver, experiment=said["experiment"])
    verb = "waits again for" if withdraw else "goes on without"
    text = f"Task {answer['task_id']} {verb} {counted(answer['unit_count'], 'unit')}; decided by {said['who']}."
    emit(answer, text, as_json=as_json)


def _task_lines(shown: dict[str, Any], url: str) -> Iterator[str]:
    expected = shown["expected"]
    of = "" if expected is None else f" of {number(expected)}"
    others = [
        f"{number(shown[name])} {name}"
        for name in ("running", "failed", "waived", "missing")
        if shown[name]
    ]
    left = f"; about {duration(shown['seconds_left'])} left" if shown["seconds_left"] else ""
    yield (
        f"{number(shown['produced'])}{of} units done"
        + "".join(f", {words}" for words in others)
        + f"{left}."
    )
    if expected is None:
        yield "How many were to be was not declared: `jobprov declare` freezes the list."
    if shown["silent"]:
        yield f"{counted(shown['silent'], 'running unit')} silent for more than a day."
    for cause in msgspec.convert(shown["errors"][:_LISTED], list[FailureCause]):
        yield f"  {number(cause.count)} x {cause_words(cause)}, such as job {cause.example}"
        if what := class_words(cause):
            yield f"      {what}"
    for waiver in shown["waivers"][:_LISTED]:
        yield f"  waived by {waiver['who']}: {counted(waiver['unit_count'], 'unit')}, because {waiver['why']}"
    if shown["blocking"]:
        yield f"What is missing: {missing_command(shown['task_id'], shown['experiment'])}"
    yield f"{url}/tasks/{quote(shown['task_id'], safe='')}?experiment={shown['experiment']}"


def missing_command(task_id: str, experiment: str) -> str:
    """Return the command that lists what is missing of a task, as a shell takes it.

    An id may look like an option.
    """
    end_of_options = "-- " if task_id.startswith("-") else ""
    return f"jobprov missing --experiment {experiment} {end_of_options}{shlex.quote(task_id)}"


COMMANDS = {"task": task, "missing": missing, "ready": ready, "waive": waive}
