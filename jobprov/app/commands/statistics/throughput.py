"""`jobprov throughput`: what ended when, and since when it goes wrong."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    job_filters,
    option_with_default,
)
from jobprov.app.commands.terminal.tables import Columns, cell_table, table
from jobprov.provenance.answers.statistics.marks import Mark
from jobprov.provenance.answers.statistics.throughput import (
    MEASURES,
    QUEUED,
    Throughput,
    ended_words,
)
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, duration, number, period, size
from jobprov.provenance.times import minute_text

_NOT_KNOWN = "not known"
_MOST_GROUPS = 6
"""So many columns fit a terminal."""
_MOST_STEPS = 30
_BAR = 24


@click.command()
@job_filters("task", "campaign", "stage", "site", "host")
@click.option(
    "--state",
    metavar="STATE,…",
    help="Jobs that ended in this state: succeeded, failed, killed or lost; several with commas between them.",
)
@job_filters("revision")
@click.option("--since", metavar="TIME", help="How far back: 90m, 24h, 7d, 4w.  [default: 7d]")
@click.option("--ended-after", metavar="TIME", help="From this time on, instead of --since.")
@click.option("--ended-before", metavar="TIME", help="Until this time; now by default.")
@click.option("--step", metavar="LENGTH", help="Length of a step: 10m, 1h, 1d.")
@option_with_default(
    "--by",
    click.Choice(["state", "stage", "site", "class"]),
    "state",
    "How to group; class: failures only.",
)
@option_with_default(
    "--measure",
    click.Choice(MEASURES),
    "jobs",
    "What to count; running: how many ran at once; idle, held, queue: how many waited or "
    "were there at all, as queues were reported; the last two: their distribution.",
)
@experiment_option
@asks_service
def throughput(*, client: Client, as_json: bool, **query: Any) -> None:
    """Show what ended in each step of a time: jobs, files, events or CPU hours.

    Also how many jobs ran or waited at once, and how wall time and memory spread. Steps in which
    nothing ended are left out. What changed in that time follows: new releases, rules, sites that
    came or went. Exit code 1 where no job ended in that time, or no queue was reported.
    """
    answer = client.throughput(**query, steps=_MOST_STEPS)
    if not answer.jobs:
        refuse_unknown_names(client, query)
    lines = _lines(answer, ended_words(query["state"]))
    emit(answer, "\n".join(lines), as_json=as_json)
    sys.exit(0 if answer.groups else 1)


def _lines(answer: Throughput, ended: str) -> Iterator[str]:
    """Yield what the command tells; `ended` says how the jobs did."""
    noun = "failed job" if answer.by == "class" else "job"
    window = f"from {minute_text(answer.start)} to {minute_text(answer.end)}"
    if _is_of_queues(answer):
        yield from _queue_lines(answer, window)
        return
    verb = "ran" if answer.measure == "running" else ended
    if not answer.jobs:
        yield f"No {noun} {verb} {window}."
        if answer.newest_end is not None:
            yield f"The newest job ended {minute_text(answer.newest_end)}."
        return
    measured = answer.measure.replace("_", " ")
    step = period(answer.step_seconds)
    yield f"{counted(answer.jobs, noun)} {verb} {window}; {measured} every {step}:"
    if any(group.spread is not None for group in answer.groups):
        titles = ("FROM", answer.by.upper(), "JOBS", "10 %", "MEDIAN", "90 %", "LARGEST")
        yield cell_table(titles, _spread_rows(answer))
    else:
        yield _step_table(answer)
    yield from _mark_lines(answer)


def _queue_lines(answer: Throughput, window: str) -> Iterator[str]:
    """Yield what queues had in each step, where that is known."""
    if not answer.groups:
        yield f"No queue was reported {window}."
        return
    noun = "job" if answer.measure == "queue" else f"{answer.measure} job"
    step = duration(answer.step_seconds)
    yield f"{counted(answer.jobs, noun)} at once at most {window}; on average over {step}:"
    yield _step_table(answer)
    if answer.none_since is not None:
        yield f"None since {minute_text(answer.none_since)}."
    yield from _mark_lines(answer)


def _mark_lines(answer: Throughput) -> Iterator[str]:
    """Yield what changed in the window, the most important first."""
    if not answer.marks:
        return
    yield ""
    yield table(answer.marks, _OF_MARKS)
    if answer.marks_left_out:
        yield f"{number(answer.marks_left_out)} less important changes are left out."


def _spread_rows(answer: Throughput) -> Iterator[list[str | None]]:
    """Yield what the jobs of each step took by group, the oldest step first."""
    groups = [(group.name or f"no {answer.by}", group) for group in answer.groups]
    if answer.others is not None:
        groups.append(("others", answer.others))
    for place, start in enumerate(answer.starts):
        for name, group in groups:
            if not group.amounts[place] or group.spread is None:
                continue
            spread = group.spread
            took = [spread.p10, spread.median, spread.p90, spread.largest]
            cells = [_took(answer.measure, values[place]) for values in took]
            yield [minute_text(start), name, _amount(group.amounts[place]), *cells]


def _took(measure: str, value: float | None) -> str | None:
    if value is None:
        return None
    return duration(value) if measure == "wall_seconds" else size(round(value))


def _step_table(answer: Throughput) -> str:
    """Return a row for each step in which anything ended, or for which queues were reported."""
    titles = ["FROM", "", "ALL"]
    titles += [(group.name or f"no {answer.by}").upper() for group in answer.groups[:_MOST_GROUPS]]
    if _has_others(answer):
        titles.append("OTHERS")
    totals = answer.totals
    most = max(total or 0.0 for total in totals)
    rows: list[list[str | None]] = []
    for place, total in enumerate(totals):
        start = minute_text(answer.starts[place])
        if total is None:
            rows.append([start, _NOT_KNOWN, *[None] * (len(titles) - 2)])
        elif total or _is_of_queues(answer):
            rows.append([start, _bar(total, most), *_amounts(answer, place, total)])
    return cell_table(titles, rows)


def _has_others(answer: Throughput) -> bool:
    return answer.others is not None or len(answer.groups) > _MOST_GROUPS


def _bar(total: float, most: float) -> str:
    """Return the bar of a step, of one mark at least where the step has anything."""
    if not total:
        return " "
    return "#" * max(1, round(_BAR * total / most))


def _amounts(answer: Throughput, place: int, total: float) -> list[str | None]:
    """Return the cells of a step: in all, of each group that is shown, and of the others."""
    shown = [group.measured[place] or 0.0 for group in answer.groups[:_MOST_GROUPS]]
    amounts = [total, *shown]
    if _has_others(answer):
        amounts.append(total - sum(shown))
    # Nothing ended is left blank; no job in a queue is a number like any other
    nothing = "0" if _is_of_queues(answer) else None
    return [_amount(amount) or nothing for amount in amounts]


def _is_of_queues(answer: Throughput) -> bool:
    return answer.measure in QUEUED


def _amount(amount: float) -> str | None:
    """Return an amount; whole numbers without decimals, nothing for nothing."""
    if not amount:
        return None
    if amount == int(amount):
        return number(int(amount))
    return f"{amount:.2f}"


_OF_MARKS: Columns[Mark] = {
    "": lambda mark: mark.letter,
    "WHEN": lambda mark: minute_text(mark.at),
    "WHAT CHANGED": lambda mark: mark.words,
    "EXPERIMENT": lambda mark: mark.experiment,
    "JOBS": lambda mark: number(mark.jobs),
}

COMMANDS = {"throughput": throughput}
"""The commands of this file, by name."""
EXAMPLES = {
    "throughput": (
        "jobprov throughput --since 24h --step 1h --by state",
        "jobprov throughput --campaign demo-2026 --since 30d --measure events",
        "jobprov throughput --since 24h --measure running --by site",
        "jobprov throughput --since 24h --measure idle --by stage",
    ),
}
