"""`jobprov task`: how far a task is."""

import shlex
from collections.abc import Iterator

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    json_option,
    url_option,
)
from jobprov.app.reports.rows import cause_words, class_words, state_words
from jobprov.provenance.answers.addresses import task_page
from jobprov.provenance.answers.tasks import TaskProgress
from jobprov.provenance.lineage.words import counted, duration_with_band, number

_LISTED = 10


@click.command()
@click.argument("task_id", metavar="ID")
@experiment_option
@url_option
@json_option
def task(*, task_id: str, experiment: str | None, url: str | None, as_json: bool) -> None:
    """Tell how far task ID is, and what stands in its way."""
    client = client_for(url)
    progress = client.task(task_id, experiment=experiment)
    emit(progress, "\n".join(_task_lines(progress, client.url)), as_json=as_json)


def _task_lines(task: TaskProgress, url: str) -> Iterator[str]:
    yield _progress(task)
    if task.expected is None:
        yield "Expected number of units: not declared. `jobprov declare` freezes the list."
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
    total = "" if task.expected is None else f" of {number(task.expected)}"
    words = [f"{number(task.produced)}{total} units done"]
    others = state_words(task.states)
    if others:
        words.append(others)
    if task.missing:
        words.append(f"{number(task.missing)} missing")
    line = ", ".join(words)
    if task.seconds_left:
        left = duration_with_band(task.seconds_left, task.seconds_left_low, task.seconds_left_high)
        line += f"; about {left} left"
    return f"{line}."


def missing_command(task_id: str, experiment: str) -> str:
    """Return the shell command that lists what is missing of a task."""
    end_of_options = "-- " if task_id.startswith("-") else ""  # such an id looks like an option
    return f"jobprov missing --experiment {experiment} {end_of_options}{shlex.quote(task_id)}"


COMMANDS = {"task": task}
