"""How many jobs waited and ran in each step of a window, as their queues were reported.

A sample of a report has the number of jobs in its queue. It holds until the next one, for a quarter
of an hour at most: after that the number is not known. A sample of an hour or a day holds for all
of it. The number of a step is the mean over the part of it that is known.

Where several queues are asked about, a step is known only if every queue that was reported within
the day before is known in it: a sum of some would look as if the others were empty.

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
"""How jobs of a queue can be grouped; waiting jobs are at no site yet."""
_STATES = ("running", "idle", "held")
_FILTERS = frozenset({"experiment", "campaign", "stage"})
_HOLDS = timedelta(minutes=15)
_EXPECTED = timedelta(days=1)
"""How long a queue is missed after its last report; later it counts as gone."""
_LONGEST = timedelta(days=1)
"""The longest time for which a sample stands."""


class _Stretch(NamedTuple):
    """The time for which a sample holds.

    Attributes:
        start, end: the queue is known in between.
        missed_until: the next report is expected until then.
        counts: jobs by group.
    """

    start: datetime
    end: datetime
    missed_until: datetime
    counts: Mapping[str, float]


class _Known(NamedTuple):
    """What is known of a queue in a step.

    Attributes:
        seconds: of the step; 0 where the queue was expected to be reported and was not.
        means: jobs by group.
    """

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
        BadInputError: samples are not kept by these filters or groups.
    """
    _check(filters, by, measure)
    since = window.start - _EXPECTED - _LONGEST
    experiment = filters.experiment
    samples = queue_samples(
        connection, window.start, window.end, since=since, experiment=experiment
    )
    in_window = [sample for sample in samples if _ends_by(sample) > window.start]
    first = window.start
    if in_window:
        first = in_window[0].start
    scope = SampleScope(first, window.end, experiment, filters.campaign, filters.stage)
    if by == "state":
        counts = _by_state(connection, scope, in_window, measure)
    else:
        counts = _by_stage(connection, scope, in_window, measure)
    by_queue: defaultdict[SampledQueue, list[FoundSample]] = defaultdict(list)
    for sample in samples:
        by_queue[sample.queue].append(sample)
    known_by_queue = []
    for samples_of_queue in by_queue.values():
        stretches = list(_stretches(samples_of_queue, counts, now))
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
        raise BadInputError.of_field("by", f"of {measure} it is {' or '.join(BYS)}")
    for name, value in filters._asdict().items():
        if value is not None and name not in _FILTERS:
            problem = f"{measure} is known of an experiment, a campaign or a stage alone"
            raise BadInputError.of_field(name, problem)


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
    sums: Mapping[int, QueueNumbers] = {}
    if _is_narrowed(scope):
        sums = sums_of_stages(connection, scope)
    states = _states_of(measure)
    by_state: dict[int, Mapping[str, float]] = {}
    for sample in samples:
        numbers = sample.counts
        if _is_narrowed(scope):
            numbers = sums.get(sample.key, QueueNumbers())
        by_state[sample.key] = {state: getattr(numbers, state) for state in states}
    return by_state


def _by_stage(
    connection: Connection, scope: SampleScope, samples: Sequence[FoundSample], measure: str
) -> dict[int, Mapping[str, float]]:
    """Return how many jobs samples have of each stage, '' of none, by the key of the sample."""
    states = _states_of(measure)
    amounts = amounts_by_stage(connection, scope, states)
    by_sample: dict[int, Mapping[str, float]] = {}
    for sample in samples:
        by_stage: dict[str, float] = {}
        rest: float = sum(getattr(sample.counts, state) for state in states)
        for stage, amount in amounts.get(sample.key, ()):
            by_stage[stage] = by_stage.get(stage, 0.0) + amount
            rest -= amount
        if not _is_narrowed(scope):
            by_stage[""] = by_stage.get("", 0.0) + max(0.0, round(rest, 6))
        by_sample[sample.key] = by_stage
    return by_sample


def _states_of(measure: str) -> tuple[str, ...]:
    return _STATES if measure == "queue" else (measure,)


def _stretches(
    samples: Sequence[FoundSample], counts: Mapping[int, Mapping[str, float]], now: datetime
) -> Iterator[_Stretch]:
    """Yield the time for which each sample of a queue holds, the oldest first."""
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
    """Return what is known of a queue in each step; None where no report of it is missed."""
    steps = [_StepSums() for _ in range(window.step_count)]
    for stretch in stretches:
        for place in _places(stretch.start, stretch.missed_until, window):
            steps[place].is_missed = True
        for place in _places(stretch.start, stretch.end, window):
            start = window.start + place * window.step
            length = min(stretch.end, start + window.step) - max(stretch.start, start)
            steps[place].add(length.total_seconds(), stretch.counts)
    return [step.known() for step in steps]


class _StepSums:
    """The samples of one queue in one step, added up.

    Attributes:
        is_missed: whether the queue was expected to be reported.
    """

    def __init__(self) -> None:
        self.is_missed = False
        self._seconds = 0.0
        self._samples = 0
        self._job_seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, seconds: float, counts: Mapping[str, float]) -> None:
        """Add a sample that is valid for these seconds of the step."""
        self._seconds += seconds
        self._samples += 1
        for group, count in counts.items():
            self._job_seconds[group] += count * seconds

    def known(self) -> _Known | None:
        """Return what is known of the step; None where no report is missed."""
        if self._seconds:
            means = {}
            for group, job_seconds in self._job_seconds.items():
                means[group] = job_seconds / self._seconds
            return _Known(self._seconds, self._samples, means)
        return _Known(0.0, 0, {}) if self.is_missed else None


def _places(start: datetime, end: datetime, window: Window) -> range:
    """Return the steps of a window that a stretch of time is in."""
    if end <= start:
        return range(0)
    first = max(0, (start - window.start) // window.step)
    last = -((window.start - end) // window.step)
    return range(first, min(window.step_count, last))


class _QueuesTogether:
    """What several queues have in each step, added up where each of them is known.

    Attributes:
        is_known: for each step.
        samples: how many samples each step has.
        jobs: how many jobs, by group and step.
    """

    def __init__(self, step_count: int) -> None:
        self.is_known = [False] * step_count
        self.samples = [0.0] * step_count
        self.jobs: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * step_count)

    def add_step(self, place: int, queues: Iterable[_Known | None]) -> None:
        """Add up what the queues had in a step, unless one of them is missed and not known."""
        expected = [queue for queue in queues if queue is not None]
        if not expected or not all(queue.seconds for queue in expected):
            return
        self.is_known[place] = True
        for queue in expected:
            self.samples[place] += queue.samples
            for group, mean in queue.means.items():
                self.jobs[group][place] += mean

    def group(self, name: str, jobs: Sequence[float]) -> ThroughputGroup:
        """Return the answer for a group, with None for each step that is not known."""
        at_once: list[float | None] = []
        for amount, is_known in zip(jobs, self.is_known, strict=True):
            at_once.append(round(amount, 6) if is_known else None)
        most = ceil(max(jobs))
        return ThroughputGroup(name or None, most, sum(self.samples), self.samples, at_once=at_once)


def _groups(
    known_by_queue: Sequence[Sequence[_Known | None]], window: Window, by: str, stage: str
) -> list[ThroughputGroup]:
    """Return the queues together, by group; where none had a job, the empty group of `stage`."""
    queues = _QueuesTogether(window.step_count)
    for place in range(window.step_count):
        queues.add_step(place, [known[place] for known in known_by_queue])
    if not any(queues.is_known):
        return []
    groups = []
    for name, jobs in queues.jobs.items():
        # A state without jobs is worth showing, a stage without jobs is not
        if by == "state" or any(jobs):
            groups.append(queues.group(name, jobs))
    if not groups:
        groups.append(queues.group(stage, [0.0] * window.step_count))
    if by == "state":
        return groups
    return sorted(groups, key=lambda group: (-sum(_amounts(group)), group.name or ""))


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
