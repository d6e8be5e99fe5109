"""histograms-1: ROOT files that agree by statistics.

So should the files of two jobs with other seeds, or with threads that ran in another order. Bins
are compared by chi-square, floating-point branches by Kolmogorov and Smirnov, and numbers of
entries by Poisson.

Part of a bundle's verify.py: Python 3.6, standard library and uproot.
"""

import math
from typing import Any, Dict, List, Sequence

from jobprov.provenance.bundle.comparison.parameters import Comparator
from jobprov.provenance.bundle.comparison.root_content import TREES, open_root
from jobprov.provenance.bundle.comparison.root_tolerance import (
    flat_parts,
    interpreted_branches,
    kept_content,
)

_MOST_TERMS = 10000  # of a continued fraction
_PRECISION = 1e-15
_TINY = 1e-300  # in place of 0 where it would divide


def smallest_p_value(path: str, reference: str, comparator: Comparator) -> float:
    """Return the smallest p-value of all tests, times their number, and 1 at most.

    0 where the files have other objects or branches, or too different numbers of entries.
    """
    rerun, recorded = kept_content(path, comparator), kept_content(reference, comparator)
    if list(map(_outline, rerun)) != list(map(_outline, recorded)):
        return 0.0
    p_values: List[float] = []
    with open_root(path) as file, open_root(reference) as recorded_file:
        for item, known in zip(rerun, recorded):
            name = item["path"]
            if "bins" in item:
                p_values.append(_histogram_p_value(file[name], recorded_file[name]))
            elif item["class"] in TREES:
                if not _is_likely_count(item["entries"], known["entries"], comparator):
                    return 0.0
                p_values.append(1.0)
                branches = interpreted_branches(item)
                p_values += _branch_p_values(file[name], recorded_file[name], branches)
    if not p_values:
        return 0.0
    return min(1.0, min(p_values) * len(p_values))


def _outline(item: Dict[str, Any]) -> List[Any]:
    return [item["path"], item["class"], sorted(item.get("branches", ()))]


def _is_likely_count(entries: int, recorded: int, comparator: Comparator) -> bool:
    """Return whether two numbers of entries differ by few standard deviations."""
    return abs(entries - recorded) <= comparator.sigmas * math.sqrt(entries + recorded)


def _histogram_p_value(histogram: Any, recorded: Any) -> float:
    """Return the p-value of chi-square over all bins, with the errors of both histograms.

    Bins without an error, or with a number that is not finite, must be equal. 0 where the
    histograms have other bins.
    """
    import numpy

    if not _has_same_edges(histogram, recorded):
        return 0.0
    values, known = _flat(histogram.values(flow=True)), _flat(recorded.values(flow=True))
    own_variances = _flat(histogram.variances(flow=True))
    known_variances = _flat(recorded.variances(flow=True))
    with numpy.errstate(all="ignore"):
        variances = own_variances + known_variances
        is_finite = numpy.isfinite(values) & numpy.isfinite(known) & numpy.isfinite(variances)
        is_tested = is_finite & (variances > 0)
    if not _is_equal(values[~is_tested], known[~is_tested]):
        return 0.0
    bins = int(is_tested.sum())
    if not bins:
        return 1.0
    differences = values[is_tested] - known[is_tested]
    chi_square = float((differences**2 / variances[is_tested]).sum())
    return upper_gamma(bins / 2.0, chi_square / 2.0)


def _flat(numbers: Any) -> Any:
    import numpy

    return numpy.asarray(numbers).reshape(-1)


def _is_equal(values: Any, known: Any) -> bool:
    """Return whether all numbers are equal; all NaNs are alike."""
    import numpy

    return bool(((values == known) | (numpy.isnan(values) & numpy.isnan(known))).all())


def _has_same_edges(histogram: Any, recorded: Any) -> bool:
    """Return whether two histograms have the same bins on every axis."""
    import numpy

    edges = [numpy.asarray(axis.edges(flow=False)) for axis in histogram.axes]
    recorded_edges = [numpy.asarray(axis.edges(flow=False)) for axis in recorded.axes]
    if len(edges) != len(recorded_edges):
        return False
    return all(map(numpy.array_equal, edges, recorded_edges))


def _branch_p_values(tree: Any, recorded: Any, branches: Sequence[str]) -> List[float]:
    """Return a p-value for each part of each branch that holds floating-point numbers."""
    p_values = []
    for name in branches:
        parts = dict(flat_parts(tree[name].array(library="ak")))
        recorded_parts = dict(flat_parts(recorded[name].array(library="ak")))
        if _kinds(parts) != _kinds(recorded_parts):
            return [0.0]
        for label, values in parts.items():
            if values.dtype.kind == "f":
                p_values.append(_sample_p_value(values, recorded_parts[label]))
    return p_values


def _kinds(parts: Dict[str, Any]) -> Dict[str, str]:
    """Return what kind of number each level and field holds."""
    return {label: values.dtype.kind for label, values in parts.items()}


def _sample_p_value(values: Any, recorded: Any) -> float:
    """Return the p-value of two samples by Kolmogorov and Smirnov, asymptotic.

    NaNs count as the largest numbers: two samples that agree have as many of them.
    """
    import numpy

    sample, known = numpy.sort(values.reshape(-1)), numpy.sort(recorded.reshape(-1))
    size, known_size = len(sample), len(known)
    if not size or not known_size:
        return float(size == known_size)
    both = numpy.concatenate([sample, known])
    share_below = numpy.searchsorted(sample, both, side="right") / float(size)
    known_share_below = numpy.searchsorted(known, both, side="right") / float(known_size)
    distance = float(numpy.abs(share_below - known_share_below).max())
    scale = math.sqrt(size * known_size / float(size + known_size))
    return _kolmogorov((scale + 0.12 + 0.11 / scale) * distance)


def _kolmogorov(distance: float) -> float:
    """Return the probability that the scaled distance of two samples is at least this large."""
    if distance < 0.2:
        return 1.0  # and the series would converge slowly
    total = 0.0
    sign = 1
    for k in range(1, 101):
        total += sign * math.exp(-2 * (k * distance) ** 2)
        sign = -sign
    return min(1.0, 2 * total)


def upper_gamma(shape: float, value: float) -> float:
    """Return the regularised upper incomplete gamma function Q(shape, value).

    It is the p-value of chi-square = 2 x value, with 2 x shape degrees of freedom.

    Source: DLMF 8.11.4 (series), 8.9.2 (continued fraction, by Lentz's method).
    """
    if value <= 0:
        return 1.0
    if math.isinf(value):
        return 0.0
    front = math.exp(shape * math.log(value) - value - math.lgamma(shape))
    if value < shape + 1:
        return max(0.0, 1.0 - front * _lower_series(shape, value))
    return front * _upper_fraction(shape, value)


def _lower_series(shape: float, value: float) -> float:
    term = total = 1.0 / shape
    n = shape
    while abs(term) > abs(total) * _PRECISION:
        n += 1
        term *= value / n
        total += term
    return total


def _upper_fraction(shape: float, value: float) -> float:
    b = value + 1 - shape
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for i in range(1, _MOST_TERMS):
        a = -i * (i - shape)
        b += 2
        d = 1 / (a * d + b or _TINY)
        c = b + a / c or _TINY
        fraction *= d * c
        if abs(d * c - 1) < _PRECISION:
            break
    return fraction
