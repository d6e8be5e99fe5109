"""What is left of a campaign or a task: a picture with a band for its expected end, and numbers."""

from datetime import datetime, timedelta
from typing import NamedTuple

from jobprov.app.web.frame.cuts import Cut, cut_rows
from jobprov.provenance.answers.tasks.backlogs import Backlog
from jobprov.provenance.records.reading.times import read_time

WIDTH, HEIGHT = 600, 120
TOP = 2
"""Above the line, which has a width."""
_ROWS = 8
_LEAST_AHEAD = 4
"""How many steps the picture shows ahead of now, whatever the estimate."""
_MOST_AHEAD = timedelta(days=14)
"""A later end lies outside of the picture."""


class BacklogRow(NamedTuple):
    """A moment of the backlog: how many units are left then, and whether that is an estimate."""

    at: str
    left: int
    what: str


class DrawnBacklog(NamedTuple):
    """A backlog as a page shows it.

    Attributes:
        line, area: as of a burn-down, until now.
        band: the path of what may be left then; '' without an estimate.
        expected: the path of what is expected to be left; '' likewise.
        now: where now is, of a width of `WIDTH`.
        start, end: when the picture begins and ends.
        rows: the moments when fewer or more were left than before, the latest first.
    """

    line: str
    area: str
    band: str
    expected: str
    now: int
    start: str
    end: str
    rows: list[BacklogRow]


class BacklogSection(NamedTuple):
    """The section of a page about a backlog, as templates take it; nothing if none is drawn."""

    backlog: DrawnBacklog | None
    backlog_size: tuple[int, int]
    backlog_rows: Cut | None


def backlog_section(backlog: Backlog | None, now: datetime) -> BacklogSection:
    """Return the section about a backlog that was counted `now`."""
    drawn = draw_backlog(backlog, now)
    rows = None
    if drawn is not None:
        rows = cut_rows("backlog", drawn.rows, _ROWS)
    return BacklogSection(drawn, (WIDTH, HEIGHT), rows)


class _Scale(NamedTuple):
    """Where moments and numbers lie in the picture of a backlog."""

    start: datetime
    end: datetime
    most: int

    def x(self, at: datetime) -> int:
        return round(WIDTH * ((at - self.start) / (self.end - self.start)))

    def y(self, left: float) -> int:
        return HEIGHT - round((HEIGHT - TOP) * left / self.most)

    def point(self, at: datetime, left: float) -> str:
        return f"{self.x(at)} {self.y(left)}"


def draw_backlog(backlog: Backlog | None, now: datetime) -> DrawnBacklog | None:
    """Return the picture of a backlog; None if no backlog is known, or nothing was left all week.

    Args:
        backlog: what is left.
        now: when that was counted.
    """
    if backlog is None or not any(backlog.burn_down.left):
        return None
    burn_down = backlog.burn_down
    step = timedelta(seconds=burn_down.step_seconds)
    first_step = burn_down.first_step()
    start = datetime.fromisoformat(burn_down.start) + first_step * step
    left_at_start = burn_down.left_before(first_step)
    scale = _Scale(start, _picture_end(backlog, start, now), burn_down.most())
    line = f"M0 {scale.y(left_at_start)}"
    rows = [BacklogRow(start.isoformat(), left_at_start, "")]
    for place, left in enumerate(burn_down.left[first_step:]):
        # each number is that at the end of its step
        until = min(now, start + (place + 1) * step)
        line += f"L{scale.point(until, left)}"
        if until == now:
            rows.append(BacklogRow(until.isoformat(), left, "now"))
        elif left != rows[-1].left:
            rows.append(BacklogRow(until.isoformat(), left, ""))
    estimate = _draw_estimate(backlog, scale, now)
    return DrawnBacklog(
        line=line,
        area=f"{line}V{HEIGHT}H0z",
        band=estimate.band,
        expected=estimate.expected,
        now=scale.x(now),
        start=scale.start.isoformat(),
        end=scale.end.isoformat(),
        rows=[*_end_rows(backlog), *reversed(rows)],
    )


def _picture_end(backlog: Backlog, start: datetime, now: datetime) -> datetime:
    """Return when the picture ends: with the first whole step after the latest estimated end.

    That is some steps after now at least, and two weeks at most.
    """
    step = timedelta(seconds=backlog.burn_down.step_seconds)
    latest = read_time(backlog.ends_at_high) or now
    shown_until = max(now + _LEAST_AHEAD * step, min(latest, now + _MOST_AHEAD))
    return start - (start - shown_until) // step * step  # rounded up to a whole step


class _DrawnEstimate(NamedTuple):
    """The paths of what is expected to be left and of what may be left; '' without an estimate."""

    expected: str
    band: str


def _draw_estimate(backlog: Backlog, scale: _Scale, now: datetime) -> _DrawnEstimate:
    earliest, expected = read_time(backlog.ends_at_low), read_time(backlog.ends_at)
    latest = read_time(backlog.ends_at_high)
    if earliest is None or expected is None or latest is None:
        return _DrawnEstimate("", "")
    left, stays = backlog.burn_down.left[-1], backlog.stays
    begin = f"M{scale.point(now, left)}"
    # Down to the earliest end, on to the edge of the picture, and back from the latest end
    band = begin + _until(earliest, scale, now, left, stays)
    band += f"L{scale.point(scale.end, stays)}"
    if latest < scale.end:
        band += f"L{scale.point(latest, stays)}"
    else:
        band += _until(latest, scale, now, left, stays)
    return _DrawnEstimate(begin + _until(expected, scale, now, left, stays), f"{band}z")


def _until(end: datetime, scale: _Scale, now: datetime, left: int, stays: int) -> str:
    """Return the line from now to an end, or to the edge of the picture on the way there."""
    if end <= scale.end:
        return f"L{scale.point(end, stays)}"
    passed = (scale.end - now) / (end - now)
    return f"L{scale.point(scale.end, left - (left - stays) * passed)}"


def _end_rows(backlog: Backlog) -> list[BacklogRow]:
    rows = []
    ends = {
        "latest": backlog.ends_at_high,
        "expected": backlog.ends_at,
        "earliest": backlog.ends_at_low,
    }
    for title, at in ends.items():
        if at is not None:
            rows.append(BacklogRow(at, backlog.stays, title))
    return rows
