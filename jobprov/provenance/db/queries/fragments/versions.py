"""Which claims are versions of a file that somebody can use, and in which order.

A version is a file that a successful job wrote which is not a rerun. The file of any other job is a
version only if some job surely read it.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, text

from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import Claim, Identity, Job
from jobprov.provenance.db.tables.base import EPOCH
from jobprov.provenance.records.files.outputs import WRITTEN

LAST_FIRST = (func.coalesce(Job.ended_at, EPOCH).desc(), Job.uuid.desc())
"""The order of versions by their jobs, whichever was recorded first."""


def version_condition(claims: str, jobs: str) -> str:
    """Return the condition for a constant statement with these names of claims and their jobs."""
    return f"{jobs}.rerun_of IS NULL AND ({jobs}.state = {SUCCEEDED} OR {_read_condition(claims)})"


def is_version(state: Any) -> ColumnElement[bool]:
    """Return the condition for a statement over claims, beside that their jobs are no reruns.

    Args:
        state: the column that has the state of a claim's job.
    """
    return or_(state == SUCCEEDED, text(_read_condition("claims")))


def _read_condition(claims: str) -> str:
    """Return the condition that another job surely read what a claim is of."""
    return f"""EXISTS (
    SELECT 1 FROM producers AS q JOIN mentions AS m ON m.identity_id = q.identity_id
    WHERE q.claim_id = {claims}.id AND q.is_sure IS TRUE AND m.job_id <> {claims}.job_id
)"""  # noqa: S608 - names that this package gives its tables


def is_made() -> ColumnElement[bool]:
    """Return the condition that a claim is of a file that somebody can use.

    For statements that join claims with their identities; see `records/files/outputs.py`.
    """
    return and_(
        func.coalesce(Claim.status, WRITTEN) == WRITTEN,
        or_(Identity.size_bytes.is_(None), Identity.size_bytes > 0),
    )
