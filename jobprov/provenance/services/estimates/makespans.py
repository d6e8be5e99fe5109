"""How long some slots take for many units: the makespan, learnt from units that are done.

Units start one after the other, each on the slot that is free first. The last ones to end decide,
so the whole distribution of wall times counts and not the mean alone: with few slots the makespan is
the sum of all wall times, with as many slots as units it is the longest of them.

Units that *hang* are set apart, since a handful that took far longer than all others would else
decide every makespan with many slots.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import hypot, log, log1p
from statistics import NormalDist
from typing import NamedTuple

from jobprov.provenance.services.estimates.forecasts import Interval

_NORMAL = NormalDist()
_LEAST_SECONDS = 1.0
_PRECISION = 1e-3
_STEPS = 20
"""Time goes in steps of so many to the mean wall time."""
_WAVES = 30
"""After so many units a slot, starts are spread evenly over time."""
_TAIL = 0.05
"""The makespan is below and above the band with this probability, if wall times are as learnt.

They never quite are: learnt from a few hundred units, the band holds four times in five.
"""
_MOST_HUNG = 0.01
_LEAST_OF_TAIL = 20
_APART = 2.0
"""A unit that hangs takes at least so many times as long as any that does not."""


class Starts(NamedTuple):
    """How many units start at a time, in seconds since the first."""

    at: float
    units: int


class RunTimes:
    """How long units run, in seconds, as those that are done did.

    Attributes:
        usual: sorted, without those that hung.
        mean: of the usual ones.
    """

    def __init__(self, seconds: Sequence[float]) -> None:
        """Take the wall times of at least one unit."""
        ordered = sorted(max(value, _LEAST_SECONDS) for value in seconds)
        self._far_out = _find_far_out(ordered)
        self.usual = _without_hung(ordered, self._far_out)
        self.mean = sum(self.usual) / len(self.usual)
        self._spread = _tail_spread(self.usual)
        # One unit more than were seen is the longest with this probability
        self._longest_at = _NORMAL.inv_cdf(1 - 1 / (len(self.usual) + 1))

    def hangs(self, seconds: float) -> bool:
        """Return whether a unit that ran so long is one of those that hang."""
        return seconds > self._far_out and seconds > _APART * self.usual[-1]

    def share_above(self, seconds: float) -> float:
        """Return which share of units runs longer than this.

        Beyond the longest that was seen, wall times fall off as a log-normal distribution does.
        """
        longest = self.usual[-1]
        if seconds <= 0:
            return 1.0
        if seconds < longest:
            return 1 - bisect_right(self.usual, seconds) / (len(self.usual) + 1)
        if not self._spread:
            return 0.0
        return 1 - _NORMAL.cdf(self._longest_at + log(seconds / longest) / self._spread)

    def shares_by_step(self, step: float) -> list[float]:
        """Return which share of units ends 0, 1, 2, … steps of so many seconds after its start."""
        shares = [0.0]
        above = 1.0
        for place in range(1, int(self.usual[-1] / step) + 2):
            still_above = self.share_above((place + 0.5) * step)
            shares.append(above - still_above)
            above = still_above
        shares[-1] += above
        return shares


def makespan(total: Interval, run_times: RunTimes, units: int, slots: int) -> Interval:
    """Return how many seconds so many slots take until the last unit that does not hang is done.

    Args:
        total: what all units that do not hang take together, in slot seconds.
        run_times: of one unit.
        slots: how many run at once.
    """
    if not units:
        return Interval(0.0, 0.0, 0.0)
    slots = min(slots, units)
    starts = list_starts(run_times, units, slots)
    middle = _done_by(run_times, starts, 0.5)
    low = middle - _done_by(run_times, starts, _TAIL)
    high = _done_by(run_times, starts, 1 - _TAIL) - middle
    # Units of the first wave start at once; when the others start depends on the sum of all
    later = (units - slots) / units / slots
    expected = middle + later * (total.expected - units * run_times.mean)
    # With a single wave nothing was computed in steps
    step = 0.0
    if later:
        step = run_times.mean / _STEPS
    low = hypot(low, later * (total.expected - total.low), step)
    high = hypot(high, later * (total.high - total.expected), step)
    return Interval(expected, max(0.0, expected - low), expected + high)


def list_starts(run_times: RunTimes, units: int, slots: int) -> list[Starts]:
    """Return when units start: one on each slot at first, then one whenever a unit ends.

    Only the last starts are listed; what started long before does not end last.
    """
    step = run_times.mean / _STEPS
    shares = run_times.shares_by_step(step)
    # Long before the end, each slot takes a unit every mean wall time
    skipped = max(0, units - slots - _WAVES * slots)
    begun_at = skipped / slots * run_times.mean
    expected = _expected_starts(shares, units - skipped, slots)
    starts = []
    before, sum_before = 0, 0.0
    for place, count in enumerate(expected):
        # A unit is whole: it starts when half of it is to be expected
        sum_before += count
        whole = round(sum_before) - before
        before += whole
        if whole and place + 2 * len(shares) >= len(expected):
            starts.append(Starts(begun_at + place * step, whole))
    return starts


def _expected_starts(shares: Sequence[float], units: int, slots: int) -> list[float]:
    """Return how many units are expected to start at each step, until all have."""
    counts = [float(slots)]
    waiting = float(units - slots)
    while waiting > _PRECISION:
        count = min(waiting, _ending_now(counts, shares))
        counts.append(count)
        waiting -= count
    return counts


def _ending_now(counts: Sequence[float], shares: Sequence[float]) -> float:
    """Return how many units end at the step after the last, from how many started at each step."""
    ending = 0.0
    for steps_ago in range(1, min(len(counts), len(shares) - 1) + 1):
        ending += counts[-steps_ago] * shares[steps_ago]
    return ending


def _done_by(run_times: RunTimes, starts: Sequence[Starts], probability: float) -> float:
    """Return the time by which all units are done with a probability."""
    early, width = starts[-1].at, run_times.usual[-1]
    while _probability_done(run_times, starts, early + width) < probability:
        early += width
        width *= 2
    late = early + width
    while late - early > _PRECISION * late:
        middle = (early + late) / 2
        if _probability_done(run_times, starts, middle) < probability:
            early = middle
        else:
            late = middle
    return late


def _probability_done(run_times: RunTimes, starts: Sequence[Starts], at: float) -> float:
    """Return the probability that all units are done at a time.

    If the share of units that run longer were known, that were exp(-hazard), the product over all
    starts. It is only known from the few learnt units that ran as long, and as uncertain as a count
    of so many: the sum over Poisson distributions whose mean varies so is a negative binomial.
    """
    hazard, running, started = 0.0, 0.0, 0
    for start in starts:
        share = run_times.share_above(at - start.at)
        if share >= 1:
            return 0.0
        hazard -= start.units * log1p(-share)
        running += start.units * share
        started += start.units
    learnt_from = max(1.0, len(run_times.usual) * running / started)
    return float((1 + hazard / learnt_from) ** -learnt_from)


def _find_far_out(ordered: Sequence[float]) -> float:
    """Return the wall time above which one may be that of a unit that hangs.

    Source: J. W. Tukey, Exploratory Data Analysis (1977), section 2D. "Far out" is three times as
    far from the middle half as that is wide; here of the logarithms, since wall times have long
    tails.
    """
    quarter, three_quarters = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    return three_quarters * (three_quarters / quarter) ** 3


def _without_hung(ordered: list[float], far_out: float) -> list[float]:
    most = max(1, int(_MOST_HUNG * len(ordered)))
    for place in range(max(1, len(ordered) - most), len(ordered)):
        if ordered[place] > far_out and ordered[place] > _APART * ordered[place - 1]:
            return ordered[:place]
    return ordered


def _tail_spread(ordered: Sequence[float]) -> float:
    """Return the spread of the log-normal distribution that falls off as the longest wall times do.

    They are the longest hundredth, or twenty where that is less. By how much their logarithms
    exceed the next shorter one, on average, is compared with a normal distribution of spread 1.
    """
    count = len(ordered)
    longest = max(count // 100, min(count // 2, _LEAST_OF_TAIL))
    if not longest:
        return 0.0
    threshold = ordered[-longest - 1]
    excess = sum(log(seconds / threshold) for seconds in ordered[-longest:]) / longest
    share = longest / count
    threshold_at = _NORMAL.inv_cdf(1 - share)
    return excess / (_NORMAL.pdf(threshold_at) / share - threshold_at)
