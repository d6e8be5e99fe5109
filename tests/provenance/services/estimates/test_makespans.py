"""Makespans tried on simulated productions.

Does the band hold how long slots really take, whatever their number, four times in five?
"""

import heapq
import random
from collections.abc import Callable

import pytest

from jobprov.provenance.services.estimates.forecasts import Interval, forecast_sum
from jobprov.provenance.services.estimates.makespans import RunTimes, list_starts, makespan

UNITS = 1000
PRODUCTIONS = 120
HOUR, DAY = 3600.0, 86_400.0
HUNG_SHARE = 0.001


def lognormal(dice: random.Random) -> float:
    """Return a run time around an hour; one in twenty takes more than 2.3 hours."""
    return HOUR * dice.lognormvariate(0, 0.5)


def alike(dice: random.Random) -> float:
    """Return an hour, give or take three minutes."""
    return HOUR * dice.gauss(1, 0.05)


def two_sites(dice: random.Random) -> float:
    """Return an hour, or three at a slow site where one unit in ten runs."""
    return HOUR * dice.lognormvariate(0, 0.1) * (3 if dice.random() < 0.1 else 1)


def production(
    dice: random.Random, run_time: Callable[[random.Random], float], count: int
) -> list[tuple[int, float]]:
    """Return units by the hour in which they ended; one in a thousand hung for a day."""
    units = []
    for place in range(count):
        seconds = DAY if dice.random() < HUNG_SHARE else run_time(dice)
        units.append((place // 30, seconds))
    return units


def scheduled(run_times: list[float], slots: int) -> float:
    """Return when the last unit ends if each runs on the slot that is free first."""
    ends = [0.0] * min(slots, len(run_times))
    for seconds in run_times:
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def estimated(learnt: list[tuple[int, float]], slots: int, units: int = UNITS) -> Interval:
    """Return the makespan as an estimate has it."""
    run_times = RunTimes([seconds for _, seconds in learnt])
    usual = [(hour, seconds) for hour, seconds in learnt if not run_times.hangs(seconds)]
    total = forecast_sum(usual, units, done=len(usual))
    assert total is not None
    return makespan(total, run_times, units, slots)


@pytest.mark.slow
@pytest.mark.parametrize("learnt_from", [300, 2000])
@pytest.mark.parametrize("slots", [1, 10, 100, 450, 1000, 10_000])
@pytest.mark.parametrize("run_time", [lognormal, alike, two_sites])
def test_band_holds_a_simulated_production_four_times_in_five(
    run_time: Callable[[random.Random], float], slots: int, learnt_from: int
) -> None:
    dice = random.Random(slots + learnt_from)  # noqa: S311 - a production, not a secret
    held, widths = 0, 0.0
    for _ in range(PRODUCTIONS):
        band = estimated(production(dice, run_time, learnt_from), slots)
        took = scheduled([run_time(dice) for _ in range(UNITS)], slots)
        held += band.low <= took <= band.high
        widths += (band.high - band.low) / band.expected

    # 80 %, give or take two and a half standard deviations of so many productions
    assert held / PRODUCTIONS >= 0.71
    # A band that is wide enough for anything would hold too
    assert widths / PRODUCTIONS < 0.9


@pytest.mark.parametrize("slots", [1, 10, 100, 1000, 10_000, 10**7])
def test_band_has_a_width_with_any_number_of_slots(slots: int) -> None:
    learnt = production(random.Random(1), lognormal, 2000)  # noqa: S311

    band = estimated(learnt, slots)

    assert band.low < 0.99 * band.expected
    assert band.high > 1.01 * band.expected


@pytest.mark.parametrize("slots", [1, 10, 1000, 10_000])
@pytest.mark.parametrize("count", [20, 2000])
def test_one_unit_that_hangs_does_not_set_the_makespan(slots: int, count: int) -> None:
    dice = random.Random(2)  # noqa: S311
    learnt = [(place // 30, lognormal(dice)) for place in range(count)]

    without = estimated(learnt, slots)
    with_one = estimated([*learnt, (0, 10 * DAY)], slots)

    assert with_one.high == pytest.approx(without.high, rel=0.02)
    assert with_one.low == pytest.approx(without.low, rel=0.02)


def test_what_many_units_do_is_no_hanging() -> None:
    slow = RunTimes([HOUR] * 95 + [DAY] * 5)
    hung = RunTimes([HOUR] * 999 + [DAY])
    long_tail = RunTimes([HOUR * 1.1**place for place in range(100)])

    assert not slow.hangs(DAY)
    assert hung.hangs(DAY)
    assert not hung.hangs(1.9 * HOUR)
    assert long_tail.usual[-1] == pytest.approx(HOUR * 1.1**99)


def test_units_that_are_alike_run_in_waves() -> None:
    learnt = [(place, HOUR) for place in range(100)]

    assert estimated(learnt, 1, 5) == pytest.approx((5 * HOUR,) * 3, rel=0.05)
    assert estimated(learnt, 10, 20) == pytest.approx((2 * HOUR,) * 3, rel=0.05)
    assert estimated(learnt, 10, 21) == pytest.approx((3 * HOUR,) * 3, rel=0.05)
    assert estimated(learnt, 30, 20) == pytest.approx((HOUR,) * 3, rel=0.05)


def test_every_unit_starts_once() -> None:
    run_times = RunTimes([HOUR, 2 * HOUR, 3 * HOUR])

    assert sum(start.units for start in list_starts(run_times, 20, 8)) == pytest.approx(20)


@pytest.mark.parametrize("seconds", [[0.0], [5.0], [0.0, 0.0, 1e-9], [1e7, 1e-3]])
def test_extreme_run_times_give_some_makespan(seconds: list[float]) -> None:
    for units, slots in ((1, 1), (10, 3), (10**9, 10**4)):
        band = makespan(Interval(units, units, units), RunTimes(seconds), units, slots)
        assert 0 <= band.low <= band.expected <= band.high


def test_no_unit_takes_no_time() -> None:
    assert makespan(Interval(0, 0, 0), RunTimes([HOUR]), 0, 10) == (0, 0, 0)
