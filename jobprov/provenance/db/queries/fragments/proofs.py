"""How the recipe of a job stands, as expressions over jobs.

Queries join `Proof` on `PROOF_OF_JOB` from the left: recipes that were never rerun have no row. A
job without a recipe is proven by itself, under a key of its own in the place of a recipe.
"""

import uuid
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, and_, case, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Job, Proof
from jobprov.provenance.records.proofs import UNPROVEN

OWN = b"\xff"
"""Begins the key of a job without a recipe, before its id; recipes begin otherwise."""


class _OwnKey(FunctionElement[bytes]):
    """The key of a job without a recipe."""

    type = LargeBinary()
    inherit_cache = True


@compiles(_OwnKey, "sqlite")
def _own_key_of_sqlite(element: Any, compiler: Any, **words: Any) -> str:
    # Of two blobs, SQLite makes a text with the same bytes
    return f"CAST(X'ff' || {compiler.process(element.clauses, **words)} AS BLOB)"


@compiles(_OwnKey, "postgresql")
def _own_key_of_postgresql(element: Any, compiler: Any, **words: Any) -> str:
    return f"('\\xff'::bytea || {compiler.process(element.clauses, **words)})"


PROOF_KEY: ColumnElement[bytes] = func.coalesce(Job.recipe, _OwnKey(Job.uuid))
"""What a job's proof is kept under: its recipe, or its own key."""

PROOF_OF_JOB = and_(Proof.experiment_id == Job.experiment_id, Proof.recipe == PROOF_KEY)
"""Which proof is a job's."""

_ENDED = tuple(STATES.index(state) for state in ("succeeded", "failed"))
IS_ENDED = and_(Job.state.in_(_ENDED), Job.rerun_of.is_(None))
STATE_OF_JOB: ColumnElement[Any] = case(
    (~IS_ENDED, None), else_=func.coalesce(Proof.state, UNPROVEN)
)
"""The state of a job's proof; NULL of reruns and of jobs that are not over."""


def proof_key(recipe: bytes | None, job_id: str) -> bytes:
    """Return what the proof of a job is kept under."""
    return OWN + uuid.UUID(job_id).bytes if recipe is None else recipe


def job_of_key(key: bytes) -> str | None:
    """Return the id of the job whose own key this is; None if it is a recipe."""
    return str(uuid.UUID(bytes=key[1:])) if key[:1] == OWN else None
