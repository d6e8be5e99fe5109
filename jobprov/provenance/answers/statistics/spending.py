"""What the jobs of a campaign cost, where and with which code, and how the last week compares."""

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt


class Spent(Struct, frozen=True):
    """What finished jobs cost; reruns are left out.

    Attributes:
        name: of their site, release or time; None where their records name none.
        failures: how many of the jobs failed, were killed or lost.
        cpu_hours: None where none of the jobs says how much CPU time it used.
        lost_cpu_hours: those of `cpu_hours` that jobs used that failed, were killed or lost.
        silent_jobs: how many of the jobs do not say how much CPU time they used.
    """

    name: str | None
    jobs: int
    failures: int
    cpu_hours: float | None
    lost_cpu_hours: float | None
    silent_jobs: int = 0


class Spending(CountedAt, frozen=True, kw_only=True):
    """What a campaign cost.

    Attributes:
        total: of all its jobs.
        weeks: of those that ended in the last seven days, and in the seven before.
        sites, releases: the twenty with most CPU hours of each, those first.
    """

    total: Spent
    weeks: list[Spent]
    sites: list[Spent]
    releases: list[Spent]
