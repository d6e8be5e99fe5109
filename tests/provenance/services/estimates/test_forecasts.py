"""Forecasts tried on campaigns whose second half is known.

Does the interval hold the truth four times in five?
"""

import random

import pytest

from jobprov.provenance.services.estimates.forecasts import forecast_sum

CAMPAIGNS = 400


def campaign(dice: random.Random, hours: int) -> list[tuple[int, float]]:
    """Return units by hour: busy and quiet hours, slow and fast ones, long tails.

    One in twenty is tried twice.
    """
    units = []
    for hour in range(hours):
        slowness = dice.lognormvariate(0, 0.25)
        for _ in range(dice.randint(5, 60)):
            cost = 3600 * slowness * dice.lognormvariate(0, 0.5)
            units.append((hour, cost * (1 + (dice.random() < 0.05))))
    return units


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(24, 24), (12, 72), (48, 6)])
def test_interval_holds_the_rest_of_a_campaign_four_times_in_five(before: int, after: int) -> None:
    dice, held = random.Random(before), 0  # noqa: S311 - a campaign, not a secret
    for _ in range(CAMPAIGNS):
        learnt, rest = campaign(dice, before), campaign(dice, after)
        forecast = forecast_sum(learnt, len(rest), done=len(learnt))
        assert forecast is not None
        held += forecast.low <= sum(cost for _, cost in rest) <= forecast.high

    assert 0.7 <= held / CAMPAIGNS <= 0.9


def test_cost_of_units_that_never_succeeded_is_spread_over_those_that_did() -> None:
    forecast = forecast_sum([(hour, 10.0) for hour in range(10)], 16, done=8)

    assert forecast is not None
    assert forecast.expected == pytest.approx(200)
    assert forecast.low == pytest.approx(forecast.high)


@pytest.mark.parametrize(("costs", "done"), [([], 0), ([(1, 5.0)], 0)])
def test_nothing_is_foretold_where_nothing_was_done(
    costs: list[tuple[object, float]], done: int
) -> None:
    assert forecast_sum(costs, 10, done=done) is None


def test_one_hour_alone_gives_a_wide_interval() -> None:
    costs = [10.0, 12.0, 8.0, 11.0]

    wide = forecast_sum([(1, cost) for cost in costs], 4, done=4)
    narrow = forecast_sum(list(enumerate(costs)), 4, done=4)

    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > narrow.high - narrow.low
