"""Answers about tasks and their units. Times are ISO 8601."""

from enum import StrEnum

from msgspec import Struct

from jobprov.provenance.answers.failures import FailureCause
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.tasks.backlogs import Backlog
from jobprov.provenance.records.job_record import JsonObject


class UnitState(StrEnum):
    """The state of a unit of a task. Every unit has exactly one.

    In the order in which people read them. `label` is the state in words for people, `meaning` a
    sentence that explains it.
    """

    SUCCEEDED = "succeeded"
    RUNNING = "running"
    IDLE = "idle"
    HELD = "held"
    NOT_SUBMITTED = "not_submitted"
    NO_OUTPUT = "no_output"
    FAILED = "failed"
    KILLED = "killed"
    SILENT = "silent"
    WAIVED = "waived"

    @property
    def label(self) -> str:
        """The state as people read it."""
        return _LABELS.get(self, self.value)

    @property
    def meaning(self) -> str:
        """The state in a sentence."""
        return _MEANINGS[self]


_LABELS = {
    UnitState.NOT_SUBMITTED: "not submitted",
    UnitState.NO_OUTPUT: "succeeded without output",
}

_MEANINGS = {
    UnitState.SUCCEEDED: "A job succeeded, and as many of its files as declared were seen.",
    UnitState.RUNNING: "A job runs.",
    UnitState.IDLE: "A job waits in the queue of the batch system.",
    UnitState.HELD: "The batch system holds the job, and says why.",
    UnitState.NOT_SUBMITTED: "Nobody saw a job for it, neither in the queue nor in a record.",
    UnitState.NO_OUTPUT: "A job succeeded, but fewer files than declared were seen or are left.",
    UnitState.FAILED: "No job succeeded or runs; at least one ended by itself, badly.",
    UnitState.KILLED: "No job succeeded or runs, none ended by itself; something ended one.",
    UnitState.SILENT: "A job began, nobody saw its end, and nothing is heard of it any more.",
    UnitState.WAIVED: "Somebody decided that the task goes on without it.",
}

NEEDS_SOMEBODY = frozenset(
    {
        UnitState.HELD,
        UnitState.NO_OUTPUT,
        UnitState.FAILED,
        UnitState.KILLED,
        UnitState.SILENT,
    }
)
"""A unit in one of these states does not become done by waiting."""
UNDER_WAY = frozenset({UnitState.RUNNING, UnitState.IDLE, UnitState.HELD})
"""What is in one of these states runs, or waits in the batch system."""


class TaskDeclared(Struct, frozen=True):
    """What became of a declaration.

    Attributes:
        is_new: whether the task was declared for the first time.
        unit_count: how many units it is to make; None where the declaration does not say.
    """

    task_id: str
    is_new: bool
    unit_count: int | None


class UnitsWaived(Struct, frozen=True):
    """How many units a waiver names.

    Attributes:
        not_waived_count: of how many of them a withdrawal took nothing back, as they were not
            waived.
        not_waived: the first hundred of these.
    """

    task_id: str
    experiment: str
    unit_count: int
    not_waived_count: int = 0
    not_waived: list[str] = []


class OpenUnit(Struct, frozen=True):
    """A unit that is not done and that nobody waived.

    Attributes:
        why: why it is held, has no output or was not submitted; how its newest job failed, or what
            ended it; None where nobody says.
    """

    unit: str
    state: UnitState
    why: str | None


class MissingUnits(Struct, frozen=True):
    """The units of a task that are still to be made, in the order of its list.

    Attributes:
        unnamed_count: how many more are expected, whose names neither a list nor a job has told:
            only a number was declared, or what they are made from is still to be made.
    """

    missing: list[OpenUnit]
    unnamed_count: int = 0


class ReadyFile(Struct, frozen=True):
    """A file that a job of a task made and that no job has read yet.

    Attributes:
        url: the path of its page.
        checksums: as `kind:value`.
        event_count: None where the job does not say.
        job_id: the job that made it, at the page `job_url`.
        made_at: when that job ended.
        failed_attempts: jobs that read the file and did not succeed.
    """

    name: str
    namespace: str
    experiment: str
    url: str
    size_bytes: int | None
    checksums: list[str]
    data_tier: str | None
    event_count: int | None
    job_id: str
    job_url: str
    unit: str | None
    made_at: str | None
    failed_attempts: int


class ReadyFiles(Struct, frozen=True):
    """Files that the next stage can take, the oldest first.

    `next` is the cursor of the next page, None at the end.
    """

    files: list[ReadyFile]
    next: str | None


class TaskResources(Struct, frozen=True):
    """What the jobs of a task took, all attempts included.

    Attributes:
        wall_seconds, cpu_seconds: sums; None where no job says it.
        max_rss_bytes: the largest of all jobs.
    """

    jobs: int
    wall_seconds: float | None
    cpu_seconds: float | None
    max_rss_bytes: int | None
    first_started_at: str | None
    last_ended_at: str | None


class StandingWaiver(Struct, frozen=True):
    """A waiver in force: who decided it, and why; `units` are the first hundred of `unit_count`."""

    who: str
    why: str
    waived_at: str
    unit_count: int
    units: list[str]


class TaskProgress(Struct, frozen=True):
    """How far a task is. A unit counts once, in its one state.

    Attributes:
        campaign, stage: None where neither a declaration nor a job names them.
        declared: the declaration as it was sent; None where nobody declared the task.
        expected: how many units it is to make; None where no declaration says so.
        produced: units that are done: as many of their files as declared were seen.
        failed: units of which every attempt failed or was killed.
        no_output: units of which a job succeeded, and too few files were seen.
        silent: units that nobody heard of for a day although no end was seen, or that were lost.
        missing: expected units that are neither done nor waived; None where `expected` is.
        unlisted: units with attempts that are not on the frozen list; they count nowhere else.
        by_catalog: units done according to the catalog alone.
        states: units by state, those in which there are any; they add up to `expected` where that
            is known.
        seconds_left: how long the missing units take at the pace of the last hour of the task,
            else of its last day, pauses left out; if nothing waits, until the last running job
            ends. Units that wait for somebody are left out; None where nothing else is missing or
            there is no pace.
        seconds_left_low, seconds_left_high: the band that contains the truth two times in three.
        expected_files: None where the declaration does not say how many files a unit makes.
        errors: the most frequent causes of failure, as in the statistics of errors.
        failing_jobs: the newest jobs that did not succeed, as in lists of jobs.
        blocking: the first thousand units that are neither done nor waived.
        waivers: the newest first.
        backlog: what is left and when it may be gone; None where nobody declared how many units.
        hidden_failures: units that count by a command of a batch job or submission in which
            another command failed that has the same unit.
    """

    task_id: str
    experiment: str
    campaign: str | None
    stage: str | None
    declared: JsonObject | None
    expected: int | None
    produced: int
    running: int
    failed: int
    no_output: int
    waived: int
    missing: int | None
    unlisted: int
    by_catalog: int
    silent: int
    states: dict[UnitState, int]
    seconds_left: float | None
    seconds_left_low: float | None
    seconds_left_high: float | None
    expected_files: int | None
    produced_files: int
    errors: list[FailureCause]
    failing_jobs: list[JobSummary]
    resources: TaskResources
    blocking: list[OpenUnit]
    waivers: list[StandingWaiver]
    backlog: Backlog | None = None
    hidden_failures: int = 0
