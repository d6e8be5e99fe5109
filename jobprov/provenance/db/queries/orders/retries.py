"""Attempts at the units of tasks, for retries, and what experiments have retried without asking.

Attempts are in order, with what is known of how each ended.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, literal_column, select, true

from jobprov.provenance.db.queries.fragments.bad_jobs import NEVER_BEGAN
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Experiment,
    Host,
    Job,
    NodeAttempt,
    RetryPolicyRow,
    Stage,
    TaskRow,
)


class RecordedAttempt(NamedTuple):
    """One job of a task.

    Attributes:
        began: False for a job that was removed before.
        knows_unit: False for a job that counts for the unit that another attempt names.
    """

    key: int
    job_id: str
    task_id: str | None
    stage: str | None
    unit: str | None
    state: str
    site: str | None
    exit_code: int | None
    exit_signal: int | None
    message: str | None
    received_at: datetime
    rerun_of: str | None
    knows_unit: bool
    began: bool


def attempts_at_units(
    connection: Connection, task: int, units: Collection[str]
) -> dict[str, list[RecordedAttempt]]:
    """Return the jobs of a task at these units, by unit, the last to end last.

    Reruns for comparison are left out. "" stands for the jobs that name no unit.
    """
    query = _selected().where(Job.task_id == task, Job.rerun_of.is_(None)).order_by(_ORDER, Job.id)
    rows = list(rows_among(connection, query, Job.unit, [unit for unit in units if unit]))
    if "" in units:
        rows += connection.execute(query.where(func.coalesce(Job.unit, "") == ""))
    attempts: dict[str, list[RecordedAttempt]] = {}
    for row in rows:
        attempt = _attempt(row)
        attempts.setdefault(attempt.unit or "", []).append(attempt)
    return attempts


def attempts_of_units(
    connection: Connection, experiment: str, job_ids: Sequence[str]
) -> list[RecordedAttempt]:
    """Return these jobs of an experiment; those that it does not have are left out."""
    query = _selected().where(Experiment.name == experiment).order_by(_ORDER, Job.id)
    return [_attempt(row) for row in rows_among(connection, query, Job.uuid, job_ids)]


_ORDER = func.coalesce(Job.ended_at, Job.received_at)


def _selected() -> Select[Any]:
    columns: tuple[Any, ...] = (
        Job.id, Job.uuid, TaskRow.task_id, Stage.name, Job.unit, Job.state, Host.site,
        Job.exit_code, Job.exit_signal, Job.message, Job.received_at, Job.rerun_of,
        func.coalesce(NodeAttempt.knows_unit, true()), literal_column(NEVER_BEGAN),
    )  # fmt: skip
    return (
        select(*columns)
        .select_from(Job)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .outerjoin(TaskRow, TaskRow.id == Job.task_id)
        .outerjoin(Stage, Stage.id == TaskRow.stage_id)
        .outerjoin(Host, Host.id == Job.host_id)
        .outerjoin(NodeAttempt, NodeAttempt.job_id == Job.id)
    )


def _attempt(row: Any) -> RecordedAttempt:
    key, uuid, task, stage, unit, state, *others, never_began = row
    columns = (key, uuid, task, stage, unit, STATES[state], *others, not never_began)
    return RecordedAttempt._make(columns)


def policy_documents(connection: Connection, experiment: str) -> dict[str, str]:
    """Return the policies of an experiment by stage, each as JSON."""
    query = (
        select(RetryPolicyRow.stage, RetryPolicyRow.document)
        .join(Experiment, Experiment.id == RetryPolicyRow.experiment_id)
        .where(Experiment.name == experiment)
        .order_by(RetryPolicyRow.stage)
    )
    return dict(connection.execute(query).all())
