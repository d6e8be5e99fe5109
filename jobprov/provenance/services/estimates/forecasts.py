"""What many units will take, learnt from units that are done.

An expectation, and an interval that holds the truth four times in five.

Units that end in the same hour share hosts, sites and storage, so their costs go up and down
together. They are one cluster here, and the spread is that of clusters; taking units as independent
would make the interval far too narrow.

Source: cluster-robust variance of a ratio, W. G. Cochran, Sampling Techniques, 3rd edition (1977),
section 9A.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import sqrt
from typing import NamedTuple

_Z80 = 1.2815515655446004
"""The normal quantile of 0.9: 80 % lie between its negative and itself."""


class Interval(NamedTuple):
    """An expectation and the bounds between which the truth lies with 80 %."""

    expected: float
    low: float
    high: float

    def times(self, factor: float) -> "Interval":
        """Return it in another unit."""
        return Interval(self.expected * factor, self.low * factor, self.high * factor)


def hour_of(ended_at: datetime | None) -> datetime | None:
    """Return the cluster of what ended then; units without an end are one cluster together."""
    return ended_at.replace(minute=0, second=0, microsecond=0) if ended_at else None


def forecast_sum(
    costs: Iterable[tuple[object, float]], units: float, *, done: int
) -> Interval | None:
    """Return what `units` more units will cost in all; None where nothing was learnt.

    Args:
        costs: (cluster, cost) of each unit that was tried, those that never succeeded too: their
            cost is spread over the others.
        units: how many are to succeed.
        done: how many of the units in `costs` succeeded.
    """
    clusters: dict[object, list[float]] = {}
    for cluster, cost in costs:
        clusters.setdefault(cluster, []).append(cost)
    tried = sum(len(members) for members in clusters.values())
    if not tried or not done:
        return None
    mean = sum(sum(members) for members in clusters.values()) / tried
    attempts = units * tried / done
    spread = 0.0
    if attempts:
        # two errors add: that of the mean learnt, and how far the new attempts will scatter
        spread = _spread_of_mean(list(clusters.values()), mean, tried) * sqrt(1 + tried / attempts)
    half = _quantile(len(clusters) - 1) * spread * attempts
    expected = mean * attempts
    return Interval(expected, max(0.0, expected - half), expected + half)


def _spread_of_mean(clusters: Sequence[Sequence[float]], mean: float, count: int) -> float:
    if len(clusters) == 1:
        squares = 0.0
        for cost in clusters[0]:
            squares += (cost - mean) ** 2
        variance = squares / max(1, count - 1)
        return sqrt(variance / count)
    squares = 0.0
    for members in clusters:
        residual = sum(cost - mean for cost in members)
        squares += residual**2
    correction = len(clusters) / (len(clusters) - 1)
    return sqrt(squares * correction) / count


def _quantile(degrees: int) -> float:
    """Return Student's quantile of 0.9, by the expansion of Cornish and Fisher."""
    if degrees < 1:
        return 3.0  # of a single cluster nobody knows how clusters differ: a wide interval
    z, n = _Z80, float(degrees)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n * n)
        + (z**3) / (12 * n**3)
    )
