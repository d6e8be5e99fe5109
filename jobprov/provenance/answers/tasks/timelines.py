"""The answer that tells when a unit or a task waited and ran. Times are ISO 8601, in UTC."""

from typing import Literal

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt

StretchKind = Literal["idle", "held", "run", "step"]


class Stretch(Struct, frozen=True):
    """A time that an attempt spent in one way.

    Attributes:
        kind: it waited in the queue, was held there, or ran; steps lie within a run.
        name: of a step.
        state: how the run or step ended, or that it is running; `unknown` where nobody says.
        end: None where it still goes on, or where no record says when it ended.
        seconds: None where `end` is.
    """

    kind: StretchKind
    name: str | None
    state: str
    start: str
    end: str | None
    seconds: float | None


class TimelineRow(Struct, frozen=True, kw_only=True):
    """An attempt at a unit or a job of a task; or all jobs of a task at one site or host.

    Attributes:
        name: of the site or host; None where the jobs name none, and of attempts and jobs.
        jobs: how many it stands for.
        job_id, url: None where no record came yet, and where there are several jobs.
        unit, batch_id, host, site: None where nobody says, and where there are several jobs.
        state: as lists show it; None where there are several jobs.
        reason: why it failed or is held, a sentence; None where nobody says.
        gap_seconds: from the end of the attempt before to the first that is known of this one; None
            for the first, and where they overlap.
        stretches: in order, each step behind its run; none where there are several jobs.
        running: of several jobs, how many ran at once in each step, on average over it.
    """

    name: str | None = None
    jobs: int = 1
    job_id: str | None = None
    url: str | None = None
    unit: str | None = None
    batch_id: str | None = None
    host: str | None = None
    site: str | None = None
    state: str | None = None
    reason: str | None = None
    gap_seconds: float | None = None
    stretches: list[Stretch] = []
    running: list[float] = []

    def of_kind(self, kind: StretchKind) -> list[Stretch]:
        """Return the stretches of a kind: `idle`, `held`, `run` or `step`."""
        return [stretch for stretch in self.stretches if stretch.kind == kind]

    def seconds_of(self, kind: StretchKind) -> float | None:
        """Return how long an attempt was queued (`idle`) or ran; None where nobody says."""
        stretches = self.of_kind(kind)
        return stretches[0].seconds if stretches else None


class Timeline(CountedAt, frozen=True, kw_only=True):
    """When a unit, or all of a task, waited and ran.

    Attributes:
        unit: None for the whole task.
        by: what a row is: an `attempt` at the unit; or of a task one of its jobs that took longest
            (`job`), a `site` or a `host`.
        jobs: how many jobs were recorded of it, reruns for comparison left out; of a unit no more
            than 1,000 are counted.
        start, end: of what is known; None where nothing is. The end is now while something goes on.
        step_seconds: of `running`; None where rows are single jobs.
        rows: attempts and jobs in order of time, sites and hosts with most jobs first.
        left_out: how many rows there are beyond.
    """

    task_id: str
    experiment: str
    campaign: str | None
    stage: str | None
    unit: str | None
    by: str
    jobs: int
    start: str | None
    end: str | None
    step_seconds: int | None
    rows: list[TimelineRow]
    left_out: int
