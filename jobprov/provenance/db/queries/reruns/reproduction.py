"""Verdicts by recipe: which were run again, with what outcome last, and which are next."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, case, func, literal, or_, select

from jobprov.provenance.db.queries.fragments.proofs import OWN
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Experiment, Job, Proof, Verdict
from jobprov.provenance.records.verdicts import NOTHING, OF_OUTPUTS

_COMPARED_SOMETHING = '"comparisons": [{'
"""How the stored document of a verdict with a compared output reads."""
_DRILLED_STATES = tuple(STATES.index(state) for state in ("succeeded", "failed"))


class Candidate(NamedTuple):
    """A recipe to be run again, by one of its jobs.

    Attributes:
        drilled_at: when one of its jobs was last compared; None where none ever was.
    """

    recipe: bytes
    job: int
    job_id: str
    experiment: str
    drilled_at: datetime | None


class LevelCount(NamedTuple):
    """How many recipes have a last verdict of one level and age.

    Attributes:
        level: `none` where the verdict compared nothing.
        age: how many of the moments that were asked about lie after the verdict.
    """

    level: str
    age: int
    recipes: int


def recipe_count(connection: Connection) -> int:
    """Return how many recipes there are. One pass over their index: 0.1 s for a million."""
    return connection.execute(
        select(func.count(func.distinct(Job.recipe))).where(Job.recipe.is_not(None))
    ).scalar_one()


def rerun_without_recipe(connection: Connection) -> int:
    """Return how many jobs without a recipe jobprov reran: each is a recipe of its own."""
    query = select(func.count()).select_from(Proof).where(Proof.recipe >= OWN)
    return connection.execute(query).scalar_one()


def _last_verdicts() -> Any:
    """Return the subquery for the last verdict of each recipe that was run again.

    A job without a recipe is one of its own once it is among proofs.
    """
    own_jobs = (
        select(Verdict.job_id)
        .join(Proof, Proof.entry_id == Verdict.entry_id)
        .where(Proof.recipe >= OWN)
    )
    # From the few verdicts to their jobs
    recipe = select(Job.recipe).where(Job.id == Verdict.job_id).scalar_subquery()
    verdict = select(recipe.label("recipe"), Verdict.job_id, Verdict.entry_id).subquery("verdict")
    own_key = case((verdict.c.recipe.is_(None), verdict.c.job_id), else_=0)
    return (
        select(verdict.c.recipe, func.max(verdict.c.entry_id).label("entry"))
        .where(or_(verdict.c.recipe.is_not(None), verdict.c.job_id.in_(own_jobs)))
        .group_by(verdict.c.recipe, own_key)
        .subquery("last")
    )


def last_levels(connection: Connection, since: list[datetime]) -> list[LevelCount]:
    """Return how many recipes there are by level and age of their last verdicts.

    Args:
        since: moments, the newest first: a verdict after the first of them has age 0.
    """
    last = _last_verdicts()
    age = case(
        *[(Verdict.posted_at >= moment, place) for place, moment in enumerate(since)],
        else_=len(since),
    )
    has_compared = Verdict.document.contains(_COMPARED_SOMETHING, autoescape=True)
    compared_nothing = Verdict.level.in_(OF_OUTPUTS) & ~has_compared
    level = case((compared_nothing, NOTHING), else_=Verdict.level)
    query = (
        select(level.label("shown_level"), age.label("age"), func.count())
        .join(last, last.c.entry == Verdict.entry_id)
        .group_by("shown_level", "age")
    )
    return [LevelCount(level, int(age), count) for level, age, count in connection.execute(query)]


def never_drilled(connection: Connection, *, experiment: str | None, limit: int) -> list[Candidate]:
    """Return recipes none of whose jobs was ever compared, in the order of their digests.

    This makes a sample without bias.
    """
    compared = (
        select(Job.recipe).join(Verdict, Verdict.job_id == Job.id).where(Job.recipe.is_not(None))
    )
    query = _eligible(experiment, literal(None)).where(Job.recipe.not_in(compared))
    return _candidates(connection, query.order_by(Job.recipe).limit(limit))


def least_recently_drilled(
    connection: Connection, *, experiment: str | None, before: datetime, limit: int
) -> list[Candidate]:
    """Return recipes that were compared before a moment, those compared longest ago first."""
    last = _last_verdicts()
    query = (
        _eligible(experiment, func.max(Verdict.posted_at))
        .join(last, last.c.recipe == Job.recipe)
        .join(Verdict, Verdict.entry_id == last.c.entry)
        .where(Verdict.posted_at < before)
    )
    return _candidates(
        connection, query.order_by(func.max(Verdict.entry_id), Job.recipe).limit(limit)
    )


def _eligible(experiment: str | None, drilled_at: Any) -> Select[Any]:
    """Return the query for each recipe's first job that is over, has its code, and is no rerun."""
    query: Select[Any] = (
        select(Job.recipe, func.min(Job.id), drilled_at)
        .where(
            Job.recipe.is_not(None),
            Job.state.in_(_DRILLED_STATES),
            Job.level >= 1,
            Job.rerun_of.is_(None),
        )
        .group_by(Job.recipe)
    )
    if experiment is not None:
        query = query.join(Experiment, Experiment.id == Job.experiment_id).where(
            Experiment.name == experiment
        )
    return query


def _candidates(connection: Connection, query: Select[Any]) -> list[Candidate]:
    """Return candidates of rows (recipe, job, moment), with the names of their jobs."""
    rows = connection.execute(query).all()
    jobs = [job for _, job, _ in rows]
    names: dict[int, tuple[str, str]] = {}
    named = select(Job.id, Job.uuid, Experiment.name).join(
        Experiment, Experiment.id == Job.experiment_id
    )
    for job, job_id, experiment in connection.execute(named.where(Job.id.in_(jobs))):
        names[job] = job_id, experiment
    candidates = []
    for recipe, job, drilled_at in rows:
        candidates.append(Candidate(bytes(recipe), job, *names[job], drilled_at))
    return candidates
