"""How two files hang together: the ways from one to the other, and what both were made from.

Source: http.md, `GET /lineage/paths` and `/lineage/common`.
"""

import heapq
import itertools
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from provenance.db.queries.file_lists import claims_of_file, count_consumers
from provenance.db.queries.files import FoundFile
from provenance.db.queries.histories import History, spread
from provenance.db.queries.node_facts import file_nodes, job_nodes
from provenance.db.queries.walking import time_limit
from provenance.errors import BadInputError
from provenance.lineage.graph import SHARED_ROLES, Node, node_json
from provenance.services.list_jobs import read_cursor
from provenance.services.show_file import find_pair
from provenance.services.trace_lineage import trace_history

MOST_PATHS = 100
MOST_LISTED = 1000
MOST_STEPS = 200_000
"""Links that are followed in search of paths."""


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


def find_paths(
    connection: Connection,
    a: str,
    b: str,
    *,
    as_of: datetime | None = None,
    limit: int = 10,
    **experiments: str | None,
) -> dict[str, Any]:
    """Return `{a, b, older, paths, is_truncated}`: the ways from the older of two files to the younger, shortest first.

    `older` is `a` or `b`, None where neither was made from the other. A path is `{jobs, is_sure, nodes}`: how many jobs lie on it,
    whether all its links are sure, and files and jobs by turns. An input that jobs share with many others counts as well.

    Raises:
        NotFoundError, AmbiguousError: see `find_pair`, which takes the `experiments`.
        BadInputError: a limit that is none.
        LimitError: a history took more than five seconds.
    """
    _check(limit, MOST_PATHS)
    files = dict(zip("ab", find_pair(connection, a, b, **experiments), strict=True))
    names = {name: file.to_json() for name, file in files.items()}
    is_cut = False
    for older, younger in (("a", "b"), ("b", "a")):
        history = trace_history(connection, files[younger], as_of=as_of)
        is_cut |= history.is_cut
        targets = _keys_of(connection, files[older]) & history.reached(history.before).keys() - {history.start}
        if targets:
            ways, is_whole = _ways(history, targets, limit)
            paths = _described(connection, history, ways)
            return {**names, "older": older, "paths": paths, "is_truncated": is_cut or not is_whole}
    return {**names, "older": None, "paths": [], "is_truncated": is_cut}


def _keys_of(connection: Connection, file: FoundFile) -> set[str]:
    return {f"f{file.id}", *(f"c{claim}" for claim in claims_of_file(connection, file.id))}


def _ways(history: History, targets: Collection[str], limit: int) -> tuple[list[list[str]], bool]:
    """Return the shortest ways to any of the targets, and whether these are all; only nodes that lead to one are tried.

    Of ways that promise the same length the one that is furthest goes on, so that diamonds one behind the other cost no more.
    """
    left = spread(targets, history.after)
    order = itertools.count()
    heap: list[tuple[int, int, int, _Way]] = [(left[history.start], 0, next(order), _Way(history.start))]
    found: list[list[str]] = []
    steps = 0
    while heap and steps < MOST_STEPS:
        _, before, _, way = heapq.heappop(heap)  # links so far, less than nothing
        if way.key in targets:
            if len(found) == limit:
                return found, False
            found.append(way.keys())
            continue
        passed = set(way.keys())
        for key in history.before(way.key):
            steps += 1
            if key in left and key not in passed:
                heapq.heappush(heap, (1 - before + left[key], before - 1, next(order), _Way(key, way)))
    return found, not heap


def _described(connection: Connection, history: History, ways: list[list[str]]) -> list[dict[str, Any]]:
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


def find_common(
    connection: Connection,
    a: str,
    b: str,
    *,
    as_of: datetime | None = None,
    hub: int = 100,
    limit: int = 100,
    cursor: str | None = None,
    **experiments: str | None,
) -> dict[str, Any]:
    """Return `{a, b, count, ancestors, hub_count, hubs, is_truncated, next}`: what both files were made from, the nearest first.

    An ancestor is a file node with `jobs_to_a`, `jobs_to_b` and `is_nearest`: no other common ancestor was made from it. A file that
    jobs share by role, or that more than `hub` jobs read, is a hub and told apart, since it says nothing of these two; at most a
    hundred are named. One of the two files counts where the other was made from it.

    Raises:
        NotFoundError, AmbiguousError: see `find_pair`, which takes the `experiments`.
        BadInputError: a limit, cursor or hub that is none.
        LimitError: a history took more than five seconds.
    """
    _check(limit, MOST_LISTED)
    first, second = find_pair(connection, a, b, **experiments)
    histories = [trace_history(connection, file, as_of=as_of) for file in (first, second)]
    met = [history.reached(history.before) for history in histories]
    common = {key: met[0][key] + met[1][key] for key in met[0].keys() & met[1].keys() if key[0] != "j"}
    with time_limit(connection, "ask for files that have less behind them"):
        consumers = count_consumers(connection, common, most=hub + 1)
    hubs = {key for key in common if consumers[key] > hub or _is_shared(histories[0], key)}
    kept = sorted(common.keys() - hubs, key=lambda key: (common[key], key[0], int(key[1:])))
    start = read_cursor(cursor) or 0
    page = kept[start : start + limit]
    distances = {key: (met[0][key] // 2, met[1][key] // 2) for key in page}
    nearest = set(_nearest(histories[0], set(kept)))
    return {
        "a": first.to_json(),
        "b": second.to_json(),
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
        "hubs": _files(connection, sorted(hubs)[:MOST_PATHS]),
        "is_truncated": any(history.is_cut for history in histories),
        "next": str(start + limit) if start + limit < len(kept) else None,
    }


def _files(connection: Connection, keys: Collection[str]) -> list[dict[str, Any]]:
    """Return the file nodes in the order of the keys."""
    facts: Mapping[str, dict[str, Any]] = {node.key: node_json(node) for node in file_nodes(connection, keys)}
    return [facts[key] for key in keys if key in facts]


def _is_shared(history: History, key: str) -> bool:
    """Return whether all jobs of the history that read a file shared it with many others."""
    roles = {history.links[key, job].role for job in history.after(key)}
    return bool(roles) and roles <= SHARED_ROLES


def _nearest(history: History, common: Collection[str]) -> Iterator[str]:
    for key in common:
        made = (file for job in history.after(key) for file in history.after(job))
        if not any(file in common and file != key for file in made):
            yield key


def _check(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise BadInputError(f"limit: between 1 and {most}.", {"limit": [f"between 1 and {most}"]})
