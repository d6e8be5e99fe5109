"""Jobs that failed, and what was read of their failures."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.answers.lookup.jobs import Failure
from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Experiment, FailureClass, Job


class FailedJobRow(NamedTuple):
    """A job that failed, as the list of jobs knows it.

    Attributes:
        key, experiment_id, task_id: integer keys; no task is None.
        read_class: what the failure was, without the words of its rule; None where record and logs
            were not read yet.
    """

    key: int
    experiment_id: int
    experiment: str
    task_id: int | None
    received_at: datetime
    state: str
    exit_code: int | None
    exit_signal: int | None
    failed_step: str | None
    error_class: str | None
    message: str | None
    read_class: Failure | None


_COLUMNS = (
    Job.id,
    Job.experiment_id,
    Experiment.name.label("experiment"),
    Job.task_id,
    Job.received_at,
    Job.state,
    Job.exit_code,
    Job.exit_signal,
    Job.failed_step,
    Job.error_class,
    Job.message,
    FailureClass.class_name,
    FailureClass.rule,
    FailureClass.version,
    FailureClass.transient,
    FailureClass.log_name,
    FailureClass.log_at,
    FailureClass.cause,
    FailureClass.cause_key,
)


def cause_of(connection: Connection, experiment: str, job_uuid: str) -> str | None:
    """Return in words why a job failed, as other failures share it; None if that was not read."""
    asked = (
        select(FailureClass.cause)
        .join(Job, Job.id == FailureClass.job_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Job.uuid == job_uuid, Experiment.name == experiment)
    )
    return connection.execute(asked).scalar_one_or_none()


def failed_jobs(connection: Connection, jobs: Sequence[int]) -> list[FailedJobRow]:
    """Return those of the jobs that failed."""
    query = (
        select(*_COLUMNS)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .outerjoin(FailureClass, FailureClass.job_id == Job.id)
        .where(IS_BAD)
    )
    return [_failed_job(row) for row in rows_among(connection, query, Job.id, jobs)]


def _failed_job(row: Any) -> FailedJobRow:
    read_class = None
    if row.class_name is not None:
        read_class = Failure(
            class_name=row.class_name,
            words=None,
            advice=None,
            transient=row.transient,
            rule=row.rule,
            version=row.version,
            log_name=row.log_name,
            log_at=row.log_at,
            is_read=True,
            cause=row.cause,
            cause_id=row.cause_key,
        )
    return FailedJobRow(
        row.id,
        row.experiment_id,
        row.experiment,
        row.task_id,
        row.received_at,
        STATES[row.state],
        row.exit_code,
        row.exit_signal,
        row.failed_step,
        row.error_class,
        row.message,
        read_class,
    )
