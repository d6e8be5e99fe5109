"""The place of a claim in lists with pages: by job, then by the order of outputs in its record.

The key of a claim would not do. Whenever another record of a job comes, its claims are written
again with other keys, and on PostgreSQL each process takes keys from a range of its own. Between
two pages, a list in the order of keys would show files twice, or skip them.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.tables import Claim
from jobprov.provenance.lineage.keys import key_of_claim, row_number, row_numbers

_POSITIONS = 32_768
"""More than a record may have outputs."""
_BEHIND_ALL = 2**58
"""Places of files without a claim begin here, after those of all claims."""

PLACE = (Claim.job_id * _POSITIONS + Claim.position).label("place")
IN_ORDER = (Claim.job_id, Claim.position)


def behind(place: int) -> ColumnElement[bool]:
    """Return the condition that a claim comes after a place in the list."""
    job, position = divmod(place, _POSITIONS)
    # Not `PLACE > place`: this form uses the index on jobs
    return and_(Claim.job_id >= job, or_(Claim.job_id > job, Claim.position > position))


def place_of(job: int, position: int) -> int:
    """Return the place of a claim."""
    return job * _POSITIONS + position


def node_places(connection: Connection, nodes: Collection[str]) -> dict[str, int]:
    """Return a number for each file of a graph; lists are sorted by it.

    Claims come first, by place, then files without a claim, by row number.
    """
    claims = row_numbers(nodes, "c")
    query = select(Claim.id, PLACE).where(among(connection, Claim.id, claims))
    places = {}
    for claim, place in connection.execute(query):
        places[key_of_claim(claim)] = place
    for node in nodes:
        if node not in places:
            places[node] = _BEHIND_ALL + row_number(node)
    return places
