"""Which gaps jobs have, counted by code."""

import json
from typing import NamedTuple

from sqlalchemy import Connection, func

from jobprov.provenance.db.queries.lookup.job_summaries import selected
from jobprov.provenance.db.queries.lookup.jobs import JobFilters, narrowed
from jobprov.provenance.db.tables import GapSet, Job


class GapCount(NamedTuple):
    """How many jobs have a gap; `newest` is the key of one of them."""

    code: str
    job_count: int
    newest: int


def count_gaps(connection: Connection, filters: JobFilters) -> tuple[int, list[GapCount]]:
    """Return how many jobs pass the filters, and how many of them have each gap, most frequent first.

    Jobs share lists of gaps, of which there are few: one pass over the jobs, one row a list.
    """
    query = narrowed(selected(GapSet.document, func.count(), func.max(Job.id)), filters)
    query = query.outerjoin(GapSet, GapSet.id == Job.gap_set_id).group_by(
        GapSet.id, GapSet.document
    )
    total = 0
    found: dict[str, GapCount] = {}
    for document, count, newest in connection.execute(query):
        total += count
        for code in set(json.loads(document)) if document else ():
            held = found.get(code, GapCount(code, 0, 0))
            found[code] = GapCount(code, held.job_count + count, max(held.newest, newest))
    return total, sorted(found.values(), key=lambda row: (-row.job_count, row.code))
