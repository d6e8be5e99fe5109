"""`jobprov estimate`: how long would it take to do it again?"""

from typing import Any

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    json_option,
    table,
    url_option,
)
from jobprov.provenance.lineage.words import counted, duration, number, size

_HOUR = 3600


@click.command()
@click.option("--campaign", help="Learn from jobs of this campaign.")
@click.option("--stage", help="Learn from jobs of this stage; the whole chain where none is named.")
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
@click.option(
    "--slots",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Jobs that run at once.",
)
@experiment_option
@url_option
@json_option
def estimate(*, url: str | None, as_json: bool, **query: Any) -> None:
    """Tell how long so many files or events would take, from the jobs that did it before."""
    if (query["files"] is None) == (query["events"] is None):
        raise click.UsageError("Give --files or --events, one of them.")
    found = client_for(url).estimate(**query)
    rows = [
        {
            "stage": stage["stage"],
            "units": number(stage["units"]),
            **{name: hours(stage[name]) for name in ("cpu_hours", "slot_hours", "wall_hours")},
            **waited(stage),
            "disk": size(stage["output_bytes"]),
            "attempts": f"{stage['attempts_a_unit']:.2f}",
            "from": counted(stage["learnt_from"]["units"], "unit"),
        }
        for stage in [*found["stages"]]
    ]
    rows.append(
        {
            "stage": "in all",
            **{
                name: hours(found["total"][name])
                for name in ("cpu_hours", "slot_hours", "wall_hours")
            },
            **waited(found["total"]),
            "disk": size(found["total"]["output_bytes"]),
        }
    )
    columns = {
        "stage": "STAGE", "units": "UNITS", "cpu_hours": "CPU HOURS", "slot_hours": "SLOT HOURS",
        "wall_hours": f"HOURS WITH {found['slots']} SLOTS", "queue": "IN THE QUEUE",
        "stage_in": "STAGE-IN", "stage_in_hours": "STAGE-IN HOURS", "disk": "DISK",
        "attempts": "ATTEMPTS A UNIT", "from": "LEARNT FROM",
    }  # fmt: skip
    note = (
        "In brackets: the truth lies between these four times in five. "
        "In the queue, stage-in: a job's median, and between what four in\n"
        "five lie; in all: a file's way through the stages. "
        "Queues come on top of the hours; stage-in hours are part of the slot hours."
    )
    emit(found, f"{table(rows, columns)}\n{note}", as_json=as_json)


def waited(sums: dict[str, Any]) -> dict[str, str]:
    """Return what a job waits, in words; nothing of what no job said."""
    found = {name: spread(sums[name]) for name in ("queue", "stage_in") if sums[name]}
    return (
        {**found, "stage_in_hours": hours(sums["stage_in_hours"])}
        if sums["stage_in_hours"]
        else found
    )


def spread(quantiles: dict[str, Any]) -> str:
    """Return `4 min (20 s to 1 h 5 min)`."""
    low, median, high = (
        duration(quantiles[f"{name}_hours"] * _HOUR) for name in ("p10", "median", "p90")
    )
    return f"{median} ({low} to {high})"


def hours(interval: dict[str, float]) -> str:
    """Return `12.3 (11.0 to 14.1)`."""
    digits = 3 if interval["expected"] < 1 else 1
    expected, low, high = (f"{interval[name]:.{digits}f}" for name in ("expected", "low", "high"))
    return f"{expected} ({low} to {high})"


COMMANDS = {"estimate": estimate}
