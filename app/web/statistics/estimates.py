"""The page of estimates: how long it would take to do so many files or events again.

The answer is an interval, and comes from the jobs that did it before.
"""

import math
from typing import Any

from flask import Blueprint, Response

from jobprov.app.kept_answers import read_filtered
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import MISSING, counted, duration, number, size, text
from jobprov.app.web.frame.page import answer, asked, asked_number
from jobprov.app.web.lookup.jobs import asked_filters
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.statistics.counting import ESTIMATE

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
_MOST = {"files": 10**9, "events": 10**15, "slots": 10**7}
_SLOTS = 1000
_ROUND = 100
_SMALL = 0.01
_HOUR = 3600


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/estimate", view_func=show_page, endpoint="estimate")


def show_page() -> Response:
    """Show what it would take.

    Where that cannot be said, show the form alone, with the status that the API answers.
    """
    filters = {name: value for name in _FILTERS if (value := asked(name))}
    wanted = {name: asked_number(name, least=1, most=most) for name, most in _MOST.items()}
    slots = wanted.pop("slots") or _SLOTS
    found, status, line = None, 200, "Say how many files or events, and which jobs to learn from."
    if any(wanted.values()):
        try:
            found = read_filtered(ESTIMATE, asked_filters(_FILTERS), **wanted, slots=slots)
            line = first_line(found)
        except NotFoundError as error:
            status, line = 404, str(error)
        except BadInputError as error:
            status, line = 422, str(error)
    query = {
        **filters,
        **{name: str(value or "") for name, value in wanted.items()},
        "slots": str(slots),
    }
    page = answer(
        "statistics/estimate.html",
        twin=address("/estimate", query) if found else None,
        filters=filters,
        wanted=wanted,
        slots=slots,
        found=found,
        stages=[_row(stage) for stage in found["stages"]] if found else [],
        total=_row(found["total"]) if found else None,
        first_line=line,
    )
    page.status_code = status
    return page


def first_line(found: dict[str, Any]) -> str:
    """Return how long all of it takes."""
    total, stages = found["total"], found["stages"]
    what = counted(found["files"], "file") if found["files"] else counted(found["events"], "event")
    chain = text(stages[0]["stage"]) + (
        f" to {text(stages[-1]['stage'])}" if len(stages) > 1 else ""
    )
    wall, cpu = _times(total["wall_hours"]), _hours(total["cpu_hours"])
    return (
        f"{what} from {chain}: about {wall['expected']} with {counted(found['slots'], 'slot')} "
        f"({wall['low']} to {wall['high']}), {cpu['expected']} CPU hours, "
        f"{size(total['output_bytes'])}.{_queue(total)}"
    )


def _queue(total: dict[str, Any]) -> str:
    """Return how long jobs wait besides, where that is known."""
    if not total["queue"]:
        return ""
    spread = _spread(total["queue"])
    return (
        f" Jobs wait in queues besides: {spread['median']} on a file's way ({spread['p10']} to "
        f"{spread['p90']})."
    )


def _row(sums: dict[str, Any]) -> dict[str, Any]:
    hours = {
        name: _hours(sums[name])
        for name in ("cpu_hours", "slot_hours", "stage_in_hours")
        if sums[name]
    }
    waits = {name: _spread(sums[name]) for name in ("queue", "stage_in") if sums[name]}
    told = [sums[name]["learnt_from"].get("read", 0) for name in waits]
    return {
        **sums,
        **hours,
        **waits,
        "wall_hours": _times(sums["wall_hours"]),
        "waits_from": counted(max(told), "job") if told else MISSING,
    }


def _spread(spread: dict[str, Any]) -> dict[str, str]:
    """Return the quantiles of one job as durations."""
    return {name: duration(spread[f"{name}_hours"] * _HOUR) for name in ("p10", "median", "p90")}


def _times(interval: dict[str, float]) -> dict[str, str]:
    """Return an interval of hours on the clock as durations."""
    return {name: duration(value * _HOUR) for name, value in interval.items()}


def _hours(interval: dict[str, float]) -> dict[str, str]:
    """Return an interval in words, with as many digits as are due to what is expected."""
    expected = interval["expected"]
    digits = 0 if expected >= _ROUND else 1 if expected >= 1 else 3
    if 0 < expected < _SMALL:
        digits = 1 - math.floor(math.log10(expected))
        return {name: f"{value:.{digits}f}" for name, value in interval.items()}
    return {name: number(round(value, digits)) for name, value in interval.items()}
