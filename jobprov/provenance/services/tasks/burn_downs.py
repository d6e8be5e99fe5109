"""How many units of campaigns and tasks were not done yet over the last days."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.statistics.campaigns import StageProgress
from jobprov.provenance.answers.tasks.backlogs import BurnDown
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.tasks.campaigns import done_in_steps
from jobprov.provenance.db.queries.tasks.tasks import (
    FoundTask,
    tasks_begun_since,
    units_done_in_steps,
)
from jobprov.provenance.services.tasks.units import Units
from jobprov.provenance.times import utc_text

STEP = timedelta(hours=6)
STEPS = 28
"""A week."""
_SHORT_STEPS = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60)]
"""The steps for one task or campaign that began lately."""

Campaign = tuple[str, str]
"""The experiment and the name of a campaign."""


class ExpectedUnits(NamedTuple):
    """How many units a task has; None where nobody knows."""

    task: FoundTask
    expected: int | None


class _UnitsByStep(NamedTuple):
    """Units of one stage of a campaign, counted by the step of the window.

    Attributes:
        done: the units that were done in each step.
        added: the units that came with new tasks in each step.
    """

    done: Counter[int]
    added: Counter[int]


class DoneLately:
    """What campaigns got done within the last week, read in one statement for all.

    Args:
        connection: where from.
        now: in the last step.
        expected: the units of their tasks.
        of: of one campaign alone; where it began lately, in short steps.
    """

    def __init__(
        self,
        connection: Connection,
        now: datetime,
        expected: Sequence[ExpectedUnits],
        of: Campaign | None = None,
    ) -> None:
        self._window = _window_until(now, STEP)
        tasks = [units.task.key for units in expected]
        began = tasks_begun_since(connection, tasks, self._window.start)
        has_begun_lately = bool(began) and len(began) == len(tasks)
        if of is not None and has_begun_lately:
            self._window = _window_since(min(began.values()), now)
        self._stages: dict[tuple[Campaign, str], _UnitsByStep] = {}
        self._last_ends: defaultdict[Campaign, dict[str, datetime]] = defaultdict(dict)
        self._count_done(connection, of)
        self._count_added(expected, began)

    def _count_done(self, connection: Connection, of: Campaign | None) -> None:
        """Count the units that were done in each step, and note when the last job ended."""
        for row in done_in_steps(connection, self._window, of):
            campaign = (row.experiment, row.campaign)
            # A clock that is ahead does not make a step that is to come
            step = min(row.place, STEPS - 1)
            self._stage(campaign, row.stage).done[step] += row.units
            last_ends = self._last_ends[campaign]
            last_ends[row.stage] = max(row.last_end, last_ends.get(row.stage, row.last_end))

    def _count_added(
        self, expected: Sequence[ExpectedUnits], began: Mapping[int, datetime]
    ) -> None:
        """Count the units of tasks that began within the window, in the step of the beginning."""
        for task, units in expected:
            if task.key in began:
                campaign = (task.experiment, task.campaign or "")
                step = _place_of(began[task.key], self._window)
                self._stage(campaign, task.stage or "").added[step] += units or 0

    def _stage(self, campaign: Campaign, stage: str) -> _UnitsByStep:
        return self._stages.setdefault((campaign, stage), _UnitsByStep(Counter(), Counter()))

    def burn_down(self, campaign: Campaign, stages: Sequence[StageProgress]) -> BurnDown | None:
        """Return how the units that are left became fewer; None where nobody knows how many."""
        expected, left, declared = 0, 0, 0
        done: Counter[int] = Counter()
        added: Counter[int] = Counter()
        for stage in stages:
            if stage.units.expected is None or stage.units.missing is None:
                continue
            declared += 1
            expected += stage.units.expected
            left += stage.units.missing
            units = self._stage(campaign, stage.stage or "")
            done += units.done
            added += units.added
        if not declared:
            return None
        is_whole = declared == len(stages)
        return _burn_down(self._window, done, added, expected, left, is_whole=is_whole)

    def last_ends(self, campaign: Campaign) -> dict[str, str]:
        """Return when each stage's last job ended; stages without a recent job are left out."""
        return {stage: utc_text(moment) for stage, moment in self._last_ends[campaign].items()}


def burn_down_of_task(
    connection: Connection, task: int, needed: int, units: Units, now: datetime
) -> BurnDown | None:
    """Return how the units of a task became fewer; None where nobody knows how many there are.

    The steps are short where the task began lately.

    Args:
        connection: where from.
        task: its key.
        needed: how many outputs make a unit done.
        units: those of the task.
        now: in the last step.
    """
    if units.expected is None or units.missing is None:
        return None
    window = _window_until(now, STEP)
    began = tasks_begun_since(connection, [task], window.start).get(task)
    added = {}
    if began is not None:
        window = _window_since(began, now)
        added[_place_of(began, window)] = units.expected
    done: Counter[int] = Counter()
    for place, count in units_done_in_steps(connection, task, window, needed):
        done[min(place, STEPS - 1)] += count
    return _burn_down(window, done, added, units.expected, units.missing, is_whole=True)


def _window_since(began: datetime, now: datetime) -> Window:
    """Return the window of the shortest steps that reach back to a beginning."""
    for step in _SHORT_STEPS:
        window = _window_until(now, step)
        if began >= window.start:
            return window
    return _window_until(now, STEP)


def _window_until(now: datetime, step: timedelta) -> Window:
    """Return the window of `STEPS` steps in whose last one a moment lies."""
    seconds = step.total_seconds()
    last = datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
    return Window(last - (STEPS - 1) * step, now, step)


def _place_of(moment: datetime, window: Window) -> int:
    """Return in which step a moment lies; a clock that is ahead makes none that is to come."""
    return min((moment - window.start) // window.step, STEPS - 1)


def _burn_down(
    window: Window,
    done: Mapping[int, int],
    added: Mapping[int, int],
    expected: int,
    left: int,
    *,
    is_whole: bool,
) -> BurnDown:
    """Return the burn-down that ends at what is left.

    Args:
        window: its steps.
        done: how many units were done in each step.
        added: how many units came with new tasks in each step.
        expected: how many there are now.
        left: how many are left now.
        is_whole: as of `BurnDown`.
    """
    series = [left]
    known = expected
    for place in range(STEPS - 1, 0, -1):
        known -= added.get(place, 0)
        before = series[-1] + done.get(place, 0) - added.get(place, 0)
        series.append(max(0, min(known, before)))
    series.reverse()
    return BurnDown(
        start=utc_text(window.start),
        step_seconds=window.step_seconds,
        expected=expected,
        left=series,
        is_whole=is_whole,
        done=[done.get(place, 0) for place in range(STEPS)],
    )
