"""Hosts and sites that fail more often than the others by more than chance.

For each of them a one-sided Fisher exact test: could the place have got so many of all failures by
drawing its jobs from one urn with the others' jobs? The limit on p is divided by the number of
places that are looked at (Bonferroni), so that of a thousand healthy fleets one shows an outlier.

Source: R. A. Fisher, Statistical Methods for Research Workers, 5th edition (1934), section 21.02.
"""

from collections.abc import Mapping
from math import exp, lgamma
from typing import Literal, NamedTuple

from jobprov.provenance.answers.failures import Outlier

SIGNIFICANCE = 0.001
LEAST_FAILURES = 3


class Count(NamedTuple):
    """Jobs that are over, and how many of them did not succeed."""

    jobs: int
    failures: int


def find_outliers(kind: Literal["site", "host"], counts: Mapping[str, Count]) -> list[Outlier]:
    """Return the places of one kind that fail too often, the least probable first."""
    jobs = sum(count.jobs for count in counts.values())
    failures = sum(count.failures for count in counts.values())
    outliers = []
    for name, here in counts.items():
        elsewhere = jobs - here.jobs
        if here.failures < LEAST_FAILURES or elsewhere == 0:
            continue
        if here.failures * jobs <= failures * here.jobs:
            continue  # no more of them fail than on the average
        p_value = tail_probability(here.failures, here.jobs, failures, jobs)
        if p_value * len(counts) < SIGNIFICANCE:
            rate_elsewhere = (failures - here.failures) / elsewhere
            rate = here.failures / here.jobs
            outliers.append(Outlier(kind, name, *here, rate, rate_elsewhere, p_value))
    return sorted(outliers, key=lambda outlier: (outlier.p_value, outlier.name))


def tail_probability(drawn: int, draws: int, marked: int, total: int) -> float:
    """Return the probability of at least `drawn` marked balls in `draws` from an urn.

    The urn holds `total` balls, of which `marked` are marked.
    """
    most = min(draws, marked)
    term = exp(
        _log_choose(marked, drawn)
        + _log_choose(total - marked, draws - drawn)
        - _log_choose(total, draws)
    )
    tail = 0.0
    for count in range(drawn, most + 1):
        tail += term
        if term <= tail * 1e-12:  # above the mean the terms only fall
            break
        term *= (
            (marked - count)
            * (draws - count)
            / ((count + 1) * (total - marked - draws + count + 1))
        )
    return min(1.0, tail)


def _log_choose(total: int, chosen: int) -> float:
    if not 0 <= chosen <= total:
        return float("-inf")
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)
