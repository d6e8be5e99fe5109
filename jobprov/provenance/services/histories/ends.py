"""Where histories end: the roots and leaves of a file, and files that no recorded job made."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Unpack

from sqlalchemy import Connection

from jobprov.provenance.answers.histories.ends import FileLeaves, FileReaders, FileRoots, Orphans
from jobprov.provenance.answers.histories.lineage import LineageFile
from jobprov.provenance.db.connections.time_limits import limited, time_limit
from jobprov.provenance.db.queries.fragments.claim_places import node_places
from jobprov.provenance.db.queries.histories.whole_histories import History, spread
from jobprov.provenance.db.queries.lookup.lists.files import list_unmade
from jobprov.provenance.db.queries.lookup.node_facts import file_nodes, states_of, with_writers
from jobprov.provenance.lineage.graph import SHARED_ROLES
from jobprov.provenance.lineage.keys import is_job, row_numbers
from jobprov.provenance.services.histories.lineage import PastAsked, find_version, trace_history
from jobprov.provenance.services.histories.nodes import file_answer
from jobprov.provenance.services.paging import check_limit, read_cursor

MOST_LISTED = 1000


@limited("ask for a file in between")
def list_roots(
    connection: Connection,
    name: str,
    *,
    limit: int = 100,
    cursor: str | None = None,
    **asked: Unpack[PastAsked],
) -> FileRoots:
    """Return the roots of a version of a file.

    Inputs that jobs share with many others are not followed.

    Raises:
        NotFoundError, AmbiguousError, BadInputError: see `find_version`.
        BadInputError: a wrong limit or cursor.
        LimitError: the history took more than five seconds.
    """
    check_limit(limit, MOST_LISTED)
    file, focus = find_version(connection, name, **asked)
    as_of = asked.get("as_of")
    history = trace_history(connection, focus, direction="ancestors", as_of=as_of)
    flow = history.flow
    roots = []
    for key in spread([history.start], flow.parents):
        if is_job(key):
            continue
        jobs_before = flow.before(key)
        if not any(flow.parents(job) for job in jobs_before):
            roots.append(key)
    page = _page(connection, roots, limit, read_cursor(cursor), is_past=as_of is not None)
    return FileRoots(
        file=file.as_answer(),
        version=focus.version,
        versions=focus.versions,
        count=page.total,
        files=page.files,
        is_truncated=history.is_cut,
        next=page.next,
    )


@limited("ask for a file in between")
def list_leaves(
    connection: Connection,
    name: str,
    *,
    limit: int = 100,
    cursor: str | None = None,
    **asked: Unpack[PastAsked],
) -> FileLeaves:
    """Return the leaves of a file, its final products: no other file was made from them.

    They are those of all versions unless one is named. A file from which nothing was made is its
    own leaf. A job that read it only as an input shared by many made nothing from it.

    Raises:
        NotFoundError, AmbiguousError, BadInputError, LimitError: as `list_roots`.
    """
    check_limit(limit, MOST_LISTED)
    file, newest = find_version(connection, name, **asked)
    focus = newest if asked.get("version") is not None else newest.of_name()
    as_of = asked.get("as_of")
    history = trace_history(connection, focus, direction="descendants", as_of=as_of)
    flow = history.flow
    leaves = []
    for key in spread([history.start], flow.children):
        if is_job(key):
            continue
        jobs_after = flow.children(key)
        if not any(flow.after(job) for job in jobs_after):
            leaves.append(key)
    readers = _readers(connection, history) if leaves == [history.start] else None

    # The file itself is shown as its newest version: a bare name has no size and no data tier
    shown = [newest.key if key == history.start else key for key in leaves]
    page = _page(connection, shown, limit, read_cursor(cursor), is_past=as_of is not None)
    return FileLeaves(
        file=file.as_answer(),
        version=focus.version,
        versions=focus.versions,
        count=page.total,
        files=page.files,
        is_truncated=history.is_cut,
        next=page.next,
        readers=readers,
    )


def _readers(connection: Connection, history: History) -> FileReaders:
    """Return how many jobs read the file at the start of a history, and how these ended."""
    jobs = history.after(history.start)
    roles = {history.links[history.start, job].role for job in jobs}
    states = states_of(connection, row_numbers(jobs, "j"))
    return FileReaders(len(jobs), states, is_shared=bool(roles) and roles <= SHARED_ROLES)


class _Page(NamedTuple):
    """A page of files, how many there are on all pages, and where the next one begins."""

    total: int
    files: list[LineageFile]
    next: str | None


def _page(
    connection: Connection, ends: Sequence[str], limit: int, after: int | None, *, is_past: bool
) -> _Page:
    """Return a page of the files with these keys, in the order of their places.

    The cursor is the place of the last file, not a number of files: between two pages, new records
    may add ends and remove others.
    """
    places = node_places(connection, ends)
    ordered = sorted(places, key=places.__getitem__)
    start = 0 if after is None else bisect_right(ordered, after, key=places.__getitem__)
    keys = ordered[start : start + limit]
    is_last = start + limit >= len(ordered)

    nodes = file_nodes(connection, keys)
    if not is_past:
        nodes = with_writers(connection, nodes)
    files = {node.key: file_answer(node) for node in nodes}
    return _Page(
        total=len(ordered),
        files=[files[key] for key in keys if key in files],
        next=None if is_last else str(places[keys[-1]]),
    )


def list_orphans(
    connection: Connection,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    isolated: bool = False,
    unread: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Orphans:
    """Return files that records or catalogs name and that no recorded job made.

    A call looks at a bounded number of files, so a short page need not be the last one.

    Args:
        experiment: of this experiment.
        namespace: of this namespace.
        isolated: only files from which no file was made either.
        unread: only isolated files that no job read.

    Raises:
        BadInputError: a wrong limit or cursor.
        LimitError: the search took more than five seconds.
    """
    check_limit(limit, MOST_LISTED)
    with time_limit(connection, "ask for a smaller page"):
        unmade = list_unmade(
            connection,
            experiment=experiment,
            namespace=namespace,
            isolated=isolated,
            unread=unread,
            after=read_cursor(cursor) or 0,
            limit=limit,
        )
    next_cursor = None
    if unmade.next_after is not None:
        next_cursor = str(unmade.next_after)
    return Orphans(unmade.files, next_cursor)
