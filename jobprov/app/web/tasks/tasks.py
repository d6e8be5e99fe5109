"""The page of a task: units done, what failed and why, what it took; and how units are waived."""

from datetime import UTC, datetime
from typing import NamedTuple, cast

from flask import Response, redirect, request
from werkzeug.exceptions import Unauthorized

from jobprov.app.reports.rows import hidden_words, state_words, unlisted_words
from jobprov.app.web.catalogs import catalog_kind
from jobprov.app.web.failures.errors import linked_causes
from jobprov.app.web.frame.cuts import Cut, address, cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.guard import form_grant
from jobprov.app.web.frame.page import (
    answer,
    asked,
    experiment_asked,
    filled_in,
    named_task,
    pages,
)
from jobprov.app.web.frame.progress import progress
from jobprov.app.web.orders.retries import refused_page
from jobprov.app.web.tasks.backlogs import backlog_section
from jobprov.app.web.tasks.queue import queue_section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import jobs_list, task_call
from jobprov.provenance.answers.tasks.tasks import TaskProgress, UnitState
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import duration_with_band, proof_line
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.lookup.gaps import list_gaps
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.tasks.queue import task_queue
from jobprov.provenance.services.tasks.tasks import MOST_LISTED, find_task, show_task
from jobprov.provenance.services.tasks.units import list_ready
from jobprov.provenance.services.tasks.waivers import (
    UnitsToDecide,
    check_known_units,
    units_to_decide,
    waive_units,
)

_JOBS = 25
_READY = 100
_QUEUED = 50
_LISTED = 200
_WITHDRAW = "withdraw"


@pages.get("/tasks/<path:task_id>", endpoint="task")
def show_page(task_id: str) -> Response:
    """Show a task."""
    service, experiment = get_service(), experiment_asked()
    task_id = asked("task_id") or task_id
    with service.reading() as connection:
        opened = find_task(connection, task_id, experiment=experiment)
        filters = JobFilters(experiment=opened.experiment, task_id=opened.task_id)
        task = show_task(connection, service.store, opened)
        jobs = list_jobs(connection, filters, limit=_JOBS)
        gaps = list_gaps(connection, filters)
        ready = list_ready(connection, service.store, opened, limit=_READY)
        queue = task_queue(connection, opened, limit=_QUEUED)

    place = {"experiment": task.experiment, "task_id": task.task_id}
    estimate = {**place, "files": str(task.expected or task.produced or "")}
    backlog, missing_lists = None, None
    if task.missing:
        backlog = task.backlog
        missing_lists = f"/api/v1{_address(task, '/missing')}&format="
    return answer(
        "tasks/task.html",
        twin=_address(task, ""),
        is_live=bool(task.running or task.missing),
        task=task,
        first_line=first_line(task),
        unlisted=unlisted_words(task.unlisted),
        hidden=hidden_words(task.hidden_failures),
        catalog_kind=catalog_kind(service, task.experiment),
        bars=progress(task.states, task.expected),
        states=task.states,
        **backlog_section(backlog, datetime.now(UTC))._asdict(),
        **_failure_section(task)._asdict(),
        waivers=cut_rows("waivers", task.waivers, 10),
        gaps=cut_rows("gaps", gaps.gaps, 15),
        gap_jobs=gaps.job_count,
        proof=gaps.proof,
        proof_line=proof_line,
        **queue_section(queue, place)._asdict(),
        queued=cut_rows("queue", queue.jobs, _QUEUED),
        is_under_way=bool(queue.counts.total or task.missing),
        ready=cut_rows("ready", ready.files, 15),
        is_more_ready=ready.next is not None,
        jobs=jobs.jobs,
        is_more=jobs.next is not None,
        all_jobs=jobs_list(**place),
        again=address("/estimate", estimate),
        missing=missing_lists,
    )


class FailureSection(NamedTuple):
    """Why units of a task failed, in which jobs, and which jobs keep units from being done.

    Attributes:
        is_more_blocking: whether there may be more of these jobs than are listed.
    """

    causes: Cut
    failing: Cut
    blocking: Cut
    is_more_blocking: bool


def _failure_section(task: TaskProgress) -> FailureSection:
    place = {"experiment": task.experiment, "task_id": task.task_id}
    return FailureSection(
        causes=cut_rows("causes", linked_causes(task.errors, place), 15),
        failing=cut_rows("failing", task.failing_jobs, 15),
        blocking=cut_rows("blocking", task.blocking, 20),
        is_more_blocking=len(task.blocking) == MOST_LISTED,
    )


def _address(task: TaskProgress, view: str) -> str:
    """Return the address of a task as JSON, or of a view of it, below /api/v1."""
    return task_call(task.task_id, view, {"experiment": task.experiment})


def first_line(task: TaskProgress) -> str:
    """Return how far the task is."""
    units = counted(task.produced, "unit")
    if task.expected is not None:
        units = f"{number(task.produced)} of {counted(task.expected, 'unit')}"
    line = f"{units} done"
    others = state_words(task.states)
    if others:
        line += f", {others}"
    if task.errors:
        line += f"; {counted(len(task.errors), 'cause')} of failure"
    if task.seconds_left:
        left = duration_with_band(task.seconds_left, task.seconds_left_low, task.seconds_left_high)
        line += f"; about {left} left"
    if task.expected is None:
        return f"{line}. Expected number of units: not declared."
    return f"{line}."


class _Decision(NamedTuple):
    """What a form asks for.

    Attributes:
        units: those that were ticked, or all that can be.
        is_every: whether it is about all of them, however many the page showed.
        is_withdrawal: whether waivers are taken back.
    """

    task: FoundTask
    units: list[str]
    is_every: bool
    is_withdrawal: bool


class _ListedUnit(NamedTuple):
    """A unit as the step lists it; its state is None if nothing can be decided about it."""

    unit: str
    state: UnitState | None
    why: str | None


@pages.get("/waive", endpoint="ask_for_waiver")
def ask_for_waiver() -> Response:
    """Ask who decides to go on without the units in the address, and why; nothing changes yet."""
    experiment, task_id = asked("experiment"), asked("task_id")
    chosen = list(dict.fromkeys(request.args.getlist("unit")))
    given = {"experiment": experiment, "task_id": task_id, "unit": chosen}
    for name, value in given.items():
        if not value:
            raise BadInputError.of_field(name, "missing")
    task, units = _task_to_decide(experiment, task_id or "")
    _check_known(task, chosen)
    decision = _Decision(task, chosen, is_every=False, is_withdrawal=False)
    return _ask(decision, units, is_changed=False)


@pages.post("/waive", endpoint="waive")
def decide_waiver() -> Response:
    """Waive units or take their waivers back, once that is confirmed."""
    _given("task_id")  # refuses a form without it
    task_id = named_task(request.form["task_id"])
    task, units = _task_to_decide(_given("experiment"), task_id)
    decision = _asked_decision(task, units)
    if not decision.units:
        return refused_page(task.experiment, task.task_id, "tick at least one unit.")
    if not decision.is_every and not decision.is_withdrawal:
        _check_known(task, decision.units)
    count = request.form.get("confirmed")
    # All of them may be other units by now than those that were counted
    if count is None or (decision.is_every and count != str(len(decision.units))):
        return _ask(decision, units, is_changed=count is not None)
    try:
        decided = _carry_out(decision)
    except BadInputError as problem:
        return _ask_again(decision, units, str(problem), 422)
    except Unauthorized as problem:
        # A session may end while somebody types, and browsers forget what was typed then
        return _ask_again(decision, units, str(problem.description), 401)
    result = "restored" if decision.is_withdrawal else "waived"
    place = {"experiment": task.experiment, "task_id": task.task_id, result: str(decided)}
    # 303: the browser reads the page anew, and to load it again waives nothing twice
    return cast("Response", redirect(address("/retry", place), 303))


def _task_to_decide(experiment: str | None, task_id: str) -> tuple[FoundTask, UnitsToDecide]:
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, task_id, experiment=experiment)
        return task, units_to_decide(connection, service.store, task)


def _check_known(task: FoundTask, units: list[str]) -> None:
    service = get_service()
    with service.reading() as connection:
        check_known_units(connection, service.store, task, units)


def _given(name: str) -> str:
    return filled_in(name, request.form.get(name, ""))


def _asked_decision(task: FoundTask, units: UnitsToDecide) -> _Decision:
    is_withdrawal = request.form.get("do") == _WITHDRAW
    is_every = "every" in request.form
    chosen = list(dict.fromkeys(request.form.getlist("unit")))
    if is_every and is_withdrawal:
        chosen = units.waived
    elif is_every:
        chosen = [unit.unit for unit in units.open]
    return _Decision(task, chosen, is_every, is_withdrawal)


def _ask_again(decision: _Decision, units: UnitsToDecide, problem: str, status: int) -> Response:
    """Return the page with what was entered, and the reason why nothing was changed."""
    page = _ask(decision, units, is_changed=False, problem=problem)
    page.status_code = status
    return page


def _ask(
    decision: _Decision, units: UnitsToDecide, *, is_changed: bool, problem: str | None = None
) -> Response:
    """Return the page that lists the units and asks who decides, and why."""
    decidable = {unit.unit: _ListedUnit(unit.unit, unit.state, unit.why) for unit in units.open}
    for unit in units.waived:
        decidable[unit] = _ListedUnit(unit, UnitState.WAIVED, None)
    listed = []
    for unit in decision.units[:_LISTED]:
        listed.append(decidable.get(unit, _ListedUnit(unit, None, None)))
    place = {"experiment": decision.task.experiment, "task_id": decision.task.task_id}
    return answer(
        "tasks/waive.html",
        task=decision.task,
        decision=decision,
        units=counted(len(decision.units), "unit"),
        listed=listed,
        is_changed=is_changed,
        problem=problem,
        who=request.form.get("who", "").strip(),
        why=request.form.get("why", "").strip(),
        back=address("/retry", place),
    )


def _carry_out(decision: _Decision) -> int:
    """Enter the waiver, or its withdrawal, into the ledger; return how many units it decided."""
    grant = form_grant(decision.task.experiment, Scope.DECLARE)
    document = {
        "units": decision.units,
        "who": grant.person or _given("who"),
        "why": _given("why"),
        "withdrawn": decision.is_withdrawal,
    }
    taken = get_service().write(
        lambda writing: waive_units(writing, decision.task, document),
        submitter=grant.submitter,
    )
    return taken.unit_count - len(taken.not_waived)
