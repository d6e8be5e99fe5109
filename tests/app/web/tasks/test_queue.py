"""Pages of what runs and waits."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobprov.app.web.tasks.queue import first_line
from jobprov.provenance.answers.tasks.queue import Queue, QueueCounts
from tests.library.answers import lead
from tests.library.markup import tight
from tests.library.records import a_record, job_id

TASK = {"campaign": "c", "stage": "reco"}
REASON = "memory usage exceeded <request_memory>"


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def queued(number: int, state: str, **fields: Any) -> dict[str, Any]:
    return {
        "batch_id": f"{number}.0@sched01",
        "job_id": job_id(number),
        "task_id": "t1",
        "unit": f"u{number}",
        "state": state,
        **fields,
    }


@pytest.fixture
def producing(client: FlaskClient) -> FlaskClient:
    """Return a client of a service with a task of which jobs run, wait and are held."""
    declared = {"experiment": "nova", **TASK, "units": 400}
    assert client.put("/api/v1/tasks/t1", json=declared).status_code == 201
    record = a_record(1, state="running", task={"task_id": "t1", **TASK, "unit": "u1"})
    del record["ended_at"]
    assert client.put(f"/api/v1/jobs/{job_id(1)}", json=record).status_code == 201
    report(client)
    return client


def report(client: FlaskClient, **more: Any) -> None:
    place = {"host": "wn7", "site": "BNL", "started_at": ago(minutes=90)}
    memory = {"memory_bytes": 2_100_000_000, "requested_memory_bytes": 2_000_000_000}
    jobs = [
        queued(1, "running", **place, **memory),
        queued(2, "held", hold_reason=REASON, since=ago(hours=2)),
        *[queued(number, "idle", since=ago(hours=3)) for number in range(10, 260)],
    ]
    body = {"experiment": "nova", "jobs": jobs, **more}
    assert client.put("/api/v1/queue/sched01", json=body).status_code == 200


def section(page: str) -> str:
    """Return the words of the section on the page, without marks."""
    found = page.split('id="queue"')[1].split("</section>", maxsplit=1)[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found)).split())


def test_task_shows_fifty_jobs_with_held_ones_first(producing: FlaskClient) -> None:
    page = producing.get("/tasks/t1").text
    words = section(page)

    assert "1 job running, 250 idle, 1 held." in words
    assert words.index("u2") < words.index("u1 ") < words.index("u10")
    assert REASON in words
    assert re.search(r"2\.1.GB of 2(\.0)?.GB", words)
    assert "BNL, wn7" in words
    assert "The first 50 are shown; all of them" in words
    assert f'href="/jobs/{job_id(1)}"' in page


@pytest.mark.slow
def test_reasons_for_which_jobs_are_held_come_most_frequent_first(client: FlaskClient) -> None:
    """Sentences that name slots, sizes and files of their own are one reason."""
    declared = {"experiment": "nova", **TASK, "units": 400}
    assert client.put("/api/v1/tasks/t1", json=declared).status_code == 201
    memory = (
        "Error from slot1_{0}@wn{0}.fnal.gov: Job has gone over memory limit of {0}000 megabytes."
    )
    jobs = [
        queued(1, "held", hold_reason="no map <yet>"),
        *[queued(number, "held", hold_reason=memory.format(number)) for number in (2, 3, 4)],
        queued(5, "held"),
        queued(6, "held", hold_reason="no map <yet>"),
        queued(7, "idle"),
    ]
    body = {"experiment": "nova", "jobs": jobs}
    assert client.put("/api/v1/queue/sched01", json=body).status_code == 200

    answer = client.get("/api/v1/queue?limit=0").get_json()

    pattern = "Job has gone over memory limit of N megabytes."
    assert answer["held_reasons"] == [
        {"words": pattern, "jobs": 3},
        {"words": "no map <yet>", "jobs": 2},
        {"words": "", "jobs": 1},
    ]
    for address in ("/queue", "/tasks/t1"):
        page = tight(client.get(address).text)
        reasons = page.split("Held, by reason:")[1].split("</ul>")[0]
        told = [unescape(re.sub(r"<[^>]+>", "", item)) for item in reasons.split("<li>")[1:]]
        assert [line.strip() for line in told] == [
            f"3 jobs {pattern}",
            "2 jobs no map <yet>",
            "1 job no reason given",
        ]
    [need] = [
        need
        for need in client.get("/api/v1/attention").get_json()["needs"]
        if need["kind"] == "held"
    ]
    assert need["words"].startswith("6 jobs are held by the batch system: Job has gone over")
    assert need["words"].endswith("(3); no map <yet> (2)")


def test_queue_without_held_jobs_names_no_reasons(client: FlaskClient) -> None:
    body = {
        "experiment": "nova",
        "jobs": [queued(1, "removed", hold_reason="by me"), queued(2, "idle")],
    }
    assert client.put("/api/v1/queue/sched01", json=body).status_code == 200

    assert client.get("/api/v1/queue").get_json()["held_reasons"] == []
    assert "Held, by reason" not in client.get("/queue").text


def test_jobs_that_are_slow_or_stuck_are_among_those_that_run() -> None:
    counts = QueueCounts(running=110, idle=56, held=14, slow=16, stuck=1)

    queue = Queue(
        task_id=None,
        campaign=None,
        experiment=None,
        counts=counts,
        sources=[],
        warning=None,
        jobs=[],
        next=None,
    )

    assert first_line(queue) == "110 jobs running (16 slow, 1 stuck), 56 idle, 14 held."


@pytest.mark.slow
def test_page_of_all_goes_on_to_the_last_job(producing: FlaskClient) -> None:
    address, units = "/queue?experiment=nova&task_id=t1", []
    while address:
        page = producing.get(address).text
        units += re.findall(r'class="name"[^>]*>(u\d+)<', page)
        found = re.search(r'<a href="([^"]*)">Next</a>', page)
        address = unescape(found[1]) if found else ""

    assert len(units) == len(set(units)) == 252
    assert lead(producing, "/queue") == "1 job running, 250 idle, 1 held."


@pytest.mark.parametrize("address", ["/queue?experiment=nova&campaign=c", "/queue?task_id=t1"])
def test_page_names_the_same_rows_as_json(producing: FlaskClient, address: str) -> None:
    page = producing.get(address).text
    found = re.search(r'<link rel="alternate" type="application/json" href="([^"]*)">', page)
    assert found is not None

    twin = producing.get(unescape(found[1])).get_json()

    assert twin["counts"]["idle"] == 250
    assert all(job["unit"] in page for job in twin["jobs"])


def test_campaign_shows_counts_and_the_way_to_the_jobs(producing: FlaskClient) -> None:
    page = producing.get("/campaigns/nova/c").text

    assert "1 job running, 250 idle, 1 held. Which jobs" in section(page)
    assert 'href="/queue?experiment=nova&amp;campaign=c"' in page


@pytest.mark.slow
def test_old_report_is_told(producing: FlaskClient) -> None:
    report(producing, age_seconds=3600)

    words = section(producing.get("/tasks/t1").text)

    assert "Warning: Not reported for more than 15 minutes: sched01." in words


def test_task_without_any_report_says_what_to_run(client: FlaskClient) -> None:
    declared = {"experiment": "nova", **TASK, "units": 4}
    client.put("/api/v1/tasks/t1", json=declared)

    words = section(client.get("/tasks/t1").text)

    assert "Nothing is known to run or wait." in words
    assert "run jobprov witness" in words.replace("`", "")


@pytest.mark.slow
def test_long_names_leave_no_job_out(producing: FlaskClient) -> None:
    """The page has a limit, and its cursor goes on behind the last row that it shows."""
    jobs = [queued(number, "idle", unit=f"{number}-" + "<&>" * 300) for number in range(10, 260)]
    body = {"experiment": "nova", "jobs": jobs}
    assert producing.put("/api/v1/queue/sched01", json=body).status_code == 200
    address, count = "/queue?task_id=t1", 0
    while address:
        page = producing.get(address).text
        assert len(page.encode()) <= 80_000
        count += page.count('class="number">') and page.count("@sched01</td>")
        found = re.search(r'<a href="([^"]*)">Next</a>', page)
        address = unescape(found[1]) if found else ""

    assert count == 250


@pytest.mark.parametrize("address", ["/queue?cursor=x", "/queue?task_id=t1&campaign=c"])
def test_wrong_question_is_refused(producing: FlaskClient, address: str) -> None:
    assert producing.get(address).status_code == 422


def test_unknown_task_is_not_found(client: FlaskClient) -> None:
    assert client.get("/queue?task_id=none").status_code == 404
