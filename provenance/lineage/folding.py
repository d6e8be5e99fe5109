"""The view of a graph: fewer, larger boxes that a person can read.

Cycles become one box, inputs shared by many jobs become badges on the jobs, five or more alike siblings become one
box with a count, and 1:1 chains of succeeded jobs become one box. The focus, its direct producers and consumers, and
jobs that did not succeed are never hidden in a chain. Nothing is lost: each node is in one box or in badges, and each
edge is in an arrow, inside a box or in a badge.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from provenance.lineage.graph import SHARED_ROLES, Edge, FileNode, Graph, Node, neighbours
from provenance.lineage.layers import layers, strong_components
from provenance.lineage.sentences import known_briefly

SMALL = 14
SHALLOW = 7
"""Graphs of at most this many nodes in at most so many layers are drawn node by node."""

BoxKind = Literal["file", "job", "files", "jobs", "chain", "cycle"]
MINIMUM = 5
"""A group of fewer nodes is drawn one by one."""

ROUNDS = 64
"""Refinements at most; then the groups are coarser than they could be, never wrong in their counts."""


@dataclass(frozen=True, slots=True)
class Box:
    """What is drawn as one thing.

    Attributes:
        key: the key of its first member.
        members: keys of the graph's nodes, in the graph's order; in chains upstream first.
        lanes: how many alike siblings (or alike chains) it stands for.
        badges: keys of the shared inputs of its jobs, in the graph's order.
        opened_by: the handle of the box that was opened to show this one; empty where none was.
    """

    key: str
    kind: BoxKind
    members: tuple[str, ...]
    lanes: int = 1
    badges: tuple[str, ...] = ()
    opened_by: str = ""

    @property
    def handle(self) -> str:
        """What `fold` takes as `expanded` to open the box; empty where nothing is folded in it.

        A chain of groups opens into its groups, and a group into its members, so a handle says the kind as well.
        """
        return _handle(self.kind, self.key)


@dataclass(frozen=True, slots=True)
class Arrow:
    """All edges from one box to another; sure when one of them is."""

    source: str
    target: str
    count: int
    is_sure: bool


@dataclass(frozen=True, slots=True)
class View:
    """A folded graph.

    Attributes:
        graph: what was folded.
        focus: key of the box that holds the focus.
        inside: edges that lie within boxes.
        badge_edges: edges that badges stand for.
    """

    graph: Graph
    focus: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    inside: int
    badge_edges: int


def fold(graph: Graph, *, expanded: Collection[str] = ()) -> View:
    """The view of a graph.

    Args:
        graph: what to fold.
        expanded: handles of boxes to open where they stand, the others stay as they are; or keys of nodes that are to
            stand alone. What names nothing is passed over.
    """
    shared = shared_files(graph)
    edges = [edge for edge in graph.inner_edges() if edge.source not in shared]
    badges = _badges(graph, shared)
    nodes = {key: node for key, node in graph.by_key().items() if key not in shared}
    groups = _Folding(nodes, edges, graph.focus, frozenset(expanded)).groups()
    boxes = [_box(group, badges) for group in groups]
    box_of = {key: box.key for box in boxes for key in box.members}
    arrows, inside = _arrows(edges, box_of)
    badge_edges = len(graph.inner_edges()) - len(edges)
    return View(graph, box_of.get(graph.focus, graph.focus), tuple(boxes), arrows, inside, badge_edges)


def shared_files(graph: Graph) -> set[str]:
    """Keys of files that every job here only shares and that no job here produced; never the focus."""
    nodes = graph.by_key()
    edges = graph.inner_edges()
    produced = {edge.target for edge in edges}
    used_alone = {edge.source for edge in edges if (edge.role or _role(nodes[edge.source])) not in SHARED_ROLES}
    used = {edge.source for edge in edges if isinstance(nodes[edge.source], FileNode)}
    return used - used_alone - produced - {graph.focus}


def _role(node: Node) -> str:
    return node.role if isinstance(node, FileNode) else ""


def _badges(graph: Graph, shared: Collection[str]) -> dict[str, list[str]]:
    badges: dict[str, list[str]] = {}
    for edge in graph.inner_edges():
        if edge.source in shared:
            badges.setdefault(edge.target, []).append(edge.source)
    return badges


_SUFFIXES: Mapping[str, str] = {"chain": "~", "files": "*", "jobs": "*", "cycle": "@"}


def _handle(kind: str, key: str) -> str:
    return f"{key}{_SUFFIXES[kind]}" if kind in _SUFFIXES else ""


def _box(group: "_Group", badges: Mapping[str, Sequence[str]]) -> Box:
    own = dict.fromkeys(badge for member in group.members for badge in badges.get(member, ()))
    return Box(group.members[0], group.kind, tuple(group.members), group.lanes, tuple(own), group.opened_by)


def _arrows(edges: Sequence[Edge], box_of: Mapping[str, str]) -> tuple[tuple[Arrow, ...], int]:
    bundles: dict[tuple[str, str], list[Edge]] = {}
    inside = 0
    for edge in edges:
        ends = (box_of[edge.source], box_of[edge.target])
        if ends[0] == ends[1]:
            inside += 1
        else:
            bundles.setdefault(ends, []).append(edge)
    arrows = (Arrow(*ends, len(some), any(edge.is_sure for edge in some)) for ends, some in bundles.items())
    return tuple(arrows), inside


class _Group(NamedTuple):
    kind: BoxKind
    members: list[str]
    lanes: int = 1
    opened_by: str = ""


class _Folding:
    """One folding; cycles are condensed to their first node, the unit, before anything is compared."""

    def __init__(self, nodes: Mapping[str, Node], edges: Sequence[Edge], focus: str, expanded: Collection[str]) -> None:
        self.nodes = nodes
        self.focus = focus
        self.expanded = expanded
        after, _ = neighbours((edge.source, edge.target) for edge in edges)
        order = {key: place for place, key in enumerate(nodes)}
        components = [sorted(some, key=order.__getitem__) for some in strong_components(nodes, after)]
        components.sort(key=lambda some: order[some[0]])
        cycles = [some for some in components if len(some) > 1]
        self.opened = {
            key: _handle("cycle", some[0]) for some in cycles for key in some if self._is_open("cycle", some)
        }
        parts = [part for some in components for part in self._parts(some)]
        self.cycle = {some[0]: some for some in parts if len(some) > 1}
        self.units = [some[0] for some in parts]
        unit_of = {key: some[0] for some in parts for key in some}
        links = {(unit_of[edge.source], unit_of[edge.target]): None for edge in edges}
        self.after, self.before = neighbours(ends for ends in links if ends[0] != ends[1])
        self.focus_unit = unit_of.get(focus, focus)

    def groups(self) -> list[_Group]:
        if self._is_small():
            return [self._single(unit) for unit in self.units]
        facts = {unit: self._facts(unit) for unit in self.units}
        alone = {self.focus_unit, *self.cycle, *self.opened, *self.expanded}
        siblings = alike(facts, self.after, self.before, alone=alone)
        return self._with_chains([part for some in siblings for part in _large_alone(some)])

    def _is_open(self, kind: str, members: Sequence[str]) -> bool:
        return _handle(kind, members[0]) in self.expanded

    def _parts(self, component: list[str]) -> list[list[str]]:
        return [[key] for key in component] if component[0] in self.opened else [component]

    def _is_small(self) -> bool:
        links = [(source, target) for source, targets in self.after.items() for target in targets]
        return len(self.nodes) <= SMALL and max(layers(self.units, links).values(), default=0) < SHALLOW

    def _facts(self, unit: str) -> tuple[object, ...]:
        node = self.nodes[unit]
        if isinstance(node, FileNode):
            return ("file", node.experiment, node.data_tier, node.role, known_briefly(node))
        return ("job", node.campaign, node.stage, node.code_version, node.state)

    def _single(self, unit: str) -> _Group:
        if unit in self.cycle:
            return _Group("cycle", self.cycle[unit])
        return _Group("file" if isinstance(self.nodes[unit], FileNode) else "job", [unit], 1, self.opened.get(unit, ""))

    def _siblings(self, members: list[str], opened_by: str = "") -> list[_Group]:
        """A group as one box, or as many where it is opened."""
        if len(members) == 1:
            single = self._single(members[0])
            return [single._replace(opened_by=single.opened_by or opened_by)]
        kind: BoxKind = "files" if isinstance(self.nodes[members[0]], FileNode) else "jobs"
        if not self._is_open(kind, members):
            return [_Group(kind, members, len(members), opened_by)]
        return [self._single(member)._replace(opened_by=_handle(kind, members[0])) for member in members]

    def _with_chains(self, siblings: list[list[str]]) -> list[_Group]:
        by_first = {members[0]: members for members in siblings}
        first_of = {member: members[0] for members in siblings for member in members}
        link = {first: after for first in by_first if (after := self._one_to_one(by_first, first_of, first))}
        chains = self._chains(link)
        hidden = {part for run in chains.values() for part in run}
        groups: list[_Group] = []
        for first, members in by_first.items():
            if first in chains:
                groups += self._chain([by_first[part] for part in chains[first]])
            elif first not in hidden:
                groups += self._siblings(members)
        return groups

    def _chain(self, parts: list[list[str]]) -> list[_Group]:
        """A chain as one box, or its parts where it is opened."""
        if not self._is_open("chain", parts[0]):
            return [_Group("chain", [key for part in parts for key in part], len(parts[0]))]
        handle = _handle("chain", parts[0][0])
        return [group for part in parts for group in self._siblings(part, handle)]

    def _chains(self, link: Mapping[str, str]) -> dict[str, list[str]]:
        """Runs of job, file, job, ... that go 1:1, by their first job; runs of one job are left out."""
        jobs = [first for first in link if not isinstance(self.nodes[first], FileNode)]
        next_job = {job: link[link[job]] for job in jobs if link[job] in link}
        chains = {}
        for job in next_job.keys() - set(next_job.values()):
            run = [job]
            while run[-1] in next_job:
                run += [link[run[-1]], next_job[run[-1]]]
            chains[job] = run
        return chains

    def _one_to_one(self, by_first: Mapping[str, list[str]], first_of: Mapping[str, str], first: str) -> str | None:
        """The group that follows this one member by member, where both may be hidden in a chain."""
        members = by_first[first]
        targets = [target for member in members for target in self.after.get(member, ())]
        if len(targets) != len(members) or any(len(self.after.get(member, ())) != 1 for member in members):
            return None
        follower = first_of[targets[0]]
        same = len(set(targets)) == len(targets) == len(by_first[follower])
        alone = all(first_of[target] == follower and len(self.before[target]) == 1 for target in targets)
        return follower if same and alone and self._may_hide(first) and self._may_hide(follower) else None

    def _may_hide(self, unit: str) -> bool:
        node = self.nodes[unit]
        around = {*self.after.get(self.focus_unit, ()), *self.before.get(self.focus_unit, ()), self.focus_unit}
        if unit in around or unit in self.cycle or unit in self.opened or unit in self.expanded:
            return False
        return isinstance(node, FileNode) or node.state == "succeeded"


def _large_alone(members: list[str]) -> list[list[str]]:
    return [members] if len(members) >= MINIMUM else [[member] for member in members]


def alike(
    facts: Mapping[str, Hashable],
    after: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[str]],
    *,
    alone: Collection[str] = (),
) -> list[list[str]]:
    """Every node in exactly one group, groups and members in the order of `facts`; nodes in `alone` stay alone."""
    single = set(alone)
    colours: dict[str, int] = _numbered({node: (facts[node], node if node in single else None) for node in facts})
    for _ in range(ROUNDS):
        refined = _refined(colours, after, before)
        if len(set(refined.values())) > len(set(colours.values())):
            colours = refined
            continue
        small = _members_of_small_groups(colours) - single
        if not small:
            break
        single |= small
        colours = _numbered({node: (colour, node if node in single else None) for node, colour in colours.items()})
    return _groups(colours, single)


def _refined(
    colours: Mapping[str, int], after: Mapping[str, Sequence[str]], before: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    return _numbered(
        {
            node: (
                colour,
                tuple(sorted({colours[other] for other in after.get(node, ())})),
                tuple(sorted({colours[other] for other in before.get(node, ())})),
            )
            for node, colour in colours.items()
        }
    )


def _numbered(looks: Mapping[str, Hashable]) -> dict[str, int]:
    numbers: dict[Hashable, int] = {}
    return {node: numbers.setdefault(look, len(numbers)) for node, look in looks.items()}


def _members_of_small_groups(colours: Mapping[str, int]) -> set[str]:
    sizes = Counter(colours.values())
    return {node for node, colour in colours.items() if sizes[colour] < MINIMUM}


def _groups(colours: Mapping[str, int], single: Collection[str]) -> list[list[str]]:
    small = _members_of_small_groups(colours)
    groups: dict[Hashable, list[str]] = {}
    for node, colour in colours.items():
        groups.setdefault(node if node in single or node in small else colour, []).append(node)
    return list(groups.values())
