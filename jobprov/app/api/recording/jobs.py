"""Recording jobs over HTTP: one, many, and corrections.

The hot path: the request's thread reads, unpacks and decodes; the writer's thread does the rest,
for all who wait at once.
"""

import re
from datetime import UTC, datetime

import msgspec
from flask import Response, request

from jobprov.app.api.recording.batches import read_batch
from jobprov.app.api.recording.log_tails import forget_tails
from jobprov.app.api.wire.answers import (
    batch_result,
    conflict_words,
    json_answer,
    public_url,
    record_answer,
)
from jobprov.app.api.wire.bodies import read_body, wrong_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import (
    check_experiment,
    check_jobs,
    check_record,
    recording_grant,
    refusal,
    writing_grant,
)
from jobprov.app.api.wire.secrets import refuse_secrets, refuse_secrets_of, secret_messages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.recording import BatchAnswer, BatchResult, RecordAnswer
from jobprov.provenance.errors import BadInputError, ConflictError, RecordError
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.decoding import LIMIT_BYTES, DecodedRecord, decode_record
from jobprov.provenance.services.intake.excerpts import CONTENT_TYPE, HEAD_BYTES
from jobprov.provenance.services.intake.secrets import secrets_in_record, without_secrets
from jobprov.provenance.services.intake.tokens import Grant
from jobprov.provenance.services.recording.dead_letters import Undecoded, keep_letters
from jobprov.provenance.services.recording.submissions import STATUS, Submission

section = Section("recording", "Recording jobs.")

BATCH_BYTES = 32 * 1024 * 1024
REASON_LIMIT = 2000


class Revision(msgspec.Struct):
    """A corrected record and why it is one."""

    record: msgspec.Raw
    reason: str


class BatchBody(msgspec.Struct):
    """Up to 1000 records, 32 MiB in all."""

    jobs: list[JobRecord]


class RevisionBody(msgspec.Struct):
    """A corrected record and why it is one."""

    record: JobRecord
    reason: str


_JOB_ID = re.compile(rb'"job_id"\s{0,9}:\s{0,9}"([0-9a-f-]{36})"')
_revision = msgspec.json.Decoder(Revision)


@section.put(
    "/jobs/<job_id>",
    {201: RecordAnswer, 200: RecordAnswer, 202: RecordAnswer},
    body=JobRecord,
    errors=(409,),
)
def put_job(job_id: str) -> Response:
    """Record a job.

    201 where it is new; 200 where it is the same again, replaces a provisional record, or is a late
    provisional one; 202 where it is of a later version, kept unread; 409 where another final record
    of the same witness is held. Sending again is harmless. A body of type
    `application/vnd.jobprov.excerpts` names excerpts by digest; 422 `unknown-excerpt` asks for the
    whole record.
    """
    grant = recording_grant()
    body, new_excerpts = _read_record(grant)
    try:
        decoded = decode_record(body)
        # First: what the sender may not record is not kept for a replay either
        check_record(grant, decoded)
        _check_address(decoded, job_id)
    except RecordError as problem:
        _keep_letters(grant, [_letter(job_id, problem, body)])
        raise
    refuse_secrets_of(decoded)
    service = get_service()
    outcome = service.record(Submission.ready(decoded, datetime.now(UTC), grant.submitter))
    if outcome.change == "conflict":
        raise ConflictError(conflict_words(outcome.job_id))
    forget_tails([(decoded, outcome)])
    service.excerpts.remember(grant.experiment, new_excerpts, outcome.missing_blobs)
    return json_answer(record_answer(outcome, public_url()), STATUS[outcome.change])


@section.post("/jobs/batch", BatchAnswer, body=BatchBody)
def post_batch() -> Response:
    """Record up to 1000 jobs at once.

    The results come in order, each with the status that the record would have had alone, even if
    one of them is not JSON. A body that cannot be taken apart is refused as a whole and
    kept as a dead letter.
    """
    grant = recording_grant()
    with get_service().batch_turns:  # the body is there, and waits on disk
        body = read_body(BATCH_BYTES)
        bodies = _split(grant, body)
        del body  # whole, it would be held as long as its parts are worked on
        return json_answer(_record_batch(grant, bodies))


def _record_batch(grant: Grant, bodies: list[bytes]) -> BatchAnswer:
    now = datetime.now(UTC)
    letters: list[Undecoded] = []
    # Of each record, in order, either the record itself or why it is refused
    records = [_take(grant, body, letters) for body in bodies]
    records = _without_refused_jobs(grant, records)

    taken = [record for record in records if isinstance(record, DecodedRecord)]
    submissions = Submission.packed_together(taken, now, grant.submitter)
    outcomes = get_service().record_many(submissions)
    forget_tails(zip(taken, outcomes, strict=True))
    _keep_letters(grant, letters)

    here = public_url()
    next_outcome = iter(outcomes)
    results: list[BatchResult] = []
    for record in records:
        if isinstance(record, BatchResult):
            results.append(record)
        else:
            results.append(batch_result(next(next_outcome), here))
    return BatchAnswer(results)


def _without_refused_jobs(
    grant: Grant, records: list[BatchResult | DecodedRecord]
) -> list[BatchResult | DecodedRecord]:
    """Return the records with a refusal in place of each whose job the sender may not record."""
    job_ids = [record.job_id for record in records if isinstance(record, DecodedRecord)]
    refusals = check_jobs(grant, job_ids)
    checked: list[BatchResult | DecodedRecord] = []
    for record in records:
        reason = None
        if isinstance(record, DecodedRecord):
            reason = refusals.get(record.job_id)
        if reason:
            checked.append(BatchResult(record.job_id, 403, detail=reason))
        else:
            checked.append(record)
    return checked


@section.post(
    "/jobs/<job_id>/revisions",
    {201: RecordAnswer, 200: RecordAnswer},
    body=RevisionBody,
    errors=(409,),
)
def post_revision(job_id: str) -> Response:
    """Keep a corrected record beside the first; the newest feeds lineage and pages."""
    grant = writing_grant()
    body = read_body(LIMIT_BYTES + 4 * REASON_LIMIT)
    revision = _read_revision(body)
    reason = revision.reason.strip()
    if not reason or len(reason) > REASON_LIMIT or "\0" in reason:
        raise BadInputError(
            "A revision needs a reason.", {"reason": [f"1 to {REASON_LIMIT} characters"]}
        )
    try:
        decoded = decode_record(bytes(revision.record))
        check_experiment(grant, decoded.experiment)
        _check_revision(decoded, job_id)
    except RecordError as problem:
        _keep_letters(grant, [_letter(job_id, problem, body)])
        raise
    refuse_secrets_of(decoded)
    refuse_secrets({"reason": reason})
    outcome = get_service().record(Submission(decoded, datetime.now(UTC), grant.submitter, reason))
    # A revision that replaces the record is itself a new one
    status = 201 if outcome.change == "replaced" else STATUS[outcome.change]
    return json_answer(record_answer(outcome, public_url()), status)


def _read_record(grant: Grant) -> tuple[bytes, list[bytes]]:
    """Return the record's exact bytes, and the excerpts in them that the client marked."""
    if request.mimetype != CONTENT_TYPE:
        return read_body(LIMIT_BYTES), []
    return get_service().excerpts.unfold(grant.experiment, read_body(LIMIT_BYTES + HEAD_BYTES))


def _split(grant: Grant, body: bytes) -> list[bytes]:
    """Return the records of a batch; a body that cannot be taken apart is kept as a dead letter."""
    try:
        return read_batch(body)
    except BadInputError as problem:
        _keep_letters(grant, [_letter("", problem, body)])
        raise


def _take(grant: Grant, body: bytes, letters: list[Undecoded]) -> BatchResult | DecodedRecord:
    """Return a record of a batch that may be recorded, or why it may not.

    One that cannot be decoded is added to the dead letters.
    """
    try:
        decoded = decode_record(body)
    except RecordError as problem:
        job_id = _job_id_in(body)
        letters.append(_letter(job_id, problem, body))
        status = 413 if len(body) > LIMIT_BYTES else 422
        return BatchResult(job_id, status, detail=str(problem), errors=problem.fields)
    if not grant.allows_record(decoded.experiment, decoded.task_id):
        return BatchResult(decoded.job_id, 403, detail=refusal(grant, decoded))
    if secrets := secrets_in_record(decoded):
        detail = "The record holds what looks like a secret and was not stored; send it redacted."
        return BatchResult(decoded.job_id, 422, detail=detail, errors=secret_messages(secrets))
    return decoded


def _read_revision(body: bytes) -> Revision:
    try:
        return _revision.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise wrong_body(problem, Revision) from None


def _check_revision(decoded: DecodedRecord, job_id: str) -> None:
    _check_address(decoded, job_id)
    if decoded.record is None:
        raise RecordError(
            "A record of a later version cannot be a revision yet.",
            {"schema_version": ["not read yet"]},
        )


def _check_address(decoded: DecodedRecord, job_id: str) -> None:
    if decoded.job_id != job_id:
        raise RecordError(
            f"The address names job {job_id[:100]}, the record job {decoded.job_id}.",
            {"job_id": ["not that of the address"]},
        )


def _letter(job_id: str, problem: BadInputError, body: bytes) -> Undecoded:
    reason = without_secrets(
        str(problem).encode(errors="replace")
    ).decode()  # it may quote what was sent
    return Undecoded(
        job_id.replace("\0", ""),
        reason.replace("\0", ""),
        datetime.now(UTC),
        without_secrets(body),
    )


def _keep_letters(grant: Grant, letters: list[Undecoded]) -> None:
    if not letters:
        return
    service = get_service()
    with service.reading() as connection:
        service.letter_quota.check(connection, grant.experiment)
    size_bytes = service.write(lambda writing: keep_letters(writing, grant, letters))
    service.letter_quota.add(grant.experiment, size_bytes)


class _JobName(msgspec.Struct):
    job_id: str = ""


def _job_id_in(body: bytes) -> str:
    """Return the job id of a record that cannot be taken, as far as it can be read."""
    try:
        return msgspec.json.decode(body, type=_JobName).job_id[:100]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Also in a body that is not JSON, so that people can tell whose letter it is
        match = _JOB_ID.search(body)
        return match[1].decode() if match else ""
