"""How many jobs ran at once in each step of a window, from when they began and stopped."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.tasks.running import Edges, Ran


class RanAtOnce(NamedTuple):
    """The jobs of a group in a window.

    Attributes:
        jobs: how many ran at any time of it.
        amounts: how many ran at once in each step, on average over it; as far as it is over.
    """

    jobs: int
    amounts: list[float]

    def joined(self, other: "RanAtOnce") -> "RanAtOnce":
        """Return both groups as one."""
        amounts = [sum(pair) for pair in zip(self.amounts, other.amounts, strict=True)]
        return RanAtOnce(self.jobs + other.jobs, amounts)


class _Busy:
    """Sums the time for which jobs ran, step by step."""

    def __init__(self, steps: int) -> None:
        self.jobs = 0
        self.counts = [0] * steps
        self.seconds = [0.0] * steps

    def add(self, edges: Edges, sign: int) -> None:
        """Note jobs that began to run (1), or stopped (-1)."""
        # what was recorded since the window was chosen may lie outside
        if not 0 <= edges.place < len(self.counts):
            return
        self.counts[edges.place] += sign * edges.jobs
        self.seconds[edges.place] += sign * edges.seconds

    def at_once(self, lengths: list[float], step: int) -> list[float]:
        """Return how many ran at once in each step; `lengths` is how much of each is over.

        A job that began s seconds after the start has run t - s seconds at t, and one that stopped
        no longer adds to it: the sums of both are all there is to know.
        """
        amounts = []
        jobs, seconds = 0, 0.0
        for place, length in enumerate(lengths):
            start, end = place * step, place * step + length
            before = jobs * start - seconds
            jobs += self.counts[place]
            seconds += self.seconds[place]
            ran = jobs * end - seconds - before
            amounts.append(max(0.0, round(ran / length, 6)) if length else 0.0)
        return amounts


def ran_at_once(ran: Ran, window: Window, now: datetime) -> dict[Any, RanAtOnce]:
    """Return how many jobs ran at once, by facet."""
    lengths = _lengths(window, now)
    groups: dict[Any, _Busy] = {}
    for edges in _each_started(ran):
        busy = groups.setdefault(edges.facet, _Busy(window.step_count))
        busy.jobs += edges.jobs
        busy.add(edges, 1)
    for edges in ran.ends:
        groups.setdefault(edges.facet, _Busy(window.step_count)).add(edges, -1)
    ran_by_facet = {}
    for facet, busy in groups.items():
        ran_by_facet[facet] = RanAtOnce(busy.jobs, busy.at_once(lengths, window.step_seconds))
    return ran_by_facet


def named(groups: Mapping[Any, RanAtOnce]) -> dict[Any, RanAtOnce]:
    """Return groups by facet; '' for jobs without one, for which databases also have NULL."""
    groups_by_name: dict[Any, RanAtOnce] = {}
    for facet, group in groups.items():
        name = "" if facet is None else facet
        known = groups_by_name.get(name)
        groups_by_name[name] = group if known is None else known.joined(group)
    return groups_by_name


def _each_started(ran: Ran) -> Iterable[Edges]:
    yield from ran.starts
    yield from ran.still


def _lengths(window: Window, now: datetime) -> list[float]:
    """Return how many seconds of each step are over; a step that has not begun counts as whole."""
    lengths = []
    for place in range(window.step_count):
        start = window.start + place * window.step
        over = float(window.step_seconds)
        if start < now < start + window.step:
            over = (now - start).total_seconds()
        lengths.append(over)
    return lengths
