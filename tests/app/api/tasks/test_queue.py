"""What runs and waits: reported by queues, announced by hooks, over HTTP."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from jobprov.app.wiring import Service
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.db.tables import Job, LogTailPiece, ProvisionalRecord
from jobprov.provenance.services.tasks.queue import whole_queue
from jobprov.provenance.services.tasks.unit_states import standing_units
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import a_record, job_id
from tests.library.statements import statements_sent

SCHEDD = "/api/v1/queue/sched01"
TASK = {"task_id": "t1", "campaign": "c", "stage": "reco"}


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def queued(number: int, state: str = "idle", **fields: Any) -> dict[str, Any]:
    """Return a job of a queue, for a unit of its own."""
    return {
        "batch_id": f"{number}.0@sched01",
        "job_id": job_id(number),
        "task_id": "t1",
        "unit": f"u{number}",
        "state": state,
        **fields,
    }


def running(number: int, **fields: Any) -> dict[str, Any]:
    """Return a job that runs on a node and has used some CPU."""
    values = {"started_at": ago(minutes=10), "host": "wn1", "site": "FNAL"}
    return queued(number, "running", **{**values, **fields})


def report(client: FlaskClient, *jobs: dict[str, Any], **more: Any) -> Any:
    url = more.pop("url", SCHEDD)
    headers = more.pop("headers", {})
    answer = client.put(url, json={"experiment": "nova", "jobs": jobs, **more}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def declare(client: FlaskClient, units: int = 10) -> None:
    document = {"experiment": "nova", **TASK, "units": units}
    del document["task_id"]
    assert client.put("/api/v1/tasks/t1", json=document).status_code == 201


def record(client: FlaskClient, number: int, **fields: Any) -> None:
    """Record a job of the task; with the state `running`, as its hook announces it."""
    values = {"task": {**TASK, "unit": f"u{number}"}, "batch": {"id": f"{number}.0@sched01"}}
    values |= fields
    document = a_record(number, **values)
    if document["state"] == "running":
        del document["ended_at"]
    answer = client.put(f"/api/v1/jobs/{document['job_id']}", json=document)
    assert answer.status_code == 201, answer.text


def queue(client: FlaskClient, **query: Any) -> Any:
    answer = client.get("/api/v1/tasks/t1/queue", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def counts(client: FlaskClient) -> dict[str, int]:
    """Return the counts that are not zero."""
    return {name: count for name, count in queue(client)["counts"].items() if count}


def listed(client: FlaskClient) -> list[tuple[str, str]]:
    return [(job["unit"], job["state"]) for job in queue(client)["jobs"]]


def units(service: Service) -> dict[str, str]:
    """Return the state of each unit of which anything is known."""
    with service.reading() as connection:
        [task] = find_tasks(connection, "t1", "nova")
        [found] = standing_units(connection, {task.key: 0})
        return {name: unit.state.value for name, unit in found.by_name().items()}


def test_what_a_queue_has_is_counted_and_listed_with_held_jobs_first(client: FlaskClient) -> None:
    declare(client)
    reason = "Error from slot1@wn2: memory usage exceeded request_memory"
    memory = {"memory_bytes": 3 << 30, "requested_memory_bytes": 2 << 30}

    report(
        client,
        queued(1, since=ago(hours=1)),
        running(2, **memory),
        queued(3, "held", since=ago(minutes=5), hold_reason=reason),
    )

    assert counts(client) == {"idle": 1, "running": 1, "held": 1}
    held, runs, idle = queue(client)["jobs"]
    assert (held["unit"], held["hold_reason"]) == ("u3", reason)
    assert 290 < held["seconds"] < 400
    assert (runs["host"], runs["site"], runs["memory_bytes"]) == ("wn1", "FNAL", 3 << 30)
    assert runs["requested_memory_bytes"] == 2 << 30
    assert 590 < runs["seconds"] < 700
    assert 3590 < idle["seconds"] < 3700
    assert queue(client)["warning"] is None


def test_a_report_replaces_the_one_before(client: FlaskClient) -> None:
    declare(client)
    first = report(client, queued(1), queued(2), queued(3))

    second = report(client, queued(1), queued(2, "held", hold_reason="x"), queued(4))

    assert (first["new"], second["new"], second["changed"], second["gone"]) == (3, 1, 1, 1)
    assert sorted(listed(client)) == [("u1", "idle"), ("u2", "held"), ("u4", "idle")]
    assert report(client)["gone"] == 3
    assert listed(client) == []


def test_queues_of_two_schedds_stand_side_by_side(client: FlaskClient) -> None:
    declare(client)
    report(client, queued(1))
    report(client, {**queued(2), "batch_id": "2.0@other"}, url="/api/v1/queue/other")

    report(client)

    assert listed(client) == [("u2", "idle")]
    assert [source["schedd"] for source in queue(client)["sources"]] == ["other", "sched01"]


def test_job_that_its_hook_announced_counts_once(client: FlaskClient, service: Service) -> None:
    declare(client)
    record(client, 1, state="running", host={"hostname": "wn7", "site": "BNL"})
    assert counts(client) == {"running": 1, "announced": 1}
    assert units(service) == {"u1": "running"}

    report(client, running(1))

    assert counts(client) == {"running": 1}
    [job] = queue(client)["jobs"]
    assert (job["source"], job["job_id"]) == ("queue", job_id(1))


def test_start_word_tells_unit_host_site_and_step(client: FlaskClient) -> None:
    steps = {"argv": ["lar"], "steps": [{"name": "reco1"}]}
    host = {"hostname": "wn7", "site": "BNL"}
    record(client, 1, state="running", host=host, command=steps)

    [job] = queue(client)["jobs"]

    assert (job["unit"], job["host"], job["site"], job["step"]) == ("u1", "wn7", "BNL", "reco1")
    assert job["source"] == "announced"


def test_job_that_began_since_its_queue_was_asked_runs(
    client: FlaskClient, service: Service
) -> None:
    declare(client)
    report(client, queued(1), age_seconds=30)

    record(client, 1, state="running")

    assert counts(client) == {"running": 1, "announced": 1}
    assert units(service) == {"u1": "running"}


def test_job_that_its_queue_has_no_longer_does_not_run(
    client: FlaskClient, service: Service
) -> None:
    declare(client)
    record(client, 1, state="running")

    report(client, queued(2))

    assert listed(client) == [("u2", "idle")]
    assert units(service) == {"u1": "silent", "u2": "idle"}


def test_announced_job_that_is_silent_for_a_day_does_not_count(
    client: FlaskClient, service: Service
) -> None:
    declare(client)
    record(client, 1, state="running")
    old = update(ProvisionalRecord).values(received_at=datetime.now(UTC) - timedelta(days=2))
    service.write(lambda writing: writing.connection.execute(old) and None)

    assert counts(client) == {}
    assert units(service) == {"u1": "silent"}

    report(client, running(1))
    assert counts(client) == {"running": 1}, "its queue knows better"


def test_queue_that_is_reported_in_part_takes_no_job_away(client: FlaskClient) -> None:
    declare(client)
    record(client, 1, state="running")

    report(client, queued(2), left_out=1)

    assert counts(client) == {"running": 1, "idle": 1, "announced": 1}
    assert "1 job not counted" in queue(client)["warning"]


def test_job_whose_record_came_is_over(client: FlaskClient, service: Service) -> None:
    declare(client)
    report(client, running(1), running(2))

    record(client, 1)

    assert listed(client) == [("u2", "running")]
    assert units(service) == {"u1": "succeeded", "u2": "running"}


def test_job_that_was_evicted_and_waits_again_is_idle(client: FlaskClient) -> None:
    """The record of its first attempt is no reason to leave it out."""
    declare(client)
    record(client, 1, state="killed")

    report(client, queued(1))

    assert listed(client) == [("u1", "idle")]


def test_job_that_names_no_task_is_that_of_its_hook(client: FlaskClient) -> None:
    declare(client)
    record(client, 1, state="running")

    taken = report(client, running(1, task_id=None, unit=None), running(2, task_id=None, unit=None))

    assert taken["jobs"] == 1, "nobody knows what the other is for"
    assert listed(client) == [("u1", "running")]


def at_node(number: int, node: str = "n1", **fields: Any) -> dict[str, Any]:
    """Return an idle job of a node of a DAG whose ad names no unit."""
    return queued(number, unit=None, dag="70", dag_node=node, **fields)


def record_attempt(client: FlaskClient, number: int, unit: str, **fields: Any) -> None:
    """Record an attempt at node n1 of that DAG; by default one that died before it read."""
    batch = {"id": f"{number}.0@sched01", "dag": "70", "dag_node": "n1"}
    values = {"state": "failed", "exit": {"code": 1}, "inputs": [], **fields}
    record(client, number, task={**TASK, "unit": unit}, batch=batch, **values)


READ_A = {"inputs": [{"name": "a.root", "role": "primary"}]}


@pytest.mark.parametrize(("unit", "read"), [("a.root", READ_A), ("n1", {})])
def test_retry_of_a_dag_node_waits_for_the_unit_of_the_tries_before(
    client: FlaskClient, service: Service, unit: str, read: dict[str, Any]
) -> None:
    """Its unit stood as failed until the retry began."""
    declare(client)
    record_attempt(client, 1, unit, **read)
    assert units(service) == {unit: "failed"}

    report(client, at_node(2), at_node(3, "n2"))

    assert units(service) == {unit: "idle"}
    assert [job["unit"] for job in queue(client)["jobs"]] == [unit, None]
    assert client.get("/api/v1/tasks/t1").get_json()["states"] == {"idle": 1, "not_submitted": 9}


def test_retry_of_a_dag_node_that_took_several_units_has_none_yet(
    client: FlaskClient, service: Service
) -> None:
    """As from a SAM project, which hands out what comes next."""
    declare(client)
    record_attempt(client, 1, "a.root", **READ_A)
    record_attempt(client, 2, "b.root", inputs=[{"name": "b.root", "role": "primary"}])

    report(client, at_node(3))

    assert units(service) == {"a.root": "failed", "b.root": "failed"}


def test_retry_that_announced_what_it_reads_has_that_unit(
    client: FlaskClient, service: Service
) -> None:
    declare(client)
    record_attempt(client, 1, "n1")
    report(client, at_node(2))
    assert units(service) == {"n1": "idle"}

    record_attempt(client, 2, "a.root", state="running", exit=None, **READ_A)
    report(client, {**running(2), "unit": None, "dag": "70", "dag_node": "n1"})

    assert units(service) == {"n1": "failed", "a.root": "running"}


def test_unit_with_several_jobs_stands_as_its_best_one(
    client: FlaskClient, service: Service
) -> None:
    declare(client)
    report(
        client,
        queued(1, "held", unit="a"),
        queued(2, unit="a"),
        queued(3, "held", unit="b"),
        running(4, unit="c"),
        queued(5, unit="c"),
        queued(6, "removed", unit="d"),
        queued(7, unit=None),
    )

    assert units(service) == {"a": "idle", "b": "held", "c": "running"}


def test_slow_is_three_times_the_median_of_the_stage(client: FlaskClient) -> None:
    declare(client)
    for number in range(1, 6):
        record(client, number, resources={"wall_seconds": 100.0 * number})

    report(
        client,
        running(11, started_at=ago(seconds=800)),
        running(12, started_at=ago(seconds=1000)),
    )

    slow, usual = queue(client)["jobs"]
    assert (slow["unit"], slow["is_slow"], slow["usual_seconds"]) == ("u12", True, 300.0)
    assert (usual["unit"], usual["is_slow"]) == ("u11", False)
    assert counts(client) == {"running": 2, "slow": 1}


def test_announced_job_may_be_slow_too(client: FlaskClient) -> None:
    for number in range(1, 6):
        record(client, number, resources={"wall_seconds": 60.0})

    record(client, 9, state="running", started_at=ago(minutes=4))

    [job] = queue(client)["jobs"]
    assert (job["is_slow"], job["usual_seconds"]) == (True, 60.0)
    assert counts(client) == {"running": 1, "slow": 1, "announced": 1}


def test_slow_announced_jobs_of_all_stages_are_counted_together(
    client: FlaskClient, service: Service
) -> None:
    """Each stage has a usual time of its own, and costs no further look at all that runs."""
    numbers = itertools.count(1)

    def begin_stage(stage: str, usual_seconds: float) -> None:
        task = {"task_id": stage, "campaign": "c", "stage": stage}
        for _ in range(5):
            number = next(numbers)
            resources = {"wall_seconds": usual_seconds}
            record(client, number, task={**task, "unit": f"u{number}"}, resources=resources)
        number = next(numbers)
        began = {"state": "running", "started_at": ago(minutes=4)}
        record(client, number, task={**task, "unit": f"u{number}"}, **began)

    def counted() -> tuple[int, int]:
        """Return how many jobs are slow, and how often what runs was looked at."""
        with service.reading() as connection, statements_sent(connection.engine) as sent:
            counts = whole_queue(connection, experiment="nova").counts
        return counts.slow, sum("provisional_records" in statement.sql for statement in sent)

    begin_stage("gen", 60.0)
    begin_stage("reco", 600.0)
    [two_stages, looks_at_two] = counted()
    begin_stage("sim", 70.0)
    [three_stages, looks_at_three] = counted()

    assert (two_stages, three_stages) == (1, 2)
    assert looks_at_two == looks_at_three > 0


def test_jobs_that_claim_to_have_taken_ages_make_none_slow(client: FlaskClient) -> None:
    """A wall time in nanoseconds, say, reaches back beyond the first year."""
    for number in range(1, 6):
        record(client, number, resources={"wall_seconds": 3.6e12})

    record(client, 9, state="running", started_at=ago(minutes=4))

    assert counts(client) == {"running": 1, "announced": 1}
    for address in ("/api/v1/tasks/t1", "/tasks/t1", "/campaigns/nova/c", "/"):
        assert client.get(address).status_code == 200


def test_four_jobs_say_nothing_about_what_is_usual(client: FlaskClient) -> None:
    for number in range(1, 5):
        record(client, number, resources={"wall_seconds": 1.0})

    report(client, running(9))

    assert queue(client)["jobs"][0]["is_slow"] is False


@pytest.mark.parametrize(
    ("later", "is_stuck"),
    [
        ({"cpu_seconds": 50.0, "measured_seconds": 1600.0}, True),
        ({"cpu_seconds": 50.0, "measured_seconds": 1400.0}, False),
        ({"cpu_seconds": 50.5, "measured_seconds": 1600.0}, False),
        ({}, False),
    ],
    ids=["no CPU for 15 minutes", "not measured for long enough", "some CPU", "not measured"],
)
def test_stuck_is_no_cpu_for_15_minutes(
    client: FlaskClient, later: dict[str, Any], *, is_stuck: bool
) -> None:
    declare(client)
    report(client, running(1, cpu_seconds=40.0, measured_seconds=600.0))
    report(client, running(1, cpu_seconds=50.0, measured_seconds=660.0))

    report(client, running(1, **later))

    assert queue(client)["jobs"][0]["is_stuck"] is is_stuck
    assert counts(client).get("stuck", 0) == is_stuck


def test_job_that_still_writes_its_log_is_not_stuck(client: FlaskClient) -> None:
    record(client, 1, state="running")
    log = f"/api/v1/jobs/{job_id(1)}/logs/stdout?offset=0"
    assert client.put(log, data=b"a line\n").status_code == 200
    report(client, running(1, cpu_seconds=50.0, measured_seconds=60.0))

    report(client, running(1, cpu_seconds=50.0, measured_seconds=1600.0))

    assert queue(client)["jobs"][0]["is_stuck"] is False


def test_announced_job_whose_log_is_quiet_is_stuck(client: FlaskClient, service: Service) -> None:
    """The number of stuck jobs is that of the list; one whose log nobody sends may do anything."""
    for number in (1, 2, 3):
        record(client, number, state="running")
    for number in (1, 2):
        log = f"/api/v1/jobs/{job_id(number)}/logs/stdout?offset=0"
        assert client.put(log, data=b"a line\n").status_code == 200
    of_first = select(Job.id).where(Job.uuid == job_id(1)).scalar_subquery()
    lines = update(LogTailPiece).where(LogTailPiece.job_id == of_first)
    old = lines.values(received_at=datetime.now(UTC) - timedelta(minutes=15))
    service.write(lambda writing: writing.connection.execute(old) and None)

    assert [job["is_stuck"] for job in queue(client)["jobs"]] == [True, False, False]
    assert counts(client) == {"running": 3, "stuck": 1, "announced": 3}


def test_second_attempt_begins_with_no_cpu(client: FlaskClient) -> None:
    declare(client)
    report(client, running(1, cpu_seconds=5000.0, measured_seconds=9000.0))
    second = {"job_id": job_id(99)}

    report(client, running(1, **second, cpu_seconds=1.0, measured_seconds=60.0))
    report(client, running(1, **second, cpu_seconds=2.0, measured_seconds=1600.0))

    assert queue(client)["jobs"][0]["is_stuck"] is False


def test_events_and_their_rate_come_from_the_end_of_the_log(client: FlaskClient) -> None:
    line = "Begin processing the {}th record. run: 1 subRun: 0 event: {} at 28-Nov-2026 18:{} CST\n"
    record(client, 1, state="running")
    report(client, running(1))
    first, second = line.format(4, 4, "00:00"), line.format(64, 64, "02:00")
    log = f"/api/v1/jobs/{job_id(1)}/logs/stdout"

    client.put(f"{log}?offset=0", data=first.encode())
    client.put(f"{log}?offset={len(first)}", data=second.encode())

    progress = queue(client)["jobs"][0]["progress"]
    assert (progress["events"], progress["events_per_second"], progress["log"]) == (
        64,
        0.5,
        "stdout",
    )


def test_pages_of_the_list_name_each_job_once(client: FlaskClient) -> None:
    declare(client)
    for number in range(10, 13):
        record(client, number, state="running", batch=None)
    report(client, *[queued(number) for number in range(1, 6)], queued(6, "held"), running(7))

    seen, cursor, pages = [], None, 0
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = queue(client, **query)
        seen += [job["unit"] for job in page["jobs"]]
        cursor, pages = page["next"], pages + 1
        if cursor is None:
            break

    assert pages == 4
    assert seen == ["u6", "u7", "u1", "u2", "u3", "u4", "u5", "u10", "u11", "u12"]
    assert queue(client, limit=0)["jobs"] == []


@pytest.mark.slow
def test_campaign_experiment_and_all_are_counted(client: FlaskClient) -> None:
    declare(client)
    report(client, queued(1), queued(2, task_id="unknown"))
    record(client, 5, state="running", batch=None)

    def total(**query: str) -> tuple[int, int]:
        found = client.get("/api/v1/queue", query_string=query).get_json()["counts"]
        return found["idle"], found["running"]

    assert total() == (2, 1)
    assert total(experiment="nova") == (2, 1)
    assert total(experiment="nova", campaign="c") == (1, 1)
    assert total(campaign="none") == (0, 0)
    assert client.get("/api/v1/queue?experiment=none").status_code == 404


def test_old_reports_and_their_lack_are_told(client: FlaskClient) -> None:
    declare(client)
    assert "No queue is reported" in queue(client)["warning"]

    report(client, queued(1), age_seconds=1000)

    assert "sched01" in queue(client)["warning"]
    assert queue(client)["sources"][0]["is_old"] is True


def test_queue_of_which_nobody_reports_is_forgotten_after_a_week(
    client: FlaskClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(client)
    report(client, queued(1), age_seconds=100)
    module = "jobprov.provenance.services.tasks.queue_reports._KEPT"
    monkeypatch.setattr(module, timedelta(seconds=50))

    report(client, {**queued(2), "batch_id": "2.0@other"}, url="/api/v1/queue/other")

    assert units(service) == {"u2": "idle"}


def test_report_is_of_the_tokens_experiment(
    client: FlaskClient, new_token: Callable[..., dict[str, str]]
) -> None:
    nova, mu2e = new_token("nova"), new_token("mu2e")
    body = {"experiment": "nova", "jobs": [queued(1)]}

    assert client.put(SCHEDD, json=body, headers=mu2e).status_code == 403
    assert client.put(SCHEDD, json=body).status_code == 401
    assert client.put(SCHEDD, json=body, headers=nova).status_code == 200


@on_sqlite_alone
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"state": "asleep"}, "jobs[0].state"),
        ({"job_id": "x"}, "jobs[0].job_id"),
        ({"since": "2026-01-01T00:00:00"}, "jobs[0].since"),
        ({"cpu_seconds": -1}, "jobs[0].cpu_seconds"),
        ({"batch_id": ""}, "jobs[0].batch_id"),
    ],
)
def test_wrong_jobs_are_named_and_nothing_is_stored(
    client: FlaskClient, change: dict[str, Any], field: str
) -> None:
    declare(client)
    report(client, queued(1))

    answer = client.put(SCHEDD, json={"experiment": "nova", "jobs": [{**queued(2), **change}]})

    assert_problem(answer, 422)
    assert field in answer.get_json()["errors"]
    assert listed(client) == [("u1", "idle")]


def test_report_that_names_a_job_twice_is_refused(client: FlaskClient) -> None:
    answer = client.put(SCHEDD, json={"experiment": "nova", "jobs": [queued(1), queued(1)]})

    assert "jobs[1].batch_id" in assert_problem(answer, 422)["errors"]


def test_secret_in_a_hold_reason_is_refused(client: FlaskClient) -> None:
    secret = "curl https://user:Zk3hVx9QpLw2RtYb@example.org/"  # noqa: S105 - made up
    job = queued(1, "held", hold_reason=secret)

    answer = client.put(SCHEDD, json={"experiment": "nova", "jobs": [job]})

    assert answer.status_code == 422


@on_sqlite_alone
@pytest.mark.parametrize("cursor", ["x", "5", "9.x", "99.1", "announced.", "1.1.1", "-1.5"])
def test_cursor_of_no_list_is_refused(client: FlaskClient, cursor: str) -> None:
    declare(client)

    answer = client.get("/api/v1/tasks/t1/queue", query_string={"cursor": cursor})

    assert "cursor" in assert_problem(answer, 422)["errors"]


WORKFLOW = """
name = "toy"
experiment = "nova"
[[stage]]
name = "gen"
count = 3
command = ["gen", "{unit}", "{output}"]
outputs = ["g{unit}.root"]
"""


def test_running_of_a_workflow_is_what_runs(client: FlaskClient) -> None:
    """Not what was ordered, and not what a hook once announced and its queue has no longer."""
    text = {"text": WORKFLOW, "files": {}}
    assert client.put("/api/v1/workflows/toy", json=text).status_code == 201
    client.post("/api/v1/workflows/toy/advance")
    question = {"experiment": "nova", "holder": "agent"}
    orders = client.post("/api/v1/orders/take", json=question).get_json()["orders"]
    ids = {order["unit"]: order["order_id"] for order in orders}
    placed = [{"order_id": ids[str(unit)], "batch_id": f"{unit}.0@sched01"} for unit in range(3)]
    client.post("/api/v1/orders/report", json={"experiment": "nova", "placed": placed})
    task = orders[0]["task_id"]

    def standing() -> tuple[int, int]:
        [stage] = client.get("/api/v1/workflows/toy").get_json()["stages"]
        return stage["running"], stage["queued"]

    assert standing() == (0, 3)
    announced = {"task_id": task, "unit": "2"}
    record(client, 2, state="running", task=announced, batch={"id": "2.0@sched01"})
    assert standing() == (1, 2)
    report(
        client,
        running(0, task_id=task, unit="0"),
        queued(1, task_id=task, unit="1"),
        queued(2, "held", task_id=task, unit="2", job_id=job_id(99)),
    )
    assert standing() == (1, 2), "0 runs, and 2 was announced before its queue held it"
