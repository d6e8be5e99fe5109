"""`jobprov timeline`: when a task, or one of its units, waited and ran."""

from collections.abc import Iterator
from datetime import datetime

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, experiment_option, json_option, url_option
from jobprov.app.commands.terminal.tables import table
from jobprov.app.csv_rows import Cell
from jobprov.provenance.answers.tasks.tasks import UNDER_WAY
from jobprov.provenance.answers.tasks.timelines import Stretch, StretchKind, Timeline, TimelineRow
from jobprov.provenance.lineage.words import counted, duration

_WIDTH = 40
_LETTERS = {"idle": "-", "held": "=", "run": "#"}
_HEIGHTS = " .:-=+*#%@"
_OF_JOBS = {
    "state": "STATE",
    "job": "UNIT",
    "line": "WHEN",
    "queued": "QUEUED",
    "ran": "RAN",
    "where": "WHERE",
    "steps": "STEPS",
    "reason": "REASON",
}
_OF_PLACES = {"name": "", "line": "WHEN", "jobs": "JOBS", "most": "MOST AT ONCE"}


@click.command()
@click.argument("task_id", metavar="TASK")
@click.option("--unit", help="The attempts at this unit alone.")
@click.option(
    "--by",
    type=click.Choice(["job", "site", "host"]),
    help="A line each, of a whole task.  [default: job, of many jobs site]",
)
@experiment_option
@url_option
@json_option
def timeline(
    *,
    task_id: str,
    unit: str | None,
    by: str | None,
    experiment: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show when TASK, or one of its units, waited and ran.

    In the lines of jobs - is time in the queue, = is held, and # ran. In those of sites and hosts a
    denser sign is more jobs at once.
    """
    if unit is not None and by is not None:
        raise click.UsageError("The lines of a unit are its attempts: leave out --by.")
    answer = client_for(url).timeline(task_id, unit=unit, by=by, experiment=experiment)
    emit(answer, "\n".join(_lines(answer)), as_json=as_json)


def _lines(answer: Timeline) -> Iterator[str]:
    noun = "job" if answer.unit is None else "attempt"
    if answer.start is None or answer.end is None:
        yield f"{counted(answer.jobs, noun)}; none has started."
        return
    window = _Window(datetime.fromisoformat(answer.start), datetime.fromisoformat(answer.end))
    times = f"from {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC"
    yield f"{counted(answer.jobs, noun)} {times}:"
    if answer.step_seconds is None:
        yield _table([_row_of_job(row, window) for row in answer.rows], _OF_JOBS)
    else:
        most = max((max(row.running) for row in answer.rows), default=0.0)
        columns = {**_OF_PLACES, "name": answer.by.upper()}
        yield table(
            [_row_of_place(row, answer.by, most) for row in answer.rows], columns, drawings={"line"}
        )
    if answer.left_out:
        yield f"{counted(answer.left_out, 'row')} more, not shown."


class _Window:
    """A window of time on a line of letters."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self._seconds = max(1.0, (end - start).total_seconds())

    def place(self, moment: str | None) -> int:
        """Return the column of a moment; the last one of what goes on."""
        if moment is None:
            return _WIDTH - 1
        seconds = (datetime.fromisoformat(moment) - self.start).total_seconds()
        return min(_WIDTH - 1, max(0, int(_WIDTH * seconds / self._seconds)))


def _table(rows: list[dict[str, Cell]], columns: dict[str, str]) -> str:
    """Return rows as a table, without columns in which nothing stands."""
    shown = {}
    for name, title in columns.items():
        if any(row[name] for row in rows):
            shown[name] = title
    return table(rows, shown, drawings={"line"})


def _row_of_job(row: TimelineRow, window: _Window) -> dict[str, Cell]:
    name = row.batch_id or row.job_id
    if row.unit is not None and not row.of_kind("step"):
        name = row.unit
    return {
        "state": row.state,
        "job": name,
        "line": _line(row, window),
        "queued": _took(row, "idle"),
        "ran": _took(row, "run"),
        "where": "/".join(word for word in (row.site, row.host) if word),
        "steps": ", ".join(_step_words(row)),
        "reason": row.reason,
    }


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


def _took(row: TimelineRow, kind: StretchKind) -> str | None:
    seconds = row.seconds_of(kind)
    return None if seconds is None else duration(seconds)


def _step_words(row: TimelineRow) -> Iterator[str]:
    for stretch in row.of_kind("step"):
        words = stretch.name or "step"
        if stretch.seconds is not None:
            words += f" {duration(stretch.seconds)}"
        if stretch.state in {"failed", "killed"}:
            words += f" ({stretch.state})"
        yield words


def _row_of_place(row: TimelineRow, by: str, most: float) -> dict[str, Cell]:
    return {
        "name": row.name or f"no {by}",
        "line": _heights(row.running, most),
        "jobs": row.jobs,
        "most": f"{max(row.running):.1f}",
    }


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
