"""Reads user event logs of HTCondor into ads, one for each attempt that is over.

A submit file names such a log by `log = FILE`. The ads use the names of the batch history, so that
one reader serves both. An attempt has its number and GlobalJobId from the log if the submit file
asks for them (`job_ad_information_attrs = GlobalJobId, NumShadowStarts`). Otherwise attempts are
counted, and a GlobalJobId is made of the schedd's name, the job's number and the time of
submission.

Source: HTCondor manual, "Job Event Log Codes": each event is `NNN (cluster.proc.subproc) DATE TIME
text`, lines, and `...`. Events of a whole cluster, which is materialized late, have process -1. A
time ends in `Z` if the pool writes UTC.
"""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobprov.provenance.capture.surroundings.condor_ads import parse_ad
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor.ads import Ad, AdValue

SUBMIT, EXECUTE, EVICTED, TERMINATED, IMAGE_SIZE, SHADOW_EXCEPTION = 0, 1, 4, 5, 6, 7
ABORTED, HELD, RECONNECT_FAILED, STARTER_ERROR, AD_INFORMATION, TRANSFER = 9, 12, 24, 21, 28, 40
_VACATE_CODES = {RECONNECT_FAILED: 1008, SHADOW_EXCEPTION: 1002}
"""VacateReasonCode by event."""

_HEAD = re.compile(
    r"^(\d{3}) \((-?\d+)\.(-?\d+)\.-?\d+\) "
    r"(?:(\d{4})-)?(\d\d)[-/](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z?)\S*\s*(.*)$"
)
_USAGE = re.compile(
    r"Usr (\d{1,9}) (\d\d):(\d\d):(\d\d), Sys (\d{1,9}) (\d\d):(\d\d):(\d\d)"
    r"[ \t]+-[ \t]+Run Remote Usage"
)
_LARGEST_EVENT_LINES = 2000
_ONE_ACT_SECONDS = 10
"""An eviction and the hold or removal that caused it are logged one after the other."""

# An eviction in name only: the program ended by itself, and is to run again
_REQUEUED = "Job terminated and was requeued"
_DAY = 86400
_LEAP_YEARS_APART = 8  # at most, around 1900 and 2100


@dataclass
class Event:
    """One event.

    Attributes:
        number: its kind.
        job: (cluster, process).
        at: seconds since 1970.
        lines: without the head.
        text: with the head, as in the log.
    """

    number: int
    job: tuple[int, int]
    at: int
    lines: list[str]
    text: str


@dataclass
class _Attempt:
    """What the events report about one attempt, under the names of ads."""

    ad: Ad = field(default_factory=dict)
    is_over: bool = False
    is_requeued: bool = False

    ended_at: int = 0

    def end(self, at: int, **facts: AdValue) -> None:
        """Note why it is over; what was noted before stays."""
        for name, value in facts.items():
            self.ad.setdefault(name, value)
        if not self.is_over:
            self.ad["LastVacateTime"] = self.ended_at = at
        self.is_over = True

    def ended_just_now(self, at: int) -> bool:
        """Return whether what happens at this moment belongs to the end of the attempt."""
        if not self.is_over:
            return True
        return "ToE" not in self.ad and at - self.ended_at <= _ONE_ACT_SECONDS


@dataclass
class _Job:
    identity: str | None = None
    submitted_at: int | None = None
    attempts: list[_Attempt] = field(default_factory=list)


def read_events(lines: Iterable[str], name: str, year: int | None = None) -> Iterator[Event]:
    """Yield the events of a log; an event that is still being written is left out.

    Args:
        lines: of the log.
        name: of the file, for errors.
        year: of dates without one; by default the last year that does not put them into the future.

    Raises:
        BadInputError: a line that should begin an event does not; names file and line.
    """
    block: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "...":
            if block:
                yield _event(block, name, number, year)
            block = []
        elif block or line.strip():
            block.append(line.rstrip("\n"))
            if len(block) > _LARGEST_EVENT_LINES:
                message = f"an event of more than {_LARGEST_EVENT_LINES} lines"
                raise BadInputError(f"{name}, line {number}: {message}.")


def _event(block: list[str], name: str, end: int, year: int | None) -> Event:
    """Return the event of a block of lines; `end` is the number of the line behind it."""
    head = block[0]
    place = f"{name}, line {end - len(block)}"
    match = _HEAD.match(head)
    if match is None:
        raise BadInputError(f"{place}: {head[:60]!r} begins no event of a user event log.")
    number, cluster, process, own_year, *clock, zone, first_line = match.groups()
    if own_year:
        year = int(own_year)
    at = _seconds(year, [int(part) for part in clock], is_utc=zone == "Z")
    if at is None:
        raise BadInputError(f"{place}: {head[:60]!r} has a date that no calendar has.")
    batch_id = (int(cluster), int(process))
    lines = [first_line, *block[1:]]
    text = "\n".join(block) + "\n...\n"
    return Event(int(number), batch_id, at, lines, text)


def _seconds(year: int | None, clock: list[int], *, is_utc: bool) -> int | None:
    """Return seconds since 1970 of (month, day, hour, minute, second).

    The time is in this machine's zone or UTC. The answer is None if there is no such time.
    """
    if year is not None:
        return _seconds_in(year, clock, is_utc=is_utc)
    this_year = time.localtime().tm_year
    for guess in range(this_year, this_year - _LEAP_YEARS_APART - 1, -1):
        at = _seconds_in(guess, clock, is_utc=is_utc)
        # The log of December may be read in January: then the date is of the year before
        if at is not None and at <= time.time() + _DAY:
            return at
    return None


def _seconds_in(year: int, clock: list[int], *, is_utc: bool) -> int | None:
    month, day, hour, minute, second = clock
    zone = UTC if is_utc else None
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        return int(moment.timestamp())
    except (ValueError, OverflowError):
        return None


def attempts_of(events: Iterable[Event], schedd: str | None = None) -> list[Ad]:
    """Return an ad for each attempt that is over, in the order of the jobs and of their attempts.

    Args:
        events: of one log.
        schedd: name of the schedd, as in GlobalJobId, for jobs whose log does not have it.
    """
    ads = []
    for (cluster, process), job in _jobs_of(events):
        identity = job.identity
        if identity is None and schedd and job.submitted_at is not None:
            identity = f"{schedd}#{cluster}.{process}#{job.submitted_at}"
        facts = {
            "ClusterId": cluster,
            "ProcId": process,
            "QDate": job.submitted_at,
            "GlobalJobId": identity,
        }
        common = {name: value for name, value in facts.items() if value is not None}
        for place, attempt in enumerate(job.attempts, 1):
            if attempt.is_over:
                ads.append({"NumShadowStarts": place, **common, **attempt.ad})
    return ads


def _jobs_of(events: Iterable[Event]) -> list[tuple[tuple[int, int], _Job]]:
    """Return the jobs of a log with their numbers.

    A number that is submitted again, as after a schedd lost its queue, is another job.
    """
    jobs: list[tuple[tuple[int, int], _Job]] = []
    last: dict[tuple[int, int], _Job] = {}
    for event in events:
        # An event of a whole cluster
        if min(event.job) < 0:
            continue
        job = last.get(event.job)
        if job is None or (event.number == SUBMIT and _is_over(job, event)):
            job = last[event.job] = _Job()
            jobs.append((event.job, job))
        _take(job, event)
    return jobs


def _is_over(job: _Job, submission: Event) -> bool:
    """Return whether a submission is of another job than the one that has its number."""
    return bool(job.attempts) or job.submitted_at != submission.at


def _take(job: _Job, event: Event) -> None:
    if event.number == SUBMIT:
        job.submitted_at = event.at
    elif event.number == AD_INFORMATION:
        _take_information(job, event)
    elif event.number in _BEGINNING:
        _begin(job, event)
    elif job.attempts:
        _take_for_attempt(job.attempts[-1], event)


_BEGINNING = {EXECUTE, TRANSFER, STARTER_ERROR}


def _begin(job: _Job, event: Event) -> None:
    """Note that an attempt began: its input is transferred, or its program runs."""
    if event.number == TRANSFER and not event.lines[0].startswith("Started transferring input"):
        return
    if not job.attempts or job.attempts[-1].is_over:
        job.attempts.append(_Attempt({"JobCurrentStartDate": event.at}))
    if event.number == EXECUTE:
        ad = job.attempts[-1].ad
        ad.update(JobCurrentStartExecutingDate=event.at, NumJobStarts=1)
        slot = re.search(r"^[ \t]*SlotName: (\S+)", event.text, re.MULTILINE)
        if slot:
            ad["RemoteHost"] = slot[1]


def _take_information(job: _Job, event: Event) -> None:
    ad: Ad = parse_ad("\n".join(event.lines[1:]))
    identity = ad.get("GlobalJobId")
    if isinstance(identity, str):
        job.identity = identity
    if isinstance(ad.get("NumShadowStarts"), int) and job.attempts:
        job.attempts[-1].ad["NumShadowStarts"] = ad["NumShadowStarts"]


def _take_for_attempt(attempt: _Attempt, event: Event) -> None:
    """Note what an event says of the last attempt."""
    reason = " ".join(line.strip() for line in event.lines[1:2])
    if event.number == IMAGE_SIZE:
        resident = re.search(r"\b(\d{1,15})[ \t]+-[ \t]+ResidentSetSize", event.text)
        if resident:
            attempt.ad["ResidentSetSize"] = int(resident[1])
    elif event.number == HELD:
        _hold(attempt, event, reason)
    elif event.number == ABORTED and attempt.ended_just_now(event.at):
        attempt.end(event.at, RemoveReason=reason, JobStatus=3)
    elif not attempt.is_over:
        _take_end(attempt, event, reason)


def _take_end(attempt: _Attempt, event: Event, reason: str) -> None:
    """Note the end of an attempt, by the kind of the event."""
    is_requeued = event.number == EVICTED and _REQUEUED in event.text
    if event.number == TERMINATED or is_requeued:
        attempt.is_requeued = is_requeued
        _terminate(attempt, event)
    elif event.number in _VACATE_CODES:
        code = _VACATE_CODES[event.number]
        attempt.end(event.at, VacateReason=reason, VacateReasonCode=code)
    elif event.number == EVICTED:
        attempt.end(event.at)


def _hold(attempt: _Attempt, event: Event, reason: str) -> None:
    """Note the hold if it ended the attempt.

    A requeued one was held while it waited to run again.
    """
    if attempt.is_requeued:
        return
    if "ToE" in attempt.ad or attempt.ended_just_now(event.at):
        attempt.end(event.at, HoldReason=reason, JobStatus=5)
        code = re.search(r"Code (\d{1,9}) Subcode", event.text)
        if code:
            attempt.ad.setdefault("HoldReasonCode", int(code[1]))


def _terminate(attempt: _Attempt, event: Event) -> None:
    """Note how the program ended by itself, and its CPU time."""
    ticket: Ad = {"HowCode": 0, "When": event.at, "ExitBySignal": False}
    exit_code = re.search(r"return value (\d{1,9})", event.text)
    signal = re.search(r"\(signal (\d{1,9})\)", event.text)
    if exit_code:
        ticket["ExitCode"] = int(exit_code[1])
    elif signal:
        ticket.update(ExitBySignal=True, ExitSignal=int(signal[1]))
    attempt.end(event.at, ToE=ticket)
    usage = _USAGE.search(event.text)
    if usage:
        numbers = [int(text) for text in usage.groups()]
        attempt.ad["RemoteUserCpu"] = _cpu_seconds(*numbers[:4])
        attempt.ad["RemoteSysCpu"] = _cpu_seconds(*numbers[4:])


def _cpu_seconds(days: int, hours: int, minutes: int, seconds: int) -> float:
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
