"""What is left of a campaign or a task: a picture with the band of its end ahead of now, and its numbers."""

from datetime import datetime, timedelta
from typing import NamedTuple

from jobprov.app.web.frame.formats import moment
from jobprov.provenance.answers.tasks.backlogs import Backlog

WIDTH, HEIGHT = 600, 120
TOP = 2
"""Above the line, which has a width."""
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
        rows: what it shows, the latest moment first.
    """

    line: str
    area: str
    band: str
    expected: str
    now: int
    start: str
    end: str
    rows: list[BacklogRow]


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
    first = burn_down.first_step()
    start = datetime.fromisoformat(burn_down.start) + first * step
    latest = moment(backlog.ends_at_high) or now
    ahead = max(now + _LEAST_AHEAD * step, min(latest, now + _MOST_AHEAD))
    end = start - (start - ahead) // step * step
    left_at_start = burn_down.left_before(first)
    scale = _Scale(start, end, burn_down.most())
    line = f"M0 {scale.y(left_at_start)}"
    rows = [BacklogRow(start.isoformat(), left_at_start, "")]
    for place, left in enumerate(burn_down.left[first:]):
        # each number is that at the end of its step
        until = min(now, start + (place + 1) * step)
        line += f"L{scale.point(until, left)}"
        rows.append(BacklogRow(until.isoformat(), left, "now" if until == now else ""))
    expected, band = _ahead(backlog, scale, now)
    return DrawnBacklog(
        line=line,
        area=f"{line}V{HEIGHT}H0z",
        band=band,
        expected=expected,
        now=scale.x(now),
        start=start.isoformat(),
        end=end.isoformat(),
        rows=[*_end_rows(backlog), *reversed(rows)],
    )


def _ahead(backlog: Backlog, scale: _Scale, now: datetime) -> tuple[str, str]:
    """Return the paths of the expected backlog and of its possible range."""
    low, middle = moment(backlog.ends_at_low), moment(backlog.ends_at)
    high = moment(backlog.ends_at_high)
    if low is None or middle is None or high is None:
        return "", ""
    left = backlog.burn_down.left[-1]
    begin = f"M{scale.point(now, left)}"
    lines = [_until(end, scale, now, left, backlog.stays) for end in (low, middle, high)]
    corner = scale.point(scale.end, backlog.stays)
    band = f"{begin}{lines[0]}L{corner}"
    if high < scale.end:
        band += f"L{scale.point(high, backlog.stays)}"
    else:
        band += lines[2]
    return f"{begin}{lines[1]}", f"{band}z"


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
