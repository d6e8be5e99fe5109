"""Sums of what art modules used."""

from msgspec import Struct


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
