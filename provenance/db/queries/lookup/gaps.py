"""How many jobs have which gap."""

import json
from typing import NamedTuple

from sqlalchemy import Connection, func

from jobprov.provenance.db.queries.lookup.job_summaries import selected
from jobprov.provenance.db.queries.lookup.jobs import JobFilters, narrowed
from jobprov.provenance.db.tables import GapSet, Job


class GapRow(NamedTuple):
    """How many jobs have a gap; `newest` is the key of the newest of them."""

    code: str
    job_count: int
    newest: int


def count_gaps(connection: Connection, filters: JobFilters) -> tuple[int, list[GapRow]]:
    """Return how many jobs pass the filters, and how many have each gap, most frequent first.

    Jobs share lists of gaps, of which there are few: one pass over the jobs, one row a list.
    """
    columns = (GapSet.document, func.count(), func.max(Job.id))
    query = (
        narrowed(selected(*columns), filters)
        .outerjoin(GapSet, GapSet.id == Job.gap_set_id)
        .group_by(GapSet.id, GapSet.document)
    )
    total = 0
    by_code: dict[str, GapRow] = {}
    for document, job_count, newest in connection.execute(query):
        total += job_count
        codes = set(json.loads(document)) if document else set()
        for code in codes:
            before = by_code.get(code, GapRow(code, 0, 0))
            by_code[code] = GapRow(code, before.job_count + job_count, max(before.newest, newest))
    return total, sorted(by_code.values(), key=lambda row: (-row.job_count, row.code))
