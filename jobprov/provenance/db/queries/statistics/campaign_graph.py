"""A campaign folded to classes of jobs, and how many files went from one class to another.

A class is (stage, code version, state).

Counting reads every job and every input of the campaign once: a second for some hundred thousand.
What was counted for a large campaign is kept (`services/kept_answers`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Experiment,
    SoftwareRow,
    SoftwareSetMember,
    Stage,
    TaskRow,
)
from jobprov.provenance.lineage.graph import SHARED_ROLES
from jobprov.provenance.lineage.quotient import Flow, FoldedGraph, JobClass, bounded

MOST_GROUPS = 20_000
"""Groups of jobs, or of files between them; with more, jobs are not grouped by code version."""

_SHARED = ", ".join(f"'{role}'" for role in sorted(SHARED_ROLES))

_STAGE = """
coalesce(CASE WHEN {task}.has_several_stages
  THEN (SELECT s.id FROM stages s WHERE s.id = {job}.stage_id AND s.name <> '') END, {task}.stage_id)
"""
"""The stage of a job: its own, if its task has several."""
_STAGES = {
    "job_stage": _STAGE.format(task="t", job="j"),
    "user_stage": _STAGE.format(task="ut", job="u"),
}

# CROSS JOIN: the order of the loops is kept, from the tasks on; on PostgreSQL by _POSTGRESQL_LOOPS
_CLASSES = """
SELECT {job_stage} AS own_stage, {job_set} AS software, j.state, count(*)
FROM tasks t CROSS JOIN jobs j
WHERE t.id {some} AND j.task_id = t.id
GROUP BY own_stage, {job_set}, j.state LIMIT :most
"""
_OUTPUTS = """
SELECT {job_stage} AS own_stage, {job_set} AS software, j.state, sum(j.output_count)
FROM tasks t CROSS JOIN jobs j
WHERE t.id {some} AND j.task_id = t.id
GROUP BY own_stage, {job_set}, j.state LIMIT :most
"""
"""The files that the jobs of each class made: one that a job and its retry read counts once."""
_FLOWS = f"""
SELECT from_stage, from_set, from_state, to_stage, to_set, to_state, count(*) FROM (
  SELECT DISTINCT c.id AS claim,
    {{job_stage}} AS from_stage, {{job_set}} AS from_set, j.state AS from_state,
    {{user_stage}} AS to_stage, {{user_set}} AS to_set, u.state AS to_state
  FROM tasks t CROSS JOIN jobs j CROSS JOIN claims c CROSS JOIN producers p
    CROSS JOIN mentions m CROSS JOIN jobs u CROSS JOIN tasks ut
  WHERE t.id {{some}} AND j.task_id = t.id AND c.job_id = j.id
    AND p.claim_id = c.id AND m.identity_id = p.identity_id
    AND u.id = m.job_id AND u.id <> j.id AND ut.id = u.task_id AND (ut.id {{every}}) IS TRUE
    AND coalesce(m.role, '') NOT IN ({_SHARED})
) AS files
GROUP BY from_stage, from_set, from_state, to_stage, to_set, to_state LIMIT :most
"""  # noqa: S608 - roles are words of this package
_POSTGRESQL_LOOPS = {
    "join_collapse_limit": "1",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
"""Settings with which PostgreSQL follows indexes from the jobs of one part.

Left to itself it may read whole tables for each.
"""
_NO_VERSION = "CAST(NULL AS INTEGER)"
_JOBS_AT_ONCE = 50_000
"""Jobs whose files one statement counts.

What it remembers of them stays small, however large the campaign.
"""

_Groups = dict[tuple[Any, ...], int]


class CampaignKey(NamedTuple):
    """A campaign by its experiment's integer key and its name."""

    experiment: int
    campaign: str


def campaign_experiments(connection: Connection, campaign: str) -> list[str]:
    """Return the names of the experiments that have a campaign of this name, in order."""
    query = select(Experiment.name).join(Stage, Stage.experiment_id == Experiment.id).distinct()
    return list(
        connection.execute(
            query.where(Stage.campaign == campaign).order_by(Experiment.name)
        ).scalars()
    )


def campaign_tasks(
    connection: Connection, campaign: CampaignKey, task_ids: Sequence[str] = ()
) -> dict[int, str]:
    """Return the tasks of a campaign, those of these ids where any are given.

    The answer is their ids by integer key.
    """
    query = (
        select(TaskRow.id, TaskRow.task_id)
        .join(Stage, Stage.id == TaskRow.stage_id)
        .where(Stage.experiment_id == campaign.experiment, Stage.campaign == campaign.campaign)
    )
    if task_ids:
        query = query.where(TaskRow.task_id.in_(task_ids))
    return {row[0]: row[1] for row in connection.execute(query)}


def count_jobs(connection: Connection, tasks: Sequence[int], *, most: int) -> int:
    """Return how many jobs these tasks have, `most` where they are as many or more.

    It reads an index alone.
    """
    is_of_task = f"task_id {_among(connection, 'tasks')}"
    listed = f"SELECT 1 FROM jobs WHERE {is_of_task} LIMIT :most"  # noqa: S608 - a constant
    statement = text(f"SELECT count(*) FROM ({listed}) AS listed")  # noqa: S608
    values = {"tasks": _keys(connection, tasks), "most": most}
    return int(connection.execute(statement, values).scalar_one())


def fold_tasks(connection: Connection, tasks: Sequence[int]) -> FoldedGraph:
    """Return the jobs of these tasks, folded, and the files between them.

    Shared inputs (calibration, geometry) are no flow.
    """
    parts = _parts(connection, tasks)
    _set_loops(connection, _POSTGRESQL_LOOPS)
    job_set = "j.software_set_id"
    classes = _grouped(connection, _CLASSES, parts, tasks, job_set=job_set)
    flows = _grouped(
        connection, _FLOWS, parts, tasks, job_set=job_set, user_set="u.software_set_id"
    )
    if classes is None or flows is None:
        job_set = _NO_VERSION
        classes = _grouped(connection, _CLASSES, parts, tasks, job_set=job_set)
        flows = _grouped(connection, _FLOWS, parts, tasks, job_set=job_set, user_set=_NO_VERSION)
    outputs = _grouped(connection, _OUTPUTS, parts, tasks, job_set=job_set)
    _set_loops(connection, dict.fromkeys(_POSTGRESQL_LOOPS, "DEFAULT"))
    classes, flows, outputs = classes or {}, flows or {}, outputs or {}
    place = {key: index for index, key in enumerate(classes)}
    return bounded(
        _job_classes(connection, classes, outputs),
        [Flow(place[key[:3]], place[key[3:]], files) for key, files in flows.items()],
    )


def _parts(connection: Connection, tasks: Sequence[int]) -> list[list[int]]:
    """Return the tasks in parts of some ten thousand jobs; a larger task is a part by itself."""
    is_of_task = f"task_id {_among(connection, 'tasks')}"
    counted = f"SELECT task_id, count(*) FROM jobs WHERE {is_of_task}"  # noqa: S608 - a constant
    statement = text(f"{counted} GROUP BY task_id")
    parts: list[list[int]] = [[]]
    jobs = 0
    for task, count in connection.execute(statement, {"tasks": _keys(connection, tasks)}):
        if parts[-1] and jobs + count > _JOBS_AT_ONCE:
            parts.append([])
            jobs = 0
        parts[-1].append(task)
        jobs += count
    return parts


def _set_loops(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set how PostgreSQL plans until the transaction ends."""
    if connection.dialect.name == "postgresql":
        for name, value in settings.items():
            connection.execute(text(f"SET LOCAL {name} = {value}"))


def _grouped(
    connection: Connection,
    statement: str,
    parts: Sequence[Sequence[int]],
    tasks: Sequence[int],
    **columns: str,
) -> _Groups | None:
    """Return the groups that a statement counts, by what tells them apart.

    None where they are too many.
    """
    full = text(
        statement.format(
            some=_among(connection, "some"), every=_all(connection, "tasks"), **_STAGES, **columns
        )
    )
    every = {"tasks": _keys(connection, tasks)} if ":tasks" in full.text else {}
    groups: _Groups = {}
    for part in parts:
        values = {"some": _keys(connection, part), "most": MOST_GROUPS + 1, **every}
        for *key, count in connection.execute(full, values):
            groups[tuple(key)] = groups.get(tuple(key), 0) + count
        if len(groups) > MOST_GROUPS:
            return None
    return groups


def _job_classes(connection: Connection, groups: _Groups, outputs: _Groups) -> list[JobClass]:
    sets = {key[1] for key in groups if key[1] is not None}
    names, revisions = code_versions(connection, sets), _revisions(connection, sets)
    stages = _stage_names(connection, {key[0] for key in groups})
    classes = []
    for key, jobs in groups.items():
        stage, software, state = key
        job_class = JobClass(
            stage=stages.get(stage, ""),
            code_version=names.get(software, ""),
            state=STATES[state],
            jobs=jobs,
            revision=revisions.get(software, ""),
            outputs=outputs.get(key, 0),
        )
        classes.append(job_class)
    return classes


def _stage_names(connection: Connection, keys: set[int]) -> dict[int, str]:
    query = select(Stage.id, Stage.name)
    return dict(rows_among(connection, query, Stage.id, sorted(keys)))


def _revisions(connection: Connection, software_sets: set[int]) -> dict[int, str]:
    """Return for each software list the ref or commit by which its users are found.

    By it, lists of jobs find those that ran the list's first entry.
    """
    of_list = SoftwareSetMember.software_set_id
    query = (
        select(of_list, SoftwareRow.requested_ref, SoftwareRow.revision)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .order_by(of_list, SoftwareSetMember.position)
    )
    revisions: dict[int, str] = {}
    for software_set, ref, revision in rows_among(
        connection, query, of_list, sorted(software_sets)
    ):
        revisions.setdefault(software_set, ref or revision or "")
    return revisions


def _among(connection: Connection, name: str) -> str:
    # one bound value, however many keys: a list of placeholders may pass the limit of the database
    if connection.dialect.name == "sqlite":
        return f"IN (SELECT value FROM json_each(:{name}))"  # noqa: S608 - our own words
    return f"= ANY(CAST(:{name} AS bigint[]))"


def _all(connection: Connection, name: str) -> str:
    # `= ANY` of thousands of tasks is searched from its beginning for each row, once PostgreSQL plans
    # for any values, as it does from the eleventh part on; of a subquery it makes a hash table
    if connection.dialect.name == "sqlite":
        return _among(connection, name)
    return f"IN (SELECT unnest(CAST(:{name} AS bigint[])))"


def _keys(connection: Connection, tasks: Sequence[int]) -> Any:
    if connection.dialect.name == "sqlite":
        return json.dumps(list(tasks))
    return list(tasks)
