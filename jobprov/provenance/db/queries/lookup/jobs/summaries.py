"""What lists and pages show of a job in short."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select
from sqlalchemy.orm import aliased

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.lookup.jobs import (
    HostOfJob,
    JobExit,
    JobResources,
    JobSummary,
    TaskOfJob,
)
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.fragments.proofs import PROOF_OF_JOB, STATE_OF_JOB
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB
from jobprov.provenance.db.queries.lookup.experiments import names_of_experiments
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.recording.job_rows import RUNNING, STATES
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    GapSet,
    Host,
    Job,
    Proof,
    ProvisionalRecord,
    Stage,
    TaskRow,
)
from jobprov.provenance.records.proofs import level_with_proof, state_word
from jobprov.provenance.times import exact_utc_text, exact_utc_text_or_none

# No join: with one more table SQLite begins with the experiments
_GAP_CODES = select(GapSet.document).where(GapSet.id == Job.gap_set_id).scalar_subquery()
_COLUMNS: tuple[Any, ...] = (
    Job.id, Job.uuid, Experiment.name, Job.state, Job.batch_id, Job.unit,
    TaskRow.task_id, Stage.campaign, STAGE_OF_JOB, Host.hostname, Host.site, Job.software_set_id,
    Job.received_at, Job.started_at, Job.ended_at,
    Job.exit_code, Job.exit_signal, Job.failed_step, Job.error_class, Job.message,
    Job.wall_seconds, Job.cpu_seconds, Job.max_rss_bytes, Job.level, Job.rerun_of, Job.retry_of,
    STATE_OF_JOB, Job.output_count, _GAP_CODES,
)  # fmt: skip
_Own = aliased(Claim)
_FIRST_CLAIM = select(func.min(_Own.id)).where(_Own.job_id == Job.id).scalar_subquery()


def selected(*columns: Any) -> Select[Any]:
    """Return a query for columns of jobs and of their experiment, task, stage, host and proof."""
    query: Select[Any] = select(*columns)
    return (
        query.select_from(Job)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .outerjoin(TaskRow, TaskRow.id == Job.task_id)
        .outerjoin(Stage, Stage.id == TaskRow.stage_id)
        .outerjoin(Host, Host.id == Job.host_id)
        .outerjoin(Proof, PROOF_OF_JOB)
    )


SUMMARIES = selected(*_COLUMNS)
"""The query whose rows `summaries` reads."""
_SUMMARIES_OF = SUMMARIES.where(Job.id.in_(bindparam("keys", expanding=True)))


def summaries_of(connection: Connection, keys: Iterable[int]) -> dict[int, JobSummary]:
    """Return these jobs in short, by integer key."""
    rows = run(connection, _SUMMARIES_OF, {"keys": sorted(set(keys))})
    return summaries(connection, rows) if rows else {}


def summaries(connection: Connection, rows: Sequence[Any]) -> dict[int, JobSummary]:
    """Return the jobs of rows of `SUMMARIES` in short, by integer key, in their order."""
    software_sets = {row.software_set_id for row in rows if row.software_set_id is not None}
    running = [row.id for row in rows if row.state == RUNNING]
    code = code_versions(connection, software_sets)
    heard = _last_heard(connection, running)
    jobs = {}
    for row in rows:
        heard_at = heard.get(row.id, row.received_at)
        jobs[row.id] = _summary(row, code.get(row.software_set_id), heard_at)
    return jobs


def _last_heard(connection: Connection, running: Sequence[int]) -> dict[int, datetime]:
    """Return when each of these jobs last sent a record while it ran.

    `received_at` of a job is when the first one came.
    """
    job = ProvisionalRecord.job_id
    query = select(job, func.max(ProvisionalRecord.received_at)).group_by(job)
    return dict(rows_among(connection, query, job, running))


def _summary(row: Any, code: str | None, heard: datetime) -> JobSummary:
    (
        _, uuid, experiment, state, batch, unit,
        task, campaign, stage, hostname, site, _,
        received, started, ended,
        exit_code, exit_signal, failed_step, error_class, message,
        wall, cpu, memory, level, rerun_of, retry_of,
        proof, output_count, gap_codes,
    ) = row  # fmt: skip
    return JobSummary(
        job_id=uuid,
        experiment=experiment,
        state=STATES[state],
        batch_id=batch,
        task=TaskOfJob(task, campaign or None, stage or None, unit),
        host=HostOfJob(hostname or None, site or None),
        code=code,
        received_at=exact_utc_text(received),
        heard_at=exact_utc_text(heard),
        started_at=exact_utc_text_or_none(started),
        ended_at=exact_utc_text_or_none(ended),
        exit=JobExit(exit_code, exit_signal, failed_step, error_class, message),
        resources=JobResources(wall, cpu, memory),
        output_count=output_count,
        grade=f"L{level_with_proof(level, proof, json.loads(gap_codes or '[]'))}",
        proof=state_word(proof),
        rerun_of=rerun_of,
        retry_of=retry_of,
        url=job_page(uuid),
    )


def first_files(connection: Connection, job_ids: Iterable[str]) -> dict[tuple[str, str], FileName]:
    """Return the first output of each of these jobs, by job id and experiment of the job."""
    query = (
        select(Job.uuid, Job.experiment_id, File.name, File.namespace, File.experiment_id)
        .select_from(Job)
        .join(Claim, Claim.id == _FIRST_CLAIM)
        .join(File, File.id == Claim.file_id)
    )
    rows = list(rows_among(connection, query, Job.uuid, job_ids))
    experiments: set[int] = set()
    for _, of_job, _, _, of_file in rows:
        experiments.update((of_job, of_file))
    names = names_of_experiments(connection, experiments)
    files = {}
    for job_id, of_job, name, namespace, of_file in rows:
        experiment = names[of_file]
        page = file_page(name, experiment, namespace)
        files[job_id, names[of_job]] = FileName(name, namespace, experiment, page)
    return files
