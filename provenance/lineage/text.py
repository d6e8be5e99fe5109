"""A graph as an indented tree for terminals: what made the focus, then what came of it, then what failed beside.

A node is written out once; where it comes again a reference says so. Names are made safe for terminals.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provenance.lineage.folding import fold
from provenance.lineage.graph import SHARED_ROLES, UNHAPPY_STATES, FileNode, Graph, JobNode, Node, neighbours
from provenance.lineage.sentences import full_name, known_fully, reached, summary
from provenance.lineage.words import THIN_SPACE, day, number, shown, size

BRANCHES_AT_MOST = 12
"""Further branches of one node are counted, not written out."""

ALIKE_AT_MOST = 2
"""Of branches that a drawing would put into one box, so many are written out."""

LINES_AT_MOST = 200
"""Of each of the two trees; what follows them must not scroll away."""
NAMES_AT_MOST = 4


@dataclass(frozen=True, slots=True)
class Style:
    """The signs of a tree: branches, a mark for each state (`unknown` serves the others), and what a terminal lacks."""

    branch: str
    last: str
    bar: str
    gap: str
    marks: Mapping[str, str]
    replaced: Mapping[str, str] = field(default_factory=dict)


UNICODE = Style(
    "├─ ", "└─ ", "│  ", "   ",
    {"succeeded": "●", "failed": "▲", "killed": "■", "running": "○", "silent": "◌", "lost": "?", "unknown": "◆"},
)  # fmt: skip
ASCII = Style(
    "|- ", "`- ", "|  ", "   ",
    {"succeeded": "*", "failed": "!", "killed": "#", "running": "o", "silent": ":", "lost": "?", "unknown": "+"},
    {"…": "...", "–": "-", THIN_SPACE: " "},  # noqa: RUF001 - the en dash that stands for a missing value
)  # fmt: skip


def render_text(graph: Graph, *, style: Style = UNICODE) -> str:
    """The tree, its first line the answer in words; ends with a line break."""
    tree = _Tree(graph, style)
    lines = [summary(graph), "", *tree.section("before"), *tree.section("after"), *tree.beside()]
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    for sign, instead in style.replaced.items():
        text = text.replace(sign, instead)
    return text


class _Tree:
    def __init__(self, graph: Graph, style: Style) -> None:
        self.graph = graph
        self.style = style
        self.nodes = graph.by_key()
        self.edge_of = {(edge.source, edge.target): edge for edge in graph.inner_edges()}
        self.after, self.before = neighbours(self.edge_of)
        self.written: set[str] = set()
        self.box_of = {key: box.key for box in fold(graph).boxes for key in box.members}

    def section(self, side: str) -> list[str]:
        """The tree on one side of the focus; nothing where that side is empty."""
        links = self.before if side == "before" else self.after
        focus = self.nodes.get(self.graph.focus)
        is_needed = links.get(self.graph.focus) or (side == "before" and not self.after.get(self.graph.focus))
        if focus is None or not is_needed:
            return []
        heading = ["", "Used by:"] if focus.key in self.written else []
        self.written.discard(focus.key)
        return [*heading, *self._grown(focus.key, links, side)]

    def beside(self) -> list[str]:
        """Jobs that neither made the focus nor came of it and did not end well, with what they read."""
        related = {self.graph.focus, *reached(self.graph.focus, self.before), *reached(self.graph.focus, self.after)}
        jobs = [job for job in self.graph.jobs() if job.key not in related and job.state in UNHAPPY_STATES]
        if not jobs:
            return []
        lines = [f"{self._line(job)}, read {self._names(self.before.get(job.key, ()))}" for job in jobs]
        more = [f"… {number(len(lines) - BRANCHES_AT_MOST)} more"] if len(lines) > BRANCHES_AT_MOST else []
        return ["", "On the way, without a result:", *lines[:BRANCHES_AT_MOST], *more]

    def _grown(self, root: str, links: Mapping[str, Sequence[str]], side: str) -> list[str]:
        """Depth first without recursion, as chains may be long."""
        lines: list[str] = []
        stack: list[tuple[str | None, str, str, str]] = [(root, "", "", "")]
        while stack and len(lines) < LINES_AT_MOST:
            key, sign, indent, came_from = stack.pop()
            if key is None:
                lines.append(indent + sign)
                continue
            word = self._relation(key, came_from, side)
            is_again = key in self.written and bool(links.get(key))
            lines.append(f"{indent}{sign}{word}{self._line(self.nodes[key])}{' (see above)' * is_again}")
            if is_again:
                continue
            self.written.add(key)
            below = indent + (self.style.bar if sign == self.style.branch else self.style.gap * bool(sign))
            stack.extend(reversed(self._branches(key, links, below)))
        if stack:
            lines.append("… and more: ask for less depth, or for JSON.")
        return lines

    def _branches(
        self, key: str, links: Mapping[str, Sequence[str]], indent: str
    ) -> list[tuple[str | None, str, str, str]]:
        others = links.get(key, ())
        shared = [other for other in others if self._is_badge(other, key)]
        whole = [other for other in others if other not in shared]
        chosen, rest = self._representatives(whole)
        texts = [f"with {self._names(shared)}"] if shared else []
        if rest:
            texts.append(f"… {number(len(rest))} more: {self._names(rest)}")
        if left_out := self._left_out(key, links):
            texts.append(f"… {number(left_out)} more, not shown")
        items: list[tuple[str | None, str]] = [(other, "") for other in chosen]
        items += [(None, text) for text in texts]
        signs = [self.style.branch] * (len(items) - 1) + [self.style.last] * bool(items)
        return [(item, sign + text, indent, key) for (item, text), sign in zip(items, signs, strict=True)]

    def _representatives(self, keys: Sequence[str]) -> tuple[list[str], list[str]]:
        """Branches to write out, the first of those that are alike, and the others."""
        met: Counter[str] = Counter()
        chosen: list[str] = []
        for key in keys:
            met[self.box_of.get(key, key)] += 1
            if met[self.box_of.get(key, key)] <= ALIKE_AT_MOST and len(chosen) < BRANCHES_AT_MOST:
                chosen.append(key)
        written = set(chosen)
        return chosen, [key for key in keys if key not in written]

    def _left_out(self, key: str, links: Mapping[str, Sequence[str]]) -> int:
        omitted = self.graph.omitted
        return (omitted.inputs_of if links is self.before else omitted.outputs_of).get(key, 0)

    def _is_badge(self, key: str, user: str) -> bool:
        edge = self.edge_of.get((key, user))
        return edge is not None and edge.role in SHARED_ROLES and not self.before.get(key)

    def _relation(self, key: str, came_from: str, side: str) -> str:
        if not came_from:
            return ""
        is_file = isinstance(self.nodes[key], FileNode)
        if side == "before":
            edge, words = self.edge_of[key, came_from], ("from " if is_file else "made by ")
        else:
            edge, words = self.edge_of[came_from, key], ("made " if is_file else "used by ")
        return words if edge.is_sure else f"possibly {words}"

    def _names(self, keys: Sequence[str]) -> str:
        names = [shown(node.name) for key in keys[:NAMES_AT_MOST] if isinstance(node := self.nodes[key], FileNode)]
        names += [self._line(node) for key in keys[:NAMES_AT_MOST] if isinstance(node := self.nodes[key], JobNode)]
        more = [f"{number(len(keys) - NAMES_AT_MOST)} more"] if len(keys) > NAMES_AT_MOST else []
        return ", ".join([*names, *more]) or "nothing"

    def _line(self, node: Node) -> str:
        if isinstance(node, FileNode):
            facts = [node.data_tier, None if node.size_bytes is None else size(node.size_bytes)]
            facts.append(known_fully(node))
            told = ", ".join(fact for fact in facts if fact)
            return shown(full_name(node) + (f" ({told})" if told else ""))
        mark = self.style.marks.get(node.state, self.style.marks["unknown"])
        facts = [
            f"{node.stage or 'job'} {node.label or node.job_id}",
            node.state,
            node.code_version,
            day(node.started_at),
        ]
        return f"{mark} {shown(', '.join(fact for fact in facts if fact))}"
