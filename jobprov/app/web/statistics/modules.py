"""The page of art's modules: which take the time, and which became slower between versions."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
from flask import Response

from jobprov.app.web.frame.cuts import Cut, address, cut_rows
from jobprov.app.web.frame.formats import counted, duration, percent, text
from jobprov.app.web.frame.page import answer, asked, here, pages, table
from jobprov.app.web.lookup.jobs import (
    FILTERS_OF_SUMS,
    asked_filters,
    asked_words,
    refuse_unknown,
)
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.statistics.modules import (
    ModuleChange,
    ModuleComparison,
    ModuleGroup,
    ModuleShare,
    ModuleSums,
)
from jobprov.provenance.services.statistics.modules import LEAST_SIGMA, sum_modules

_COLUMNS = (
    "by", "group", "label", "type", "share", "seconds", "events", "seconds_per_event",
    "standard_error", "slowest_seconds", "rss_growth_bytes",
)  # fmt: skip
_MOST_GROUPS = 8
_CHANGES = ("slower", "faster", "new", "gone")


@pages.get("/modules", endpoint="modules")
def show_page() -> Response:
    """Show what the modules of the jobs that pass the filters of the address took."""
    chosen = {name: asked(name) for name in ("first", "second")}
    by = asked("by") or "version"
    filters = asked_words(FILTERS_OF_SUMS)
    with get_service().reading() as connection:
        sums = sum_modules(connection, asked_filters(FILTERS_OF_SUMS), by=by, **chosen)
    if asked("format") == "csv":
        return table("modules", _COLUMNS, _flat(sums.groups, by))
    if not sums.jobs:
        refuse_unknown(filters)
    if by == "stage" and not any(chosen.values()):
        sums = msgspec.structs.replace(sums, comparison=None)  # stages run other modules
    query = {**filters, "by": by, **chosen}
    compared = sums.comparison
    changes = None
    if compared is not None:
        changes = cut_rows("changes", compared.modules, 12)
    return answer(
        "statistics/modules.html",
        twin=address("/statistics/modules", query),
        csv=here(format="csv"),
        filters=filters,
        by=by,
        choices=tuple((group.name, group.name) for group in sums.groups if group.name),
        first_line=first_line(sums),
        compared=compared,
        changes=changes,
        groups=cut_rows("groups", _shown_groups(sums), _MOST_GROUPS),
        rows_name=rows_name,
        least_sigma=LEAST_SIGMA,
    )


def _shown_groups(sums: ModuleSums) -> list[tuple[ModuleGroup, Cut]]:
    """Return groups with their modules; of a comparison only the later group."""
    compared = sums.comparison
    groups = sums.groups
    if compared is not None:
        groups = [group for group in groups if group.name == compared.second]
    return [(group, _cut(place, group, len(groups))) for place, group in enumerate(groups)]


def _cut(place: int, group: ModuleGroup, count: int) -> Cut:
    """Return the modules of a group: fewer of each where there are many groups."""
    most = 25 if count == 1 else 10
    return cut_rows(f"modules{place + 1}", group.modules, most)


def rows_name(row: ModuleShare | ModuleChange) -> str:
    """Return what a module is called: its label, or without one its kind, such as the source."""
    return str(row.label or row.path or row.type or "")


def _flat(groups: list[ModuleGroup], by: str) -> Iterator[dict[str, object]]:
    for group in groups:
        for module in group.modules:
            yield {**msgspec.structs.asdict(module), "by": by, "group": group.name}


def first_line(sums: ModuleSums) -> str:
    """Return what changed most, or what takes the time."""
    if not sums.jobs:
        return "No job that succeeded and passes these filters tells of art's modules."
    jobs = f"{counted(sums.jobs, 'job')} that succeeded"
    if sums.comparison is None:
        return f"{_largest_share(sums.groups)}, in {jobs}."
    return f"{_outcomes(sums.comparison)}, in {jobs}.{_most_slowed(sums.comparison)}"


def _largest_share(groups: Sequence[ModuleGroup]) -> str:
    """Return which module takes most of the group that takes most."""
    group = max(groups, key=lambda group: group.seconds)
    module = group.modules[0]
    name, seconds = text(rows_name(module)), duration(module.seconds)
    share = ""
    if module.share is not None:
        share = f", {percent(module.share, 0)} of the time"
    if len(groups) > 1 and group.name:
        return f"{name} of {text(group.name)} takes most: {seconds}{share} there"
    return f"{name} takes most: {seconds}{share}"


def _outcomes(compared: ModuleComparison) -> str:
    """Return `2 slower, 1 new from v1 to v2`."""
    counts = Counter(module.outcome for module in compared.modules)
    changes = []
    for outcome in _CHANGES:
        if counts[outcome]:
            changes.append(f"{counts[outcome]} {outcome}")
    sentence = ", ".join(changes) or "No module slower or faster"
    earlier = text(compared.first or "unknown")
    later = text(compared.second or "unknown")
    return f"{sentence} from {earlier} to {later}"


def _most_slowed(compared: ModuleComparison) -> str:
    """Return which module became slower by most time an event; '' where none did."""
    slower = [module for module in compared.modules if module.outcome == "slower"]
    if not slower or not slower[0].change:  # modules that became slower stand in this order
        return ""
    return f" {text(slower[0].label)} became slower by {percent(slower[0].change, 0)}."
