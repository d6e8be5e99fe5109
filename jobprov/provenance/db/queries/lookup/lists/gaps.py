"""How many jobs have which gap, and how their recipes stand: proven, failed or never rerun."""

import json
from collections import Counter
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from jobprov.provenance.answers.reruns.proofs import JobProof
from jobprov.provenance.db.queries.fragments.proofs import PROOF_OF_JOB, STATE_OF_JOB
from jobprov.provenance.db.queries.lookup.jobs.summaries import selected
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    conditions_by_keys,
    narrowed,
)
from jobprov.provenance.db.tables import DueProof, GapSet, Job, Proof, Verdict
from jobprov.provenance.records.proofs import STATES, open_codes
from jobprov.provenance.times import exact_utc_text


class GapRow(NamedTuple):
    """How many jobs have a gap; `newest` is the key of the newest of them."""

    code: str
    job_count: int
    newest: int


class CountedGaps(NamedTuple):
    """The gaps of some jobs, most frequent first, and how the recipes of these stand."""

    job_count: int
    rows: list[GapRow]
    proofs: Counter[int]


def count_gaps(connection: Connection, filters: JobFilters) -> CountedGaps:
    """Return how many of the jobs that pass the filters have each gap.

    Jobs share a few lists of gaps: one pass over the jobs gives one row for each list and state of
    proof. A failed proof is a gap as well, and a passing one closes one.
    """
    columns = (GapSet.document, STATE_OF_JOB.label("proof"), func.count(), func.max(Job.id))
    query = (
        narrowed(selected(*columns), filters)
        .outerjoin(GapSet, GapSet.id == Job.gap_set_id)
        .group_by(GapSet.id, GapSet.document, "proof")
    )
    total = 0
    proofs: Counter[int] = Counter()
    by_code: dict[str, GapRow] = {}
    for document, proof, job_count, newest in connection.execute(query):
        total += job_count
        if proof is not None:
            proofs[int(proof)] += job_count
        for code in open_codes(json.loads(document or "[]"), proof):
            before = by_code.get(code, GapRow(code, 0, 0))
            by_code[code] = GapRow(code, before.job_count + job_count, max(before.newest, newest))
    rows = sorted(by_code.values(), key=lambda row: (-row.job_count, row.code))
    return CountedGaps(total, rows, proofs)


def count_by_state(connection: Connection, filters: JobFilters) -> Counter[int]:
    """Return how many of the jobs that pass the filters are in which state; see `STATE_OF_JOB`.

    Jobs that are not over, and reruns, have none.
    """
    query = (
        select(STATE_OF_JOB.label("proof"), func.count())
        .select_from(Job)
        .outerjoin(Proof, PROOF_OF_JOB)
        .where(*conditions_by_keys(connection, filters))
        .group_by("proof")
    )
    counts: Counter[int] = Counter()
    for state, jobs in connection.execute(query):
        if state is not None:
            counts[int(state)] += jobs
    return counts


def proof_of_job(connection: Connection, job: int) -> JobProof | None:
    """Return the state of a job's recipe; None if it was never rerun."""
    query = (
        select(Proof.state, Proof.message, Proof.proved_at, Verdict.level, DueProof.recipe)
        .select_from(Job)
        .join(Proof, PROOF_OF_JOB)
        .join(Verdict, Verdict.entry_id == Proof.entry_id)
        .outerjoin(
            DueProof,
            and_(DueProof.experiment_id == Proof.experiment_id, DueProof.recipe == Proof.recipe),
        )
        .where(Job.id == job)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    state, message, proved_at, level, due = row
    return JobProof(STATES[state], message, level, exact_utc_text(proved_at), due is not None)
