"""How two files are related: the paths from one to the other, and their common ancestors."""

import heapq
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import structs
from sqlalchemy import Connection

from jobprov.provenance.answers.histories.lineage import LineageFile
from jobprov.provenance.answers.histories.relations import (
    CommonAncestor,
    CommonAncestors,
    FilePaths,
    LineagePath,
)
from jobprov.provenance.answers.names import FileVersion
from jobprov.provenance.db.connections.time_limits import limited
from jobprov.provenance.db.queries.fragments.claim_places import node_places
from jobprov.provenance.db.queries.histories.whole_histories import History, spread
from jobprov.provenance.db.queries.lookup.files.by_name import FoundFile
from jobprov.provenance.db.queries.lookup.files.focus import Focus, claims_of
from jobprov.provenance.db.queries.lookup.lists.files import count_consumers
from jobprov.provenance.db.queries.lookup.node_facts import file_nodes, job_nodes, with_writers
from jobprov.provenance.lineage.flow import node_of
from jobprov.provenance.lineage.graph import FileNode, Node
from jobprov.provenance.lineage.keys import is_job, key_of_claim, key_of_file
from jobprov.provenance.lineage.layers import strong_components
from jobprov.provenance.services.histories.lineage import find_focus, trace_history
from jobprov.provenance.services.histories.nodes import file_answer, node_answer
from jobprov.provenance.services.lookup.file import find_pair
from jobprov.provenance.services.paging import check_limit, read_cursor

MOST_PATHS = 100
MOST_LISTED = 1000
MOST_STEPS = 200_000
"""Links that are followed in search of paths."""
_MOST_LOOKS = 5_000_000
"""Nodes looked back at in circles, so that no way goes round and round."""


class _Way(NamedTuple):
    """A way back from the younger file: its last node, and the way to that node.

    Ways share their beginnings, so that each step takes constant memory.
    """

    key: str
    before: "_Way | None" = None

    def nodes(self) -> list[str]:
        """Return its nodes, the oldest first."""
        keys = []
        way: _Way | None = self
        while way is not None:
            keys.append(way.key)
            way = way.before
        return keys

    def within(self, circle_of: Mapping[str, int], circle: int) -> list[str]:
        """Return its last nodes that are on a circle.

        There are no others on it: a way that has left a circle never comes back.
        """
        keys = []
        way: _Way | None = self
        while way is not None and circle_of[way.key] == circle:
            keys.append(way.key)
            way = way.before
        return keys


@limited("ask for files with a shorter history")
def find_paths(
    connection: Connection,
    /,
    a: str,
    b: str,
    *,
    as_of: datetime | None = None,
    limit: int = 10,
    **experiments: str | None,
) -> FilePaths:
    """Return the paths from the older of two files to the younger, shortest first.

    They lead to the newest version of the younger file. They begin at any version of the older one,
    under any of its names. Inputs that jobs share with many others count as well.

    Raises:
        NotFoundError, AmbiguousError: see `find_pair`, which takes the `experiments`.
        BadInputError: a wrong limit.
        LimitError: it took more than five seconds.
    """
    check_limit(limit, MOST_PATHS)
    first, second = find_pair(connection, a, b, **experiments)
    focus_a = find_focus(connection, first, as_of=as_of)
    focus_b = find_focus(connection, second, as_of=as_of)

    history = trace_history(connection, focus_b, as_of=as_of)
    is_cut = history.is_cut
    older: Literal["a", "b"] | None = "a"
    is_past = as_of is not None
    found = _paths_from(connection, first, history, limit, is_past=is_past)
    if found is None:
        history = trace_history(connection, focus_a, as_of=as_of)
        is_cut |= history.is_cut
        older = "b"
        found = _paths_from(connection, second, history, limit, is_past=is_past)
    if found is None:
        older = None
        found = _FoundPaths([], is_whole=True)
    return FilePaths(
        a=_named(first, focus_a),
        b=_named(second, focus_b),
        older=older,
        paths=found.paths,
        is_truncated=is_cut or not found.is_whole,
    )


class _FoundPaths(NamedTuple):
    """Paths from one file to another, and whether these are all."""

    paths: list[LineagePath]
    is_whole: bool


def _paths_from(
    connection: Connection, older: FoundFile, history: History, limit: int, *, is_past: bool
) -> _FoundPaths | None:
    """Return the paths from a file to the start of a history; None if the file is not in it."""
    ancestors = history.distances_before().keys() - {history.start}
    targets = _keys_of(connection, older) & ancestors
    if not targets:
        return None
    found = _shortest_ways(history, targets, limit)
    paths = _paths(connection, history, found.ways, is_past=is_past)
    return _FoundPaths(paths, found.is_whole)


def _named(file: FoundFile, focus: Focus) -> FileVersion:
    """Return the name of a file with the version that is compared."""
    names = structs.asdict(file.as_answer())
    return FileVersion(**names, version=focus.version, versions=focus.versions)


def _keys_of(connection: Connection, file: FoundFile) -> set[str]:
    """Return the keys of a file: of its bare name, and of its versions under any name."""
    return {
        key_of_file(file.id),
        *(key_of_claim(claim) for claim in claims_of(connection, [file.id])),
    }


class _Trial(NamedTuple):
    """A way that may lead to a target. The heap gives the least trial, by these fields, first.

    Attributes:
        length: links that the whole way has at least.
        links: links so far, counted as a negative number: of ways of equal length, the one that has
            got farthest is continued. A chain of diamonds, whose ways double with each diamond,
            then costs no more than a plain chain.
        number: of the trial. It decides between equal ones, since ways cannot be compared.
    """

    length: int
    links: int
    number: int
    way: _Way


class _FoundWays(NamedTuple):
    """Ways as lists of nodes, and whether these are all."""

    ways: list[list[str]]
    is_whole: bool


def _shortest_ways(history: History, targets: Collection[str], limit: int) -> _FoundWays:
    """Return the shortest ways to any of the targets.

    This is an A* search: the distance to the nearest target is known exactly for each node, so the
    first way that arrives is the shortest.
    """
    flow = history.flow
    # Only nodes from which a target can be reached are in it, and only these are tried
    links_left = spread(targets, flow.after)
    circle_of = _circles(history, links_left)
    numbers = itertools.count()
    heap = [_Trial(links_left[history.start], 0, next(numbers), _Way(history.start))]
    ways: list[list[str]] = []
    steps = looks = 0
    while heap and steps < MOST_STEPS and looks < _MOST_LOOKS:
        trial = heapq.heappop(heap)
        way = trial.way
        if way.key in targets:
            if len(ways) == limit:
                return _FoundWays(ways, is_whole=False)
            ways.append([node_of(key) for key in way.nodes()])
            continue
        for key in flow.before(way.key):
            steps += 1
            if key not in links_left:
                continue
            passed = way.within(circle_of, circle_of[key])
            looks += len(passed)
            if key not in passed:
                links = trial.links - 1
                length = links_left[key] - links
                heapq.heappush(heap, _Trial(length, links, next(numbers), _Way(key, way)))
    return _FoundWays(ways, is_whole=not heap)


def _circles(history: History, keys: Collection[str]) -> dict[str, int]:
    """Return a number for each node, which is the same for all nodes of a circle."""
    before = {}
    for key in keys:
        before[key] = [near for near in history.flow.before(key) if near in keys]
    circle_of = {}
    for number, members in enumerate(strong_components(keys, before)):
        for key in members:
            circle_of[key] = number
    return circle_of


def _paths(
    connection: Connection, history: History, ways: list[list[str]], *, is_past: bool
) -> list[LineagePath]:
    """Return ways with everything known of their nodes."""
    keys = dict.fromkeys(itertools.chain.from_iterable(ways))
    files = _file_nodes(connection, keys, is_past=is_past)
    nodes: list[Node] = [*files, *job_nodes(connection, keys)]
    answers = {node.key: node_answer(node) for node in nodes}
    paths = []
    for way in ways:
        links = [history.links[ends] for ends in itertools.pairwise(way)]
        path = LineagePath(
            jobs=sum(map(is_job, way)),
            is_sure=all(link.is_sure for link in links),
            nodes=[answers[key] for key in way],
        )
        paths.append(path)
    return paths


@limited("ask for files with a shorter history")
def find_common(
    connection: Connection,
    /,
    a: str,
    b: str,
    *,
    as_of: datetime | None = None,
    hub: int = 100,
    limit: int = 100,
    cursor: str | None = None,
    **experiments: str | None,
) -> CommonAncestors:
    """Return what both files were made from, nearest first.

    A file is a hub if jobs share it by role, or if more than `hub` jobs read it. It says nothing
    about these two files, so hubs are listed apart. If one of the two files was made from the other,
    in any version and under any name, that one is a common ancestor. Apart from that, the newest
    version of each file is meant.

    Raises:
        NotFoundError, AmbiguousError: see `find_pair`, which takes the `experiments`.
        BadInputError: a wrong limit, cursor or hub.
        LimitError: it took more than five seconds.
    """
    check_limit(limit, MOST_LISTED)
    first, second = find_pair(connection, a, b, **experiments)
    focus_a = find_focus(connection, first, as_of=as_of)
    focus_b = find_focus(connection, second, as_of=as_of)
    history_a = trace_history(connection, focus_a, as_of=as_of)
    history_b = trace_history(connection, focus_b, as_of=as_of)
    histories = (history_a, history_b)
    distances = _distances(
        own_keys_a=_keys_of(connection, first),
        own_keys_b=_keys_of(connection, second),
        links_to_a=history_a.distances_before(),
        links_to_b=history_b.distances_before(),
    )
    consumers = count_consumers(connection, distances, most=hub + 1, as_of=as_of)
    ancestors, hubs = _without_hubs(distances, histories, consumers, hub=hub)
    places = node_places(connection, distances)
    hubs.sort(key=places.__getitem__)
    ancestors.sort(key=lambda key: (distances[key].links, places[key]))

    start = read_cursor(cursor) or 0
    end = start + limit
    nearest = _nearest(ancestors, histories)
    page = []
    is_past = as_of is not None
    for file in _files(connection, ancestors[start:end], is_past=is_past):
        ancestor = _common_ancestor(file, distances[file.key], is_nearest=file.key in nearest)
        page.append(ancestor)
    return CommonAncestors(
        a=_named(first, focus_a),
        b=_named(second, focus_b),
        count=len(ancestors),
        ancestors=page,
        hub_count=len(hubs),
        hubs=_files(connection, hubs[:MOST_PATHS], is_past=is_past),
        is_truncated=history_a.is_cut or history_b.is_cut,
        next=str(end) if end < len(ancestors) else None,
    )


class _Distance(NamedTuple):
    """How far a common file is from the two files, in links.

    There are two links for each job: from its output to the job, and from the job to its input.
    """

    links_to_a: int
    links_to_b: int

    @property
    def links(self) -> int:
        """Return the links to both files together."""
        return self.links_to_a + self.links_to_b

    @property
    def jobs_to_a(self) -> int:
        """Return the number of jobs on the way to the first file."""
        return self.links_to_a // 2

    @property
    def jobs_to_b(self) -> int:
        """Return the number of jobs on the way to the second file."""
        return self.links_to_b // 2


def _common_ancestor(file: LineageFile, distance: _Distance, *, is_nearest: bool) -> CommonAncestor:
    return CommonAncestor(
        **structs.asdict(file),
        jobs_to_a=distance.jobs_to_a,
        jobs_to_b=distance.jobs_to_b,
        is_nearest=is_nearest,
    )


def _distances(
    *,
    own_keys_a: set[str],
    own_keys_b: set[str],
    links_to_a: dict[str, int],
    links_to_b: dict[str, int],
) -> dict[str, _Distance]:
    """Return the distance of each file that is in both histories, by key.

    If one file is in the other's history, in any version and under any name, its distance from
    itself is 0.
    """
    to_a = links_to_a | dict.fromkeys(own_keys_a & links_to_b.keys(), 0)
    to_b = links_to_b | dict.fromkeys(own_keys_b & links_to_a.keys(), 0)
    distances = {}
    for key in to_a.keys() & to_b.keys():
        if not is_job(key):
            distances[key] = _Distance(to_a[key], to_b[key])
    return distances


def _nearest(ancestors: Collection[str], histories: Iterable[History]) -> set[str]:
    """Return the common ancestors that no other one was made from, whichever history shows it."""
    nearest = set(ancestors)
    for history in histories:
        nearest -= _ancestors_of(history, ancestors)
    return nearest


class _SharedFiles(NamedTuple):
    """Keys of the files that both were made from: common ancestors, and hubs."""

    ancestors: list[str]
    hubs: list[str]


def _without_hubs(
    common: Iterable[str],
    histories: Sequence[History],
    consumers: Mapping[str, int],
    *,
    hub: int,
) -> _SharedFiles:
    """Return the common files, with those apart that are shared by role or read by many jobs."""
    shared = _SharedFiles([], [])
    for key in common:
        is_shared = any(_is_shared(history, key) for history in histories)
        if is_shared or consumers[key] > hub:
            shared.hubs.append(key)
        else:
            shared.ancestors.append(key)
    return shared


def _files(connection: Connection, keys: Collection[str], *, is_past: bool) -> list[LineageFile]:
    """Return the files with these keys, in the order of the keys."""
    nodes = _file_nodes(connection, keys, is_past=is_past)
    files = {node.key: file_answer(node) for node in nodes}
    return [files[key] for key in keys if key in files]


def _file_nodes(connection: Connection, keys: Iterable[str], *, is_past: bool) -> list[FileNode]:
    """Return the file nodes among `keys`, with what is known today of names unless in the past."""
    nodes = file_nodes(connection, keys)
    return nodes if is_past else with_writers(connection, nodes)


def _is_shared(history: History, key: str) -> bool:
    """Return whether every job of the history that read this file shared it with many others."""
    return bool(history.after(key)) and not history.children(key)


def _ancestors_of(history: History, common: Collection[str]) -> set[str]:
    """Return everything that these files were made from."""
    parents = history.flow.parents
    # From the parents, not from the files: a file is its own ancestor only in a circle
    nearest: list[str] = []
    for key in common:
        nearest += parents(key)
    return set(spread(nearest, parents))
