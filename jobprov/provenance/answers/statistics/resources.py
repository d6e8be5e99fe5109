"""Sums of what jobs used."""

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt


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
