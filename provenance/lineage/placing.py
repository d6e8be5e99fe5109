"""Places across the layers: as near as can be to the neighbours' middles, in order and without overlap.

Each layer is a least-squares problem with ordered gaps, solved exactly by pooling adjacent
violators.
"""

from collections.abc import Mapping, Sequence

from jobprov.provenance.lineage.graph import neighbours

PASSES = 6
PASSES_OF_LARGE = 2
LARGE = 1_500


def place_layers(
    columns: Sequence[Sequence[str]],
    links: Sequence[tuple[str, str]],
    heights: Mapping[str, float],
    gap: float,
) -> dict[str, float]:
    """The middle of each node, the lowest edge of all at 0.

    Nodes of one layer lie at least `gap` apart.
    """
    after, before = neighbours(links)
    middles: dict[str, float] = {}
    for column in columns:
        middles.update(zip(column, spread([0.0] * len(column), column, heights, gap), strict=True))
    for turn in range(PASSES if len(heights) <= LARGE else PASSES_OF_LARGE):
        towards = before if turn % 2 == 0 else after
        for column in columns if turn % 2 == 0 else reversed(columns):
            wanted = [
                _mean([middles[other] for other in towards.get(node, ())], middles[node])
                for node in column
            ]
            middles.update(zip(column, spread(wanted, column, heights, gap), strict=True))
    lowest = min((middle - heights[node] / 2 for node, middle in middles.items()), default=0.0)
    return {node: round(middle - lowest, 1) for node, middle in middles.items()}


def spread(
    wanted: Sequence[float], column: Sequence[str], heights: Mapping[str, float], gap: float
) -> list[float]:
    """Middles nearest to `wanted` that keep the order and the gap."""
    offsets: list[float] = []
    for index, node in enumerate(column):
        step = (heights[column[index - 1]] + heights[node]) / 2 + gap if index else 0.0
        offsets.append((offsets[-1] if index else 0.0) + step)
    pools: list[
        tuple[float, int]
    ] = []  # (sum of shifts, how many); the mean of a pool is its shift
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            total, count = total + pools[-1][0], count + pools.pop()[1]
        pools.append((total, count))
    shifts = [total / count for total, count in pools for _ in range(count)]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
