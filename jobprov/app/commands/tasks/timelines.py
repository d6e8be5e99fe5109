"""`jobprov timeline`: when a task, or one of its units, waited and ran."""

from collections.abc import Iterator
from datetime import datetime

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, experiment_option
from jobprov.app.commands.terminal.tables import Columns, duration_cell, table
from jobprov.provenance.answers.tasks.tasks import UNDER_WAY
from jobprov.provenance.answers.tasks.timelines import Stretch, Timeline, TimelineRow
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, duration
from jobprov.provenance.times import second_text

_WIDTH = 40
_LETTERS = {"idle": "-", "held": "=", "run": "#"}
_HEIGHTS = " .:-=+*#%@"


@click.command()
@click.argument("task_id", metavar="TASK")
@click.option("--unit", help="The attempts at this unit alone.")
@click.option(
    "--by",
    type=click.Choice(["job", "site", "host"]),
    help="A line each, of a whole task.  [default: job, of many jobs site]",
)
@experiment_option
@asks_service
def timeline(
    *,
    task_id: str,
    unit: str | None,
    by: str | None,
    experiment: str | None,
    client: Client,
    as_json: bool,
) -> None:
    """Show when TASK, or one of its units, waited and ran.

    In the lines of jobs - is time in the queue, = is held, and # ran. In those of sites and hosts a
    denser sign is more jobs at once.
    """
    if unit is not None and by is not None:
        raise click.UsageError("The lines of a unit are its attempts: leave out --by.")
    answer = client.timeline(task_id, unit=unit, by=by, experiment=experiment)
    emit(answer, "\n".join(_lines(answer)), as_json=as_json)


def _lines(answer: Timeline) -> Iterator[str]:
    noun = "job" if answer.unit is None else "attempt"
    if answer.start is None or answer.end is None:
        yield f"{counted(answer.jobs, noun)}; none has started."
        return
    window = _Window(datetime.fromisoformat(answer.start), datetime.fromisoformat(answer.end))
    times = f"from {second_text(window.start)} to {second_text(window.end)}"
    yield f"{counted(answer.jobs, noun)} {times}:"
    if answer.step_seconds is None:
        yield _table_of_jobs(answer, window)
    else:
        yield _table_of_places(answer)
    if answer.left_out:
        yield f"{counted(answer.left_out, 'row')} more, not shown."


class _Window:
    """A window of time on a line of letters."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self._seconds = max(1.0, (end - start).total_seconds())

    def place(self, moment: str | None) -> int:
        """Return the column of a moment; the last column for a job that still runs."""
        if moment is None:
            return _WIDTH - 1
        seconds = (datetime.fromisoformat(moment) - self.start).total_seconds()
        return min(_WIDTH - 1, max(0, int(_WIDTH * seconds / self._seconds)))


def _table_of_jobs(answer: Timeline, window: _Window) -> str:
    """Return a table of jobs, without columns in which nothing stands."""
    columns: Columns[TimelineRow] = {
        "STATE": lambda row: row.state,
        "UNIT" if answer.unit is None else "JOB": _name,
        "WHEN": lambda row: _line(row, window),
        "QUEUED": lambda row: duration_cell(row.seconds_of("idle")),
        "START TO END": lambda row: duration_cell(row.seconds_of("run")),
        "WHERE": lambda row: "/".join(word for word in (row.site, row.host) if word),
        "STEPS": lambda row: ", ".join(_step_words(row)),
        "REASON": lambda row: row.reason,
    }
    filled = {}
    for title, show in columns.items():
        if any(show(row) for row in answer.rows):
            filled[title] = show
    return table(answer.rows, filled, drawings={"WHEN"})


def _table_of_places(answer: Timeline) -> str:
    most = max((max(row.running) for row in answer.rows), default=0.0)
    columns: Columns[TimelineRow] = {
        answer.by.upper(): lambda row: row.name or f"no {answer.by}",
        "WHEN": lambda row: _heights(row.running, most),
        "JOBS": lambda row: row.jobs,
        "MOST AT ONCE": lambda row: f"{max(row.running):.1f}",
    }
    return table(answer.rows, columns, drawings={"WHEN"})


def _name(row: TimelineRow) -> str | None:
    if row.unit is not None and not row.of_kind("step"):
        return row.unit
    return row.batch_id or row.job_id


def _line(row: TimelineRow, window: _Window) -> str:
    letters = [" "] * _WIDTH
    for stretch in row.stretches:
        letter = _LETTERS.get(stretch.kind)
        if letter is None:
            continue
        first = window.place(stretch.start)
        last = first if _is_over(stretch) and stretch.end is None else window.place(stretch.end)
        for place in range(first, max(first, last) + 1):
            letters[place] = letter
    return "".join(letters).rstrip()


def _is_over(stretch: Stretch) -> bool:
    return stretch.state not in UNDER_WAY


def _step_words(row: TimelineRow) -> Iterator[str]:
    for stretch in row.of_kind("step"):
        words = stretch.name or "step"
        if stretch.seconds is not None:
            words += f" {duration(stretch.seconds)}"
        if stretch.state in {"failed", "killed"}:
            words += f" ({stretch.state})"
        yield words


def _heights(running: list[float], most: float) -> str:
    letters = []
    for amount in running:
        height = 0
        if amount > 0:
            height = max(1, round((len(_HEIGHTS) - 1) * amount / most))
        letters.append(_HEIGHTS[height])
    return "".join(letters).rstrip()


COMMANDS = {"timeline": timeline}
"""The commands of this file, by name."""
EXAMPLES = {
    "timeline": (
        "jobprov timeline toyexp-demo-reco-0001",
        "jobprov timeline toyexp-demo-reco-0001 --unit toyexp_demo-2026_0001_gen_0004.root",
    ),
}
