"""Lets a workflow take its next step.

A step reads the state of each stage, orders the units that are ready, and stops the workflow if too
many units of a stage failed.

It is one transaction of the writer, and uses only the database. So each attempt of each unit is
ordered once, however often a step is asked for, and even if a process dies in between.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.addresses import workflow_page
from jobprov.provenance.answers.orders.workflows import (
    StageStanding,
    WorkflowList,
    WorkflowStanding,
    WorkflowSummary,
)
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.changes.orders import lock_workflow
from jobprov.provenance.db.queries.orders.orders import (
    FailedAttempt,
    failed_attempts_by_unit,
    inputs_of_task,
    made_files,
    orders_by_unit,
)
from jobprov.provenance.db.queries.orders.workflows import (
    WorkflowVersion,
    count_open_orders,
    find_versions,
)
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.db.queries.tasks.unit_facts import lost_files_of_units, waived_units
from jobprov.provenance.launchers.workflow import Stage
from jobprov.provenance.services.failures.classes import MEMORY, classes_of, lacked_input
from jobprov.provenance.services.orders.orders import append_orders
from jobprov.provenance.services.orders.workflow_plans import (
    FailedJobs,
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
    find_again,
    read_workflows,
    set_state,
)
from jobprov.provenance.services.tasks.declarations import declare_task, find_declaration
from jobprov.provenance.services.tasks.unit_states import outputs_needed
from jobprov.provenance.services.tasks.units import states_of_units
from jobprov.provenance.services.writing import Writing

_LISTED = 100


class WorkflowSurvey(NamedTuple):
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
    version: WorkflowVersion,
    *,
    now: datetime,
    room: int | None = None,
) -> WorkflowSurvey:
    """Return how a workflow stands and what it would order; nothing is written.

    A few statements a stage.

    Args:
        room: how many orders at most; as many as the workflow lets be in flight by default.
    """
    [declared] = read_workflows(connection, store, [version])
    workflow = declared.workflow
    facts = {stage.name: _facts(connection, store, declared, stage) for stage in workflow.stages}
    if room is None:
        room = max(0, workflow.in_flight - count_open_orders(connection, version.key))
    plans = plan_workflow(workflow, version.number, facts, now=now, room=room)
    return WorkflowSurvey(declared, plans)


def advance_workflow(
    writing: Writing,
    version: WorkflowVersion,
    *,
    followed: Followed | None = None,
) -> WorkflowStanding:
    """Order what is ready and return how the workflow stands then.

    `followed` is what catalogs list now for stages that follow them. Where that cannot be taken,
    `follow_problem` of the stage gives the reason.
    """
    # Two steps at once would both see the same units as not ordered yet
    lock_workflow(writing.connection, version.key)
    problems = _take_listings(writing, version, followed) if followed else {}
    surveyed = survey(writing.connection, writing.store, version, now=writing.received_at)
    if surveyed.declared.state.state == "running":
        surveyed = _take_step(writing, surveyed)
    return show_standing(surveyed, follow_problems=problems)


def _take_listings(
    writing: Writing, version: WorkflowVersion, followed: Followed
) -> dict[str, str]:
    """Take what is new in the lists of a workflow; return by stage why that cannot be done."""
    # The state may have changed while the catalog was asked, which is outside of the transaction
    current = find_again(writing.connection, version)
    [declared] = read_workflows(writing.connection, writing.store, [current])
    if declared.state.state != "running" or declared.state.is_frozen:
        return {}
    refused = top_up(writing, version, workflow=declared.workflow, listings=followed.listings)
    return {**followed.problems, **refused}


def _take_step(writing: Writing, surveyed: WorkflowSurvey) -> WorkflowSurvey:
    """End or stop a running workflow, or else order what is ready; return how it stands then."""
    declared, plans = surveyed
    version = declared.version
    # With the last step too: what was waived leaves fewer units to the stages below
    _declare_tasks(writing, surveyed)
    new_state = _stopped(declared, plans) or _completed(surveyed)
    if new_state is not None:
        set_state(writing, version, new_state)
    else:
        orders = []
        for plan in plans:
            orders += plan.orders
        append_orders(writing, version.experiment, orders)
    current = find_again(writing.connection, version)
    [declared] = read_workflows(writing.connection, writing.store, [current])
    return WorkflowSurvey(declared, plans)


def show_workflow(
    connection: Connection, store: Store, version: WorkflowVersion, *, now: datetime
) -> WorkflowStanding:
    """Return how a workflow stands; nothing is ordered."""
    return show_standing(survey(connection, store, version, now=now, room=0))


def list_workflows(
    connection: Connection, store: Store, *, experiment: str | None = None
) -> WorkflowList:
    """Return the newest version of each workflow, the newest first."""
    newest: dict[tuple[str, str], WorkflowVersion] = {}
    for version in find_versions(connection, experiment=experiment):
        newest.setdefault((version.experiment, version.name), version)
    workflows = []
    for declared in read_workflows(connection, store, list(newest.values())):
        version, state = declared.version, declared.state
        workflows.append(
            WorkflowSummary(
                name=version.name,
                version=version.number,
                experiment=version.experiment,
                campaign=declared.workflow.campaign,
                state=state.state,
                who=state.who,
                why=state.why,
                url=workflow_page(version.name, version.experiment),
            )
        )
    return WorkflowList(workflows)


def show_standing(
    surveyed: WorkflowSurvey, *, follow_problems: Mapping[str, str] | None = None
) -> WorkflowStanding:
    """Return how a workflow stands, as an answer.

    `follow_problems` are by stage; None where no step was asked for.
    """
    declared, plans = surveyed
    stages = [_show_stage(plan) for plan in plans]
    if follow_problems is not None:
        for place, stage in enumerate(stages):
            problem = follow_problems.get(stage.stage)
            stages[place] = msgspec.structs.replace(stage, follow_problem=problem)
    return WorkflowStanding(
        name=declared.version.name,
        version=declared.version.number,
        experiment=declared.version.experiment,
        campaign=declared.workflow.campaign,
        state=declared.state.state,
        who=declared.state.who,
        why=declared.state.why,
        ordered=sum(len(plan.orders) for plan in plans),
        stages=stages,
        text=declared.text,
        files=declared.files,
    )


def _show_stage(plan: StagePlan) -> StageStanding:
    """Return how a stage stands, as an answer."""
    source = plan.stage.source
    problems = {unit: plan.problems[unit] for unit in sorted(plan.problems)[:_LISTED]}
    return StageStanding(
        stage=plan.stage.name,
        task_id=plan.task_id,
        after=plan.stage.after,
        source=None if source is None else source.words(),
        follows=plan.grows,
        units=plan.expected,
        done=plan.standings["done"],
        running=plan.standings["running"],
        queued=plan.standings["queued"],
        wanted=plan.standings["wanted"],
        ended=plan.standings["ended"],
        retrying=plan.standings["retrying"],
        failed=plan.standings["failed"],
        waived=plan.standings["waived"],
        held_back=plan.held_back,
        to_come=plan.to_come,
        waits_for=plan.waits_for or None,
        is_closed=plan.is_closed,
        failed_units=sorted(plan.failed)[:_LISTED],
        problems=problems,
    )


def _facts(
    connection: Connection, store: Store, declared: DeclaredWorkflow, stage: Stage
) -> StageFacts:
    task_id = declared.task_id(stage.name)
    tasks = find_tasks(connection, task_id, declared.version.experiment)
    if not tasks:
        return StageFacts(task_id)
    task = tasks[0].key
    failures = failed_attempts_by_unit(connection, task)
    declaration = find_declaration(connection, store, tasks[0])
    standing = states_of_units(connection, tasks[0], declaration)
    states = {unit: standing_unit.state for unit, standing_unit in standing.items()}
    without_output = [unit for unit, state in states.items() if state == UnitState.NO_OUTPUT]
    return StageFacts(
        task_id,
        states=states,
        orders=orders_by_unit(connection, task),
        inputs=inputs_of_task(connection, task),
        failures=failures,
        failed_jobs=_failed_jobs(connection, failures, states),
        waived=frozenset(waived_units(connection, [task])[task]),
        files=made_files(connection, task, needed=outputs_needed(declaration)),
        lost=lost_files_of_units(connection, task, without_output),
        listed=_listed(connection, store, declared, stage),
        grows=stage.follow and not declared.state.is_frozen,
    )


def _failed_jobs(
    connection: Connection,
    failures: Mapping[str, Sequence[FailedAttempt]],
    states: Mapping[str, UnitState],
) -> FailedJobs:
    """Return the failed jobs of units that are not done: what failed before that is forgotten."""
    counting: list[FailedAttempt] = []
    for unit, attempts in failures.items():
        if states.get(unit) != UnitState.SUCCEEDED:
            counting += attempts
    classes = classes_of(connection, [attempt.job for attempt in counting])
    unbegun = {attempt.job for attempt in counting if not attempt.began}
    return FailedJobs(
        transient={job for job, failure in classes.items() if failure.transient},
        short_of_memory={job for job, failure in classes.items() if failure.class_name == MEMORY},
        without_work=unbegun | {job for job, failure in classes.items() if lacked_input(failure)},
    )


def _listed(
    connection: Connection, store: Store, declared: DeclaredWorkflow, stage: Stage
) -> list[str]:
    """Return the frozen list of a stage that takes its files from a catalog."""
    if stage.source is None:
        return []
    listing = read_listing(
        connection, store, declared.task_id(stage.name), declared.version.experiment
    )
    return listing["units"]


def _stopped(declared: DeclaredWorkflow, plans: Sequence[StagePlan]) -> WorkflowState | None:
    """Return the stopped state if too many units of a stage failed for good; else None."""
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


def _completed(surveyed: WorkflowSurvey) -> WorkflowState | None:
    """Return the complete state if nothing more can come of any stage; else None."""
    if not surveyed.is_complete:
        return None
    state = surveyed.declared.state
    waived = sum(plan.standings["waived"] for plan in surveyed.plans)
    why = "every unit of every stage is done"
    if waived:
        why += f", {waived} are waived"
    return msgspec.structs.replace(state, state="complete", who="jobprov", why=why)


def changed_state(surveyed: WorkflowSurvey, request: WorkflowState) -> WorkflowState:
    """Return the state that somebody asks for; frozen lists stay frozen.

    Where the workflow runs again, what failed until now no longer counts.
    """
    current = surveyed.declared.state
    forgiven = current.forgiven
    # To freeze a running workflow forgives nothing: it did not stop for what failed
    only_freezes = request.is_frozen and current.state == "running"
    if request.state == "running" and not only_freezes:
        forgiven = {plan.stage.name: len(plan.failed) for plan in surveyed.plans if plan.failed}
    return msgspec.structs.replace(
        request, forgiven=forgiven, is_frozen=request.is_frozen or current.is_frozen
    )


def _declare_tasks(writing: Writing, surveyed: WorkflowSurvey) -> None:
    """Declare the task of each stage that has units, again where their number changed.

    Tasks with lists of a catalog are declared with their list.
    """
    version, workflow = surveyed.declared.version, surveyed.declared.workflow
    for plan in surveyed.plans:
        if plan.stage.source is not None:
            continue
        was_declared = bool(find_tasks(writing.connection, plan.task_id, version.experiment))
        if not plan.expected and not was_declared:
            continue
        units: list[str] | int = plan.expected
        if plan.stage.files is not None:
            units = list(plan.stage.files)
        document = stage_document(version, workflow, plan.stage, {"units": units})
        # The service declares it by itself, whoever asked for the step
        declare_task(writing.by(None), plan.task_id, document)
