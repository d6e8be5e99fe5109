"""The answer that tells production over time."""

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt


class ThroughputGroup(Struct, frozen=True):
    """What the jobs of one state, stage, site or class of failure made over time.

    Attributes:
        name: None for jobs that name none, and for several groups as one.
        jobs: how many ended in the window.
        total: the sum of `amounts`.
        amounts: one a step, in the unit of the measure.
    """

    name: str | None
    jobs: int
    total: float
    amounts: list[float]


class Throughput(CountedAt, frozen=True):
    """What ended in each step of a window of time.

    Attributes:
        jobs: how many ended in the window; of failures by class, those that failed.
        by: what tells groups apart: state, stage, site or class.
        measure: what the amounts count: jobs, files, events or cpu_hours.
        start, end: of the window, on the edges of steps; the last step may still be going on.
        starts: when each step begins.
        groups: states in their own order, all others the largest first; a dozen at most.
        others: the groups beyond these as one.
        newest_end: when the job ended that ended last, in the window or not.
    """

    jobs: int
    by: str
    measure: str
    start: str
    end: str
    step_seconds: int
    starts: list[str]
    groups: list[ThroughputGroup]
    others: ThroughputGroup | None
    newest_end: str | None
