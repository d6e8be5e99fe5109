"""A layered layout: history runs along one axis, what lies side by side in it across the other.

Cycles share a layer, layers come from the longest path, the order within a layer from barycentre
sweeps that keep the order with the fewest crossings, and places from least-squares alignment with
neighbours. The same input always gives the same picture. Lengths are in user units, pixels on a
page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobprov.provenance.lineage.layers import layers
from jobprov.provenance.lineage.ordering import order_layers
from jobprov.provenance.lineage.placing import place_layers

BENDS_AT_MOST = 4_000
"""Long edges are led around boxes while fewer bends than this are needed.

Beyond, they run straight.
"""

BEND_SIZE = 10.0
"""Room across that a long edge takes in a layer that it passes."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a box needs: `along` the direction of history and `across` it."""

    along: float
    across: float


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distances between boxes of one layer and between layers."""

    between_layers: float = 48.0
    between_boxes: float = 14.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box lies: its corner nearest to the origin, its size, its layer (from 0) and where that layer ends."""

    along: float
    across: float
    size: Size
    layer: int
    layer_end: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A place for each box, the points that long edges pass (along, across), and the whole extent."""

    places: Mapping[str, Place]
    bends: Mapping[tuple[str, str], tuple[tuple[float, float], ...]]
    along: float
    across: float


def lay_out(
    sizes: Mapping[str, Size], edges: Iterable[tuple[str, str]], *, spacing: Spacing | None = None
) -> Layout:
    """A layout of every box in `sizes`.

    Edges with other ends are ignored, none of the boxes overlap.
    """
    spacing = spacing or Spacing()
    links = [
        ends
        for ends in dict.fromkeys(edges)
        if ends[0] != ends[1] and ends[0] in sizes and ends[1] in sizes
    ]
    layer_of = layers(list(sizes), links)
    proper, bends = _with_bends(links, layer_of)
    columns = _columns(sizes, layer_of, bends)
    links_proper = [ends for ends in proper if layer_ends_differ(ends, layer_of)]
    columns = order_layers(columns, links_proper)
    heights = {
        node: sizes[node].across if node in sizes else BEND_SIZE
        for column in columns
        for node in column
    }
    middles = place_layers(columns, links_proper, heights, spacing.between_boxes)
    return _measured(sizes, columns, middles, bends, spacing)


def layer_ends_differ(ends: tuple[str, str], layer_of: Mapping[str, int]) -> bool:
    """True for an edge between layers, False within one (inside a cycle)."""
    return layer_of[ends[0]] != layer_of[ends[1]]


_Bends = dict[tuple[str, str], list[str]]


def _with_bends(
    links: Sequence[tuple[str, str]], layer_of: dict[str, int]
) -> tuple[list[tuple[str, str]], _Bends]:
    """Edges between next layers only, with a bend in each layer that a long edge passes.

    Adds bends to `layer_of`.
    """
    if (
        sum(max(0, layer_of[target] - layer_of[source] - 1) for source, target in links)
        > BENDS_AT_MOST
    ):
        return list(links), {}
    proper: list[tuple[str, str]] = []
    bends: _Bends = {}
    for number, (source, target) in enumerate(links):
        passed = range(layer_of[source] + 1, layer_of[target])
        chain = [f"\0{number}.{layer}" for layer in passed]
        layer_of.update(zip(chain, passed, strict=True))
        if chain:
            bends[source, target] = chain
        proper += zip([source, *chain], [*chain, target], strict=True)
    return proper, bends


def _columns(
    sizes: Mapping[str, Size], layer_of: Mapping[str, int], bends: _Bends
) -> list[list[str]]:
    columns: list[list[str]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for node in [*sizes, *(bend for chain in bends.values() for bend in chain)]:
        columns[layer_of[node]].append(node)
    return columns


def _measured(
    sizes: Mapping[str, Size],
    columns: Sequence[Sequence[str]],
    middles: Mapping[str, float],
    bends: _Bends,
    spacing: Spacing,
) -> Layout:
    places: dict[str, Place] = {}
    start_of: dict[str, tuple[float, float]] = {}
    start = 0.0
    for layer, column in enumerate(columns):
        depth = max((sizes[node].along for node in column if node in sizes), default=0.0)
        for node in column:
            start_of[node] = (start, start + depth)
            if node in sizes:
                size = sizes[node]
                places[node] = Place(
                    start, middles[node] - size.across / 2, size, layer, start + depth
                )
        start += depth + spacing.between_layers
    points = {
        ends: tuple((edge, middles[bend]) for bend in chain for edge in start_of[bend])
        for ends, chain in bends.items()
    }
    across = max((place.across + place.size.across for place in places.values()), default=0.0)
    passing = max((middles[bend] for chain in bends.values() for bend in chain), default=0.0)
    return Layout(places, points, max(0.0, start - spacing.between_layers), max(across, passing))
