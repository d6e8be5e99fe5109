"""Files that some jobs made, and the jobs that made them.

Outputs of failed jobs count by the same rule as in `versions.py`.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, exists, func, select, true
from sqlalchemy.orm import aliased

from jobprov.provenance.answers.histories.impact import InferredCode
from jobprov.provenance.db.queries.configurations.jobs_that_meet import conditions_that_meet
from jobprov.provenance.db.queries.configurations.parameter_values import ParameterCondition
from jobprov.provenance.db.queries.configurations.parameters import ParameterSearch
from jobprov.provenance.db.queries.fragments.claim_places import IN_ORDER, PLACE, behind
from jobprov.provenance.db.queries.fragments.membership import among, rows_among
from jobprov.provenance.db.queries.fragments.versions import is_version
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    conditions_by_keys,
    software_conditions,
)
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    Job,
    Resolution,
    SoftwareRow,
    Stage,
    TaskRow,
)

Conditions = Sequence[ColumnElement[bool]]
MOST_SEEDS = 100_000
MOST_FILES = 1_000_000
MOST_INFERRED = 100
_rerun = aliased(Job)


class TouchedFile(NamedTuple):
    """A file with the job and task that made it, and its place in lists (`claim_places`).

    Attributes:
        claim, file: their keys.
    """

    claim: int
    file: int
    place: int
    name: str
    namespace: str
    experiment: str
    job_id: str
    task_id: str | None
    stage: str | None


class MadeClaim(NamedTuple):
    """A file that a job claims to have made.

    Attributes:
        position: among the outputs of its record.
        alias_of: the claim of the same bytes under their first name; None where this is it.
    """

    claim: int
    job: int
    position: int
    alias_of: int | None


def jobs_that(
    connection: Connection, filters: JobFilters, asked: Sequence[ParameterCondition]
) -> Conditions | None:
    """Return the conditions on jobs; reruns are not excluded.

    Return None if no job meets one of the conditions on parameters that are asked for.
    """
    searches = [ParameterSearch(connection, condition) for condition in asked]
    met = conditions_that_meet(searches)
    if met is None:
        return None
    return [*conditions_by_keys(connection, filters), *met]


def inferred_code(connection: Connection, filters: JobFilters) -> list[InferredCode]:
    """Return the code that these filters ask for and whose commit was only inferred."""
    if filters.revision is None and filters.software_keys is None:
        return []
    query = (
        select(SoftwareRow.name, Resolution.document)
        .join(Resolution, Resolution.id == SoftwareRow.resolution_id)
        .where(*software_conditions(filters), SoftwareRow.match_key.is_(None))
        .distinct()
        .limit(MOST_INFERRED)
    )
    codes = []
    for name, text in connection.execute(query):
        resolution = json.loads(text)
        if product := resolution.get("product"):
            version, ref = product["version"], resolution["requested_ref"]
            codes.append(InferredCode(name, version, ref, resolution["commit"]))
    return sorted(codes, key=lambda code: (str(code.name), str(code.version)))


def count_jobs(connection: Connection, jobs: Conditions) -> int:
    """Return how many of these jobs are not reruns.

    An index counts all of these jobs; the few reruns among them are counted apart and subtracted.
    """
    query = select(func.count()).select_from(Job).where(*jobs)
    count = connection.execute(query).scalar_one()
    all_reruns = select(Job.id).where(Job.rerun_of.is_not(None))
    reruns = list(connection.execute(all_reruns).scalars())
    if not reruns:
        return count
    reruns_among_them = query.where(among(connection, Job.id, reruns))
    return count - connection.execute(reruns_among_them).scalar_one()


def made_claims(connection: Connection, jobs: Conditions, *, most: int) -> list[MadeClaim]:
    """Return the claims of these jobs by place in lists, at most `most`. Meant for few jobs."""
    chosen = _keys(jobs).subquery()
    columns = Claim.id, Claim.job_id, Claim.position, Claim.alias_of
    if connection.dialect.name == "postgresql":
        # The planner misjudges how many jobs these are, and would read the whole table of claims.
        # LATERAL with OFFSET 0 makes it look up each job's claims by their index
        its = (
            select(*columns)
            .where(Claim.job_id == chosen.c.id, is_version(chosen.c.state))
            .offset(0)
            .lateral()
        )
        query = (
            select(its).select_from(chosen.join(its, true())).order_by(its.c.job_id, its.c.position)
        )
    else:
        query = select(*columns).select_from(chosen).join(Claim, Claim.job_id == chosen.c.id)
        query = query.where(is_version(chosen.c.state)).order_by(*IN_ORDER)
    # `all`: to fetch the rows one by one takes twice as long
    return list(map(MadeClaim._make, connection.execute(query.limit(most)).all()))


def next_claims(connection: Connection, jobs: Conditions, *, after: int, most: int) -> list[int]:
    """Return the first claims of these jobs that come after a place, without other names of a file.

    Meant for very many jobs: claims are read in order until enough are found.
    """
    is_chosen = exists(
        _keys(jobs).where(Job.id == Claim.job_id, is_version(Job.state)).correlate(Claim)
    )
    query = select(Claim.id).where(behind(after), Claim.alias_of.is_(None), is_chosen)
    return [row[0] for row in connection.execute(query.order_by(*IN_ORDER).limit(most))]


def in_order(
    connection: Connection, claims: Sequence[int], *, after: int = 0, most: int | None = None
) -> list[int]:
    """Return those of the claims that come after a place, in order, at most `most`.

    Other names of the same bytes are left out, and so are outputs that do not count as made.
    """
    query = (
        select(Claim.id)
        .join(Job, Job.id == Claim.job_id)
        .where(among(connection, Claim.id, claims))
    )
    query = query.where(behind(after), Claim.alias_of.is_(None), is_version(Job.state))
    return [row[0] for row in connection.execute(query.order_by(*IN_ORDER).limit(most))]


def _keys(jobs: Conditions) -> Select[int, int]:
    """Return the query for keys and states of these jobs, without reruns.

    Reruns are excluded by key, since an index may answer all the other conditions.
    """
    reruns = select(_rerun.id).where(_rerun.rerun_of.is_not(None))
    return select(Job.id.label("id"), Job.state.label("state")).where(*jobs, Job.id.not_in(reruns))


def touched_files(connection: Connection, claims: Sequence[int]) -> Iterator[TouchedFile]:
    """Yield the files of these claims, which must be in the order of places.

    Other names of the same bytes are left out.
    """
    query = (
        select(
            Claim.id,
            Claim.file_id,
            PLACE,
            File.name,
            File.namespace,
            Experiment.name,
            Job.uuid,
            TaskRow.task_id,
            Stage.name,
        )
        .join(File, File.id == Claim.file_id)
        .join(Experiment, Experiment.id == File.experiment_id)
        .join(Job, Job.id == Claim.job_id)
        .outerjoin(TaskRow, TaskRow.id == Job.task_id)
        .outerjoin(Stage, Stage.id == TaskRow.stage_id)
        .where(Claim.alias_of.is_(None), is_version(Job.state))
        .order_by(*IN_ORDER)
    )
    for row in rows_among(connection, query, Claim.id, claims):
        yield TouchedFile(*row)


class TouchedCounts(NamedTuple):
    """How many files are touched, and how many jobs made them."""

    files: int
    jobs: int


def count_touched(connection: Connection, claims: Sequence[int]) -> TouchedCounts:
    """Return how many files these claims are, and how many jobs made them.

    A file of several names counts once.
    """
    query = select(func.count(), func.count(Claim.job_id.distinct())).join(
        Job, Job.id == Claim.job_id
    )
    query = query.where(Claim.alias_of.is_(None), is_version(Job.state))
    row = connection.execute(query.where(among(connection, Claim.id, claims))).one()
    return TouchedCounts(*row)
