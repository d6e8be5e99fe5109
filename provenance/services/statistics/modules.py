"""Which module takes the time, and which became slower?

The answer is what art's modules took, summed over many jobs.

Source: http.md, `GET /statistics/modules`.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import sqrt
from typing import Any

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.statistics import (
    ModuleChange,
    ModuleComparison,
    ModuleGroup,
    ModuleShare,
    ModuleSum,
    ModuleSums,
)
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.queries.lookup.node_facts import code_versions
from jobprov.provenance.db.queries.statistics.modules import (
    Module,
    ModuleRow,
    module_rows,
    module_sets,
)
from jobprov.provenance.db.queries.statistics.resources import COLUMNS
from jobprov.provenance.db.recording.module_rows import Costs, unpack_costs
from jobprov.provenance.db.time_limits import time_limit
from jobprov.provenance.errors import BadInputError, NotFoundError

MOST_GROUPS = 50
_FIRST = ("slower", "faster", "new", "gone", "same", "unknown")
LEAST_SIGMA = 3.0
"""Standard errors between two means from which on a module counts as slower or faster."""


_Group = dict[Module, ModuleSum]


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
        connection: where from.
        filters: which jobs.
        by: tell groups apart by `stage`, `site`, `host` or `version`.
        first: the group to compare with, by name.
        second: the group that is compared.

    Raises:
        BadInputError: nothing to tell groups apart by.
        NotFoundError: no group of that name.
        LimitError: reading took more than five seconds.
    """
    if by not in COLUMNS:
        words = f"one of {', '.join(COLUMNS)}"
        raise BadInputError(f"by: {words}.", {"by": [words]})
    with time_limit(connection, "narrow it down to a task, a campaign or a stage"):
        rows = module_rows(connection, filters, by)
    names = (
        code_versions(connection, {row.facet for row in rows if row.facet is not None})
        if by == "version"
        else None
    )
    listed: dict[str | None, list[ModuleRow]] = {}  # newest first
    for row in rows:
        listed.setdefault(
            names.get(row.facet) if names is not None else (row.facet or None), []
        ).append(row)
    largest = sorted(listed, key=lambda name: (-len(listed[name]), name or ""))[:MOST_GROUPS]
    sets = module_sets(connection, {row.module_set for row in rows})
    sums = {name: _sum_group(listed[name], sets) for name in largest}
    newest_first = [name for name in listed if name in largest[:2]]
    groups = [
        ModuleGroup(name, len(listed[name]), _seconds(sums[name].values()), _shares(sums[name]))
        for name in largest
    ]
    return ModuleSums(len(rows), by, groups, _compare(sums, first, second, newest_first))


def _sum_group(rows: Sequence[ModuleRow], sets: dict[int, list[Module]]) -> _Group:
    by_set: dict[int, list[Costs]] = {}
    for row in rows:
        by_set.setdefault(row.module_set, []).append(unpack_costs(row.costs))
    told: dict[Module, list[tuple[Any, ...]]] = {}
    for key, costs in by_set.items():
        for module, columns in zip(sets[key], _by_module(costs), strict=True):
            told.setdefault(module, []).append(columns)
    return {module: _sum_module(parts) for module, parts in told.items()}


def _by_module(costs: Sequence[Costs]) -> Iterator[tuple[Any, ...]]:
    """Yield for each module the columns of its costs, a value a job."""
    columns = [zip(*(job[place] for job in costs), strict=True) for place in range(4)]
    return zip(*columns, strict=True)


def _sum_module(parts: Sequence[tuple[Any, ...]]) -> ModuleSum:
    """Return the sum over parts, each of four columns with a value a job."""
    events, seconds, slowest, growth = (
        [value for part in parts for value in part[place]] for place in range(4)
    )
    rates = [
        took / count
        for took, count in zip(seconds, events, strict=True)
        if took is not None and count
    ]
    mean = sum(rates) / len(rates) if rates else None
    error = None
    if mean is not None and len(rates) > 1:
        error = sqrt(sum((rate - mean) ** 2 for rate in rates) / (len(rates) - 1) / len(rates))
    return ModuleSum(
        jobs=len(seconds),
        events=sum(count for count in events if count is not None),
        seconds=sum(took for took in seconds if took is not None),
        slowest_seconds=max((took for took in slowest if took is not None), default=None),
        rss_growth_bytes=max((size for size in growth if size is not None), default=None),
        seconds_per_event=mean,
        standard_error=error,
    )


def _seconds(sums: Iterable[ModuleSum]) -> float:
    return sum(each.seconds for each in sums)


def _shares(group: _Group) -> list[ModuleShare]:
    whole = _seconds(group.values())
    ordered = sorted(group.items(), key=lambda item: (-item[1].seconds, repr(item[0])))
    shares = []
    for module, sums in ordered:
        share = sums.seconds / whole if whole else None
        shares.append(ModuleShare(*module, **msgspec.structs.asdict(sums), share=share))
    return shares


def _compare(
    sums: dict[str | None, _Group],
    first: str | None,
    second: str | None,
    newest_first: Sequence[str | None],
) -> ModuleComparison | None:
    for name in (first, second):
        if name is not None and name not in sums:
            raise NotFoundError(
                f"No group {name}; there are: "
                f"{', '.join(sorted(str(each) for each in sums)) or 'none'}."
            )
    rest = [name for name in newest_first if name not in (first, second)]
    if (first is None or second is None) and len(rest) < (first is None) + (second is None):
        return None
    later = second if second is not None else rest[0]
    earlier = first if first is not None else rest[-1]
    one, other = sums[earlier], sums[later]
    modules = [_change(module, one.get(module), other.get(module)) for module in {**other, **one}]
    modules.sort(
        key=lambda row: (
            _FIRST.index(row.outcome),
            -abs(row.seconds_per_event_more or 0.0),
            repr(row.label),
        )
    )
    return ModuleComparison(earlier, later, modules)


def _change(module: Module, first: ModuleSum | None, second: ModuleSum | None) -> ModuleChange:
    before = first.seconds_per_event if first else None
    after = second.seconds_per_event if second else None
    errors = (first.standard_error if first else None, second.standard_error if second else None)
    more = None if before is None or after is None else after - before
    spread = (
        sqrt(sum(error**2 for error in errors if error is not None)) if None not in errors else None
    )
    change = more / before if more is not None and before else None
    sigma = more / spread if more is not None and spread else None
    return ModuleChange(
        *module, first, second, more, change, sigma, _outcome(first, second, more, spread)
    )


def _outcome(
    first: ModuleSum | None, second: ModuleSum | None, more: float | None, spread: float | None
) -> str:
    """Return `new`, `gone`, `slower`, `faster`, `same`, or `unknown` where too little was told."""
    if first is None or second is None:
        return "new" if first is None else "gone"
    if more is None or spread is None:
        return "unknown"
    if more == 0 or abs(more) < LEAST_SIGMA * spread:
        return "same"
    return "slower" if more > 0 else "faster"
