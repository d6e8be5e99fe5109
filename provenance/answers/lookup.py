"""Answers about one job or file, lists of them, and what names begin with."""

from msgspec import Struct


class Hit(Struct, frozen=True):
    """Something whose name begins as the text that was searched for.

    Attributes:
        kind: `file`, `job`, `task`, `campaign`, `commit` or `host`.
        text: its name or id.
        detail: what tells it from others, such as its experiment; may be empty.
        url: the path of its page, or of the list of its jobs.
    """

    kind: str
    text: str
    detail: str
    url: str


class Hits(Struct, frozen=True):
    """What a text could mean, exact names first, at most ten of a kind."""

    hits: list[Hit]


class TaskOfJob(Struct, frozen=True):
    """Which unit of which task a job was to make; None for what no record says."""

    task_id: str | None
    campaign: str | None
    stage: str | None
    unit: str | None


class HostOfJob(Struct, frozen=True):
    """Where a job ran; None for what no record says."""

    hostname: str | None
    site: str | None


class JobExit(Struct, frozen=True):
    """How a job ended; None for what no record says."""

    code: int | None
    signal: int | None
    failed_step: str | None
    error_class: str | None
    message: str | None


class JobResources(Struct, frozen=True):
    """What a job took; None for what no record says."""

    wall_seconds: float | None
    cpu_seconds: float | None
    max_rss_bytes: int | None


class JobSummary(Struct, frozen=True):
    """A job in short, as lists show it. Times are in UTC, such as `2026-11-24T16:00:00Z`.

    Attributes:
        state: `running`, `succeeded`, `failed`, `killed` or `lost`.
        batch_id: `cluster.process@schedd`.
        code: name and version of the first software entry, as people call it.
        received_at: when its first record came.
        heard_at: of a running job, when a record last said that it runs; else as `received_at`.
        grade: closure level of its record, `L0` to `L4`.
        rerun_of: the job that it repeats for a verdict.
        retry_of: the job that it says it tries again.
        url: the path of its page.
    """

    job_id: str
    experiment: str
    state: str
    batch_id: str | None
    task: TaskOfJob
    host: HostOfJob
    code: str | None
    received_at: str
    heard_at: str
    started_at: str | None
    ended_at: str | None
    exit: JobExit
    resources: JobResources
    grade: str
    rerun_of: str | None
    retry_of: str | None
    url: str


class JobList(Struct, frozen=True):
    """Jobs, the newest first.

    Attributes:
        next: what goes into `cursor` of the next call; None at the end.
    """

    jobs: list[JobSummary]
    next: str | None


class GapCount(Struct, frozen=True):
    """How many jobs have a gap.

    Attributes:
        code: explained in gaps.md.
        stops: the closure level that the gap leaves incomplete, `L1` to `L4`; None where it stops none.
        example: the newest job that has it.
    """

    code: str
    stops: str | None
    job_count: int
    how_to_close: str
    example: JobSummary


class GapCounts(Struct, frozen=True):
    """What would stop reruns of some jobs in ten years, what stops the lowest level first."""

    job_count: int
    gaps: list[GapCount]
