"""The place of a claim in lists that come page by page: by job, then as its record has its outputs.

The key of a claim is none: whenever more is told of a job, its claims are written anew under other
keys, and on PostgreSQL each process takes these from a stretch of its own. A list in the order of
keys showed files twice then, or passed over them.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.tables import Claim

_POSITIONS = 32_768
"""More than a record has outputs."""
_BEHIND_ALL = 2**58

PLACE = (Claim.job_id * _POSITIONS + Claim.position).label("place")
IN_ORDER = (Claim.job_id, Claim.position)


def behind(place: int) -> ColumnElement[bool]:
    """Return the condition that a claim comes after a place; an index on jobs finds where."""
    job, position = divmod(place, _POSITIONS)
    return and_(Claim.job_id >= job, or_(Claim.job_id > job, Claim.position > position))


def place_of(job: int, position: int) -> int:
    """Return the place of a claim."""
    return job * _POSITIONS + position


def node_places(connection: Connection, nodes: Collection[str]) -> dict[str, int]:
    """Return a number for each of these files of a graph, by key.

    Claims by their place, then other files, whose own keys stay.
    """
    claims = [int(node[1:]) for node in nodes if node[0] == "c"]
    rows = connection.execute(select(Claim.id, PLACE).where(among(connection, Claim.id, claims)))
    places = {f"c{claim}": place for claim, place in rows}
    return places | {node: _BEHIND_ALL + int(node[1:]) for node in nodes if node not in places}
