"""The page of resources: distributions of what jobs took, side by side.

They are split by stage, site, host or version.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from flask import Response

from jobprov.app.kept_answers import read_filtered
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, duration, number, percent, size
from jobprov.app.web.frame.page import answer, asked, here, pages, table
from jobprov.app.web.lookup.jobs import (
    FILTERS_OF_SUMS,
    asked_filters,
    asked_words,
    refuse_unknown,
)
from jobprov.provenance.answers.statistics.resources import MeasureBins, ResourceGroup, ResourceSums
from jobprov.provenance.services.kept_answers.counting import RESOURCES
from jobprov.provenance.services.statistics.resources import MEASURES

_TITLES = {
    "wall_seconds": "Wall time",
    "cpu_seconds": "CPU",
    "cpu_efficiency": "CPU efficiency",
    "max_rss_bytes": "Memory",
    "output_bytes": "Output",
    "seconds_per_event": "Time per event",
    "bytes_per_event": "Output per event",
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
_KEPT_BY_TIME, _GROUPS_BY_TIME = ("wall_seconds", "max_rss_bytes"), ("stage", "site")
"""What the page of throughput shows as well."""
_MOST_GROUPS = 20
HEIGHT = 40
STEP = 5
_GAP = 1
_RAW = {"seconds": (1.0, "s"), "bytes": (1.0, "B"), "ratio": (100.0, "%")}


class Histogram(NamedTuple):
    """One distribution.

    Attributes:
        width: of the picture, whose height is `HEIGHT`.
        path: of the bars; what is not empty is seen.
        bars: what each bar says: from where to where, and how many jobs.
        highest: which bar is the highest, from 0.
    """

    width: int
    path: str
    bars: list[str]
    highest: int


class ShownMeasure(NamedTuple):
    """The measure of a group in words, with its unit, and the distribution as a picture."""

    job_count: int
    p10: str
    median: str
    p90: str
    largest: str
    histogram: Histogram


class GroupRow(NamedTuple):
    """A group and the measure that the page shows; None where none of its jobs has it."""

    group: ResourceGroup
    shown: ShownMeasure | None


@pages.get("/resources", endpoint="resources")
def show_page() -> Response:
    """Show what the jobs that pass the filters of the address took."""
    by = asked("by") or "stage"
    filters = asked_words(FILTERS_OF_SUMS)
    sums = read_filtered(RESOURCES, asked_filters(FILTERS_OF_SUMS), by=by)
    if asked("format") == "csv":
        return table("resources", _COLUMNS, _measure_rows(sums))
    if asked("format") == "bins":
        return table("bins", _BIN_COLUMNS, _bin_rows(sums))
    if not sums.jobs:
        refuse_unknown(filters)

    measure = _shown_measure(sums)
    ends: list[str] = []
    first_and_last = None
    if measure is not None:
        ends = _ends(sums.measures[measure], measure)
        first_and_last = (ends[0], ends[-1])
    rows = [_row(group, measure, ends) for group in sums.groups]
    return answer(
        "statistics/resources.html",
        twin=address("/statistics/resources", {**filters, "by": by}),
        csv=here(format="csv"),
        bins=here(format="bins"),
        filters=filters,
        by=by,
        measure=measure,
        titles={name: _TITLES[name] for name in sums.measures},
        first_line=first_line(sums),
        sums=sums,
        groups=cut_rows("groups", rows, _MOST_GROUPS),
        ends=first_and_last,
        over_time=_over_time(filters, by, measure),
    )


def _over_time(filters: Mapping[str, str], by: str, measure: str | None) -> str | None:
    """Return the page that shows a measure over time; None if the measure is not kept by time."""
    if measure not in _KEPT_BY_TIME:
        return None
    query: dict[str, str | None] = {"state": "succeeded", "since": "28d", "measure": measure}
    query["by"] = by if by in _GROUPS_BY_TIME else "stage"
    for name, value in filters.items():
        if name not in {"started_after", "started_before"}:
            query[name] = value
    return address("/throughput", query)


def _shown_measure(sums: ResourceSums) -> str | None:
    """Return the measure to show; None where no job has any."""
    measure = asked("measure") or "wall_seconds"
    if measure in sums.measures:
        return measure
    return next(iter(sums.measures), None)


def _measure_rows(sums: ResourceSums) -> Iterator[dict[str, object]]:
    for group in sums.groups:
        for name, measure in group.measures.items():
            yield {
                "by": sums.by,
                "group": group.name,
                "jobs": group.jobs,
                "measure": name,
                "unit": sums.measures[name].unit,
                **msgspec.structs.asdict(measure),
            }


def _bin_rows(sums: ResourceSums) -> Iterator[dict[str, object]]:
    for group in sums.groups:
        for name, measure in group.measures.items():
            unit, edges = sums.measures[name].unit, sums.measures[name].edges
            for start, end, jobs in zip(edges, edges[1:], measure.bins, strict=False):
                yield {
                    "by": sums.by,
                    "group": group.name,
                    "measure": name,
                    "unit": unit,
                    "from": start,
                    "to": end,
                    "jobs": jobs,
                }


def first_line(sums: ResourceSums) -> str:
    """Return how many jobs the distributions are of."""
    if not sums.jobs:
        return "No successful job matches these filters."
    return f"{counted(sums.jobs, 'job')} that succeeded, in {counted(len(sums.groups), sums.by)}."


def with_unit(value: float, measure: str) -> str:
    """Return a value of a measure with its unit."""
    unit = MEASURES[measure][0]
    if unit == "seconds":
        return duration(value)
    return size(value) if unit == "bytes" else percent(value, 0)


def _row(group: ResourceGroup, measure: str | None, ends: list[str]) -> GroupRow:
    sums = group.measures.get(measure) if measure else None
    if sums is None or measure is None:
        return GroupRow(group, None)
    return GroupRow(
        group,
        ShownMeasure(
            job_count=sums.count,
            p10=with_unit(sums.p10, measure),
            median=with_unit(sums.median, measure),
            p90=with_unit(sums.p90, measure),
            largest=with_unit(sums.largest, measure),
            histogram=draw_histogram(sums.bins, ends),
        ),
    )


def _ends(bins: MeasureBins, name: str) -> list[str]:
    return end_words(bins.edges, bins.unit, lambda edge: with_unit(edge, name))


def draw_histogram(counts: Sequence[int], ends: Sequence[str]) -> Histogram:
    """Return the histogram of these counts.

    `ends` are the words of the edges, one more than there are bars.
    """
    most = max(counts) or 1
    last = len(counts) - 1
    path, bars = "", []
    for place, count in enumerate(counts):
        if count:
            height = max(1, round(HEIGHT * count / most))
            path += f"M{place * STEP} {HEIGHT}v-{height}h{STEP - _GAP}v{height}z"
        where = f"{ends[place]} to {ends[place + 1]}"
        if place == 0:
            where += " and below"
        elif place == last:
            where += " and above"
        bars.append(f"{where}: {counted(count, 'job')}")
    return Histogram(len(counts) * STEP, path, bars, counts.index(max(counts)))


def end_words(edges: Sequence[float], unit: str, words_of: Callable[[float], str]) -> list[str]:
    """Return the edges in words, as `words_of` says them.

    Where two of them would read the same, they are in the plain unit, with enough digits.
    """
    texts = [words_of(edge) for edge in edges]
    if len(set(texts)) == len(texts):
        return texts
    factor, name = _RAW[unit]
    step = factor * (edges[-1] - edges[0]) / (len(edges) - 1)
    digits = 0
    if step > 0:
        digits = max(0, 1 - math.floor(math.log10(step)))
    texts = []
    for edge in edges:
        value = factor * edge
        amount = f"{value:.{digits}f}"
        if digits == 0:
            amount = number(value)
        texts.append(f"{amount} {name}")
    return texts
