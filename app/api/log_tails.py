"""Taking the ends of logs while their jobs run."""

from collections.abc import Collection

import msgspec
from flask import Response, request

from app.api.answers import json_answer
from app.api.asking import checked_name, parameters
from app.api.bodies import read_body
from app.api.documenting import Section
from app.api.guard import check_experiment, check_job, recording_grant
from app.errors import SecretFoundError
from app.wiring import get_service
from provenance.errors import ConflictError
from provenance.records.decoding import DecodedRecord
from provenance.schemas.queries import LogTailQuery, read_query
from provenance.services.log_tails import KEPT_BYTES, TAILS, LogTails
from provenance.services.show_job import read_job
from provenance.services.store_blobs import find_secret

section = Section("log-tails", "Ends of logs of running jobs.")


class TailAnswer(msgspec.Struct):
    """Up to which position the service has the log."""

    job_id: str
    name: str
    received_bytes: int


@section.call(
    "PUT",
    "/jobs/<job_id>/logs/<name>",
    body="application/octet-stream",
    answers={200: TailAnswer},
    parameters=parameters(LogTailQuery),
    errors=(300, 404, 409, 413, 415, 422),
    writes=True,
)
def put_log_tail(job_id: str, name: str) -> Response:
    """Put some bytes at their position (`offset`) in the log of a running job; its last 256 kB are kept.

    409 where a record brought the log: that one stays.
    """
    grant, service = recording_grant(), get_service()
    query = read_query(LogTailQuery, request.args)
    checked_name(name)
    experiment = query.get("experiment") or grant.experiment
    with service.reading() as connection:
        job = read_job(connection, service.store, checked_name(job_id, "job_id"), experiment=experiment)
    check_experiment(grant, job.found.experiment)
    check_job(grant, job.found.job_id)
    if any(log.name == name for log in job.reading.record.logs or ()):
        raise ConflictError(f"Log {name} of job {job_id} came with the job's record; nothing is added to it.")
    chunk = read_body(KEPT_BYTES)
    if rules := find_secret(chunk):
        words = f"The log holds what looks like a secret (rule {', '.join(rules)}); send it redacted."
        raise SecretFoundError(words, {"": [f"secret-found: {', '.join(rules)}"]})
    folder = service.settings.data / TAILS
    tail = LogTails(folder, job.found.experiment, job.found.job_id).append(name, query.get("offset", 0), chunk)
    return json_answer(TailAnswer(job.found.job_id, name, tail.end))


def forget_tails(decoded: DecodedRecord, missing: Collection[str]) -> None:
    """Remove the ends of logs that a record brought whole, but for those whose bytes are missing."""
    logs = decoded.record.logs if decoded.record is not None else None
    if logs:
        folder = get_service().settings.data / TAILS
        LogTails(folder, decoded.experiment, decoded.job_id).drop(
            log.name for log in logs if log.sha256 and log.sha256 not in missing
        )
