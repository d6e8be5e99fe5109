"""Which jobs are to be tried again, exactly as they were recorded, and why others are not.

A try repeats the last attempt of its unit: what a workflow ordered, by that order; any other job
from its bundle, with the recorded code, configuration and inputs, not today's. It is another
attempt of the same unit of the same task, so that the unit counts once.

Source: http.md, `POST /retries`.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.catalogs.catalogs import units_in_catalog
from jobprov.provenance.db.queries.orders.orders import OrderRow, last_attempt, orders_of_task
from jobprov.provenance.db.queries.orders.retries import (
    Attempt,
    attempts_of_task,
    attempts_of_units,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask, find_tasks
from jobprov.provenance.db.queries.tasks.units import waived_units
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.launchers.workflow import RetryPolicy
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.services.failures.classes import classes_of
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_records, read_together
from jobprov.provenance.services.orders.orders import NewOrder, append_orders
from jobprov.provenance.services.orders.retry_choice import Choice, Try, show_choice
from jobprov.provenance.services.orders.retry_policies import policy_of, read_policies
from jobprov.provenance.services.writing import Writing

MOST_JOBS = 1000
_BAD = ("failed", "killed", "lost")
_RERUN = "a rerun: retry the job that it repeats"
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=3000)]
_Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class RetryBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What `POST /retries` takes.

    Attributes:
        jobs: a selection, whatever their class; without it, those of the task that its policy
            offers.
        memory_factor: so many times what the attempt asked for; the policy's by default.
        other_site: whether sites where the unit failed are avoided; as the policy says by default.
        who, why: for whoever asks in a year.
    """

    experiment: _Word
    task_id: _Word | None = None
    jobs: Annotated[list[_Id], msgspec.Meta(max_length=MOST_JOBS)] = []
    memory_factor: Annotated[float, msgspec.Meta(ge=1, le=10)] | None = None
    other_site: bool | None = None
    who: _Word = "-"
    why: _Word = "-"


def choose_retries(connection: Connection, store: Store, body: RetryBody) -> Choice:
    """Return what would be tried again; nothing is written. A few statements a task.

    Raises:
        NotFoundError: there is no such task, or no such job.
        BadInputError: neither jobs nor a task are named.
    """
    if not body.jobs and body.task_id is None:
        raise BadInputError("jobs: name jobs, or a task_id.", {"jobs": ["name jobs, or a task_id"]})
    attempts = _attempts(connection, body)
    policies = read_policies(connection, body.experiment)
    tries: list[Try] = []
    skipped: list[tuple[Attempt, str]] = []
    for task_id in sorted({attempt.task_id or "" for attempt in attempts}):
        mine = [attempt for attempt in attempts if (attempt.task_id or "") == task_id]
        if not task_id:
            words = (
                "it names no task and unit, so that a try could not be counted as one of the "
                "same: `jobprov rerun`"
            )
            skipped += [(attempt, _RERUN if attempt.rerun_of else words) for attempt in mine]
            continue
        [task] = find_tasks(connection, task_id, body.experiment)
        policy = policy_of(policies, task.stage)
        chosen = _Task(connection, store, task=task, asked=mine, body=body, policy=policy).choose()
        tries += chosen.tries
        skipped += chosen.skipped
    return Choice(tries, skipped)


def order_retries(writing: Writing, document: Mapping[str, Any]) -> dict[str, Any]:
    """Order what is to be tried again.

    Return it, as `show_choice` does, with the ids of the orders.

    Raises:
        NotFoundError, BadInputError: see `choose_retries`.
    """
    body = read_retry(document)
    choice = choose_retries(writing.connection, writing.store, body)
    ids = append_orders(
        writing,
        body.experiment,
        [each.order for each in choice.tries],
        said={"who": body.who, "why": body.why},
    )
    shown = show_choice(choice)
    for row, order in zip(shown["tries"], ids, strict=True):
        row["order_id"] = order
    return shown


def read_retry(document: Mapping[str, Any]) -> RetryBody:
    """Return the typed reading of what `POST /retries` takes.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    return read_document(document, RetryBody, "The retry")


def units_of(connection: Connection, experiment: str, jobs: Sequence[str]) -> list[str]:
    """Return the units that these jobs of an experiment are of, each once.

    Those that name none are left out.
    """
    attempts = attempts_of_units(connection, experiment, jobs)
    return list(dict.fromkeys(attempt.unit for attempt in attempts if attempt.unit))


def _attempts(connection: Connection, body: RetryBody) -> list[Attempt]:
    """Return the attempts asked about.

    They are each job of a selection, or the last attempt of each unit of a task that is not done.

    Of a unit that the catalog has an output of, a try would make a second one.
    """
    if body.jobs:
        found = attempts_of_units(connection, body.experiment, body.jobs)
        lacking = sorted(set(body.jobs) - {attempt.job_id for attempt in found})
        if lacking:
            raise NotFoundError(f"Experiment {body.experiment} has no job {lacking[0]}.")
        return found
    assert body.task_id is not None  # noqa: S101 - was checked
    tasks = find_tasks(connection, body.task_id, body.experiment)
    if not tasks:
        raise NotFoundError(
            f"No task {body.task_id} of experiment {body.experiment} was declared, and no job "
            "names it."
        )
    last: dict[str, Attempt] = {}
    done: set[str | None] = {*units_in_catalog(connection, [tasks[0].key])[tasks[0].key]}
    for attempt in attempts_of_task(connection, tasks[0].key):
        if attempt.unit:
            last[attempt.unit] = attempt
        if attempt.state == "succeeded":
            done.add(attempt.unit)
    return [attempt for unit, attempt in last.items() if attempt.state in _BAD and unit not in done]


class _Task:
    """One task, of which some attempts are asked about."""

    def __init__(
        self,
        connection: Connection,
        store: Store,
        *,
        task: FoundTask,
        asked: Sequence[Attempt],
        body: RetryBody,
        policy: RetryPolicy,
    ) -> None:
        self._connection, self._store, self._asked, self._body = connection, store, asked, body
        self._task_id, self._campaign, self._stage = task.task_id, task.campaign, task.stage
        self._policy = policy
        self._attempts: dict[str, list[Attempt]] = {}
        for attempt in attempts_of_task(connection, task.key):
            self._attempts.setdefault(attempt.unit or "", []).append(attempt)
        self._orders: dict[str, list[OrderRow]] = {}
        for order in orders_of_task(connection, task.key):
            self._orders.setdefault(order.unit, []).append(order)
        self._waived = waived_units(connection, [task.key])[task.key]
        self._classes = classes_of(connection, [attempt.key for attempt in asked])

    def choose(self) -> Choice:
        """Return which of the attempts are to be repeated."""
        skipped, chosen = [], {}
        for attempt in self._asked:
            reason = self._reason_against(attempt)
            if reason is None:
                chosen[attempt.unit or ""] = attempt
            else:
                skipped.append((attempt, reason))
        asked_for = self._asked_memory(chosen.values())
        before = self._orders_before(chosen)
        return Choice(
            [self._try(attempt, before, asked_for) for attempt in chosen.values()], skipped
        )

    def _reason_against(self, attempt: Attempt) -> str | None:
        """Return why an attempt is not to be repeated; None where it is."""
        if attempt.rerun_of:
            return _RERUN  # it is no attempt at its unit, and may be all that is recorded of that
        if not attempt.unit:
            return (
                "it names no unit, so that a try could not be counted as one of the same: "
                "`jobprov rerun`"
            )
        mine, orders = self._attempts[attempt.unit], self._orders.get(attempt.unit, [])
        states = {each.state for each in mine}
        against = {
            "its unit is done": "succeeded" in states,
            "an attempt of its unit runs": "running" in states,
            "its unit is ordered already, and that is not over": bool(orders)
            and orders[-1].ended_at is None,
            f"job {mine[-1].job_id} tried its unit again since": mine[-1].job_id != attempt.job_id,
            "its unit is waived: the task goes on without it": not self._body.jobs
            and attempt.unit in self._waived,
        }
        reason = next((words for words, is_so in against.items() if is_so), None)
        if reason is None and not self._body.jobs:
            return self._policy_against(attempt)
        return reason

    def _tries(self, unit: str) -> int:
        """Return how often a unit was tried.

        An order may have ended without a record, and a job may have come without an order.
        """
        return max(len(self._attempts[unit]), last_attempt(self._orders.get(unit, ())))

    def _policy_against(self, attempt: Attempt) -> str | None:
        read, tries = self._classes.get(attempt.key), self._tries(attempt.unit or "")
        if tries > self._policy.times:
            return (
                f"it was tried {tries} times, and the policy of its stage says "
                f"{self._policy.times} times again"
            )
        if self._policy.transient_only and not (read and read.transient):
            return f"not transient: its class is {read.class_name if read else 'unknown'}"
        return None

    def _try(
        self, attempt: Attempt, before: Mapping[str, NewOrder], asked_for: Mapping[int, int]
    ) -> Try:
        unit = attempt.unit or ""
        held = before.get(unit)
        order = held or NewOrder(
            task_id=self._task_id,
            unit=unit,
            attempt=0,
            stage=self._stage,
            campaign=self._campaign,
            bundle_of=attempt.job_id,
        )
        order.attempt, order.retry_of = self._tries(unit) + 1, attempt.job_id
        factor = self._body.memory_factor or self._policy.memory_factor
        memory = order.memory_bytes or asked_for.get(attempt.key)
        order.memory_bytes = math.ceil(memory * factor) if memory else None
        is_elsewhere = (
            self._policy.other_site if self._body.other_site is None else self._body.other_site
        )
        sites = {each.site for each in self._attempts[unit] if each.site and each.state in _BAD}
        order.avoided_sites = sorted(sites) if is_elsewhere else []
        return Try(attempt, self._classes.get(attempt.key), order, factor)

    def _orders_before(self, units: Iterable[str]) -> dict[str, NewOrder]:
        """Return the last order of each unit that a workflow ordered."""
        last = {unit: self._orders[unit][-1] for unit in units if unit in self._orders}
        bodies = read_entries(
            self._connection, self._store, {order.entry_id for order in last.values()}
        )
        listed = {entry: json.loads(body)["orders"] for entry, body in bodies.items()}
        found = {}
        for unit, order in last.items():
            document = dict(listed[order.entry_id][order.position])
            document.pop("order_id")
            found[unit] = msgspec.convert(document, NewOrder)
        return found

    def _asked_memory(self, attempts: Iterable[Attempt]) -> dict[int, int]:
        """Return the memory that each attempt asked for, where its records say it."""
        held = {
            attempt.key: HeldJob(attempt.key, attempt.received_at, {}, {}) for attempt in attempts
        }
        fill_records(self._connection, self._store, held)
        found = {}
        for key, job in held.items():
            resources = read_together(job.records_but(None)).record.resources
            if resources is not None and resources.requested_memory_bytes:
                found[key] = resources.requested_memory_bytes
        return found
