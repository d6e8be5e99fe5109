"""How two files hang together: the ways from one to the other, and what both were made from.

Source: http.md, `GET /lineage/paths` and `/lineage/common`.
"""

import heapq
import itertools
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.fragments.claim_places import node_places
from jobprov.provenance.db.queries.fragments.node_facts import file_nodes, job_nodes
from jobprov.provenance.db.queries.histories.whole_histories import History, spread
from jobprov.provenance.db.queries.lookup.file_lists import count_consumers
from jobprov.provenance.db.queries.lookup.files import FoundFile
from jobprov.provenance.db.queries.lookup.focus import claims_of
from jobprov.provenance.db.time_limits import limited
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.flow import node_of
from jobprov.provenance.lineage.graph import Node, node_json
from jobprov.provenance.lineage.layers import strong_components
from jobprov.provenance.services.histories.lineage import find_focus, trace_history
from jobprov.provenance.services.lookup.file import find_pair
from jobprov.provenance.services.lookup.jobs import read_cursor

MOST_PATHS = 100
MOST_LISTED = 1000
MOST_STEPS = 200_000
"""Links that are followed in search of paths."""
_MOST_LOOKS = 5_000_000
"""Nodes of circles that are looked back to, lest a way goes round and round."""


class _Way(NamedTuple):
    """A way back from the younger file, as its last node and the way to it."""

    key: str
    before: "_Way | None" = None

    def keys(self) -> list[str]:
        """Return its nodes, the oldest first."""
        found, way = [], self
        while True:
            found.append(way.key)
            if way.before is None:
                return found
            way = way.before

    def within(self, circle: Mapping[str, int], number: int) -> list[str]:
        """Return its last nodes that lie on one circle.

        A way that has left a circle never comes back to it.
        """
        found: list[str] = []
        way: _Way | None = self
        while way is not None and circle[way.key] == number:
            found.append(way.key)
            way = way.before
        return found


@limited("ask for files that have less behind them")
def find_paths(
    connection: Connection,
    /,
    a: str,
    b: str,
    *,
    as_of: datetime | None = None,
    limit: int = 10,
    **experiments: str | None,
) -> dict[str, Any]:
    """Return `{a, b, older, paths, is_truncated}`.

    The ways from the older of two files to the younger, shortest first.

    They lead to the newest version of the younger, from any version of the older and from the same
    bytes under its other names. `older` is `a` or `b`, None where neither was made from the other.
    A path is `{jobs, is_sure, nodes}`: how many jobs lie on it, whether all its links are sure, and
    files and jobs by turns. An input that jobs share with many others counts as well.

    Raises:
        NotFoundError, AmbiguousError: see `find_pair`, which takes the `experiments`.
        BadInputError: a limit that is none.
        LimitError: it took more than five seconds.
    """
    _check(limit, MOST_PATHS)
    files = dict(zip("ab", find_pair(connection, a, b, **experiments), strict=True))
    focuses = {name: find_focus(connection, file, as_of=as_of) for name, file in files.items()}
    names = {name: {**file.to_json(), **focuses[name].to_json()} for name, file in files.items()}
    is_cut = False
    for older, younger in (("a", "b"), ("b", "a")):
        history = trace_history(connection, focuses[younger], as_of=as_of)
        is_cut |= history.is_cut
        targets = _keys_of(connection, files[older]) & history.behind().keys() - {history.start}
        if targets:
            ways, is_whole = _ways(history, targets, limit)
            paths = _described(connection, history, ways)
            return {**names, "older": older, "paths": paths, "is_truncated": is_cut or not is_whole}
    return {**names, "older": None, "paths": [], "is_truncated": is_cut}


def _keys_of(connection: Connection, file: FoundFile) -> set[str]:
    """Return the nodes that go by the name of a file, and those of the same bytes under other names."""
    return {f"f{file.id}", *(f"c{claim}" for claim in claims_of(connection, file.id))}


def _ways(history: History, targets: Collection[str], limit: int) -> tuple[list[list[str]], bool]:
    """Return the shortest ways to any of the targets, and whether these are all.

    Only nodes that lead to one are tried.

    Of ways that promise the same length the one that is furthest goes on, so that diamonds one
    behind the other cost no more.
    """
    flow = history.flow
    left = spread(targets, flow.after)
    circle = _circles(history, left)
    order = itertools.count()
    heap: list[tuple[int, int, int, _Way]] = [
        (left[history.start], 0, next(order), _Way(history.start))
    ]
    found: list[list[str]] = []
    steps = looks = 0
    while heap and steps < MOST_STEPS and looks < _MOST_LOOKS:
        _, before, _, way = heapq.heappop(heap)  # links so far, less than nothing
        if way.key in targets:
            if len(found) == limit:
                return found, False
            keys = way.keys()
            found.append([node_of(key) for key in keys])
            continue
        for key in flow.before(way.key):
            steps += 1
            if key not in left:
                continue
            passed = way.within(circle, circle[key])
            looks += len(passed)
            if key not in passed:
                heapq.heappush(
                    heap, (1 - before + left[key], before - 1, next(order), _Way(key, way))
                )
    return found, not heap


def _circles(history: History, keys: Collection[str]) -> dict[str, int]:
    """Return for each node a number that it shares with those that lead to it and that it leads to.

    Itself, but for circles.
    """
    before = {key: [near for near in history.flow.before(key) if near in keys] for key in keys}
    return {
        key: number
        for number, members in enumerate(strong_components(keys, before))
        for key in members
    }


def _described(
    connection: Connection, history: History, ways: list[list[str]]
) -> list[dict[str, Any]]:
    keys = dict.fromkeys(key for way in ways for key in way)
    nodes: list[Node] = [*file_nodes(connection, keys), *job_nodes(connection, keys)]
    facts = {node.key: node_json(node) for node in nodes}
    return [
        {
            "jobs": sum(key[0] == "j" for key in way),
            "is_sure": all(history.links[ends].is_sure for ends in itertools.pairwise(way)),
            "nodes": [facts[key] for key in way],
        }
        for way in ways
    ]


@limited("ask for files that have less behind them")
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
) -> dict[str, Any]:
    """Return `{a, b, count, ancestors, hub_count, hubs, is_truncated, next}`.

    What both files were made from, the nearest first.

    An ancestor is a file node with `jobs_to_a`, `jobs_to_b` and `is_nearest`: no other common
    ancestor was made from it, by whatever way. A file that the jobs behind one of the two share by
    role, or that more than `hub` jobs read, is a hub and told apart, since it says nothing of these
    two; at most a hundred are named. One of the two files counts where the other was made from it,
    from whichever of its versions or names; else they stand for their newest versions.

    Raises:
        NotFoundError, AmbiguousError: see `find_pair`, which takes the `experiments`.
        BadInputError: a limit, cursor or hub that is none.
        LimitError: it took more than five seconds.
    """
    _check(limit, MOST_LISTED)
    first, second = find_pair(connection, a, b, **experiments)
    focuses = [find_focus(connection, file, as_of=as_of) for file in (first, second)]
    histories = [trace_history(connection, focus, as_of=as_of) for focus in focuses]
    met = _met(connection, histories, (first, second))
    common = {
        key: met[0][key] + met[1][key] for key in met[0].keys() & met[1].keys() if key[0] != "j"
    }
    consumers = count_consumers(connection, common, most=hub + 1, as_of=as_of)
    hubs = {
        key
        for key in common
        if consumers[key] > hub or any(_is_shared(history, key) for history in histories)
    }
    places = node_places(connection, common)
    kept = sorted(common.keys() - hubs, key=lambda key: (common[key], places[key]))
    start = read_cursor(cursor) or 0
    page = kept[start : start + limit]
    distances = {key: (met[0][key] // 2, met[1][key] // 2) for key in page}
    nearest = set(kept) - _behind(histories[0], kept) - _behind(histories[1], kept)
    return {
        "a": {**first.to_json(), **focuses[0].to_json()},
        "b": {**second.to_json(), **focuses[1].to_json()},
        "count": len(kept),
        "ancestors": [
            {
                **row,
                "jobs_to_a": distances[row["key"]][0],
                "jobs_to_b": distances[row["key"]][1],
                "is_nearest": row["key"] in nearest,
            }
            for row in _files(connection, page)
        ],
        "hub_count": len(hubs),
        "hubs": _files(connection, sorted(hubs, key=places.__getitem__)[:MOST_PATHS]),
        "is_truncated": any(history.is_cut for history in histories),
        "next": str(start + limit) if start + limit < len(kept) else None,
    }


def _files(connection: Connection, keys: Collection[str]) -> list[dict[str, Any]]:
    """Return the file nodes in the order of the keys."""
    facts: Mapping[str, dict[str, Any]] = {
        node.key: node_json(node) for node in file_nodes(connection, keys)
    }
    return [facts[key] for key in keys if key in facts]


def _met(
    connection: Connection, histories: Sequence[History], files: Sequence[FoundFile]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many links before each file its ancestors are.

    A file is met in the other's history under all its versions and names.
    """
    a, b = (history.behind() for history in histories)
    own_a, own_b = (_keys_of(connection, file) for file in files)
    return a | dict.fromkeys(own_a & b.keys(), 0), b | dict.fromkeys(own_b & a.keys(), 0)


def _is_shared(history: History, key: str) -> bool:
    """Return whether all jobs of the history that read a file shared it with many others."""
    return bool(history.after(key)) and not history.children(key)


def _behind(history: History, common: Collection[str]) -> set[str]:
    """Return what others of the common ancestors were made from."""
    parents = history.flow.parents
    return set(spread([near for key in common for near in parents(key)], parents))


def _check(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise BadInputError(f"limit: between 1 and {most}.", {"limit": [f"between 1 and {most}"]})
