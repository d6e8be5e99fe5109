"""What would stop reruns of a task, stage or campaign in ten years, counted, and how to close it now."""

from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.gaps import count_gaps
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.records.gaps import GAPS

STOPS_NONE = 9


def list_gaps(connection: Connection, filters: JobFilters) -> dict[str, Any]:
    """Return `{job_count, gaps: [{code, stops, job_count, how_to_close, example}]}`, what stops the lowest level first.

    `stops` is the closure level that the gap leaves incomplete, None where it stops none. `example`
    is the newest job that has it.
    """
    total, counts = count_gaps(connection, filters)
    examples = job_summaries(connection, [row.newest for row in counts])
    counts = sorted(counts, key=lambda row: GAPS.get(row.code, (STOPS_NONE, ""))[0])
    gaps = []
    for row in counts:
        level, cure = GAPS.get(row.code, (STOPS_NONE, ""))
        gaps.append(
            {
                "code": row.code,
                "stops": None if level == STOPS_NONE else f"L{level}",
                "job_count": row.job_count,
                "how_to_close": cure,
                "example": examples[row.newest],
            }
        )
    return {"job_count": total, "gaps": gaps}
