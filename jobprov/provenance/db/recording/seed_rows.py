"""The seeds of jobs, by which jobs are found: two jobs with one seed made the same events."""

from collections.abc import Mapping, Sequence

from jobprov.provenance.db.statements.inserting import Insertions
from jobprov.provenance.db.statements.selecting import change_among
from jobprov.provenance.db.tables import JobSeed, RandomEngine
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.job_record import JobRecord, Seed

MOST_SEEDS = 200
"""Of a job; one with more, a job of many threads, is found by the first of them."""
MOST_ENGINES = 3
"""Engines of a job that are kept of those that began with one seed: lists name no more."""
_LONGEST_NAME = 300


def write_seeds(
    transaction: Transaction,
    insertions: Insertions,
    records: Mapping[int, JobRecord],
    replaced: Sequence[int],
) -> None:
    """Have the seeds of these jobs written, by key of the job.

    Those of `replaced` jobs were written before.
    """
    if replaced:
        change_among(transaction.connection, "DELETE FROM job_seeds WHERE job_id {among}", replaced)
    engines = {job: _engines_by_seed(record) for job, record in records.items() if record.seeds}
    names: dict[str, dict[str, str]] = {}
    for by_seed in engines.values():
        for of_seed in by_seed.values():
            names.update((name, {"name": name}) for name in of_seed)
    if not names:
        return
    keys = transaction.intern(table_of(RandomEngine), ["name"], names)
    rows: list[dict[str, int]] = []
    for job, by_seed in engines.items():
        for seed, of_seed in by_seed.items():
            rows += [{"job_id": job, "seed": seed, "engine_id": keys[name]} for name in of_seed]
    insertions.add(table_of(JobSeed), rows)


def _engines_by_seed(record: JobRecord) -> dict[int, list[str]]:
    """Return the names of the first engines that began with each seed of a job."""
    engines: dict[int, list[str]] = {}
    for entry in record.seeds or ():
        if entry.seed is None:
            continue
        if entry.seed not in engines and len(engines) == MOST_SEEDS:
            continue
        of_seed = engines.setdefault(entry.seed, [])
        name = engine_name(entry)
        if name not in of_seed and len(of_seed) < MOST_ENGINES:
            of_seed.append(name)
    return engines


def engine_name(entry: Seed) -> str:
    """Return how people name a random engine: `generate gen evt (HepJamesRandom)`.

    Step, module and instance come first, as far as the record says them; `job` where it says none.
    """
    places = [place for place in (entry.step, entry.module, entry.instance) if place]
    name = " ".join(places) or "job"
    if entry.engine:
        name += f" ({entry.engine})"
    return name[:_LONGEST_NAME]
