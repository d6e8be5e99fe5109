"""`jobprov estimate`: how long would it take to do it again?"""

from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, experiment_option, option_with_default
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.provenance.answers.estimates import (
    ChainWait,
    Hours,
    JobWait,
    StageEstimate,
    TotalEstimate,
    UnitTimes,
)
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, digits_due, duration, number, size

_HOUR = 3600


@click.command()
@click.option("--campaign", help="Learn from jobs of this campaign.")
@click.option(
    "--stage", help="Learn from jobs of this stage; without it, from the whole chain of stages."
)
@click.option("--task", "task_id", help="Learn from jobs of this task.")
@click.option("--site", help="Learn from jobs at this site.")
@click.option("--revision", help="Learn from jobs that ran this commit.")
@click.option(
    "--started-after", metavar="TIME", help="Learn from jobs that started at or after this time."
)
@click.option("--files", type=click.IntRange(1), help="Units of the first stage.")
@click.option(
    "--events",
    type=click.IntRange(1),
    help="Events that the first stage is to put out, instead of --files.",
)
@option_with_default("--slots", click.IntRange(1), 1000, "Jobs that run at once.")
@experiment_option
@asks_service
def estimate(*, client: Client, as_json: bool, **query: Any) -> None:
    """Show how long so many files or events would take, from the jobs that did it before."""
    if (query["files"] is None) == (query["events"] is None):
        raise click.UsageError("Give --files or --events, one of them.")
    result = client.estimate(**query)
    rows = []
    for stage in result.stages:
        rows.append(
            {
                "STAGE": stage.stage,
                "UNITS": number(stage.units),
                **_sums(stage, result.slots),
                **_one_unit(stage.unit_times),
                "ATTEMPTS PER UNIT": f"{stage.attempts_a_unit:.2f}",
                "LEARNT FROM": counted(stage.learnt_from.units, "unit"),
            }
        )
    rows.append({"STAGE": "total", **_sums(result.total, result.slots)})
    titles = (
        "STAGE", "UNITS", "CPU HOURS", "SLOT HOURS", f"HOURS WITH {result.slots} SLOTS",
        "ONE UNIT", "1 IN 100 LONGER THAN", "IN THE QUEUE", "STAGE-IN", "STAGE-IN HOURS", "DISK",
        "ATTEMPTS PER UNIT", "LEARNT FROM",
    )  # fmt: skip
    cells = [[row.get(title) for title in titles] for row in rows]
    note = (
        "In brackets: the range that contains the true value four times in five. In the queue and "
        "stage-in: the median over jobs, and the range of four jobs in five; in the total, of one "
        "file through all stages. Time in queues comes on top of the hours; stage-in hours are "
        "part of the slot hours."
    )
    lines = [cell_table(titles, cells), note]
    for stage in result.stages:
        times = stage.unit_times
        if times.hung_hours is not None:
            lines.append(
                f"{counted(times.hung, 'unit')} of {stage.stage} hung, for "
                f"{duration(times.hung_hours * _HOUR)} or longer: counted in CPU and slot hours, "
                f"but not in the hours with {result.slots} slots, which end with the last unit "
                "that does not hang."
            )
    emit(result, "\n".join(lines), as_json=as_json)


def _one_unit(times: UnitTimes) -> dict[str, str]:
    """Return the cells of one unit."""
    cells = {"ONE UNIT": duration(times.median_hours * _HOUR)}
    if times.p99_hours is not None:
        cells["1 IN 100 LONGER THAN"] = duration(times.p99_hours * _HOUR)
    return cells


def _sums(sums: StageEstimate | TotalEstimate, slots: int) -> dict[str, str]:
    """Return the cells of a stage or of all stages; values that no job has are left out."""
    cells = {
        "CPU HOURS": hours(sums.cpu_hours),
        "SLOT HOURS": hours(sums.slot_hours),
        f"HOURS WITH {slots} SLOTS": hours(sums.wall_hours),
        "DISK": size(sums.output_bytes),
    }
    if sums.queue:
        cells["IN THE QUEUE"] = wait_words(sums.queue)
    if sums.stage_in:
        cells["STAGE-IN"] = wait_words(sums.stage_in)
    if sums.stage_in_hours:
        cells["STAGE-IN HOURS"] = hours(sums.stage_in_hours)
    return cells


def wait_words(wait: JobWait | ChainWait) -> str:
    """Return `4 min (20 s to 1 h 5 min)`."""
    low, high = duration(wait.p10_hours * _HOUR), duration(wait.p90_hours * _HOUR)
    return f"{duration(wait.median_hours * _HOUR)} ({low} to {high})"


def hours(interval: Hours) -> str:
    """Return `12.3 (11.0 to 14.1)`, or `0.00012 (0.00009 to 0.00015)` of short jobs."""
    if interval.high == 0:
        return "0 (0 to 0)"
    digits = digits_due(interval.expected)
    low, high = f"{interval.low:.{digits}f}", f"{interval.high:.{digits}f}"
    return f"{interval.expected:.{digits}f} ({low} to {high})"


COMMANDS = {"estimate": estimate}
EXAMPLES = {
    "estimate": ("jobprov estimate --experiment toyexp --stage reco --files 20000 --slots 500",),
}
