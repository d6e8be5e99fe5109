"""Inputs that a job read under the name of one of its own outputs: corrects walks that met them.

A job's output never counts as its own input (record.md). What it read was another file of that
name, made earlier, whose maker is unknown unless another job claims it. There are two other cases.
If an earlier step wrote what a later step read, recording has already replaced that output by its
own parents (`recording/job_rows.py`), so it is nobody's parent. If a parent was only declared and
is no input, it is indeed the job's own output.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.files.focus import jobs_of_claims
from jobprov.provenance.db.statements.selecting import select_among

_PARENTS = "SELECT claim_id, identity_id FROM parents WHERE claim_id {among} LIMIT 1000000"


class MetRow(Protocol):
    """A row of a walk back: an identity, and a claim it resolves to (None: nobody claims it)."""

    @property
    def identity_id(self) -> int: ...  # noqa: D102
    @property
    def claim_id(self) -> int | None: ...  # noqa: D102
    @property
    def job_id(self) -> int | None: ...  # noqa: D102
    @property
    def is_own(self) -> int: ...  # noqa: D102


R = TypeVar("R", bound=MetRow)


def without_own_outputs(connection: Connection, claim: int, rows: list[R]) -> list[R]:
    """Return the rows of a walk back from a claim, without those reached through an own output.

    An input whose maker is unknown gets one row without a claim.
    """
    if not any(row.is_own for row in rows):
        return rows
    reached = _reached(connection, claim, rows)
    kept = [row for row in rows if (row.identity_id, row.claim_id) in reached]
    # Any, since a protocol cannot say that its rows are named tuples
    claimed: dict[int, Any] = {row.identity_id: row for row in rows if row.claim_id is not None}
    for identity, maker in reached:
        if maker is None and identity in claimed:
            unmade = claimed[identity]._replace(claim_id=None, job_id=None, is_own=False)
            kept.append(unmade)
    return kept


class OwnInput(NamedTuple):
    """An identity that a job read under the name of its own output."""

    job: int
    identity: int


def own_inputs(rows: Sequence[MetRow]) -> set[OwnInput]:
    """Return what jobs read under the name of their own outputs."""
    own: set[OwnInput] = set()
    for row in rows:
        if row.is_own and row.job_id is not None:
            own.add(OwnInput(row.job_id, row.identity_id))
    return own


def _reached(
    connection: Connection, start: int, rows: Sequence[MetRow]
) -> set[tuple[int, int | None]]:
    """Return (identity, claim) of what is reached if no job's output counts as its own input.

    The walk looks at an identity once for all jobs, and once more for each job that read it under
    the name of its own output: that job is no maker for itself, but may be for others.
    """
    own = own_inputs(rows)
    job_of = {row.claim_id: row.job_id for row in rows if row.claim_id is not None}
    job_of.update(jobs_of_claims(connection, [start]))
    makers = _makers(rows)
    parents = _parents(connection, sorted(job_of))

    reached: set[tuple[int, int | None]] = set()
    looked_at: set[tuple[int, int | None]] = set()
    met = {start}
    stack = [start]
    while stack:
        child = stack.pop()
        job = job_of[child]
        for identity in parents.get(child, ()):
            own_reader = job if (job, identity) in own else None
            if (identity, own_reader) in looked_at:
                continue
            looked_at.add((identity, own_reader))
            claims = makers.get(identity, [])
            if own_reader is not None:
                claims = [claim for claim in claims if job_of[claim] != own_reader]
            reached.update((identity, claim) for claim in claims)
            if not claims:
                reached.add((identity, None))
            stack.extend(claim for claim in claims if claim not in met)
            met.update(claims)
    return reached


def _parents(connection: Connection, claims: Sequence[int]) -> dict[int, list[int]]:
    """Return the identities that each claim was made from."""
    parents: dict[int, list[int]] = {}
    for claim, identity in select_among(connection, _PARENTS, claims):
        parents.setdefault(claim, []).append(identity)
    return parents


def _makers(rows: Sequence[MetRow]) -> dict[int, list[int]]:
    """Return the claims that each identity resolves to."""
    makers: dict[int, list[int]] = {}
    for row in rows:
        if row.claim_id is not None:
            makers.setdefault(row.identity_id, []).append(row.claim_id)
    return makers
