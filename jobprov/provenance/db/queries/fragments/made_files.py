"""The condition that a claim is of a file that somebody can use; see `records/files/outputs.py`."""

from sqlalchemy import ColumnElement, and_, func, or_

from jobprov.provenance.db.tables import Claim, Identity
from jobprov.provenance.records.files.outputs import WRITTEN


def is_made() -> ColumnElement[bool]:
    """Return the condition for a statement that joins claims with their identities."""
    return and_(
        func.coalesce(Claim.status, WRITTEN) == WRITTEN,
        or_(Identity.size_bytes.is_(None), Identity.size_bytes > 0),
    )
