"""The jobs in a file's history with their recipes, and files like it: to find a divergence."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.fragments.stages import with_stage
from jobprov.provenance.db.tables import Claim, Experiment, File, Job, Stage
from jobprov.provenance.records.files.names import full_name

_LATEST = datetime.max.replace(tzinfo=UTC)


class Maker(NamedTuple):
    """A job in the history of a file.

    Attributes:
        stage: empty if no record names it.
        recipe: None if it is not known.
        started_at: the latest possible time if no record has it, so that such jobs come last.
    """

    key: int
    job_id: str
    stage: str
    recipe: bytes | None
    started_at: datetime


def makers(connection: Connection, jobs: Collection[int]) -> dict[int, Maker]:
    """Return these jobs by key."""
    query = with_stage(
        select(Job.id, Job.uuid, Stage.name, Job.recipe, Job.started_at).select_from(Job)
    )
    known: dict[int, Maker] = {}
    for key, job_id, stage, recipe, started_at in rows_among(
        connection, query, Job.id, sorted(jobs)
    ):
        known[key] = Maker(key, job_id, stage or "", recipe, started_at or _LATEST)
    return known


class ClaimOrigin(NamedTuple):
    """The job that made a version of a file, and the data tier in its record."""

    job: int
    data_tier: str | None


def origin_of(connection: Connection, claim: int) -> ClaimOrigin:
    """Return which job made a claim."""
    query = select(Claim.job_id, Claim.data_tier).where(Claim.id == claim)
    return ClaimOrigin(*connection.execute(query).one())


def outputs_of_tier(
    connection: Connection, job_ids: Sequence[str], experiment: str, data_tier: str | None
) -> dict[str, list[str]]:
    """Return the names of these jobs' outputs of a data tier (None: of any), by id of the job.

    A name is `namespace:name`, or bare if the file has no namespace.
    """
    query = (
        select(Job.uuid, File.namespace, File.name)
        .join(Claim, Claim.job_id == Job.id)
        .join(File, File.id == Claim.file_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Job.uuid.in_(job_ids), Experiment.name == experiment, Claim.alias_of.is_(None))
        .order_by(Claim.id)
    )
    if data_tier is not None:
        query = query.where(Claim.data_tier == data_tier)
    outputs: dict[str, list[str]] = {}
    for job_id, namespace, name in connection.execute(query):
        outputs.setdefault(job_id, []).append(full_name(name, namespace))
    return outputs
