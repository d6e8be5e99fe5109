"""What a workflow does next, from what is known of it.

It says which units there are, how each stands, and which jobs to order.

Pure: facts in, decisions out. A unit is in one place alone, so that the numbers of a stage add up.
Nothing waits for the slowest job: a file is a unit of the next stage as soon as its job is over,
and only the last, smaller group of a merge waits for the rest.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobprov.provenance.db.queries.orders.orders import (
    FailedAttempt,
    MadeFile,
    OrderRow,
    last_attempt,
)
from jobprov.provenance.launchers.job import NOT_SUBMITTED
from jobprov.provenance.launchers.workflow import Stage, Workflow
from jobprov.provenance.services.orders.orders import NewOrder, Part

STANDINGS = ("done", "running", "queued", "wanted", "ended", "retrying", "failed", "waived")
"""How a unit can stand: done; running; submitted and not heard of; to be submitted.

Over, its record to come; to be tried again;
failed for good; done without.
"""


@dataclass(frozen=True)
class StageFacts:
    """What is known of a stage.

    Attributes:
        task_id: of the task that holds it.
        states: of each unit with attempts, the state of the best one.
        orders: of each unit, in order.
        inputs: the files that each unit reads.
        failures: of each unit, the attempts that did not succeed.
        transient: jobs (by integer key) whose failure is of a transient class.
        waived: units that are done without.
        files: what the units that are done made.
        listed: the units that a catalog listed, of a stage that takes its files from there.
        grows: whether that list may become longer.
    """

    task_id: str
    states: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, Sequence[OrderRow]] = field(default_factory=dict)
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failures: Mapping[str, Sequence[FailedAttempt]] = field(default_factory=dict)
    transient: frozenset[int] = frozenset()
    waived: frozenset[str] = frozenset()
    files: Sequence[MadeFile] = ()
    listed: Sequence[str] = ()
    grows: bool = False


@dataclass
class StagePlan:
    """How a stage stands and what is to be ordered for it.

    Attributes:
        standings: how many units stand in each way.
        failed: units that failed for good and that nobody waived.
        problems: of those, what the submitter or the batch system said, where it said something.
        orders: what to order now.
        unordered: units that were not ordered before, and could be.
        to_come: units whose files are not there yet.
        held_back: units that could be ordered and are not, since enough is in flight.
        waits_for: why no more can be ordered now, a sentence; empty where nothing is to come.
        is_closed: whether nothing more can come of it.
        grows: whether its list of units may become longer.
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
    standing_of: dict[str, str] = field(default_factory=dict)

    @property
    def expected(self) -> int:
        """Return how many units the stage has in the end, as far as that can be told now."""
        return len(self.standing_of) + self.held_back + self.to_come

    @property
    def tried(self) -> int:
        """Return how many units are over, well or ill."""
        return self.standings["done"] + self.standings["failed"]


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
    units: dict[str, list[NewOrder]] = {}
    for stage in workflow.stages:
        known = facts[stage.name]
        plan = plans[stage.name] = StagePlan(stage, known.task_id, grows=known.grows)
        retries = _place(plan, known, workflow, now)
        fresh = _fresh(plan, known, facts, plans, most=room)
        may_grow = known.grows or (stage.after is not None and not plans[stage.after].is_closed)
        plan.is_closed = not (may_grow or plan.to_come or plan.unordered or retries) and all(
            standing in ("done", "waived") for standing in plan.standing_of.values()
        )
        units[stage.name] = [
            _ordered(order, workflow, version, stage) for order in (*retries, *fresh)
        ]
    for stage in reversed(workflow.stages):
        plan, wanted = plans[stage.name], units[stage.name]
        plan.orders = wanted[: max(0, room)]
        plan.held_back = plan.unordered - sum(order.attempt == 1 for order in plan.orders)
        room -= len(plan.orders)
        for order in plan.orders:
            plan.standing_of[order.unit] = "wanted"
    for plan in plans.values():
        plan.standings = Counter(plan.standing_of.values())
    return list(plans.values())


def _place(plan: StagePlan, facts: StageFacts, workflow: Workflow, now: datetime) -> list[NewOrder]:
    """Say how each unit that was ordered stands.

    Return orders of those that are to be tried again.
    """
    retries = []
    settled = now - timedelta(seconds=workflow.settle_seconds)
    for unit, orders in facts.orders.items():
        standing = _standing(plan.stage, facts, unit, orders, settled)
        plan.standing_of[unit] = standing
        if standing == "failed":
            plan.failed.append(unit)
            plan.problems |= {unit: orders[-1].problem} if orders[-1].problem else {}
        elif standing == "retrying":
            retries.append(_retry(plan.stage, facts, unit, orders))
    for unit in facts.waived - facts.orders.keys():
        plan.standing_of[unit] = "waived"
    return retries


def _standing(
    stage: Stage, facts: StageFacts, unit: str, orders: Sequence[OrderRow], settled: datetime
) -> str:
    state = facts.states.get(unit)
    last = orders[-1]
    if last.ended_at is None:
        return ("running" if state == "running" else "queued") if last.batch_id else "wanted"
    if state == "succeeded" and not last.problem:
        return "done"
    if unit in facts.waived:
        return "waived"
    if (last.problem or "").startswith(NOT_SUBMITTED):
        return "failed"  # the same would happen again
    failures = facts.failures.get(unit, ())
    if len(failures) < len(orders) and last.ended_at > settled:
        return "ended"  # its record is still to come
    is_transient = len(failures) < len(orders) or failures[-1].job in facts.transient
    may_retry = is_transient or not stage.retry.transient_only
    return "retrying" if may_retry and len(orders) <= stage.retry.times else "failed"


def _retry(stage: Stage, facts: StageFacts, unit: str, orders: Sequence[OrderRow]) -> NewOrder:
    failures = facts.failures.get(unit, ())
    sites = (
        sorted({failure.site for failure in failures if failure.site})
        if stage.retry.other_site
        else []
    )
    memory = stage.memory_bytes
    if memory is not None:
        memory = math.ceil(memory * stage.retry.memory_factor ** len(orders))
    return NewOrder(
        task_id=facts.task_id,
        unit=unit,
        attempt=last_attempt(orders)
        + 1,  # not their number: a retry by hand counts recorded jobs, too
        inputs=list(facts.inputs.get(unit, ())),
        retry_of=failures[-1].job_id if failures else None,
        memory_bytes=memory,
        avoided_sites=sites,
    )


def _fresh(
    plan: StagePlan,
    facts: StageFacts,
    all_facts: Mapping[str, StageFacts],
    plans: Mapping[str, StagePlan],
    *,
    most: int,
) -> list[NewOrder]:
    """Return first orders of units that are ready, `most` of those of a stage without inputs.

    Note how many there are in all.
    """
    stage = plan.stage
    open_needs = [need for need in stage.needs if not plans[need].is_closed]
    if stage.after is None:
        fresh = _source_units(plan, facts, most)
    else:
        units = _read_units(plan, facts, all_facts[stage.after], plans[stage.after])
        fresh = [order for order in units if order.unit not in facts.waived]
        plan.unordered = len(fresh)
    if open_needs and (plan.unordered or plan.to_come):
        plan.to_come += plan.unordered
        plan.unordered = 0
        plan.waits_for = f"stage {open_needs[0]} must be complete first"
        return []
    return fresh


def _source_units(plan: StagePlan, facts: StageFacts, most: int) -> list[NewOrder]:
    stage = plan.stage
    numbers = map(str, range(stage.count or 0))
    names = (
        facts.listed
        if stage.source is not None
        else stage.files
        if stage.files is not None
        else numbers
    )
    left = [name for name in names if name not in facts.orders and name not in facts.waived]
    plan.unordered = len(left)
    return [
        NewOrder(
            task_id=facts.task_id,
            unit=name,
            attempt=1,
            inputs=[name] if stage.count is None else [],
        )
        for name in left[: max(0, most)]
    ]


def _read_units(
    plan: StagePlan, facts: StageFacts, above: StageFacts, plan_above: StagePlan
) -> list[NewOrder]:
    stage = plan.stage
    done = {unit for unit, standing in plan_above.standing_of.items() if standing == "done"}
    made = [file for file in above.files if file.unit in done and stage.reads_name(file.name)]
    if stage.split_events:
        return _split_units(plan, facts, made, plan_above)
    used = {name for names in facts.inputs.values() for name in names}
    free = [file.name for file in dict.fromkeys(made) if file.name not in used]
    open_above = _files_to_come(plan_above, stage)
    if not stage.merge:
        plan.to_come = open_above
        plan.waits_for = _waiting(plan_above, open_above)
        return [
            NewOrder(task_id=facts.task_id, unit=name, attempt=1, inputs=[name]) for name in free
        ]
    whole = len(free) // stage.merge * stage.merge
    if plan_above.is_closed:
        whole = len(free)  # what is left over is all there will be
    else:
        missing = stage.merge - (len(free) - whole)
        plan.waits_for = (
            f"the next group of {stage.merge} lacks {missing} file{'s' if missing > 1 else ''}; "
            + _waiting(plan_above, max(1, open_above))
        )
    plan.to_come = math.ceil((len(free) - whole + open_above) / stage.merge)
    first = len(facts.orders)
    return [
        NewOrder(
            task_id=facts.task_id,
            unit=f"{stage.name}-{first + number + 1:05d}",
            attempt=1,
            inputs=free[start : start + stage.merge],
        )
        for number, start in enumerate(range(0, whole, stage.merge))
    ]


def _split_units(
    plan: StagePlan, facts: StageFacts, made: Sequence[MadeFile], plan_above: StagePlan
) -> list[NewOrder]:
    size = plan.stage.split_events or 1
    fresh = []
    uncounted = 0
    for file in dict.fromkeys(made):
        if file.event_count is None:
            uncounted += 1
            continue
        for number in range(max(1, math.ceil(file.event_count / size))):
            unit = f"{file.name}#{number + 1}"
            if unit not in facts.orders:
                part = Part(number * size, min(size, file.event_count - number * size), number + 1)
                fresh.append(
                    NewOrder(
                        task_id=facts.task_id, unit=unit, attempt=1, inputs=[file.name], part=part
                    )
                )
    plan.to_come = uncounted + sum(
        standing not in ("done", "waived") for standing in plan_above.standing_of.values()
    )
    plan.to_come += plan_above.to_come + plan_above.unordered
    plan.waits_for = _waiting(plan_above, plan.to_come)
    if uncounted:
        plan.waits_for = (
            f"{uncounted} files have no event count, so that they cannot be split; "
            + plan.waits_for
        )
    return fresh


def _files_to_come(above: StagePlan, stage: Stage) -> int:
    """Return how many files that a stage reads are still to be made by the one before it."""
    if above.is_closed:
        return 0
    each = sum(
        stage.reads_name(name.replace("{", "").replace("}", "")) for name in above.stage.outputs
    )
    open_units = sum(standing not in ("done", "waived") for standing in above.standing_of.values())
    return max(1, each) * (open_units + above.unordered + above.to_come)


def _waiting(above: StagePlan, count: int) -> str:
    if not count:
        return ""
    failed = len(above.failed)
    counts = Counter(above.standing_of.values())
    working = sum(
        counts[standing] for standing in ("running", "queued", "wanted", "ended", "retrying")
    )
    words = [f"{working} in work"] if working else []
    them = "it" if failed == 1 else "them"
    words += [f"{failed} failed for good: try {them} again or waive {them}"] if failed else []
    words += [f"{above.to_come} not begun"] if above.to_come else []
    return f"stage {above.stage.name} has {', '.join(words) or 'units to come'}"


def _ordered(order: NewOrder, workflow: Workflow, version: int, stage: Stage) -> NewOrder:
    """Return an order with what is the same for all of its stage."""
    order.stage, order.campaign = stage.name, workflow.campaign
    order.workflow = (workflow.name, version)
    if order.memory_bytes is None:
        order.memory_bytes = stage.memory_bytes
    return order
