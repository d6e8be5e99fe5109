"""The place of a claim in lists that come page by page: by job, then as its record has its outputs.

The key of a claim is none: whenever more is told of a job, its claims are written anew under other keys, and on PostgreSQL each process
takes these from a stretch of its own. A list in the order of keys showed files twice then, or passed over them.
"""

from sqlalchemy import ColumnElement, and_, or_

from provenance.db.tables import Claim

_POSITIONS = 32_768
"""More than a record has outputs."""

PLACE = (Claim.job_id * _POSITIONS + Claim.position).label("place")
IN_ORDER = (Claim.job_id, Claim.position)


def behind(place: int) -> ColumnElement[bool]:
    """Return the condition that a claim comes after a place; an index on jobs finds where."""
    job, position = divmod(place, _POSITIONS)
    return and_(Claim.job_id >= job, or_(Claim.job_id > job, Claim.position > position))
