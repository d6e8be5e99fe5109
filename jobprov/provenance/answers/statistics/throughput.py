"""The answer that tells production over time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt
from jobprov.provenance.answers.notebooks import over_time
from jobprov.provenance.answers.statistics.marks import Mark

if TYPE_CHECKING:
    import pandas as pd

QUEUED = ("idle", "held", "queue")
"""Measures that reports of queues tell; `queue` is all that run and wait."""
MEASURES = (
    "jobs",
    "files",
    "events",
    "cpu_hours",
    "running",
    *QUEUED,
    "wall_seconds",
    "max_rss_bytes",
)


def ended_words(states: str | None) -> str:
    """Return how jobs ended that were asked for by these states, which have commas between them."""
    if not states:
        return "ended"
    if states in {"succeeded", "failed"}:
        return states
    named = [state.strip() for state in states.split(",")]
    if set(named) == {"failed", "killed", "lost"}:
        return "did not succeed"
    *others, last = named
    return f"ended {', '.join(others)} or {last}" if others else f"ended {last}"


class Spread(Struct, frozen=True):
    """How what jobs took is distributed in each step, in seconds or bytes.

    Each has one value a step, None where no job says it.

    Attributes:
        p10, median, p90: so many per cent took less; between neighbours in proportion.
        largest: the most that any took.
    """

    p10: list[float | None]
    median: list[float | None]
    p90: list[float | None]
    largest: list[float | None]


class ThroughputGroup(Struct, frozen=True, omit_defaults=True):
    """What the jobs of one state, stage, site or class of failure made or took over time.

    Attributes:
        name: None for jobs that name none, and for several groups as one.
        jobs: how many ended in the window; of `running`, how many ran at any time of it; of `idle`,
            `held` and `queue`, how many there were at once at most, on average over a step.
        total: the sum of `amounts`.
        amounts: one a step: what is measured; of `running`, how many ran at once, on average over
            the step; of `wall_seconds` and `max_rss_bytes`, how many jobs say it; of `idle`, `held`
            and `queue`, how many reports of queues say it.
        spread: of `wall_seconds` and `max_rss_bytes`, how they are distributed; absent of others.
        at_once: of `idle`, `held` and `queue`, how many there were at once, on average over the
            step; None where no report says it, or not all queues were reported. Absent of others.
    """

    name: str | None
    jobs: int
    total: float
    amounts: list[float]
    spread: Spread | None = None
    at_once: list[float | None] | None = None

    @property
    def measured(self) -> Sequence[float | None]:
        """What is measured in each step; None where it is not known what queues had."""
        return self.amounts if self.at_once is None else self.at_once

    @property
    def plotted(self) -> Sequence[float | None]:
        """The same, and of what is distributed the median."""
        return self.measured if self.spread is None else self.spread.median


class Throughput(CountedAt, frozen=True):
    """What ended or ran in each step of a window of time.

    Attributes:
        jobs: how many ended in the window, or ran in it; of failures by class, those that failed;
            of `idle`, `held` and `queue`, how many there were at once at most.
        by: what tells groups apart: state, stage, site or class.
        measure: what the amounts count: jobs, files, events, cpu_hours or running; what is
            distributed: wall_seconds or max_rss_bytes; or what queues were reported to have: idle
            or held jobs, or all that wait and run (queue).
        start, end: of the window, on the edges of steps; the last step may still be going on.
        starts: when each step begins.
        groups: states in their own order, all others the largest first; a dozen at most.
        others: the groups beyond these as one.
        newest_end: when the job ended that ended last, in the window or not.
        marks: what changed in the window (releases, rules, sites), whatever is measured of it, the
            most important first; None where finding that takes too long while somebody waits.
        marks_left_out: how many more there are than the twenty in `marks`.
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
    marks: list[Mark] | None = None
    marks_left_out: int = 0

    @property
    def totals(self) -> list[float | None]:
        """What all groups have together in each step; None where it is not known."""
        groups = list(self.groups)
        if self.others is not None:
            groups.append(self.others)
        totals: list[float | None] = []
        for amounts in zip(*(group.measured for group in groups), strict=True):
            known = [amount for amount in amounts if amount is not None]
            totals.append(sum(known) if known else None)
        return totals

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a table with a row for each step and a column for each group, to be plotted.

        Of `wall_seconds` and `max_rss_bytes` it has the medians.

        Raises:
            NotFoundError: pandas is not installed.
        """
        columns = {group.name or f"no {self.by}": group.plotted for group in self.groups}
        if self.others is not None:
            columns["others"] = self.others.plotted
        return over_time(self.starts, columns)

    @property
    def none_since(self) -> str | None:
        """When the first of the last steps began in which it is known that there was nothing.

        None where there was something in the last step that is known.
        """
        since = None
        for start, total in zip(reversed(self.starts), reversed(self.totals), strict=False):
            if total:
                break
            if total is not None:
                since = start
        return since
