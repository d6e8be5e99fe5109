"""Cycles and layers: which nodes reach each other, and which come before which.

What clients send may contain cycles (record.md); drawings condense them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jobprov.provenance.lineage.graph import neighbours


def strong_components(nodes: Iterable[str], after: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Sets of nodes that reach each other; sets that come later in the graph are first.

    A node outside of cycles is a set of one.

    Source: R. Tarjan, Depth-first search and linear graph algorithms, 1972; here without recursion,
    because chains may be long.
    """
    walk = _Walk(after)
    for node in nodes:
        if node not in walk.number:
            walk.visit(node)
    return walk.components


class _Walk:
    def __init__(self, after: Mapping[str, Sequence[str]]) -> None:
        self.after = after
        self.number: dict[str, int] = {}
        self.low: dict[str, int] = {}
        self.open: list[str] = []
        self.is_open: set[str] = set()
        self.components: list[list[str]] = []

    def visit(self, root: str) -> None:
        stack = [self._enter(root)]
        while stack:
            node, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                stack.pop()
                self._leave(node, stack[-1][0] if stack else None)
            elif target not in self.number:
                stack.append(self._enter(target))
            elif target in self.is_open:
                self.low[node] = min(self.low[node], self.number[target])

    def _enter(self, node: str) -> tuple[str, Iterator[str]]:
        self.number[node] = self.low[node] = len(self.number)
        self.open.append(node)
        self.is_open.add(node)
        return node, iter(self.after.get(node, ()))

    def _leave(self, node: str, caller: str | None) -> None:
        if caller is not None:
            self.low[caller] = min(self.low[caller], self.low[node])
        if self.low[node] == self.number[node]:
            component = [self.open.pop()]
            # Not `open.index(node)`: thousands of circles one behind the other took seconds
            while component[-1] != node:
                component.append(self.open.pop())
            component.reverse()
            self.is_open.difference_update(component)
            self.components.append(component)


def layers(nodes: Sequence[str], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of each node, from 0: after all nodes that lead to it.

    A node is directly before what it leads to if at least as many nodes follow it as lead to it, so
    that a chain that joins late does not begin at the far end.
    """
    after, _ = neighbours(links)
    components = strong_components(nodes, after)
    component_of: dict[str, int] = {}
    for place, component in enumerate(components):
        component_of.update(dict.fromkeys(component, place))
    later: list[set[int]] = [set() for _ in components]
    for source, target in links:
        if component_of[source] != component_of[target]:
            later[component_of[source]].add(component_of[target])
    depth = _depths(later)
    return {node: depth[component_of[node]] for node in nodes}


def _depths(later: Sequence[set[int]]) -> list[int]:
    """The layer of each component, from what directly follows each."""
    depth = [0] * len(later)
    sources = [0] * len(later)
    for component in range(len(later) - 1, -1, -1):  # components come latest first
        for follower in later[component]:
            depth[follower] = max(depth[follower], depth[component] + 1)
            sources[follower] += 1
    for component, followers in enumerate(later):
        if followers and len(followers) >= sources[component]:
            depth[component] = min(depth[follower] for follower in followers) - 1
    return depth
