"""What would stop reruns of jobs in ten years: their gaps, and whether a rerun proved the recipe.

A rerun proves a recipe where it came out as recorded, without a network.
"""

from collections.abc import Mapping

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import GapCount, GapCounts, JobSummary
from jobprov.provenance.answers.reruns.proofs import JobProof, ProofCounts
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.lookup.lists.gaps import (
    GapRow,
    count_by_state,
    count_gaps,
    proof_of_job,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.records.gaps.gaps import Gap, in_order
from jobprov.provenance.records.proofs import (
    DIFFERS,
    FAILED,
    GAP,
    PROVEN,
    STATES,
    UNPROVEN,
    level_with_proof,
    open_codes,
)

STOPS_NONE = 9
_UNKNOWN = (STOPS_NONE, "")
"""Level and cure of a code that a newer version of jobprov may have written."""


def proof_counts(by_state: Mapping[int, int]) -> ProofCounts:
    """Return counts of jobs by state as an answer."""
    return ProofCounts(
        proven=by_state.get(PROVEN, 0),
        failed=by_state.get(FAILED, 0),
        differs=by_state.get(DIFFERS, 0),
        unproven=by_state.get(UNPROVEN, 0),
    )


def count_proofs(connection: Connection, filters: JobFilters) -> ProofCounts:
    """Return the state of the recipes of the jobs that pass the filters."""
    return proof_counts(count_by_state(connection, filters))


def job_proof(connection: Connection, key: int, summary: JobSummary) -> JobProof | None:
    """Return the state of a job's recipe; None where nothing can prove it."""
    if summary.proof is None:
        return None
    never_rerun = JobProof(STATES[UNPROVEN], None, None, None, is_due=True)
    return proof_of_job(connection, key) or never_rerun


def with_proof(gaps: list[Gap], proof: JobProof | None) -> list[Gap]:
    """Return the gaps of a job, with what its proof opens or closes."""
    if proof is None:
        return gaps
    codes = open_codes([gap.code for gap in gaps], STATES.index(proof.state))
    still_open = [gap for gap in gaps if gap.code in codes]
    if GAP in codes:
        message = proof.message or "The newest rerun did not end as recorded."
        still_open.append(Gap(GAP, message, GAPS[GAP].how_to_close))
    return in_order(still_open)


def level_proven(level: int, gaps: list[Gap], proof: JobProof | None) -> int:
    """Return the closure level of a job, where its gaps alone leave `level`."""
    state = None if proof is None else STATES.index(proof.state)
    return level_with_proof(level, state, [gap.code for gap in gaps])


def list_gaps(connection: Connection, filters: JobFilters) -> GapCounts:
    """Return the gaps of the jobs that pass the filters, what stops the lowest level first."""
    job_count, rows, proofs = count_gaps(connection, filters)
    examples = summaries_of(connection, [row.newest for row in rows])
    rows = sorted(rows, key=lambda row: GAPS.get(row.code, _UNKNOWN)[0])
    gaps = [_count(row, examples[row.newest]) for row in rows]
    return GapCounts(job_count, gaps, proof_counts(proofs))


def _count(row: GapRow, example: JobSummary) -> GapCount:
    level, how_to_close = GAPS.get(row.code, _UNKNOWN)
    stops = None if level == STOPS_NONE else f"L{level}"
    return GapCount(row.code, stops, row.job_count, how_to_close, example)
