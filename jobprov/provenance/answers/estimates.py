"""How long a stage or campaign still takes, and what that was learnt from."""

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt


class Hours(Struct, frozen=True):
    """An interval of hours: the truth lies between `low` and `high` with 80 %."""

    expected: float
    low: float
    high: float


class WaitSample(Struct, frozen=True):
    """How many of the jobs that were read say what they waited."""

    jobs: int
    read: int


class JobWait(Struct, frozen=True):
    """What one job of a stage waits, in hours."""

    p10_hours: float
    median_hours: float
    p90_hours: float
    learnt_from: WaitSample


class StagesLearntFrom(Struct, frozen=True):
    """How many stages say what their jobs waited."""

    stages: int


class ChainWait(Struct, frozen=True):
    """What a file waits on its way through all stages, in hours.

    Quantiles add up as if a file that waits long in one stage did so in all: the safe side.
    """

    p10_hours: float
    median_hours: float
    p90_hours: float
    learnt_from: StagesLearntFrom


class LearntFrom(Struct, frozen=True):
    """The units that a stage was learnt from, and the hours in which they ended."""

    units: int
    succeeded: int
    hours: int


class UnitTimes(Struct, frozen=True):
    """What one unit of a stage took, all its attempts together, in hours.

    Attributes:
        p99_hours: one unit in a hundred takes longer; None where fewer than a hundred were done.
        hung: units that took far longer than all others. They count in sums of hours, and not in
            the time that slots take, since one of them would decide it alone.
        hung_hours: what the shortest of those took; None where there are none.
    """

    median_hours: float
    p90_hours: float
    p99_hours: float | None
    hung: int
    hung_hours: float | None


class StageEstimate(Struct, frozen=True):
    """What the units of one stage would take, failures and retries counted in.

    Attributes:
        units: how many; later stages get as many for one of the first as they had.
        cpu_hours, slot_hours: of all units together.
        wall_hours: with the slots that were asked for, without queues, until the last unit is done
            that does not hang.
        unit_times: of the units that this was learnt from.
        queue, stage_in: of one job; None where no job that was read says it.
        stage_in_hours: the part of `slot_hours` in which inputs are brought in.
        attempts_a_unit: how often a unit was tried for each that was done.
    """

    stage: str
    units: int
    cpu_hours: Hours
    slot_hours: Hours
    wall_hours: Hours
    unit_times: UnitTimes
    queue: JobWait | None
    stage_in: JobWait | None
    stage_in_hours: Hours | None
    output_bytes: int
    attempts_a_unit: float
    learnt_from: LearntFrom


class TotalEstimate(Struct, frozen=True):
    """The sums over all stages, as if all were off in the same direction: the safe side."""

    cpu_hours: Hours
    slot_hours: Hours
    wall_hours: Hours
    queue: ChainWait | None
    stage_in: ChainWait | None
    stage_in_hours: Hours | None
    output_bytes: int


class Estimate(CountedAt, frozen=True):
    """What it would take to do so many files or events again.

    Attributes:
        files, events: units of the first stage, or the events that it is to put out; the other one
            is None.
        slots: jobs that run at once.
        stages: in the order of production.
    """

    files: int | None
    events: int | None
    slots: int
    stages: list[StageEstimate]
    total: TotalEstimate
