"""How the recipe of a job stands, as expressions over jobs.

Queries join `Proof` on `PROOF_OF_JOB` from the left: recipes that were never rerun have no row.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, case, func

from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Job, Proof
from jobprov.provenance.records.proofs import NO_RECIPE, UNPROVEN

PROOF_OF_JOB = and_(Proof.experiment_id == Job.experiment_id, Proof.recipe == Job.recipe)
"""Which proof is a job's."""

_ENDED = tuple(STATES.index(state) for state in ("succeeded", "failed"))
IS_ENDED = and_(Job.state.in_(_ENDED), Job.rerun_of.is_(None))
STATE_OF_JOB: ColumnElement[Any] = case(
    (~IS_ENDED, None),
    (Job.recipe.is_(None), NO_RECIPE),
    else_=func.coalesce(Proof.state, UNPROVEN),
)
"""The state of a job's proof; NULL of reruns and of jobs that are not over."""
