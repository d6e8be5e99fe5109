"""Everything recorded of one job, and what the service found out about it."""

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.job_details import (
    FoundJob,
    attempts_of,
    conflict_count,
    file_links,
    find_batch_job,
    find_jobs,
    input_links,
    moved_refs,
    output_consumers,
    resolutions_of,
    verdicts_of,
    witnesses_of,
)
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.db.queries.lookup.search import jobs_by_batch_id, jobs_by_id
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from jobprov.provenance.records.gaps import find_gaps, level_of, needs_of_next
from jobprov.provenance.records.identity import witness_rank
from jobprov.provenance.records.merging import merge_witnesses
from jobprov.provenance.records.recipes import recipe_of, recipe_text, result_of, result_text
from jobprov.provenance.records.verdicts import rank
from jobprov.provenance.services.failures.classes import classes_of
from jobprov.provenance.services.ledger.frames import Documents
from jobprov.provenance.services.ledger.witnessed_jobs import (
    HeldJob,
    MergedReading,
    fill_records,
    read_together,
)
from jobprov.provenance.services.recording.findings import find_for

_MOST_BEGUN = 10


class ReadJob(NamedTuple):
    """A job with its records as they stand."""

    found: FoundJob
    held: HeldJob
    reading: MergedReading

    def body_of(self, witness: str | None = None) -> bytes:
        """Return the exact bytes of one witness's record; the first in precedence by default.

        Raises:
            NotFoundError: that witness sent none.
        """
        bodies = {
            **self.held.provisional,
            **{name: final.body for name, final in self.held.finals.items()},
        }
        best = sorted(bodies, key=lambda name: (name not in self.held.finals, witness_rank(name)))
        if witness is None:
            return bodies[best[0]]
        if witness not in bodies:
            raise NotFoundError(f"No record of job {self.found.job_id} by witness {witness}.", best)
        return bodies[witness]


def find_job(connection: Connection, job_id: str, *, experiment: str | None = None) -> FoundJob:
    """Return the job with this id, or with this batch id (the newest of its attempts).

    People copy what pages and pictures show: eight digits of an id or more, or a batch id without
    its schedd, do where they name one.

    Raises:
        NotFoundError: no such job is recorded, or several begin so.
        AmbiguousError: several experiments have it.
    """
    is_uuid = (
        len(job_id) == 36  # noqa: PLR2004
        and job_id.count("-") == 4  # noqa: PLR2004
        and not set(job_id.lower()) - set("0123456789abcdef-")
    )
    if not is_uuid:
        if found := find_batch_job(connection, job_id):
            return found[0]
        return _find_begun(connection, job_id, experiment)
    found = find_jobs(connection, job_id.lower(), experiment)
    if not found:
        raise NotFoundError(f"No job {job_id} is recorded.")
    if len(found) > 1:
        choices = [(job.experiment, "") for job in found]
        raise AmbiguousError(
            f"Several experiments have a job {job_id}; say which with experiment=.", choices
        )
    return found[0]


def _find_begun(connection: Connection, begun: str, experiment: str | None) -> FoundJob:
    ids = {hit.text for hit in jobs_by_id(connection, begun, _MOST_BEGUN)}
    batch_ids = (
        set()
        if "@" in begun
        else {hit.text for hit in jobs_by_batch_id(connection, f"{begun}@", _MOST_BEGUN)}
    )
    if len(ids) == 1:
        return find_job(connection, ids.pop(), experiment=experiment)
    if len(batch_ids) == 1:
        return find_batch_job(connection, batch_ids.pop())[0]
    if several := sorted(ids or batch_ids):
        raise NotFoundError(f"Several jobs begin with {begun}: give more of the id.", several)
    raise NotFoundError(
        f"No job {begun} is recorded. A job id is a UUID; a batch id looks like 81234.17@sched01."
    )


def read_job(
    connection: Connection, store: Documents, job_id: str, *, experiment: str | None = None
) -> ReadJob:
    """Return the job with the records of all its witnesses.

    Raises:
        NotFoundError: no such job is recorded, or its records were erased in a later state of this
            database.
    """
    found = find_job(connection, job_id, experiment=experiment)
    held = HeldJob(found.key, found.received_at, {}, {})
    fill_records(connection, store, {found.key: held})
    return ReadJob(found, held, read_together(held.records_but(None)))


def show_job(
    connection: Connection,
    store: Documents,
    job_id: str,
    *,
    experiment: str | None = None,
    witness: str | None = None,
) -> dict[str, Any]:
    """Return everything that the page of a job shows, in the words of the HTTP interface.

    Raises:
        NotFoundError: no such job is recorded, or that witness sent no record.
        AmbiguousError: several experiments have it.
    """
    job = read_job(connection, store, job_id, experiment=experiment)
    key = job.found.key
    reading = job.reading
    [found] = find_for(connection, None, [reading])
    gaps = find_gaps(reading.record, found)
    level = level_of(gaps, reading.record, found)
    failure = classes_of(connection, [key]).get(key)
    witnesses, revisions = witnesses_of(connection, key)
    records = job.held.records_but(None)
    inputs, outputs = _linked_files(connection, key, reading.raw)
    summary = job_summaries(connection, [key])[key]
    attempts = attempts_of(connection, key)
    verdicts = verdicts_of(connection, key)
    return {
        "failure": failure.shown() if failure else None,
        "summary": summary,
        "record": json.loads(job.body_of(witness)),
        "merged": reading.raw,
        "received_at": summary["received_at"],
        "witnesses": [{**row, **_said(records[row["witness"]])} for row in witnesses],
        "contradictions": _contradictions(records),
        "software": _software(connection, key, reading.raw),
        "configurations": reading.raw.get("configurations") or [],
        "inputs": inputs,
        "outputs": outputs,
        "grade": f"L{level}",
        "level": level,
        "next_level_needs": needs_of_next(level, gaps),
        "gaps": [
            {"code": gap.code, "message": gap.message, "how_to_close": gap.how_to_close}
            for gap in gaps
        ],
        "missing_blobs": sorted(found.missing_blobs),
        "recipe_id": None if (recipe := recipe_of(reading.record)) is None else recipe_text(recipe),
        "result_id": None if (result := result_of(reading.record)) is None else result_text(result),
        "revisions": revisions,
        "conflict_count": conflict_count(connection, key),
        "verdicts": verdicts,
        "best_verdict": max(
            verdicts, key=lambda verdict: rank(str(verdict.get("level"))), default=None
        ),
        "attempts": attempts,
        "retry_of": summary["retry_of"] or _derived_retry(attempts, summary["job_id"]),
        "links": {
            "self": f"/api/v1/jobs/{job.found.job_id}",
            "page": summary["url"],
            "bundle": f"/api/v1/jobs/{job.found.job_id}/bundle",
        },
    }


def _said(record: dict[str, Any]) -> dict[str, Any]:
    """Return what one witness says of the end: also where another one's word goes before."""
    end = record.get("exit") or {}
    words = [end[name] for name in ("error_class", "message") if isinstance(end.get(name), str)]
    return {"state": record.get("state"), "reason": ": ".join(words) or None}


def _contradictions(records: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"field": found.field, "values": found.values} for found in merge_witnesses(records)[1]]


def _software(connection: Connection, key: int, raw: dict[str, Any]) -> list[dict[str, Any]]:
    resolved, moved = resolutions_of(connection, key), moved_refs(connection, key)
    return [
        {**entry, "resolution": resolved.get(place), "moved_ref": moved.get(place, [])}
        for place, entry in enumerate(raw.get("software") or ())
    ]


def _linked_files(
    connection: Connection, key: int, raw: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return inputs and outputs as recorded, each with its page, its producers or the number of its consumers."""
    producers, used = input_links(connection, key), output_consumers(connection, key)
    input_urls, output_urls = file_links(connection, key)
    inputs = [
        {**file, "url": input_urls.get(place), "producers": producers.get(place, [])}
        for place, file in enumerate(raw.get("inputs") or ())
    ]
    outputs = [
        {**file, "url": output_urls.get(place), "consumer_count": used.get(place, 0)}
        for place, file in enumerate(raw.get("outputs") or ())
    ]
    return inputs, outputs


def _derived_retry(attempts: list[dict[str, Any]], job_id: str) -> str | None:
    """Return the attempt before this one at the same unit, which is what a retry repeats."""
    ids = [attempt["job_id"] for attempt in attempts]
    place = ids.index(job_id) if job_id in ids else 0
    return ids[place - 1] if place > 0 else None
