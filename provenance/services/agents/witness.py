"""The witness outside: tells the service of attempts that the batch system saw end.

It does so whether their hook reported or not.

Idempotent: what was told is remembered, and telling it again changes nothing. Bounded: so many
attempts a run, oldest first.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from jobprov.provenance.capture.sending.delivery import LaterError, RefusedError
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor.attempts import Attempt, Collection
from jobprov.provenance.launchers.condor.ends import end_of, last_seen_at
from jobprov.provenance.launchers.condor.leftovers import Leftovers
from jobprov.provenance.launchers.condor.logs import kept_logs
from jobprov.provenance.launchers.condor.record import experiment_of, job_id_of, record_of
from jobprov.provenance.services.agents.witness_state import WitnessState

_BATCH_RECORDS = 100
_CONFLICT = 409
_SKEW_SECONDS = 3600
"""By how much the clock of a schedd may be before ours.

What ended later than that has a date that is wrong, and is not waited for.
"""
_UNUSABLE = 422  # saying it again would not help; the service keeps the body as a dead letter


Deliver = Callable[[BinaryIO], object]
"""Sends an entry of the hook's spool, as the hook does; raises LaterError and RefusedError."""


@dataclass(frozen=True)
class Telling:
    """What to tell, and what not.

    Attributes:
        now: seconds since 1970.
        experiment: tell only of its jobs, and of those that name none; None tells of those that
            name one.
        settle_seconds: an attempt must be over for so long, since the batch system writes its facts
            one after the other.
        limit: attempts a run at most.
        with_logs: whether output and event logs of jobs that did not succeed are sent.
        deliver: how records of the hook that came home unsent are sent; None leaves them where they
            are.
    """

    now: int
    experiment: str | None = None
    settle_seconds: int = 60
    limit: int = 20_000
    with_logs: bool = True
    deliver: Deliver | None = None


@dataclass
class Report:
    """What a run did.

    Attributes:
        states: attempts told, by the state that the batch system saw.
        new: how many of them the service did not know of this witness.
        leftovers: records of the hook that came home unsent, and were sent now.
        told_before: attempts that an earlier run told.
        waiting: attempts that ended just now; the next run tells of them.
        left: attempts beyond the limit; the next run tells of them.
        elsewhere: attempts of other experiments, or of none.
        conflicts: job ids of which this witness had said something else; the first word stands.
        refused: why the service did not take a record, by job id.
        reached: the moment up to which everything was told, seconds since 1970.
    """

    states: dict[str, int] = field(default_factory=dict)
    new: int = 0
    leftovers: int = 0
    told_before: int = 0
    waiting: int = 0
    left: int = 0
    elsewhere: int = 0
    conflicts: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    reached: int | None = None


def witness_batch(
    client: Client | None, collection: Collection, state: WitnessState, telling: Telling
) -> Report:
    """Tell of the attempts of a collection that were not told yet.

    Without a client, only count them.

    Raises:
        UnreachableError: the service does not answer; what was told before that is remembered.
        ForbiddenError: the token does not allow it.
    """
    report = Report(reached=telling.now)
    chosen, leftovers = _choose(collection, state, telling, report), Leftovers()
    for start in range(0, len(chosen), _BATCH_RECORDS):
        part = chosen[start : start + _BATCH_RECORDS]
        records = [record_of(attempt, experiment) for attempt, experiment, _ in part]
        if client is not None:
            held_up = _send_leftovers(leftovers, part, records, telling, report)
            told = _tell(client, part, records, telling, report)
            state.note_told((job_id, at) for job_id, at in told if job_id not in held_up)
        for record in records:
            report.states[record["state"]] = report.states.get(record["state"], 0) + 1
    return report


Chosen = tuple[Attempt, str, float]


def _choose(
    collection: Collection, state: WitnessState, telling: Telling, report: Report
) -> list[Chosen]:
    """Return (attempt, experiment, end) of what is to be told, oldest first."""
    chosen: list[Chosen] = []
    for attempt in collection.attempts.values():
        named = experiment_of(attempt)
        experiment = named or telling.experiment
        # Without any date it could be waited for for ever
        at = end_of(attempt).at or last_seen_at(attempt) or 0.0
        if experiment is None or telling.experiment not in (None, experiment):
            report.elsewhere += 1
        elif state.was_told(job_id_of(attempt)):
            report.told_before += 1
        elif telling.now - telling.settle_seconds < at <= telling.now + _SKEW_SECONDS:
            report.waiting += 1
            _hold_back(report, at)
        else:
            chosen.append((attempt, experiment, at))
    chosen.sort(key=lambda entry: (entry[2], entry[0].identity, entry[0].number))
    for _, _, at in chosen[telling.limit : telling.limit + 1]:
        report.left = len(chosen) - telling.limit
        _hold_back(report, at)
    return chosen[: telling.limit]


def _hold_back(report: Report, at: float) -> None:
    report.reached = min(int(at), report.reached if report.reached is not None else int(at))


def _tell(
    client: Client,
    part: Sequence[Chosen],
    records: Sequence[dict[str, Any]],
    telling: Telling,
    report: Report,
) -> list[tuple[str, float]]:
    """Send records and their logs; return (job id, end) of those that need not be told again."""
    if telling.with_logs:
        _send_logs(client, [attempt for attempt, _, _ in part], records)
    settled = []
    bodies = [
        json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() for record in records
    ]
    for record, (_, _, at), result in zip(records, part, client.record_batch(bodies), strict=True):
        job_id, status = record["job_id"], result.status
        if status < 300 or status in {_CONFLICT, _UNUSABLE}:  # noqa: PLR2004 - a success
            settled.append((job_id, at))
        else:
            _hold_back(report, at)
        if status == _CONFLICT:
            report.conflicts.append(job_id)
        elif status >= 300:  # noqa: PLR2004 - not a success
            report.refused[job_id] = result.detail or f"status {status}"
        elif status != 200:  # noqa: PLR2004 - known already
            report.new += 1
    return settled


def _send_leftovers(
    leftovers: Leftovers,
    part: Sequence[Chosen],
    records: Sequence[dict[str, Any]],
    telling: Telling,
    report: Report,
) -> set[str]:
    """Send what the hook could not; return the ids of jobs whose turn comes again.

    Those are the jobs that the service could not take now.
    """
    held_up: set[str] = set()
    deliver = telling.deliver
    if deliver is None:
        return held_up
    for (attempt, experiment, at), record in zip(part, records, strict=True):
        for stream in leftovers.of(attempt, experiment):
            try:
                deliver(stream)
                report.leftovers += 1
            except RefusedError as refusal:
                report.refused[record["job_id"]] = f"what the hook left: {refusal}"
            except LaterError as problem:
                report.refused[record["job_id"]] = f"what the hook left: {problem}"
                held_up.add(record["job_id"])
                _hold_back(report, at)
    return held_up


def _send_logs(
    client: Client, attempts: Sequence[Attempt], records: Sequence[dict[str, Any]]
) -> None:
    """Send the logs of failed jobs that the service lacks, and name them in the records.

    A failed job is any that did not succeed.
    """
    blobs: dict[str, bytes] = {}
    for attempt, record in zip(attempts, records, strict=True):
        if record["state"] != "succeeded":
            record["logs"] = list(_log_entries(attempt, blobs))
    refused = set()
    for sha256 in client.missing_blobs(list(blobs)) if blobs else ():
        # The service finds a secret that is none to us: the log stays where it is
        try:
            client.put_blob(sha256, blobs[sha256])
        except BadInputError:
            refused.add(sha256)
    for record in records:
        kept = [entry for entry in record.pop("logs", ()) if entry["sha256"] not in refused]
        if kept:
            record["logs"] = kept


def _log_entries(attempt: Attempt, blobs: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    for log in kept_logs(attempt):
        sha256 = hashlib.sha256(log.content).hexdigest()
        blobs[sha256] = log.content
        entry = {"name": log.name, "sha256": sha256, "size_bytes": log.size_bytes}
        yield {**entry, "is_truncated": True} if log.is_truncated else entry
