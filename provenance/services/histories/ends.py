"""Where histories end: the files that a file goes back to, what last was made of it, and files that nobody is known to have made.

Source: http.md, `GET /files/{name}/roots`, `/files/{name}/leaves` and `/lineage/orphans`.
"""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.fragments.claim_places import node_places
from jobprov.provenance.db.queries.fragments.node_facts import (
    file_nodes,
    file_url,
    states_of,
    with_writers,
)
from jobprov.provenance.db.queries.histories.whole_histories import History, spread
from jobprov.provenance.db.queries.lookup.file_lists import list_unmade
from jobprov.provenance.db.time_limits import limited, time_limit
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.graph import SHARED_ROLES, node_json
from jobprov.provenance.services.histories.lineage import find_focus, trace_history
from jobprov.provenance.services.lookup.file import find_file
from jobprov.provenance.services.lookup.jobs import read_cursor

MOST_LISTED = 1000


@limited("ask for a file in between")
def list_roots(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    version: int | None = None,
    as_of: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Return `{file, version, versions, count, files, is_truncated, next}`.

    The files that a file goes back to, made from no others.

    They are those of a version, the newest by default. What jobs share with many others is not
    among them. Files are nodes of the lineage graph; placeholders are those that no recorded job
    made.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: a limit or cursor that is none, or there is no such version.
        LimitError: the history took more than five seconds.
    """
    _check(limit)
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    focus = find_focus(connection, file, version=version, as_of=as_of)
    history = trace_history(connection, focus, direction="ancestors", as_of=as_of)
    flow = history.flow
    files = (key for key in spread([history.start], flow.parents) if key[0] != "j")
    ends = (key for key in files if not any(map(flow.parents, flow.before(key))))
    return {
        "file": file.to_json(),
        **focus.to_json(),
        **_page(connection, history, ends, limit, cursor, is_past=as_of is not None),
    }


@limited("ask for a file in between")
def list_leaves(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    version: int | None = None,
    as_of: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Return `{file, version, versions, count, files, is_truncated, next, readers}`.

    The files that came of a file last.

    No other was made from them. They are those of all that goes by the name, or of a version; the
    file itself where nothing was made of it: `readers` is then `{count, states, is_shared}`, how
    many jobs read it all the same, by state, and whether as an input that jobs share; else None.
    What jobs only share with many others nothing is made from.

    Raises:
        NotFoundError, AmbiguousError, BadInputError, LimitError: as `list_roots`.
    """
    _check(limit)
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    focus = find_focus(connection, file, version=version, as_of=as_of)
    asked = focus if version is not None else focus.of_name()
    history = trace_history(connection, asked, direction="descendants", as_of=as_of)
    flow = history.flow
    files = (key for key in spread([history.start], flow.children) if key[0] != "j")
    ends = [key for key in files if not any(map(flow.after, flow.children(key)))]
    shown = [
        focus.key if key == history.start else key for key in ends
    ]  # as a file of a version, not as a name
    return {
        "file": file.to_json(),
        **asked.to_json(),
        **_page(connection, history, shown, limit, cursor, is_past=as_of is not None),
        "readers": _readers(connection, history) if ends == [history.start] else None,
    }


def _readers(connection: Connection, history: History) -> dict[str, Any]:
    """Return how many jobs read the file that a history starts from, by state, and whether as one that jobs share."""
    jobs = history.after(history.start)
    roles = {history.links[history.start, job].role for job in jobs}
    states = states_of(connection, [int(job[1:]) for job in jobs])
    return {
        "count": len(jobs),
        "states": states,
        "is_shared": bool(roles) and roles <= SHARED_ROLES,
    }


def _page(
    connection: Connection,
    history: History,
    ends: Iterable[str],
    limit: int,
    cursor: str | None,
    *,
    is_past: bool,
) -> dict[str, Any]:
    """Return a page in the order of places.

    The cursor is the last place before it, since ends come and go between two pages.
    """
    places = node_places(connection, list(ends))
    ordered = sorted(places, key=places.__getitem__)
    last = read_cursor(cursor)
    start = 0 if last is None else bisect_right(ordered, last, key=places.__getitem__)
    page = ordered[start : start + limit]
    nodes = file_nodes(connection, page)
    facts = {
        node.key: node_json(node)
        for node in (nodes if is_past else with_writers(connection, nodes))
    }
    return {
        "count": len(ordered),
        "files": [facts[key] for key in page if key in facts],
        "is_truncated": history.is_cut,
        "next": str(places[page[-1]]) if start + limit < len(ordered) else None,
    }


def list_orphans(
    connection: Connection,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    isolated: bool = False,
    unread: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Return `{files, next}`: files that records or catalogs name and that no recorded job made, in the order of their first naming.

    A row is `{name, namespace, experiment, url, is_isolated, reader_count, is_shared}`. Isolated is
    a file of which no file was made either; jobs may read it all the same, as an input that they
    share (`is_shared`): these are counted to a thousand. A call looks through so many files only: a
    page may be short, even empty, and still have a `next`.

    Args:
        connection: where from.
        experiment: of this experiment.
        namespace: of this namespace.
        isolated: only files of which no file was made either.
        unread: only those of these that no job read.
        limit: files on the page.
        cursor: `next` of the page before.

    Raises:
        BadInputError: a limit or cursor that is none.
        LimitError: the search took more than five seconds.
    """
    _check(limit)
    with time_limit(connection, "ask for a smaller page"):
        rows, last = list_unmade(
            connection, experiment=experiment, namespace=namespace, isolated=isolated, unread=unread,
            after=read_cursor(cursor) or 0, limit=limit,
        )  # fmt: skip
    files = [
        {
            "name": row.name,
            "namespace": row.namespace,
            "experiment": row.experiment,
            "url": file_url(row.name, row.experiment, row.namespace),
            "is_isolated": row.is_isolated,
            "reader_count": row.reader_count,
            "is_shared": row.is_shared,
        }
        for row in rows
    ]
    return {"files": files, "next": None if last is None else str(last)}


def _check(limit: int) -> None:
    if not 1 <= limit <= MOST_LISTED:
        raise BadInputError(
            f"limit: between 1 and {MOST_LISTED}.", {"limit": [f"between 1 and {MOST_LISTED}"]}
        )
