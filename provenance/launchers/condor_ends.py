"""How an attempt ended, out of what the batch system says of it.

Source: HTCondor manual, "Job ClassAd Attributes": ToE (ticket of execution: HowCode 0 is "of its
own accord"), ExitBySignal, HoldReasonCode, VacateReasonCode. Attributes of an earlier attempt stay
in the ad of a later one: each is taken only where its time, or the status before it, says that it
belongs to this attempt.
"""

from typing import Any, NamedTuple

from jobprov.provenance.capture.surroundings.condor_ads import state_of
from jobprov.provenance.launchers.condor_attempts import (
    COMPLETED,
    HELD,
    REMOVED,
    RUNNING,
    SOURCES,
    Attempt,
    is_moment,
    is_whole,
)

REASONS = {
    1: "UserRequest",
    3: "JobPolicy",
    4: "CorruptedCredential",
    6: "FailedToCreateProcess",
    7: "UnableToOpenOutput",
    8: "UnableToOpenInput",
    12: "TransferOutputError",
    13: "TransferInputError",
    14: "IwdError",
    16: "SpoolingInput",
    21: "StartdHeldJob",
    26: "SystemPolicy",
    32: "MaxTransferInputSizeExceeded",
    33: "MaxTransferOutputSizeExceeded",
    34: "JobOutOfResources",
    35: "InvalidDockerImage",
    36: "FailedToCheckpoint",
    46: "JobDurationExceeded",
    47: "JobExecuteExceeded",
    1002: "ShadowException",
    1003: "JobNotStarted",
    1004: "UserVacateJob",
    1005: "JobShouldRequeue",
    1006: "FailedToActivateClaim",
    1007: "StarterError",
    1008: "ReconnectFailed",
    1009: "ClaimDeactivated",
    1010: "StartdVacateCommand",
    1011: "StartdPreemptExpression",
    1012: "StartdException",
    1013: "StartdShutdown",
    1014: "StartdDraining",
    1016: "StartdHibernate",
    1018: "StartdPreemptingClaimRank",
    1019: "StartdPreemptingClaimUserPrio",
}
"""Words of HoldReasonCode and, from 1000 on, VacateReasonCode."""

_LOST = frozenset({1002, 1007, 1008, 1012})
_AFTER_THE_END = ("held: TransferOutputError", "held: MaxTransferOutputSizeExceeded")
_HAS_OWN_END = 0
_END_DATES = ("LastVacateTime", "CompletionDate", "EpochWriteDate")


class End(NamedTuple):
    """How an attempt ended.

    Attributes:
        state: word of the record; `lost` where nobody saw the end.
        code: exit code, 128 + signal for a signal, or None.
        signal: number, or None.
        error_class: what the batch system did, such as `held: JobDurationExceeded`; None where the
            job ended by itself.
        message: the batch system's sentence.
        at: seconds since 1970, or None.
    """

    state: str
    code: int | None
    signal: int | None
    error_class: str | None
    message: str | None
    at: float | None


def end_of(attempt: Attempt) -> End:
    """Return how an attempt ended."""
    ticket = _ticket(attempt)
    at = _ended_at(attempt, ticket)
    error_class, message = _act(attempt)
    own = _own_end(attempt, ticket)
    if own is not None:
        code, number = own
        state = state_of(code, number, was_evicted=False)
        if state == "succeeded" and error_class and error_class.startswith("held"):
            state = "failed"  # it did its work, and its output did not get home
        message = message or (_said(attempt, "ExitReason") if number else None)
        return End(state, code, number, error_class, message, at)
    code = attempt.fact("VacateReasonCode")
    if is_whole(code) and code in _LOST and not error_class:
        return End("lost", None, None, f"lost: {_reason(code)}", _said(attempt, "VacateReason"), at)
    if error_class in _AFTER_THE_END:
        return End("failed", None, None, error_class, message, at)
    number = _signal(attempt, ticket)
    message = (
        message
        or _said(attempt, "VacateReason")
        or (_said(attempt, "ExitReason") if number else None)
    )
    return End(
        "killed",
        128 + number if number else None,
        number,
        error_class or _eviction(attempt),
        message,
        at,
    )


def started_at(attempt: Attempt) -> float | None:
    """Return when the attempt's program started, else when its machine was claimed.

    Seconds since 1970.
    """
    claimed = attempt.moment_of("JobCurrentStartDate", "JobStartDate")
    executing = attempt.moment_of("JobCurrentStartExecutingDate")
    if executing is not None and (claimed is None or executing >= claimed):
        return executing
    return claimed


def last_seen_at(attempt: Attempt) -> float | None:
    """Return the last moment that any source tells of what became of the attempt, also where clocks say that it was before the start."""
    tickets = (ad.get("ToE") for ad in attempt.ads.values())
    told = [ticket.get("When") for ticket in tickets if isinstance(ticket, dict)]
    told += [attempt.moment_of(name) for name in (*_END_DATES, "EnteredCurrentStatus")]
    return max(filter(is_moment, told), default=None)


def _ticket(attempt: Attempt) -> dict[str, Any]:
    for source in SOURCES:
        ad = attempt.ads.get(source, {})
        ticket = ad.get("ToE")
        # of these it is this attempt's own, also where clocks were put back between the start and
        # the end
        is_own = source == "events" or (source == "history" and ad.get("JobStatus") == COMPLETED)
        if isinstance(ticket, dict) and (
            is_own or _belongs(ticket.get("When"), ad.get("JobCurrentStartDate"))
        ):
            return ticket
    return {}


def _belongs(moment: Any, start: Any) -> bool:
    return is_whole(moment) and (not isinstance(start, int) or moment >= start)


def _own_end(attempt: Attempt, ticket: dict[str, Any]) -> tuple[int, int | None] | None:
    """Return (exit code, signal) where the job ended by itself, else None."""
    if ticket:
        told = ticket if ticket.get("HowCode") == _HAS_OWN_END else {}
    else:  # HTCondor before 9.0 writes none
        ad = attempt.ads.get("history", {})
        told = ad if ad.get("JobStatus") == COMPLETED else {}
    number, code = told.get("ExitSignal"), told.get("ExitCode")
    if told.get("ExitBySignal") is True and is_whole(number):
        return 128 + number, number
    return (code, None) if is_whole(code) else None


def _act(attempt: Attempt) -> tuple[str | None, str | None]:
    """Return (class, sentence) of the hold or removal that ended this attempt.

    (None, None) where none did.
    """
    for source in SOURCES:
        ad = attempt.ads.get(source, {})
        is_own = source in {"epochs", "events"}  # both speak of this attempt alone
        status, before = ad.get("JobStatus"), ad.get("LastJobStatus")
        if ad.get("HoldReason") and (is_own or (status == HELD and before == RUNNING)):
            return f"held: {_reason(ad.get('HoldReasonCode'))}", str(ad["HoldReason"])
        if status == REMOVED and before == HELD and ad.get("LastHoldReason"):
            return f"held: {_reason(ad.get('LastHoldReasonCode'))}", str(ad["LastHoldReason"])
        if ad.get("RemoveReason") and (is_own or (status == REMOVED and before == RUNNING)):
            return "removed", str(ad["RemoveReason"])
    return None, None


def _signal(attempt: Attempt, ticket: dict[str, Any]) -> int | None:
    number = attempt.fact("ExitSignal")
    is_told = bool(ticket) and attempt.fact("ExitBySignal") is True
    return number if is_told and isinstance(number, int) and 0 < number < 128 else None  # noqa: PLR2004 - signals end there


def _eviction(attempt: Attempt) -> str:
    code = attempt.fact("VacateReasonCode")
    return f"evicted: {_reason(code)}" if code else "evicted"


def _said(attempt: Attempt, name: str) -> str | None:
    """Return a sentence of the ads, None where there is none."""
    text = attempt.fact(name)
    return text if isinstance(text, str) else None


def _reason(code: Any) -> str:
    return REASONS.get(code, f"code {code}") if isinstance(code, int) else "no code"


def _ended_at(attempt: Attempt, ticket: dict[str, Any]) -> float | None:
    start = started_at(attempt)
    for moment in (ticket.get("When"), *(attempt.moment_of(name) for name in _END_DATES)):
        if is_moment(moment) and (start is None or moment >= start):
            return moment
    return None
