"""`jobprov cost`: what it took to make a file."""

from typing import Any

import click

from jobprov.app.commands.histories.options import file_question
from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit
from jobprov.app.commands.terminal.tables import table
from jobprov.app.csv_rows import Cell
from jobprov.provenance.answers.histories.costs import FileCost, StageCost
from jobprov.provenance.lineage.words import counted, duration, size

_COLUMNS = {
    "stage": "STAGE",
    "jobs": "JOBS",
    "cpu": "CPU",
    "wall": "WALL",
    "output": "OUTPUT",
    "failed": "FAILED",
}


@click.command()
@file_question
def cost(*, file: str, url: str | None, as_json: bool, **query: Any) -> None:
    """Show what it took to make FILE, including everything it was made from."""
    answer = client_for(url).cost(file, **query)
    lines = _sentences(answer)
    if answer.stages:
        lines.append(table([_row(stage) for stage in answer.stages], _COLUMNS))
    emit(answer, "\n".join(lines), as_json=as_json)


def _sentences(answer: FileCost) -> list[str]:
    made, failed = answer.made, answer.failed
    if not made.jobs:
        return ["No recorded job made this file, so its cost is unknown."]

    cpu, wall = _time(made.cpu_seconds), _time(made.wall_seconds)
    lines = [f"{counted(made.jobs, 'job')} took {cpu} of CPU, {wall} on the clock."]
    if failed.jobs:
        attempts = counted(failed.jobs, "attempt")
        wasted = _time(failed.cpu_seconds)
        lines.append(f"{attempts} failed and took {wasted} of CPU on top of that.")
    if silent := made.silent_jobs + failed.silent_jobs:
        lines.append(f"The records of {counted(silent, 'job')} do not say how much time they took.")
    return lines


def _row(stage: StageCost) -> dict[str, Cell]:
    made = stage.made
    return {
        "stage": stage.stage,
        "jobs": made.jobs,
        "cpu": None if made.cpu_seconds is None else duration(made.cpu_seconds),
        "wall": None if made.wall_seconds is None else duration(made.wall_seconds),
        "output": None if made.output_bytes is None else size(made.output_bytes),
        "failed": stage.failed.jobs,
    }


def _time(seconds: float | None) -> str:
    return "an unknown time" if seconds is None else duration(seconds)


COMMANDS = {"cost": cost}
EXAMPLES = {
    "cost": ("jobprov cost toyexp_demo-2026_0001_merge_dimuon.root",),
}
