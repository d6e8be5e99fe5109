"""What would stop reruns of jobs in ten years: how many jobs have each gap, and its cure."""

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import GapCount, GapCounts, JobSummary
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.lookup.lists.gaps import GapRow, count_gaps
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.services.lookup.proofs import proof_counts

STOPS_NONE = 9
_UNKNOWN = (STOPS_NONE, "")
"""Level and cure of a code that a newer version of jobprov may have written."""


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
