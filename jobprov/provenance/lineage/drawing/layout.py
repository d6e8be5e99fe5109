"""A layered layout: history runs along one axis, boxes of the same age lie across the other.

1. Each box gets a layer, by the longest path that leads to it; boxes of a cycle share one.
2. Boxes are ordered within their layers: sweeps sort each layer by the mean place of its
   neighbours, and the order with the fewest crossings is kept.
3. Boxes get places near the mean of their neighbours. In each layer, this is a least-squares
   problem
   with minimum gaps, which is solved exactly by pooling adjacent violators.

The same input always gives the same picture. Lengths are in user units, pixels on a page.

Source: K. Sugiyama, S. Tagawa, M. Toda, Methods for visual understanding of hierarchical system
structures, 1981.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from jobprov.provenance.lineage.graph import neighbours
from jobprov.provenance.lineage.layers import layers

BENDS_AT_MOST = 4_000
"""Long edges are led around boxes if no more bends than this are needed; else they run straight."""

BEND_SIZE = 10.0
"""Room that a long edge takes in each layer that it passes."""

LARGE = 1_500
"""Graphs with more nodes, including bends, get fewer sweeps; their crossings are not counted."""
SWEEPS, SWEEPS_OF_LARGE = 8, 2
PASSES, PASSES_OF_LARGE = 6, 2

Columns = list[list[str]]
Point = tuple[float, float]
"""Along the direction of history, and across it."""


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
class BoxPlace:
    """Where a box lies: its corner nearest to the origin, its size and its layer.

    Layers count from 0; `layer_end` is where this one ends.
    """

    along: float
    across: float
    size: Size
    layer: int
    layer_end: float

    @property
    def entry(self) -> Point:
        """Where arrows arrive."""
        return self.along, self.across + self.size.across / 2

    @property
    def exit(self) -> Point:
        """Where arrows leave."""
        return self.along + self.size.along, self.across + self.size.across / 2


@dataclass(frozen=True, slots=True)
class Layout:
    """A place for each box, the points that long edges pass, and the extent."""

    places: Mapping[str, BoxPlace]
    bends: Mapping[tuple[str, str], tuple[Point, ...]]
    along: float
    across: float

    def passed_points(self, ends: tuple[str, str]) -> list[Point]:
        """The points that an arrow between two layers passes from its exit to its entry."""
        source = self.places[ends[0]]
        exit_along, exit_across = source.exit
        points = list(self.bends.get(ends, ()))
        if source.layer_end > exit_along:
            # Straight to the end of the layer, so as not to cross wider boxes
            points.insert(0, (source.layer_end, exit_across))
        return points


def lay_out(
    sizes: Mapping[str, Size], edges: Iterable[tuple[str, str]], *, spacing: Spacing | None = None
) -> Layout:
    """A layout of every box in `sizes`.

    Edges with other ends are ignored, none of the boxes overlap.
    """
    spacing = spacing or Spacing()
    links: list[tuple[str, str]] = []
    for source, target in dict.fromkeys(edges):
        if source != target and source in sizes and target in sizes:
            links.append((source, target))
    layer_of = layers(list(sizes), links)
    short_links, bends = _with_bends(links, layer_of)
    links_between_layers = [ends for ends in short_links if layer_ends_differ(ends, layer_of)]
    columns = order_layers(_columns(sizes, layer_of, bends), links_between_layers)
    heights = dict.fromkeys(layer_of, BEND_SIZE)
    heights.update({key: size.across for key, size in sizes.items()})
    middles = place_layers(columns, links_between_layers, heights, spacing.between_boxes)
    return _measured(sizes, columns, middles, bends, spacing)


def layer_ends_differ(ends: tuple[str, str], layer_of: Mapping[str, int]) -> bool:
    """True for an edge between layers, False within one (inside a cycle)."""
    return layer_of[ends[0]] != layer_of[ends[1]]


_Bends = dict[tuple[str, str], list[str]]


def _with_bends(
    links: Sequence[tuple[str, str]], layer_of: dict[str, int]
) -> tuple[list[tuple[str, str]], _Bends]:
    """The links cut into pieces from layer to layer, and the bends where they were cut.

    Adds the bends to `layer_of`.
    """
    passed_layers = (layer_of[target] - layer_of[source] - 1 for source, target in links)
    if sum(max(0, count) for count in passed_layers) > BENDS_AT_MOST:
        return list(links), {}
    short_links: list[tuple[str, str]] = []
    bends: _Bends = {}
    for number, (source, target) in enumerate(links):
        passed = range(layer_of[source] + 1, layer_of[target])
        bend_keys = [f"\0{number}.{layer}" for layer in passed]  # no box has such a key
        layer_of.update(zip(bend_keys, passed, strict=True))
        if bend_keys:
            bends[source, target] = bend_keys
        short_links += pairwise([source, *bend_keys, target])
    return short_links, bends


def _columns(
    sizes: Mapping[str, Size], layer_of: Mapping[str, int], bends: _Bends
) -> list[list[str]]:
    columns: list[list[str]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for node in chain.from_iterable([sizes, *bends.values()]):
        columns[layer_of[node]].append(node)
    return columns


def _measured(
    sizes: Mapping[str, Size],
    columns: Sequence[Sequence[str]],
    middles: Mapping[str, float],
    bends: _Bends,
    spacing: Spacing,
) -> Layout:
    """The layout whose boxes and bends have these middles; it measures how deep each layer is."""
    places: dict[str, BoxPlace] = {}
    layer_span_of: dict[str, tuple[float, float]] = {}
    start = end = 0.0
    for layer, column in enumerate(columns):
        boxes = [node for node in column if node in sizes]
        end = start + max((sizes[box].along for box in boxes), default=0.0)
        layer_span_of.update(dict.fromkeys(column, (start, end)))
        for box in boxes:
            corner = middles[box] - sizes[box].across / 2
            places[box] = BoxPlace(start, corner, sizes[box], layer, end)
        start = end + spacing.between_layers
    across = max((place.across + place.size.across for place in places.values()), default=0.0)
    points: dict[tuple[str, str], tuple[Point, ...]] = {}
    for ends, bend_keys in bends.items():
        bend_points: list[Point] = []
        for bend in bend_keys:
            layer_start, layer_end = layer_span_of[bend]
            bend_points += [(layer_start, middles[bend]), (layer_end, middles[bend])]
            across = max(across, middles[bend])
        points[ends] = tuple(bend_points)
    return Layout(places, points, end, across)


def order_layers(columns: Sequence[Sequence[str]], links: Sequence[tuple[str, str]]) -> Columns:
    """The layers in an order with few crossings; ties keep the order given."""
    after, before = neighbours(links)
    current = _first_order(columns, after)
    if sum(map(len, current)) > LARGE:
        for sweep in range(SWEEPS_OF_LARGE):
            _sweep(current, before, after, is_forward=sweep % 2 == 0)
        return current
    best, fewest = _copied(current), crossings(current, after)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        _sweep(current, before, after, is_forward=sweep % 2 == 0)
        count = crossings(current, after)
        if count < fewest:
            best, fewest = _copied(current), count
    return best


def _copied(columns: Columns) -> Columns:
    return [list(column) for column in columns]


def crossings(columns: Sequence[Sequence[str]], after: Mapping[str, Sequence[str]]) -> int:
    """How many pairs of edges cross, counting edges between two layers at a time."""
    place_of = _places_in_layers(columns)
    total = 0
    for column in columns:
        # Two edges cross if the one that starts later ends earlier: for each edge, count the ends
        # of earlier edges that are beyond its own
        earlier_ends: list[int] = []
        for node in column:
            for end in sorted(place_of[target] for target in after.get(node, ())):
                total += len(earlier_ends) - bisect_right(earlier_ends, end)
                insort(earlier_ends, end)
    return total


def _places_in_layers(columns: Sequence[Sequence[str]]) -> dict[str, int]:
    place_of: dict[str, int] = {}
    for column in columns:
        place_of.update((node, place) for place, node in enumerate(column))
    return place_of


def _first_order(columns: Sequence[Sequence[str]], after: Mapping[str, Sequence[str]]) -> Columns:
    """Nodes in the order in which a depth-first walk meets them, so that families are together."""
    met: dict[str, int] = {}
    for root in chain.from_iterable(columns):
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in met:
                met[node] = len(met)
                stack.extend(reversed(after.get(node, ())))  # the first one is popped first
    return [sorted(column, key=met.__getitem__) for column in columns]


def _sweep(
    columns: Columns,
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
    *,
    is_forward: bool,
) -> None:
    """Sort each layer by the mean place of its nodes' neighbours.

    The sweep goes from the first layer on, or from the last one back.
    """
    towards = before if is_forward else after
    place_of = _places_in_layers(columns)
    for column in columns if is_forward else reversed(columns):
        weights: dict[str, float] = {}
        for node in column:
            neighbour_places = [place_of[other] for other in towards.get(node, ())]
            weights[node] = _mean(neighbour_places, place_of[node])
        column.sort(key=weights.__getitem__)
        place_of.update((node, place) for place, node in enumerate(column))


def place_layers(
    columns: Sequence[Sequence[str]],
    links: Sequence[tuple[str, str]],
    heights: Mapping[str, float],
    gap: float,
) -> dict[str, float]:
    """The middle of each node; the topmost box begins at 0.

    Nodes of one layer are at least `gap` apart.
    """
    after, before = neighbours(links)
    middles: dict[str, float] = {}
    for column in columns:
        no_wish = [0.0] * len(column)
        middles.update(zip(column, spread(no_wish, column, heights, gap), strict=True))
    passes = PASSES if len(heights) <= LARGE else PASSES_OF_LARGE
    for turn in range(passes):
        is_forward = turn % 2 == 0
        towards = before if is_forward else after
        for column in columns if is_forward else reversed(columns):
            wanted = _means_of_neighbours(column, towards, middles)
            middles.update(zip(column, spread(wanted, column, heights, gap), strict=True))
    lowest = min((middle - heights[node] / 2 for node, middle in middles.items()), default=0.0)
    return {node: round(middle - lowest, 1) for node, middle in middles.items()}


def _means_of_neighbours(
    column: Sequence[str], towards: Mapping[str, Sequence[str]], middles: Mapping[str, float]
) -> list[float]:
    """The mean of the middles of each node's neighbours; a node without any stays where it is."""
    means: list[float] = []
    for node in column:
        neighbour_middles = [middles[other] for other in towards.get(node, ())]
        means.append(_mean(neighbour_middles, middles[node]))
    return means


def spread(
    wanted: Sequence[float], column: Sequence[str], heights: Mapping[str, float], gap: float
) -> list[float]:
    """Middles nearest to `wanted` that keep the order and the gap."""
    offsets: list[float] = []
    offset = 0.0
    for index, node in enumerate(column):
        if index:
            offset += (heights[column[index - 1]] + heights[node]) / 2 + gap
        offsets.append(offset)
    # Packed as tightly as possible, the nodes are at `offsets`. Without overlap, the shifts from
    # there must not fall along the column; nodes where they would fall share the mean of what they
    # want
    pools: list[tuple[float, int]] = []  # sum of shifts, how many
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            pool_total, pool_count = pools.pop()
            total, count = total + pool_total, count + pool_count
        pools.append((total, count))
    shifts: list[float] = []
    for total, count in pools:
        shifts += [total / count] * count
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
