"""Folds a graph into a view: fewer, larger boxes that a person can read.

- A cycle becomes one box.
- Inputs that many jobs share become badges on the jobs.
- Five or more alike siblings become one box with a count.
- A 1:1 chain of succeeded jobs becomes one box. The focus, its direct producers and consumers, and
  jobs that did not succeed are never hidden in a chain.

Nothing is lost: each node is in one box or in badges, and each edge is in an arrow, in a box or in
a badge.

Siblings are alike if their facts are the same and their neighbours on both sides are alike. This is
found by colour refinement: nodes with the same facts start with the same colour, and get different
ones as soon as the colours around them differ, until nothing changes. Groups too small for a box
are taken apart, and the refinement runs again. So forty files of two merges become two groups of
twenty, not one of forty.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

from jobprov.provenance.lineage.graph import SHARED_ROLES, Edge, FileNode, Graph, Node, neighbours
from jobprov.provenance.lineage.layers import layers, strong_components
from jobprov.provenance.lineage.sentences import known_briefly

SMALL = 14
SHALLOW = 7
"""Graphs of at most this many nodes in at most so many layers are drawn node by node."""

BoxKind = Literal["file", "job", "files", "jobs", "chain", "cycle"]
MINIMUM = 5
"""A group of fewer nodes is drawn node by node."""

REFINEMENTS_AT_MOST = 64
"""After so many rounds, groups may be coarser than necessary, but their counts are still right."""


@dataclass(frozen=True, slots=True)
class Box:
    """What is drawn as one thing.

    Attributes:
        key: the key of its first member.
        members: keys of the graph's nodes, in the graph's order; in chains upstream first.
        lanes: how many alike siblings (or alike chains) it stands for.
        badges: keys of the shared inputs of its jobs, in the graph's order.
        opened_by: the handle of the box that was opened to show this one; empty if there was none.
    """

    key: str
    kind: BoxKind
    members: tuple[str, ...]
    lanes: int = 1
    badges: tuple[str, ...] = ()
    opened_by: str = ""

    @property
    def handle(self) -> str:
        """What `fold` takes as `expanded` to open the box; empty if nothing is folded in it.

        The handle also tells the kind: a chain of groups opens into its groups, and the first of
        these, which has the same key, opens into its members.
        """
        return _handle(self.kind, self.key)


@dataclass(frozen=True, slots=True)
class Arrow:
    """All edges from one box to another; sure if any of them is."""

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
    """

    graph: Graph
    focus: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def fold(graph: Graph, *, expanded: Collection[str] = ()) -> View:
    """The view of a graph.

    Args:
        graph: what to fold.
        expanded: handles of boxes to open in place, or keys of nodes that are to stand alone.
            Unknown ones are ignored.
    """
    shared = shared_files(graph)
    edges = [edge for edge in graph.inner_edges() if edge.source not in shared]
    badges = _badges(graph, shared)
    nodes = {key: node for key, node in graph.by_key().items() if key not in shared}
    groups = _Folding(nodes, edges, graph.focus, frozenset(expanded)).groups()
    boxes = [_box(group, badges) for group in groups]
    box_of: dict[str, str] = {}
    for box in boxes:
        box_of.update(dict.fromkeys(box.members, box.key))
    focus = box_of.get(graph.focus, graph.focus)
    return View(graph, focus, tuple(boxes), _arrows(edges, box_of))


def shared_files(graph: Graph) -> set[str]:
    """Keys of the files that become badges: shared inputs, which no job of the graph produced.

    The focus is never among them.
    """
    nodes = graph.by_key()
    used: set[str] = set()
    used_by_one: set[str] = set()
    produced: set[str] = set()
    for edge in graph.inner_edges():
        source = nodes[edge.source]
        produced.add(edge.target)
        if isinstance(source, FileNode):
            used.add(edge.source)
            if (edge.role or source.role) not in SHARED_ROLES:
                used_by_one.add(edge.source)
    return used - used_by_one - produced - {graph.focus}


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
    own_badges: dict[str, None] = {}
    for member in group.members:
        own_badges.update(dict.fromkeys(badges.get(member, ())))
    members = tuple(group.members)
    return Box(members[0], group.kind, members, group.lanes, tuple(own_badges), group.opened_by)


def _arrows(edges: Sequence[Edge], box_of: Mapping[str, str]) -> tuple[Arrow, ...]:
    """Return arrows between boxes, one for all edges of a pair."""
    bundles: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges:
        source, target = box_of[edge.source], box_of[edge.target]
        if source != target:
            bundles.setdefault((source, target), []).append(edge)
    arrows = []
    for (source, target), bundle in bundles.items():
        is_sure = any(edge.is_sure for edge in bundle)
        arrows.append(Arrow(source, target, len(bundle), is_sure))
    return tuple(arrows)


class _Group(NamedTuple):
    """A box in the making; see `Box`."""

    kind: BoxKind
    members: list[str]
    lanes: int = 1
    opened_by: str = ""


class _Folding:
    """One folding.

    First, each cycle is replaced by its first node. The nodes that are left are the *units*, which
    are then compared, grouped and chained.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        edges: Sequence[Edge],
        focus: str,
        expanded: Collection[str],
    ) -> None:
        self.nodes = nodes
        self.focus = focus
        self.expanded = expanded
        self.opened: dict[str, str] = {}  # handle of the opened cycle, by the keys of its nodes
        self.cycle: dict[str, list[str]] = {}  # members of a closed cycle, by its unit
        self.unit_of: dict[str, str] = {}
        for component in _components_in_order(nodes, edges):
            self._make_units(component)
        self.units = list(dict.fromkeys(self.unit_of.values()))
        self.focus_unit = self.unit_of.get(focus, focus)
        links: dict[tuple[str, str], None] = {}
        for edge in edges:
            source, target = self.unit_of[edge.source], self.unit_of[edge.target]
            if source != target:
                links[source, target] = None
        self.after, self.before = neighbours(links)

    def _make_units(self, component: list[str]) -> None:
        """Make a unit of a node outside cycles, or of a closed cycle; several of an opened one."""
        first = component[0]
        if len(component) > 1 and self._is_open("cycle", component):
            for node in component:
                self.opened[node] = _handle("cycle", first)
                self.unit_of[node] = node
            return
        if len(component) > 1:
            self.cycle[first] = component
        for node in component:
            self.unit_of[node] = first

    def groups(self) -> list[_Group]:
        if self._is_small():
            return [self._single(unit) for unit in self.units]
        facts = {unit: self._facts(unit) for unit in self.units}
        alone = {self.focus_unit, *self.cycle, *self.opened, *self.expanded}
        groups: list[list[str]] = []
        for siblings in alike(facts, self.after, self.before, alone=alone):
            if len(siblings) >= MINIMUM:
                groups.append(siblings)
            else:
                groups += [[unit] for unit in siblings]
        return self._with_chains(groups)

    def _is_open(self, kind: str, members: Sequence[str]) -> bool:
        return _handle(kind, members[0]) in self.expanded

    def _is_small(self) -> bool:
        if len(self.nodes) > SMALL:
            return False
        links: list[tuple[str, str]] = []
        for source, targets in self.after.items():
            links += [(source, target) for target in targets]
        return max(layers(self.units, links).values(), default=0) < SHALLOW

    def _facts(self, unit: str) -> tuple[object, ...]:
        node = self.nodes[unit]
        if isinstance(node, FileNode):
            return ("file", node.experiment, node.data_tier, node.role, known_briefly(node))
        return ("job", node.campaign, node.stage, node.code_version, node.state)

    def _single(self, unit: str) -> _Group:
        if unit in self.cycle:
            return _Group("cycle", self.cycle[unit])
        kind: BoxKind = "file" if isinstance(self.nodes[unit], FileNode) else "job"
        return _Group(kind, [unit], opened_by=self.opened.get(unit, ""))

    def _siblings(self, members: list[str], opened_by: str = "") -> list[_Group]:
        """A group as one box, or as many if it is opened."""
        if len(members) == 1:
            single = self._single(members[0])
            return [single._replace(opened_by=single.opened_by or opened_by)]
        kind: BoxKind = "files" if isinstance(self.nodes[members[0]], FileNode) else "jobs"
        if not self._is_open(kind, members):
            return [_Group(kind, members, len(members), opened_by)]
        handle = _handle(kind, members[0])
        return [self._single(member)._replace(opened_by=handle) for member in members]

    def _with_chains(self, siblings: list[list[str]]) -> list[_Group]:
        by_first = {members[0]: members for members in siblings}
        chains = self._chains(self._followers(by_first))
        hidden = set(chain.from_iterable(chains.values()))
        groups: list[_Group] = []
        for first, members in by_first.items():
            if first in chains:
                groups += self._chain([by_first[part] for part in chains[first]])
            elif first not in hidden:
                groups += self._siblings(members)
        return groups

    def _chain(self, parts: list[list[str]]) -> list[_Group]:
        """A chain as one box, or its parts if it is opened."""
        if not self._is_open("chain", parts[0]):
            return [_Group("chain", list(chain.from_iterable(parts)), len(parts[0]))]
        handle = _handle("chain", parts[0][0])
        groups: list[_Group] = []
        for part in parts:
            groups += self._siblings(part, handle)
        return groups

    def _chains(self, follower_of: Mapping[str, str]) -> dict[str, list[str]]:
        """Runs of job, file, job, ... that go 1:1, by their first job.

        Runs of one job are left out.
        """
        next_job: dict[str, str] = {}
        for first, follower in follower_of.items():
            if not isinstance(self.nodes[first], FileNode) and follower in follower_of:
                next_job[first] = follower_of[follower]
        chains = {}
        for job in next_job.keys() - set(next_job.values()):
            run = [job]
            while run[-1] in next_job:
                run += [follower_of[run[-1]], next_job[run[-1]]]
            chains[job] = run
        return chains

    def _followers(self, by_first: Mapping[str, list[str]]) -> dict[str, str]:
        """The group that follows each one by one, by first members, if a chain may hide both."""
        first_of: dict[str, str] = {}
        for first, members in by_first.items():
            first_of.update(dict.fromkeys(members, first))
        followers: dict[str, str] = {}
        for first, members in by_first.items():
            targets = self._only_targets(members)
            if not targets:
                continue
            follower = first_of[targets[0]]
            is_whole_group = sorted(targets) == sorted(by_first[follower])
            if is_whole_group and self._may_hide(first) and self._may_hide(follower):
                followers[first] = follower
        return followers

    def _only_targets(self, members: Sequence[str]) -> list[str]:
        """The one follower of each of these, or nothing unless the relation is 1:1 for all."""
        targets: list[str] = []
        for member in members:
            after = self.after.get(member, ())
            if len(after) != 1 or len(self.before[after[0]]) != 1:
                return []
            targets.append(after[0])
        return targets

    def _may_hide(self, unit: str) -> bool:
        # Whoever reads a picture looks at the focus, at what was opened, and at what went wrong
        after_focus = self.after.get(self.focus_unit, ())
        before_focus = self.before.get(self.focus_unit, ())
        if unit == self.focus_unit or unit in after_focus or unit in before_focus:
            return False
        if unit in self.cycle or unit in self.opened or unit in self.expanded:
            return False
        node = self.nodes[unit]
        return isinstance(node, FileNode) or node.state == "succeeded"


def _components_in_order(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> list[list[str]]:
    """Sets of nodes that reach each other, sets and members in the order of the nodes."""
    after, _ = neighbours((edge.source, edge.target) for edge in edges)
    order = {key: place for place, key in enumerate(nodes)}
    components = strong_components(nodes, after)
    for component in components:
        component.sort(key=order.__getitem__)
    components.sort(key=lambda component: order[component[0]])
    return components


def alike(
    facts: Mapping[str, Hashable],
    after: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[str]],
    *,
    alone: Collection[str] = (),
) -> list[list[str]]:
    """The nodes in groups of alike ones, each node in exactly one, in the order of `facts`.

    Nodes in `alone` get groups of their own.
    """
    single = set(alone)
    colours = _numbered({node: (facts[node], _own(node, single)) for node in facts})
    for _ in range(REFINEMENTS_AT_MOST):
        refined = _refined(colours, after, before)
        if len(set(refined.values())) > len(set(colours.values())):
            colours = refined
            continue
        small = _members_of_small_groups(colours) - single
        if not small:
            break
        # These are drawn one by one, so that nodes linked to different ones no longer look alike
        single |= small
        colours = _numbered({node: (colours[node], _own(node, single)) for node in colours})
    return _groups(colours, single)


def _own(node: str, single: Collection[str]) -> str | None:
    """A fact that no other node shares, for a node that is to stay alone; else None."""
    return node if node in single else None


def _refined(
    colours: Mapping[str, int],
    after: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    looks: dict[str, Hashable] = {}
    for node, colour in colours.items():
        colours_after = frozenset(colours[other] for other in after.get(node, ()))
        colours_before = frozenset(colours[other] for other in before.get(node, ()))
        looks[node] = (colour, colours_after, colours_before)
    return _numbered(looks)


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
        is_alone = node in single or node in small
        groups.setdefault(node if is_alone else colour, []).append(node)
    return list(groups.values())
