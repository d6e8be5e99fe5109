"""The seeds of jobs, by which jobs are found: two jobs with one seed made the same events."""

from collections.abc import Mapping, Sequence

from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import change_among
from jobprov.provenance.db.tables import JobSeed
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.job_record import JobRecord

MOST_SEEDS = 200
"""Of a job; one with more, a job of many threads, is found by the first of them."""


def write_seeds(
    transaction: Transaction, records: Mapping[int, JobRecord], replaced: Sequence[int]
) -> None:
    """Write the seeds of these jobs, by key of the job.

    Those of `replaced` jobs were written before.
    """
    if replaced:
        change_among(transaction.connection, "DELETE FROM job_seeds WHERE job_id {among}", replaced)
    rows: list[dict[str, int]] = []
    for job, record in records.items():
        seeds = {entry.seed: None for entry in record.seeds or () if entry.seed is not None}
        rows += [{"job_id": job, "seed": seed} for seed in list(seeds)[:MOST_SEEDS]]
    if rows:
        insert_rows(transaction.connection, table_of(JobSeed), rows)
