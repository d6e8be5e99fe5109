"""Cycles: which nodes reach each other.

Client data may hold cycles (record.md); drawings condense them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence


def strong_components(nodes: Iterable[str], after: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Sets of nodes that reach each other, those that come later in the graph first.

    Single nodes are sets of one.

    Source: R. Tarjan, Depth-first search and linear graph algorithms, 1972; without recursion, as
    chains may be long.
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
            start = self.open.index(node) if self.open[-1] != node else len(self.open) - 1
            component = self.open[start:]
            del self.open[start:]
            self.is_open.difference_update(component)
            self.components.append(component)
