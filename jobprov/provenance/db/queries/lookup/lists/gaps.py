"""How many jobs have which gap."""

import json
from collections import Counter
from typing import NamedTuple

from sqlalchemy import Connection, func

from jobprov.provenance.db.queries.fragments.proofs import STATE_OF_JOB
from jobprov.provenance.db.queries.lookup.jobs.summaries import selected
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, narrowed
from jobprov.provenance.db.tables import GapSet, Job
from jobprov.provenance.records.proofs import open_codes


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
