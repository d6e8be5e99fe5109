"""The page of when a unit or a task waited and ran: bars on the server, numbers beside them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from flask import Response, request

from jobprov.app.kept_answers import read_timeline
from jobprov.app.web.frame.formats import counted, duration, number
from jobprov.app.web.frame.page import answer, here, named_task, pages, table
from jobprov.provenance.answers.addresses import task_call, timeline_page
from jobprov.provenance.answers.tasks.tasks import UNDER_WAY
from jobprov.provenance.answers.tasks.timelines import Stretch, Timeline, TimelineRow
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.schemas.parameters import read_query
from jobprov.provenance.schemas.production_queries import TimelineQuery
from jobprov.provenance.times import utc_text

WIDTH = 1000
"""Of a line, in the units of its drawing."""
_SHORTEST = 3
_FOLDED_HEIGHT = 34
_MOST_TICKS = 6
_LAST_LABEL = 88.0
"""Per cent of the width: a label further right would not fit."""
_TICKS = (
    *(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 30)),
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28, 91, 364)),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CSV_COLUMNS = (
    "job_id", "unit", "site", "host", "state", "kind", "name", "start", "end", "seconds", "running",
)  # fmt: skip
_BY_WORDS = {"job": "job", "site": "site", "host": "host"}


class Tick(NamedTuple):
    """A tick of the axis: per cent of the width, place in the drawing, and label if it fits."""

    percent: float
    place: int
    label: str | None


class DrawnStretch(NamedTuple):
    """A stretch as a rectangle of a line.

    Attributes:
        is_faint: it is a run whose steps are drawn over it.
    """

    state: str
    start: int
    length: int
    top: int
    height: int
    is_faint: bool = False


class ShownRow(NamedTuple):
    """A row with its drawing and what its columns say.

    Attributes:
        area: of several jobs, how many ran at once, as a path.
        waited, ran: seconds; None where nobody says.
        most: of several jobs, how many ran at once at most.
    """

    row: TimelineRow
    pieces: list[DrawnStretch]
    area: str | None
    waited: float | None
    ran: float | None
    started: str | None
    steps: list[Stretch]
    most: float | None


class Axis:
    """Places moments of a window on a line."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self._length = max((end - start).total_seconds(), 1.0)

    def place(self, at: datetime) -> int:
        """Return where a moment lies."""
        share = (at - self.start).total_seconds() / self._length
        return round(WIDTH * min(1.0, max(0.0, share)))

    def ticks(self) -> list[Tick]:
        """Return the moments that are marked, on multiples of a usual length since 1970."""
        length = self.end - self.start
        apart = next((tick for tick in _TICKS if length / tick <= _MOST_TICKS), _TICKS[-1])
        first = _EPOCH - (_EPOCH - self.start) // apart * apart
        ticks: list[Tick] = []
        at = first
        while at <= self.end and len(ticks) <= WIDTH:
            place = self.place(at)
            percent = 100 * place / WIDTH
            label = _label(at, apart) if percent <= _LAST_LABEL else None
            ticks.append(Tick(percent, place, label))
            at += apart
        return ticks


def _label(at: datetime, apart: timedelta) -> str:
    if apart >= timedelta(days=1):
        return f"{at.day} {at:%b}"
    return f"{at:%H:%M:%S}" if apart < timedelta(minutes=1) else f"{at:%H:%M}"


@pages.get("/timeline", endpoint="timeline")
def show_page() -> Response:
    """Show when the unit in the address waited and ran, or all of the task."""
    given = {name: value.strip() for name, value in request.args.items() if value.strip()}
    if "task_id" in given:
        given["task_id"] = named_task(request.args["task_id"])
    form = given.pop("format", None)
    task_id = given.pop("task_id", None)
    if task_id is None:
        raise BadInputError("task_id: name a task.", {"task_id": ["missing"]})
    timeline = read_timeline(task_id, **read_query(TimelineQuery, given))
    if form == "csv":
        return table("timeline", _CSV_COLUMNS, _csv_rows(timeline))
    axis = _axis(timeline)
    ticks = []
    if axis is not None:
        ticks = axis.ticks()
    return answer(
        "tasks/timeline.html",
        twin=task_call(task_id, "/timeline", given),
        csv=here(format="csv"),
        is_live=any(row.state in UNDER_WAY for row in timeline.rows),
        timeline=timeline,
        first_line=first_line(timeline),
        rows=_shown_rows(timeline, axis),
        ticks=ticks,
        foldings=_foldings(timeline),
    )


def _axis(timeline: Timeline) -> Axis | None:
    start, end = read_time(timeline.start), read_time(timeline.end)
    if start is None or end is None:
        return None
    return Axis(start, end)


def first_line(timeline: Timeline) -> str:
    """Return what happened in a sentence."""
    if timeline.unit is None:
        return _line_of_task(timeline)
    attempts = _attempts_of_unit(timeline)
    spent = _time_of_unit(timeline)
    return f"{attempts}: {spent}." if spent else f"{attempts}."


def _attempts_of_unit(timeline: Timeline) -> str:
    """Return how many attempts are recorded, and how many more the queues report."""
    attempts = counted(timeline.jobs, "attempt")
    unrecorded = [row.state for row in timeline.rows if row.job_id is None]
    for state in ("running", "held", "idle"):
        count = unrecorded.count(state)
        if count:
            attempts += f", {number(count)} more {state}"
    return attempts


def _time_of_unit(timeline: Timeline) -> str:
    """Return how long the attempts waited and ran; empty where it is not known."""
    queued = ran = between = 0.0
    for row in timeline.rows:
        queued += row.seconds_of("idle") or 0.0
        ran += row.seconds_of("run") or 0.0
        between += row.gap_seconds or 0.0
    parts = []
    for seconds, word in ((queued, "queued"), (ran, "running"), (between, "between attempts")):
        if seconds:
            parts.append(f"{duration(seconds)} {word}")
    return ", ".join(parts)


def _line_of_task(timeline: Timeline) -> str:
    start, end = read_time(timeline.start), read_time(timeline.end)
    if start is None or end is None:
        return f"{counted(timeline.jobs, 'job')}; none has started."
    line = f"{counted(timeline.jobs, 'job')} in {duration((end - start).total_seconds())}"
    if timeline.by == "job" and timeline.left_out:
        return f"{line}; the {len(timeline.rows)} that took longest are shown."
    at_once = _all_at_once(timeline)
    if at_once:
        line += f"; {number(round(max(at_once)))} at once at most"
    return f"{line}."


def _all_at_once(timeline: Timeline) -> list[float]:
    """Return how many jobs of all rows ran at once in each step."""
    running = [row.running for row in timeline.rows if row.running]
    return [sum(amounts) for amounts in zip(*running, strict=True)]


def _foldings(timeline: Timeline) -> list[tuple[str, str | None]]:
    """Return what a task's jobs can be grouped by, with addresses; None for what is shown."""
    if timeline.unit is not None:
        return []
    foldings: list[tuple[str, str | None]] = []
    for by, words in _BY_WORDS.items():
        url = None
        if by != timeline.by:
            url = timeline_page(timeline.task_id, timeline.experiment, by=by)
        foldings.append((words, url))
    return foldings


def _shown_rows(timeline: Timeline, axis: Axis | None) -> list[ShownRow]:
    most = max((max(row.running) for row in timeline.rows if row.running), default=0.0)
    return [_shown_row(row, axis, most) for row in timeline.rows]


def _shown_row(row: TimelineRow, axis: Axis | None, most: float) -> ShownRow:
    """Return a row with its drawing; `most` jobs of a row ran at once at most, in any row."""
    pieces: list[DrawnStretch] = []
    if axis is not None:
        pieces = _pieces(row, axis)
    area, most_here = None, None
    if row.running:
        area, most_here = _area(row.running, most), round(max(row.running), 1)
    runs = row.of_kind("run")
    return ShownRow(
        row=row,
        pieces=pieces,
        area=area,
        waited=row.seconds_of("idle"),
        ran=row.seconds_of("run"),
        started=runs[0].start if runs else None,
        steps=row.of_kind("step"),
        most=most_here,
    )


def _pieces(row: TimelineRow, axis: Axis) -> list[DrawnStretch]:
    """Return the rectangles: a thin line waits, a double one is held, a bar ran."""
    has_steps = bool(row.of_kind("step"))
    pieces = []
    for stretch in row.stretches:
        start, length = _extent(stretch, axis)
        if stretch.kind == "idle":
            pieces.append(DrawnStretch("idle", start, length, 8, 4))
        elif stretch.kind == "held":
            pieces.append(DrawnStretch("held", start, length, 5, 3))
            pieces.append(DrawnStretch("held", start, length, 12, 3))
        elif stretch.kind == "run":
            pieces.append(DrawnStretch(stretch.state, start, length, 2, 16, is_faint=has_steps))
        else:
            # a seam between steps that follow each other
            pieces.append(DrawnStretch(stretch.state, start, max(_SHORTEST, length - 2), 4, 12))
    return pieces


def _extent(stretch: Stretch, axis: Axis) -> tuple[int, int]:
    """Return where a stretch begins and how long it is.

    A stretch that goes on reaches the end; one of unknown end is as short as can be seen.
    """
    start = axis.place(read_time(stretch.start) or axis.start)
    end = start
    ended = read_time(stretch.end)
    if ended is not None:
        end = axis.place(ended)
    elif stretch.state in UNDER_WAY:
        end = WIDTH
    length = max(_SHORTEST, end - start)
    return min(start, WIDTH - _SHORTEST), length


def _area(running: Sequence[float], most: float) -> str:
    """Return the outline of how many jobs ran at once, scaled so that the highest row is full."""
    width = WIDTH / len(running)
    path = [f"M0 {_FOLDED_HEIGHT}"]
    for place, amount in enumerate(running):
        share = amount / most if most else 0.0
        height = round(_FOLDED_HEIGHT * share, 1)
        path.append(f"V{_FOLDED_HEIGHT - height:g}H{width * (place + 1):.0f}")
    return "".join([*path, f"V{_FOLDED_HEIGHT}Z"])


def _csv_rows(timeline: Timeline) -> Iterator[dict[str, object]]:
    for row in timeline.rows:
        job = {
            "job_id": row.job_id,
            "unit": row.unit or timeline.unit,
            "site": row.site,
            "host": row.host,
        }
        if timeline.step_seconds is not None:
            yield from _csv_steps(timeline, row)
        for stretch in row.stretches:
            yield {
                **job,
                "state": stretch.state,
                "kind": stretch.kind,
                "name": stretch.name,
                "start": stretch.start,
                "end": stretch.end,
                "seconds": stretch.seconds,
                "running": None,
            }


def _csv_steps(timeline: Timeline, row: TimelineRow) -> Iterator[dict[str, object]]:
    start = read_time(timeline.start)
    seconds = timeline.step_seconds
    if start is None or seconds is None:
        return
    for place, amount in enumerate(row.running):
        begun = start + timedelta(seconds=place * seconds)
        yield {
            **dict.fromkeys(_CSV_COLUMNS),
            timeline.by: row.name,
            "start": utc_text(begun),
            "seconds": seconds,
            "running": amount,
        }
