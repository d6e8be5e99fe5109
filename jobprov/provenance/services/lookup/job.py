"""Everything recorded of one job, and what the service found out about it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import asdict
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.lookup.jobs import (
    Failure,
    JobAnswer,
    JobLinks,
    JobSummary,
    RecordOfWitness,
    Witness,
)
from jobprov.provenance.answers.reruns.proofs import JobProof
from jobprov.provenance.db.queries.lookup.jobs.by_id import jobs_by_batch_id, jobs_by_id
from jobprov.provenance.db.queries.lookup.jobs.details import (
    FoundJob,
    attempts_of,
    conflict_count,
    final_records_of,
    find_batch_job,
    find_jobs,
    input_files,
    input_links,
    moved_refs,
    output_consumers,
    output_urls,
    provisional_records_of,
    resolutions_of,
    verdicts_of,
)
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.recording.findings import closures_of_jobs
from jobprov.provenance.db.recording.output_counts import lost_outputs
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from jobprov.provenance.records.files.names import full_name
from jobprov.provenance.records.gaps.gaps import needs_of_next
from jobprov.provenance.records.identity import witness_rank
from jobprov.provenance.records.job_record import JobRecord, JsonObject
from jobprov.provenance.records.merging import merge_witnesses
from jobprov.provenance.records.recipes import recipe_of, recipe_text, result_of, result_text
from jobprov.provenance.records.verdicts import rank
from jobprov.provenance.services.failures.classes import classes_of
from jobprov.provenance.services.intake.log_tails import list_tails
from jobprov.provenance.services.ledger.witnessed_jobs import (
    MergedReading,
    WitnessRecords,
    read_together,
    read_witnesses,
)
from jobprov.provenance.services.lookup.gaps import job_proof, level_proven, with_proof
from jobprov.provenance.services.recording.derivation import Grading, grade
from jobprov.provenance.services.recording.findings import find_for
from jobprov.provenance.services.search.near_names import nearest

_MOST_BEGUN = 10
_UUID_LENGTH, _UUID_DASHES = 36, 4
_UUID_LETTERS = frozenset("0123456789abcdef-")


class ReadJob(NamedTuple):
    """A job with its records as they stand, read once for whatever is asked of it.

    Attributes:
        records: the plain record of each witness.
    """

    found: FoundJob
    witnesses: WitnessRecords
    records: dict[str, JsonObject]
    reading: MergedReading

    @classmethod
    def of(cls, found: FoundJob, witnesses: WitnessRecords) -> "ReadJob":
        """Return a job whose records are filled in.

        Raises:
            NotFoundError: there are none: see `read_together`.
        """
        records = witnesses.records_but(None)
        return cls(found, witnesses, records, read_together(records))

    def body_of(self, witness: str | None = None) -> bytes:
        """Return the exact bytes of one witness's record; the first in precedence by default.

        Raises:
            NotFoundError: that witness sent none.
        """
        finals = self.witnesses.finals
        bodies = self.witnesses.bodies()
        best = sorted(bodies, key=lambda name: (name not in finals, witness_rank(name)))
        if witness is None:
            return bodies[best[0]]
        if witness not in bodies:
            raise NotFoundError(f"No record of job {self.found.job_id} by witness {witness}.", best)
        return bodies[witness]


def find_job(connection: Connection, job_id: str, *, experiment: str | None = None) -> FoundJob:
    """Return the job with this id, or with this batch id (the newest of its attempts).

    People copy what pages and pictures show: the first digits of an id, or a batch id without its
    schedd, are enough if only one job has them.

    Raises:
        NotFoundError: no such job is recorded, or several jobs begin with this text.
        AmbiguousError: several experiments have it.
    """
    if not _is_uuid(job_id):
        attempts = find_batch_job(connection, job_id)
        return attempts[0] if attempts else _find_by_beginning(connection, job_id, experiment)
    jobs = find_jobs(connection, job_id.lower(), experiment)
    if not jobs:
        raise NotFoundError(f"No job {job_id} is recorded.", nearest(connection, job_id, "job"))
    if len(jobs) > 1:
        choices = [(job.experiment, "") for job in jobs]
        raise AmbiguousError(
            f"Several experiments have a job {job_id}; say which with experiment=.", choices
        )
    return jobs[0]


def _is_uuid(job_id: str) -> bool:
    return (
        len(job_id) == _UUID_LENGTH
        and job_id.count("-") == _UUID_DASHES
        and not set(job_id.lower()) - _UUID_LETTERS
    )


def _find_by_beginning(connection: Connection, begun: str, experiment: str | None) -> FoundJob:
    """Return the only job whose id begins with this text, or whose batch id is this and a schedd.

    Raises:
        NotFoundError: no job or several jobs fit.
    """
    ids = {hit.text for hit in jobs_by_id(connection, begun, _MOST_BEGUN)}
    batch_ids: set[str] = set()
    if "@" not in begun:
        batch_ids = {hit.text for hit in jobs_by_batch_id(connection, f"{begun}@", _MOST_BEGUN)}
    if len(ids) == 1:
        return find_job(connection, ids.pop(), experiment=experiment)
    if len(batch_ids) == 1:
        return find_batch_job(connection, batch_ids.pop())[0]
    if several := sorted(ids or batch_ids):
        raise NotFoundError(f"Several jobs begin with {begun}: give more of the id.", several)
    raise NotFoundError(
        f"No job {begun} is recorded. A job id is a UUID; a batch id looks like 81234.17@sched01.",
        nearest(connection, begun, "job"),
    )


def read_job(
    connection: Connection, store: Store, job_id: str, *, experiment: str | None = None
) -> ReadJob:
    """Return the job with the records of all its witnesses.

    Raises:
        NotFoundError: no such job is recorded, or its records were erased in a later state of this
            database.
        AmbiguousError: several experiments have it.
    """
    found = find_job(connection, job_id, experiment=experiment)
    witnesses = read_witnesses(connection, store, [found.key])
    return ReadJob.of(found, witnesses[found.key])


def summarize_job(connection: Connection, job: ReadJob) -> JobSummary:
    """Return a job in short."""
    return summaries_of(connection, [job.found.key])[job.found.key]


def failure_of(connection: Connection, job: ReadJob) -> Failure | None:
    """Return what the failure of a job was; None where it did not fail."""
    return classes_of(connection, [job.found.key]).get(job.found.key)


def show_job(connection: Connection, job: ReadJob, *, witness: str | None = None) -> JobAnswer:
    """Return everything recorded of a job, and what the service found out about it.

    Raises:
        NotFoundError: that witness sent no record.
    """
    key, reading = job.found.key, job.reading
    summary = summarize_job(connection, job)
    proof = job_proof(connection, key, summary)
    grading = _grading(connection, job, proof)
    decided_by = None
    if reading.record.exit is not None:
        decided_by = reading.record.exit.decided_by
    finals = final_records_of(connection, key)
    originals = [record for record in finals if record.revision == 0]
    originals += provisional_records_of(connection, key)
    attempts = attempts_of(connection, key)
    verdicts = verdicts_of(connection, key)
    _, contradictions = merge_witnesses(job.records)
    return JobAnswer(
        failure=failure_of(connection, job),
        decided_by=decided_by,
        output_count=summary.output_count,
        summary=summary,
        record=json.loads(job.body_of(witness)),
        merged=reading.raw,
        received_at=summary.received_at,
        witnesses=[_witness(record, job.records[record.witness]) for record in originals],
        contradictions=contradictions,
        software=software_of(connection, job),
        configurations=reading.raw.get("configurations") or [],
        inputs=_inputs(connection, job),
        outputs=_outputs(connection, job),
        grade=f"L{grading.level}",
        level=grading.level,
        proof=proof,
        next_level_needs=needs_of_next(grading.level, grading.gaps),
        gaps=grading.gaps,
        missing_blobs=grading.missing_blobs,
        recipe_id=_recipe_id(reading.record),
        result_id=_result_id(reading.record),
        revisions=[record for record in finals if record.revision > 0],
        conflict_count=conflict_count(connection, key),
        verdicts=verdicts,
        best_verdict=max(verdicts, key=_rank_of, default=None),
        attempts=attempts,
        retry_of=summary.retry_of or _attempt_before(attempts, summary.job_id),
        links=_links(job, summary),
        log_tails=list_tails(connection, job.found.experiment, job.found.job_id),
    )


def _recipe_id(record: JobRecord) -> str | None:
    recipe = recipe_of(record)
    return None if recipe is None else recipe_text(recipe)


def _result_id(record: JobRecord) -> str | None:
    result = result_of(record)
    return None if result is None else result_text(result)


def _grading(connection: Connection, job: ReadJob, proof: JobProof | None) -> Grading:
    """Return how complete a job is, by its records and by the proof of its recipe."""
    key, reading = job.found.key, job.reading
    closures = closures_of_jobs(connection, [key])[key]
    arrivals = [job.found.received_at]
    [findings] = find_for(connection, Memory(), [reading], [closures], arrivals)
    recorded = grade(reading, findings)
    return recorded._replace(
        level=level_proven(recorded.level, recorded.gaps, proof),
        gaps=with_proof(recorded.gaps, proof),
    )


def _witness(record: RecordOfWitness, witnessed: Mapping[str, Any]) -> Witness:
    """Return what one witness recorded of the end, even if another one takes precedence."""
    end = witnessed.get("exit") or {}
    reasons = [end[name] for name in ("error_class", "message") if isinstance(end.get(name), str)]
    reason = ": ".join(reasons) or None
    return Witness(**asdict(record), state=witnessed.get("state"), reason=reason)


def software_of(connection: Connection, job: ReadJob) -> list[dict[str, object]]:
    """Return the software of a job as recorded, each entry with what the service found about it."""
    key = job.found.key
    resolutions, moved = resolutions_of(connection, key), moved_refs(connection, key)
    software = []
    for place, entry in enumerate(job.reading.raw.get("software") or ()):
        findings = {"resolution": resolutions.get(place), "moved_ref": moved.get(place, [])}
        software.append({**entry, **findings})
    return software


def _inputs(connection: Connection, job: ReadJob) -> list[dict[str, object]]:
    """Return the inputs as recorded, each with its page and the jobs that made it.

    One recorded by bare name also comes with the namespace and name that its catalog has.
    """
    key = job.found.key
    makers, files = input_links(connection, key), input_files(connection, key)
    inputs = []
    for place, recorded in enumerate(job.reading.raw.get("inputs") or ()):
        file = files.get(place)
        findings: dict[str, object] = {"url": file and file.url, "producers": makers.get(place, [])}
        if file is not None and file.namespace and not recorded.get("namespace"):
            findings["did"] = full_name(file.name, file.namespace)
        inputs.append({**recorded, **findings})
    return inputs


def _outputs(connection: Connection, job: ReadJob) -> list[dict[str, object]]:
    """Return the outputs as recorded, each with what the service knows of it."""
    key = job.found.key
    counts, urls = output_consumers(connection, key), output_urls(connection, key)
    lost = lost_outputs(connection, key)
    outputs = []
    for place, file in enumerate(job.reading.raw.get("outputs") or ()):
        findings = {
            "url": urls.get(place),
            "consumer_count": counts.get(place, 0),
            "is_retired": place in lost.retired,
            "is_unarrived": place in lost.unarrived,
        }
        outputs.append({**file, **findings})
    return outputs


def _rank_of(verdict: Mapping[str, Any]) -> int:
    return rank(str(verdict.get("level")))


def _attempt_before(attempts: Sequence[JobSummary], job_id: str) -> str | None:
    """Return the attempt before this one at the same unit, which is what a retry repeats."""
    ids = [attempt.job_id for attempt in attempts]
    place = ids.index(job_id) if job_id in ids else 0
    return ids[place - 1] if place > 0 else None


def _links(job: ReadJob, summary: JobSummary) -> JobLinks:
    answer = f"/api/v1/jobs/{job.found.job_id}"
    return JobLinks(answer=answer, page=summary.url, bundle=f"{answer}/bundle")
