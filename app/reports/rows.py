"""What a report says, as rows of words: the same for its text and for its page."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from jobprov.provenance.answers.failures import ErrorCounts, FailureCause, Outlier
from jobprov.provenance.lineage.words import counted, duration, number, percent, size

UNITS = ("expected", "produced", "running", "failed", "waived", "missing")
_USE = ("Run time", "9 of 10 within", "CPU efficiency", "Memory")
FIGURES = frozenset({"Jobs", "Units", "Elsewhere", *(name.capitalize() for name in UNITS), *_USE})
"""Columns of numbers and measures, which stand below each other on a page."""
_OF_UNITS = (
    "Counted in units: one of which any attempt succeeded is produced, whatever failed before."
)
_LONGEST = 80
MISSING = "–"  # noqa: RUF001 - missing is an en dash
_WORDS: dict[str, Callable[[float], str]] = {
    "wall_seconds": duration,
    "max_rss_bytes": lambda value: size(round(value)),
}


class Table(NamedTuple):
    """A table: its title, its columns, and its rows as words."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


def headline(report: dict[str, Any]) -> str:
    """Return how far the campaign is, in one sentence."""
    campaign = report["campaign"]
    units = [task for task in campaign["tasks"] if task["expected"] is not None]
    if not units:
        return (
            f"{counted(len(campaign['tasks']), 'task')}; none was declared, so nobody knows what "
            "is missing."
        )
    sums = {name: sum(task[name] or 0 for task in units) for name in UNITS}
    waived = f", {number(sums['waived'])} waived" if sums["waived"] else ""
    left = (
        f" About {duration(campaign['seconds_left'])} left at the present pace."
        if campaign["seconds_left"]
        else ""
    )
    done = f"{number(sums['produced'])} of {counted(sums['expected'], 'unit')} done{waived}, "
    return f"{done}{number(sums['missing'])} missing.{left}"


def tables(report: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables of a report, those that have rows."""
    campaign = report["campaign"]
    stages = [_units(stage["stage"] or "no stage", stage["units"]) for stage in campaign["stages"]]
    yield Table("Stages, in order", ("Stage", *_titles()), stages, _OF_UNITS)
    waiting = [task for task in campaign["tasks"] if task["missing"] or task["waived"]]
    if waiting:
        rows = [_units(task["task_id"], task) for task in waiting]
        yield Table(
            "Tasks with units missing or waived",
            ("Task", *_titles()),
            rows,
            "Which: jobprov missing TASK",
        )
    if report["waivers"]:
        rows = [
            (
                each["task_id"],
                number(each["unit_count"]),
                each["who"],
                each["why"],
                moment(each["waived_at"]),
            )
            for each in report["waivers"]
        ]
        yield Table("Waivers", ("Task", "Units", "Who", "Why", "When"), rows)
    yield from _errors(msgspec.convert(report["errors"], ErrorCounts))
    if report["resources"]:
        columns = ("Stage", "Jobs", *_USE, "9 of 10 within")
        yield Table(
            "What jobs took, median", columns, [_resources(group) for group in report["resources"]]
        )


def _errors(errors: ErrorCounts) -> Iterator[Table]:
    if errors.causes:
        title = f"Why {number(errors.failures)} of {counted(errors.jobs, 'job')} failed"
        rows = [_cause_row(cause) for cause in errors.causes]
        yield Table(title, ("Jobs", "Cause", "What it was", "On", "Last"), rows)
    if errors.outliers:
        places = [_outlier_row(outlier) for outlier in errors.outliers]
        yield Table("Places that stand out", ("Kind", "Name", "Failed", "Elsewhere"), places)


def _cause_row(cause: FailureCause) -> tuple[str, ...]:
    return (
        number(cause.count),
        cause_words(cause),
        class_words(cause) or MISSING,
        counted(cause.hosts, "host"),
        moment(cause.last_at),
    )


def _outlier_row(outlier: Outlier) -> tuple[str, ...]:
    failed = f"{outlier.failures} of {outlier.jobs}"
    return outlier.kind, outlier.name, failed, percent(outlier.rate_elsewhere)


def cause_words(cause: FailureCause) -> str:
    """Return a cause of failure: the step, the class of error or how the job ended, the message."""
    if cause.error_class:
        how = cause.error_class
    elif cause.signal is not None:
        how = f"signal {cause.signal}"
    elif cause.exit_code is not None:
        how = f"exit code {cause.exit_code}"
    else:
        how = cause.state or "no exit code"
    step = f"step {cause.failed_step}: " if cause.failed_step else ""
    message = f" ({_cut(cause.message)})" if cause.message else ""
    return f"{step}{how}{message}"


def class_words(cause: FailureCause) -> str:
    """Return what a cause was by the rules of triage, and whether trying again may help.

    '' where no rule matches.
    """
    if not cause.words:
        return ""
    sentence = f"{cause.class_name}: {cause.words}"
    if cause.transient is None:
        return sentence
    return f"{sentence}; trying again {'may help' if cause.transient else 'does not help'}"


def _cut(message: str) -> str:
    return message if len(message) <= _LONGEST else message[: _LONGEST - 1].rstrip() + "…"


def moment(value: str | datetime | None) -> str:
    """Return a time in UTC as people read it."""
    if value is None:
        return MISSING
    return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).strftime(
        "%-d %b %Y %H:%M UTC"
    )


def _titles() -> tuple[str, ...]:
    return tuple(name.capitalize() for name in UNITS)


def _units(name: str, counts: dict[str, Any]) -> tuple[str, ...]:
    return name, *(MISSING if counts[unit] is None else number(counts[unit]) for unit in UNITS)


def _resources(group: dict[str, Any]) -> tuple[str, ...]:
    found = group["measures"]

    def said(name: str, which: str) -> str:
        value = found.get(name, {}).get(which)
        if value is None:
            return MISSING
        return _WORDS[name](value) if name in _WORDS else percent(value, 0)

    return (
        group["stage"] or "no stage",
        number(group["jobs"]),
        said("wall_seconds", "median"),
        said("wall_seconds", "p90"),
        said("cpu_efficiency", "median"),
        said("max_rss_bytes", "median"),
        said("max_rss_bytes", "p90"),
    )
