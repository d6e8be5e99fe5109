"""A graph as an indented tree for terminals: what made the focus, what came of it, what failed.

Each node is written out once; further occurrences refer to it. Names are made safe for terminals.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobprov.provenance.lineage.folding import fold
from jobprov.provenance.lineage.graph import (
    SHARED_ROLES,
    UNHAPPY_STATES,
    FileNode,
    Graph,
    JobNode,
    Node,
    neighbours,
)
from jobprov.provenance.lineage.sentences import full_name, known_fully, reached, summary
from jobprov.provenance.lineage.words import minute, number, shown, size

BRANCHES_AT_MOST = 12
"""Further branches of one node are counted, not written out."""

ALIKE_AT_MOST = 2
"""How many branches are written out of those that a drawing would put into one box."""

LINES_AT_MOST = 200
"""Lines of each of the two trees. More would scroll the beginning off the screen."""
NAMES_AT_MOST = 4
_BRANCH, _LAST_BRANCH = "├─ ", "└─ "
_BAR, _GAP = "│  ", "   "
_MARKS = {
    "succeeded": "●", "failed": "▲", "killed": "■", "running": "○", "silent": "◌", "lost": "?",
}  # fmt: skip
_OTHER_MARK = "◆"


def render_text(graph: Graph) -> str:
    """The tree, its first line the answer in words; ends with a line break."""
    tree = _Tree(graph)
    lines = [summary(graph), "", *tree.section("before"), *tree.section("after"), *tree.beside()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


class _Branch(NamedTuple):
    """A line of the tree that is to be written.

    Attributes:
        key: the node to write, with its own branches below; None for a line of text only.
        sign: the sign of the branch, empty for the root.
        indent: what stands before the sign.
        came_from: key of the node above.
        text: what to write where there is no node.
    """

    key: str | None
    sign: str
    indent: str
    came_from: str
    text: str = ""


class _Tree:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = graph.by_key()
        self.edge_of = {(edge.source, edge.target): edge for edge in graph.inner_edges()}
        self.after, self.before = neighbours(self.edge_of)
        self.written: set[str] = set()
        self.box_of: dict[str, str] = {}
        for box in fold(graph).boxes:
            self.box_of.update(dict.fromkeys(box.members, box.key))

    def section(self, side: str) -> list[str]:
        """The tree on one side of the focus; nothing if that side is empty."""
        focus = self.graph.focus
        links = self.before if side == "before" else self.after
        is_alone = not self.before.get(focus) and not self.after.get(focus)
        is_needed = bool(links.get(focus)) or (side == "before" and is_alone)
        if focus not in self.nodes or not is_needed:
            return []
        heading = ["", "Used by:"] if focus in self.written else []
        self.written.discard(focus)
        return [*heading, *self._grown(focus, links, side)]

    def beside(self) -> list[str]:
        """Jobs that did not end well and are on neither side of the focus, with what they read."""
        focus = self.graph.focus
        related = {focus, *reached(focus, self.before), *reached(focus, self.after)}
        lines = []
        for job in self.graph.jobs():
            if job.key not in related and job.state in UNHAPPY_STATES:
                inputs = self._names(self.before.get(job.key, ()))
                lines.append(f"{_line(job)}, read {inputs}")
        if not lines:
            return []
        more = len(lines) - BRANCHES_AT_MOST
        if more > 0:
            lines = [*lines[:BRANCHES_AT_MOST], f"… {number(more)} more"]
        return ["", "On the way, without a result:", *lines]

    def _grown(self, root: str, links: Mapping[str, Sequence[str]], side: str) -> list[str]:
        """Depth first without recursion, as chains may be long."""
        lines: list[str] = []
        stack = [_Branch(root, "", "", "")]
        while stack and len(lines) < LINES_AT_MOST:
            branch = stack.pop()
            if branch.key is None:
                lines.append(f"{branch.indent}{branch.sign}{branch.text}")
                continue
            relation = self._relation(branch.key, branch.came_from, side)
            is_again = branch.key in self.written and bool(links.get(branch.key))
            note = " (see above)" if is_again else ""
            line = _line(self.nodes[branch.key])
            lines.append(f"{branch.indent}{branch.sign}{relation}{line}{note}")
            if is_again:
                continue
            self.written.add(branch.key)
            stack.extend(reversed(self._branches(branch.key, links, self._indent_below(branch))))
        if stack:
            lines.append("… and more: ask for less depth, or for JSON.")
        return lines

    def _indent_below(self, branch: _Branch) -> str:
        if not branch.sign:  # the root
            return ""
        below = _GAP if branch.sign == _LAST_BRANCH else _BAR
        return branch.indent + below

    def _branches(self, key: str, links: Mapping[str, Sequence[str]], indent: str) -> list[_Branch]:
        """Return the lines below a node: shared inputs, neighbours, and what is left out."""
        shared: list[str] = []
        others: list[str] = []
        for other in links.get(key, ()):
            if self._is_badge(other, key):
                shared.append(other)
            else:
                others.append(other)
        chosen, rest = self._representatives(others)
        branches = [_Branch(other, _BRANCH, indent, key) for other in chosen]
        texts = []
        if shared:
            texts.append(f"with {self._names(shared)}")
        if rest:
            texts.append(f"… {number(len(rest))} more: {self._names(rest)}")
        left_out = self._left_out(key, links)
        if left_out:
            texts.append(f"… {number(left_out)} more, not shown")
        branches += [_Branch(None, _BRANCH, indent, key, text) for text in texts]
        if branches:
            branches[-1] = branches[-1]._replace(sign=_LAST_BRANCH)
        return branches

    def _representatives(self, keys: Sequence[str]) -> tuple[list[str], list[str]]:
        """Branches to write out, the first of those that are alike, and the others."""
        count_of_box: Counter[str] = Counter()
        chosen: list[str] = []
        for key in keys:
            box = self.box_of.get(key, key)
            count_of_box[box] += 1
            if count_of_box[box] <= ALIKE_AT_MOST and len(chosen) < BRANCHES_AT_MOST:
                chosen.append(key)
        written = set(chosen)
        return chosen, [key for key in keys if key not in written]

    def _left_out(self, key: str, links: Mapping[str, Sequence[str]]) -> int:
        omitted = self.graph.omitted
        counts = omitted.inputs_of if links is self.before else omitted.outputs_of
        return counts.get(key, 0)

    def _is_badge(self, key: str, user: str) -> bool:
        edge = self.edge_of.get((key, user))
        return edge is not None and edge.role in SHARED_ROLES and not self.before.get(key)

    def _relation(self, key: str, came_from: str, side: str) -> str:
        if not came_from:
            return ""
        is_file = isinstance(self.nodes[key], FileNode)
        if side == "before":
            edge = self.edge_of[key, came_from]
            relation = "from " if is_file else "made by "
        else:
            edge = self.edge_of[came_from, key]
            relation = "made " if is_file else "used by "
        return relation if edge.is_sure else f"possibly {relation}"

    def _names(self, keys: Sequence[str]) -> str:
        """The first of these nodes in a line, files before jobs."""
        files = []
        jobs = []
        for key in keys[:NAMES_AT_MOST]:
            node = self.nodes[key]
            if isinstance(node, FileNode):
                files.append(shown(node.name))
            else:
                jobs.append(_line(node))
        names = files + jobs
        if len(keys) > NAMES_AT_MOST:
            names.append(f"{number(len(keys) - NAMES_AT_MOST)} more")
        return ", ".join(names) or "nothing"


def _line(node: Node) -> str:
    return _file_line(node) if isinstance(node, FileNode) else _job_line(node)


def _job_line(job: JobNode) -> str:
    mark = _MARKS.get(job.state, _OTHER_MARK)
    name = f"{job.stage or 'job'} {job.label or job.job_id}"
    facts = [name, job.state, job.code_version, minute(job.started_at)]
    known_facts = ", ".join(fact for fact in facts if fact)
    return f"{mark} {shown(known_facts)}"


def _file_line(file: FileNode) -> str:
    file_size = None if file.size_bytes is None else size(file.size_bytes)
    facts = ", ".join(fact for fact in [file.data_tier, file_size, known_fully(file)] if fact)
    line = full_name(file)
    if facts:
        line += f" ({facts})"
    return shown(line)
