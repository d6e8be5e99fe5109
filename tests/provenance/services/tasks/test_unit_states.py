"""The one state of a unit: what the process returned is not enough, its file has to be seen."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from jobprov.provenance.answers.orders.orders import NewOrder
from jobprov.provenance.answers.tasks.tasks import OpenUnit, TaskProgress, UnitState
from jobprov.provenance.db.queries.tasks.queue import Queued
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.db.queries.tasks.unit_facts import Attempts
from jobprov.provenance.db.tables import CatalogFileRow, CatalogOutput
from jobprov.provenance.services.orders.orders import (
    EndedOrder,
    PlacedOrder,
    ReportBody,
    append_orders,
    report_orders,
)
from jobprov.provenance.services.tasks.campaigns import list_campaigns, show_campaign
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from jobprov.provenance.services.tasks.unit_states import UnitFacts, stand
from jobprov.provenance.services.tasks.units import missing_units
from jobprov.provenance.services.writing import Writing
from tests.library.production import Production
from tests.library.records import a_record, job_id, record_of

RUNNING: dict[str, Any] = {"state": "running", "ended_at": None, "exit": None, "outputs": []}
FILE = {"name": "out.root", "size_bytes": 7}


def task_progress(production: Production) -> TaskProgress:
    """Return how far task t1 is."""
    with production.database.reading.connect() as connection:
        return show_task(connection, production.store, find_task(connection, "t1"))


def a_job(number: int, unit: str, *outputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the record of a job of task t1."""
    task = {"task_id": "t1", "unit": unit}
    return record_of(number, **{"task": task, "inputs": [], "outputs": list(outputs), **more})


def catalog_knows(production: Production, unit: str, *names: str) -> None:
    """Have the catalog know files as outputs of a unit, as `jobprov catalog sync` notes it."""

    def write(writing: Writing) -> None:
        [task] = find_tasks(writing.connection, "t1", "nova")
        for number, name in enumerate(names, 1):
            writing.connection.execute(
                insert(CatalogFileRow).values(
                    id=number,
                    experiment_id=task.experiment_key,
                    namespace="",
                    name=name,
                    checksums="",
                    seen_at=datetime.now(UTC),
                )
            )
            writing.connection.execute(
                insert(CatalogOutput).values(task_id=task.key, unit=unit, file_id=number)
            )

    production.write(write)


def order_job(production: Production, unit: str) -> str:
    """Order a job for a unit, as a retry does; return the order's id."""
    order = NewOrder(task_id="t1", unit=unit, attempt=1, bundle_of=job_id(99))
    ids: list[str] = production.write(
        lambda writing: append_orders(writing, "nova", [order]), received_at=production.tick()
    )
    return ids[0]


def agent_reports(production: Production, **body: Any) -> None:
    """Report what became of orders, as the agent does."""
    report = ReportBody(experiment="nova", **body)
    production.write(lambda writing: report_orders(writing, report), received_at=production.tick())


def test_job_that_succeeded_without_a_file_leaves_its_unit_undone(production: Production) -> None:
    production.declare("t1", units=["a", "b"])
    production.record(a_job(1, "a"), a_job(2, "b", FILE))

    task = task_progress(production)

    assert task.states == {UnitState.SUCCEEDED: 1, UnitState.NO_OUTPUT: 1}
    assert (task.produced, task.no_output, task.missing) == (1, 1, 1)
    assert task.blocking == [OpenUnit("a", UnitState.NO_OUTPUT, None)]


@pytest.mark.parametrize(
    "output",
    [
        {"name": "a.root", "size_bytes": 0},
        {"name": "a.root", "size_bytes": 0, "status": "empty"},
        {"name": "a.root", "size_bytes": 7, "status": "copy_failed"},
        {"name": "a.root", "status": "not_kept"},
        {"name": "a.root", "status": "missing"},
    ],
)
def test_output_that_nobody_can_use_makes_no_unit_done(
    production: Production, output: dict[str, Any]
) -> None:
    production.declare("t1", units=["a"])
    production.record(a_job(1, "a", output))

    task = task_progress(production)

    assert (task.produced, task.no_output, task.produced_files) == (0, 1, 0)


@pytest.mark.slow
def test_unit_is_done_with_as_many_files_as_declared(production: Production) -> None:
    production.declare("t1", units=["a", "b"], outputs_per_unit=2)
    production.record(
        a_job(1, "a", FILE),
        a_job(2, "b", FILE, {"name": "other.root", "size_bytes": 1}),
    )

    task = task_progress(production)

    assert (task.produced, task.produced_files) == (1, 2)
    assert task.blocking == [OpenUnit("a", UnitState.NO_OUTPUT, "1 of 2 files")]


def test_units_with_more_and_fewer_files_count_once_each(production: Production) -> None:
    """Of a unit that was done twice the attempt with more files counts; others are not listed."""
    production.declare("t1", units=["a", "b", "c", "a"])
    more = {"name": "more.root", "size_bytes": 7}
    production.record(
        a_job(1, "a", FILE, more),
        a_job(2, "b", FILE),
        a_job(3, "b", FILE, more),
        a_job(4, "c", FILE),
        a_job(5, "x", FILE, more),
        a_job(6, "y", FILE),
        a_job(7, "c", state="failed", exit={"code": 1}),
    )

    task = task_progress(production)

    assert (task.expected, task.states) == (3, {UnitState.SUCCEEDED: 3})
    assert (task.produced_files, task.unlisted, task.blocking) == (5, 2, [])


@pytest.mark.parametrize("name", ["logs_gen_7.tgz", "reco_logs.tar.gz", "job.log.gz", "my.fcl"])
def test_packed_logs_and_configurations_make_no_unit_done(
    production: Production, name: str
) -> None:
    production.declare("t1", units=["a", "b"])
    production.record(
        a_job(1, "a", {"name": name, "size_bytes": 7}),
        a_job(2, "b", {"name": "catalog.tgz", "size_bytes": 7}),
    )

    task = task_progress(production)

    assert task.states == {UnitState.SUCCEEDED: 1, UnitState.NO_OUTPUT: 1}
    assert task.produced_files == 1


@pytest.mark.parametrize("is_declared_first", [True, False])
def test_only_files_of_the_declared_names_count(
    production: Production, *, is_declared_first: bool
) -> None:
    def declare(*patterns: str) -> None:
        production.declare("t1", units=["a", "b"], output_patterns=list(patterns))

    if is_declared_first:
        declare("gen_?.root", "hist_*.root")
    else:
        production.declare("t1", units=["a", "b"])
    gen, hist = ({"name": name, "size_bytes": 7} for name in ("gen_1.root", "hist_1.root"))
    memory = {"name": "memory.txt", "size_bytes": 7}
    production.record(a_job(1, "a", gen, memory), a_job(2, "b", gen, hist, memory))
    if not is_declared_first:
        declare("gen_?.root", "hist_*.root")

    task = task_progress(production)

    assert task.states == {UnitState.SUCCEEDED: 1, UnitState.NO_OUTPUT: 1}
    assert task.blocking == [OpenUnit("a", UnitState.NO_OUTPUT, "1 of 2 files")]
    assert (task.produced_files, task.expected_files) == (2, 4)
    declare("gen_?.root")
    assert task_progress(production).states == {UnitState.SUCCEEDED: 2}


def test_catalog_counts_only_files_of_the_declared_names(production: Production) -> None:
    patterns = ["gen_*.root", "hist_*.root"]
    production.declare("t1", units=["a", "b"], output_patterns=patterns)
    catalog_knows(production, "a", "gen_1.root", "logs_1.tgz", "memory.txt")
    assert task_progress(production).states == {UnitState.NOT_SUBMITTED: 2}

    production.declare("t1", units=["a", "b"], output_patterns=["*_1.*"])
    task = task_progress(production)
    assert task.states == {UnitState.SUCCEEDED: 1, UnitState.NOT_SUBMITTED: 1}
    assert task.by_catalog == 1


def test_packed_log_in_the_catalog_makes_no_unit_done(production: Production) -> None:
    production.declare("t1", units=["a"])
    catalog_knows(production, "a", "logs_1.tgz")

    assert task_progress(production).produced == 0


def test_seen_file_counts_by_the_declared_names(production: Production) -> None:
    production.declare("t1", units=["a"], output_patterns=["gen_*.root"])
    production.record(a_job(1, "a"))
    metadata = {"prov.task_id": "t1", "prov.job_id": job_id(1)}
    production.see("hist_1.root", size_bytes=7, metadata=metadata)
    assert task_progress(production).no_output == 1

    production.see("gen_1.root", size_bytes=7, metadata=metadata)

    assert task_progress(production).by_catalog == 1


def test_output_that_did_not_come_home_counts_by_the_catalog(production: Production) -> None:
    """Its record names the file, but only the catalog shows that it is anywhere."""
    production.declare("t1", units=["a"])
    order = order_job(production, "a")
    production.record(a_job(1, "a", FILE, job_id=order))
    agent_reports(
        production, ended=[EndedOrder(order, exit_code=0, problem="out.root is not there")]
    )
    catalog_knows(production, "a", "out.root")

    assert task_progress(production).by_catalog == 1


def test_task_that_makes_no_files_is_done_without_any(production: Production) -> None:
    production.declare("t1", units=["a", "b"], outputs_per_unit=0)
    production.record(a_job(1, "a"), a_job(2, "b", state="failed", exit={"code": 1}))

    assert task_progress(production).states == {UnitState.SUCCEEDED: 1, UnitState.FAILED: 1}


def test_batch_history_alone_makes_no_unit_done_until_the_catalog_sees_a_file(
    production: Production,
) -> None:
    """It knows an exit code, and no files."""
    production.declare("t1", units=["a"])
    task = {"task_id": "t1", "unit": "a"}
    production.record(a_record(1, task=task, exit={"code": 0}, witness="history"))
    assert task_progress(production).states == {UnitState.NO_OUTPUT: 1}

    catalog_knows(production, "a", "a.root")

    task = task_progress(production)
    assert (task.states, task.by_catalog) == ({UnitState.SUCCEEDED: 1}, 1)


@pytest.mark.slow
def test_catalog_has_to_know_as_many_files_as_declared(production: Production) -> None:
    production.declare("t1", units=["a", "b"], outputs_per_unit=2)
    catalog_knows(production, "a", "a1.root")
    assert task_progress(production).states == {UnitState.NOT_SUBMITTED: 2}

    production.record(a_job(1, "a", FILE))
    assert task_progress(production).states == {UnitState.NO_OUTPUT: 1, UnitState.NOT_SUBMITTED: 1}


def test_file_that_a_transfer_service_saw_of_the_job_makes_its_unit_done(
    production: Production,
) -> None:
    production.declare("t1", units=["a"])
    production.record(a_job(1, "a"))
    assert task_progress(production).no_output == 1

    metadata = {"prov.task_id": "t1", "prov.job_id": job_id(1), "prov.output": "a.root"}
    production.see("a.root", size_bytes=7, metadata=metadata)

    task = task_progress(production)
    assert (task.produced, task.by_catalog) == (1, 1)


def test_second_try_with_a_file_makes_up_for_a_first_without(production: Production) -> None:
    production.declare("t1", units=["a"])
    production.record(a_job(1, "a"), a_job(2, "a", FILE))

    task = task_progress(production)

    assert (task.produced, task.produced_files, task.blocking) == (1, 1, [])


def test_placed_order_waits_until_its_job_is_heard_of(production: Production) -> None:
    production.declare("t1", units=["a", "b"])
    first, second = order_job(production, "a"), order_job(production, "b")
    assert task_progress(production).states == {UnitState.NOT_SUBMITTED: 2}

    agent_reports(production, placed=[PlacedOrder(first, "1.0@s"), PlacedOrder(second, "2.0@s")])
    assert task_progress(production).states == {UnitState.IDLE: 2}

    job = a_job(1, "a", job_id=first, **RUNNING)
    production.record(job, received_at=datetime.now(UTC))
    assert task_progress(production).states == {UnitState.RUNNING: 1, UnitState.IDLE: 1}

    agent_reports(production, ended=[EndedOrder(second, exit_code=1)])
    assert task_progress(production).states == {UnitState.RUNNING: 1, UnitState.SILENT: 1}


def test_order_waits_no_more_once_a_job_of_its_unit_was_recorded(production: Production) -> None:
    """HTCondor names jobs by itself, so that the job has another id than its order."""
    production.declare("t1", units=["a"])
    production.record(a_job(1, "a", state="failed", exit={"code": 1}))
    agent_reports(production, placed=[PlacedOrder(order_job(production, "a"), "1.0@s")])
    assert task_progress(production).states == {UnitState.IDLE: 1}

    production.record(a_job(2, "a"))

    assert task_progress(production).states == {UnitState.NO_OUTPUT: 1}


def test_output_that_did_not_come_home_to_the_storage_folder_is_none(
    production: Production,
) -> None:
    production.declare("t1", units=["a"])
    order = order_job(production, "a")
    production.record(a_job(1, "a", FILE, job_id=order))
    agent_reports(
        production, ended=[EndedOrder(order, exit_code=0, problem="out.root is not there")]
    )

    task = task_progress(production)

    assert task.blocking == [OpenUnit("a", UnitState.NO_OUTPUT, "out.root is not there")]


def test_order_that_was_refused_is_not_submitted_and_says_why(production: Production) -> None:
    production.declare("t1", units=["a"])
    order = order_job(production, "a")
    agent_reports(production, ended=[EndedOrder(order, problem="not submitted: no proxy")])

    [unit] = task_progress(production).blocking

    assert unit == OpenUnit("a", UnitState.NOT_SUBMITTED, "not submitted: no proxy")


def test_killed_unit_says_that_files_were_written_before_and_is_not_done(
    production: Production,
) -> None:
    """Nobody knows whether such a file is whole; that of a job that failed is told by its page."""
    production.declare("t1", units=["a", "b", "c", "d"])
    killed = {"state": "killed", "exit": {"signal": 9}}
    production.record(
        a_job(1, "a", FILE, **killed),
        a_job(2, "b", **killed),
        a_job(3, "c", FILE, state="failed", exit={"code": 1}),
        a_job(4, "d", FILE, **killed),
        a_job(5, "d", FILE),
    )

    task = task_progress(production)

    assert task.produced == 1
    assert task.blocking == [
        OpenUnit("a", UnitState.KILLED, "1 file written before; may be cut short"),
        OpenUnit("b", UnitState.KILLED, None),
        OpenUnit("c", UnitState.FAILED, None),
    ]


def test_unit_whose_job_was_removed_before_it_began_counts_as_killed_and_says_so(
    production: Production,
) -> None:
    production.declare("t1", units=["a", "b", "c"])
    removed = {"started_at": None, "exit": {"error_class": "removed", "message": "via condor_rm"}}
    held = {"started_at": None, "exit": {"error_class": "held: UserRequest"}}
    production.record(
        a_job(1, "a", state="killed", witness="history", **removed),
        a_job(2, "b", state="killed", witness="history", **held),
        a_job(3, "b", state="failed", exit={"code": 1}),
        a_job(4, "c", state="killed", witness="history", exit={"error_class": "removed"}),
    )

    task = task_progress(production)

    assert task.states == {UnitState.KILLED: 2, UnitState.FAILED: 1}
    assert task.blocking == [
        OpenUnit("a", UnitState.KILLED, "its job was removed before it began"),
        OpenUnit("b", UnitState.FAILED, None),
        OpenUnit("c", UnitState.KILLED, None),
    ]


DONE = Attempts(is_named=True, outputs=1, is_running=False, mishap=None)
EMPTY = DONE._replace(outputs=0)
GOING = DONE._replace(outputs=None, is_running=True)
BAD = DONE._replace(outputs=None, mishap="failed")


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (UnitFacts(), UnitState.NOT_SUBMITTED),
        (UnitFacts(queued=Queued(UnitState.HELD, "no proxy")), UnitState.HELD),
        (UnitFacts(queued=Queued(UnitState.IDLE)), UnitState.IDLE),
        (UnitFacts(DONE, is_waived=True), UnitState.SUCCEEDED),
        (UnitFacts(DONE._replace(is_running=True)), UnitState.SUCCEEDED),
        (UnitFacts(EMPTY), UnitState.NO_OUTPUT),
        (UnitFacts(EMPTY, cataloged=1), UnitState.SUCCEEDED),
        (UnitFacts(EMPTY, is_waived=True), UnitState.WAIVED),
        (UnitFacts(EMPTY, queued=Queued(UnitState.IDLE)), UnitState.IDLE),
        (UnitFacts(EMPTY._replace(mishap="failed")), UnitState.NO_OUTPUT),
        (UnitFacts(GOING, queued=Queued(UnitState.RUNNING)), UnitState.RUNNING),
        (UnitFacts(GOING, queued=Queued(UnitState.RUNNING), is_waived=True), UnitState.RUNNING),
        (UnitFacts(GOING), UnitState.SILENT),
        (UnitFacts(GOING, is_waived=True), UnitState.WAIVED),
        (UnitFacts(GOING, queued=Queued(UnitState.HELD)), UnitState.HELD),
        (UnitFacts(BAD), UnitState.FAILED),
        (UnitFacts(BAD, queued=Queued(UnitState.RUNNING)), UnitState.RUNNING),
        (UnitFacts(BAD._replace(mishap="killed")), UnitState.KILLED),
        (UnitFacts(BAD._replace(mishap="lost")), UnitState.SILENT),
    ],
)
def test_what_is_furthest_decides_the_state(facts: UnitFacts, state: UnitState) -> None:
    assert stand(facts, 1).state == state


def test_every_state_has_words_for_people() -> None:
    for state in UnitState:
        assert state.label.replace(" ", "").isalpha()
        assert state.meaning.endswith(".")


def test_task_campaign_and_first_page_have_the_same_numbers(production: Production) -> None:
    """They were counted in four ways: jobs here, units there, exit codes everywhere."""
    of_campaign = {"campaign": "c", "stage": "reco"}
    production.declare("t1", units=["a", "b", "c", "d"], **of_campaign)
    production.waive("t1", "d")
    production.record(
        a_job(1, "a", state="failed", exit={"code": 1}),
        a_job(2, "a", FILE),
        a_job(3, "b"),
        a_job(4, "elsewhere", FILE),
    )

    with production.database.reading.connect() as connection:
        campaign = show_campaign(connection, production.store, "nova", "c")
        listed = list_campaigns(connection, production.store)
        missing = missing_units(connection, production.store, find_task(connection, "t1")).missing

    states = {
        UnitState.SUCCEEDED: 1,
        UnitState.NOT_SUBMITTED: 1,
        UnitState.NO_OUTPUT: 1,
        UnitState.WAIVED: 1,
    }
    assert task_progress(production).states == states
    assert [task.states for task in campaign.tasks] == [states]
    assert [stage.units.states for stage in campaign.stages] == [states]
    assert [stage.units.states for stage in listed.campaigns[0].stages] == [states]
    assert [(unit.unit, unit.state) for unit in missing] == [
        ("b", UnitState.NO_OUTPUT),
        ("c", UnitState.NOT_SUBMITTED),
    ]


def test_missing_units_say_how_their_newest_job_ended(production: Production) -> None:
    production.declare("t1", units=["a", "b", "c", "d", "e"])
    held = {"error_class": "held: memory", "message": "memory usage exceeded request_memory"}
    removed = {"error_class": "removed", "message": "by ada"}
    production.record(
        a_job(1, "a", state="failed", exit={"code": 1, "message": "older"}),
        a_job(2, "a", state="failed", exit={"code": 9, "message": "no space left"}),
        a_job(3, "b", FILE, state="killed", exit=held),
        a_job(4, "c", state="failed", exit={"code": 3}),
        a_job(5, "d", state="killed", exit={"signal": 9}),
        a_job(6, "e", state="killed", started_at=None, exit=removed),
    )

    with production.database.reading.connect() as connection:
        missing = missing_units(connection, production.store, find_task(connection, "t1")).missing

    assert {unit.unit: unit.why for unit in missing} == {
        "a": "no space left",
        "b": (
            "1 file written before; may be cut short; held: memory: "
            "memory usage exceeded request_memory"
        ),
        "c": "exit code 3",
        "d": "signal 9",
        "e": "its job was removed before it began; removed: by ada",
    }


def test_no_campaign_is_listed_before_the_first_record(production: Production) -> None:
    with production.database.reading.connect() as connection:
        listed = list_campaigns(connection, production.store)

    assert (listed.campaigns, listed.campaign_count, listed.job_count) == ([], 0, 0)
