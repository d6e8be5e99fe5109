"""Taking the ends of logs while their jobs run."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from flask import Response, request

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import checked_name
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, check_job, recording_grant
from jobprov.app.errors import SecretFoundError
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.recording import TailAnswer
from jobprov.provenance.errors import ConflictError
from jobprov.provenance.records.job_record import Log
from jobprov.provenance.records.reading.decoding import DecodedRecord
from jobprov.provenance.schemas.parameters import read_query
from jobprov.provenance.schemas.queries import LogTailQuery
from jobprov.provenance.services.intake.log_tails import KEPT_BYTES, Chunk, append_tail, drop_tails
from jobprov.provenance.services.intake.secrets import find_secret
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.recording.submissions import Outcome

section = Section("log-tails", "Ends of logs of running jobs.")


@section.put(
    "/jobs/<job_id>/logs/<name>",
    TailAnswer,
    body="application/octet-stream",
    query=LogTailQuery,
    errors=(300, 404, 409),
)
def put_log_tail(job_id: str, name: str) -> Response:
    """Put some bytes at their position (`offset`) in the log of a running job.

    Its last 256 kB are kept.

    409 where a record brought the log: that one stays.
    """
    grant, service = recording_grant(), get_service()
    query = read_query(LogTailQuery, request.args)
    checked_name(name)
    checked_name(job_id, "job_id")
    experiment = query.get("experiment") or grant.experiment
    with service.reading() as connection:
        job = read_job(connection, service.store, job_id, experiment=experiment)
    check_experiment(grant, job.found.experiment)
    check_job(grant, job.found.job_id)
    if any(log.name == name for log in job.reading.record.logs or ()):
        raise ConflictError(
            f"Log {name} of job {job_id} came with the job's record; nothing is added to it."
        )
    content = read_body(KEPT_BYTES)
    _refuse_secret(content)
    chunk = Chunk(
        job=job.found.key,
        experiment=job.found.experiment_key,
        name=name,
        offset=query.get("offset", 0),
        content=content,
        received_at=datetime.now(UTC),
    )
    end = service.write(lambda writing: append_tail(writing.connection, chunk))
    return json_answer(TailAnswer(job.found.job_id, name, end))


def _refuse_secret(content: bytes) -> None:
    rules = ", ".join(find_secret(content))
    if rules:
        raise SecretFoundError(
            f"The log holds what looks like a secret (rule {rules}); send it redacted.",
            {"": [f"secret-found: {rules}"]},
        )


def forget_tails(recorded: Iterable[tuple[DecodedRecord, Outcome]]) -> None:
    """Remove the ends of logs that records brought whole, unless the log's bytes are missing."""
    whole_logs: dict[tuple[str, str], list[str]] = {}
    for decoded, outcome in recorded:
        if decoded.record is None or not decoded.record.logs or outcome.change == "conflict":
            continue
        if outcome.change == "created" and decoded.witness == "wrapper":
            # A hook that sends ends of logs has sent a running record before: where its record is
            # the first of the job, there are no ends, and nothing needs to be written
            continue
        names = _names_of_sent(decoded.record.logs, outcome.missing_blobs)
        whole_logs[decoded.experiment, decoded.job_id] = names
    if whole_logs:
        get_service().write(lambda writing: drop_tails(writing.connection, whole_logs))


def _names_of_sent(logs: Sequence[Log], missing: Sequence[str]) -> list[str]:
    """Return the names of the logs whose bytes are here."""
    return [log.name for log in logs if log.sha256 and log.sha256 not in missing]
