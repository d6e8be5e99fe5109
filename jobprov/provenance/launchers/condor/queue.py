"""Jobs of HTCondor's queue, as the service takes them.

Jobs whose ad names no task are among them while they run: their hook may have announced one.

Source: HTCondor manual, "Job ClassAd Attributes". `StatsLifetimeStarter` is how long the starter had
run when it last sent what the job uses; a schedd hears of that every 15 minutes by default
(SHADOW_QUEUE_UPDATE_INTERVAL).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec.structs import replace

from jobprov.provenance.answers.tasks.queue import MOST_REPORTED, QueuedJob, QueueState
from jobprov.provenance.capture.record import limits
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.secrets.texts import redact_text
from jobprov.provenance.capture.surroundings import batch
from jobprov.provenance.capture.surroundings.condor_ads import job_variables
from jobprov.provenance.launchers.condor.ads import Ad, AdValue, text_in
from jobprov.provenance.launchers.condor.attempts import (
    BESIDE_SCHEDD,
    COMPLETED,
    HELD,
    IDLE,
    REMOVED,
    is_moment,
)
from jobprov.provenance.launchers.condor.hook_line import experiment_in, task_of
from jobprov.provenance.launchers.condor.record import SITES

ATTRIBUTES = (
    "ClusterId", "ProcId", "GlobalJobId", "JobsubJobId", "DAGManJobId", "DAGNodeName",
    "JobUniverse", "JobStatus", "NumShadowStarts",
    "EnteredCurrentStatus", "JobCurrentStartDate", "JobCurrentStartExecutingDate", "QDate",
    "HoldReason", "RemoveReason", "RemoteHost", *SITES, "ResidentSetSize_RAW", "ResidentSetSize",
    "RequestMemory", "RemoteUserCpu", "RemoteSysCpu", "StatsLifetimeStarter",
    "Cmd", "Args", "Arguments", "Env", "Environment", "Owner", "Jobsub_Group",
    "POMS_TASK_ID", "POMS_CAMPAIGN_NAME", "POMS4_SUBMISSION_ID", "POMS4_CAMPAIGN_NAME",
    "POMS4_CAMPAIGN_STAGE_NAME", "SAM_PROJECT_NAME", "SAM_PROJECT",
)  # fmt: skip
"""What is asked for of each job."""

_STATES: dict[AdValue, QueueState] = {IDLE: "idle", HELD: "held", REMOVED: "removed"}
_WAITING = (IDLE, HELD, REMOVED)
_BLANKS = dict.fromkeys(range(32), " ")
"""For control characters."""
_LONGEST = 1000
_LARGEST = 2**40
_MIB = 1024 * 1024


@dataclass
class CondorQueue:
    """The jobs of a queue that may belong to tasks of an experiment, by batch id.

    Attributes:
        left_out: jobs beyond the most that a report has.
    """

    experiment: str
    jobs: dict[str, QueuedJob] = field(default_factory=dict)
    left_out: int = 0

    def add(self, ad: Ad, task: dict[str, str]) -> None:
        """Take a job; `task` is what its ad says of that."""
        if len(self.jobs) >= MOST_REPORTED:
            self.left_out += 1
            return
        job = queued_job(ad, task)
        self.jobs[job.batch_id] = job


def queues_of(ads: Iterable[Ad], experiment: str | None) -> dict[str, CondorQueue]:
    """Return the jobs of a queue by experiment.

    With an experiment, only its own; jobs that name none are among them, and it is there even
    without a job.
    """
    queues = {} if experiment is None else {experiment: CondorQueue(experiment)}
    for ad in ads:
        is_manager = ad.get("JobUniverse") in BESIDE_SCHEDD
        if not ad.get("GlobalJobId") or ad.get("JobStatus") == COMPLETED or is_manager:
            continue
        task = _task_of(ad)
        # Nobody can tell what it waits for; once it runs, its hook may have announced it
        if not task.get("task_id") and ad.get("JobStatus") in _WAITING:
            continue
        named = experiment_in(ad) or experiment
        if named is not None and experiment in (None, named):
            queues.setdefault(named, CondorQueue(named)).add(ad, task)
    return queues


def queued_job(ad: Ad, task: dict[str, str]) -> QueuedJob:
    """Return a job of the queue; `task` is what its ad says of that."""
    described = batch.describe_batch(job_variables(ad), ad)
    # The job id of the first attempt is known before it begins
    attempt = max(1, described["attempt"])
    # 2 is running, 6 transferring output, 7 suspended: all of them have a machine
    state = _STATES.get(_status_of(ad), "running")
    job = QueuedJob(
        batch_id=_word(described["id"]),
        job_id=str(batch.name_job({**described, "attempt": attempt, "part": 0})),
        task_id=_optional_word(task.get("task_id")),
        unit=_optional_word(task.get("unit")),
        dag=_optional_word(described.get("dag")),
        dag_node=_optional_word(text_in(ad, "DAGNodeName")),
        section=_optional_word(described.get("section")),
        state=state,
        since=_first_moment(ad, "EnteredCurrentStatus", "QDate"),
        requested_memory_bytes=_amount(ad, "RequestMemory", _MIB),
    )
    if state == "held":
        return replace(job, hold_reason=_reason(ad, "HoldReason"))
    if state == "removed":
        return replace(job, hold_reason=_reason(ad, "RemoveReason"))
    return _with_run(job, ad) if state == "running" else job


def _with_run(job: QueuedJob, ad: Ad) -> QueuedJob:
    """Return a job that has a machine with what the ad knows of its run."""
    slot = text_in(ad, "RemoteHost")
    host = None if slot is None else slot.rsplit("@", 1)[-1]
    cpu_seconds = _cpu_seconds(ad)
    # Only the CPU time was measured then
    measured_seconds = None if cpu_seconds is None else _number(ad, "StatsLifetimeStarter")
    return replace(
        job,
        started_at=_started_at(ad),
        host=_optional_word(host),
        site=next(_sites(ad), None),
        memory_bytes=_memory_bytes(ad),
        cpu_seconds=cpu_seconds,
        measured_seconds=measured_seconds,
    )


def _status_of(ad: Ad) -> int | None:
    """Return the number of a job's state; None where the ad has none, or an expression."""
    status = ad.get("JobStatus")
    return status if isinstance(status, int) else None


def _task_of(ad: Ad) -> dict[str, str]:
    """Return the task of an ad, with its id as records write it."""
    draft = Draft({"task": task_of(ad)})
    limits.mend_task_id(draft)
    task: dict[str, str] = draft.record["task"]
    return task


def _started_at(ad: Ad) -> datetime | None:
    """Return when the attempt's program started, else when its machine was claimed."""
    claimed = _first_moment(ad, "JobCurrentStartDate")
    executing = _first_moment(ad, "JobCurrentStartExecutingDate")
    # The latter may still be that of the attempt before
    if executing is not None and (claimed is None or executing >= claimed):
        return executing
    return claimed


def _first_moment(ad: Ad, *names: str) -> datetime | None:
    for name in names:
        value = ad.get(name)
        if is_moment(value):
            return datetime.fromtimestamp(value, UTC)
    return None


def _sites(ad: Ad) -> Iterator[str]:
    for name in SITES:
        value = ad.get(name)
        # `$$(…)` is a macro that was not replaced
        if isinstance(value, str) and value and "$$" not in value:
            yield _word(value)


def _reason(ad: Ad, name: str) -> str | None:
    """Return the sentence of an attribute, without secrets."""
    text = text_in(ad, name)
    return None if text is None else _word(str(redact_text(text)))


def _memory_bytes(ad: Ad) -> int | None:
    return _amount(ad, "ResidentSetSize_RAW", 1024) or _amount(ad, "ResidentSetSize", 1024)


def _amount(ad: Ad, name: str, unit_bytes: int) -> int | None:
    """Return an amount in bytes; None where it is zero, not measured, or an expression."""
    value = _number(ad, name)
    return int(value * unit_bytes) if value else None


def _cpu_seconds(ad: Ad) -> float | None:
    """Return the CPU time so far; None where it is zero, which a pool that measures none says."""
    user, system = _number(ad, "RemoteUserCpu"), _number(ad, "RemoteSysCpu")
    return (user or 0.0) + (system or 0.0) or None


def _number(ad: Ad, name: str) -> float | None:
    value = ad.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LARGEST else None


def _optional_word(text: str | None) -> str | None:
    return _word(text) if text else None


def _word(text: str) -> str:
    """Return a text that a report may hold: no control characters, no halves of characters."""
    encodable = text.encode(errors="replace").decode()
    return encodable.translate(_BLANKS)[:_LONGEST]
