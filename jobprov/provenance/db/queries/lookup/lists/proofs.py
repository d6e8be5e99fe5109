"""State of the recipes of jobs: of one job, and counted over those that pass filters."""

from collections import Counter

from sqlalchemy import Connection, and_, func, select

from jobprov.provenance.answers.reruns.proofs import JobProof
from jobprov.provenance.db.queries.fragments.proofs import PROOF_OF_JOB, STATE_OF_JOB
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    conditions_by_keys,
)
from jobprov.provenance.db.tables import DueProof, Job, Proof, Verdict
from jobprov.provenance.records.proofs import STATES
from jobprov.provenance.times import exact_utc_text


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
