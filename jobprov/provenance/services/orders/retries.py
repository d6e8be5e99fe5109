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
from jobprov.provenance.answers.lookup.jobs import Failure
from jobprov.provenance.answers.names import is_job_id
from jobprov.provenance.answers.orders.orders import (
    FullJobId,
    NewOrder,
    OrderWord,
    OutsideInput,
    RetryChoice,
    StagePolicy,
)
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.orders.orders import last_attempt, orders_by_unit
from jobprov.provenance.db.queries.orders.retries import (
    RecordedAttempt,
    attempts_at_units,
    attempts_of_units,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask, find_tasks
from jobprov.provenance.db.queries.tasks.unit_facts import waived_units
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.services.failures.classes import MEMORY, UNKNOWN, classes_of, lacked_input
from jobprov.provenance.services.ledger.witnessed_jobs import read_records
from jobprov.provenance.services.orders.orders import append_orders, read_order_documents
from jobprov.provenance.services.orders.outside_inputs import read_outside_inputs
from jobprov.provenance.services.orders.retry_choice import (
    SUBMISSION_ALONE,
    Choice,
    Try,
    show_choice,
    without_bare_submissions,
)
from jobprov.provenance.services.orders.retry_policies import policy_of, read_policies
from jobprov.provenance.services.tasks.declarations import find_declaration
from jobprov.provenance.services.tasks.units import states_of_units
from jobprov.provenance.services.writing import Writing

MOST_JOBS = 1000
_BAD = ("failed", "killed", "lost")
_MAYBE_MEMORY = (UNKNOWN, "killed", "lost")
"""Classes of failures that say nothing of the cause."""
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
        memory_factor: so many times what the attempt asked for; the policy's by default. Jobs
            that are known to have failed of something else than memory get no more.
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
    by_task: dict[str, list[RecordedAttempt]] = {}
    for attempt in _attempts_asked_about(connection, store, body):
        by_task.setdefault(attempt.task_id or "", []).append(attempt)
    policies = read_policies(connection, body.experiment)
    choice = Choice([], [], {})
    for task_id, attempts in sorted(by_task.items()):
        if not task_id:
            for attempt in attempts:
                choice.skipped.append((attempt, _RERUN if attempt.rerun_of else _NO_TASK))
            continue
        [task] = find_tasks(connection, task_id, body.experiment)
        policy = policy_of(policies, task.stage)
        units = {attempt.unit or "" for attempt in attempts}
        tried = attempts_at_units(connection, task.key, units)
        retries = _TaskRetries(connection, store, task=task, body=body, policy=policy, tried=tried)
        of_task = retries.choose(attempts)
        choice.tries.extend(of_task.tries)
        choice.skipped.extend(of_task.skipped)
        choice.outside_inputs.update(of_task.outside_inputs)
    return choice


def order_retries(writing: Writing, document: Mapping[str, Any]) -> RetryChoice:
    """Order what is to be tried again; return it with the ids of the orders.

    Raises:
        NotFoundError, BadInputError: see `choose_retries`.
    """
    body = read_retry(document)
    choice = without_bare_submissions(choose_retries(writing.connection, writing.store, body))
    ids = append_orders(
        writing,
        body.experiment,
        [retry.order for retry in choice.tries],
        decision={"who": body.who, "why": body.why},
    )
    answer = show_choice(choice)
    ordered = []
    for retry, order_id in zip(answer.tries, ids, strict=True):
        ordered.append(msgspec.structs.replace(retry, order_id=order_id))
    return msgspec.structs.replace(answer, tries=ordered)


def read_retry(document: Mapping[str, Any]) -> RetryBody:
    """Return the typed reading of what `POST /retries` takes.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    return read_document(document, RetryBody, "The retry")


def _attempts_asked_about(
    connection: Connection, store: Store, body: RetryBody
) -> list[RecordedAttempt]:
    """Return each job of a selection, or the last failure of each open unit of a task."""
    if body.jobs:
        return _selected_attempts(connection, body.experiment, body.jobs)
    if body.task_id is not None:
        return _last_failures(connection, store, body.experiment, body.task_id)
    raise BadInputError.of_field("jobs", "name jobs, or a task_id")


def _selected_attempts(
    connection: Connection, experiment: str, jobs: Sequence[str]
) -> list[RecordedAttempt]:
    attempts = attempts_of_units(connection, experiment, jobs)
    missing = sorted(set(jobs) - {attempt.job_id for attempt in attempts})
    if missing:
        raise NotFoundError(f"Experiment {experiment} has no job {missing[0]}.")
    return attempts


def _last_failures(
    connection: Connection, store: Store, experiment: str, task_id: str
) -> list[RecordedAttempt]:
    """Return the last attempt of each unit of a task that ended and left the unit undone.

    Those that were recorded first come first.
    """
    tasks = find_tasks(connection, task_id, experiment)
    if not tasks:
        raise NotFoundError(
            f"No task {task_id} of experiment {experiment} was declared, and no job names it."
        )
    declaration = find_declaration(connection, store, tasks[0])
    standing = states_of_units(connection, tasks[0], declaration)
    # Of a large task nearly all units are done, and their jobs need not be read
    undone = [unit for unit, known in standing.items() if known.state != UnitState.SUCCEEDED]
    attempts = attempts_at_units(connection, tasks[0].key, undone)
    last_failures = []
    for unit, of_unit in attempts.items():
        last = of_unit[-1]
        if last.state in _BAD or standing[unit].state == UnitState.NO_OUTPUT:
            last_failures.append(last)
    return sorted(last_failures, key=lambda attempt: attempt.key)


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
        tried: dict[str, list[RecordedAttempt]],
    ) -> None:
        self._connection, self._store = connection, store
        self._task, self._body, self._policy = task, body, policy
        self._attempts = tried
        self._orders = orders_by_unit(connection, task.key)
        self._waived = waived_units(connection, [task.key])[task.key]
        self._standing = states_of_units(
            connection, task, find_declaration(connection, store, task)
        )
        self._classes: dict[int, Failure] = {}

    def choose(self, attempts: Sequence[RecordedAttempt]) -> Choice:
        """Return the attempts that should be repeated, and why the others should not."""
        self._read_classes(attempts)
        skipped = []
        chosen: dict[str, RecordedAttempt] = {}
        for job in attempts:
            attempt = self._as_it_counts(job)
            reason = self._reason_against(attempt)
            if reason is None:
                chosen[attempt.unit or ""] = attempt
            else:
                skipped.append((attempt, reason))
        tries = self._tries_of(chosen)
        return Choice(tries, skipped, self._outside_inputs(tries))

    def _read_classes(self, attempts: Sequence[RecordedAttempt]) -> None:
        """Read the class of failure of these attempts, and of all others at their units.

        The policy counts those others, but not the ones that never began.
        """
        keys = [attempt.key for attempt in attempts]
        for unit in {attempt.unit for attempt in attempts if attempt.unit}:
            keys += [earlier.key for earlier in self._attempts.get(unit, ())]
        self._classes = classes_of(self._connection, keys)

    def _tries_of(self, chosen: Mapping[str, RecordedAttempt]) -> list[Try]:
        """Return the tries that repeat the chosen attempts, by unit."""
        repeated = {unit: self._repeated(attempt) for unit, attempt in chosen.items()}
        keys = [attempt.key for attempt in repeated.values()]
        records = read_records(self._connection, self._store, keys)
        orders = self._last_orders(chosen)
        tries = []
        for unit, attempt in chosen.items():
            record = records[repeated[unit].key]
            order = self._order_of_try(repeated[unit], record, orders.get(unit))
            factor = self._memory_factor(repeated[unit])
            # A job that no workflow ordered has only its record to name what it asked for
            memory = order.memory_bytes or _requested_memory(record)
            order.memory_bytes = math.ceil(memory * factor) if memory else None
            job_class = self._classes.get(attempt.key)
            tries.append(Try(attempt, job_class, order, factor, is_waived=unit in self._waived))
        return tries

    def _repeated(self, attempt: RecordedAttempt) -> RecordedAttempt:
        """Return what a try repeats that this attempt calls for.

        A job that never began has nothing to repeat, and the record of one that does not know its
        unit lacks what it was to read: then it is the last attempt that tells, if there is one.
        """
        if attempt.began and attempt.knows_unit:
            return attempt
        begun = [earlier for earlier in self._attempts[attempt.unit or ""] if earlier.began]
        telling = [earlier for earlier in begun if earlier.knows_unit]
        if telling:
            return telling[-1]
        if attempt.began or not begun:
            return attempt
        return begun[-1]

    def _outside_inputs(self, tries: Sequence[Try]) -> dict[str, list[OutsideInput]]:
        """Return what the bundles lack that the tries run, by the job of the bundle."""
        bundles = [retry.order.bundle_of for retry in tries if retry.order.bundle_of]
        return read_outside_inputs(self._connection, self._store, self._body.experiment, bundles)

    def _as_it_counts(self, attempt: RecordedAttempt) -> RecordedAttempt:
        """Return an attempt that succeeded without output, if its state shows that."""
        unit = self._standing.get(attempt.unit or "")
        if attempt.state != "succeeded" or unit is None or unit.state != UnitState.NO_OUTPUT:
            return attempt
        return attempt._replace(state=UnitState.NO_OUTPUT)

    def _reason_against(self, attempt: RecordedAttempt) -> str | None:
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

    def _policy_reason_against(self, attempt: RecordedAttempt, unit: str) -> str | None:
        """Return why the policy does not offer an attempt; None where it does."""
        reason = self._reason_to_look(attempt, unit)
        if reason is not None:
            return reason
        job_class = self._classes.get(attempt.key)
        tries = self._count_tries(unit) - self._count_unbegun(unit)
        if tries > self._policy.times:
            return (
                f"it was tried {tries} times, and the policy of its stage says "
                f"{self._policy.times} times again"
            )
        # The job or its output was lost: another try may bring both
        if attempt.state == UnitState.NO_OUTPUT:
            return None
        if self._policy.transient_only and not (job_class and job_class.transient):
            class_name = job_class.class_name if job_class else UNKNOWN
            return f"not transient: its class is {class_name}"
        return None

    def _reason_to_look(self, attempt: RecordedAttempt, unit: str) -> str | None:
        """Return why a person must first look at an attempt that did nothing; None if not."""
        if not attempt.began:
            if self._repeated(attempt) is attempt and unit not in self._orders:
                return SUBMISSION_ALONE
            return "its job was removed before it began: retry it by hand, if it is to run"
        job_class = self._classes.get(attempt.key)
        if job_class is not None and lacked_input(job_class):
            return "an input of it was missing: retry it by hand, once the input is there"
        return None

    def _count_unbegun(self, unit: str) -> int:
        """Return how many tries of a unit never did anything.

        They were removed before they began, or an input was not there.
        """
        count = 0
        for attempt in self._attempts[unit]:
            job_class = self._classes.get(attempt.key)
            did_nothing = job_class is not None and lacked_input(job_class)
            count += did_nothing or not attempt.began
        return count

    def _count_tries(self, unit: str) -> int:
        """Return how often a unit was tried.

        An order may have ended without a record, and a job may have come without an order.
        """
        return max(len(self._attempts[unit]), last_attempt(self._orders.get(unit, ())))

    def _order_of_try(
        self, attempt: RecordedAttempt, record: JobRecord, last_order: NewOrder | None
    ) -> NewOrder:
        """Return the order of a try: its unit's last one again, or one of the attempt's bundle.

        Where no job of the unit ever began, it is a first submission, and runs no bundle.
        """
        unit = attempt.unit or ""
        bundle = _bundle_of(attempt, record) if attempt.began else None
        order = last_order or NewOrder(
            task_id=self._task.task_id,
            unit=unit,
            attempt=0,
            stage=self._task.stage,
            campaign=self._task.campaign,
            bundle_of=bundle,
        )
        begun = sum(earlier.began for earlier in self._attempts[unit])
        order.attempt = max(begun, last_attempt(self._orders.get(unit, ()))) + 1
        order.retry_of = attempt.job_id if attempt.began else None
        order.avoided_sites = self._sites_to_avoid(unit)
        return order

    def _memory_factor(self, attempt: RecordedAttempt) -> float:
        """Return the factor by which a try gets more memory: 1 unless memory was the cause.

        More would not help, and a larger job waits longer for a slot. By hand, more is given also
        where the cause is not known: the job may have been killed for its memory.
        """
        job_class = self._classes.get(attempt.key)
        class_name = job_class.class_name if job_class else UNKNOWN
        if class_name == MEMORY:
            return self._body.memory_factor or self._policy.memory_factor
        if class_name in _MAYBE_MEMORY and self._body.memory_factor is not None:
            return self._body.memory_factor
        return 1.0

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
        orders = {}
        for unit, document in zip(last, documents, strict=True):
            orders[unit] = msgspec.convert(document, NewOrder)
        return orders


def _bundle_of(attempt: RecordedAttempt, record: JobRecord) -> str:
    """Return the job whose bundle a try runs: the one that the attempt itself ran, if it did."""
    variables = (record.environment.variables if record.environment else None) or {}
    bundle = str(variables.get("RETRY_BUNDLE_OF") or "")
    return bundle if is_job_id(bundle) else attempt.job_id


def _requested_memory(record: JobRecord) -> int | None:
    return record.resources.requested_memory_bytes if record.resources else None
