"""Tasks counted by hand: units by their best attempt, waivers, and ready files.

Such files are ready for the next stage.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, func, select, text

from jobprov.provenance.answers.tasks.tasks import OpenUnit, ReadyFiles
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.tasks.tasks import is_no_rerun
from jobprov.provenance.db.tables import Job
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.tasks.campaigns import show_campaign
from jobprov.provenance.services.tasks.tasks import (
    find_task,
    show_task,
)
from jobprov.provenance.services.tasks.units import list_ready, missing_units
from tests.library.databases import on_sqlite_alone
from tests.library.production import Production
from tests.library.records import job_id, record_of

UNITS = [f"f{number}.root" for number in range(6)]


def shown(production: Production, task_id: str = "t1") -> dict[str, Any]:
    """Return the answer as its JSON is read."""
    with production.database.reading.connect() as connection:
        task = show_task(connection, production.store, find_task(connection, task_id))
    answer: dict[str, Any] = msgspec.to_builtins(task)
    return answer


def missing(production: Production) -> list[OpenUnit]:
    with production.database.reading.connect() as connection:
        return missing_units(connection, production.store, find_task(connection, "t1")).missing


def ready(production: Production, task_id: str = "t1", **page: Any) -> ReadyFiles:
    with production.database.reading.connect() as connection:
        return list_ready(connection, production.store, find_task(connection, task_id), **page)


def unit(number: int) -> dict[str, Any]:
    return {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": f"f{number}.root"}


def shown_campaign(connection: Connection, production: Production) -> dict[str, Any]:
    """Return how far the campaign c of nova is, as it is answered."""
    campaign: dict[str, Any] = msgspec.to_builtins(
        show_campaign(connection, production.store, "nova", "c")
    )
    return campaign


def test_units_count_once_by_their_best_attempt_and_only_those_of_the_list(
    production: Production,
) -> None:
    production.declare("t1", campaign="c", stage="reco", units=UNITS)
    production.record(
        record_of(10, task=unit(0), state="failed", exit={"code": 1}),
        record_of(11, task=unit(0)),
        record_of(12, task=unit(1), state="failed", exit={"code": 1}),
        record_of(14, task=unit(99)),
        record_of(15, task={"task_id": "t1"}),
    )
    running = record_of(13, task=unit(2), state="running", ended_at=None, exit=None)
    production.record(running, received_at=datetime.now(UTC))

    task = shown(production)

    counts = {
        name: task[name]
        for name in ("expected", "produced", "running", "failed", "waived", "missing")
    }
    assert counts == {
        "expected": 6,
        "produced": 1,
        "running": 1,
        "failed": 1,
        "waived": 0,
        "missing": 5,
    }
    assert task["unlisted"] == 2
    assert task["states"] == {"succeeded": 1, "running": 1, "not_submitted": 3, "failed": 1}
    assert [(row["unit"], row["state"]) for row in task["blocking"]] == [
        ("f1.root", "failed"),
        ("f2.root", "running"),
        ("f3.root", "not_submitted"),
        ("f4.root", "not_submitted"),
        ("f5.root", "not_submitted"),
    ]


def test_waived_units_are_waited_for_no_more_and_stay_visible(production: Production) -> None:
    production.declare("t1", units=UNITS)
    production.record(
        record_of(1, task=unit(1), state="failed", exit={"code": 1}), record_of(2, task=unit(2))
    )
    production.waive("t1", "f1.root", "f3.root", who="Ada", why="the tape is lost")

    task = shown(production)

    assert (task["failed"], task["waived"], task["missing"]) == (0, 2, 3)
    assert [row.unit for row in missing(production)] == ["f0.root", "f4.root", "f5.root"]
    [waiver] = task["waivers"]
    assert (waiver["who"], waiver["why"], waiver["units"]) == (
        "Ada",
        "the tape is lost",
        ["f1.root", "f3.root"],
    )


@pytest.mark.slow
def test_waived_unit_that_succeeds_after_all_counts_as_done(production: Production) -> None:
    production.declare("t1", units=UNITS)
    production.waive("t1", "f1.root")
    production.record(record_of(1, task=unit(1)))

    task = shown(production)

    assert (task["produced"], task["waived"], task["missing"], task["waivers"]) == (1, 0, 5, [])


def test_waiver_is_withdrawn_and_given_again_by_another(production: Production) -> None:
    production.declare("t1", units=UNITS)
    production.waive("t1", "f1.root", "f2.root")
    production.waive("t1", "f1.root", withdrawn=True)
    assert shown(production)["waived"] == 1

    production.waive("t1", "f1.root", who="Eve")

    assert [waiver["who"] for waiver in shown(production)["waivers"]] == ["Eve", "shifter"]


def test_unit_that_is_not_on_the_list_cannot_be_waived(production: Production) -> None:
    production.declare("t1", units=UNITS)

    problem = r"units: not on the frozen list of task t1: f1root \(did you mean f1\.root"
    with pytest.raises(BadInputError, match=problem):
        production.waive("t1", "f1.root", "f1root")

    assert shown(production)["waived"] == 0


@on_sqlite_alone
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"units": []}, "units"),
        ({"who": ""}, "who"),
        ({"why": 3}, "why"),
        ({"units": [3]}, "units"),
    ],
)
def test_waiver_that_says_too_little_is_refused(
    production: Production, changes: dict[str, Any], field: str
) -> None:
    production.declare("t1", units=UNITS)

    with pytest.raises(BadInputError) as caught:
        production.waive("t1", **{"units": ["f1.root"], **changes})

    assert any(path.startswith(field) for path in caught.value.fields)


def test_unknown_task_cannot_be_waived(production: Production) -> None:
    with pytest.raises(NotFoundError, match="No task t9"):
        production.waive("t9", "f1.root")


def test_files_are_ready_until_a_job_that_reads_them_runs_or_succeeds(
    production: Production,
) -> None:
    def reading(number: int, **changes: Any) -> dict[str, Any]:
        parent = record_of(number)["outputs"][0]
        return record_of(
            100 + number, task={"task_id": "t2"}, inputs=[parent], outputs=[], **changes
        )

    # f1.root to f4.root; no chain: their inputs are of nobody
    production.record(*[record_of(number, task=unit(number), inputs=[]) for number in range(1, 5)])
    production.record(record_of(5, task=unit(5), inputs=[], state="failed", exit={"code": 1}))
    assert [file.name for file in ready(production).files] == [
        "f1.root",
        "f2.root",
        "f3.root",
        "f4.root",
    ]

    production.record(
        reading(1),
        reading(2, state="running", ended_at=None, exit=None),
        reading(3, state="failed", exit={"code": 1}),
        reading(4, rerun_of=job_id(4)),
    )

    found = ready(production).files
    assert [(file.name, file.failed_attempts) for file in found] == [
        ("f3.root", 1),
        ("f4.root", 0),
    ]
    assert found[0].job_id == job_id(3)
    assert found[0].size_bytes == 4


def test_files_of_a_unit_that_two_jobs_did_are_ready_once(production: Production) -> None:
    """The next stage processed its events twice."""
    task = {"task_id": "t1", "unit": "a"}
    unnamed = {"task_id": "t1"}
    production.record(
        record_of(1, task=task, outputs=[{"name": "failed.root"}], state="failed"),
        record_of(2, task=task, outputs=[]),
        record_of(3, task=task, outputs=[{"name": "first.root"}]),
        record_of(4, task=task, outputs=[{"name": "second.root"}]),
        record_of(5, task={**task, "task_id": "t2"}, outputs=[{"name": "other-task.root"}]),
        record_of(6, task=unnamed, outputs=[{"name": "unnamed-1.root"}]),
        record_of(7, task=unnamed, outputs=[{"name": "unnamed-2.root"}]),
    )

    names = [file.name for file in ready(production).files]

    assert names == ["first.root", "unnamed-1.root", "unnamed-2.root"]

    production.record(record_of(8, inputs=[{"name": "first.root"}], task={"task_id": "next"}))

    assert [file.name for file in ready(production).files] == names[1:], "not the second one's"


def test_ready_files_come_page_by_page(production: Production) -> None:
    production.record(*[record_of(number, task=unit(number), inputs=[]) for number in range(1, 6)])
    names, cursor = [], None
    for _ in range(3):
        page = ready(production, limit=2, cursor=cursor)
        names.append([file.name for file in page.files])
        cursor = page.next
        # more is told of a job that was listed: its claims are written anew, under other keys
        production.record({**record_of(1, witness="history"), "outputs": None, "inputs": None})

    assert names == [["f1.root", "f2.root"], ["f3.root", "f4.root"], ["f5.root"]]
    assert cursor is None


@pytest.mark.slow
def test_ready_are_files_that_count_of_units_that_are_done(production: Production) -> None:
    """Past pages on which no file counts, and without the half of a unit that is tried again."""
    whole, half = unit(1), unit(2)
    files = [{"name": f"{number}.txt", "size_bytes": 7} for number in range(9)]
    gen, hist = ({"name": name, "size_bytes": 7} for name in ("gen.root", "hist.root"))
    other = {"name": "gen_2.root", "size_bytes": 7}
    production.declare("t1", units=2, output_patterns=["gen*.root", "hist*.root"])
    production.record(
        record_of(1, task=half, inputs=[], outputs=[other, *files]),
        record_of(2, task=whole, inputs=[], outputs=[gen, *files, hist, {**gen, "name": "x.fcl"}]),
    )

    assert [file.name for file in ready(production).files] == ["gen.root", "hist.root"]
    first = ready(production, limit=1)
    second = ready(production, limit=1, cursor=first.next)
    assert [file.name for file in first.files + second.files] == ["gen.root", "hist.root"]
    assert second.next is None


def test_campaign_sums_the_units_of_its_tasks(production: Production) -> None:
    production.declare("t1", campaign="c", stage="reco", units=UNITS)
    production.declare("t2", campaign="c", stage="reco", units=4)
    production.declare("t3", campaign="c", stage="pid", units=["a"])
    production.record(
        record_of(1, task=unit(1)),
        record_of(2, task={**unit(2), "task_id": "t2"}, state="failed", exit={"code": 1}),
    )
    production.waive("t1", "f3.root")

    with production.database.reading.connect() as connection:
        campaign = shown_campaign(connection, production)

    stages = {stage["stage"]: stage["units"] for stage in campaign["stages"]}
    reco = {
        name: stages["reco"][name]
        for name in ("expected", "produced", "failed", "waived", "missing")
    }
    assert reco == {"expected": 10, "produced": 1, "failed": 1, "waived": 1, "missing": 8}
    assert stages["pid"]["missing"] == 1


def test_campaign_of_many_tasks_lists_some_and_sums_all(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobprov.provenance.services.tasks.campaigns.MOST_LISTED", 2)
    monkeypatch.setattr("jobprov.provenance.services.tasks.units._TASKS_AT_ONCE", 2)
    for number in range(5):
        production.declare(f"t{number}", campaign="c", stage="reco", units=3)
    production.record(*(record_of(n, task={**unit(n), "task_id": f"t{n}"}) for n in range(5)))

    with production.database.reading.connect() as connection:
        campaign = shown_campaign(connection, production)

    assert (campaign["task_count"], [task["task_id"] for task in campaign["tasks"]]) == (
        5,
        ["t3", "t4"],
    )
    assert campaign["stages"][0]["units"]["expected"] == 15
    assert campaign["stages"][0]["units"]["produced"] == 5


def test_stages_stand_in_the_order_in_which_they_began_however_their_records_came(
    production: Production,
) -> None:
    for number, (stage, hour) in enumerate((("pid", 5), ("gen", 1), ("reco", 3)), 1):
        moments = {
            "started_at": f"2026-01-01T0{hour}:00:00Z",
            "ended_at": f"2026-01-01T0{hour + 1}:00:00Z",
        }
        production.record(
            record_of(number, task={"task_id": stage, "campaign": "c", "stage": stage}, **moments)
        )

    with production.database.reading.connect() as connection:
        stages = shown_campaign(connection, production)["stages"]

    assert [stage["stage"] for stage in stages] == ["gen", "reco", "pid"]


@pytest.mark.slow
def test_time_left_is_that_of_the_missing_units_at_the_present_pace(production: Production) -> None:
    now = datetime.now(UTC)
    ended = [(now - timedelta(minutes=5 * number)).isoformat() for number in range(1, 7)]
    started = (now - timedelta(hours=2)).isoformat()
    production.declare("t1", campaign="c", stage="reco", units=30)
    assert shown(production)["seconds_left"] is None
    production.record(
        *[
            record_of(n, task=unit(n), started_at=started, ended_at=moment)
            for n, moment in enumerate(ended, 1)
        ]
    )

    left = shown(production)["seconds_left"]
    with production.database.reading.connect() as connection:
        campaign = shown_campaign(connection, production)

    assert left == pytest.approx(24 * 3600 / 6)
    assert campaign["seconds_left"] == pytest.approx(left, rel=0.01)


@pytest.mark.slow
def test_what_failed_waits_for_somebody_and_has_no_time_left(production: Production) -> None:
    now = datetime.now(UTC)
    moments = {
        "started_at": (now - timedelta(hours=2)).isoformat(),
        "ended_at": (now - timedelta(minutes=5)).isoformat(),
    }
    production.declare("t1", campaign="c", stage="reco", units=8)
    production.record(
        *[record_of(n, task=unit(n), **moments) for n in range(1, 7)],
        record_of(7, task=unit(7), state="failed", exit={"code": 1}, **moments),
    )
    one_to_come = shown(production)["seconds_left"]

    production.declare("t1", campaign="c", stage="reco", units=7)

    with production.database.reading.connect() as connection:
        campaign = shown_campaign(connection, production)
    assert one_to_come == pytest.approx(3600 / 6)
    assert (shown(production)["missing"], shown(production)["seconds_left"]) == (1, None)
    assert campaign["seconds_left"] is None


def place(production: Production, task_id: str = "t1") -> tuple[str | None, str | None]:
    with production.database.reading.connect() as connection:
        task = find_task(connection, task_id)
    return task.campaign, task.stage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("declared", "placed"),
    [
        ({}, ("cc", "gen")),
        ({"campaign": "dd"}, ("dd", "gen")),
        ({"stage": "merge"}, ("cc", "merge")),
        ({"campaign": "dd", "stage": "merge"}, ("dd", "merge")),
    ],
)
def test_a_task_is_placed_by_declaration_and_jobs_alike_whichever_came_first(
    production: Production, declared: dict[str, Any], placed: tuple[str, str]
) -> None:
    """What a declaration leaves open was never said by a job that came later."""
    jobs = [
        record_of(number, task={"task_id": "t1", **said})
        for number, said in enumerate(
            [{"campaign": "cc", "stage": "reco"}, {}, {"stage": "gen"}, {"campaign": "x"}], 1
        )
    ]
    for at in range(len(jobs) + 1):
        for number, record in enumerate(jobs):
            if number == at:
                production.declare(f"t{at}", **declared)
            task = {**record["task"], "task_id": f"t{at}"}
            production.record(record_of(100 * (at + 1) + number, task=task))
        if at == len(jobs):
            production.declare(f"t{at}", **declared)

    assert [place(production, f"t{at}") for at in range(len(jobs) + 1)] == [placed] * (
        len(jobs) + 1
    )


def test_a_later_declaration_and_a_correction_leave_nothing_of_the_earlier_ones(
    production: Production,
) -> None:
    production.declare("t1", campaign="dd", stage="merge")
    production.record(record_of(1, task={"task_id": "t1", "campaign": "cc", "stage": "reco"}))
    assert place(production) == ("dd", "merge")

    production.declare("t1", stage="merge")
    assert place(production) == ("cc", "merge")

    production.record(
        record_of(1, task={"task_id": "t1", "campaign": "ee", "stage": "reco"}), reason="a slip"
    )
    assert place(production) == ("ee", "merge")

    production.declare("t1")
    assert place(production) == ("ee", "reco")


def test_reruns_for_comparison_count_in_no_number_of_a_task(production: Production) -> None:
    again = {"rerun_of": job_id(1), "resources": {"wall_seconds": 7000}}
    production.record(
        record_of(9, task=unit(0), **again),
        record_of(1, task=unit(0), resources={"wall_seconds": 100}),
        record_of(2, task=unit(1), state="failed", exit={"code": 1}, outputs=[]),
        record_of(7, task=unit(0), **again),
        record_of(8, task=unit(0), state="failed", exit={"code": 2}, outputs=[], **again),
    )

    task = shown(production)
    with production.database.reading.connect() as connection:
        [stage] = shown_campaign(connection, production)["stages"]

    assert [(cause["exit_code"], cause["state"], cause["count"]) for cause in task["errors"]] == [
        (1, "failed", 1)
    ]
    assert [job["job_id"] for job in task["failing_jobs"]] == [job_id(2)]
    assert (
        task["resources"]["jobs"],
        task["resources"]["wall_seconds"],
        task["produced_files"],
    ) == (2, 100, 1)
    assert stage["states"] == {"succeeded": 1, "failed": 1}
    assert stage["first"] == 2, "a rerun that came first is not what the stage began with"


def test_jobs_of_a_campaign_are_counted_from_an_index_alone(production: Production) -> None:
    if not production.database.is_sqlite:
        pytest.skip("PostgreSQL has to look at the rows in any case")
    with production.database.reading.connect() as connection:
        query = select(Job.task_id, Job.state, func.count(), func.min(Job.id)).where(is_no_rerun())
        plan = explained(connection, query.group_by(Job.task_id, Job.state))

    assert any("USING COVERING INDEX ix_jobs_task_id_state" in line for line in plan), plan


def explained(connection: Connection, query: Any) -> list[str]:
    statement = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    return [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]


def test_silent_are_the_units_that_only_jobs_which_were_not_heard_of_run(
    production: Production,
) -> None:
    """A unit that is done, or that another job of it still tells of, is not silent.

    Nor is one whose job told again today.
    """
    long_ago = production.now
    going = {"state": "running", "ended_at": None, "exit": None, "outputs": []}
    production.record(
        record_of(1, task=unit(0), **going),
        record_of(2, task=unit(0)),
        record_of(3, task=unit(1), **going),
        record_of(4, task=unit(2), **going),
        record_of(5, task=unit(3), **going),
        record_of(6, task=unit(4), rerun_of=job_id(2), **going),
    )
    production.now = datetime.now(UTC) - timedelta(hours=1)
    production.record(record_of(4, task=unit(2), **going), record_of(7, task=unit(3), **going))

    task = shown(production)

    with production.database.reading.connect() as connection:
        jobs = {job.job_id: job for job in list_jobs(connection, JobFilters(task_id="t1")).jobs}
    renewed, fell_silent = jobs[job_id(4)], jobs[job_id(3)]
    assert fell_silent.heard_at == fell_silent.received_at
    assert renewed.heard_at > renewed.received_at
    assert long_ago < datetime.now(UTC) - timedelta(days=1)
    assert (task["produced"], task["running"], task["silent"]) == (1, 2, 1)
