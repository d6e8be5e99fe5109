"""Answers that sum what many jobs took, or what it would take to do them again."""

from msgspec import Struct


class CountedAt(Struct, frozen=True, kw_only=True):
    """When an answer was counted; encoded after the members of the answer itself.

    Attributes:
        counted_at: a time in UTC.
        is_current: False where something was recorded since; the answer is then counted again.
    """

    counted_at: str = ""
    is_current: bool = True


class MeasureBins(Struct, frozen=True):
    """The unit of a measure (seconds, bytes or ratio), and the edges that all groups share."""

    unit: str
    edges: list[float]


class MeasureSums(Struct, frozen=True):
    """The distribution of a measure over the jobs of a group that have it.

    Attributes:
        count: how many jobs.
        bins: jobs in each bin; the first and the last also count what lies beyond.
    """

    count: int
    mean: float
    p10: float
    median: float
    p90: float
    largest: float
    bins: list[int]


class ResourceGroup(Struct, frozen=True):
    """What the jobs of a stage, site, host or version took.

    Attributes:
        name: None for jobs that name none.
        measures: by name; those that no job has are left out.
    """

    name: str | None
    jobs: int
    measures: dict[str, MeasureSums]


class ResourceSums(CountedAt, frozen=True):
    """What the newest 50,000 successful jobs took.

    Attributes:
        by: what tells groups apart: stage, site, host or version.
        measures: those that any job has.
        groups: the largest first.
    """

    jobs: int
    by: str
    measures: dict[str, MeasureBins]
    groups: list[ResourceGroup]


class ModuleSum(Struct, frozen=True):
    """What one of art's modules took in some jobs.

    Attributes:
        seconds_per_event: the mean over jobs of each job's own; None where no job has event counts.
        standard_error: of that mean; None where fewer than two jobs have event counts.
    """

    jobs: int
    events: int
    seconds: float
    slowest_seconds: float | None
    rss_growth_bytes: int | None
    seconds_per_event: float | None
    standard_error: float | None


class ModuleShare(Struct, frozen=True):
    """What a module took in a group of jobs: `ModuleSum`, and its share of the group's seconds.

    Attributes:
        step, path, label, type: what names the module; None where records do not say it.
    """

    step: str | None
    path: str | None
    label: str | None
    type: str | None
    jobs: int
    events: int
    seconds: float
    slowest_seconds: float | None
    rss_growth_bytes: int | None
    seconds_per_event: float | None
    standard_error: float | None
    share: float | None


class ModuleGroup(Struct, frozen=True):
    """The modules of the jobs of a stage, site, host or version, those that took longest first."""

    name: str | None
    jobs: int
    seconds: float
    modules: list[ModuleShare]


class ModuleChange(Struct, frozen=True):
    """How a module changed from one group to the other.

    Attributes:
        first, second: what it took in each; None where the group has no such module.
        seconds_per_event_more: the difference of the times an event.
        change: their ratio less 1.
        sigma: how many standard errors lie between them.
        outcome: slower, faster, new, gone, same, or unknown.
    """

    step: str | None
    path: str | None
    label: str | None
    type: str | None
    first: ModuleSum | None
    second: ModuleSum | None
    seconds_per_event_more: float | None
    change: float | None
    sigma: float | None
    outcome: str


class ModuleComparison(Struct, frozen=True):
    """Two groups side by side; slower modules first, then by how much."""

    first: str | None
    second: str | None
    modules: list[ModuleChange]


class ModuleSums(Struct, frozen=True):
    """What art's modules took in the newest 50,000 successful jobs that have such figures.

    Attributes:
        by: what tells groups apart: stage, site, host or version.
        groups: the largest first.
        comparison: by default of the two largest groups, the older first; None where there is one
            group.
    """

    jobs: int
    by: str
    groups: list[ModuleGroup]
    comparison: ModuleComparison | None


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
