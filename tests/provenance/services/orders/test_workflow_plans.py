"""What a workflow does next, from facts alone: no database, no batch system."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.orders.orders import FailedAttempt, MadeFile, OrderRow
from jobprov.provenance.db.queries.tasks.unit_facts import LostFiles
from jobprov.provenance.launchers.workflow import Workflow, read_workflow
from jobprov.provenance.services.orders.workflow_plans import (
    FailedJobs,
    StageFacts,
    StagePlan,
    UnitStanding,
    plan_workflow,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
TEXT = """
name = "toy"
experiment = "toyexp"
stop_after = 3
[[stage]]
name = "gen"
count = 6
command = ["gen", "{unit}"]
outputs = ["gen_{unit}.root"]
memory_mib = 100
[stage.retry]
times = 2
memory_factor = 2
other_site = true
[[stage]]
name = "reco"
after = "gen"
command = ["reco", "{input}"]
outputs = ["{stem}.reco"]
[[stage]]
name = "merge"
after = "reco"
merge = 4
command = ["merge", "{inputs}"]
outputs = ["{unit}.root"]
"""


class Facts:
    """Facts of a workflow, told step by step."""

    def __init__(self, text: str = TEXT) -> None:
        self.workflow: Workflow = read_workflow(text)
        self.stages: dict[str, dict[str, Any]] = {
            stage.name: {
                "states": {},
                "orders": {},
                "inputs": {},
                "failures": {},
                "files": [],
                "waived": set(),
                "transient": set(),
                "short_of_memory": set(),
                "without_work": set(),
                "lost": {},
            }
            for stage in self.workflow.stages
        }
        self.number = 0
        self.listed: dict[str, tuple[list[str], bool]] = {}

    def order(
        self, stage: str, unit: str, *, inputs: Sequence[str] = (), is_over: bool = True, **end: Any
    ) -> None:
        self.number += 1
        held = self.stages[stage]["orders"].setdefault(unit, [])
        row = OrderRow(
            self.number, unit, len(held) + 1, "1.0@s", LONG_AGO,
            end.pop("ended_at", LONG_AGO) if is_over else None, end.get("exit_code"), None, end.get("problem"), 0, 0,
        )  # fmt: skip
        held.append(row)
        self.stages[stage]["inputs"].setdefault(unit, list(inputs))

    def done(
        self,
        stage: str,
        unit: str,
        *files: str,
        inputs: Sequence[str] = (),
        events: int | None = None,
    ) -> None:
        self.order(stage, unit, inputs=inputs)
        self.stages[stage]["states"][unit] = UnitState.SUCCEEDED
        self.stages[stage]["files"] += [MadeFile(name, unit, events) for name in files]

    def failed(
        self,
        stage: str,
        unit: str,
        *,
        transient: bool = False,
        memory: bool = False,
        worked: bool = True,
        site: str = "BNL",
        inputs: Sequence[str] = (),
    ) -> None:
        self.order(stage, unit, inputs=inputs)
        self.stages[stage]["states"][unit] = UnitState.FAILED
        failure = FailedAttempt(self.number, f"job-{self.number}", site, 1, None, None, worked)
        self.stages[stage]["failures"].setdefault(unit, []).append(failure)
        if transient:
            self.stages[stage]["transient"].add(self.number)
        if memory:
            self.stages[stage]["short_of_memory"].add(self.number)
        if not worked:
            self.stages[stage]["without_work"].add(self.number)

    def plan(self, room: int = 100) -> dict[str, StagePlan]:
        facts = {
            name: StageFacts(
                name, held["states"], held["orders"], held["inputs"], held["failures"],
                FailedJobs(held["transient"], held["short_of_memory"], held["without_work"]),
                frozenset(held["waived"]), held["files"], *self.listed.get(name, ()),
                lost=held["lost"],
            )
            for name, held in self.stages.items()
        }  # fmt: skip
        plans = plan_workflow(self.workflow, 1, facts, now=NOW, room=room)
        for plan in plans:
            standings = get_args(UnitStanding)
            assert sum(plan.standings[standing] for standing in standings) == len(plan.standing_of)
        return {plan.stage.name: plan for plan in plans}


@pytest.fixture
def facts() -> Facts:
    return Facts()


def units(plan: StagePlan) -> list[str]:
    return [order.unit for order in plan.orders]


def test_a_stage_without_inputs_is_ordered_at_once_and_the_next_waits(facts: Facts) -> None:
    plans = facts.plan()

    assert units(plans["gen"]) == ["0", "1", "2", "3", "4", "5"]
    assert (plans["gen"].expected, plans["reco"].expected, plans["merge"].expected) == (6, 6, 2)
    assert plans["reco"].to_come == 6
    assert not plans["merge"].orders


def test_no_more_is_ordered_than_there_is_room_and_last_stages_go_first(facts: Facts) -> None:
    facts.done("gen", "0", "gen_0.root")

    plans = facts.plan(room=2)

    assert units(plans["reco"]) == ["gen_0.root"]
    assert units(plans["gen"]) == ["1"]
    assert plans["gen"].held_back == 4
    assert plans["gen"].expected == 6


def test_a_file_goes_on_as_soon_as_its_own_job_is_over(facts: Facts) -> None:
    facts.done("gen", "0", "gen_0.root")
    facts.order("gen", "1", is_over=False)

    plans = facts.plan()

    assert units(plans["reco"]) == ["gen_0.root"]
    assert plans["reco"].orders[0].inputs == ["gen_0.root"]


def test_a_file_of_a_job_that_is_not_over_in_the_batch_system_waits(facts: Facts) -> None:
    facts.order("gen", "0", is_over=False)
    facts.stages["gen"]["states"]["0"] = (
        UnitState.SUCCEEDED
    )  # its record came before its output did
    facts.stages["gen"]["files"] = [MadeFile("gen_0.root", "0", None)]

    assert units(facts.plan()["reco"]) == []


def test_a_merge_waits_for_a_whole_group_and_takes_the_rest_when_no_more_can_come(
    facts: Facts,
) -> None:
    for number in range(5):
        facts.done("gen", f"{number}", f"g{number}")
        facts.done("reco", f"g{number}", f"r{number}", inputs=[f"g{number}"])
    facts.order("gen", "5", is_over=False)

    plans = facts.plan()
    assert [order.inputs for order in plans["merge"].orders] == [["r0", "r1", "r2", "r3"]]
    assert "the next group of 4 lacks 3 files" in plans["merge"].waits_for

    facts.order("merge", "merge-00001", inputs=["r0", "r1", "r2", "r3"], is_over=False)
    facts.stages["gen"]["orders"]["5"] = []
    del facts.stages["gen"]["orders"]["5"]
    facts.stages["gen"]["waived"] = {"5"}
    plans = facts.plan()
    assert [(order.unit, order.inputs) for order in plans["merge"].orders] == [
        ("merge-00002", ["r4"])
    ]
    assert plans["merge"].to_come == 0
    assert plans["merge"].expected == 2


def test_transient_failures_are_tried_again_elsewhere_and_not_for_ever(facts: Facts) -> None:
    """Those for want of memory get more of it; it grew also where a disk was full."""
    facts.failed("gen", "0", transient=True, memory=True)
    [order, *_] = facts.plan()["gen"].orders
    assert (order.unit, order.attempt, order.retry_of) == ("0", 2, "job-1")
    assert order.memory_bytes == 200 << 20
    assert order.avoided_sites == ["BNL"]

    facts.failed("gen", "0", transient=True, site="FNAL")
    [order, *_] = facts.plan()["gen"].orders
    assert (order.attempt, order.memory_bytes, order.avoided_sites) == (
        3,
        200 << 20,
        ["BNL", "FNAL"],
    )

    facts.failed("gen", "0", transient=True)
    plan = facts.plan()["gen"]
    assert plan.failed == ["0"]
    assert "0" not in units(plan)


def test_job_that_did_nothing_waits_for_a_person_and_counts_as_no_try(facts: Facts) -> None:
    """It was removed before it began, or an input was not there."""
    facts.failed("gen", "0", transient=True, worked=False)
    assert facts.plan()["gen"].failed == ["0"]

    facts.failed("gen", "0", transient=True)  # a person had it tried again
    facts.failed("gen", "0", transient=True)
    [order, *_] = facts.plan()["gen"].orders
    assert (order.unit, order.attempt) == ("0", 4)

    facts.failed("gen", "0", transient=True)
    assert facts.plan()["gen"].failed == ["0"], "tried three times, which is twice again"


def test_a_unit_that_was_tried_by_hand_as_well_gets_an_attempt_that_was_not_ordered(
    facts: Facts,
) -> None:
    """A retry by hand counts recorded jobs too.

    Its attempt may be higher than the number of orders.
    """
    facts.failed("gen", "0")
    facts.failed("gen", "0", transient=True)
    held = facts.stages["gen"]["orders"]["0"]
    held[-1] = held[-1]._replace(attempt=3)

    [order] = [order for order in facts.plan()["gen"].orders if order.unit == "0"]

    assert order.attempt == 4


def test_other_failures_are_for_good_and_block_only_what_needs_them(facts: Facts) -> None:
    for number in range(6):
        if number in (2, 4):
            facts.failed("gen", f"{number}")
        else:
            facts.done("gen", f"{number}", f"g{number}")

    plans = facts.plan()
    assert plans["gen"].failed == ["2", "4"]
    assert units(plans["reco"]) == ["g0", "g1", "g3", "g5"]
    assert "2 failed for good: try them again or waive them" in plans["reco"].waits_for
    assert not plans["gen"].is_closed

    facts.stages["gen"]["waived"] = {"2", "4"}
    plans = facts.plan()
    assert plans["gen"].is_closed
    assert (plans["reco"].to_come, plans["reco"].expected, plans["merge"].expected) == (0, 4, 1)


def test_a_job_whose_record_is_to_come_is_waited_for_and_then_tried_again(facts: Facts) -> None:
    facts.order("gen", "0", ended_at=NOW - timedelta(seconds=10), exit_code=0)
    assert facts.plan()["gen"].standing_of["0"] == "ended"

    facts.stages["gen"]["orders"]["0"][0] = facts.stages["gen"]["orders"]["0"][0]._replace(
        ended_at=LONG_AGO
    )
    assert facts.plan()["gen"].orders[0].attempt == 2


def test_a_unit_that_was_done_but_whose_output_did_not_come_home_is_tried_again(
    facts: Facts,
) -> None:
    facts.done("gen", "0", "g0")
    facts.stages["gen"]["orders"]["0"][0] = facts.stages["gen"]["orders"]["0"][0]._replace(
        problem="it did not make g0"
    )
    facts.stages["gen"]["states"]["0"] = UnitState.NO_OUTPUT

    plans = facts.plan()

    assert plans["gen"].orders[0].attempt == 2
    assert not plans["reco"].orders


def test_a_unit_whose_file_somebody_retired_is_not_made_again_without_asking(facts: Facts) -> None:
    """Whole passes are retired: an agent would have submitted a hundred thousand jobs."""
    facts.done("gen", "0", "g0")
    facts.stages["gen"]["states"]["0"] = UnitState.NO_OUTPUT
    facts.stages["gen"]["lost"] = {"0": LostFiles(["g0"], [])}

    plans = facts.plan()

    assert "0" not in units(plans["gen"])
    assert plans["gen"].problems == {"0": "g0 was retired in the catalog"}
    assert not plans["reco"].orders


def test_an_order_that_cannot_become_a_job_is_not_tried_for_ever(facts: Facts) -> None:
    facts.order("gen", "0", problem="not submitted: 'a\\nb' cannot stand in a submit file.")

    plan = facts.plan()["gen"]

    assert plan.failed == ["0"]
    assert "cannot stand" in plan.problems["0"]


def test_a_stage_that_needs_another_waits_until_that_is_complete() -> None:
    facts = Facts(TEXT.replace('after = "gen"', 'after = "gen"\nneeds = ["gen"]'))
    facts.done("gen", "0", "g0")
    plans = facts.plan()
    assert not plans["reco"].orders
    assert plans["reco"].waits_for == "stage gen must be complete first"

    for number in range(1, 6):
        facts.done("gen", f"{number}", f"g{number}")
    assert len(facts.plan()["reco"].orders) == 6


def test_a_file_is_split_into_parts_of_so_many_events() -> None:
    facts = Facts(
        TEXT.replace('after = "gen"', 'after = "gen"\nsplit_events = 100').replace(
            "{stem}", "{stem}_{part}"
        )
    )
    facts.done("gen", "0", "g0", events=250)
    facts.done("gen", "1", "g1", events=100)
    facts.done("gen", "2", "g2")

    plans = facts.plan()

    parts = {
        order.unit: (order.part.skip, order.part.events)
        for order in plans["reco"].orders
        if order.part
    }
    assert parts == {"g0#1": (0, 100), "g0#2": (100, 100), "g0#3": (200, 50), "g1#1": (0, 100)}
    assert "1 files have no event count" in plans["reco"].waits_for


LISTED = """
name = "toy"
experiment = "toyexp"
[[stage]]
name = "reco"
from = { definition = "raw" }
follow = true
command = ["reco", "{input}"]
outputs = ["{stem}.reco"]
[[stage]]
name = "merge"
after = "reco"
merge = 4
command = ["merge", "{inputs}"]
outputs = ["{unit}.root"]
[[stage]]
name = "last"
count = 1
needs = ["merge"]
command = ["last"]
"""


def test_a_list_that_may_grow_keeps_the_last_group_and_what_needs_it_waiting() -> None:
    facts = Facts(LISTED)
    facts.listed["reco"] = (["a", "b"], True)
    first = facts.plan()
    for unit in ("a", "b"):
        facts.done("reco", unit, f"{unit}.reco", inputs=[unit])
    growing = facts.plan()
    facts.listed["reco"] = (["a", "b"], False)
    frozen = facts.plan()

    assert [(order.unit, order.inputs) for order in first["reco"].orders] == [
        ("a", ["a"]),
        ("b", ["b"]),
    ]
    assert not growing["reco"].is_closed
    assert (units(growing["merge"]), growing["merge"].to_come) == ([], 1)
    assert (
        growing["merge"].waits_for
        == "the next group of 4 lacks 2 files; stage reco has units to come"
    )
    assert growing["last"].waits_for == "stage merge must be complete first"
    assert frozen["reco"].is_closed
    assert [order.inputs for order in frozen["merge"].orders] == [["a.reco", "b.reco"]]


def test_nothing_below_a_list_that_may_grow_is_complete() -> None:
    facts = Facts(LISTED)
    facts.listed["reco"] = ([], True)

    plans = facts.plan()

    assert [plan.is_closed for plan in plans.values()] == [False, False, False]


def test_everything_done_is_closed(facts: Facts) -> None:
    for number in range(6):
        facts.done("gen", f"{number}", f"g{number}")
        facts.done("reco", f"g{number}", f"r{number}", inputs=[f"g{number}"])
    facts.done("merge", "merge-00001", "m1", inputs=["r0", "r1", "r2", "r3"])
    facts.done("merge", "merge-00002", "m2", inputs=["r4", "r5"])

    plans = facts.plan()

    assert all(plan.is_closed and not plan.orders for plan in plans.values())
    assert [plan.expected for plan in plans.values()] == [6, 6, 2]


def test_planning_a_large_stage_is_quick(facts: Facts) -> None:
    workflow = read_workflow(TEXT.replace("count = 6", "count = 200000"))
    facts.workflow = workflow

    plans = facts.plan(room=10)

    assert len(plans["gen"].orders) == 10
    assert plans["gen"].expected == 200_000
