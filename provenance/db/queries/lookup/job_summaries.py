"""What lists and pages show of a job in short."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from jobprov.provenance.db.composed import run
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.fragments.node_facts import code_versions, job_url
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Experiment, Host, Job, ProvisionalRecord, Stage, TaskRow

_COLUMNS: tuple[Any, ...] = (
    Job.id, Job.uuid, Experiment.name, Job.state, Job.batch_id, Job.unit, TaskRow.task_id, Stage.campaign, Stage.name,
    Host.hostname, Host.site, Job.software_set_id, Job.received_at, Job.started_at, Job.ended_at, Job.exit_code,
    Job.exit_signal, Job.failed_step, Job.error_class, Job.message, Job.wall_seconds, Job.cpu_seconds, Job.max_rss_bytes,
    Job.level, Job.rerun_of, Job.retry_of,
)  # fmt: skip


def selected(*columns: Any) -> Select[Any]:
    """Return a query for columns of jobs and of what names their experiment, task, stage and host."""
    query: Select[Any] = select(*columns)
    return (
        query.select_from(Job)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .outerjoin(TaskRow, TaskRow.id == Job.task_id)
        .outerjoin(Stage, Stage.id == TaskRow.stage_id)
        .outerjoin(Host, Host.id == Job.host_id)
    )


SUMMARIES = selected(*_COLUMNS)
"""The query whose rows `summaries` reads."""
_SUMMARIES_OF = SUMMARIES.where(Job.id.in_(bindparam("keys", expanding=True)))


def job_summaries(connection: Connection, keys: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return what lists show of these jobs, by integer key."""
    rows: list[Any] = []
    for part in chunks(sorted(set(keys))):
        rows += run(connection, _SUMMARIES_OF, {"keys": part})
    return summaries(connection, rows) if rows else {}


def summaries(connection: Connection, rows: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """Return what lists show of the jobs of these rows, by integer key, in their order."""
    code = code_versions(connection, {row[11] for row in rows if row[11] is not None})
    heard = _last_heard(connection, [row[0] for row in rows if row[3] == STATES.index("running")])
    return {
        row[0]: _summary(
            row, code.get(row[11]) if row[11] is not None else None, heard.get(row[0], row[12])
        )
        for row in rows
    }


def _last_heard(connection: Connection, running: Sequence[int]) -> dict[int, datetime]:
    """Return when a record last said of each of these jobs that it runs.

    `received_at` of a job is when the first one came.
    """
    found: dict[int, datetime] = {}
    for part in chunks(running):
        query = select(ProvisionalRecord.job_id, func.max(ProvisionalRecord.received_at))
        rows = connection.execute(
            query.where(ProvisionalRecord.job_id.in_(part)).group_by(ProvisionalRecord.job_id)
        )
        found.update((row[0], row[1]) for row in rows)
    return found


def _summary(row: Any, code: str | None, heard: datetime) -> dict[str, Any]:
    (
        _, uuid, experiment, state, batch, unit, task, campaign, stage, hostname, site, _, received, started, ended,
        exit_code, exit_signal, failed_step, error_class, message, wall, cpu, memory, level, rerun_of, retry_of,
    ) = row  # fmt: skip
    return {
        "job_id": uuid,
        "experiment": experiment,
        "state": STATES[state],
        "batch_id": batch,
        "task": {
            "task_id": task,
            "campaign": campaign or None,
            "stage": stage or None,
            "unit": unit,
        },
        "host": {"hostname": hostname or None, "site": site or None},
        "code": code,
        "received_at": _text(received),
        "heard_at": _text(heard),
        "started_at": _text(started),
        "ended_at": _text(ended),
        "exit": {
            "code": exit_code,
            "signal": exit_signal,
            "failed_step": failed_step,
            "error_class": error_class,
            "message": message,
        },
        "resources": {"wall_seconds": wall, "cpu_seconds": cpu, "max_rss_bytes": memory},
        "grade": f"L{level}",
        "rerun_of": rerun_of,
        "retry_of": retry_of,
        "url": job_url(uuid),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
