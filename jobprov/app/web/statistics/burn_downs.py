"""The burn-down of a campaign: a small picture, and what it shows in words."""

from datetime import datetime, timedelta
from typing import NamedTuple

from jobprov.app.web.frame.formats import counted, day, number
from jobprov.provenance.answers.tasks.backlogs import BurnDown

STEP = 4
HEIGHT = 22
_TOP = 2
_FORESEEN = timedelta(days=365)
"""What is to be done later than that has no date."""


class DrawnBurnDown(NamedTuple):
    """A burn-down as a page shows it.

    Attributes:
        width: of the picture, whose height is `HEIGHT`.
        line: the path of the number that was left; `area` is what lies below it.
        left: how many are left, in words.
        pace: how many became done, and until when the others would be, in words.
    """

    width: int
    line: str
    area: str
    left: str
    pace: str


def draw_burn_down(burn_down: BurnDown | None, stays: int, now: datetime) -> DrawnBurnDown | None:
    """Return the picture of a burn-down; None if it is not known, or nothing was to be done.

    Args:
        burn_down: until now.
        stays: how many of those left wait for somebody, so that no pace ends them.
        now: when that was counted.
    """
    if burn_down is None or not burn_down.expected:
        return None
    most = max(burn_down.left) or 1
    heights = [HEIGHT - round((HEIGHT - _TOP) * left / most) for left in burn_down.left]
    line = f"M0 {heights[0]}" + "".join(f"H{STEP * place}V{y}" for place, y in _steps(heights))
    width = STEP * len(heights)
    line += f"H{width}"
    return DrawnBurnDown(
        width=width,
        line=line,
        area=f"{line}V{HEIGHT}H0z",
        left=_left_words(burn_down),
        pace=_pace_words(burn_down, stays, now),
    )


def _steps(heights: list[int]) -> list[tuple[int, int]]:
    """Return where the line steps to another height."""
    steps = []
    for place in range(1, len(heights)):
        if heights[place] != heights[place - 1]:
            steps.append((place, heights[place]))
    return steps


def _left_words(burn_down: BurnDown) -> str:
    left, expected = burn_down.left[-1], burn_down.expected
    words = f"{number(left) if left else 'none'} of {counted(expected, 'unit')} left"
    if 0 < left < expected:
        # Rounded up: what is left does not look done
        words += f" ({-(-100 * left // expected)} %)"
    return words if burn_down.is_whole else f"{words} in the declared stages"


def _pace_words(burn_down: BurnDown, stays: int, now: datetime) -> str:
    step = timedelta(seconds=burn_down.step_seconds)
    took = now - datetime.fromisoformat(burn_down.start) - burn_down.first_step() * step
    done = sum(burn_down.done)
    if not done:
        return f"none done in {_span(took)}"
    words = f"{number(done)} done in {_span(took)}"
    to_do = burn_down.left[-1] - stays
    if to_do <= 0:
        return words
    takes = to_do / done * took
    if takes > _FORESEEN:
        return f"{words}: at that pace more than a year"
    return f"{words}: at that pace until {day((now + takes).isoformat())}"


def _span(took: timedelta) -> str:
    """Return a time in whole days, or in hours where it is less than two days."""
    if took < timedelta(days=2):
        return counted(max(1, round(took / timedelta(hours=1))), "hour")
    return counted(round(took / timedelta(days=1)), "day")
