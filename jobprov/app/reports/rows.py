"""A report as rows of words: the same for its text and for its page."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from jobprov.provenance.answers.failures import ErrorCounts, FailureCause, Outlier
from jobprov.provenance.answers.reruns.proofs import ProofCounts
from jobprov.provenance.answers.statistics.campaigns import (
    CampaignProgress,
    CampaignReport,
    StageResources,
    TaskUnits,
    TaskWaiver,
    UnitCounts,
)
from jobprov.provenance.answers.statistics.spending import Spending, Spent
from jobprov.provenance.answers.tasks.queue import QueueCounts
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.lineage.words import (
    counted,
    duration,
    duration_with_band,
    elided,
    hidden_failure_words,
    number,
    percent,
    size,
)
from jobprov.provenance.times import minute_text

UNITS = ("expected", "produced", "waived", "missing")
_TITLES = ("Expected", "Done", "Waived", "Missing", "Not done")
_USE = ("Wall time", "9 of 10 within", "CPU efficiency", "Memory")
_PROOFS = ("Proven", "Failed", "Differs", "Not rerun")
_OF_PROOFS = (
    "Counted in jobs: proven if a rerun of the same recipe, without a network, came out as "
    "recorded."
)
SPENT = ("Jobs", "Did not succeed", "CPU hours", "Of these lost")
_LEAST_HOURS = 0.01
_OF_SPENT = "Lost are the CPU hours of jobs that did not succeed."
FIGURES = frozenset({"Jobs", "Units", "Elsewhere", *_TITLES[:-1], *_USE, *_PROOFS, *SPENT})
"""Columns of numbers and measures, which stand below each other on a page."""
UNBROKEN = frozenset({"On", "Last", "When"})
"""Columns of a number and its noun, or of a time, which stay on one line."""
_OF_UNITS = "Counted in units: a unit is done once as many of its files as declared were seen."
_LONGEST = 200
MISSING = "–"  # noqa: RUF001 - missing is an en dash


class Table(NamedTuple):
    """A table: its title, its columns, and its rows as words."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


def headline(campaign: CampaignProgress) -> str:
    """Return how far a campaign is, when it may be done, and what needs a decision."""
    return f"{progress_line(campaign)}{left_words(campaign)}"


def progress_line(campaign: CampaignProgress) -> str:
    """Return how far a campaign is, in one sentence."""
    declared = [task for task in campaign.tasks if task.expected is not None]
    if not declared:
        tasks = counted(len(campaign.tasks), "task")
        return f"{tasks}; none was declared, so nobody knows what is missing."
    expected, produced, missing, waived = 0, 0, 0, 0
    for task in declared:
        expected += task.expected or 0
        produced += task.produced
        missing += task.missing or 0
        waived += task.waived
    line = done_words(produced, expected)
    if waived:
        line += f", {number(waived)} waived"
    return f"{line}, {number(missing)} missing."


def running_marks(counts: QueueCounts) -> str:
    """Return how many of the jobs that run are slow or stuck: ` (16 slow, 1 stuck)`, or ''."""
    marked = [(counts.slow, "slow"), (counts.stuck, "stuck")]
    marks = [f"{number(count)} {word}" for count, word in marked if count]
    return f" ({', '.join(marks)})" if marks else ""


def done_words(done: int, expected: int) -> str:
    """Return how many units are done: `18,808 of 21,364 units done (88 %)`."""
    line = f"{number(done)} of {counted(expected, 'unit')} done"
    if 0 < done < expected:
        # Rounded down: what is not done does not look done
        line += f" ({100 * done // expected} %)"
    return line


def left_words(campaign: CampaignProgress) -> str:
    """Return when a campaign may be done, and what needs a decision, as further sentences.

    '' if neither is known.
    """
    backlog = campaign.backlog
    stays = 0 if backlog is None else backlog.stays
    units = counted(stays, "unit")
    need = "needs" if stays == 1 else "need"
    if not campaign.seconds_left:
        return f" {units} {need} a decision." if stays else ""
    left = duration_with_band(
        campaign.seconds_left, campaign.seconds_left_low, campaign.seconds_left_high
    )
    if backlog is None or backlog.ends_at is None:
        words = f" About {left} left at the present pace."
    else:
        what = "it" if backlog.burn_down.is_whole else "what was declared"
        ends = moment(backlog.ends_at)
        words = f" At the present pace {what} will be done about {ends}, in {left}."
    if stays:
        words = f"{words[:-1]}, but for {units} that {need} a decision."
    return words


def tables(report: CampaignReport) -> Iterator[Table]:
    """Yield the tables of a report, those that have rows."""
    campaign = report.campaign
    stages = [_units_row(stage.stage or "no stage", stage.units) for stage in campaign.stages]
    yield Table("Stages, in order", ("Stage", *_TITLES), stages, _OF_UNITS)
    yield Table("Proven by rerun", _PROOFS, [_proof_row(campaign.proof)], _OF_PROOFS)
    yield from _waiting_tasks(campaign.tasks)
    if report.waivers:
        columns = ("Task", "Units", "Who", "Why", "When")
        yield Table("Waivers", columns, [_waiver_row(waiver) for waiver in report.waivers])
    yield from _errors(report.errors)
    if report.spending is not None:
        yield from spending_tables(report.spending)
    if report.resources:
        measures = ("Stage", "Jobs", *_USE, "9 of 10 within")
        rows = [_resources_row(stage) for stage in report.resources]
        yield Table("What jobs took, median", measures, rows)


def spending_tables(spending: Spending) -> Iterator[Table]:
    """Yield what a campaign cost by week, site and release; nothing if no job ended."""
    if not spending.total.jobs:
        return
    note = f"{_OF_SPENT} {silent_words(spending)}".rstrip()
    weeks = [*spending.weeks, spending.total]
    yield _spending_table("by week", "When", weeks, note)
    yield _spending_table("by site", "Site", spending.sites, note)
    yield _spending_table("by release", "Release", spending.releases, note)


def _spending_table(way: str, column: str, costs: Sequence[Spent], note: str) -> Table:
    rows = [spent_row(spent, column) for spent in costs]
    return Table(f"What it cost: {way}", (column, *SPENT), rows, note)


def spent_row(spent: Spent, column: str) -> tuple[str, ...]:
    """Return what jobs cost as words: their name, and the columns of `SPENT`."""
    return (
        spent.name or f"no {column.lower()}",
        number(spent.jobs),
        _with_share(spent.failures, spent.jobs),
        "not known" if spent.cpu_hours is None else _hours(spent.cpu_hours),
        _lost_hours(spent),
    )


def _with_share(part: int, whole: int) -> str:
    """Return `295 (8.5 %)`."""
    return f"{number(part)} ({percent(part / whole)})" if part and whole else number(part)


def silent_words(spending: Spending) -> str:
    """Return in a sentence how many jobs did not report their CPU time; '' if all did."""
    silent = spending.total.silent_jobs
    return f"CPU hours of {counted(silent, 'job')} are not known." if silent else ""


def _lost_hours(spent: Spent) -> str:
    if spent.cpu_hours is None or spent.lost_cpu_hours is None:
        return "not known"
    words = _hours(spent.lost_cpu_hours)
    if spent.lost_cpu_hours:
        words += f" ({percent(spent.lost_cpu_hours / spent.cpu_hours)})"
    return words


def _hours(hours: float) -> str:
    """Return `1 204`, of a few hours `2.5`, of less than one `0.04`."""
    if hours >= 10:  # noqa: PLR2004
        return number(round(hours))
    if hours >= 1:
        return f"{hours:.1f}"
    if 0 < hours < _LEAST_HOURS:
        return f"under {_LEAST_HOURS}"
    return f"{hours:.2f}" if hours else "0"


def week_words(spending: Spending) -> str:
    """Return how the last week compares with the one before, in a sentence; '' where none ended."""
    this, before = spending.weeks
    if not this.jobs and not before.jobs:
        return ""
    words = f"{counted(this.jobs, 'job')} ended in the last 7 days{_failed_share(this)}"
    jobs_before = number(before.jobs) if before.jobs else "none"
    return f"{words}; in the 7 days before {jobs_before}{_failed_share(before)}."


def cost_words(spending: Spending) -> str:
    """Return `5 324 CPU hours, of which 182 (3.4 %) were lost`.

    '' where no job says its CPU time.
    """
    total = spending.total
    if total.cpu_hours is None:
        return ""
    words = f"{_hours(total.cpu_hours)} CPU hours"
    if total.lost_cpu_hours:
        words += f", of which {_lost_hours(total)} were lost"
    return words


def _failed_share(spent: Spent) -> str:
    if not spent.jobs:
        return ""
    return f", of which {percent(spent.failures / spent.jobs)} did not succeed"


def _proof_row(proof: ProofCounts) -> tuple[str, ...]:
    counts = (proof.proven, proof.failed, proof.differs, proof.unproven)
    return tuple(number(count) for count in counts)


def _waiting_tasks(tasks: Sequence[TaskUnits]) -> Iterator[Table]:
    rows = [_units_row(task.task_id, task) for task in tasks if task.missing or task.waived]
    if rows:
        title, note = "Tasks with units missing or waived", "Which: jobprov missing TASK"
        yield Table(title, ("Task", *_TITLES), rows, note)


def _waiver_row(waiver: TaskWaiver) -> tuple[str, ...]:
    return (
        waiver.task_id,
        number(waiver.unit_count),
        waiver.who,
        waiver.why,
        moment(waiver.waived_at),
    )


def _errors(errors: ErrorCounts) -> Iterator[Table]:
    if errors.causes:
        title = f"Why {number(errors.failures)} of {counted(errors.jobs, 'job')} failed"
        rows = [_cause_row(cause) for cause in errors.causes]
        yield Table(title, ("Jobs", "Cause", "Class", "On", "Last"), rows)
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
    cause_text = cause.cause or cause.message
    message = f" ({elided(cause_text, _LONGEST)})" if cause_text else ""
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


def moment(value: str | datetime | None) -> str:
    """Return a time in UTC as people read it; a dash for none."""
    return MISSING if value is None else minute_text(value)


def _units_row(name: str, units: UnitCounts | TaskUnits) -> tuple[str, ...]:
    cells = [name]
    for kind in UNITS:
        count = getattr(units, kind)
        cells.append(MISSING if count is None else number(count))
    cells.append(state_words(units.states, but=(UnitState.WAIVED,)) or MISSING)
    return tuple(cells)


def unlisted_words(units: int) -> str:
    """Return what it means that jobs of a task ran for units that it does not list."""
    return (
        f"Jobs ran for {counted(units, 'unit')} not on the declared list, which do not count. "
        "The names must be the same, with a namespace or without."
    )


def hidden_words(units: int) -> str:
    """Return that units of a task hide failures, and what to do about it."""
    return (
        f"{hidden_failure_words(units)}. Give each command a unit of its own by --unit, name an "
        "input that all jobs have by --shared-input, or make commands steps of one job by `step`."
    )


def state_words(states: Mapping[UnitState, int], *, but: Sequence[UnitState] = ()) -> str:
    """Return how many units are in each state but done: `3 failed, 1 succeeded without output`."""
    counts = []
    for state in UnitState:
        count = states.get(state, 0)
        if count and state != UnitState.SUCCEEDED and state not in but:
            counts.append(f"{number(count)} {state.label}")
    return ", ".join(counts)


def _resources_row(stage: StageResources) -> tuple[str, ...]:
    run_time = stage.measures.get("wall_seconds")
    efficiency = stage.measures.get("cpu_efficiency")
    memory = stage.measures.get("max_rss_bytes")
    cells = [stage.stage or "no stage", number(stage.jobs)]
    if run_time:
        cells += [duration(run_time.median), duration(run_time.p90)]
    else:
        cells += [MISSING, MISSING]
    cells.append(percent(efficiency.median, 0) if efficiency else MISSING)
    if memory:
        cells += [size(round(memory.median)), size(round(memory.p90))]
    else:
        cells += [MISSING, MISSING]
    return tuple(cells)
