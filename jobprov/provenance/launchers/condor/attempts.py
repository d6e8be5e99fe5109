"""Attempts of batch jobs, each with the ads that the sources have of it.

The sources are batch history, epoch history, queue and event logs. An attempt is (GlobalJobId,
NumShadowStarts). A source has one ad of it; only attempts that are over are here. A job that was
removed before it began is an attempt with number 0, if it names a task: it counts for its unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeGuard

from jobprov.provenance.errors import LimitError
from jobprov.provenance.launchers.condor.ads import Ad, AdValue
from jobprov.provenance.launchers.condor.hook_line import task_of
from jobprov.provenance.records.reading.times import LATEST

Source = Literal["epochs", "history", "queue", "events"]
SOURCES: tuple[Source, ...] = ("epochs", "history", "queue", "events")
"""Best first: an epoch's ad is written when the attempt ends, the others change afterwards."""

MOST_ATTEMPTS = 300_000
"""Held in memory at once, about 3 kB each."""

_LATEST = LATEST.timestamp()

BESIDE_SCHEDD = (7, 12)
"""The universes `scheduler` and `local`: DAGMan and its like, which submit and watch jobs."""
IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5  # JobStatus

# What records are made of. The rest of an ad is let go, so that a day of history fits into memory.
_KEPT = frozenset(
    """GlobalJobId ClusterId ProcId NumShadowStarts NumJobStarts QDate Owner OsUser Cmd Arguments Args Environment Env
    JobStatus LastJobStatus EnteredCurrentStatus CompletionDate EpochWriteDate
    JobStartDate JobCurrentStartDate JobCurrentStartExecutingDate LastVacateTime LastRemoteWallClockTime
    ToE ExitCode ExitBySignal ExitSignal ExitReason HoldReason HoldReasonCode LastHoldReason LastHoldReasonCode
    RemoveReason VacateReason VacateReasonCode RemoteHost LastRemoteHost
    RemoteUserCpu RemoteSysCpu ResidentSetSize ResidentSetSize_RAW RequestMemory RequestCpus CpusUsage
    JobUniverse Env In TransferInput TransferOutput TransferOutputRemaps TransferExecutable
    ShouldTransferFiles WhenToTransferOutput Requirements RequestDisk RequestGPUs
    Iwd Out Err UserLog TransferOut TransferErr AccountingGroup DAGManJobId DAGNodeName SingularityImage
    JobsubJobId Jobsub_Group JobsubCmd SAM_PROJECT_NAME SAM_PROJECT
    POMS_TASK_ID POMS_CAMPAIGN_NAME POMS4_SUBMISSION_ID POMS4_CAMPAIGN_NAME POMS4_CAMPAIGN_STAGE_NAME""".split()  # noqa: SIM905 - a list of names reads best so
)


@dataclass
class Attempt:
    """One attempt of one batch job, with the ad of each source.

    Attributes:
        number: from 1; 0 of a job that was removed before it began.
    """

    identity: str
    number: int
    ads: dict[Source, Ad] = field(default_factory=dict)

    def fact(self, *names: str) -> AdValue:
        """Return the first of these attributes that a source knows; None where none does.

        The better source comes first.
        """
        for source in SOURCES:
            ad = self.ads.get(source, {})
            for name in names:
                if ad.get(name) not in (None, ""):
                    return ad[name]
        return None

    def text_of(self, *names: str) -> str | None:
        """Return the first of these attributes that a source knows, if it is a text, else None."""
        value = self.fact(*names)
        return value if isinstance(value, str) else None

    def number_of(self, *names: str, below: float = 2**63) -> float | None:
        """Return the first of these attributes that is a number above zero.

        In an ad, zero means not measured.
        """
        for source in SOURCES:
            for name in names:
                value = self.ads.get(source, {}).get(name)
                if (
                    isinstance(value, int | float)
                    and not isinstance(value, bool)
                    and 0 < value < below
                ):
                    return value
        return None

    def moment_of(self, *names: str) -> float | None:
        """Return the first of these attributes that is a moment that records may name.

        Seconds since 1970.
        """
        return self.number_of(*names, below=_LATEST)


@dataclass
class Collection:
    """The attempts that were read so far, and how many ads could not be used.

    Attributes:
        never_started: jobs that no machine ever took, and that count for no unit.
        unnamed: ads without GlobalJobId, which could not be told apart from others.
        running: attempts that were not over when the queue was asked.
        has_epochs: whether the schedd keeps an ad for each attempt, as far as it was asked.
    """

    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    never_started: int = 0
    unnamed: int = 0
    running: set[tuple[str, int]] = field(default_factory=set)
    has_epochs: bool = True

    def add(self, ads: Iterable[Ad], source: Source) -> None:
        """Take the ads of one source.

        Raises:
            LimitError: there are more than MOST_ATTEMPTS attempts.
        """
        for ad in ads:
            self._add(ad, source)
            if len(self.attempts) > MOST_ATTEMPTS:
                raise LimitError(
                    f"There are more than {MOST_ATTEMPTS} attempts: look less far back (--days), "
                    "or give smaller files.",
                    MOST_ATTEMPTS,
                )

    def is_running(self, attempt: Attempt) -> bool:
        """Return whether an attempt may go on, although an epoch of it was written.

        The shadow writes it, and the schedd hears of the end later than that. The attempt is over
        once the schedd says so, in its history or its queue.
        """
        is_over = "history" in attempt.ads or "queue" in attempt.ads
        return not is_over and (attempt.identity, attempt.number) in self.running

    def _add(self, ad: Ad, source: Source) -> None:
        """Take one ad, if it is of an attempt that is over."""
        identity, number = ad.get("GlobalJobId"), ad.get("NumShadowStarts")
        if not isinstance(identity, str) or not identity:
            self.unnamed += 1
        elif not is_whole(number) or number < 1:
            if source == "history" and _was_removed_before_it_began(ad):
                # The same job id as if it had begun once; without a number it is that
                self._keep(identity, 0, {**ad, "NumShadowStarts": None}, source)
            else:
                self.never_started += 1
        elif source == "queue" and _has_machine(ad):
            self.running.add((_encodable(identity), number))
        else:
            self._keep(identity, number, ad, source)

    def _keep(self, identity: str, number: int, ad: Ad, source: Source) -> None:
        identity = _encodable(identity)
        attempt = self.attempts.setdefault((identity, number), Attempt(identity, number))
        kept: Ad = {}
        for name, value in ad.items():
            if _is_kept(name):
                kept[name] = _encodable(value) if isinstance(value, str) else value
        attempt.ads[source] = kept


def _has_machine(ad: Ad) -> bool:
    """Return whether a job of the queue runs, or is only about to let its machine go."""
    has_ended = ad.get("JobStatus") in (IDLE, HELD, COMPLETED, REMOVED)
    return not has_ended or ad.get("RemoteHost") is not None


def _was_removed_before_it_began(ad: Ad) -> bool:
    """Return whether a job that no machine ever took was removed, and counts for a task.

    DAGMan and its like run beside the schedd, without a machine.
    """
    if ad.get("JobStatus") != REMOVED or ad.get("JobUniverse") in BESIDE_SCHEDD:
        return False
    return ad.get("JobStartDate") is None and bool(task_of(ad).get("task_id"))


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number that a record may hold; `true` is not one."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def is_moment(value: object) -> TypeGuard[float]:
    """Return whether a value is a number of seconds since 1970 that a record may name as a time."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LATEST


def _encodable(text: str) -> str:
    """Return a text without the halves of characters that an escape in JSON may leave."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _is_kept(name: str) -> bool:
    return name in _KEPT or "GLIDEIN_" in name
