"""Recipes by state: counted, those that are not proven, and which are to be rerun next."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, and_, case, cast, func, or_, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.fragments.proofs import (
    IS_ENDED,
    OWN,
    PROOF_KEY,
    PROOF_OF_JOB,
    STATE_OF_JOB,
    job_of_key,
)
from jobprov.provenance.db.queries.reruns.reproduction import Candidate
from jobprov.provenance.db.tables import DueProof, Experiment, Job, Proof, Stage, TaskRow, Verdict
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.proofs import PROVEN

_KEY_BITS = 1 << 44


class NotProven(NamedTuple):
    """A recipe that failed, differs, or could not be rerun.

    Attributes:
        jobs: how many share it.
        job_id: the one that was rerun.
        document: the verdict as JSON.
    """

    experiment: str
    recipe: bytes
    state: int
    message: str | None
    proved_at: datetime
    jobs: int
    job_id: str
    document: str


def count_by_campaign(
    connection: Connection, experiment: str | None
) -> dict[tuple[str, str], Counter[int]]:
    """Return how many jobs of each experiment and campaign have a recipe in which state.

    Jobs that are not over, and reruns, are not counted; see `STATE_OF_JOB`.
    """
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
    """Return how many recipes are in each state; those that were never rerun do not count.

    A job without a recipe that was rerun counts as one of its own.
    """
    query = select(Proof.state, func.count()).group_by(Proof.state)
    return Counter({int(state): recipes for state, recipes in connection.execute(query)})


def list_not_proven(
    connection: Connection, *, experiment: str | None, limit: int
) -> list[NotProven]:
    """Return recipes that were rerun and are not proven, those that most jobs share first."""
    sharing = _sharing()
    query = (
        select(
            Experiment.name, Proof.recipe, Proof.state, Proof.message, Proof.proved_at,
            sharing.label("jobs"), Job.uuid, Verdict.document,
        )
        .join(Experiment, Experiment.id == Proof.experiment_id)
        .join(Verdict, Verdict.entry_id == Proof.entry_id)
        .join(Job, Job.id == Verdict.job_id)
        .where(Proof.state != PROVEN)
        .order_by(sharing.desc(), Proof.entry_id.desc())
        .limit(limit)
    )  # fmt: skip
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    return [NotProven(*row) for row in connection.execute(query)]


def recipes_to_prove(
    connection: Connection, experiment: int, *, before: datetime, limit: int
) -> list[Candidate]:
    """Return the recipes of an experiment that are to be rerun, in order.

    First those that are not proven and were rerun before a moment, or have news since; then those
    that were never rerun. In both groups the recipes that most jobs share come first, then the
    newest.
    """
    again = _again(connection, experiment, before, limit)
    return again + _never(connection, experiment, limit - len(again))


def _again(
    connection: Connection, experiment: int, before: datetime, limit: int
) -> list[Candidate]:
    sharing = _sharing()
    query = (
        select(Proof.recipe, Proof.proved_at)
        .outerjoin(
            DueProof,
            and_(DueProof.experiment_id == Proof.experiment_id, DueProof.recipe == Proof.recipe),
        )
        .where(
            Proof.experiment_id == experiment,
            Proof.state != PROVEN,
            or_(DueProof.recipe.is_not(None), Proof.proved_at < before),
        )
        .order_by(sharing.desc(), Proof.entry_id.desc())
        .limit(limit)
    )
    proved_at = {bytes(recipe): moment for recipe, moment in connection.execute(query)}
    best: dict[bytes, int] = {}
    for part in chunks(list(proved_at)):
        own = [job_id for job_id in map(job_of_key, part) if job_id]
        chosen = _eligible(experiment).where(or_(Job.recipe.in_(part), Job.uuid.in_(own)))
        rows = connection.execute(chosen.group_by(PROOF_KEY))
        best.update((bytes(row.recipe), row.best) for row in rows)
    # In the order of the first query; a recipe may have lost its jobs by revised records
    ordered = [(recipe, best[recipe]) for recipe in proved_at if recipe in best]
    return _candidates(connection, ordered, proved_at)


def _never(connection: Connection, experiment: int, limit: int) -> list[Candidate]:
    """Return recipes that were never rerun. One pass over the jobs of the experiment."""
    if limit <= 0:
        return []
    shared = _eligible(experiment).group_by(PROOF_KEY).subquery("shared")
    query = (
        select(shared.c.recipe, shared.c.best)
        .outerjoin(Proof, and_(Proof.experiment_id == experiment, Proof.recipe == shared.c.recipe))
        .where(Proof.recipe.is_(None))
        .order_by(shared.c.jobs.desc(), shared.c.best.desc())
        .limit(limit)
    )
    rows = [(bytes(recipe), best) for recipe, best in connection.execute(query)]
    return _candidates(connection, rows, {})


def _eligible(experiment: int) -> Select[Any]:
    """Return the query for recipes, how many jobs have each, and the best of these.

    That is the newest of the highest grade, of the jobs that are over, have their code, and are no
    reruns. It comes as grade and key in one number.
    """
    grade_and_key = cast(Job.level, BigInteger) * _KEY_BITS + Job.id
    columns: tuple[Any, ...] = (
        PROOF_KEY.label("recipe"),
        func.count().label("jobs"),
        func.max(grade_and_key).label("best"),
    )
    return select(*columns).where(Job.experiment_id == experiment, IS_ENDED, Job.level >= 1)


def _sharing() -> Any:
    """Return how many jobs share the recipe of a proof; one has a job without a recipe."""
    sharing = (
        select(func.count())
        .select_from(Job)
        .where(
            Job.experiment_id == Proof.experiment_id,
            Job.recipe == Proof.recipe,
            Job.rerun_of.is_(None),
        )
        .correlate(Proof)
        .scalar_subquery()
    )
    return case((Proof.recipe >= OWN, 1), else_=sharing)


def _candidates(
    connection: Connection,
    rows: Sequence[tuple[bytes, int]],
    proved_at: dict[bytes, datetime],
) -> list[Candidate]:
    """Return candidates of rows (recipe, grade and key of a job), with the names of the jobs."""
    keys = [best % _KEY_BITS for _, best in rows]
    names: dict[int, tuple[str, str]] = {}
    query = select(Job.id, Job.uuid, Experiment.name).join(
        Experiment, Experiment.id == Job.experiment_id
    )
    for job, job_id, experiment in rows_among(connection, query, Job.id, keys):
        names[job] = job_id, experiment
    candidates = []
    for (recipe, _), key in zip(rows, keys, strict=True):
        candidates.append(Candidate(recipe, key, *names[key], proved_at.get(recipe)))
    return candidates
