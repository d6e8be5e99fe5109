"""Which jobs are to be tried again, exactly as they were recorded, and why others are not.

A try repeats the last attempt of its unit. What a workflow ordered is ordered again; any other job
runs from its bundle, with the recorded code, configuration and inputs, not today's. A try is another
attempt of the same unit of the same task, so that the unit counts once.

Source: http.md, `POST /retries`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.orders import (
    FullJobId,
    NewOrder,
    OrderWord,
    RetryChoice,
    StagePolicy,
)
from jobprov.provenance.answers.tasks import UnitState
from jobprov.provenance.db.queries.orders.orders import OrderRow, last_attempt, orders_of_task
from jobprov.provenance.db.queries.orders.retries import (
    Attempt,
    attempts_of_task,
    attempts_of_units,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask, find_tasks
from jobprov.provenance.db.queries.tasks.unit_facts import waived_units
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.services.failures.classes import UNKNOWN, JobClass, classes_of
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_records, read_together
from jobprov.provenance.services.orders.orders import append_orders, read_order_documents
from jobprov.provenance.services.orders.retry_choice import Choice, Try, show_choice
from jobprov.provenance.services.orders.retry_policies import policy_of, read_policies
from jobprov.provenance.services.tasks.declarations import find_declaration
from jobprov.provenance.services.tasks.units import states_of_units
from jobprov.provenance.services.writing import Writing

MOST_JOBS = 1000
_BAD = ("failed", "killed", "lost")
_RERUN = "a rerun: retry the job that it repeats"
_NO_TASK = (
    "it names no task and unit, so that a try could not be counted as one of the same: "
    "`jobprov rerun`"
)
_NO_UNIT = (
    "it names no unit, so that a try could not be counted as one of the same: `jobprov rerun`"
)


class RetryBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What `POST /retries` takes.

    Attributes:
        jobs: a selection, whatever the class of their failures; without it, those that the policy
            of the task's stage offers.
        memory_factor: so many times what the attempt asked for; the policy's by default.
        other_site: whether sites where the unit failed are avoided; as in the policy by default.
        who, why: the person who decided and the reason, for whoever asks in a year.
    """

    experiment: OrderWord
    task_id: OrderWord | None = None
    jobs: Annotated[list[FullJobId], msgspec.Meta(max_length=MOST_JOBS)] = []
    memory_factor: Annotated[float, msgspec.Meta(ge=1, le=10)] | None = None
    other_site: bool | None = None
    who: OrderWord = "-"
    why: OrderWord = "-"


def choose_retries(connection: Connection, store: Store, body: RetryBody) -> Choice:
    """Return what would be tried again; nothing is written. A few statements a task.

    Raises:
        NotFoundError: there is no such task, or no such job.
        BadInputError: neither jobs nor a task are named.
    """
    by_task: dict[str, list[Attempt]] = {}
    for attempt in _attempts_asked_about(connection, store, body):
        by_task.setdefault(attempt.task_id or "", []).append(attempt)
    policies = read_policies(connection, body.experiment)
    choice = Choice([], [])
    for task_id, attempts in sorted(by_task.items()):
        if not task_id:
            for attempt in attempts:
                choice.skipped.append((attempt, _RERUN if attempt.rerun_of else _NO_TASK))
            continue
        [task] = find_tasks(connection, task_id, body.experiment)
        policy = policy_of(policies, task.stage)
        retries = _TaskRetries(connection, store, task=task, body=body, policy=policy)
        of_task = retries.choose(attempts)
        choice.tries.extend(of_task.tries)
        choice.skipped.extend(of_task.skipped)
    return choice


def order_retries(writing: Writing, document: Mapping[str, Any]) -> RetryChoice:
    """Order what is to be tried again; return it with the ids of the orders.

    Raises:
        NotFoundError, BadInputError: see `choose_retries`.
    """
    body = read_retry(document)
    choice = choose_retries(writing.connection, writing.store, body)
    ids = append_orders(
        writing,
        body.experiment,
        [retry.order for retry in choice.tries],
        decision={"who": body.who, "why": body.why},
    )
    answer = show_choice(choice)
    ordered = [
        msgspec.structs.replace(retry, order_id=order_id)
        for retry, order_id in zip(answer.tries, ids, strict=True)
    ]
    return msgspec.structs.replace(answer, tries=ordered)


def read_retry(document: Mapping[str, Any]) -> RetryBody:
    """Return the typed reading of what `POST /retries` takes.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    return read_document(document, RetryBody, "The retry")


def _attempts_asked_about(connection: Connection, store: Store, body: RetryBody) -> list[Attempt]:
    """Return each job of a selection, or the last failure of each open unit of a task."""
    if body.jobs:
        return _selected_attempts(connection, body.experiment, body.jobs)
    if body.task_id is not None:
        return _last_failures(connection, store, body.experiment, body.task_id)
    raise BadInputError("jobs: name jobs, or a task_id.", {"jobs": ["name jobs, or a task_id"]})


def _selected_attempts(
    connection: Connection, experiment: str, jobs: Sequence[str]
) -> list[Attempt]:
    attempts = attempts_of_units(connection, experiment, jobs)
    missing = sorted(set(jobs) - {attempt.job_id for attempt in attempts})
    if missing:
        raise NotFoundError(f"Experiment {experiment} has no job {missing[0]}.")
    return attempts


def _last_failures(
    connection: Connection, store: Store, experiment: str, task_id: str
) -> list[Attempt]:
    """Return the last attempt of each unit of a task that ended and left the unit undone."""
    tasks = find_tasks(connection, task_id, experiment)
    if not tasks:
        raise NotFoundError(
            f"No task {task_id} of experiment {experiment} was declared, and no job names it."
        )
    last: dict[str, Attempt] = {}
    for attempt in attempts_of_task(connection, tasks[0].key):
        if attempt.unit:
            last[attempt.unit] = attempt
    declaration = find_declaration(connection, store, tasks[0])
    standing = states_of_units(connection, tasks[0], declaration)
    return [attempt for unit, attempt in last.items() if _is_open(attempt, standing[unit].state)]


def _is_open(attempt: Attempt, unit_state: UnitState) -> bool:
    """Return whether the last attempt of a unit ended and left it undone."""
    if unit_state == UnitState.SUCCEEDED:
        return False
    return attempt.state in _BAD or unit_state == UnitState.NO_OUTPUT


class _TaskRetries:
    """What may be tried again of one task, by what is known of its units."""

    def __init__(
        self,
        connection: Connection,
        store: Store,
        *,
        task: FoundTask,
        body: RetryBody,
        policy: StagePolicy,
    ) -> None:
        self._connection, self._store = connection, store
        self._task, self._body, self._policy = task, body, policy
        self._attempts: dict[str, list[Attempt]] = {}
        for attempt in attempts_of_task(connection, task.key):
            self._attempts.setdefault(attempt.unit or "", []).append(attempt)
        self._orders: dict[str, list[OrderRow]] = {}
        for order in orders_of_task(connection, task.key):
            self._orders.setdefault(order.unit, []).append(order)
        self._waived = waived_units(connection, [task.key])[task.key]
        self._standing = states_of_units(
            connection, task, find_declaration(connection, store, task)
        )
        self._classes: dict[int, JobClass] = {}

    def choose(self, attempts: Sequence[Attempt]) -> Choice:
        """Return which of these attempts are to be repeated."""
        self._classes = classes_of(self._connection, [attempt.key for attempt in attempts])
        skipped = []
        chosen: dict[str, Attempt] = {}
        for job in attempts:
            attempt = self._as_it_counts(job)
            reason = self._reason_against(attempt)
            if reason is None:
                chosen[attempt.unit or ""] = attempt
            else:
                skipped.append((attempt, reason))
        memory = self._requested_memory(chosen.values())
        orders = self._last_orders(chosen)
        tries = []
        for unit, attempt in chosen.items():
            tries.append(self._try(attempt, orders.get(unit), memory.get(attempt.key)))
        return Choice(tries, skipped)

    def _as_it_counts(self, attempt: Attempt) -> Attempt:
        """Return an attempt whose state tells that it succeeded without output, if so."""
        unit = self._standing.get(attempt.unit or "")
        if attempt.state != "succeeded" or unit is None or unit.state != UnitState.NO_OUTPUT:
            return attempt
        return attempt._replace(state=UnitState.NO_OUTPUT)

    def _reason_against(self, attempt: Attempt) -> str | None:
        """Return why an attempt is not to be repeated; None where it is."""
        # It is no attempt at its unit, and may be all that is recorded of that unit
        if attempt.rerun_of:
            return _RERUN
        if not attempt.unit:
            return _NO_UNIT
        reason = self._unit_reason_against(attempt.unit, attempt.job_id)
        if reason is not None:
            return reason
        # Whoever selects jobs decides; waivers and policies are for what nobody selected
        if self._body.jobs:
            return None
        if attempt.unit in self._waived:
            return "its unit is waived: the task goes on without it"
        return self._policy_reason_against(attempt, attempt.unit)

    def _unit_reason_against(self, unit: str, job_id: str) -> str | None:
        """Return why a unit is not to be tried again after this job; None where it may be."""
        attempts = self._attempts[unit]
        states = {attempt.state for attempt in attempts}
        standing = self._standing[unit]
        # Where only the catalog knows of an output, whoever selects the job decides
        if standing.state == UnitState.SUCCEEDED and not standing.is_by_catalog:
            return "its unit is done"
        if "running" in states:
            return "an attempt of its unit runs"
        orders = self._orders.get(unit)
        if orders and orders[-1].ended_at is None:
            return "its unit is ordered already, and that is not over"
        if attempts[-1].job_id != job_id:
            return f"job {attempts[-1].job_id} tried its unit again since"
        return None

    def _policy_reason_against(self, attempt: Attempt, unit: str) -> str | None:
        """Return why the policy does not offer an attempt; None where it does."""
        tries = self._count_tries(unit)
        if tries > self._policy.times:
            return (
                f"it was tried {tries} times, and the policy of its stage says "
                f"{self._policy.times} times again"
            )
        # The job or its output was lost: another try may bring both
        if attempt.state == UnitState.NO_OUTPUT:
            return None
        job_class = self._classes.get(attempt.key)
        if self._policy.transient_only and not (job_class and job_class.transient):
            class_name = job_class.class_name if job_class else UNKNOWN
            return f"not transient: its class is {class_name}"
        return None

    def _count_tries(self, unit: str) -> int:
        """Return how often a unit was tried.

        An order may have ended without a record, and a job may have come without an order.
        """
        return max(len(self._attempts[unit]), last_attempt(self._orders.get(unit, ())))

    def _try(
        self, attempt: Attempt, last_order: NewOrder | None, requested_memory: int | None
    ) -> Try:
        """Return the try of an attempt: by its unit's last order, or from the attempt's bundle."""
        unit = attempt.unit or ""
        order = last_order or NewOrder(
            task_id=self._task.task_id,
            unit=unit,
            attempt=0,
            stage=self._task.stage,
            campaign=self._task.campaign,
            bundle_of=attempt.job_id,
        )
        order.attempt = self._count_tries(unit) + 1
        order.retry_of = attempt.job_id
        factor = self._body.memory_factor or self._policy.memory_factor
        # A job that no workflow ordered has only its record to name what it asked for
        memory = order.memory_bytes or requested_memory
        order.memory_bytes = math.ceil(memory * factor) if memory else None
        order.avoided_sites = self._sites_to_avoid(unit)
        return Try(attempt, self._classes.get(attempt.key), order, factor)

    def _sites_to_avoid(self, unit: str) -> list[str]:
        """Return the sites where a unit failed, if the try is to run at another one."""
        other_site = self._body.other_site
        if other_site is None:
            other_site = self._policy.other_site
        if not other_site:
            return []
        attempts = self._attempts[unit]
        return sorted(
            {attempt.site for attempt in attempts if attempt.site and attempt.state in _BAD}
        )

    def _last_orders(self, units: Iterable[str]) -> dict[str, NewOrder]:
        """Return the last order of each unit that was ordered."""
        last = {unit: self._orders[unit][-1] for unit in units if unit in self._orders}
        documents = read_order_documents(self._connection, self._store, last.values())
        return {
            unit: msgspec.convert(document, NewOrder)
            for unit, document in zip(last, documents, strict=True)
        }

    def _requested_memory(self, attempts: Iterable[Attempt]) -> dict[int, int]:
        """Return the memory that each attempt asked for, where its records name it."""
        jobs = {
            attempt.key: HeldJob(attempt.key, attempt.received_at, {}, {}) for attempt in attempts
        }
        fill_records(self._connection, self._store, jobs)
        memory = {}
        for key, job in jobs.items():
            resources = read_together(job.records_but(None)).record.resources
            if resources is not None and resources.requested_memory_bytes:
                memory[key] = resources.requested_memory_bytes
        return memory
