"""How recorded jobs were submitted: what is known of it from their records and their task.

A job ad comes with the hook (`batch.classad_sha256`) or the witness (`extra.batch_submission`); the
jobsub_submit of a task with `--job-info`, in the declaration of the task or in the record.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.answers.orders.orders import RecordedSubmission
from jobprov.provenance.capture.surroundings.condor_ads import parse_ad
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.orders.retries import RecordedAttempt, attempts_of_units
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.launchers.condor.ads import Ad
from jobprov.provenance.launchers.condor.recorded_submission import submission_of
from jobprov.provenance.services.ledger.witnessed_jobs import WitnessRecords, read_witnesses
from jobprov.provenance.services.tasks.declarations import read_task_documents

_LARGEST_AD = 4 << 20


def read_submissions(
    connection: Connection, store: Store, experiment: str, job_ids: Sequence[str]
) -> list[RecordedSubmission]:
    """Return how jobs were submitted, as far as that is known; a few statements in all."""
    attempts = attempts_of_units(connection, experiment, job_ids)
    witnesses_by_job = read_witnesses(connection, store, [attempt.key for attempt in attempts])
    records = {job: witnesses.merged().raw for job, witnesses in witnesses_by_job.items()}
    commands = _declared_commands(connection, store, experiment, attempts)
    ads = _kept_ads(connection, store, experiment, records.values())
    submissions = []
    for attempt in attempts:
        record = records[attempt.key]
        batch, task = record.get("batch") or {}, record.get("task") or {}
        kept_ad = ads.get(str(batch.get("classad_sha256")))
        submission = RecordedSubmission(
            job_id=attempt.job_id,
            batch_id=batch.get("id"),
            ad=kept_ad or _witnessed_ad(witnesses_by_job[attempt.key]),
            command=_words(task.get("submit_command") or commands.get(attempt.task_id or "")),
            section=batch.get("section"),
        )
        submissions.append(submission)
    return submissions


def _words(command: object) -> list[str] | None:
    """Return a recorded argument list; None where there is none."""
    if not isinstance(command, list):
        return None
    return [str(word) for word in command]


def _witnessed_ad(witnesses: WitnessRecords) -> Ad | None:
    """Return what the batch history knows of the submission; None where no witness looked.

    The merged record may lack it, since it has the `extra` of the first witness alone.
    """
    for record in witnesses.records_but(None).values():
        submission = (record.get("extra") or {}).get("batch_submission")
        if isinstance(submission, dict):
            return submission_of(submission)
    return None


def _declared_commands(
    connection: Connection, store: Store, experiment: str, attempts: Iterable[RecordedAttempt]
) -> dict[str, object]:
    """Return the submit commands that the declarations of tasks have, by task id."""
    tasks = []
    for task_id in sorted({attempt.task_id for attempt in attempts if attempt.task_id}):
        tasks += find_tasks(connection, task_id, experiment)
    documents = read_task_documents(connection, store, tasks)
    declared = [task for task in tasks if task.key in documents]
    return {task.task_id: documents[task.key].get("submit_command") for task in declared}


def _kept_ads(
    connection: Connection,
    store: Store,
    experiment: str,
    records: Iterable[Mapping[str, Any]],
) -> dict[str, Ad]:
    """Return the job ads that are in the archive, by digest."""
    digests: set[str] = set()
    for record in records:
        digests.add(str((record.get("batch") or {}).get("classad_sha256") or ""))
    ads = {}
    for digest in possessed_blobs(connection, experiment, digests - {""}):
        try:
            if store.size(digest) <= _LARGEST_AD:
                text = store.get(digest).decode("utf-8", "replace")
                ads[digest] = submission_of(parse_ad(text))
        except ArchiveError:
            continue  # damaged or gone: `archive check` reports it
    return ads
