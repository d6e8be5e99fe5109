"""The history around a file, as a graph that can be drawn, printed or exported."""

from sqlalchemy import Connection

from provenance.db.queries.neighbourhood import DIRECTIONS, draw_neighbourhood, focus_of
from provenance.db.queries.walking import Counts, WalkedFile, count_walk, walk_ancestors, walk_descendants
from provenance.errors import BadInputError
from provenance.lineage.graph import Graph
from provenance.services.show_file import find_file

MOST_NODES = 1000


def trace_lineage(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    version: int | None = None,
    direction: str = "both",
    depth: int | None = None,
    limit: int = 200,
) -> Graph:
    """Return the graph around a file, at most `limit` nodes, nearest first, with counts of what is left out.

    Raises:
        NotFoundError: no record mentions the file.
        AmbiguousError: several experiments or namespaces know the name.
        BadInputError: a direction, depth or limit that is none.
        LimitError: counting took more than five seconds.
    """
    if direction not in DIRECTIONS:
        raise BadInputError(f"direction: {direction!r} is none of {', '.join(DIRECTIONS)}.", {"direction": ["unknown"]})
    if not 1 <= limit <= MOST_NODES:
        raise BadInputError(f"limit: between 1 and {MOST_NODES}.", {"limit": [f"between 1 and {MOST_NODES}"]})
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    focus = focus_of(connection, file.id, version)
    return draw_neighbourhood(connection, focus, direction=direction, depth=depth, limit=limit)


def list_ancestors(
    connection: Connection, name: str, *, experiment: str | None = None, namespace: str | None = None
) -> list[WalkedFile]:
    """Return every file that a file was made from, at any depth."""
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    claim = focus_of(connection, file.id).claim_id
    return walk_ancestors(connection, claim) if claim is not None else []


def list_descendants(
    connection: Connection, name: str, *, experiment: str | None = None, namespace: str | None = None
) -> list[WalkedFile]:
    """Return every file that was made from a file, at any depth."""
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    return walk_descendants(connection, focus_of(connection, file.id).claim_id, file=file.id)


def count_lineage(
    connection: Connection, name: str, *, experiment: str | None = None, namespace: str | None = None
) -> dict[str, Counts]:
    """Return how many files and jobs made a file, and how many were made from it."""
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    claim = focus_of(connection, file.id).claim_id
    return {
        direction: count_walk(connection, claim, direction, file=file.id) for direction in ("ancestors", "descendants")
    }
