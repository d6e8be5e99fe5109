"""The page of estimates: how long it would take to do so many files or events again.

The answer is an interval, and comes from the jobs that did it before.
"""

from collections.abc import Mapping
from typing import NamedTuple

from flask import Response
from msgspec.structs import asdict

from jobprov.app.kept_answers import read_filtered
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import MISSING, counted, duration, number, size, text
from jobprov.app.web.frame.page import answer, asked_number, pages
from jobprov.app.web.lookup.jobs import FILTERS_OF_SUMS, asked_filters, asked_words
from jobprov.provenance.answers.estimates import (
    ChainWait,
    Estimate,
    Hours,
    JobWait,
    StageEstimate,
    TotalEstimate,
)
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.lineage.words import digits_due
from jobprov.provenance.services.kept_answers.counting import ESTIMATE

_MOST = {"files": 10**9, "events": 10**15, "slots": 10**7}
_SLOTS = 1000
_ROUND = 100
_SMALL = 0.01
_HOUR = 3600


class _Outcome(NamedTuple):
    """An estimate, or in its place the reason in `line` and `status`."""

    line: str
    status: int = 200
    estimate: Estimate | None = None


class SumsRow(NamedTuple):
    """Hours, waits and bytes in words; None if no job has them."""

    cpu_hours: dict[str, str]
    slot_hours: dict[str, str]
    wall_hours: dict[str, str]
    stage_in_hours: dict[str, str] | None
    queue: dict[str, str] | None
    stage_in: dict[str, str] | None
    output_bytes: int


class StageRow(NamedTuple):
    """The row of a stage: its sums, and how long one of its units takes.

    Attributes:
        median, p99: of the times of its units.
        hung: a sentence about units that hung.
        waits_from: from how many jobs its waits were read.
    """

    stage: StageEstimate
    sums: SumsRow
    median: str
    p99: str
    hung: str | None
    waits_from: str


@pages.get("/estimate", endpoint="estimate")
def show_page() -> Response:
    """Show what it would take.

    Where there is no estimate, show the form alone, with the status that the API answers.
    """
    filters = asked_words(FILTERS_OF_SUMS)
    wanted = {name: asked_number(name, least=1, most=most) for name, most in _MOST.items()}
    slots = wanted.pop("slots") or _SLOTS
    outcome = _ask(wanted, slots)
    twin, stages, total = None, [], None
    if outcome.estimate is not None:
        amounts = {name: str(value or "") for name, value in wanted.items()}
        twin = address("/estimate", {**filters, **amounts, "slots": str(slots)})
        stages = [_stage_row(stage) for stage in outcome.estimate.stages]
        total = _sums_row(outcome.estimate.total)
    page = answer(
        "estimates/estimate.html",
        twin=twin,
        filters=filters,
        wanted=wanted,
        slots=slots,
        estimate=outcome.estimate,
        stages=stages,
        total=total,
        first_line=outcome.line,
    )
    page.status_code = outcome.status
    return page


def _ask(wanted: Mapping[str, int | None], slots: int) -> _Outcome:
    """Return the estimate, or why there is none."""
    if not any(wanted.values()):
        return _Outcome("Say how many files or events, and which jobs to learn from.")
    try:
        estimate = read_filtered(ESTIMATE, asked_filters(FILTERS_OF_SUMS), **wanted, slots=slots)
    except NotFoundError as error:
        line = str(error)
        if error.nearest:
            line += f" Did you mean {' or '.join(error.nearest)}?"
        return _Outcome(line, 404)
    except BadInputError as error:
        return _Outcome(str(error), 422)
    return _Outcome(first_line(estimate), estimate=estimate)


def first_line(estimate: Estimate) -> str:
    """Return how long all of it takes."""
    total, stages = estimate.total, estimate.stages
    amount = counted(estimate.events or 0, "event")
    if estimate.files:
        amount = counted(estimate.files, "file")
    chain = text(stages[0].stage)
    if len(stages) > 1:
        chain += f" to {text(stages[-1].stage)}"
    wall, cpu = _times(total.wall_hours), _hours(total.cpu_hours)
    return (
        f"{amount} from {chain}: about {wall['expected']} with {counted(estimate.slots, 'slot')} "
        f"({wall['low']} to {wall['high']}), {cpu['expected']} CPU hours, "
        f"{size(total.output_bytes)}.{_queue(total)}"
    )


def _queue(total: TotalEstimate) -> str:
    """Return how long jobs wait besides, where that is known."""
    if not total.queue:
        return ""
    wait = _quantiles(total.queue)
    return (
        f" Jobs wait in queues besides: {wait['median']} on a file's way ({wait['p10']} to "
        f"{wait['p90']})."
    )


def _stage_row(stage: StageEstimate) -> StageRow:
    times = stage.unit_times
    p99 = MISSING
    if times.p99_hours is not None:
        p99 = duration(times.p99_hours * _HOUR)
    waits_from = MISSING
    jobs_read = [wait.learnt_from.read for wait in (stage.queue, stage.stage_in) if wait]
    if jobs_read:
        waits_from = counted(max(jobs_read), "job")
    return StageRow(
        stage=stage,
        sums=_sums_row(stage),
        median=duration(times.median_hours * _HOUR),
        p99=p99,
        hung=_hung_units(stage),
        waits_from=waits_from,
    )


def _hung_units(stage: StageEstimate) -> str | None:
    """Return a sentence about the units that hung; None where none did."""
    times = stage.unit_times
    if times.hung_hours is None:
        return None
    return (
        f"{counted(times.hung, 'unit')} of {text(stage.stage)} hung, for "
        f"{duration(times.hung_hours * _HOUR)} or longer: counted in the hours, but not in "
        "the time, which ends with the last unit that does not hang."
    )


def _sums_row(sums: StageEstimate | TotalEstimate) -> SumsRow:
    stage_in_hours, queue, stage_in = None, None, None
    if sums.stage_in_hours is not None:
        stage_in_hours = _hours(sums.stage_in_hours)
    if sums.queue is not None:
        queue = _quantiles(sums.queue)
    if sums.stage_in is not None:
        stage_in = _quantiles(sums.stage_in)
    return SumsRow(
        cpu_hours=_hours(sums.cpu_hours),
        slot_hours=_hours(sums.slot_hours),
        wall_hours=_times(sums.wall_hours),
        stage_in_hours=stage_in_hours,
        queue=queue,
        stage_in=stage_in,
        output_bytes=sums.output_bytes,
    )


def _quantiles(wait: JobWait | ChainWait) -> dict[str, str]:
    """Return the quantiles of a wait as durations."""
    return {
        "p10": duration(wait.p10_hours * _HOUR),
        "median": duration(wait.median_hours * _HOUR),
        "p90": duration(wait.p90_hours * _HOUR),
    }


def _times(interval: Hours) -> dict[str, str]:
    """Return an interval of hours on the clock as durations."""
    return {name: duration(value * _HOUR) for name, value in asdict(interval).items()}


def _hours(interval: Hours) -> dict[str, str]:
    """Return an interval in words, with as many digits as are due to what is expected."""
    expected, bounds = interval.expected, asdict(interval)
    if 0 < expected < _SMALL:
        digits = digits_due(expected)
        return {name: f"{value:.{digits}f}" for name, value in bounds.items()}
    digits = 0 if expected >= _ROUND else digits_due(expected)
    return {name: number(round(value, digits)) for name, value in bounds.items()}
