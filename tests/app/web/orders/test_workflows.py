"""The pages of workflows and of retries, and the calls behind them.

What is shown, selected, ordered and waived.
"""

import json
import re
import uuid
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace
from sqlalchemy import select

from jobprov.app.web.orders.workflows import first_line, next_words
from jobprov.app.web.tasks import tasks as waive_page
from jobprov.provenance.answers.orders.workflows import StageStanding, WorkflowStanding
from jobprov.provenance.db.tables import LedgerEntry
from jobprov.provenance.services.ledger.entries import read_entries
from tests.library.answers import put_job
from tests.library.databases import on_sqlite_alone
from tests.library.markup import tight
from tests.library.productions.toy_workflow import TEXT, a_job, declare, launch
from tests.library.records import a_record, job_id


@pytest.fixture
def launched(client: FlaskClient) -> FlaskClient:
    """Return a client of a service with a workflow: unit 0 done, units 1 and 2 failed for good."""
    launch(client)
    return client


def test_page_says_how_far_a_workflow_is_and_what_waits_for_somebody(launched: FlaskClient) -> None:
    page = unescape(launched.get("/workflows/nova/toy").text)

    assert (
        "Running: 1 of 6 units done in 2 stages; 2 of gen failed for good and need a decision."
        in page
    )
    assert "stage gen has 2 failed for good: try them again or waive them" in page
    assert "/retry?experiment=nova&task_id=toy-v1-gen" in page
    assert "echo" not in page, "what it ships is named by digest"
    assert len(page.encode()) < 80_000


def test_where_nothing_is_in_work_the_page_says_that_it_waits_and_for_what() -> None:
    gen = a_stage("gen", units=4, done=3, failed=1)
    reco = a_stage("reco", units=4, done=3, to_come=1, waits_for="stage gen has one")

    assert first_line(a_workflow(gen, reco)) == (
        "Waiting: 6 of 8 units done in 2 stages; 1 of gen failed for good and needs a decision."
    )
    assert next_words(gen) == "1 failed for good and needs a decision."
    assert next_words(reco) == "1 waits for its files. Waits: stage gen has one."
    assert next_words(replace(reco, to_come=2)).startswith("2 wait for their files.")
    working = a_workflow(replace(gen, running=1), reco)
    assert first_line(working).startswith("Running: ")


def a_stage(name: str, **known: Any) -> StageStanding:
    counts = dict.fromkeys(
        ("running", "queued", "wanted", "ended", "retrying", "failed", "held_back", "to_come"), 0
    )
    values: dict[str, Any] = {
        **counts,
        "after": None,
        "waived": 0,
        "source": None,
        "follows": False,
        "waits_for": None,
        "is_closed": False,
        "failed_units": [],
        "problems": {},
    }
    return StageStanding(stage=name, task_id=f"toy-{name}", **{**values, **known})


def a_workflow(*stages: StageStanding) -> WorkflowStanding:
    return WorkflowStanding(
        name="toy",
        version=1,
        experiment="nova",
        campaign=None,
        state="running",
        who="-",
        why="declared",
        ordered=0,
        stages=list(stages),
        text="",
        files={},
    )


@pytest.mark.parametrize(
    "address",
    ["/workflows", "/workflows/nova/toy?version=1", "/retry?experiment=nova&task_id=toy-v1-gen"],
)
def test_the_same_is_there_as_json(launched: FlaskClient, address: str) -> None:
    found = re.search(
        r'<link rel="alternate" type="application/json" href="([^"]*)">', launched.get(address).text
    )
    assert found is not None

    answer = launched.get(unescape(found[1]))

    assert answer.status_code == 200, answer.text
    assert answer.is_json


@pytest.mark.slow
def test_the_file_that_is_done_goes_on_and_the_numbers_add_up(launched: FlaskClient) -> None:
    shown = launched.post("/api/v1/workflows/toy/advance").get_json()

    gen, reco = shown["stages"]
    assert (gen["units"], gen["done"], gen["failed"]) == (3, 1, 2)
    assert (reco["units"], reco["wanted"], reco["to_come"]) == (3, 1, 2)
    assert shown["ordered"] == 1
    assert launched.post("/api/v1/workflows/toy/advance").get_json()["ordered"] == 0, "once"


@pytest.mark.slow
def test_only_files_that_the_stage_declares_make_units_done_and_go_on(
    launched: FlaskClient,
) -> None:
    gen, memory = ({"name": name, "size_bytes": 1} for name in ("g1.root", "memory.txt"))
    again = [
        a_job("1", "succeeded", outputs=[gen, memory]),
        a_job("2", "succeeded", outputs=[memory]),
    ]
    for job in again:
        assert launched.put(f"/api/v1/jobs/{job['job_id']}", json=job).status_code == 201

    shown = launched.post("/api/v1/workflows/toy/advance").get_json()

    assert shown["stages"][0]["done"] == 2
    taken = launched.post("/api/v1/orders/take", json={"experiment": "nova", "holder": "agent"})
    orders = taken.get_json()["orders"]
    assert sorted(order["unit"] for order in orders if order["stage"] == "reco") == [
        "g0.root",
        "g1.root",
    ]


@pytest.mark.slow
def test_selection_shows_the_exact_resubmission(launched: FlaskClient) -> None:
    jobs = re.findall(
        r'name="job" value="([^"]+)"',
        launched.get("/retry?experiment=nova&task_id=toy-v1-gen").text,
    )
    assert len(jobs) == 2

    form = {"experiment": "nova", "task_id": "toy-v1-gen", "do": "show", "job": jobs}
    led = launched.post("/retry", data=form)
    assert led.status_code == 303
    page = unescape(launched.get(led.location).text)

    assert "2 jobs selected to retry as recorded." in page
    assert page.count("\nqueue") == 2
    for kind, words in (("jobsub", "jobsub_submit -G nova -N 2"), ("sam", "file_id 0")):
        shown = launched.get(led.location.replace("format=condor", f"format={kind}"))
        assert words in unescape(shown.text)


@pytest.mark.slow
def test_order_by_form_is_taken_by_the_agent(launched: FlaskClient) -> None:
    [one, _] = re.findall(
        r'name="job" value="([^"]+)"',
        launched.get("/retry?experiment=nova&task_id=toy-v1-gen").text,
    )
    form = {
        "experiment": "nova",
        "task_id": "toy-v1-gen",
        "do": "order",
        "job": [one],
        "who": "me",
        "why": "mended",
    }

    led = launched.post("/retry", data={**form, "memory_factor": "2"})

    assert led.status_code == 303
    assert "1 job ordered" in launched.get(led.location).text
    [order] = launched.post(
        "/api/v1/orders/take", json={"experiment": "nova", "holder": "agent"}
    ).get_json()["orders"]
    assert (order["attempt"], order["retry_of"], order["workflow"]) == (2, one, ["toy", 1])


WAIVING = {"experiment": "nova", "task_id": "toy-v1-gen", "do": "waive"}
DECIDED = {"who": "me", "why": "damaged"}


def units_offered(client: FlaskClient, form: str = "waive") -> list[str]:
    """Return the units that have a box to be waived."""
    page = client.get("/retry?experiment=nova&task_id=toy-v1-gen").text
    return re.findall(rf'name="unit" value="([^"]+)" form="{form}"', page)


@pytest.mark.slow
def test_waiving_has_boxes_of_its_own_and_asks_once(launched: FlaskClient) -> None:
    units = units_offered(launched)
    assert len(units) == 2
    form = {**WAIVING, "unit": units}

    asked = launched.post("/waive", data=form)

    page = unescape(asked.text)
    assert "Go on without 2 units?" in page
    assert all(f">{unit}</a>" in page for unit in units)
    gen = launched.get("/api/v1/workflows/toy?experiment=nova").get_json()["stages"][0]
    assert gen["waived"] == 0, "nothing is waived before it is confirmed"

    led = launched.post("/waive", data={**form, **DECIDED, "confirmed": "2"})

    assert led.status_code == 303
    assert "2 units waived" in launched.get(led.location).text
    gen, reco = launched.post("/api/v1/workflows/toy/advance").get_json()["stages"]
    assert (gen["waived"], gen["is_closed"], reco["units"], reco["to_come"]) == (2, True, 1, 0)


@pytest.mark.slow
def test_boxes_of_retries_waive_nothing(launched: FlaskClient) -> None:
    page = launched.get("/retry?experiment=nova&task_id=toy-v1-gen").text
    jobs = re.findall(r'name="job" value="([^"]+)"', page)

    nothing_ticked = launched.post("/waive", data={**WAIVING, "job": jobs, **DECIDED})
    old_button = launched.post("/retry", data={**WAIVING, "job": jobs, **DECIDED})

    assert (nothing_ticked.status_code, old_button.status_code) == (422, 422)
    assert "tick at least one unit" in nothing_ticked.text
    assert len(units_offered(launched)) == 2


@pytest.mark.slow
def test_waiver_is_taken_back_on_the_page_and_both_stay_in_the_ledger(
    launched: FlaskClient,
) -> None:
    [one, other] = units_offered(launched)
    form = {**WAIVING, "unit": [one, other], **DECIDED}
    led = launched.post("/waive", data={**form, "confirmed": "2"})
    page = launched.get(led.location).text
    waived = page.split('id="waived"')[1]
    assert waived.count(">waived<") == 2
    assert ">me<" in waived
    assert ">damaged<" in waived
    back = {**WAIVING, "do": "withdraw", "unit": [one]}

    asked = launched.post("/waive", data=back)
    confirmed = {**back, "confirmed": "1", "who": "you", "why": "the file was found"}
    led = launched.post("/waive", data=confirmed)

    assert "Wait for 1 unit again?" in asked.text
    assert "The task waits for 1 unit again." in launched.get(led.location).text
    assert units_offered(launched) == [one]
    task = launched.get("/api/v1/tasks/toy-v1-gen?experiment=nova").get_json()
    assert (task["waived"], task["waivers"][0]["units"]) == (1, [other])
    service = launched.application.extensions["jobprov"]
    with service.reading() as connection:
        query = select(LedgerEntry.id).where(LedgerEntry.kind == "waiver").order_by(LedgerEntry.id)
        entries = list(connection.execute(query).scalars())
        bodies = read_entries(connection, service.store, entries)
    waivers = [json.loads(bodies[entry])["waiver"] for entry in entries]
    assert [waiver["who"] for waiver in waivers] == ["me", "you"]
    assert waivers[1] == {
        "units": [one],
        "who": "you",
        "why": "the file was found",
        "withdrawn": True,
    }


@on_sqlite_alone
def test_refused_waiver_is_asked_again_with_what_was_entered(
    client: FlaskClient, new_token: Any
) -> None:
    header = new_token()
    token = header["Authorization"].split()[1]
    task = {"experiment": "nova", "units": ["u1", "u2"]}
    client.put("/api/v1/tasks/toy-v1-gen", json=task, headers=header)
    form = {**WAIVING, "unit": task["units"], "who": "me & you", "confirmed": "2"}

    blank = client.post("/waive", data={**form, "why": " ", "token": token})
    without = client.post("/waive", data={**form, "why": "damaged", "token": f"{token}x"})

    for refused, status in (blank, 422), (without, 401):
        page = tight(refused.text)
        assert refused.status_code == status
        assert "Go on without 2 units?" in page
        assert "Nothing was changed: " in page
        assert 'value="me &amp; you"' in page
        assert f"{token}x" not in page
    assert 'value="damaged"' in without.text
    assert len(units_offered(client)) == 2


@on_sqlite_alone
def test_fault_of_ours_at_a_form_does_not_say_that_nothing_changed(
    launched: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    form = {**WAIVING, "unit": units_offered(launched), **DECIDED, "confirmed": "2"}
    monkeypatch.setattr(waive_page, "waive_units", fail)

    failed = launched.post("/waive", data=form)

    assert failed.status_code >= 500
    assert "Look whether the change was made before you send the form again." in failed.text
    assert "Nothing was lost" not in failed.text


def test_all_units_are_waived_at_once_unless_they_changed_since(launched: FlaskClient) -> None:
    form = {**WAIVING, "every": "yes", **DECIDED}

    changed = launched.post("/waive", data={**form, "confirmed": "3"})
    led = launched.post("/waive", data={**form, "confirmed": "2"})

    assert "The number of units changed since you looked" in changed.text
    assert "2 units waived" in launched.get(led.location).text


@pytest.mark.slow
def test_all_jobs_are_ordered_but_those_of_waived_units(launched: FlaskClient) -> None:
    [one, _] = units_offered(launched)
    launched.post("/waive", data={**WAIVING, "unit": [one], **DECIDED, "confirmed": "1"})
    form = {**WAIVING, "do": "order", "every": "yes", **DECIDED}

    led = launched.post("/retry", data=form)

    assert "1 job ordered" in launched.get(led.location).text


def test_units_of_each_state_stand_on_the_page_with_its_word(client: FlaskClient) -> None:
    units = [f"u{number}" for number in range(6)]
    client.put("/api/v1/tasks/t", json={"experiment": "nova", "stage": "reco", "units": units})
    failed = {"state": "failed", "exit": {"code": 1}}
    for number, fields in enumerate(
        ({"outputs": []}, failed, failed, {"outputs": [{"name": "a"}]})
    ):
        task = {"task_id": "t", "stage": "reco", "unit": f"u{number}"}
        record = a_record(number + 1, task=task, **fields)
        put_job(client, record)
    waiver = {"units": ["u2"], "who": "me", "why": "damaged"}
    client.post("/api/v1/tasks/t/waivers?experiment=nova", json=waiver)

    page = unescape(client.get("/retry?experiment=nova&task_id=t").text)

    rows = {}
    for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL):
        words = re.sub(r"<[^>]+>", " ", row)
        unit = re.search(r"\bu\d\b", words)
        if unit:
            rows[unit[0]] = words
    assert "succeeded without output" in rows["u0"]
    assert "failed" in rows["u1"]
    assert "waived" in rows["u2"]
    assert "u3" not in rows
    assert "not submitted" in rows["u4"]
    assert "not submitted" in rows["u5"]


@pytest.mark.slow
def test_waiving_says_what_is_missing(launched: FlaskClient) -> None:
    [one, _] = units_offered(launched)
    form = {**WAIVING, "unit": [one], **DECIDED, "confirmed": "1"}

    answers = [launched.post("/waive", data={**form, name: ""}) for name in ("who", "why")]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert "who: fill it in" in answers[0].text
    assert len(units_offered(launched)) == 2


@on_sqlite_alone
def test_job_that_is_not_retried_is_offered_no_resubmission(client: FlaskClient) -> None:
    """The unit of a failed job, and of another one, is done by a later attempt."""
    task = {"task_id": "t", "unit": "u"}
    for number, state in ((1, "failed"), (2, "failed"), (3, "succeeded")):
        end = {"code": int(state == "failed")}
        put_job(client, a_record(number, task=task, state=state, exit=end))
    one, other = job_id(1), job_id(2)
    page = tight(client.get(f"/retry?experiment=nova&job={one}").text)
    both = tight(client.get(f"/retry?experiment=nova&job={one}&job={other}").text)

    assert "The selected job is not retried: see why below." in page
    assert "is not retried: " in page.partition("Not retried</h2>")[2]
    assert "None of the 2 selected jobs is retried: see why below." in both
    for text in (page, both):
        assert "condor_submit" not in text


@on_sqlite_alone
@pytest.mark.parametrize("job", ["zzz", "' OR 1=1", "0b7f0f6e-0000-4000-8000-00000000000Z"])
def test_what_is_not_the_id_of_a_job_is_refused(launched: FlaskClient, job: str) -> None:
    form = {
        "experiment": "nova",
        "task_id": "toy-v1-gen",
        "do": "order",
        "job": job,
        "who": "me",
        "why": "x",
    }

    for answer in (
        launched.get("/retry", query_string={"experiment": "nova", "job": job}),
        launched.post("/retry", data=form),
    ):
        assert answer.status_code == 422
        assert "is not the id of a job" in answer.text


@on_sqlite_alone
@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"who": ""}, 422, "who"),
        ({"job": []}, 422, "select at least one"),
        ({"memory_factor": "much"}, 422, "1 to 10"),
        ({"memory_factor": "1000"}, 422, "1 to 10"),
        ({"memory_factor": "nan"}, 422, "1 to 10"),
        ({"do": "show", "job": []}, 422, "select at least one"),
    ],
)
def test_a_form_that_lacks_something_says_what(
    launched: FlaskClient, change: Any, status: int, words: str
) -> None:
    jobs = re.findall(
        r'name="job" value="([^"]+)"',
        launched.get("/retry?experiment=nova&task_id=toy-v1-gen").text,
    )
    form = {
        "experiment": "nova",
        "task_id": "toy-v1-gen",
        "do": "order",
        "job": jobs,
        "who": "me",
        "why": "x",
        **change,
    }

    answer = launched.post("/retry", data=form)

    assert answer.status_code == status
    assert words in unescape(answer.text)


def test_refused_form_is_shown_again_with_what_was_entered(launched: FlaskClient) -> None:
    address = "/retry?experiment=nova&task_id=toy-v1-gen"
    first, other = re.findall(r'name="job" value="([^"]+)"', launched.get(address).text)
    sent_to = re.search(r'action="(/retry[^"]*)" id="selection"', launched.get(address).text)
    assert sent_to is not None
    form = {
        "experiment": "nova",
        "task_id": "toy-v1-gen",
        "do": "order",
        "job": [first],
        "who": "me & you",
        "why": "a long reason",
        "memory_factor": "1,5",
        "other_site": "yes",
    }

    page = tight(launched.post(unescape(sent_to[1]), data=form).text)

    assert "Nothing was done: memory_factor: a number from 1 to 10, as 1.5." in page
    for kept in (
        'value="me &amp; you"',
        'value="a long reason"',
        'value="1,5"',
        'value="yes" checked',
    ):
        assert kept in page
    boxes = dict(re.findall(r'name="job" value="([^"]+)"[^>]*?( checked)?>', page))
    assert boxes == {first: " checked", other: ""}


def test_units_that_differ_in_the_middle_of_a_long_name_are_told_apart(
    client: FlaskClient,
) -> None:
    """Cut at 50 characters they looked alike, and the wrong one could be waived."""
    units = [
        f"np04hd_raw_run027305_{n:04}_dataflow0_datawriter_0_20240624T1234.hdf5" for n in (1, 2)
    ]
    client.put("/api/v1/tasks/t", json={"experiment": "nova", "units": units})
    put_job(client, a_record(1, state="failed", task={"task_id": "t", "unit": units[0]}))
    decided = {"experiment": "nova", "task_id": "t", "unit": units[1], "confirmed": "1", **DECIDED}
    client.post("/waive", data=decided)

    page = client.get("/retry?experiment=nova&task_id=t").text

    shown = re.findall(r'<td class="name unit">(.*?)</td>', page)
    assert shown == units


@pytest.mark.slow
def test_all_of_a_task_are_shown_as_a_resubmission(launched: FlaskClient) -> None:
    form = {"experiment": "nova", "task_id": "toy-v1-gen", "do": "show", "every": "yes"}

    led = launched.post("/retry", data=form)

    assert "2 jobs selected to retry as recorded." in launched.get(led.location).text


@pytest.mark.slow
def test_second_press_of_the_button_orders_nothing_and_says_so(launched: FlaskClient) -> None:
    page = launched.get("/retry?experiment=nova&task_id=toy-v1-gen").text
    [one, _] = re.findall(r'name="job" value="([^"]+)"', page)
    form = {"experiment": "nova", "task_id": "toy-v1-gen", "do": "order", "job": one, **DECIDED}

    first, second = (launched.post("/retry", data=form).location for _ in range(2))

    assert "1 job ordered" in launched.get(first).text
    page = launched.get(second).text
    assert "No job was ordered: the list says of each why not." in tight(page)
    assert "its unit is ordered already" in page


def test_forms_need_a_token_where_there_is_one_and_none_of_another_site(
    client: FlaskClient, new_token: Any
) -> None:
    token = new_token()["Authorization"].split()[1]
    job = str(uuid.uuid4())
    form = {
        "experiment": "nova",
        "task_id": "toy-v1-gen",
        "do": "order",
        "job": [job],
        "who": "me",
        "why": "mended",
    }
    elsewhere = {"Origin": "https://evil.example.org"}

    assert (
        client.post("/retry", data={**form, "token": token}, headers=elsewhere).status_code == 403
    )
    assert client.post("/retry", data=form).status_code == 401
    assert client.post("/retry", data={**form, "token": token}).status_code == 404, (
        "allowed, and there is no such job"
    )
    led = client.post("/retry", data={**form, "token": token, "do": "show"})
    assert token not in led.location


def test_form_that_is_refused_says_why_and_how_to_go_on(
    client: FlaskClient, new_token: Any
) -> None:
    new_token()
    form = {
        "experiment": "nova",
        "task_id": "toy-v1-gen",
        "do": "order",
        "who": "me",
        "why": "mended",
    }

    without, wrong = (
        client.post("/retry", data={**form, **more}).text
        for more in ({}, {"token": "prov_1_wrong"})
    )

    assert "The token is unknown" not in without
    assert "The token is unknown, expired or revoked" in wrong
    assert all(
        "Go back in the browser: the form still holds what you entered" in page
        for page in (without, wrong)
    )


@pytest.mark.slow
def test_a_workflow_stops_where_too_much_fails_and_goes_on_when_told(client: FlaskClient) -> None:
    assert declare(client, TEXT.replace('campaign = "spring"', "stop_after = 1")).status_code == 201
    client.post("/api/v1/workflows/toy/advance")
    [order, *_] = client.post(
        "/api/v1/orders/take", json={"experiment": "nova", "holder": "a"}
    ).get_json()["orders"]
    job = a_job(order["unit"], "failed", code=77)
    client.put(f"/api/v1/jobs/{job['job_id']}", json=job)
    ids = {"order_id": order["order_id"]}
    report = {
        "experiment": "nova",
        "placed": [{**ids, "batch_id": "1.0@s"}],
        "ended": [{**ids, "exit_code": 77}],
    }
    client.post("/api/v1/orders/report", json=report)

    stopped = client.post("/api/v1/workflows/toy/advance").get_json()
    assert stopped["state"] == "stopped"
    assert "1 of 1 units of stage gen failed for good" in stopped["why"]
    assert (
        client.post("/api/v1/orders/take", json={"experiment": "nova", "holder": "a"}).get_json()[
            "orders"
        ]
        == []
    )
    assert "Stopped (1 of 1 units" in unescape(client.get("/workflows/nova/toy").text)

    said = {"state": "running", "who": "me", "why": "mended"}
    assert client.post("/api/v1/workflows/toy/state", json=said).get_json()["state"] == "running"
    assert client.post("/api/v1/workflows/toy/advance").get_json()["state"] == "running", (
        "what failed counts no more"
    )
    assert (
        len(
            client.post(
                "/api/v1/orders/take", json={"experiment": "nova", "holder": "a"}
            ).get_json()["orders"]
        )
        == 2
    )


def test_what_it_ships_must_have_been_sent(client: FlaskClient) -> None:
    answer = client.put("/api/v1/workflows/toy", json={"text": TEXT, "files": {"gen.sh": "0" * 64}})
    assert answer.status_code == 422
    assert "gen.sh was not sent yet" in answer.get_json()["detail"]

    answer = client.put("/api/v1/workflows/toy", json={"text": TEXT, "files": {}})
    assert "gen.sh, of which no digest came" in answer.get_json()["detail"]


def test_the_same_declaration_again_is_the_same_version(client: FlaskClient) -> None:
    assert declare(client).get_json()["version"] == 1
    assert declare(client).get_json() == {
        "name": "toy",
        "version": 1,
        "experiment": "nova",
        "is_new": False,
    }
    assert declare(client, TEXT + "\n# changed\n").get_json()["version"] == 2


def test_a_token_of_another_experiment_may_not_declare_take_or_order(
    client: FlaskClient, new_token: Any
) -> None:
    mine, other = new_token("nova"), new_token("dune")
    assert declare(client, **mine).status_code == 201

    assert declare(client, **other).status_code == 403
    for path, body in (
        ("/workflows/toy/advance?experiment=nova", None),
        ("/workflows/toy/state?experiment=nova", {"state": "stopped", "who": "x", "why": "y"}),
        ("/orders/take", {"experiment": "nova", "holder": "x"}),
        ("/orders/report", {"experiment": "nova"}),
        ("/retries", {"experiment": "nova", "task_id": "t"}),
    ):
        assert client.post(f"/api/v1{path}", json=body, headers=other).status_code == 403, path
    assert (
        client.put("/api/v1/retry-policies/nova", json={"stages": {}}, headers=other).status_code
        == 403
    )
    assert (
        client.put("/api/v1/retry-policies/nova", json={"stages": {}}, headers=mine).status_code
        == 200
    )


ODD_UNIT = '50% of it\'s "a, b".root'


def test_unit_of_an_odd_name_is_resubmitted_by_condor_and_jobsub(client: FlaskClient) -> None:
    task = {"task_id": "t", "campaign": "c", "stage": "s", "unit": ODD_UNIT}
    put_job(client, a_record(1, state="failed", task=task))
    address = f"/retry?experiment=nova&task_id=t&job={job_id(1)}&format="

    condor, jobsub = client.get(f"{address}condor"), client.get(f"{address}jobsub")

    assert (condor.status_code, jobsub.status_code) == (200, 200)
    in_submit_file = ODD_UNIT.replace("'", "''").replace('"', '""')
    assert f"JOBPROV_UNIT='{in_submit_file}'" in unescape(condor.text)
    assert f"t\ts\tc\t{ODD_UNIT}\t" in unescape(jobsub.text)


@pytest.mark.parametrize(
    ("form", "unit", "reason"),
    [
        ("condor", "$(name).root", "HTCondor reads $(…) in it as a macro"),
        ("sam", "it's.root", "cannot be said in a SAM dimension"),
    ],
)
def test_form_that_cannot_hold_a_name_says_why_beside_the_other_forms(
    client: FlaskClient, form: str, unit: str, reason: str
) -> None:
    task = {"task_id": "t", "campaign": "c", "stage": "s", "unit": unit}
    put_job(client, a_record(1, state="failed", task=task, inputs=[{"name": unit}]))

    shown = client.get(f"/retry?experiment=nova&task_id=t&job={job_id(1)}&format={form}")

    page = unescape(shown.text)
    assert (shown.status_code, reason in page) == (422, True)
    assert "format=plain" not in page, "this page has no such form"
    assert f"&job={job_id(1)}#chosen" in page
    assert "format=jobsub" in page


@pytest.mark.parametrize("action", ["waive", "withdraw"])
def test_waiver_with_nothing_ticked_shows_the_units_again(
    launched: FlaskClient, action: str
) -> None:
    form = {"experiment": "nova", "task_id": "toy-v1-gen", "do": action}

    shown = launched.post("/waive", data=form)

    assert shown.status_code == 422
    assert "Nothing was done: tick at least one unit." in tight(shown.text)
    assert 'aria-label="Go on without 1"' in shown.text


def test_command_in_the_reason_of_a_stop_is_set_as_code_and_all_failed_units_are_led_to(
    client: FlaskClient,
) -> None:
    declare(client, TEXT.replace("count = 3", "count = 30"))
    client.post("/api/v1/workflows/toy/advance")
    taken = client.post("/api/v1/orders/take", json={"experiment": "nova", "holder": "agent"})
    ended = []
    for order in taken.get_json()["orders"]:
        put_job(client, a_job(order["unit"], "failed", code=77))
        ended.append({"order_id": order["order_id"], "exit_code": 77})
    report = {"experiment": "nova", "placed": [], "ended": ended}
    assert client.post("/api/v1/orders/report", json=report).status_code == 200
    client.post("/api/v1/workflows/toy/advance")

    page, listed = client.get("/workflows/nova/toy").text, client.get("/workflows").text
    home = client.get("/").text

    for text in (page, listed, home):
        assert "<code>jobprov launch --resume</code>" in text
        assert "`" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert re.search(r'20 of \d+ shown. <a href="/retry\?[^"]*">All of them</a>', tight(page))
