"""Jobs by the beginning of their job id or batch id."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, LargeBinary, Select, select, type_coerce

from jobprov.provenance.answers.addresses import job_page
from jobprov.provenance.answers.search import Hit
from jobprov.provenance.db.queries.fragments.patterns import begins
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB, with_stage
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Experiment, Job
from jobprov.provenance.times import minute_text

_HEX_DIGITS = frozenset("0123456789abcdef")
_SHORTEST_JOB_ID, _LONGEST_JOB_ID = 8, 32


def jobs_by_id(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return jobs whose id begins so; eight digits at least."""
    digits = text.lower().replace("-", "")
    if not _SHORTEST_JOB_ID <= len(digits) <= _LONGEST_JOB_ID or set(digits) - _HEX_DIGITS:
        return []
    # ids are compared as the 16 bytes that are stored, so that an index finds a range of them
    first = type_coerce(uuid.UUID(digits.ljust(_LONGEST_JOB_ID, "0")).bytes, LargeBinary)
    last = type_coerce(uuid.UUID(digits.ljust(_LONGEST_JOB_ID, "f")).bytes, LargeBinary)
    stored_id = type_coerce(Job.uuid, LargeBinary)
    query = _jobs(Job.uuid).where(stored_id >= first, stored_id <= last).limit(most)
    hits = []
    for job_id, *facts in connection.execute(query):
        hits.append(Hit("job", job_id, job_words(*facts), job_page(job_id)))
    return hits


def jobs_by_batch_id(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return jobs whose batch id begins so; none where the text does not look like one."""
    if not text[0].isdigit():
        return []
    query = (
        _jobs(Job.uuid, Job.batch_id)
        .where(begins(Job.batch_id, text))
        .order_by(Job.batch_id)
        .limit(most)
    )
    hits = []
    for job_id, batch_id, *facts in connection.execute(query):
        hits.append(Hit("job", batch_id or "", job_words(*facts), job_page(job_id)))
    return hits


def job_words(experiment: str, stage: str | None, state: int, ended_at: datetime | None) -> str:
    """Return a job in a few words: `nova, reco, succeeded 2026-11-29 14:02 UTC`."""
    words = STATES[state]
    if ended_at is not None:
        words += f" {minute_text(ended_at)}"
    return ", ".join(word for word in (experiment, stage, words) if word)


def _jobs(*columns: Any) -> Select[Any]:
    """Return the query of these columns of jobs, then of what `job_words` takes."""
    query: Select[Any] = select(
        *columns, Experiment.name, STAGE_OF_JOB, Job.state, Job.ended_at
    ).select_from(Job)
    return with_stage(query.join(Experiment, Experiment.id == Job.experiment_id))
