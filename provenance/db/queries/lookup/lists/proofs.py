"""How recipes of jobs stand, counted by jobs, by campaigns and by recipes."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, func, select

from jobprov.provenance.db.queries.fragments.proofs import PROOF_OF_JOB, STATE_OF_JOB
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    by_software,
    job_conditions,
)
from jobprov.provenance.db.tables import DueProof, Experiment, Job, Proof, Stage, TaskRow, Verdict


class JobProofRow(NamedTuple):
    """How the recipe of a job stands. `level` is of the verdict."""

    state: int
    message: str | None
    proved_at: datetime
    level: str
    is_due: bool


def count_by_state(connection: Connection, filters: JobFilters) -> Counter[int]:
    """Return how many of the jobs that pass the filters stand where; see `STATE_OF_JOB`.

    Jobs that are not over, and reruns, count nowhere.
    """
    others, software = by_software(connection, filters)
    query = (
        select(STATE_OF_JOB.label("proof"), func.count())
        .select_from(Job)
        .outerjoin(Proof, PROOF_OF_JOB)
        .where(*job_conditions(others), *software)
        .group_by("proof")
    )
    return _counter(connection.execute(query))


def count_by_campaign(
    connection: Connection, experiment: str | None
) -> dict[tuple[str, str], Counter[int]]:
    """Return the same by experiment and campaign, of all jobs that have a task."""
    query = (
        select(Experiment.name, Stage.campaign, STATE_OF_JOB.label("proof"), func.count())
        .select_from(Job)
        .join(TaskRow, TaskRow.id == Job.task_id)
        .join(Stage, Stage.id == TaskRow.stage_id)
        .join(Experiment, Experiment.id == Stage.experiment_id)
        .outerjoin(Proof, PROOF_OF_JOB)
        .group_by(Experiment.name, Stage.campaign, "proof")
    )
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    counts: dict[tuple[str, str], Counter[int]] = {}
    for name, campaign, state, jobs in connection.execute(query):
        if state is not None:
            counts.setdefault((name, campaign), Counter())[int(state)] += jobs
    return counts


def count_recipes(connection: Connection) -> Counter[int]:
    """Return how many recipes stand where; those that were never rerun are not counted.

    A job without a recipe that was rerun counts as one of its own.
    """
    query = select(Proof.state, func.count()).group_by(Proof.state)
    return _counter(connection.execute(query))


def _counter(rows: Iterable[Any]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for state, jobs in rows:
        if state is not None:
            counts[int(state)] += jobs
    return counts


def proof_of_job(connection: Connection, job: int) -> JobProofRow | None:
    """Return how the recipe of a job stands; None if it was never rerun."""
    query = (
        select(Proof.state, Proof.message, Proof.proved_at, Verdict.level, DueProof.recipe)
        .select_from(Job)
        .join(Proof, PROOF_OF_JOB)
        .join(Verdict, Verdict.entry_id == Proof.entry_id)
        .outerjoin(
            DueProof,
            and_(DueProof.experiment_id == Proof.experiment_id, DueProof.recipe == Proof.recipe),
        )
        .where(Job.id == job)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    state, message, proved_at, level, due = row
    return JobProofRow(state, message, proved_at, level, due is not None)
