"""The step between ticking units and waiving them: it lists them, and asks once who and why.

The units are ticked on the page of retries. The same step takes waivers back.
"""

from datetime import UTC, datetime
from typing import NamedTuple, cast

from flask import Blueprint, Response, redirect, request

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer
from jobprov.app.web.frame.writing import TOKEN_FIELD, form_grant, needs_token
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.tasks import UnitState
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.waivers import UnitsToDecide, units_to_decide, waive_units

_LISTED = 200
_WITHDRAW = "withdraw"


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
    """A unit as the step lists it; the state is None of one that nobody can decide about."""

    unit: str
    state: UnitState | None
    why: str | None


def add_routes(blueprint: Blueprint) -> None:
    """Put the step on the blueprint."""
    blueprint.add_url_rule("/waive", view_func=decide, endpoint="waive", methods=["POST"])


def decide() -> Response:
    """Waive units or take their waivers back, once somebody has confirmed it."""
    service = get_service()
    experiment, task_id = _given("experiment"), _given("task_id")
    with service.reading() as connection:
        task = find_task(connection, task_id, experiment=experiment)
        units = units_to_decide(connection, service.store, task)
    decision = _asked_decision(task, units)
    count = request.form.get("confirmed")
    # All of them may be other units by now than those that were counted
    if count is None or (decision.is_every and count != str(len(decision.units))):
        return _ask(decision, units, is_changed=count is not None)
    decided = _carry_out(decision)
    result = "restored" if decision.is_withdrawal else "waived"
    place = {"experiment": task.experiment, "task_id": task.task_id, result: str(decided)}
    # 303: the browser reads the page anew, and to load it again waives nothing twice
    return cast("Response", redirect(address("/retry", place), 303))


def _given(name: str) -> str:
    value = request.form.get(name, "").strip()
    if not value:
        raise BadInputError(f"{name}: fill it in.", {name: ["missing"]})
    return value


def _asked_decision(task: FoundTask, units: UnitsToDecide) -> _Decision:
    is_withdrawal = request.form.get("do") == _WITHDRAW
    is_every = "every" in request.form
    chosen = list(dict.fromkeys(request.form.getlist("unit")))
    if is_every and is_withdrawal:
        chosen = units.waived
    elif is_every:
        chosen = [unit.unit for unit in units.open]
    if not chosen:
        raise BadInputError("unit: tick at least one unit.", {"unit": ["none is ticked"]})
    return _Decision(task, chosen, is_every, is_withdrawal)


def _ask(decision: _Decision, units: UnitsToDecide, *, is_changed: bool) -> Response:
    """Return the page that lists the units and asks who decides, and why."""
    states = {unit.unit: (unit.state, unit.why) for unit in units.open}
    states |= dict.fromkeys(units.waived, (UnitState.WAIVED, None))
    listed = []
    for unit in decision.units[:_LISTED]:
        state, why = states.get(unit, (None, None))
        listed.append(_ListedUnit(unit, state, why))
    return answer(
        "tasks/waive.html",
        task=decision.task,
        decision=decision,
        units=counted(len(decision.units), "unit"),
        listed=listed,
        is_changed=is_changed,
        token_field=TOKEN_FIELD if needs_token() else None,
        back=address(
            "/retry", {"experiment": decision.task.experiment, "task_id": decision.task.task_id}
        ),
    )


def _carry_out(decision: _Decision) -> int:
    """Enter the waiver, or its withdrawal, into the ledger; return how many units it names."""
    grant = form_grant(decision.task.experiment, Scope.DECLARE)
    document = {
        "units": decision.units,
        "who": _given("who"),
        "why": _given("why"),
        "withdrawn": decision.is_withdrawal,
    }
    return get_service().write(
        lambda writing: waive_units(writing, decision.task, document),
        received_at=datetime.now(UTC),
        submitter=grant.submitter,
    )
