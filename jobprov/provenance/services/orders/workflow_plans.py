"""What a workflow does next: which units there are, how each stands, and which jobs to order.

Nothing is read or written here: facts come in, plans go out. Each unit stands in one way alone, so
that the numbers of a stage add up. A file is a unit of the next stage as soon as its own job is
over; only the last, smaller group of a merge waits for the rest.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Literal, NamedTuple

from jobprov.provenance.answers.orders.orders import NewOrder, Part
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.orders.orders import (
    FailedAttempt,
    MadeFile,
    OrderRow,
    last_attempt,
)
from jobprov.provenance.launchers.job import NOT_SUBMITTED
from jobprov.provenance.launchers.workflow import Stage, Workflow
from jobprov.provenance.lineage.words import lost_words
from jobprov.provenance.records.files.presence import LostFiles

UnitStanding = Literal[
    "done", "running", "queued", "wanted", "ended", "retrying", "failed", "waived"
]
"""How a unit can stand; `StageStanding` of the answers explains the words."""

_SETTLED = ("done", "waived")
_IN_WORK = ("running", "queued", "wanted", "ended", "retrying")


class FailedJobs(NamedTuple):
    """Jobs (by integer key) that failed, by what follows from that.

    Attributes:
        transient: their failure is of a transient class.
        short_of_memory: they failed for want of memory.
        without_work: they did nothing: they were removed before they began, or an input was not
            there. They count as no try.
    """

    transient: AbstractSet[int] = frozenset()
    short_of_memory: AbstractSet[int] = frozenset()
    without_work: AbstractSet[int] = frozenset()


@dataclass(frozen=True)
class StageFacts:
    """What is known of a stage.

    Attributes:
        task_id: of the task that holds it.
        states: by unit, its one state.
        orders: by unit, in order.
        inputs: by unit, the files that it reads.
        failures: by unit, the attempts that did not succeed, the last one last.
        failed_jobs: the jobs of these attempts.
        waived: units that the task goes on without.
        files: what jobs that succeeded made.
        lost: by unit, which of its files the catalog retired or never got, if it is not done for
            that.
        listed: the units that a catalog listed, if the stage takes its files from there.
        grows: whether that list may become longer.
    """

    task_id: str
    states: Mapping[str, UnitState] = field(default_factory=dict)
    orders: Mapping[str, Sequence[OrderRow]] = field(default_factory=dict)
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failures: Mapping[str, Sequence[FailedAttempt]] = field(default_factory=dict)
    failed_jobs: FailedJobs = field(default_factory=FailedJobs)
    waived: frozenset[str] = frozenset()
    files: Sequence[MadeFile] = ()
    listed: Sequence[str] = ()
    grows: bool = False
    lost: Mapping[str, LostFiles] = field(default_factory=dict)


@dataclass
class StagePlan:
    """How a stage stands and what is to be ordered for it.

    Attributes:
        standings: how many units stand in each way.
        failed: units that failed for good and that nobody waived.
        problems: of these units, what the submitter or the batch system reported, or that a job
            succeeded without output.
        orders: what to order now.
        unordered: units that are ready and were never ordered.
        to_come: units whose files are not there yet.
        held_back: units that are ready and not ordered because enough jobs are in flight.
        waits_for: why no more can be ordered now, a sentence; empty where nothing is to come.
        is_closed: whether nothing more can come of it.
        grows: whether its list of units may become longer.
        standing_of: how each unit stands that was ordered or waived.
    """

    stage: Stage
    task_id: str
    standings: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    orders: list[NewOrder] = field(default_factory=list)
    unordered: int = 0
    to_come: int = 0
    held_back: int = 0
    waits_for: str = ""
    is_closed: bool = False
    grows: bool = False
    standing_of: dict[str, UnitStanding] = field(default_factory=dict)

    @property
    def expected(self) -> int:
        """How many units the stage will have in the end, as far as is known now."""
        return len(self.standing_of) + self.held_back + self.to_come

    @property
    def tried(self) -> int:
        """How many units are done or failed for good."""
        return self.standings["done"] + self.standings["failed"]

    @property
    def open_units(self) -> int:
        """How many units were ordered and are neither done nor waived."""
        return sum(standing not in _SETTLED for standing in self.standing_of.values())


def plan_workflow(
    workflow: Workflow,
    version: int,
    facts: Mapping[str, StageFacts],
    *,
    now: datetime,
    room: int,
) -> list[StagePlan]:
    """Return how each stage stands, in order, with what to order now.

    There are at most `room` orders, those of the last stages first.
    """
    plans: dict[str, StagePlan] = {}
    ready: dict[str, list[NewOrder]] = {}
    settled_before = now - timedelta(seconds=workflow.settle_seconds)
    for stage in workflow.stages:
        stage_facts = facts[stage.name]
        plan = StagePlan(stage, stage_facts.task_id, grows=stage_facts.grows)
        plans[stage.name] = plan
        retries = _place_units(plan, stage_facts, settled_before)
        orders = [*retries, *_first_orders(plan, facts, plans, most=room)]
        for order in orders:
            _fill_order(order, workflow, version, stage)
        ready[stage.name] = orders
        plan.is_closed = _is_closed(plan, plans)
    _share_room(list(plans.values()), ready, room)
    for plan in plans.values():
        plan.standings = Counter(plan.standing_of.values())
    return list(plans.values())


def _is_closed(plan: StagePlan, plans: Mapping[str, StagePlan]) -> bool:
    """Return whether nothing more can come of a stage."""
    above = plan.stage.after
    may_grow = plan.grows or (above is not None and not plans[above].is_closed)
    return not (may_grow or plan.to_come or plan.unordered or plan.open_units)


def _share_room(
    plans: Sequence[StagePlan], ready: Mapping[str, Sequence[NewOrder]], room: int
) -> None:
    """Order as much of what is ready as there is room for.

    The last stages come first, so that what has begun is brought to its end.
    """
    for plan in reversed(plans):
        plan.orders = list(ready[plan.stage.name][: max(0, room)])
        plan.held_back = plan.unordered - sum(order.attempt == 1 for order in plan.orders)
        room -= len(plan.orders)
        for order in plan.orders:
            plan.standing_of[order.unit] = "wanted"


def _place_units(plan: StagePlan, facts: StageFacts, settled_before: datetime) -> list[NewOrder]:
    """Note how each unit stands that was ordered or waived; return orders of new attempts."""
    retries = []
    for unit, orders in facts.orders.items():
        standing = _standing(plan.stage, facts, unit, settled_before)
        plan.standing_of[unit] = standing
        if standing == "failed":
            plan.failed.append(unit)
            problem = orders[-1].problem
            if problem is None:
                problem = _problem_with_files(facts, unit)
            if problem:
                plan.problems[unit] = problem
        elif standing == "retrying":
            retries.append(_retry(plan.stage, facts, unit))
    for unit in facts.waived - facts.orders.keys():
        plan.standing_of[unit] = "waived"
    return retries


def _problem_with_files(facts: StageFacts, unit: str) -> str | None:
    """Return why the files of a unit do not count; None where nothing is known against them."""
    if unit in facts.lost:
        return lost_words(facts.lost[unit])
    if facts.states.get(unit) == UnitState.NO_OUTPUT:
        return UnitState.NO_OUTPUT.label
    return None


def _standing(stage: Stage, facts: StageFacts, unit: str, settled_before: datetime) -> UnitStanding:
    """Return how a unit stands that was ordered."""
    state = facts.states.get(unit)
    order = facts.orders[unit][-1]
    if order.ended_at is None:
        return _standing_in_batch(order, state)
    if state == UnitState.SUCCEEDED:
        return "done"
    if unit in facts.waived:
        return "waived"
    lacks_record = len(facts.failures.get(unit, ())) < len(facts.orders[unit])
    if lacks_record and order.ended_at > settled_before and not _was_refused(order):
        return "ended"
    return "retrying" if _may_retry(stage, facts, unit) else "failed"


def _standing_in_batch(order: OrderRow, state: UnitState | None) -> UnitStanding:
    """Return how a unit stands whose last order is not over."""
    if order.batch_id is None:
        return "wanted"
    return "running" if state == UnitState.RUNNING else "queued"


def _was_refused(order: OrderRow) -> bool:
    """Return whether an order could not become a job."""
    return order.problem is not None and order.problem.startswith(NOT_SUBMITTED)


def _may_retry(stage: Stage, facts: StageFacts, unit: str) -> bool:
    """Return whether the policy of a stage lets a unit that failed be tried again."""
    orders = facts.orders[unit]
    failures = facts.failures.get(unit, ())
    # The same order would be refused again
    if _was_refused(orders[-1]):
        return False
    # Somebody retired what it made, and a task may be retired as a whole, or its files may still
    # lie where they were written: a person decides
    if unit in facts.lost:
        return False
    # Somebody removed it, or has to bring its input: only a person knows whether it is to run
    if failures and failures[-1].job in facts.failed_jobs.without_work:
        return False
    tries = len(orders) - sum(failure.job in facts.failed_jobs.without_work for failure in failures)
    if tries > stage.retry.times:
        return False
    if not stage.retry.transient_only:
        return True
    # Without a record of failure, the job or its output was lost: another try may bring both
    return len(failures) < len(orders) or failures[-1].job in facts.failed_jobs.transient


def _retry(stage: Stage, facts: StageFacts, unit: str) -> NewOrder:
    """Return the order of another attempt at a unit."""
    orders = facts.orders[unit]
    failures = facts.failures.get(unit, ())
    sites: list[str] = []
    if stage.retry.other_site:
        sites = sorted({failure.site for failure in failures if failure.site})
    memory = stage.memory_bytes
    last_failed = failures[-1].job_id if failures else None
    if memory is not None:
        # More helps only where memory was the cause, and waits longer for a slot
        short = sum(failure.job in facts.failed_jobs.short_of_memory for failure in failures)
        memory = math.ceil(memory * stage.retry.memory_factor**short)
    return NewOrder(
        task_id=facts.task_id,
        unit=unit,
        # Not the number of orders: a retry by hand counts recorded jobs, too
        attempt=last_attempt(orders) + 1,
        inputs=list(facts.inputs.get(unit, ())),
        retry_of=last_failed,
        memory_bytes=memory,
        avoided_sites=sites,
    )


def _first_orders(
    plan: StagePlan,
    facts: Mapping[str, StageFacts],
    plans: Mapping[str, StagePlan],
    *,
    most: int,
) -> list[NewOrder]:
    """Return first orders of units that are ready, and note how many units are.

    A stage that reads no other one may have a million units: `most` of them get an order.
    """
    stage = plan.stage
    own_facts = facts[stage.name]
    if stage.after is None:
        orders = _source_orders(plan, own_facts, most)
    else:
        of_ready = _reading_orders(plan, own_facts, facts[stage.after], plans[stage.after])
        orders = [order for order in of_ready if order.unit not in own_facts.waived]
        plan.unordered = len(orders)
    open_needs = [need for need in stage.needs if not plans[need].is_closed]
    if open_needs and (plan.unordered or plan.to_come):
        plan.to_come += plan.unordered
        plan.unordered = 0
        plan.waits_for = f"stage {open_needs[0]} must be complete first"
        return []
    return orders


def _first_order(
    facts: StageFacts, unit: str, inputs: list[str], part: Part | None = None
) -> NewOrder:
    return NewOrder(task_id=facts.task_id, unit=unit, attempt=1, inputs=inputs, part=part)


def _source_orders(plan: StagePlan, facts: StageFacts, most: int) -> list[NewOrder]:
    """Return first orders of a stage that reads no other one."""
    stage = plan.stage
    units = []
    for unit in _source_units(stage, facts):
        if unit not in facts.orders and unit not in facts.waived:
            units.append(unit)
    plan.unordered = len(units)
    orders = []
    for unit in units[: max(0, most)]:
        # Units that are counted read no file
        inputs = [unit] if stage.count is None else []
        orders.append(_first_order(facts, unit, inputs))
    return orders


def _source_units(stage: Stage, facts: StageFacts) -> Iterable[str]:
    """Return the units of a stage that reads no other one: files, or numbers from 0."""
    if stage.source is not None:
        return facts.listed
    if stage.files is not None:
        return stage.files
    return map(str, range(stage.count or 0))


def _reading_orders(
    plan: StagePlan, facts: StageFacts, facts_above: StageFacts, above: StagePlan
) -> list[NewOrder]:
    """Return first orders of a stage that reads the files of the one above."""
    stage = plan.stage
    made = _made_files(stage, facts_above, above)
    if stage.split_events:
        return _split_orders(plan, facts, made, above)
    used = set(chain.from_iterable(facts.inputs.values()))
    free = [file.name for file in made if file.name not in used]
    if stage.merge:
        return _merge_orders(plan, facts, free, above)
    plan.to_come = _files_to_come(above, stage)
    plan.waits_for = _waiting(above, plan.to_come)
    return [_first_order(facts, name, [name]) for name in free]


def _made_files(stage: Stage, facts_above: StageFacts, above: StagePlan) -> list[MadeFile]:
    """Return the files of the stage above that a stage may read now, each once."""
    done = {unit for unit, standing in above.standing_of.items() if standing == "done"}
    files = dict.fromkeys(file for file in facts_above.files if file.unit in done)
    return [file for file in files if stage.reads_name(file.name)]


def _merge_orders(
    plan: StagePlan, facts: StageFacts, free: Sequence[str], above: StagePlan
) -> list[NewOrder]:
    """Return first orders of groups of files."""
    size = plan.stage.merge or 1
    files_to_come = _files_to_come(above, plan.stage)
    if above.is_closed:
        # The last group may be smaller: no more files can come
        grouped = len(free)
    else:
        grouped = len(free) // size * size
        missing = size - (len(free) - grouped)
        files = "file" if missing == 1 else "files"
        waiting = _waiting(above, max(1, files_to_come))
        plan.waits_for = f"the next group of {size} lacks {missing} {files}; {waiting}"
    plan.to_come = math.ceil((len(free) - grouped + files_to_come) / size)
    orders = []
    number = len(facts.orders)
    for start in range(0, grouped, size):
        number += 1
        unit = f"{plan.stage.name}-{number:05d}"
        orders.append(_first_order(facts, unit, list(free[start : start + size])))
    return orders


def _split_orders(
    plan: StagePlan, facts: StageFacts, made: Sequence[MadeFile], above: StagePlan
) -> list[NewOrder]:
    """Return first orders of parts of files."""
    orders = []
    uncounted = 0
    for file in made:
        if file.event_count is None:
            uncounted += 1
            continue
        for part in _parts(file.event_count, plan.stage.split_events or 1):
            unit = f"{file.name}#{part.part}"
            if unit not in facts.orders:
                orders.append(_first_order(facts, unit, [file.name], part))
    # In how many parts a file to come will be split is not known: it counts as one unit
    plan.to_come = uncounted + above.open_units + above.to_come + above.unordered
    plan.waits_for = _waiting(above, plan.to_come)
    if uncounted:
        plan.waits_for = (
            f"{uncounted} files have no event count, so that they cannot be split; "
            + plan.waits_for
        )
    return orders


def _parts(event_count: int, size: int) -> list[Part]:
    """Return the parts of a file, at least one: a file without events is read, too."""
    parts = []
    for number in range(max(1, math.ceil(event_count / size))):
        skip = number * size
        parts.append(Part(skip, min(size, event_count - skip), number + 1))
    return parts


def _files_to_come(above: StagePlan, stage: Stage) -> int:
    """Return how many files that a stage reads are still to be made by the one above."""
    if above.is_closed:
        return 0
    # The pattern is tried on the names of outputs with their braces taken away
    names = [name.replace("{", "").replace("}", "") for name in above.stage.outputs]
    files_per_unit = max(1, sum(stage.reads_name(name) for name in names))
    return files_per_unit * (above.open_units + above.unordered + above.to_come)


def _waiting(above: StagePlan, count: int) -> str:
    """Return why files of the stage above are still to come; empty where none are."""
    if not count:
        return ""
    parts = []
    working = sum(standing in _IN_WORK for standing in above.standing_of.values())
    if working:
        parts.append(f"{working} in work")
    failed = len(above.failed)
    if failed:
        them = "it" if failed == 1 else "them"
        parts.append(f"{failed} failed for good: try {them} again or waive {them}")
    if above.to_come:
        parts.append(f"{above.to_come} not begun")
    return f"stage {above.stage.name} has {', '.join(parts) or 'units to come'}"


def _fill_order(order: NewOrder, workflow: Workflow, version: int, stage: Stage) -> None:
    """Add to an order what is the same for all orders of its stage."""
    order.stage, order.campaign = stage.name, workflow.campaign
    order.workflow = (workflow.name, version)
    if order.memory_bytes is None:
        order.memory_bytes = stage.memory_bytes
