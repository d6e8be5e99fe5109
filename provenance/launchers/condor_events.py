"""Reads user event logs of HTCondor (`log = FILE` of a submit file) into ads, one for each attempt that is over.

The ads name what happened as the batch history does, so that one reading serves both. An attempt is
numbered by NumShadowStarts where the submit file asked for it (`job_ad_information_attrs =
GlobalJobId, NumShadowStarts`), else counted; its GlobalJobId is taken from there too, else made
from the schedd's name, the job's number and the moment of submission.

Source: HTCondor manual, "Job Event Log Codes": each event is `NNN (cluster.proc.subproc) DATE TIME
text`, lines, and `...`. Events of a whole cluster, which is materialized late, have process -1. A
time ends in `Z` where the pool writes UTC.
"""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobprov.provenance.capture.surroundings.condor_ads import parse_ad
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor_ads import Ad

SUBMIT, EXECUTE, EVICTED, TERMINATED, IMAGE_SIZE, SHADOW_EXCEPTION = 0, 1, 4, 5, 6, 7
ABORTED, HELD, RECONNECT_FAILED, STARTER_ERROR, AD_INFORMATION, TRANSFER = 9, 12, 24, 21, 28, 40
RECONNECT_FAILED_CODE, SHADOW_EXCEPTION_CODE = 1008, 1002  # VacateReasonCode

_HEAD = re.compile(
    r"^(\d{3}) \((-?\d+)\.(-?\d+)\.-?\d+\) (?:(\d{4})-)?(\d\d)[-/](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z?)\S*\s*(.*)$"
)
_LARGEST_EVENT_LINES = 2000
_ONE_ACT_SECONDS = (
    10  # an eviction and the hold or removal that caused it are logged one after the other
)
# an eviction in name only: the program ended by itself, and is to run again
_REQUEUED = "Job terminated and was requeued"
_DAY = 86400
_LEAP_YEARS_APART = 8  # at most, around 1900 and 2100


@dataclass
class Event:
    """One event: its number, the job as (cluster, process), seconds since 1970, and its lines, the first one cut."""

    number: int
    job: tuple[int, int]
    at: int
    lines: list[str]
    text: str


@dataclass
class _Attempt:
    """What the events say of one attempt, under the names of ads."""

    ad: Ad = field(default_factory=dict)
    is_over: bool = False
    is_requeued: bool = False

    def end(self, at: int, **facts: Any) -> None:
        """Note why it is over; what was noted before stays."""
        self.is_over = True
        for name, value in {**facts, "LastVacateTime": at}.items():
            self.ad.setdefault(name, value)

    def ended_just_now(self, at: int) -> bool:
        """Return whether what happens at this moment belongs to the end of the attempt."""
        return not self.is_over or (
            "ToE" not in self.ad and at - self.ad["LastVacateTime"] <= _ONE_ACT_SECONDS
        )


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
        year: of dates that have none; where left out the last one in which they are not to come.

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
                raise BadInputError(
                    f"{name}, line {number}: an event of more than {_LARGEST_EVENT_LINES} lines."
                )


def _event(block: list[str], name: str, end: int, year: int | None) -> Event:
    match = _HEAD.match(block[0])
    if match is None:
        raise BadInputError(
            f"{name}, line {end - len(block)}: {block[0][:60]!r} begins no event of a user event log."
        )
    number, cluster, process, its_year, *clock, zone, first = match.groups()
    at = _seconds(
        int(its_year) if its_year else year, [int(part) for part in clock], is_utc=zone == "Z"
    )
    if at is None:
        raise BadInputError(
            f"{name}, line {end - len(block)}: {block[0][:60]!r} has a date that no calendar has."
        )
    return Event(
        int(number),
        (int(cluster), int(process)),
        at,
        [first, *block[1:]],
        "\n".join([*block, "...", ""]),
    )


def _seconds(year: int | None, clock: list[int], *, is_utc: bool) -> int | None:
    """Return seconds since 1970 of (month, day, hour, minute, second), in this machine's zone or UTC; None where there is no such time."""
    month, day, hour, minute, second = clock
    last = time.localtime().tm_year
    for guess in [year] if year is not None else range(last, last - _LEAP_YEARS_APART - 1, -1):
        try:
            moment = datetime(
                guess, month, day, hour, minute, min(second, 59), tzinfo=UTC if is_utc else None
            )
            at = int(moment.timestamp())
        except (ValueError, OverflowError):
            continue
        if (
            year is not None or at <= time.time() + _DAY
        ):  # December's events are read in January too
            return at
    return None


def attempts_of(events: Iterable[Event], schedd: str | None = None) -> list[Ad]:
    """Return an ad for each attempt that is over, in the order of the jobs and of their attempts.

    Args:
        events: of one log.
        schedd: name of the schedd, as it stands in GlobalJobId, for jobs whose log does not tell
            it.
    """
    found = []
    for (cluster, process), job in _jobs_of(events):
        identity = job.identity
        if identity is None and schedd and job.submitted_at is not None:
            identity = f"{schedd}#{cluster}.{process}#{job.submitted_at}"
        for place, attempt in enumerate(job.attempts, 1):
            if attempt.is_over:
                known = {
                    "ClusterId": cluster,
                    "ProcId": process,
                    "QDate": job.submitted_at,
                    "GlobalJobId": identity,
                }
                found.append({"NumShadowStarts": place, **_known(known), **attempt.ad})
    return found


def _jobs_of(events: Iterable[Event]) -> list[tuple[tuple[int, int], _Job]]:
    """Return the jobs of a log with their numbers.

    A number that is submitted again, as after a schedd lost its queue, is another job.
    """
    found: list[tuple[tuple[int, int], _Job]] = []
    last: dict[tuple[int, int], _Job] = {}
    for event in events:
        if min(event.job) < 0:
            continue  # of a whole cluster
        job = last.get(event.job)
        if job is None or (
            event.number == SUBMIT and (job.attempts or job.submitted_at != event.at)
        ):
            job = last[event.job] = _Job()
            found.append((event.job, job))
        _take(job, event)
    return found


def _known(fields: Ad) -> Ad:
    return {name: value for name, value in fields.items() if value is not None}


def _take(job: _Job, event: Event) -> None:
    if event.number == SUBMIT:
        job.submitted_at = event.at
    elif event.number == AD_INFORMATION:
        _take_information(job, event)
    elif event.number in _BEGINNING:
        _begin(job, event)
    elif job.attempts:
        _go_on(job.attempts[-1], event)


_BEGINNING = {EXECUTE, TRANSFER, STARTER_ERROR}


def _begin(job: _Job, event: Event) -> None:
    if event.number == TRANSFER and not event.lines[0].startswith("Started transferring input"):
        return
    if not job.attempts or job.attempts[-1].is_over:
        job.attempts.append(_Attempt({"JobCurrentStartDate": event.at}))
    if event.number == EXECUTE:
        ad = job.attempts[-1].ad
        ad.update(JobCurrentStartExecutingDate=event.at, NumJobStarts=1)
        slot = re.search(r"^\s*SlotName: (\S+)", event.text, re.MULTILINE)
        ad.update({"RemoteHost": slot.group(1)} if slot else {})


def _take_information(job: _Job, event: Event) -> None:
    ad: dict[str, Any] = parse_ad("\n".join(event.lines[1:]))
    if isinstance(ad.get("GlobalJobId"), str):
        job.identity = ad["GlobalJobId"]
    if isinstance(ad.get("NumShadowStarts"), int) and job.attempts:
        job.attempts[-1].ad["NumShadowStarts"] = ad["NumShadowStarts"]


def _go_on(attempt: _Attempt, event: Event) -> None:
    reason = " ".join(line.strip() for line in event.lines[1:2])
    if event.number == IMAGE_SIZE:
        if found := re.search(r"(\d+)\s+-\s+ResidentSetSize", event.text):
            attempt.ad["ResidentSetSize"] = int(found.group(1))
    elif event.number == HELD:
        _hold(attempt, event, reason)
    elif event.number == ABORTED and attempt.ended_just_now(event.at):
        attempt.end(event.at, RemoveReason=reason, JobStatus=3)
    elif attempt.is_over:
        return
    elif event.number == TERMINATED or (event.number == EVICTED and _REQUEUED in event.text):
        attempt.is_requeued = event.number == EVICTED
        _terminate(attempt, event)
    elif event.number in {RECONNECT_FAILED, SHADOW_EXCEPTION}:
        code_of = {RECONNECT_FAILED: RECONNECT_FAILED_CODE, SHADOW_EXCEPTION: SHADOW_EXCEPTION_CODE}
        attempt.end(event.at, VacateReason=reason, VacateReasonCode=code_of[event.number])
    elif event.number == EVICTED:
        attempt.end(event.at)


def _hold(attempt: _Attempt, event: Event, reason: str) -> None:
    """Note what ended the attempt; one that was requeued was held while it waited to run again."""
    if not attempt.is_requeued and ("ToE" in attempt.ad or attempt.ended_just_now(event.at)):
        code = re.search(r"Code (\d+) Subcode", event.text)
        facts = {"HoldReasonCode": int(code.group(1))} if code else {}
        attempt.end(event.at, HoldReason=reason, JobStatus=5, **facts)


def _terminate(attempt: _Attempt, event: Event) -> None:
    end: dict[str, Any] = {"HowCode": 0, "When": event.at, "ExitBySignal": False}
    if found := re.search(r"return value (\d+)", event.text):
        end["ExitCode"] = int(found.group(1))
    elif found := re.search(r"\(signal (\d+)\)", event.text):
        end.update(ExitBySignal=True, ExitSignal=int(found.group(1)))
    attempt.end(event.at, ToE=end)
    usage = re.search(
        r"Usr (\d+) (\d+):(\d+):(\d+), Sys (\d+) (\d+):(\d+):(\d+)\s+-\s+Run Remote Usage",
        event.text,
    )
    if usage:
        numbers = [int(text) for text in usage.groups()]
        for name, (days, hours, minutes, seconds) in (
            ("RemoteUserCpu", numbers[:4]),
            ("RemoteSysCpu", numbers[4:]),
        ):
            attempt.ad[name] = float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
