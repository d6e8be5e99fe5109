"""Commands of one batch job or submission that share a unit do not hide that one failed."""

from datetime import timedelta
from typing import Any

import pytest

from jobprov.provenance.answers.tasks.tasks import TaskProgress
from jobprov.provenance.db.queries.tasks.shared_units import tasks_that_hide_failures
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from tests.library.production import Production
from tests.library.productions.attempts import BEGAN, alone, commands


def progress_of(production: Production) -> TaskProgress:
    with production.database.reading.connect() as connection:
        return show_task(connection, production.store, find_task(connection, "t1"))


@pytest.mark.parametrize("states", ["ssf", "sfs", "fss", "sf"])
def test_unit_that_counts_although_one_of_its_commands_failed_is_told(
    production: Production, states: str
) -> None:
    production.record(*commands(states))

    task = progress_of(production)

    assert (task.produced, task.failed, task.hidden_failures) == (1, 0, 1)


@pytest.mark.parametrize("states", ["s", "sss", "fs", "fffs", "ff"])
def test_command_that_is_tried_until_it_succeeds_hides_nothing(
    production: Production, states: str
) -> None:
    production.record(*commands(states))

    assert progress_of(production).hidden_failures == 0


def test_other_batch_job_that_fails_at_the_unit_later_is_no_command_of_the_first(
    production: Production,
) -> None:
    production.record(*commands("s"))
    later: dict[str, Any] = {
        "started_at": "2026-01-01T11:00:00Z",
        "ended_at": "2026-01-01T11:10:00Z",
    }
    production.record(*commands("f", first=2, **later, batch=alone(82, 7, 1)))

    assert progress_of(production).hidden_failures == 0


def jobs_of_submission(states: str, ids: list[str]) -> list[dict[str, Any]]:
    """Return the records of batch jobs with one unit and these ids, begun one after the other."""
    records = []
    for place, (record, batch_id) in enumerate(zip(commands(states), ids, strict=True)):
        batch = {"system": "htcondor", "id": batch_id, "attempt": 1}
        task = {"task_id": "t1", "unit": "flux.root"}
        began = {"started_at": f"2026-01-01T09:00:0{place}Z"}
        records.append({**record, "batch": batch, "task": task, **began})
    return records


@pytest.mark.parametrize(
    ("states", "ids", "hidden"),
    [
        ("sfs", ["81.0@sched1", "81.1@sched1", "81.2@sched1"], 1),
        ("fss", ["81.0@sched1", "81.1@sched1", "81.2@sched1"], 1),
        ("sss", ["81.0@sched1", "81.1@sched1", "81.2@sched1"], 0),
        ("fs", ["81.0@sched1", "81.1@sched1"], 0),  # SAM may give the file to the second again
        ("sfs", ["81.0@sched1", "82.0@sched1", "83.0@sched1"], 0),
        ("sfs", ["81.0@sched1", "81.0@sched2", "81.0@sched3"], 0),
        ("sfs", ["https://a.ce:2811/1", "https://a.ce:2811/2", "https://a.ce:2811/3"], 0),
    ],
)
def test_unit_of_several_jobs_that_were_submitted_together_is_told(
    production: Production, states: str, ids: list[str], hidden: int
) -> None:
    """All read one file: the unit was done, and nobody saw that a third of them had failed."""
    production.record(*jobs_of_submission(states, ids))

    assert progress_of(production).hidden_failures == hidden


def test_tasks_with_such_units_are_named_with_their_number(production: Production) -> None:
    production.record(*commands("ssf"), *commands("sf", process=8, first=10))
    production.record(*commands("fs", process=9, first=20, task_id="t2"))

    with production.database.reading.connect() as connection:
        told = tasks_that_hide_failures(connection, BEGAN)
        told_later = tasks_that_hide_failures(connection, BEGAN + timedelta(hours=1))

    assert [(task.experiment, task.task_id, task.units) for task in told] == [("nova", "t1", 2)]
    assert told[0].since == BEGAN + timedelta(minutes=19)
    assert told_later == []
