"""A layered layout: history runs along one axis, boxes of the same age lie across the other.

1. Each box gets a layer, by the longest path that leads to it; boxes of a cycle share one.
2. Boxes are ordered within their layers: sweeps sort each layer by the mean place of its
   neighbours, and the order with the fewest crossings is kept.
3. Boxes get places near the mean of their neighbours. In each layer, this is a least-squares
   problem with minimum gaps, which is solved exactly by pooling adjacent violators.

The same input always gives the same picture. Lengths are in user units, pixels on a page.

Source: K. Sugiyama, S. Tagawa, M. Toda, Methods for visual understanding of hierarchical system
structures, 1981.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

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
    """A layout of every box in `sizes`, without overlaps.

    Edges to or from anything else are ignored.
    """
    spacing = spacing or Spacing()
    links = _links_between_boxes(sizes, edges)
    layer_of = layers(list(sizes), links)
    bends = _bends(links, layer_of)
    for bends_of_link in bends.values():
        layer_of.update(bends_of_link)
    pieces: list[tuple[str, str]] = []
    for source, target in links:
        pieces += pairwise([source, *bends.get((source, target), ()), target])
    pieces = [ends for ends in pieces if layer_ends_differ(ends, layer_of)]

    columns = order_layers(_columns(layer_of), pieces)
    heights = dict.fromkeys(layer_of, BEND_SIZE)
    heights.update((box, size.across) for box, size in sizes.items())
    middles = place_layers(columns, pieces, heights, spacing.between_boxes)

    spans = _layer_spans(columns, sizes, spacing)
    places = _box_places(columns, spans, sizes, middles)
    points = _bend_points(bends, spans, middles)
    extent_along = max((span.end for span in spans), default=0.0)
    return Layout(places, points, extent_along, _extent_across(places, points))


def _links_between_boxes(
    sizes: Mapping[str, Size], edges: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Each edge once, without edges to or from what is not drawn, or from a box to itself."""
    links: list[tuple[str, str]] = []
    for source, target in dict.fromkeys(edges):
        if source != target and source in sizes and target in sizes:
            links.append((source, target))
    return links


def layer_ends_differ(ends: tuple[str, str], layer_of: Mapping[str, int]) -> bool:
    """True for an edge between layers, False within one (inside a cycle)."""
    return layer_of[ends[0]] != layer_of[ends[1]]


_Bends = dict[tuple[str, str], dict[str, int]]
"""The bends of each long edge, in order: their keys, each with its layer."""


def _bends(links: Sequence[tuple[str, str]], layer_of: Mapping[str, int]) -> _Bends:
    """A bend for each link in each layer that it passes; none at all if there would be too many."""
    bends: _Bends = {}
    count = 0
    for number, (source, target) in enumerate(links):
        passed_layers = range(layer_of[source] + 1, layer_of[target])
        count += len(passed_layers)
        if count > BENDS_AT_MOST:
            return {}
        if passed_layers:
            # No box has such a key
            bends[source, target] = {f"\0{number}.{layer}": layer for layer in passed_layers}
    return bends


def _columns(layer_of: Mapping[str, int]) -> Columns:
    """The nodes of each layer."""
    columns: Columns = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for node, layer in layer_of.items():
        columns[layer].append(node)
    return columns


class _Span(NamedTuple):
    """Where a layer begins and ends, along the direction of history."""

    start: float
    end: float


def _layer_spans(columns: Columns, sizes: Mapping[str, Size], spacing: Spacing) -> list[_Span]:
    """The span of each layer, which is as deep as its deepest box."""
    spans: list[_Span] = []
    start = 0.0
    for column in columns:
        depths = [sizes[node].along for node in column if node in sizes]
        span = _Span(start, start + max(depths, default=0.0))
        spans.append(span)
        start = span.end + spacing.between_layers
    return spans


def _box_places(
    columns: Columns,
    spans: Sequence[_Span],
    sizes: Mapping[str, Size],
    middles: Mapping[str, float],
) -> dict[str, BoxPlace]:
    """The place of each box."""
    places: dict[str, BoxPlace] = {}
    for layer, column in enumerate(columns):
        span = spans[layer]
        for node in column:
            if node in sizes:
                size = sizes[node]
                top = middles[node] - size.across / 2
                places[node] = BoxPlace(span.start, top, size, layer, span.end)
    return places


def _bend_points(
    bends: _Bends, spans: Sequence[_Span], middles: Mapping[str, float]
) -> dict[tuple[str, str], tuple[Point, ...]]:
    """The points that long edges pass: where each layer on their way begins, and where it ends."""
    points: dict[tuple[str, str], tuple[Point, ...]] = {}
    for ends, layer_of_bend in bends.items():
        passed: list[Point] = []
        for bend, layer in layer_of_bend.items():
            passed.append((spans[layer].start, middles[bend]))
            passed.append((spans[layer].end, middles[bend]))
        points[ends] = tuple(passed)
    return points


def _extent_across(
    places: Mapping[str, BoxPlace], points: Mapping[tuple[str, str], Sequence[Point]]
) -> float:
    """How far boxes and long edges reach across the direction of history."""
    extent = 0.0
    for place in places.values():
        extent = max(extent, place.across + place.size.across)
    for passed in points.values():
        for _, across in passed:
            extent = max(extent, across)
    return extent


class _Sweep(NamedTuple):
    """One pass over the layers: their order, and the neighbours by which nodes are placed."""

    columns: Sequence[list[str]]
    towards: Mapping[str, Sequence[str]]


def _sweeps(
    columns: Sequence[list[str]],
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
    count: int,
) -> Iterator[_Sweep]:
    """So many passes, in turn from the first layer on and from the last one back."""
    onwards, back = _Sweep(columns, before), _Sweep(columns[::-1], after)
    for number in range(count):
        yield onwards if number % 2 == 0 else back


def order_layers(columns: Sequence[Sequence[str]], links: Sequence[tuple[str, str]]) -> Columns:
    """The layers in an order with few crossings; ties keep the order given."""
    after, before = neighbours(links)
    current = _first_order(columns, after)
    if sum(map(len, current)) > LARGE:
        for sweep in _sweeps(current, before, after, SWEEPS_OF_LARGE):
            _sort_layers(sweep)
        return current
    best, fewest = _copied(current), crossings(current, after)
    for sweep in _sweeps(current, before, after, SWEEPS):
        if fewest == 0:
            break
        _sort_layers(sweep)
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


def _sort_layers(sweep: _Sweep) -> None:
    """Sort each layer by the mean place of its nodes' neighbours."""
    place_of = _places_in_layers(sweep.columns)
    for column in sweep.columns:
        weights: dict[str, float] = {}
        for node in column:
            neighbour_places = [place_of[other] for other in sweep.towards.get(node, ())]
            weights[node] = _mean(neighbour_places, place_of[node])
        column.sort(key=weights.__getitem__)
        place_of.update((node, place) for place, node in enumerate(column))


def place_layers(
    columns: Columns,
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
        all_at_zero = [0.0] * len(column)
        middles.update(zip(column, spread(all_at_zero, column, heights, gap), strict=True))
    passes = PASSES if len(heights) <= LARGE else PASSES_OF_LARGE
    for sweep in _sweeps(columns, before, after, passes):
        for column in sweep.columns:
            wanted = _means_of_neighbours(column, sweep.towards, middles)
            middles.update(zip(column, spread(wanted, column, heights, gap), strict=True))
    tops = [middle - heights[node] / 2 for node, middle in middles.items()]
    topmost = min(tops, default=0.0)
    return {node: round(middle - topmost, 1) for node, middle in middles.items()}


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
    packed = _packed(column, heights, gap)
    wanted_shifts = [want - tight for want, tight in zip(wanted, packed, strict=True)]
    # Without overlaps, the shifts from the packed places never fall along the column
    shifts = _nearest_rising(wanted_shifts)
    return [shift + tight for shift, tight in zip(shifts, packed, strict=True)]


def _packed(column: Sequence[str], heights: Mapping[str, float], gap: float) -> list[float]:
    """The middles of a column packed as tightly as the gap allows, the first at 0."""
    if not column:
        return []
    middle = 0.0
    packed = [middle]
    for upper, lower in pairwise(column):
        middle += (heights[upper] + heights[lower]) / 2 + gap
        packed.append(middle)
    return packed


def _nearest_rising(values: Iterable[float]) -> list[float]:
    """The never falling numbers that are nearest to `values`, by least squares.

    Neighbours that would fall are pooled and share their mean.
    """
    sums: list[float] = []
    counts: list[int] = []
    for value in values:
        pool_sum, pool_count = value, 1
        while sums and sums[-1] / counts[-1] > pool_sum / pool_count:
            pool_sum += sums.pop()
            pool_count += counts.pop()
        sums.append(pool_sum)
        counts.append(pool_count)
    rising: list[float] = []
    for pool_sum, pool_count in zip(sums, counts, strict=True):
        rising += [pool_sum / pool_count] * pool_count
    return rising


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
