"""When units and tasks waited and ran, against times by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from jobprov.provenance.answers.tasks.timelines import Timeline
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.tasks.queue_reports import (
    compare_report,
    read_report,
    take_queue_report,
)
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.timelines import MOST_JOBS, show_timeline
from tests.library.production import Production
from tests.library.records import job_id, record_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def job(
    number: int, started: float, ended: float, *, unit: str = "u1", **more: Any
) -> dict[str, Any]:
    """Return the record of a job that started and ended so many hours after noon."""
    fields = {
        "task": {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": unit},
        "started_at": hours(started),
        "ended_at": hours(ended),
        "resources": {"wall_seconds": 3600 * (ended - started)},
        "inputs": [],
        "configurations": [],
        **more,
    }
    return record_of(number, **fields)


def hours(after_noon: float) -> str:
    return (NOON + after_noon * HOUR).isoformat().replace("+00:00", "Z")


def failed(message: str, *steps: tuple[str, float, float, int]) -> dict[str, Any]:
    entries = []
    for name, started, ended, code in steps:
        times = {"started_at": hours(started), "ended_at": hours(ended)}
        entries.append({"name": name, "argv": [name], "exit_code": code, **times})
    exit_of_job = {"code": 1, "message": message}
    command = {"argv": ["sh"], "steps": entries}
    return {"state": "failed", "exit": exit_of_job, "outputs": [], "command": command}


def timeline(production: Production, **question: Any) -> Timeline:
    with production.database.reading.connect() as connection:
        task = find_task(connection, "t1")
        return show_timeline(connection, production.store, task, **question)


def report_queue(production: Production, *jobs: dict[str, Any]) -> None:
    """Have a schedd report these jobs of the task now."""
    for place, queued in enumerate(jobs):
        queued |= {"batch_id": f"{90 + place}.0@sched01", "task_id": "t1", "unit": "u1"}
    now = datetime.now(UTC)
    body = read_report(
        msgspec.json.encode({"experiment": "nova", "age_seconds": 0, "jobs": list(jobs)})
    )
    with production.database.reading.connect() as connection:
        compared = compare_report(connection, "sched01", body, received_at=now)
    production.writer.run(
        lambda writing: take_queue_report(writing, "sched01", body, compared), received_at=now
    )


def stretches(answer: Timeline) -> list[list[tuple[str, str, float | None]]]:
    """Return of each row what it did, how that ended, and for how many hours."""
    rows = []
    for row in answer.rows:
        found = []
        for stretch in row.stretches:
            took = None if stretch.seconds is None else stretch.seconds / 3600
            found.append((stretch.name or stretch.kind, stretch.state, took))
        rows.append(found)
    return rows


def test_attempts_tell_how_long_they_waited_and_which_steps_ran(production: Production) -> None:
    """The second is the same batch job, which ran again; the third was queued two hours later."""
    batch = {"id": "7.0@sched01", "queued_at": hours(0)}
    other = {"id": "8.0@sched01", "queued_at": hours(6), "attempt": 1}
    steps = (("stage_in", 1, 1.5, 0), ("art", 1.5, 2, 65))
    production.record(
        job(3, 7, 8, batch=other),
        job(1, 1, 2, batch={**batch, "attempt": 1}, **failed("bad input", *steps)),
        job(2, 3, 4, batch={**batch, "attempt": 2}, **failed("too large")),
        job(4, 1, 2, unit="u2"),
        job(5, 1, 2, rerun_of=job_id(1)),
    )

    answer = timeline(production, unit="u1")

    assert [row.job_id for row in answer.rows] == [job_id(1), job_id(2), job_id(3)]
    assert stretches(answer) == [
        [
            ("idle", "idle", 1),
            ("run", "failed", 1),
            ("stage_in", "succeeded", 0.5),
            ("art", "failed", 0.5),
        ],
        [("idle", "idle", 1), ("run", "failed", 1)],
        [("idle", "idle", 1), ("run", "succeeded", 1)],
    ]
    assert [row.gap_seconds for row in answer.rows] == [None, None, 7200]
    assert [row.reason for row in answer.rows] == ["bad input", "too large", None]
    assert (answer.start, answer.end) == (hours(0), hours(8))
    assert (answer.jobs, answer.left_out, answer.by) == (3, 0, "attempt")


def test_what_the_queue_has_comes_last_and_goes_on(production: Production) -> None:
    since = (datetime.now(UTC) - HOUR).isoformat()
    production.record(job(1, 0, 1, **failed("too large")))
    report_queue(
        production,
        {"job_id": job_id(7), "state": "held", "since": since, "hold_reason": "too large"},
        {"job_id": job_id(8), "state": "idle", "since": since},
    )

    answer = timeline(production, unit="u1")

    assert [row.state for row in answer.rows] == ["failed", "held", "idle"]
    assert stretches(answer)[1:] == [[("held", "held", None)], [("idle", "idle", None)]]
    assert answer.rows[1].reason == "too large"
    assert answer.rows[1].url is None
    assert answer.end is not None
    assert datetime.now(UTC) - datetime.fromisoformat(answer.end) < HOUR, "it goes on until now"


def test_an_attempt_that_never_began_has_no_run(production: Production) -> None:
    never = job(1, 0, 1, state="killed", batch={"queued_at": hours(0)})
    for of_a_start in ("started_at", "outputs", "resources"):
        never.pop(of_a_start)
    production.record(never)

    assert stretches(timeline(production, unit="u1")) == [[("idle", "idle", 1)]]


def test_what_is_erased_of_a_record_is_not_told(production: Production) -> None:
    production.record(job(1, 0, 1, **failed("bad", ("smear", 0.25, 0.75, 65))))
    production.erase_record(1, fields=("command.steps",))

    assert stretches(timeline(production, unit="u1")) == [[("run", "failed", 1)]]


def test_an_unknown_unit_and_a_fold_of_a_unit_are_refused(production: Production) -> None:
    production.record(job(1, 0, 1))

    with pytest.raises(NotFoundError, match="No job, order or queue names unit u9 of task t1"):
        timeline(production, unit="u9")
    with pytest.raises(BadInputError, match="by: the rows of a unit are its attempts"):
        timeline(production, unit="u1", by="site")


def test_jobs_of_a_small_task_are_rows_in_order_of_time(production: Production) -> None:
    production.record(job(1, 2, 3), job(2, 0, 1, unit="u2"))

    answer = timeline(production)

    assert (answer.by, answer.unit, answer.step_seconds) == ("job", None, None)
    assert [row.unit for row in answer.rows] == ["u2", "u1"]


def test_sites_tell_how_many_jobs_ran_at_once(production: Production) -> None:
    fermilab = {"host": {"hostname": "n1", "site": "FNAL"}}
    production.record(
        job(1, 0, 60, **fermilab),
        job(2, 30, 60, host={"hostname": "n2", "site": "FNAL"}),
        job(3, 0, 1, host={"hostname": "n3"}),
    )

    answer = timeline(production, by="site")

    assert answer.step_seconds == 3600
    assert [(row.name, row.jobs) for row in answer.rows] == [("FNAL", 2), (None, 1)]
    assert answer.rows[0].running == [1.0] * 30 + [2.0] * 30 + [0.0]
    assert answer.rows[1].running == [1.0] + [0.0] * 60
    assert [row.name for row in timeline(production, by="host").rows] == ["n1", "n2", "n3"]


def test_a_task_of_many_jobs_is_folded(production: Production) -> None:
    production.record(*[job(number, 0, 1) for number in range(1, MOST_JOBS + 3)])

    assert timeline(production).by == "site"
    longest = timeline(production, by="job")
    assert (len(longest.rows), longest.left_out) == (MOST_JOBS, 2)


def test_a_task_of_which_nothing_started_has_no_rows(production: Production) -> None:
    production.declare("t1", campaign="c", stage="reco", units=3)

    for by in (None, "site"):
        answer = timeline(production, by=by)
        assert (answer.rows, answer.start, answer.jobs) == ([], None, 0)
