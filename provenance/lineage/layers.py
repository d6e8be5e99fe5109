"""Layers of a graph that may hold cycles: which nodes lie before which."""

from collections.abc import Sequence

from jobprov.provenance.lineage.cycles import strong_components
from jobprov.provenance.lineage.graph import neighbours


def layers(nodes: Sequence[str], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of each node, from 0: after all that lead to it, and sources right before what they lead to."""
    after, _ = neighbours(links)
    components = strong_components(nodes, after)
    part_of = {node: place for place, some in enumerate(components) for node in some}
    later: list[set[int]] = [set() for _ in components]
    for source, target in links:
        if part_of[source] != part_of[target]:
            later[part_of[source]].add(part_of[target])
    depth = [0] * len(components)
    is_source = [True] * len(components)
    for part in range(len(components) - 1, -1, -1):  # components come latest first
        for next_part in later[part]:
            depth[next_part] = max(depth[next_part], depth[part] + 1)
            is_source[next_part] = False
    for part, next_parts in enumerate(later):
        if is_source[part] and next_parts:
            depth[part] = min(depth[next_part] for next_part in next_parts) - 1
    return {node: depth[part_of[node]] for node in nodes}
