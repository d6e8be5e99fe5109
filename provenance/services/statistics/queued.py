"""How many jobs waited and ran in each step of a window, as their queues were reported.

A sample of a report says how many jobs its queue had. It holds until the next one, for a quarter of
an hour at most: after that nobody knows. A sample of an hour or a day holds for all of it. What a
step has is the mean over the part of it that is known.

Where several queues are asked about, a step is known if each of them is that was reported within
the day before: the sum of some would look as if the others were empty.

Source: http.md, `GET /statistics/throughput`; docs/decisions/0046-queues-over-time.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.statistics.throughput import ThroughputGroup
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.tasks.queue_samples import (
    FoundSample,
    QueueNumbers,
    SampledQueue,
    SampleScope,
    amounts_by_stage,
    queue_samples,
    sums_of_stages,
)
from jobprov.provenance.errors import BadInputError

BYS = ("state", "stage")
"""What jobs of a queue are told apart by; those that wait are at no site yet."""
_STATES = ("running", "idle", "held")
_FILTERS = frozenset({"experiment", "campaign", "stage"})
_HOLDS = timedelta(minutes=15)
_EXPECTED = timedelta(days=1)
"""A queue is missed for so long after its last report; later it is taken for one that is gone."""
_LONGEST = timedelta(days=1)
"""For which a sample stands."""


class _Stretch(NamedTuple):
    """A time for which a sample says what a queue had.

    Attributes:
        start, end: the queue is known in between.
        missed_until: and is expected to be reported until then.
        counts: by group.
    """

    start: datetime
    end: datetime
    missed_until: datetime
    counts: Mapping[str, float]


class _Known(NamedTuple):
    """What is known of a queue in a step: for how many seconds, and the means by group."""

    seconds: float
    samples: int
    means: Mapping[str, float]


def queued_at_once(
    connection: Connection,
    filters: JobFilters,
    window: Window,
    *,
    by: str,
    measure: str,
    now: datetime,
) -> list[ThroughputGroup]:
    """Return how many jobs waited or ran at once in each step, by group: the largest first.

    Raises:
        BadInputError: samples are not kept by what is asked for.
    """
    _check(filters, by, measure)
    since = window.start - _EXPECTED - _LONGEST
    experiment = filters.experiment
    samples = queue_samples(
        connection, window.start, window.end, since=since, experiment=experiment
    )
    held = [sample for sample in samples if _ends_by(sample) > window.start]
    first = held[0].start if held else window.start
    scope = SampleScope(first, window.end, experiment, filters.campaign, filters.stage)
    if by == "state":
        counts = _by_state(connection, scope, held, measure)
    else:
        counts = _by_stage(connection, scope, held, measure)
    by_queue: defaultdict[SampledQueue, list[FoundSample]] = defaultdict(list)
    for sample in samples:
        by_queue[sample.queue].append(sample)
    known_by_queue = []
    for found in by_queue.values():
        stretches = list(_stretches(found, counts, now))
        known_by_queue.append(_known_steps(stretches, window))
    return _groups(known_by_queue, window, by, filters.stage or "")


def most_at_once(groups: Iterable[ThroughputGroup]) -> int:
    """Return how many jobs of all groups there were at once at most, on average over a step."""
    most = 0.0
    for amounts in zip(*(group.at_once or [] for group in groups), strict=True):
        most = max(most, sum(amount or 0.0 for amount in amounts))
    return ceil(most)


def _check(filters: JobFilters, by: str, measure: str) -> None:
    if by not in BYS:
        message = f"of {measure} it is {' or '.join(BYS)}"
        raise BadInputError(f"by: {message}.", {"by": [message]})
    for name, value in filters._asdict().items():
        if value is not None and name not in _FILTERS:
            message = f"{measure} is known of an experiment, a campaign or a stage alone"
            raise BadInputError(f"{name}: {message}.", {name: [message]})


def _ends_by(sample: FoundSample) -> datetime:
    """Return until when a sample may hold."""
    if sample.step_seconds:
        return sample.start + timedelta(seconds=sample.step_seconds)
    return sample.start + _HOLDS


def _is_narrowed(scope: SampleScope) -> bool:
    return scope.campaign is not None or scope.stage is not None


def _by_state(
    connection: Connection, scope: SampleScope, samples: Sequence[FoundSample], measure: str
) -> dict[int, Mapping[str, float]]:
    """Return how many jobs samples have in each state, by the key of the sample."""
    numbers = {sample.key: sample.counts for sample in samples}
    if _is_narrowed(scope):
        sums = sums_of_stages(connection, scope)
        numbers = {sample.key: sums.get(sample.key, QueueNumbers()) for sample in samples}
    states = _states_of(measure)
    return {
        key: {state: getattr(counts, state) for state in states} for key, counts in numbers.items()
    }


def _by_stage(
    connection: Connection, scope: SampleScope, samples: Sequence[FoundSample], measure: str
) -> dict[int, Mapping[str, float]]:
    """Return how many jobs samples have of each stage, '' of none, by the key of the sample."""
    states = _states_of(measure)
    amounts = amounts_by_stage(connection, scope, states)
    found: dict[int, Mapping[str, float]] = {}
    for sample in samples:
        by_stage: dict[str, float] = {}
        rest: float = sum(getattr(sample.counts, state) for state in states)
        for stage, amount in amounts.get(sample.key, ()):
            by_stage[stage] = by_stage.get(stage, 0.0) + amount
            rest -= amount
        if not _is_narrowed(scope):
            by_stage[""] = by_stage.get("", 0.0) + max(0.0, round(rest, 6))
        found[sample.key] = by_stage
    return found


def _states_of(measure: str) -> tuple[str, ...]:
    return _STATES if measure == "queue" else (measure,)


def _stretches(
    samples: Sequence[FoundSample], counts: Mapping[int, Mapping[str, float]], now: datetime
) -> Iterator[_Stretch]:
    """Yield for how long each sample of a queue says what it had, the oldest first."""
    for place, sample in enumerate(samples):
        end = _ends_by(sample)
        if not sample.step_seconds:
            end = min(now, end)
        missed_until = min(now, end + _EXPECTED)
        if place + 1 < len(samples):
            end = min(end, samples[place + 1].start)
            missed_until = min(missed_until, samples[place + 1].start)
        yield _Stretch(sample.start, end, missed_until, counts.get(sample.key, {}))


def _known_steps(stretches: Sequence[_Stretch], window: Window) -> list[_Known | None]:
    """Return what is known of a queue in each step; None where nobody misses a report of it."""
    step = window.step
    seconds = [0.0] * window.step_count
    samples = [0] * window.step_count
    sums: list[defaultdict[str, float]] = [defaultdict(float) for _ in range(window.step_count)]
    is_missed = [False] * window.step_count
    for stretch in stretches:
        for place in _places(stretch.start, stretch.missed_until, window):
            is_missed[place] = True
        for place in _places(stretch.start, stretch.end, window):
            start = window.start + place * step
            length = min(stretch.end, start + step) - max(stretch.start, start)
            seconds[place] += length.total_seconds()
            samples[place] += 1
            for group, count in stretch.counts.items():
                sums[place][group] += count * length.total_seconds()
    known: list[_Known | None] = []
    for place in range(window.step_count):
        if seconds[place]:
            means = {group: amount / seconds[place] for group, amount in sums[place].items()}
            known.append(_Known(seconds[place], samples[place], means))
        elif is_missed[place]:
            known.append(_Known(0.0, 0, {}))
        else:
            known.append(None)
    return known


def _places(start: datetime, end: datetime, window: Window) -> range:
    """Return the steps of a window that a stretch of time is in."""
    if end <= start:
        return range(0)
    first = max(0, (start - window.start) // window.step)
    last = -((window.start - end) // window.step)
    return range(first, min(window.step_count, last))


def _groups(
    known_by_queue: Sequence[Sequence[_Known | None]], window: Window, by: str, named: str
) -> list[ThroughputGroup]:
    """Return the queues together, by group; `named` is the one there is where none had a job."""
    samples = [0.0] * window.step_count
    is_known = [False] * window.step_count
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * window.step_count)
    for place in range(window.step_count):
        expected = [known[place] for known in known_by_queue]
        said = [known for known in expected if known is not None]
        is_known[place] = bool(said) and all(known.seconds for known in said)
        if not is_known[place]:
            continue
        for known in said:
            samples[place] += known.samples
            for group, mean in known.means.items():
                sums[group][place] += mean
    if not any(is_known):
        return []
    groups = []
    for name, amounts in sums.items():
        if by == "state" or any(amounts):
            groups.append(_group(name or None, amounts, is_known, samples))
    if not groups:
        groups.append(_group(named or None, [0.0] * window.step_count, is_known, samples))
    if by == "state":
        return groups
    return sorted(groups, key=lambda group: (-sum(_amounts(group)), group.name or ""))


def _group(
    name: str | None, amounts: Sequence[float], is_known: Sequence[bool], samples: list[float]
) -> ThroughputGroup:
    at_once: list[float | None] = []
    for amount, is_told in zip(amounts, is_known, strict=True):
        at_once.append(round(amount, 6) if is_told else None)
    return ThroughputGroup(name, ceil(max(amounts)), sum(samples), samples, at_once=at_once)


def _amounts(group: ThroughputGroup) -> list[float]:
    return [amount or 0.0 for amount in group.at_once or []]


def joined(groups: Sequence[ThroughputGroup]) -> ThroughputGroup | None:
    """Return several groups as one; None where there are none."""
    if not groups:
        return None
    at_once: list[float | None] = []
    for amounts in zip(*(group.at_once or [] for group in groups), strict=True):
        known = [amount for amount in amounts if amount is not None]
        at_once.append(sum(known) if known else None)
    most = ceil(max((amount or 0.0 for amount in at_once), default=0.0))
    return ThroughputGroup(None, most, groups[0].total, groups[0].amounts, at_once=at_once)
