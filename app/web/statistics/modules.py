"""The page of art's modules: which take the time, and which became slower between versions."""

from collections.abc import Iterator

import msgspec
from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import Cut, address, cut_rows
from jobprov.app.web.frame.formats import counted, duration, percent, text
from jobprov.app.web.frame.page import answer, asked, here, table
from jobprov.app.web.lookup.jobs import asked_filters
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.statistics import (
    ModuleChange,
    ModuleGroup,
    ModuleShare,
    ModuleSums,
)
from jobprov.provenance.services.statistics.modules import LEAST_SIGMA, sum_modules

_FILTERS = (
    "experiment",
    "campaign",
    "stage",
    "task_id",
    "site",
    "host",
    "revision",
    "started_after",
    "started_before",
)
_COLUMNS = (
    "by", "group", "label", "type", "share", "seconds", "events", "seconds_per_event",
    "standard_error", "slowest_seconds", "rss_growth_bytes",
)  # fmt: skip
_MOST_GROUPS = 8
_CHANGES = ("slower", "faster", "new", "gone")


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/modules", view_func=show_page, endpoint="modules")


def show_page() -> Response:
    """Show what the modules of the jobs that pass the filters of the address took."""
    chosen = {name: asked(name) for name in ("first", "second")}
    by = asked("by") or "version"
    filters = {name: value for name in _FILTERS if (value := asked(name))}
    with get_service().reading() as connection:
        found = sum_modules(connection, asked_filters(_FILTERS), by=by, **chosen)
    if asked("format") == "csv":
        return table("modules", _COLUMNS, _flat(found.groups, by))
    if by == "stage" and not any(chosen.values()):
        found = msgspec.structs.replace(found, comparison=None)  # stages run other modules
    compared = found.comparison
    shown = [group for group in found.groups if not compared or group.name == compared.second]
    return answer(
        "statistics/modules.html",
        twin=address(
            "/statistics/modules",
            {**filters, "by": by, **{name: value for name, value in chosen.items() if value}},
        ),
        csv=here(format="csv"),
        filters=filters,
        by=by,
        choices=tuple((group.name, group.name) for group in found.groups if group.name),
        first_line=first_line(found),
        compared=compared,
        changes=cut_rows("changes", compared.modules, 12) if compared else None,
        groups=cut_rows(
            "groups",
            [(group, _cut(place, group, len(shown))) for place, group in enumerate(shown)],
            _MOST_GROUPS,
        ),
        rows_name=rows_name,
        least_sigma=LEAST_SIGMA,
    )


def _cut(place: int, group: ModuleGroup, count: int) -> Cut:
    """Return the modules of a group: fewer of each where there are many groups."""
    return cut_rows(f"modules{place + 1}", group.modules, 25 if count == 1 else 10)


def rows_name(row: ModuleShare | ModuleChange) -> str:
    """Return what a module is called: its label, or without one its kind, such as the source."""
    return str(row.label or row.path or row.type or "")


def _flat(groups: list[ModuleGroup], by: str) -> Iterator[dict[str, object]]:
    for group in groups:
        for module in group.modules:
            yield {**msgspec.structs.asdict(module), "by": by, "group": group.name}


def first_line(found: ModuleSums) -> str:
    """Return what changed most, or what takes the time."""
    if not found.jobs:
        return "No job that succeeded and passes these filters tells of art's modules."
    of = f"{counted(found.jobs, 'job')} that succeeded"
    compared = found.comparison
    if not compared:
        group = max(found.groups, key=lambda each: each.seconds)
        slowest = group.modules[0]
        share = f", {percent(slowest.share, 0)} of the time" if slowest.share is not None else ""
        where = f" of {text(group.name)}" if len(found.groups) > 1 and group.name else ""
        return (
            f"{text(rows_name(slowest))}{where} takes most: "
            f"{duration(slowest.seconds)}{share}{where and ' there'}, in {of}."
        )
    counts = {name: sum(row.outcome == name for row in compared.modules) for name in _CHANGES}
    said = (
        ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        or "no module slower or faster"
    )
    slower = next((row for row in compared.modules if row.outcome == "slower"), None)
    most = (
        f" {text(slower.label)} became slower by {percent(slower.change, 0)}."
        if slower and slower.change
        else ""
    )
    pair = f"from {text(compared.first or 'unknown')} to {text(compared.second or 'unknown')}"
    return f"{said[0].upper()}{said[1:]} {pair}, in {of}.{most}"
