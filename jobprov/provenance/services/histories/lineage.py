"""The history around a file, as a graph that can be drawn, printed or exported."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict, Unpack

from sqlalchemy import Connection

from jobprov.provenance.db.connections.time_limits import limited, time_limit
from jobprov.provenance.db.queries.histories.neighbourhood import DIRECTIONS, draw_neighbourhood
from jobprov.provenance.db.queries.histories.pasts import changed_since, known_at, was_named
from jobprov.provenance.db.queries.histories.whole_histories import History, read_history
from jobprov.provenance.db.queries.histories.whole_walks import is_used
from jobprov.provenance.db.queries.lookup.files.by_name import FoundFile
from jobprov.provenance.db.queries.lookup.files.focus import Focus, focus_of
from jobprov.provenance.db.queries.lookup.files.full_names import full_names_of_claims
from jobprov.provenance.db.queries.lookup.node_facts import with_writers
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.errors import BadInputError, NotFoundError, check_choice
from jobprov.provenance.lineage.graph import FileNode, Graph, Node
from jobprov.provenance.lineage.keys import row_number, row_numbers
from jobprov.provenance.services.histories.lineage_filters import NodeFilters, filter_history
from jobprov.provenance.services.lookup.file import find_file
from jobprov.provenance.services.paging import check_limit

MOST_NODES = 1000
_ALL = NodeFilters()


class VersionAsked(TypedDict, total=False):
    """Which file of a name a question is about, and which version of it.

    Attributes:
        experiment: needed if several experiments know the name.
        namespace: needed if several namespaces have the name; '' for none.
        version: the newest by default.
    """

    experiment: str | None
    namespace: str | None
    version: int | None


class PastAsked(VersionAsked, total=False):
    """The same for a question that may be about the past.

    Attributes:
        as_of: only jobs and versions count that had been recorded by then.
    """

    as_of: datetime | None


@limited()
def trace_lineage(
    connection: Connection,
    name: str,
    *,
    direction: str = "both",
    depth: int | None = None,
    limit: int = 200,
    filters: NodeFilters = _ALL,
    **asked: Unpack[PastAsked],
) -> Graph:
    """Return the graph around a file, nearest nodes first, with counts of what is left out.

    Args:
        direction: `ancestors`, `descendants` or `both`.
        depth: at most this many jobs away.
        limit: at most this many nodes.
        filters: which nodes are shown; the walk goes through the others.
        asked: which version of the file, and as of when. What is shown as it is known today all the
            same is listed in `past` of the graph.

    Raises:
        NotFoundError: no record mentions the file, or none did then.
        AmbiguousError: several experiments or namespaces know the name.
        BadInputError: a wrong direction, limit or state, or there is no such version.
        LimitError: it took more than five seconds.
    """
    _check(direction, limit)
    _, focus = find_version(connection, name, **asked)
    check_choice("state", filters.jobs.state, STATES)
    as_of = asked.get("as_of")
    # Without filters, only the nodes that are drawn are read. Filters and views of the past need the
    # whole history: what passes may lie behind nodes that do not
    if as_of is None and filters == _ALL:
        graph = draw_neighbourhood(connection, focus, direction=direction, depth=depth, limit=limit)
        graph = replace(graph, version=focus.version, versions=focus.versions)
        return _with_writers(connection, graph)
    history = trace_history(connection, focus, direction=direction, as_of=as_of)
    graph = filter_history(connection, history, filters, depth=depth, limit=limit)
    graph = replace(graph, direction=direction, version=focus.version, versions=focus.versions)
    if as_of is None:
        return _with_writers(connection, graph)
    return replace(graph, past=changed_since(connection, history, as_of))


def _check(direction: str, limit: int) -> None:
    if direction not in DIRECTIONS:
        problem = f"{direction!r} is none of {', '.join(DIRECTIONS)}"
        raise BadInputError.of_field("direction", problem, "unknown")
    check_limit(limit, MOST_NODES)


def find_version(
    connection: Connection, name: str, **asked: Unpack[PastAsked]
) -> tuple[FoundFile, Focus]:
    """Return a file, and the version of it that a question is about.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        NotFoundError, BadInputError: see `find_focus`.
    """
    experiment, namespace = asked.get("experiment"), asked.get("namespace")
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    version, as_of = asked.get("version"), asked.get("as_of")
    return file, find_focus(connection, file, version=version, as_of=as_of)


def find_focus(
    connection: Connection,
    file: FoundFile,
    *,
    version: int | None = None,
    as_of: datetime | None = None,
) -> Focus:
    """Return the version of a file that a question is about: the newest by default.

    With `as_of`, it is one of the versions that had been recorded by then.

    Raises:
        NotFoundError: no record had mentioned the file at `as_of`, and no catalog had seen it.
        BadInputError: there is no such version.
    """
    focus = focus_of(connection, file.id, version, as_of=as_of)
    if as_of is not None and focus.claim_id is None and not was_named(connection, file.id, as_of):
        raise NotFoundError(f"No record had mentioned {file.name} at {as_of.isoformat()}.")
    return focus


def _with_writers(connection: Connection, graph: Graph) -> Graph:
    """Return the graph with writers beside its placeholders: failed jobs, or other versions'."""
    files: dict[str, Node] = {node.key: node for node in with_writers(connection, graph.files())}
    return replace(graph, nodes=tuple(files.get(node.key, node) for node in graph.nodes))


def with_full_names(connection: Connection, graph: Graph) -> Graph:
    """Return the graph with files under the full names that catalogs gave them, for exports.

    A file is called alike then in the export of every lineage that it is part of, and in those of
    jobs, whichever name somebody asked by.
    """
    claims = row_numbers([node.key for node in graph.files()], "c")
    names = full_names_of_claims(connection, claims)
    nodes: list[Node] = []
    for node in graph.nodes:
        full = names.get(row_number(node.key)) if node.key[0] == "c" else None
        if full is not None and isinstance(node, FileNode):
            nodes.append(replace(node, namespace=full.namespace, name=full.name))
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def has_other_side(
    connection: Connection, name: str, *, direction: str, **asked: Unpack[VersionAsked]
) -> bool:
    """Return whether a file has history on the side that `direction` leaves out.

    `both` leaves out nothing.

    Raises:
        NotFoundError, AmbiguousError: as `trace_lineage`.
    """
    _, focus = find_version(connection, name, **asked)
    if direction == "descendants":
        return focus.claim_id is not None
    return direction == "ancestors" and is_used(connection, focus)


def trace_history(
    connection: Connection,
    focus: Focus,
    *,
    direction: str = "ancestors",
    as_of: datetime | None = None,
) -> History:
    """Return the whole history before or after a version, or after all versions of a file.

    It holds at most fifty thousand files each way.

    Raises:
        LimitError: it took more than five seconds.
    """
    with time_limit(connection, "ask for one direction, or for a file in between"):
        history = read_history(connection, focus, direction=direction)
        return history if as_of is None else known_at(connection, history, as_of)
