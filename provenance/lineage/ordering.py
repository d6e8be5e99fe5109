"""The order within each layer: barycentre sweeps, keeping the order with the fewest crossings.

Source: K. Sugiyama, S. Tagawa, M. Toda, Methods for visual understanding of hierarchical system
structures, 1981.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence

from jobprov.provenance.lineage.graph import neighbours

SWEEPS = 8
SWEEPS_OF_LARGE = 2
LARGE = 1_500
"""Graphs of more nodes (bends included) get fewer sweeps, and their crossings are not counted."""

Columns = list[list[str]]


def order_layers(columns: Sequence[Sequence[str]], links: Sequence[tuple[str, str]]) -> Columns:
    """The layers in an order with few crossings; ties keep the order given."""
    after, before = neighbours(links)
    current = _first_order(columns, after)
    if sum(map(len, current)) > LARGE:
        for sweep in range(SWEEPS_OF_LARGE):
            _sweep(current, before if sweep % 2 == 0 else after, is_forward=sweep % 2 == 0)
        return current
    best, fewest = [list(column) for column in current], crossings(current, after)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        _sweep(current, before if sweep % 2 == 0 else after, is_forward=sweep % 2 == 0)
        count = crossings(current, after)
        if count < fewest:
            best, fewest = [list(column) for column in current], count
    return best


def crossings(columns: Sequence[Sequence[str]], after: Mapping[str, Sequence[str]]) -> int:
    """How many pairs of edges cross, counting edges between two layers at a time."""
    place = {node: index for column in columns for index, node in enumerate(column)}
    total = 0
    for column in columns:
        ends = [
            target
            for node in column
            for target in sorted(place[other] for other in after.get(node, ()))
        ]
        seen: list[int] = []
        for end in ends:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _first_order(columns: Sequence[Sequence[str]], after: Mapping[str, Sequence[str]]) -> Columns:
    """Nodes in the order in which a walk from the first layers meets them, so that families start together."""
    met: dict[str, int] = {}
    for root in (node for column in columns for node in column):
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in met:
                met[node] = len(met)
                stack.extend(reversed(after.get(node, ())))
    return [sorted(column, key=met.__getitem__) for column in columns]


def _sweep(columns: Columns, towards: Mapping[str, Sequence[str]], *, is_forward: bool) -> None:
    place = {node: float(index) for column in columns for index, node in enumerate(column)}
    for column in columns if is_forward else reversed(columns):
        weight = {
            node: _mean([place[other] for other in towards.get(node, ())], place[node])
            for node in column
        }
        column.sort(key=weight.__getitem__)
        place.update((node, float(index)) for index, node in enumerate(column))


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
