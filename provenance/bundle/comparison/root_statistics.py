"""histograms-1: ROOT files alike by statistics, as those of other seeds or of threads in another order should be.

Bins are compared by chi-square, floating-point branches by Kolmogorov and Smirnov, numbers of
entries by Poisson. Each compares a file with the recorded one. Needs uproot; Python 3.6: part of a
bundle's verify.py.
"""

# ruff: noqa: B905, ICN001, PLC0415, PLR2004, UP006, UP035 - Python 3.6, and read by people who have
# no linter
import math
from typing import Any, Dict, List

from jobprov.provenance.bundle.comparison.root_content import open_root
from jobprov.provenance.bundle.comparison.root_tolerance import (
    TREES,
    flat_parts,
    interpreted,
    kept_content,
)

SIGMAS = 5.0
P_VALUE = 0.01


def likeness(path: str, reference: str, rule: Dict[str, Any]) -> float:
    """The smallest p-value of all comparisons, times their number.

    0 where objects, branches or numbers of entries do not fit.

    1 at most: to be held against the rule's `p_value`.
    """
    one, other = kept_content(path, rule), kept_content(reference, rule)
    if [_outline(item) for item in one] != [_outline(item) for item in other]:
        return 0.0
    chances = []  # type: List[float]
    with open_root(path) as file, open_root(reference) as recorded:
        for item, known in zip(one, other):
            if "bins" in item:
                chances.append(_chi_square(file[item["path"]], recorded[item["path"]]))
            elif item["class"] in TREES:
                chances.append(_poisson(item["entries"], known["entries"], rule))
                chances += _branch_chances(file[item["path"]], recorded[item["path"]], item)
    return min(1.0, min(chances) * len(chances)) if chances else 0.0


def _outline(item: Dict[str, Any]) -> List[Any]:
    return [item["path"], item["class"], sorted(item.get("branches", ()))]


def _poisson(one: int, other: int, rule: Dict[str, Any]) -> float:
    """1 where two numbers of events are within so many standard deviations, else 0."""
    return 1.0 if (abs(one - other) <= rule.get("sigmas", SIGMAS) * math.sqrt(one + other)) else 0.0


def _chi_square(one: Any, other: Any) -> float:
    """The p-value of two histograms, every bin with both errors; 0 where they have other bins.

    Bins without an error, or with one that is no finite number, have to be equal.
    """
    import numpy

    if not _has_same_edges(one, other):
        return 0.0
    left, right = (numpy.asarray(each.values(flow=True)).reshape(-1) for each in (one, other))
    errors = [numpy.asarray(each.variances(flow=True)).reshape(-1) for each in (one, other)]
    with numpy.errstate(all="ignore"):
        spread = errors[0] + errors[1]
        used = (spread > 0) & numpy.isfinite(left) & numpy.isfinite(right) & numpy.isfinite(spread)
    if not _is_equal(left[~used], right[~used]):
        return 0.0
    bins = int(used.sum())
    return (
        upper_gamma(bins / 2.0, float(((left[used] - right[used]) ** 2 / spread[used]).sum()) / 2.0)
        if bins
        else 1.0
    )


def _has_same_edges(one: Any, other: Any) -> bool:
    """Whether two histograms have the same bins on every axis."""
    import numpy

    edges_of_one = [numpy.asarray(axis.edges(flow=False)) for axis in one.axes]
    edges_of_other = [numpy.asarray(axis.edges(flow=False)) for axis in other.axes]
    if len(edges_of_one) != len(edges_of_other):
        return False
    return all(map(numpy.array_equal, edges_of_one, edges_of_other))


def _is_equal(left: Any, right: Any) -> bool:
    """Whether all numbers are equal; every NaN is the same."""
    # Only a NaN differs from itself
    return bool(((left == right) | ((left != left) & (right != right))).all())  # noqa: PLR0124


def _branch_chances(tree: Any, recorded: Any, item: Dict[str, Any]) -> List[float]:
    chances = []
    for name in interpreted(item):
        left, right = (
            dict(flat_parts(each[name].array(library="ak"))) for each in (tree, recorded)
        )
        if _kinds(left) != _kinds(right):
            return [0.0]
        chances += [
            _smirnov(left[part], right[part]) for part in left if left[part].dtype.kind == "f"
        ]
    return chances


def _kinds(parts: Dict[str, Any]) -> Dict[str, str]:
    """What kind of number each level and field holds."""
    return {label: values.dtype.kind for label, values in parts.items()}


def _smirnov(one: Any, other: Any) -> float:
    """The p-value of two samples, by the largest distance of their distributions (asymptotic).

    NaNs count as the largest of all numbers: as many of them belong to a sample as to one that is
    like it.
    """
    import numpy

    left, right = (numpy.sort(each.reshape(-1)) for each in (one, other))
    if not len(left) or not len(right):
        return float(len(left) == len(right))
    both = numpy.concatenate([left, right])
    steps = [
        numpy.searchsorted(each, both, side="right") / float(len(each)) for each in (left, right)
    ]
    distance = float(numpy.abs(steps[0] - steps[1]).max())
    scale = math.sqrt(len(left) * len(right) / float(len(left) + len(right)))
    where = (scale + 0.12 + 0.11 / scale) * distance
    if where < 0.2:
        return 1.0
    return min(
        1.0, 2 * sum((1 if k % 2 else -1) * math.exp(-2 * (k * where) ** 2) for k in range(1, 101))
    )


def upper_gamma(shape: float, value: float) -> float:
    """The regularised upper incomplete gamma function Q(shape, value).

    Of chi-square with 2 x shape degrees, the p-value.

    Source: DLMF 8.11.4 (series), 8.9.2 (continued fraction, by Lentz's method).
    """
    if value <= 0:
        return 1.0
    if math.isinf(value):
        return 0.0
    front = math.exp(shape * math.log(value) - value - math.lgamma(shape))
    if value < shape + 1:
        term = total = 1.0 / shape
        n = shape
        while abs(term) > abs(total) * 1e-15:
            n += 1
            term *= value / n
            total += term
        return max(0.0, 1.0 - front * total)
    tiny = 1e-300
    b = value + 1 - shape
    c, d = 1 / tiny, 1 / b
    fraction = d
    for i in range(1, 10000):
        a = -i * (i - shape)
        b += 2
        d = 1 / (a * d + b or tiny)
        c = b + a / c or tiny
        fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return float(front * fraction)
