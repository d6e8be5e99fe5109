"""The witness outside: reports to the service what the batch system knows of jobs.

Attempts that ended are reported whether their hook did so or not. Reported attempts are remembered,
and reporting one again changes nothing. A run reports a bounded number of attempts, oldest first.

The queue is reported as a whole: jobs that are no longer in the report are no longer in the queue.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO, NamedTuple, NotRequired, Self, TypedDict

import msgspec

from jobprov.provenance.answers.recording import BatchResult
from jobprov.provenance.answers.tasks.queue import QueueTaken
from jobprov.provenance.capture.sending.delivery import LaterError, RefusedError
from jobprov.provenance.client import Client
from jobprov.provenance.db.witness_state import WitnessState
from jobprov.provenance.errors import BadInputError, ForbiddenError, LimitError
from jobprov.provenance.launchers.condor.attempts import Attempt, Collection
from jobprov.provenance.launchers.condor.ends import end_of, last_seen_at
from jobprov.provenance.launchers.condor.leftovers import Leftovers
from jobprov.provenance.launchers.condor.logs import kept_logs
from jobprov.provenance.launchers.condor.queue import ATTRIBUTES, CondorQueue, queues_of
from jobprov.provenance.launchers.condor.record import experiment_of, job_id_of, record_of
from jobprov.provenance.launchers.condor.tools import ask_queue, schedd_name

_BATCH_RECORDS = 100
_SKEW_SECONDS = 3600
"""By how much the clock of a schedd may be ahead of ours.

An attempt that ended later than that has a wrong date, and nobody waits for it.
"""


Deliver = Callable[[BinaryIO], object]
"""Sends an entry of the hook's spool, as the hook does; raises LaterError and RefusedError."""


@dataclass(frozen=True)
class WitnessRun:
    """What one run of the witness is to report.

    Attributes:
        now: seconds since 1970.
        experiment: report only its jobs, and those that name none; None reports all that name one.
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
        states: attempts reported, by the state that the batch system saw.
        new: how many of them the service did not know of this witness.
        leftovers: records of the hook that came home unsent, and were sent now.
        told_before: attempts that an earlier run reported.
        waiting: attempts that ended just now, or that the schedd still has running; a later run
            reports them.
        left: attempts beyond the limit; the next run reports them.
        elsewhere: attempts of other experiments, or of none.
        conflicts: ids of jobs that this witness had reported otherwise; the first report counts.
        refused: why the service did not take a record, by job id.
        reached: the moment up to which everything was reported, seconds since 1970.
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


class EndedAttempt(NamedTuple):
    """An attempt that is to be reported.

    Attributes:
        at: when it ended, seconds since 1970; 0 where no source has a date.
    """

    attempt: Attempt
    experiment: str
    at: float


class _LogEntry(TypedDict):
    """A log as a record names it."""

    name: str
    sha256: str
    size_bytes: int
    is_truncated: NotRequired[bool]


@dataclass
class _Entry:
    """An attempt that is to be reported, and its record."""

    ended: EndedAttempt
    record: dict[str, object]

    @classmethod
    def of(cls, ended: EndedAttempt) -> Self:
        """Return an attempt with the record that is made of its ads."""
        return cls(ended, record_of(ended.attempt, ended.experiment))

    @property
    def job_id(self) -> str:
        """The job's id."""
        return str(self.record["job_id"])

    def body(self) -> bytes:
        """Return the record as it is sent."""
        return json.dumps(self.record, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def state(self) -> str:
        """The state in which the batch system saw the job end."""
        return str(self.record["state"])


def witness_batch(
    client: Client | None, collection: Collection, state: WitnessState, run: WitnessRun
) -> Report:
    """Report the attempts of a collection that were not reported yet.

    Without a client, only count them.

    Raises:
        UnreachableError: the service does not answer; what was reported before is remembered.
        ForbiddenError: the token does not allow it.
    """
    report = Report(reached=run.now)
    chosen = _choose(collection, state, run, report)
    leftovers = Leftovers()
    for start in range(0, len(chosen), _BATCH_RECORDS):
        batch = chosen[start : start + _BATCH_RECORDS]
        entries = [_Entry.of(ended) for ended in batch]
        if client is not None:
            held_up = _send_leftovers(leftovers, entries, run, report)
            settled = _send_records(client, entries, run, report)
            state.note_told(
                (entry.job_id, entry.ended.at) for entry in settled if entry.job_id not in held_up
            )
        for entry in entries:
            report.states[entry.state] = report.states.get(entry.state, 0) + 1
    return report


def _choose(
    collection: Collection, state: WitnessState, run: WitnessRun, report: Report
) -> list[EndedAttempt]:
    """Return the attempts that are to be reported, oldest first; count the others."""
    chosen: list[EndedAttempt] = []
    for attempt in collection.attempts.values():
        experiment = experiment_of(attempt) or run.experiment
        # Without any date it could be waited for for ever
        at = end_of(attempt).at or last_seen_at(attempt) or 0.0
        is_recent = run.now - run.settle_seconds < at <= run.now + _SKEW_SECONDS
        if experiment is None or run.experiment not in (None, experiment):
            report.elsewhere += 1
        elif state.was_told(job_id_of(attempt)):
            report.told_before += 1
        elif is_recent or collection.is_running(attempt):
            report.waiting += 1
            _hold_back(report, at)
        else:
            chosen.append(EndedAttempt(attempt, experiment, at))
    chosen.sort(key=lambda ended: (ended.at, ended.attempt.identity, ended.attempt.number))
    if len(chosen) > run.limit:
        report.left = len(chosen) - run.limit
        _hold_back(report, chosen[run.limit].at)
    return chosen[: run.limit]


def _hold_back(report: Report, at: float) -> None:
    """Have the next run look again from this moment on."""
    moment = int(at)
    if report.reached is None or moment < report.reached:
        report.reached = moment


def _send_records(
    client: Client, entries: Sequence[_Entry], run: WitnessRun, report: Report
) -> list[_Entry]:
    """Send records and their logs; return those that need not be sent again."""
    if run.with_logs:
        _send_logs(client, entries)
    bodies = [entry.body() for entry in entries]
    settled = []
    for entry, result in zip(entries, client.record_batch(bodies), strict=True):
        if _note_result(report, entry.job_id, result):
            settled.append(entry)
        else:
            _hold_back(report, entry.ended.at)
    return settled


def _note_result(report: Report, job_id: str, result: BatchResult) -> bool:
    """Note what became of a record; return whether it need not be sent again."""
    status = result.status
    if status == HTTPStatus.OK:
        return True
    if status < HTTPStatus.MULTIPLE_CHOICES:
        report.new += 1
        return True
    if status == HTTPStatus.CONFLICT:
        report.conflicts.append(job_id)
        return True
    report.refused[job_id] = result.detail or f"status {status}"
    # To send it again would not help: the service keeps the body as a dead letter
    return status == HTTPStatus.UNPROCESSABLE_ENTITY


def _send_leftovers(
    leftovers: Leftovers, entries: Sequence[_Entry], run: WitnessRun, report: Report
) -> set[str]:
    """Send records that the hook could not send.

    Return the ids of the jobs whose records the service could not take now.
    """
    held_up: set[str] = set()
    deliver = run.deliver
    if deliver is None:
        return held_up
    for entry in entries:
        for stream in leftovers.of(entry.ended.attempt, entry.ended.experiment):
            try:
                deliver(stream)
                report.leftovers += 1
            except RefusedError as refusal:
                report.refused[entry.job_id] = f"what the hook left: {refusal}"
            except LaterError as problem:
                report.refused[entry.job_id] = f"what the hook left: {problem}"
                held_up.add(entry.job_id)
                _hold_back(report, entry.ended.at)
    return held_up


def _send_logs(client: Client, entries: Sequence[_Entry]) -> None:
    """Send the logs of jobs that did not succeed, and name them in the records."""
    blobs: dict[str, bytes] = {}
    logs_by_job: dict[str, list[_LogEntry]] = {}
    for entry in entries:
        if entry.state != "succeeded":
            logs_by_job[entry.job_id] = list(_log_entries(entry.ended.attempt, blobs))
    refused = _send_blobs(client, blobs)
    for entry in entries:
        logs = logs_by_job.get(entry.job_id, [])
        kept = [log for log in logs if log["sha256"] not in refused]
        if kept:
            entry.record["logs"] = kept


def _send_blobs(client: Client, blobs: dict[str, bytes]) -> set[str]:
    """Send those blobs that the service lacks; return the digests of those that it refuses."""
    refused: set[str] = set()
    if not blobs:
        return refused
    for sha256 in client.missing_blobs(list(blobs)):
        # The service may find a secret where we find none: the log stays where it is
        try:
            client.put_blob(sha256, blobs[sha256])
        except BadInputError:
            refused.add(sha256)
    return refused


def _log_entries(attempt: Attempt, blobs: dict[str, bytes]) -> Iterator[_LogEntry]:
    """Yield how a record names the logs of an attempt; add their bytes to the blobs."""
    for log in kept_logs(attempt):
        sha256 = hashlib.sha256(log.content).hexdigest()
        blobs[sha256] = log.content
        entry: _LogEntry = {"name": log.name, "sha256": sha256, "size_bytes": log.size_bytes}
        if log.is_truncated:
            entry["is_truncated"] = True
        yield entry


@dataclass(frozen=True)
class ReportedQueue:
    """What was reported of a schedd's queue, of one experiment.

    Attributes:
        left_out: jobs that the report had no room for.
        taken: what the service made of it; None where it was not sent, or refused.
        problem: why the service refuses it, such as a token of another experiment; None otherwise.
    """

    schedd: str
    experiment: str
    jobs: int
    left_out: int
    taken: QueueTaken | None = None
    problem: str | None = None


def report_queues(
    client: Client | None,
    *,
    experiment: str | None,
    schedd: str | None = None,
    before: Iterable[str] = (),
) -> list[ReportedQueue]:
    """Report the jobs of an experiment that run and wait, or those of each that a job names.

    Without a client, only count them.

    Args:
        experiment: jobs that name none count as its own; None reports only those that name one.
        schedd: its name, where it is not this machine's own.
        before: experiments that were reported before: they are reported without jobs, too.

    Raises:
        UnreachableError: HTCondor or the service does not answer.
    """
    asked_at = time.monotonic()
    name = schedd_name(schedd)
    queues = queues_of(ask_queue(ATTRIBUTES, schedd), experiment)
    for known in before if experiment is None else ():
        queues.setdefault(known, CondorQueue(known))
    reported = []
    for queue in queues.values():
        taken, problem = None, None
        if client is not None:
            try:
                taken = client.report_queue(name, _report(queue, time.monotonic() - asked_at))
            except (BadInputError, ForbiddenError, LimitError) as refusal:
                # The queues of other experiments are not held up
                problem = str(refusal)
        counts = (len(queue.jobs), queue.left_out)
        reported.append(ReportedQueue(name, queue.experiment, *counts, taken, problem))
    return reported


def _report(queue: CondorQueue, age_seconds: float) -> dict[str, object]:
    return {
        "experiment": queue.experiment,
        "age_seconds": round(age_seconds, 3),
        "jobs": msgspec.to_builtins(list(queue.jobs.values())),
        "left_out": queue.left_out,
    }
