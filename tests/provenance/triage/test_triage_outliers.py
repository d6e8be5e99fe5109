"""Places that fail more often than chance allows, checked against exact fractions."""

import random
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.triage.outliers import Count, find_outliers, tail_probability


def exact(drawn: int, draws: int, marked: int, total: int) -> Fraction:
    ways = sum(
        comb(marked, k) * comb(total - marked, draws - k)
        for k in range(drawn, min(draws, marked) + 1)
    )
    return Fraction(ways, comb(total, draws))


@given(st.data())
def test_tail_is_that_of_the_hypergeometric_distribution(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 60))
    marked, draws = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    least = max(0, draws + marked - total)
    drawn = data.draw(
        st.integers(max(least, draws * marked // total), max(least, min(draws, marked)))
    )

    assert tail_probability(drawn, draws, marked, total) == pytest.approx(
        float(exact(drawn, draws, marked, total))
    )


def test_black_hole_stands_out_among_healthy_hosts() -> None:
    counts = {f"wn{number}": Count(200, 4) for number in range(50)} | {"wn99": Count(60, 40)}

    [outlier] = find_outliers("site", counts)

    assert (outlier.name, outlier.jobs, outlier.failures) == ("wn99", 60, 40)
    assert outlier.rate == pytest.approx(2 / 3)
    assert outlier.rate_elsewhere == pytest.approx(0.02)
    assert outlier.p_value < 1e-30


def test_healthy_fleet_has_no_outlier() -> None:
    dice = random.Random(7)  # noqa: S311 - a fleet, not a secret
    fleets = [
        {
            f"wn{number}": Count(100, sum(dice.random() < 0.03 for _ in range(100)))
            for number in range(100)
        }
        for _ in range(20)
    ]

    assert [find_outliers("host", fleet) for fleet in fleets] == [[]] * 20


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param({}, id="no place"),
        pytest.param({"a": Count(10, 10)}, id="one place alone"),
        pytest.param({"a": Count(10, 10), "b": Count(10, 10)}, id="everything fails"),
        pytest.param({"a": Count(2, 2), "b": Count(100_000, 0)}, id="too few failures to tell"),
    ],
)
def test_nothing_stands_out_where_nothing_can(counts: dict[str, Count]) -> None:
    assert find_outliers("site", counts) == []


def test_large_counts_take_no_time() -> None:
    counts = {f"wn{number}": Count(10_000, 300) for number in range(2000)} | {
        "bad": Count(10_000, 5000)
    }

    assert [outlier.name for outlier in find_outliers("site", counts)] == ["bad"]
