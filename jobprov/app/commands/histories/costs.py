"""`jobprov cost`: what it took to make a file."""

from typing import Any

import click

from jobprov.app.commands.histories.options import file_question
from jobprov.app.commands.terminal.opening import emit
from jobprov.app.commands.terminal.tables import Columns, duration_cell, table
from jobprov.provenance.answers.histories.costs import FileCost, StageCost
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, duration, size


@click.command()
@file_question
def cost(*, file: str, client: Client, as_json: bool, **query: Any) -> None:
    """Show what it took to make FILE, including everything it was made from."""
    answer = client.cost(file, **query)
    lines = _sentences(answer)
    if answer.stages:
        lines.append(table(answer.stages, _COLUMNS))
    emit(answer, "\n".join(lines), as_json=as_json)


def _sentences(answer: FileCost) -> list[str]:
    made, failed = answer.made, answer.failed
    if not made.jobs:
        return ["No recorded job made this file, so its cost is unknown."]

    cpu, wall = _time(made.cpu_seconds), _time(made.wall_seconds)
    lines = [f"{counted(made.jobs, 'job')} took {cpu} of CPU, {wall} of wall time."]
    if failed.jobs:
        attempts = counted(failed.jobs, "attempt")
        wasted = _time(failed.cpu_seconds)
        lines.append(f"{attempts} failed and took {wasted} of CPU on top of that.")
    if silent := made.silent_jobs + failed.silent_jobs:
        lines.append(f"The records of {counted(silent, 'job')} do not say how much time they took.")
    return lines


def _time(seconds: float | None) -> str:
    return "an unknown time" if seconds is None else duration(seconds)


_COLUMNS: Columns[StageCost] = {
    "STAGE": lambda stage: stage.stage,
    "JOBS": lambda stage: stage.made.jobs,
    "CPU": lambda stage: duration_cell(stage.made.cpu_seconds),
    "WALL": lambda stage: duration_cell(stage.made.wall_seconds),
    "OUTPUT": lambda stage: size(stage.made.output_bytes),
    "FAILED": lambda stage: stage.failed.jobs,
}


COMMANDS = {"cost": cost}
EXAMPLES = {
    "cost": ("jobprov cost toyexp_demo-2026_0001_merge_dimuon.root",),
}
