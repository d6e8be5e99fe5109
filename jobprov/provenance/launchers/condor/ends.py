"""How an attempt ended, according to the batch system.

Attributes of an earlier attempt stay in the ad of a later one: each is used only if its time, or
the status before it, shows that it belongs to this attempt.

Source: HTCondor manual, "Job ClassAd Attributes": ToE (ticket of execution: HowCode 0 is "of its
own accord"), ExitBySignal, HoldReasonCode, VacateReasonCode.
"""

from typing import NamedTuple

from jobprov.provenance.capture.surroundings.condor_ads import state_of
from jobprov.provenance.launchers.condor.ads import Ad, AdValue, ticket_of_execution
from jobprov.provenance.launchers.condor.attempts import (
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
        state: word of the record; `lost` if nobody saw the end.
        code: exit code, 128 + signal for a signal, or None.
        signal: number, or None.
        error_class: what the batch system did, such as `held: JobDurationExceeded`; None if the job
            ended by itself.
        message: the batch system's sentence.
        at: seconds since 1970, or None.
    """

    state: str
    code: int | None
    signal: int | None
    error_class: str | None
    message: str | None
    at: float | None


class _Action(NamedTuple):
    """What the batch system did to a job: a hold or a removal.

    Attributes:
        error_class: in the words of `End`.
        message: the batch system's sentence.
    """

    error_class: str
    message: str


def end_of(attempt: Attempt) -> End:
    """Return how an attempt ended."""
    ticket = _ticket(attempt)
    at = _ended_at(attempt, ticket)
    action = _action(attempt)
    own_exit = _own_exit(attempt, ticket)
    if own_exit is not None:
        return _own_end(attempt, own_exit, action, at)
    if action is None:
        return _lost(attempt, at) or _killed(attempt, ticket, action, at)
    # The job had ended, and only its output could not be brought home
    if action.error_class in _AFTER_THE_END:
        return End("failed", None, None, action.error_class, action.message, at)
    return _killed(attempt, ticket, action, at)


def _lost(attempt: Attempt, at: float | None) -> End | None:
    """Return the end of an attempt that no source saw; None if one did."""
    code = attempt.fact("VacateReasonCode")
    if not is_whole(code) or code not in _LOST:
        return None
    message = attempt.text_of("VacateReason")
    return End("lost", None, None, f"lost: {_reason(code)}", message, at)


def _killed(attempt: Attempt, ticket: Ad, action: _Action | None, at: float | None) -> End:
    """Return the end of an attempt that the batch system ended."""
    signal = _signal(attempt, ticket)
    message = attempt.text_of("VacateReason")
    if not message and signal:
        message = attempt.text_of("ExitReason")
    error_class = _eviction(attempt)
    if action is not None:
        message = action.message or message
        error_class = action.error_class
    code = 128 + signal if signal else None
    return End("killed", code, signal, error_class, message, at)


def _own_end(
    attempt: Attempt, own_exit: tuple[int, int | None], action: _Action | None, at: float | None
) -> End:
    """Return the end of a job that ended by itself."""
    code, signal = own_exit
    # The same word as the hook's for the same end
    state = state_of(code, signal, was_evicted=False)
    message = None if action is None else action.message
    if not message and signal:
        message = attempt.text_of("ExitReason")
    error_class = None if action is None else action.error_class
    # It did its work, but its output could not be brought home
    if state == "succeeded" and error_class and error_class.startswith("held"):
        state = "failed"
    return End(state, code, signal, error_class, message, at)


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
    """Return the last moment that any source has about the attempt.

    It holds even if clocks put it before the start.
    """
    moments = [attempt.moment_of(name) for name in (*_END_DATES, "EnteredCurrentStatus")]
    for ad in attempt.ads.values():
        ticket = ticket_of_execution(ad)
        moment = None if ticket is None else ticket.get("When")
        if is_moment(moment):
            moments.append(moment)
    return max((moment for moment in moments if moment is not None), default=None)


def _ticket(attempt: Attempt) -> Ad:
    """Return the ticket of execution of this attempt; an empty ad where it has none."""
    for source in SOURCES:
        ad = attempt.ads.get(source, {})
        ticket = ticket_of_execution(ad)
        if ticket is None:
            continue
        # these have this attempt's own, even if clocks were put back between the start and the end
        is_own = source == "events" or (source == "history" and ad.get("JobStatus") == COMPLETED)
        if is_own or _belongs(ticket.get("When"), ad.get("JobCurrentStartDate")):
            return ticket
    return {}


def _belongs(moment: AdValue, start: AdValue) -> bool:
    return is_whole(moment) and (not isinstance(start, int) or moment >= start)


def _own_exit(attempt: Attempt, ticket: Ad) -> tuple[int, int | None] | None:
    """Return (exit code, signal) if the job ended by itself, else None."""
    if ticket:
        facts, is_own = ticket, ticket.get("HowCode") == _HAS_OWN_END
    else:  # HTCondor before 9.0 writes no ticket
        facts = attempt.ads.get("history", {})
        is_own = facts.get("JobStatus") == COMPLETED
    if not is_own:
        return None
    signal, code = facts.get("ExitSignal"), facts.get("ExitCode")
    if facts.get("ExitBySignal") is True and is_whole(signal):
        return 128 + signal, signal
    return (code, None) if is_whole(code) else None


def _action(attempt: Attempt) -> _Action | None:
    """Return the hold or removal that ended this attempt; None if none did."""
    for source in SOURCES:
        is_own = source in {"epochs", "events"} or attempt.number == 0
        action = _action_in(attempt.ads.get(source, {}), is_own=is_own)
        if action is not None:
            return action
    return None


def _action_in(ad: Ad, *, is_own: bool) -> _Action | None:
    """Return the hold or removal in an ad; `is_own` if the source has ads of one attempt alone."""
    change = (ad.get("LastJobStatus"), ad.get("JobStatus"))
    reason = ad.get("HoldReason")
    if reason and (is_own or change == (RUNNING, HELD)):
        return _Action(f"held: {_reason(ad.get('HoldReasonCode'))}", str(reason))
    reason = ad.get("LastHoldReason")
    if reason and change == (HELD, REMOVED):
        return _Action(f"held: {_reason(ad.get('LastHoldReasonCode'))}", str(reason))
    reason = ad.get("RemoveReason")
    if reason and (is_own or change == (RUNNING, REMOVED)):
        return _Action("removed", str(reason))
    return None


def _signal(attempt: Attempt, ticket: Ad) -> int | None:
    signal = attempt.fact("ExitSignal")
    if not ticket or attempt.fact("ExitBySignal") is not True:
        return None
    if isinstance(signal, int) and 0 < signal < 128:  # noqa: PLR2004 - signals end there
        return signal
    return None


def _eviction(attempt: Attempt) -> str:
    code = attempt.fact("VacateReasonCode")
    return f"evicted: {_reason(code)}" if code else "evicted"


def _reason(code: AdValue) -> str:
    return REASONS.get(code, f"code {code}") if isinstance(code, int) else "no code"


def _ended_at(attempt: Attempt, ticket: Ad) -> float | None:
    """Return when an attempt ended: the first date that is not before its start."""
    if attempt.number == 0:
        return attempt.moment_of("EnteredCurrentStatus")
    start = started_at(attempt)
    moments = [ticket.get("When")]
    moments += [attempt.moment_of(name) for name in _END_DATES]
    for moment in moments:
        if is_moment(moment) and (start is None or moment >= start):
            return moment
    return None
