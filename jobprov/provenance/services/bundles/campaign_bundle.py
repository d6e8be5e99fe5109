"""The bundle of many jobs (of a task, a campaign or a list), planned together and streamed at once.

Nothing of it is stored: what is generated stays in memory, some kilobytes per job, and everything
else is in the archive already.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.bundle import tar
from jobprov.provenance.bundle.campaign import MOST_JOBS, make_campaign
from jobprov.provenance.bundle.ingredients import Ingredients
from jobprov.provenance.bundle.plan import Plan, ceiling_of
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.jobs.details import resolutions_of
from jobprov.provenance.db.queries.reruns.bundles import BundledJob, jobs_in, jobs_with_ids
from jobprov.provenance.errors import AmbiguousError, BundleError, NotFoundError
from jobprov.provenance.services.bundles.archive_blobs import GeneratedBlobs, PlannedBlobs
from jobprov.provenance.services.bundles.ingredients import gather_all
from jobprov.provenance.services.ledger.witnessed_jobs import read_witnesses
from jobprov.provenance.services.lookup.job import ReadJob

_AT_ONCE = 500


class Campaign(NamedTuple):
    """A bundle of many jobs, ready to be streamed.

    Attributes:
        jobs: how many.
        size_bytes: of the tar.
    """

    name: str
    jobs: int
    level: str
    plan: Plan
    size_bytes: int
    reader: "_Reader"

    @property
    def etag(self) -> str:
        """Return a name of the plan, which decides every byte of the tar."""
        return f"{self.level}-{hashlib.sha256(self.plan.to_bytes()).hexdigest()[:16]}"

    def stream(self) -> Iterator[bytes]:
        """Yield the tar."""
        return tar.stream(self.plan, self.reader)


class WantedJobs(NamedTuple):
    """Which jobs are wanted: those of a task, of a campaign or one stage of it, or by id."""

    task_id: str | None = None
    campaign: str | None = None
    stage: str | None = None
    job_ids: Sequence[str] = ()
    experiment: str | None = None

    @property
    def name(self) -> str:
        """Return what the bundle is called."""
        parts = [part for part in (self.task_id, self.campaign, self.stage) if part]
        return "-".join(parts) or "jobs"


class _Reader(GeneratedBlobs):
    """Reads what the plan generated, else the archive as far as the experiment possesses it."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._allowed: set[str] = set()
        self._archive = PlannedBlobs(store)

    def allow(self, digests: frozenset[str]) -> None:
        """Let the bundle hold these blobs too."""
        self._allowed |= digests

    def has(self, sha256: str) -> bool:
        """Return whether the bundle may hold this blob."""
        return sha256 in self._allowed

    def get(self, sha256: str) -> bytes:
        """Return all bytes of a blob."""
        if sha256 in self._made:
            return self._made[sha256]
        return self._archive.get(sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob as a readable file."""
        if sha256 in self._made:
            return io.BytesIO(self._made[sha256])
        return self._archive.open(sha256)

    def size(self, sha256: str) -> int:
        """Return the bytes of a blob, uncompressed."""
        return self._archive.size(sha256)


def build_campaign(
    database: Database, store: Store, wanted: WantedJobs, *, level: str | None = None
) -> Campaign:
    """Return the bundle of many jobs of one experiment.

    Raises:
        NotFoundError: no such job is recorded.
        AmbiguousError: jobs of several experiments fit.
        BundleError: too many jobs, or an unknown level.
    """
    ceiling_of(level)
    reader = _Reader(store)
    with database.reading.connect() as connection:
        jobs = _find_jobs(connection, wanted)
        ingredients = _ingredients(connection, store, jobs, reader, level)
        plan = make_campaign(ingredients, reader, reader.keep, name=wanted.name, level=level)
    return Campaign(wanted.name, len(jobs), plan.level, plan, tar.size(plan), reader)


def _find_jobs(connection: Connection, wanted: WantedJobs) -> list[BundledJob]:
    """Return the jobs of the bundle, all of one experiment.

    Raises:
        NotFoundError, AmbiguousError, BundleError: see `build_campaign`.
    """
    # One more than a bundle may have, to notice when there are too many
    limit = MOST_JOBS + 1
    if wanted.job_ids:
        jobs = jobs_with_ids(connection, wanted.job_ids, experiment=wanted.experiment, limit=limit)
    else:
        jobs = jobs_in(
            connection,
            task_id=wanted.task_id,
            campaign=wanted.campaign,
            stage=wanted.stage,
            experiment=wanted.experiment,
            limit=limit,
        )
    if not jobs:
        raise NotFoundError(f"No job of {wanted.name} is recorded.")
    if len(jobs) > MOST_JOBS:
        raise BundleError(f"More than {MOST_JOBS} jobs fit; ask for one task or stage.")
    _check_experiment(jobs, wanted)
    recorded = {bundled.job.job_id for bundled in jobs}
    if missing := sorted(set(wanted.job_ids) - recorded):
        raise NotFoundError(f"No job {missing[0]} is recorded.")
    return jobs


def _check_experiment(jobs: Sequence[BundledJob], wanted: WantedJobs) -> None:
    experiments = sorted({bundled.job.experiment for bundled in jobs})
    if len(experiments) > 1:
        raise AmbiguousError(
            f"Several experiments have jobs of {wanted.name}; say which with experiment=.",
            [(name, "") for name in experiments],
        )


def _ingredients(
    connection: Connection,
    store: Store,
    jobs: Sequence[BundledJob],
    reader: _Reader,
    level: str | None,
) -> Iterator[Ingredients]:
    """Yield the ingredients of each job's part; some hundred jobs are read at once."""
    # Thousands of jobs of a release share one software list: its code is looked up once
    by_set: dict[int | None, Mapping[int, Mapping[str, Any]]] = {}
    for start in range(0, len(jobs), _AT_ONCE):
        part = jobs[start : start + _AT_ONCE]
        for bundled in part:
            if bundled.software_set not in by_set:
                by_set[bundled.software_set] = resolutions_of(connection, bundled.job.key)
        documents = {bundled.job.key: by_set[bundled.software_set] for bundled in part}
        read = _read_jobs(connection, store, part)
        for gathered in gather_all(connection, store, read, documents, level=level):
            reader.allow(gathered.reader.digests)
            yield gathered.ingredients(has_forms=False)


def _read_jobs(connection: Connection, store: Store, jobs: Sequence[BundledJob]) -> list[ReadJob]:
    witnesses = read_witnesses(connection, store, [bundled.job.key for bundled in jobs])
    return [ReadJob.of(bundled.job, witnesses[bundled.job.key]) for bundled in jobs]
