"""What runs and waits: a job of a queue as it is reported, and answers about all of them.

Times of answers are ISO 8601.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from jobprov.provenance.answers.orders.orders import FullJobId

QueueState = Literal["held", "running", "idle", "removed"]
"""`removed` is a job that was removed and is still in the queue."""

MOST_REPORTED = 100_000
"""Jobs that a report of a queue names."""

_Name = Annotated[str, Meta(min_length=1, max_length=1000, pattern="^[^\\x00-\\x1f]*$")]

_Text = Annotated[str, Meta(max_length=1000, pattern="^[^\\x00-\\x1f]*$")]

_Moment = Annotated[datetime, Meta(tz=True)]

_Amount = Annotated[int, Meta(ge=0, le=2**62)]

_Seconds = Annotated[float, Meta(ge=0, le=1e12)]


class QueuedJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job as its batch system's queue has it.

    Attributes:
        batch_id: as records name the batch job.
        job_id: of the attempt that runs, else of the last one; of the first where none began.
        task_id: None where the queue does not tell; the hook may have announced the job.
        unit: None where the queue does not tell; other attempts at the same node may know it.
        dag, dag_node, section: its place in its submission, as in the `batch` of records.
        since: when it came into its state.
        started_at: when its attempt began; None where none runs.
        hold_reason: the batch system's sentence.
        memory_bytes: what it has used at most so far.
        cpu_seconds: what it has used so far, as far as the queue knows; None where nothing measures.
        measured_seconds: how long the attempt had run when that was measured.
    """

    batch_id: _Name
    job_id: FullJobId
    task_id: _Name | None = None
    unit: _Name | None = None
    dag: _Name | None = None
    dag_node: _Name | None = None
    section: _Name | None = None
    state: QueueState
    since: _Moment | None = None
    started_at: _Moment | None = None
    host: _Text | None = None
    site: _Text | None = None
    hold_reason: _Text | None = None
    memory_bytes: _Amount | None = None
    requested_memory_bytes: _Amount | None = None
    cpu_seconds: _Seconds | None = None
    measured_seconds: _Seconds | None = None


class QueueTaken(Struct, frozen=True):
    """What a report of a queue changed.

    Attributes:
        jobs: how many the queue has now that belong to a task.
        new, changed, gone: since the report before.
    """

    jobs: int
    new: int
    changed: int
    gone: int


class QueueCounts(Struct, frozen=True):
    """How many jobs run and wait.

    Attributes:
        running: all that run, also `slow` and `stuck` ones, and those that only their hook announced.
        slow: they run for more than three times the median of their stage.
        stuck: for 15 minutes no log line came and no CPU was used.
        announced: they run as far as their hook said, and no queue that is reported has them.
    """

    idle: int = 0
    held: int = 0
    running: int = 0
    slow: int = 0
    stuck: int = 0
    announced: int = 0

    @property
    def total(self) -> int:
        """How many jobs run or wait."""
        return self.idle + self.held + self.running


class QueueSource(Struct, frozen=True):
    """A queue that is reported.

    Attributes:
        as_of: when the queue was asked.
        is_old: whether that is more than 15 minutes ago.
        left_out: jobs that the report had no room for.
    """

    schedd: str
    as_of: str
    is_old: bool
    left_out: int


class Progress(Struct, frozen=True):
    """How far art is, as the end of the log says.

    Attributes:
        events: the number of the newest event that began.
        events_per_second: over the part of the log that is kept; None where it holds one event only.
        log: which log says so.
        heard_at: when the last of it came.
    """

    events: int
    events_per_second: float | None
    log: str
    heard_at: str


class QueueEntry(Struct, frozen=True, kw_only=True):
    """A job that runs or waits.

    Attributes:
        source: `queue` or, where no reported queue has it, `announced` by its hook.
        is_slow: it runs for more than three times the median of its stage.
        is_stuck: for 15 minutes no log line came and no CPU was used.
        job_id, url: of its record; None where none came yet.
        step: the program that runs, as the hook announced it.
        seconds: how long it is in its state.
        usual_seconds: the median of its stage; None where fewer than five of it succeeded.
        progress: None where no log tells of events.
    """

    batch_id: str | None
    task_id: str
    experiment: str
    unit: str | None
    state: QueueState
    source: Literal["queue", "announced"]
    is_slow: bool
    is_stuck: bool
    job_id: str | None
    url: str | None
    step: str | None
    host: str | None
    site: str | None
    since: str | None
    seconds: float | None
    usual_seconds: float | None
    hold_reason: str | None
    memory_bytes: int | None
    requested_memory_bytes: int | None
    cpu_seconds: float | None
    progress: Progress | None


class HeldReason(Struct, frozen=True):
    """A reason for which jobs are held.

    Attributes:
        words: what the batch system says; where its sentences differ in numbers and names alone,
            what they have in common. Empty where it gives no reason.
        jobs: how many are held for it.
    """

    words: str
    jobs: int


class Queue(Struct, frozen=True, kw_only=True):
    """What runs and waits, of a task, a campaign, an experiment or all.

    Attributes:
        task_id, campaign, experiment: None where the question does not narrow it down to one.
        warning: why the counts may be wrong, a sentence; None where they are fresh.
        jobs: held ones first, then stuck, slow, other running and idle ones.
        next: the cursor of the next page, None at the end.
        held_reasons: why jobs are held, the most frequent reason first; ten at most.
    """

    task_id: str | None
    campaign: str | None
    experiment: str | None
    counts: QueueCounts
    sources: list[QueueSource]
    warning: str | None
    jobs: list[QueueEntry]
    next: str | None
    held_reasons: list[HeldReason] = []
