"""`jobprov backlog`: what is left of a task or a campaign, and until when."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, experiment_option
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.provenance.answers.tasks.backlogs import Backlog
from jobprov.provenance.client import Client
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.times import minute_text

_BAR = 30
_TITLES = ("UNTIL", "", "LEFT")


@click.command()
@click.argument("task_id", metavar="[TASK]", required=False)
@click.option("--campaign", help="Of this campaign; name its experiment too.")
@experiment_option
@asks_service
def backlog(
    *,
    task_id: str | None,
    campaign: str | None,
    experiment: str | None,
    client: Client,
    as_json: bool,
) -> None:
    """Show what is left of TASK or a campaign, how it became less, and until when.

    The end is an estimate with a band, which holds the truth two times in three. Exit code 1 where
    anything is left.
    """
    if (task_id is None) == (campaign is None):
        raise click.UsageError("Name either TASK or --campaign.")
    if campaign is None:
        name = f"task {task_id}"
        answer = client.task(task_id or "", experiment=experiment).backlog
    elif experiment is None:
        raise click.UsageError("Name the campaign's --experiment.")
    else:
        name = f"campaign {campaign}"
        answer = client.campaign(campaign, experiment=experiment).backlog
    if answer is None:
        raise NotFoundError(
            f"Nobody declared how many units {name} has; `jobprov declare` does so for a task."
        )
    emit(answer, "\n".join(_lines(name, answer)), as_json=as_json)
    sys.exit(1 if answer.burn_down.left[-1] else 0)


def _lines(name: str, backlog: Backlog) -> Iterator[str]:
    burn_down = backlog.burn_down
    left = burn_down.left[-1]
    yield f"{number(left)} of {counted(burn_down.expected, 'unit')} of {name} left."
    if not burn_down.is_whole:
        yield "Stages without a declared number of units are left out."
    if left:
        yield _end_line(backlog)
    if any(burn_down.left):
        yield cell_table(_TITLES, _rows(backlog), drawings={""})


def _end_line(backlog: Backlog) -> str:
    """Return when nothing may be left, but for what needs a decision."""
    need = "needs" if backlog.stays == 1 else "need"
    waiting = f"{counted(backlog.stays, 'unit')} of these {need} a decision."
    low, end, high = backlog.ends_at_low, backlog.ends_at, backlog.ends_at_high
    if low is None or end is None or high is None:
        if backlog.stays == backlog.burn_down.left[-1]:
            return "No estimate of the end: what is left needs a decision."
        words = "No estimate of the end: too little was done lately."
    else:
        band = f"between {minute_text(low)} and {minute_text(high)}"
        words = f"Expected end {minute_text(end)}, {band}."
    return f"{words} {waiting}" if backlog.stays else words


def _rows(backlog: Backlog) -> list[tuple[str, str, str]]:
    """Return how many were left at the end of the steps, the oldest first.

    Steps between two with the same number are left out.
    """
    burn_down = backlog.burn_down
    start = datetime.fromisoformat(burn_down.start)
    step = timedelta(seconds=burn_down.step_seconds)
    most = max(burn_down.left)
    first, last = burn_down.first_step(), len(burn_down.left) - 1
    rows = []
    for place, left in enumerate(burn_down.left[first:], start=first):
        around = burn_down.left[max(first, place - 1) : place + 2]
        if first < place < last and set(around) == {left}:
            continue
        # The last step goes on
        until = "now" if place == last else minute_text(start + (place + 1) * step)
        bar = "#" * max(1, round(_BAR * left / most)) if left else " "
        rows.append((until, bar, number(left)))
    return rows


COMMANDS = {"backlog": backlog}
"""The commands of this file, by name."""
EXAMPLES = {
    "backlog": (
        "jobprov backlog toyexp-demo-reco-0001",
        "jobprov backlog --campaign demo-2026 --experiment toyexp",
    ),
}
