"""Steps of a workflow by what records say of its jobs, on both databases."""

from datetime import timedelta
from typing import Any

import pytest

from jobprov.provenance.answers.orders.workflows import StageStanding, WorkflowStanding
from jobprov.provenance.services.orders.orders import (
    EndedOrder,
    PlacedOrder,
    ReportBody,
    TakeBody,
    report_orders,
    take_orders,
)
from jobprov.provenance.services.orders.retries import order_retries
from jobprov.provenance.services.orders.workflow_steps import advance_workflow
from jobprov.provenance.services.orders.workflows import declare_workflow, find_workflow
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from tests.library.production import Production
from tests.library.records import a_record, job_id

TEXT = """
name = "toy"
experiment = "nova"
stop_after = 5
settle_seconds = 0
[[stage]]
name = "gen"
count = 1
command = ["gen", "{unit}"]
outputs = ["gen_{unit}.root"]
retry = { times = 1 }
"""
REMOVED = {"error_class": "removed", "message": "via condor_rm (by user prod)"}


class Workflow:
    """A workflow of one unit, whose jobs end as it is told."""

    def __init__(self, production: Production, text: str = TEXT) -> None:
        self.production = production
        self.write(lambda writing: declare_workflow(writing, {"text": text}))
        self.number = 0

    def write(self, change: Any) -> Any:
        moment = self.production.tick() + timedelta(hours=1)
        return self.production.write(change, received_at=moment)

    def advance(self) -> StageStanding:
        """Let it take its next step; return how its first stage stands then."""
        stage: StageStanding = self.take_step().stages[0]
        return stage

    def take_step(self) -> WorkflowStanding:
        """Let it take its next step; return how it stands then."""

        def step(writing: Any) -> Any:
            return advance_workflow(writing, find_workflow(writing.connection, "toy"))

        standing: WorkflowStanding = self.write(step)
        return standing

    def end_job(self, **record: Any) -> str:
        """Have the job of the open order end; return its id."""
        self.number += 1
        body = TakeBody(experiment="nova", holder="agent", limit=1)
        [order] = self.write(lambda writing: take_orders(writing, body))
        placed = PlacedOrder(order.order_id, f"{self.number}.0@schedd")
        ended = EndedOrder(order.order_id, problem="it ended")
        for report in ({"placed": [placed]}, {"ended": [ended]}):
            body_of_report = ReportBody(experiment="nova", **report)
            self.write(lambda writing, body=body_of_report: report_orders(writing, body))
        task = {"task_id": "toy-v1-gen", "unit": "0"}
        self.production.record(a_record(self.number, state="killed", task=task, **record))
        return job_id(self.number)

    def retry(self, job: str) -> None:
        """Have somebody order the job again."""
        document = {"experiment": "nova", "jobs": [job], "who": "me", "why": "by mistake"}
        choice = self.write(lambda writing: order_retries(writing, document))
        assert len(choice.tries) == 1, choice.skipped


@pytest.fixture
def workflow(production: Production) -> Workflow:
    return Workflow(production)


@pytest.mark.slow
def test_job_removed_before_it_began_waits_for_a_person_and_counts_as_no_try(
    workflow: Workflow,
) -> None:
    workflow.advance()
    removed = workflow.end_job(witness="history", started_at=None, host=None, exit=REMOVED)

    stage = workflow.advance()
    assert (stage.failed, stage.retrying, stage.wanted) == (1, 0, 0)

    workflow.retry(removed)
    assert workflow.advance().wanted == 1
    workflow.end_job(exit={"code": 137, "signal": 9})
    stage = workflow.advance()
    assert (stage.failed, stage.wanted) == (0, 1), "its first try; the policy has one more"

    workflow.end_job(exit={"code": 137, "signal": 9})
    assert workflow.advance().failed == 1


MERGE = """
[[stage]]
name = "merge"
after = "gen"
merge = 2
command = ["merge", "{inputs}"]
outputs = ["{unit}.root"]
"""


@pytest.mark.slow
def test_last_step_leaves_no_unit_missing_that_can_never_be_made(production: Production) -> None:
    workflow = Workflow(production, TEXT + MERGE)
    workflow.advance()
    for _ in range(2):
        workflow.end_job(exit={"code": 137, "signal": 9})
        workflow.advance()
    assert merge_units(production) == (1, 1)

    production.waive("toy-v1-gen", "0")
    standing = workflow.take_step()

    assert standing.state == "complete"
    assert merge_units(production) == (0, 0)


def merge_units(production: Production) -> tuple[int | None, int | None]:
    """Return how many units the merge stage expects, and how many of these are missing."""
    with production.database.reading.connect() as connection:
        task = show_task(connection, production.store, find_task(connection, "toy-v1-merge"))
    return task.expected, task.missing
