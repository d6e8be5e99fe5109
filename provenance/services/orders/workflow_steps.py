"""Lets a workflow take its next step.

It reads how the stages stand, orders what is ready, and stops the workflow where too much fails.

All in one transaction of the writer, and from the database alone: whoever asks, how often, and
whatever died in between, each attempt of each unit is ordered once.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from jobprov.archive.store import Store
from jobprov.provenance.answers.addresses import workflow_page
from jobprov.provenance.db.queries.orders.orders import (
    OrderRow,
    WorkflowFound,
    failed_attempts,
    find_workflows,
    inputs_of_task,
    made_files,
    open_count,
    orders_of_task,
)
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.db.queries.tasks.units import unit_rows, waived_units
from jobprov.provenance.db.tables import WorkflowRow
from jobprov.provenance.launchers.workflow import Stage
from jobprov.provenance.services.failures.classes import classes_of
from jobprov.provenance.services.orders.orders import append_orders
from jobprov.provenance.services.orders.workflow_plans import (
    STANDINGS,
    StageFacts,
    StagePlan,
    plan_workflow,
)
from jobprov.provenance.services.orders.workflow_tasks import (
    Followed,
    read_listing,
    stage_document,
    top_up,
)
from jobprov.provenance.services.orders.workflows import (
    DeclaredWorkflow,
    WorkflowState,
    read_workflows,
    set_state,
)
from jobprov.provenance.services.tasks.declarations import declare_task
from jobprov.provenance.services.writing import Writing

_LISTED = 100


class Standing(NamedTuple):
    """How a workflow stands: what it declares, and each stage."""

    declared: DeclaredWorkflow
    plans: list[StagePlan]

    @property
    def is_complete(self) -> bool:
        """Whether nothing more can come of any stage."""
        return all(plan.is_closed for plan in self.plans)


def survey(
    connection: Connection,
    store: Store,
    found: WorkflowFound,
    *,
    now: datetime,
    room: int | None = None,
) -> Standing:
    """Return how a workflow stands and what it would order; nothing is written.

    A few statements a stage.
    """
    [declared] = read_workflows(connection, store, [found])
    workflow = declared.workflow
    facts = {stage.name: _facts(connection, store, declared, stage) for stage in workflow.stages}
    if room is None:
        room = max(0, workflow.in_flight - open_count(connection, found.key))
    return Standing(declared, plan_workflow(workflow, found.version, facts, now=now, room=room))


def advance_workflow(
    writing: Writing,
    found: WorkflowFound,
    *,
    followed: Followed | None = None,
) -> dict[str, Any]:
    """Order what is ready and return how the workflow stands then, as `show_workflow` does.

    `followed` is what catalogs list now for stages that follow them; what cannot be taken is said
    in `follow_problem` of the stage.
    """
    connection = writing.connection
    connection.execute(select(WorkflowRow.id).where(WorkflowRow.id == found.key).with_for_update())
    problems = _top_up(writing, found, followed) if followed else {}
    standing = survey(connection, writing.store, found, now=writing.received_at)
    declared, plans = standing
    state = declared.state.state
    if state == "running":
        said = _stop(declared, plans) or _complete(standing)
        if said is not None:
            set_state(writing, found, said)
        else:
            orders = [order for plan in plans for order in plan.orders]
            _declare_tasks(writing, standing)
            append_orders(writing, found.experiment, orders)
        [declared] = read_workflows(connection, writing.store, [_again(connection, found)])
        standing = Standing(declared, plans)
    answer = shown(standing)
    for stage in answer["stages"]:
        stage["follow_problem"] = problems.get(stage["stage"])
    return answer


def _top_up(writing: Writing, found: WorkflowFound, followed: Followed) -> dict[str, str]:
    """Take what is new in the lists of a workflow that still runs and follows.

    Return why not, by stage.
    """
    [declared] = read_workflows(
        writing.connection, writing.store, [_again(writing.connection, found)]
    )
    if declared.state.state != "running" or declared.state.is_frozen:
        return {}
    refused = top_up(writing, found, workflow=declared.workflow, listings=followed.listings)
    return {**followed.problems, **refused}


def show_workflow(
    connection: Connection, store: Store, found: WorkflowFound, *, now: datetime
) -> dict[str, Any]:
    """Return how a workflow stands, in the words of the HTTP interface.

    Each stage has `units` (expected in the end, as far as that can be told now), how many stand in
    each way, `to_come` and why no more can be ordered now (`waits_for`), and the first hundred
    units that failed for good (`failed_units`).
    """
    return shown(survey(connection, store, found, now=now, room=0))


def list_workflows(
    connection: Connection, store: Store, *, experiment: str | None = None
) -> list[dict[str, Any]]:
    """Return the newest version of each workflow.

    Each is `{name, version, experiment, campaign, state, who, why, url}`.
    """
    newest: dict[tuple[str, str], WorkflowFound] = {}
    for found in find_workflows(connection, experiment=experiment):
        newest.setdefault((found.experiment, found.name), found)
    return [
        {
            "name": each.found.name,
            "version": each.found.version,
            "experiment": each.found.experiment,
            "campaign": each.workflow.campaign,
            "state": each.state.state,
            "who": each.state.who,
            "why": each.state.why,
            "url": workflow_page(each.found.name, each.found.experiment),
        }
        for each in read_workflows(connection, store, list(newest.values()))
    ]


def shown(standing: Standing) -> dict[str, Any]:
    """Return a standing in the words of the HTTP interface."""
    declared, plans = standing
    found, workflow = declared.found, declared.workflow
    return {
        "name": found.name,
        "version": found.version,
        "experiment": found.experiment,
        "campaign": workflow.campaign,
        "state": declared.state.state,
        "who": declared.state.who,
        "why": declared.state.why,
        "ordered": sum(len(plan.orders) for plan in plans),
        "stages": [_shown_stage(plan) for plan in plans],
        "text": declared.text,
        "files": declared.files,
    }


def _shown_stage(plan: StagePlan) -> dict[str, Any]:
    return {
        "stage": plan.stage.name,
        "task_id": plan.task_id,
        "after": plan.stage.after,
        "from": plan.stage.source.words() if plan.stage.source is not None else None,
        "follows": plan.grows,
        "units": plan.expected,
        **{standing: plan.standings[standing] for standing in STANDINGS},
        "held_back": plan.held_back,
        "to_come": plan.to_come,
        "waits_for": plan.waits_for or None,
        "is_closed": plan.is_closed,
        "failed_units": sorted(plan.failed)[:_LISTED],
        "problems": {unit: plan.problems[unit] for unit in sorted(plan.problems)[:_LISTED]},
    }


def _facts(
    connection: Connection, store: Store, declared: DeclaredWorkflow, stage: Stage
) -> StageFacts:
    task_id = declared.task_id(stage.name)
    tasks = find_tasks(connection, task_id, declared.found.experiment)
    if not tasks:
        return StageFacts(task_id)
    task = tasks[0].key
    failures = failed_attempts(connection, task)
    states = {row.unit: row.state for row in unit_rows(connection, [task])[task]}
    asked = [
        attempts[-1].job for unit, attempts in failures.items() if states.get(unit) != "succeeded"
    ]
    classes = classes_of(connection, asked)
    return StageFacts(
        task_id,
        states=states,
        orders=_by_unit(orders_of_task(connection, task)),
        inputs=inputs_of_task(connection, task),
        failures=failures,
        transient=frozenset(job for job, read in classes.items() if read.transient),
        waived=frozenset(waived_units(connection, [task])[task]),
        files=made_files(connection, task),
        listed=_listed(connection, store, declared, stage),
        grows=stage.follow and not declared.state.is_frozen,
    )


def _listed(
    connection: Connection, store: Store, declared: DeclaredWorkflow, stage: Stage
) -> list[str]:
    """Return the frozen list of a stage that takes its files from a catalog."""
    if stage.source is None:
        return []
    listing = read_listing(
        connection, store, declared.task_id(stage.name), declared.found.experiment
    )
    return list(listing.get("units", ()))


def _by_unit(rows: Iterable[OrderRow]) -> dict[str, list[OrderRow]]:
    found: dict[str, list[OrderRow]] = defaultdict(list)
    for row in rows:
        found[row.unit].append(row)
    return dict(found)


def _stop(declared: DeclaredWorkflow, plans: Sequence[StagePlan]) -> WorkflowState | None:
    """Return that the workflow stops, where too much of a stage failed for good; else None."""
    for plan in plans:
        failed = len(plan.failed) - declared.state.forgiven.get(plan.stage.name, 0)
        if failed > declared.workflow.failures_allowed(plan.tried):
            why = (
                f"{len(plan.failed)} of {plan.tried} units of stage {plan.stage.name} failed for "
                f"good, which is more than stop_after allows; look at task {plan.task_id}, then "
                "`jobprov launch --resume`"
            )
            return msgspec.structs.replace(declared.state, state="stopped", who="jobprov", why=why)
    return None


def _complete(standing: Standing) -> WorkflowState | None:
    if not standing.is_complete:
        return None
    state = standing.declared.state
    waived = sum(plan.standings["waived"] for plan in standing.plans)
    why = "every unit of every stage is done" + (f", {waived} are waived" if waived else "")
    return msgspec.structs.replace(state, state="complete", who="jobprov", why=why)


def changed(standing: Standing, said: WorkflowState) -> WorkflowState:
    """Return the state that somebody wants; frozen lists stay frozen.

    Where the workflow runs again, what failed until now no longer counts.
    """
    now = standing.declared.state
    forgiven = now.forgiven
    if said.state == "running" and not (said.is_frozen and now.state == "running"):
        forgiven = {plan.stage.name: len(plan.failed) for plan in standing.plans if plan.failed}
    return msgspec.structs.replace(
        said, forgiven=forgiven, is_frozen=said.is_frozen or now.is_frozen
    )


def _declare_tasks(writing: Writing, standing: Standing) -> None:
    """Declare the task of each stage that has units, again where their number changed.

    The lists of catalogs are declared before.
    """
    found, workflow = standing.declared.found, standing.declared.workflow
    for plan in standing.plans:
        if not plan.expected or plan.stage.source is not None:
            continue
        units = list(plan.stage.files) if plan.stage.files is not None else plan.expected
        document = stage_document(found, workflow, plan.stage, {"units": units})
        declare_task(writing.by(None), plan.task_id, document)


def _again(connection: Connection, found: WorkflowFound) -> WorkflowFound:
    state = select(WorkflowRow.state_entry_id).where(WorkflowRow.id == found.key)
    return found._replace(state_entry_id=connection.execute(state).scalar_one())
