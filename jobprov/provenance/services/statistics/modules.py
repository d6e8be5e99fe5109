"""Which module takes the time, and which became slower?

The answer is what art's modules took, summed over many jobs.

Source: http.md, `GET /statistics/modules`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import sqrt
from typing import NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.statistics.modules import (
    ModuleChange,
    ModuleComparison,
    ModuleGroup,
    ModuleShare,
    ModuleSum,
    ModuleSums,
)
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.resources import (
    COLUMNS,
    Module,
    ModuleRow,
    module_rows,
    module_sets,
)
from jobprov.provenance.db.recording.module_rows import Costs, unpack_costs
from jobprov.provenance.errors import NotFoundError, check_choice
from jobprov.provenance.services.statistics.resources import largest_groups, rows_by_group

_FIRST = ("slower", "faster", "new", "gone", "same", "unknown")
LEAST_SIGMA = 3.0
"""Standard errors between two means from which on a module counts as slower or faster."""


_Group = dict[Module, ModuleSum]
V = TypeVar("V")


def sum_modules(
    connection: Connection,
    filters: JobFilters,
    *,
    by: str = "version",
    first: str | None = None,
    second: str | None = None,
) -> ModuleSums:
    """Return what art's modules took in the newest 50,000 successful jobs that pass the filters.

    Args:
        by: tell groups apart by `stage`, `site`, `host` or `version`.
        first: the group to compare with, by name.
        second: the group that is compared.

    Raises:
        BadInputError: nothing to tell groups apart by.
        NotFoundError: no group of that name.
        LimitError: reading took more than five seconds.
    """
    check_choice("by", by, COLUMNS)
    with time_limit(connection, "narrow it down to a task, a campaign or a stage"):
        rows = module_rows(connection, filters, by)
    by_group = rows_by_group(connection, rows, by)
    largest = largest_groups(by_group)
    sets = module_sets(connection, {row.module_set for row in rows})
    sums = {name: _sum_group(by_group[name], sets) for name in largest}
    groups = []
    for name in largest:
        seconds = _seconds(sums[name].values())
        groups.append(ModuleGroup(name, len(by_group[name]), seconds, _shares(sums[name])))
    # the groups stand in the order of their newest jobs, as the rows do
    newest_first = [name for name in by_group if name in largest[:2]]
    pair = _choose_pair(sums, first, second, newest_first)
    comparison = None
    if pair is not None:
        earlier, later = pair
        comparison = ModuleComparison(earlier, later, _compare(sums[earlier], sums[later]))
    return ModuleSums(len(rows), by, groups, comparison)


class _ModuleCosts(NamedTuple):
    """What one module took in some jobs, a value a job; None where a record does not say it."""

    events: list[int | None]
    seconds: list[float | None]
    slowest_seconds: list[float | None]
    rss_growth_bytes: list[int | None]

    def add(self, costs: "_ModuleCosts") -> None:
        """Add what it took in more jobs."""
        self.events.extend(costs.events)
        self.seconds.extend(costs.seconds)
        self.slowest_seconds.extend(costs.slowest_seconds)
        self.rss_growth_bytes.extend(costs.rss_growth_bytes)


def _sum_group(rows: Sequence[ModuleRow], sets: dict[int, list[Module]]) -> _Group:
    by_set: dict[int, list[Costs]] = {}
    for row in rows:
        by_set.setdefault(row.module_set, []).append(unpack_costs(row.costs))
    costs_by_module: dict[Module, _ModuleCosts] = {}
    for key, costs in by_set.items():
        # a module of several sets, such as those of two releases, has jobs from each
        for module, module_costs in zip(sets[key], _by_module(costs), strict=True):
            costs_by_module.setdefault(module, _ModuleCosts([], [], [], [])).add(module_costs)
    return {module: _sum_module(costs) for module, costs in costs_by_module.items()}


def _by_module(costs: Sequence[Costs]) -> Iterator[_ModuleCosts]:
    """Yield what each module of a set took in these jobs, in the order of the set."""
    events, seconds, slowest, growth = zip(*costs, strict=True)
    # Each has a list a job, with a value a module: turned round, a list a module
    by_module = [zip(*of_jobs, strict=True) for of_jobs in (events, seconds, slowest, growth)]
    for columns in zip(*by_module, strict=True):
        yield _ModuleCosts(*map(list, columns))


def _sum_module(costs: _ModuleCosts) -> ModuleSum:
    rates = []
    for seconds, events in zip(costs.seconds, costs.events, strict=True):
        if seconds is not None and events:
            rates.append(seconds / events)
    return ModuleSum(
        jobs=len(costs.seconds),
        events=sum(_known(costs.events)),
        seconds=sum(_known(costs.seconds)),
        slowest_seconds=max(_known(costs.slowest_seconds), default=None),
        rss_growth_bytes=max(_known(costs.rss_growth_bytes), default=None),
        seconds_per_event=_mean(rates),
        standard_error=_standard_error(rates),
    )


def _known(values: Iterable[V | None]) -> list[V]:
    return [value for value in values if value is not None]


def _mean(rates: Sequence[float]) -> float | None:
    return sum(rates) / len(rates) if rates else None


def _standard_error(rates: Sequence[float]) -> float | None:
    """Return the standard error of the mean; None of fewer than two jobs."""
    mean = _mean(rates)
    if mean is None or len(rates) <= 1:
        return None
    variance = sum((rate - mean) ** 2 for rate in rates) / (len(rates) - 1)
    return sqrt(variance / len(rates))


def _seconds(sums: Iterable[ModuleSum]) -> float:
    return sum(module.seconds for module in sums)


def _shares(group: _Group) -> list[ModuleShare]:
    whole = _seconds(group.values())
    ordered = sorted(group.items(), key=lambda item: (-item[1].seconds, repr(item[0])))
    shares = []
    for module, sums in ordered:
        share = sums.seconds / whole if whole else None
        shares.append(ModuleShare(*module, **msgspec.structs.asdict(sums), share=share))
    return shares


def _check_groups(sums: Mapping[str | None, _Group], *names: str | None) -> None:
    for name in names:
        if name is not None and name not in sums:
            groups = ", ".join(sorted(str(group) for group in sums)) or "none"
            raise NotFoundError(f"No group {name}; there are: {groups}.")


def _choose_pair(
    sums: Mapping[str | None, _Group],
    first: str | None,
    second: str | None,
    newest_first: Sequence[str | None],
) -> tuple[str | None, str | None] | None:
    """Return which groups are compared, the earlier first; None where there are too few.

    Those that nobody chose are the two largest, the newer one as the later.

    Raises:
        NotFoundError: no group of that name.
    """
    _check_groups(sums, first, second)
    others = [name for name in newest_first if name not in (first, second)]
    wanting = (first is None) + (second is None)
    if len(others) < wanting:
        return None
    earlier = first if first is not None else others[-1]
    later = second if second is not None else others[0]
    return earlier, later


def _compare(earlier: _Group, later: _Group) -> list[ModuleChange]:
    """Return what changed, by outcome and then by how much."""
    changes = []
    for module in {**later, **earlier}:
        changes.append(_change(module, earlier.get(module), later.get(module)))

    def place(change: ModuleChange) -> tuple[int, float, str]:
        difference = abs(change.seconds_per_event_more or 0.0)
        return _FIRST.index(change.outcome), -difference, repr(change.label)

    return sorted(changes, key=place)


def _change(module: Module, first: ModuleSum | None, second: ModuleSum | None) -> ModuleChange:
    if first is None or second is None:
        outcome = "new" if first is None else "gone"
        return ModuleChange(*module, first, second, None, None, None, outcome)
    before, after = first.seconds_per_event, second.seconds_per_event
    if before is None or after is None:
        return ModuleChange(*module, first, second, None, None, None, "unknown")
    more = after - before
    spread = _spread(first, second)
    change = more / before if before else None
    sigma = more / spread if spread else None
    outcome = _outcome(more, spread)
    return ModuleChange(*module, first, second, more, change, sigma, outcome)


def _spread(first: ModuleSum, second: ModuleSum) -> float | None:
    """Return the standard error of the difference of two means; None where one is not known."""
    if first.standard_error is None or second.standard_error is None:
        return None
    return sqrt(first.standard_error**2 + second.standard_error**2)


def _outcome(more: float, spread: float | None) -> str:
    """Return `slower`, `faster`, `same`, or `unknown` where too few jobs have a time."""
    if spread is None:
        return "unknown"
    if more == 0 or abs(more) < LEAST_SIGMA * spread:
        return "same"
    return "slower" if more > 0 else "faster"
