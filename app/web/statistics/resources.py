"""The page of resources: what jobs took, as distributions beside each other, by stage, site, host or version."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response

from jobprov.app.kept_answers import read_filtered
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, duration, percent, size
from jobprov.app.web.frame.histograms import draw_histogram, end_words
from jobprov.app.web.frame.page import answer, asked, here, table
from jobprov.app.web.lookup.jobs import asked_filters
from jobprov.provenance.services.statistics.counting import RESOURCES
from jobprov.provenance.services.statistics.resources import MEASURES

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
_TITLES = {
    "wall_seconds": "Run time",
    "cpu_seconds": "CPU",
    "cpu_efficiency": "CPU efficiency",
    "max_rss_bytes": "Memory",
    "output_bytes": "Output",
    "seconds_per_event": "Time an event",
    "bytes_per_event": "Output an event",
}
_COLUMNS = (
    "by",
    "group",
    "jobs",
    "measure",
    "unit",
    "count",
    "mean",
    "p10",
    "median",
    "p90",
    "largest",
)
_BIN_COLUMNS = ("by", "group", "measure", "unit", "from", "to", "jobs")


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/resources", view_func=show_page, endpoint="resources")


def show_page() -> Response:
    """Show what the jobs that pass the filters of the address took."""
    by, measure = asked("by") or "stage", asked("measure") or "wall_seconds"
    filters = {name: value for name in _FILTERS if (value := asked(name))}
    found = read_filtered(RESOURCES, asked_filters(_FILTERS), by=by)
    if asked("format") == "csv":
        return table("resources", _COLUMNS, _flat(found))
    if asked("format") == "bins":
        return table("bins", _BIN_COLUMNS, _bins(found))
    shown = measure if measure in found["measures"] else next(iter(found["measures"]), None)
    ends = _ends(found["measures"][shown], shown) if shown else []
    return answer(
        "statistics/resources.html",
        twin=address("/statistics/resources", {**filters, "by": by}),
        csv=here(format="csv"),
        bins=here(format="bins"),
        filters=filters,
        by=by,
        measure=shown,
        titles={name: _TITLES[name] for name in found["measures"]},
        first_line=first_line(found),
        found=found,
        groups=cut_rows("groups", [_row(group, shown, ends) for group in found["groups"]], 20),
        ends=(ends[0], ends[-1]) if ends else None,
    )


def _flat(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in found["groups"]:
        same = {"by": found["by"], "group": group["name"], "jobs": group["jobs"]}
        for name, sums in group["measures"].items():
            yield {**same, "measure": name, "unit": found["measures"][name]["unit"], **sums}


def _bins(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in found["groups"]:
        for name, sums in group["measures"].items():
            same = {
                "by": found["by"],
                "group": group["name"],
                "measure": name,
                "unit": found["measures"][name]["unit"],
            }
            edges = found["measures"][name]["edges"]
            for start, end, jobs in zip(edges, edges[1:], sums["bins"], strict=False):
                yield {**same, "from": start, "to": end, "jobs": jobs}


def first_line(found: dict[str, Any]) -> str:
    """Return how many jobs the distributions are of."""
    if not found["jobs"]:
        return "No job that succeeded passes these filters."
    return f"{counted(found['jobs'], 'job')} that succeeded, in {counted(len(found['groups']), found['by'])}."


def said(value: float, measure: str) -> str:
    """Return a value of a measure with its unit."""
    unit = MEASURES[measure][0]
    if unit == "seconds":
        return duration(value)
    return size(value) if unit == "bytes" else percent(value, 0)


def _row(group: dict[str, Any], measure: str | None, ends: list[str]) -> dict[str, Any]:
    found = group["measures"].get(measure) if measure else None
    if found is None or measure is None:
        return {**group, "found": None}
    return {
        **group,
        "found": {name: said(found[name], measure) for name in ("p10", "median", "p90", "largest")},
        "count": found["count"],
        "histogram": draw_histogram(found["bins"], ends),
    }


def _ends(measure: dict[str, Any], name: str) -> list[str]:
    return end_words(measure["edges"], measure["unit"], lambda edge: said(edge, name))
