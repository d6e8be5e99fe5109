"""The throughput page: what ended in each step of a window of time, as a chart and a table."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from flask import Response, request

from jobprov.app.kept_answers import read_marked_throughput
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import amount, counted, number
from jobprov.app.web.frame.page import answer, here, named_task, pages, table
from jobprov.app.web.lookup.jobs import refuse_unknown
from jobprov.provenance.answers.addresses import errors_page
from jobprov.provenance.answers.statistics.throughput import (
    QUEUED,
    Throughput,
    ThroughputGroup,
    ended_words,
)
from jobprov.provenance.schemas.parameters import read_query
from jobprov.provenance.schemas.queries import ThroughputQuery
from jobprov.provenance.services.kept_answers.counting import WINDOW_FIELDS
from jobprov.provenance.services.statistics.throughput import DEFAULT_SINCE, length_of

_WINDOWS = {
    "1h": "hour",
    "24h": "24 hours",
    "7d": "7 days",
    "28d": "28 days",
    "364d": "year",
}
_LENGTH = re.compile(r"([1-9]\d{0,3})([mhdw])")
_UNITS = {"m": "minute", "h": "hour", "d": "day", "w": "week"}
_TITLES = {
    "jobs": "Jobs",
    "files": "Files",
    "events": "Events",
    "cpu_hours": "CPU hours",
    "running": "Jobs running at once",
    "queue": "Waiting and running jobs",
    "idle": "Idle jobs",
    "held": "Held jobs",
    "wall_seconds": "Wall time",
    "max_rss_bytes": "Memory",
}
_SUMMED = {"files": "files", "events": "events", "cpu_hours": "CPU hours"}
"""What is added up of the jobs that ended, with its unit."""
_STATES = (
    ("", "any"),
    ("succeeded", "succeeded"),
    ("failed,killed,lost", "failed, killed or lost"),
    ("failed", "failed"),
    ("killed", "killed"),
    ("lost", "lost"),
)
_COLUMNS = ("start", "step_seconds", "by", "group", "measure", "amount")
_QUANTILES = ("p10", "median", "p90", "largest")
_OF_ERRORS = ("experiment", "campaign", "stage", "task_id", "site", "host", "revision")
"""Filters that the page of errors has too."""
_MOST_STEPS = 60
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Column(NamedTuple):
    """A group as a column of the table.

    Attributes:
        state: the state that it is, None where groups are no states.
    """

    title: str
    state: str | None
    group: ThroughputGroup


class StepRow(NamedTuple):
    """A step in which something ended, or for which a queue was reported.

    Attributes:
        url: the page of this step alone; None where it cannot be shown finer.
        amounts: one a column, None for nothing.
        total: None where it is not known what queues had.
    """

    start: str
    url: str | None
    amounts: list[float | None]
    total: float | None


class SpreadRow(NamedTuple):
    """What the jobs of one group took that ended in one step.

    Attributes:
        url: the page of this step alone; None where it cannot be shown finer.
        jobs: how many of them say it.
        values: p10, median, p90 and the largest, in seconds or bytes.
    """

    start: str
    url: str | None
    column: Column
    jobs: int
    values: list[float | None]


@pages.get("/throughput", endpoint="throughput")
def show_page() -> Response:
    """Show what ended in the window of the address."""
    given = {name: value.strip() for name, value in request.args.items() if value.strip()}
    if "task_id" in given:
        given["task_id"] = named_task(request.args["task_id"])
    form = given.pop("format", None)
    given.pop("section", None)
    given.pop("from", None)
    throughput = read_marked_throughput(read_query(ThroughputQuery, given))
    if form == "json":
        return Response(msgspec.json.encode(throughput), content_type="application/json")
    if form == "csv":
        columns = list(_COLUMNS)
        if _is_spread(throughput):
            columns += _QUANTILES
        return table("throughput", columns, _csv_rows(throughput))
    if not throughput.jobs and throughput.measure not in QUEUED:
        refuse_unknown(given)
    return _page(throughput, given)


def _page(throughput: Throughput, given: dict[str, str]) -> Response:
    """Return the page; `given` are the words of its address."""
    window_free = {name: value for name, value in given.items() if name not in WINDOW_FIELDS}
    filters = {name: value for name, value in window_free.items() if name not in {"by", "measure"}}
    columns = _columns(throughput)
    return answer(
        "statistics/throughput.html",
        twin=address("/statistics/throughput", given),
        csv=here(format="csv"),
        chart=here(format="json"),
        throughput=throughput,
        first_line=first_line(throughput, given),
        newest_url=_newest_url(throughput, window_free),
        waiting_url=_waiting_url(given),
        errors_url=_errors_url(throughput, given),
        totals_line=_totals_line(throughput, columns),
        windows=_windows(given, window_free),
        filters=filters,
        fields=given,
        titles=_TITLES,
        chart_title=_chart_title(throughput, given),
        states=_STATES,
        columns=columns,
        is_spread=_is_spread(throughput),
        is_of_queues=throughput.measure in QUEUED,
        has_steps=bool(throughput.jobs or throughput.groups),
        steps=cut_rows("steps", _rows(throughput, columns, window_free), _MOST_STEPS),
    )


def _csv_rows(throughput: Throughput) -> Iterator[dict[str, object]]:
    for column in _columns(throughput):
        for place, start in enumerate(throughput.starts):
            yield {
                "start": start,
                "step_seconds": throughput.step_seconds,
                "by": throughput.by,
                "group": column.title,
                "measure": throughput.measure,
                "amount": column.group.measured[place],
                **dict(zip(_QUANTILES, _values(column.group, place), strict=False)),
            }


def _is_spread(throughput: Throughput) -> bool:
    """Return whether the answer has distributions, not amounts."""
    return any(group.spread is not None for group in throughput.groups)


def _values(group: ThroughputGroup, place: int) -> list[float | None]:
    """Return the quantiles of a group in a step; none where it has no distribution."""
    if group.spread is None:
        return []
    return [getattr(group.spread, name)[place] for name in _QUANTILES]


def first_line(throughput: Throughput, given: dict[str, str]) -> str:
    """Return how many jobs ended or ran in the window, and how."""
    if "ended_after" in given or "ended_before" in given:
        when = f"from {_plain(throughput.start)} to {_plain(throughput.end)} UTC"
    else:
        when = f"in the last {_window_words(given.get('since', DEFAULT_SINCE))}"
    if throughput.measure in QUEUED:
        return _queue_line(throughput, when)
    noun = "failed job" if throughput.by == "class" else "job"
    is_of_running = throughput.measure == "running"
    verb = "ran" if is_of_running else ended_words(given.get("state"))
    if not throughput.jobs:
        return f"No {noun} {verb} {when}."
    line = f"{counted(throughput.jobs, noun)} {verb} {when}"
    if throughput.by == "state":
        states = [f"{number(group.jobs)} {group.name}" for group in throughput.groups]
        line += f": {', '.join(states)}"
    if throughput.measure in _SUMMED:
        line += f"; {_sum_words(throughput)}"
    if is_of_running:
        line += f"; {number(round(_most_at_once(throughput), 1))} at once at most"
    return f"{line}."


def _most_at_once(throughput: Throughput) -> float:
    """Return the largest sum of all groups in one step."""
    columns = _columns(throughput)
    sums = []
    for step in range(len(throughput.starts)):
        sums.append(sum(column.group.amounts[step] for column in columns))
    return max(sums)


def _sum_words(throughput: Throughput) -> str:
    """Return how much all jobs made or took: `1,204.5 CPU hours: succeeded 1,116.5, failed 88`."""
    unit = _SUMMED[throughput.measure]
    sums = {column.title: sum(column.group.amounts) for column in _columns(throughput)}
    line = f"{amount(sum(sums.values()), 1)} {unit}"
    if throughput.by == "state" and len(sums) > 1:
        parts = [f"{name} {amount(of_state, 1)}" for name, of_state in sums.items()]
        line += f": {', '.join(parts)}"
    return line


def _chart_title(throughput: Throughput, given: dict[str, str]) -> str:
    """Return what the chart shows of each step."""
    title = _TITLES[throughput.measure]
    if throughput.measure == "jobs":
        title = f"Jobs that {ended_words(given.get('state'))}"
    return title


def _queue_line(throughput: Throughput, when: str) -> str:
    """Return how many jobs there were last, and the most, as queues were reported."""
    if not throughput.groups:
        return f"No queue was reported {when}."
    totals = throughput.totals
    known = [place for place, total in enumerate(totals) if total is not None]
    newest = totals[known[-1]] or 0.0
    noun = "job" if throughput.measure == "queue" else f"{throughput.measure} job"
    line = f"{counted(throughput.jobs, noun)} at once at most {when}"
    if throughput.none_since is None:
        line += f"; {number(round(newest, 1))} in the newest step that is known"
    elif throughput.jobs:
        line += f"; none since {_plain(throughput.none_since)} UTC"
    unknown = len(totals) - len(known)
    if unknown:
        line += f"; {counted(unknown, 'step')} of {number(len(totals))} not known"
    return f"{line}."


def _window_words(since: str) -> str:
    """Return a length of time in words, as it stands where the page has no words for it."""
    match = _LENGTH.fullmatch(since)
    if since in _WINDOWS or match is None:
        return _WINDOWS.get(since, since)
    count, unit = int(match[1]), _UNITS[match[2]]
    return unit if count == 1 else counted(count, unit)


def _plain(moment: str) -> str:
    return moment.removesuffix("Z").replace("T", " ").removesuffix(":00")


def _newest_url(throughput: Throughput, window_free: dict[str, str]) -> str | None:
    """Return the address of the week before the job that ended last, where the window has none."""
    if throughput.jobs or throughput.newest_end is None or throughput.measure in QUEUED:
        return None
    end = datetime.fromisoformat(throughput.newest_end) + timedelta(seconds=1)
    return address("/throughput", {**window_free, "ended_before": end.strftime(_TIME)})


def _waiting_url(given: dict[str, str]) -> str:
    """Return the address of the queues' page with the same window and filters."""
    kept = {}
    for name in ("experiment", "campaign", "stage", *WINDOW_FIELDS):
        if name in given:
            kept[name] = given[name]
    return address("/throughput", {**kept, "measure": "queue"})


def _errors_url(throughput: Throughput, given: dict[str, str]) -> str | None:
    """Return the page of why jobs of the window failed; None where queues are shown."""
    if throughput.measure in QUEUED:
        return None
    kept = {name: given[name] for name in _OF_ERRORS if name in given}
    end = given.get("ended_before")
    return errors_page(**kept, started_after=throughput.start, started_before=end)


def _totals_line(throughput: Throughput, columns: list[Column]) -> str:
    """Return how many jobs each group has: `Nebraska 47, SMU 18`; '' where the first line tells."""
    if throughput.by == "state" or throughput.measure in QUEUED or not throughput.jobs:
        return ""
    in_turn = sorted(columns, key=lambda column: -column.group.jobs)
    return ", ".join(f"{column.title} {number(column.group.jobs)}" for column in in_turn)


def _windows(given: dict[str, str], window_free: dict[str, str]) -> list[tuple[str, str | None]]:
    """Return the usual windows with their addresses; the shown window has the address None."""
    shown = None
    if "ended_after" not in given and "ended_before" not in given:
        shown = length_of(given.get("since", DEFAULT_SINCE), "since")
    windows: list[tuple[str, str | None]] = []
    for since, words in _WINDOWS.items():
        url = None
        if length_of(since, "since") != shown:
            url = address("/throughput", {**window_free, "since": since})
        windows.append((words, url))
    return windows


def _columns(throughput: Throughput) -> list[Column]:
    columns = []
    for group in throughput.groups:
        state = group.name if throughput.by == "state" else None
        columns.append(Column(group.name or f"no {throughput.by}", state, group))
    if throughput.others is not None:
        columns.append(Column("others", None, throughput.others))
    return columns


def _rows(
    throughput: Throughput, columns: list[Column], window_free: dict[str, str]
) -> Sequence[StepRow | SpreadRow]:
    """Return the rows of the table, the newest step first."""
    if _is_spread(throughput):
        return _spread_rows(throughput, columns, window_free)
    if throughput.measure in QUEUED:
        return _queue_rows(throughput, columns, window_free)
    return _step_rows(throughput, columns, window_free)


def _step_rows(
    throughput: Throughput, columns: list[Column], window_free: dict[str, str]
) -> list[StepRow]:
    """Return the steps in which anything ended, the newest first."""
    rows = []
    for place in reversed(range(len(throughput.starts))):
        amounts = [column.group.amounts[place] for column in columns]
        if not any(amounts):
            continue
        start = throughput.starts[place]
        url = _step_url(throughput, start, window_free)
        shown = [of_column or None for of_column in amounts]
        rows.append(StepRow(start, url, shown, sum(amounts)))
    return rows


def _queue_rows(
    throughput: Throughput, columns: list[Column], window_free: dict[str, str]
) -> list[StepRow]:
    """Return what queues had in each step, the newest first; steps not known in a row as one."""
    rows: list[StepRow] = []
    totals = throughput.totals
    for place in reversed(range(len(totals))):
        start, total = throughput.starts[place], totals[place]
        if total is None:
            if rows and rows[-1].total is None:
                rows.pop()
            rows.append(StepRow(start, None, [], None))
            continue
        amounts = [column.group.measured[place] for column in columns]
        shown: list[float | None] = [of_column or 0.0 for of_column in amounts]
        url = _step_url(throughput, start, window_free)
        rows.append(StepRow(start, url, shown, total))
    return rows


def _spread_rows(
    throughput: Throughput, columns: list[Column], window_free: dict[str, str]
) -> list[SpreadRow]:
    """Return what the jobs of each step took by group, the newest step first."""
    rows = []
    for place in reversed(range(len(throughput.starts))):
        start = throughput.starts[place]
        for column in columns:
            jobs = round(column.group.amounts[place])
            if jobs:
                url = _step_url(throughput, start, window_free)
                rows.append(SpreadRow(start, url, column, jobs, _values(column.group, place)))
    return rows


def _step_url(throughput: Throughput, start: str, window_free: dict[str, str]) -> str | None:
    seconds = throughput.step_seconds
    if seconds <= 60:  # noqa: PLR2004 - the shortest step
        return None
    end = datetime.fromisoformat(start) + timedelta(seconds=seconds)
    ends = {"ended_after": start, "ended_before": end.strftime(_TIME)}
    return address("/throughput", {**window_free, **ends})
