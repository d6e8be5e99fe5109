"""The pages of triage: rules are shown and changed by a form, failures say what they were.

A task stands beside its catalog.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient

from jobprov.app.web.frame.page import PAGE_BYTES
from jobprov.app.wiring import Service
from jobprov.provenance.catalogs.opening import CatalogSettings
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.catalogs.sync import sync_experiment
from jobprov.provenance.services.failures.rules import declare_rules
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.intake.tokens import TokenBook, create_token
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.tasks.declarations import declare_task
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.records import a_record
from tests.library.servers.catalogs import SamServer, Shelf, ShelfProcess, ShelfProject
from tests.library.servers.served_app import AppOn, opened_service

UNITS = [f"a{number}.root" for number in range(5)]
RULE = """
[[rules]]
name = "twelve"
class = "data"
words = "The <b>file</b> is bad"
advice = "Leave it out"
pattern = "cannot*map"
"""
LOG = b"begun\n" * 20_000 + b"E: cannot find the map\n" + b"ended\n" * 9_000


def record(service: Service, number: int, **fields: Any) -> str:
    """Record a job; return the address of its page."""
    document = a_record(number, **fields)
    service.record(
        Submission(decode_record(json.dumps(document).encode()), datetime.now(UTC), "tests")
    )
    return f"/jobs/{document['job_id']}"


@pytest.fixture(scope="module")
def service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service with task t1 of five units, compared with a SAM.

    One failed, one silent, three done, of which two differ.
    """
    folder = tmp_path_factory.mktemp("triage")
    with opened_service(sqlite_template, folder) as made:
        declared = {
            "experiment": "nova",
            "campaign": "c",
            "stage": "reco",
            "units": UNITS,
            "project": "p1",
        }
        now = datetime.now(UTC)
        made.write(lambda writing: declare_task(writing, "t1", declared), received_at=now)
        task = {"task_id": "t1", "campaign": "c", "stage": "reco"}
        for number in range(2):
            outputs = [{"name": f"b{number}.root", "size_bytes": 7}]
            record(made, number, task={**task, "unit": UNITS[number]}, outputs=outputs)
        shelf = Shelf()
        for unit in UNITS:
            shelf.add(unit)
        for number, size in ((0, 7), (1, 8), (2, 9)):
            shelf.add(
                f"b{number}.root",
                parents=[UNITS[number]],
                size_bytes=size,
                metadata={"prov.task_id": "t1"},
            )
        shelf.snapshots[1] = UNITS
        shelf.projects["p1"] = ShelfProject(
            1,
            [ShelfProcess(8, "81.1@sched", "wn2<i>", "bad", {UNITS[3]: "delivered"})],
        )
        server = SamServer(shelf)
        named = {"nova": CatalogSettings(kind="sam", url=server.url)}
        sync_experiment(made.database, made.writer, made.store, named, "nova", seconds=60)
        server.close()
        yield made


@pytest.fixture
def pages(app_on: AppOn, service: Service) -> FlaskClient:
    return app_on(service).test_client()


def record_failure(service: Service, number: int, experiment: str = "nova") -> str:
    """Record a job that failed as its log tells, and have it read.

    Return the address of its page.
    """
    sha256 = service.store.put(LOG).sha256
    service.write(lambda writing: settle_blob(writing, experiment, sha256))
    end = {"code": 12, "failed_step": "tool"}
    logs = [{"name": "out", "sha256": sha256}]
    address = record(service, number, experiment=experiment, state="failed", exit=end, logs=logs)
    work(service)
    return address


def work(service: Service) -> None:
    drain(
        Parts(service.database, service.writer, service.store, service.settings.git_mirrors),
        HANDLERS,
    )


@pytest.mark.slow
def test_task_stands_beside_its_catalog(pages: FlaskClient) -> None:
    page = pages.get("/catalog?task_id=t1&experiment=nova")

    assert page.status_code == 200
    assert "outputs of 3 of 5 units; 2 differences" in page.text
    for words in (
        "Size differs",
        "b1.root",
        " bytes",  # rounded they might look the same
        "No job",
        '<span class="name file">b2.root</span>',  # no record mentions it: it has no page
        "81.1@sched",
        "wn2&lt;i&gt;",
        "Still to be processed",
    ):
        assert words in page.text
    assert pages.get("/catalog").status_code == 422
    assert "3 of 5 units done" in pages.get("/tasks/t1").text


@pytest.mark.slow
def test_rules_are_changed_by_a_form_and_tell_what_failures_are(
    pages: FlaskClient, service: Service
) -> None:
    form = {"experiment": "nova", "rules": RULE, "who": "Ada", "why": "seen", "after": "0"}
    assert "built-in ones" in pages.get("/rules?experiment=nova").text
    assert "[[rules]]" in pages.get("/rules?experiment=nova&edit=1").text

    for field in ("who", "why"):
        blank = pages.post("/rules", data={**form, field: " "})
        assert blank.status_code == 422
        assert f"Nothing was changed: {field}: fill it in." in blank.text
    bad = pages.post("/rules", data={**form, "rules": RULE.replace('class = "data"', "")})
    done = pages.post("/rules", data=form)
    late = pages.post("/rules", data={**form, "rules": RULE.replace("bad", "good")})

    assert (bad.status_code, "Nothing was changed" in bad.text, "Leave it out" in bad.text) == (
        422,
        True,
        True,
    )
    assert (done.status_code, done.location) == (303, "/rules?experiment=nova")
    assert (late.status_code, "version 1 by now" in late.text) == (409, True)
    assert "The &lt;b&gt;file&lt;/b&gt; is bad" in pages.get("/rules?experiment=nova").text
    assert "&lt;b&gt;file" in pages.get("/rules?experiment=nova&edit=1").text

    address = record_failure(service, 9)

    errors, job = pages.get("/errors?experiment=nova").text, pages.get(address).text
    log = pages.get(f"{address}/logs/out?line={LOG.index(b'E: cannot')}").text
    assert "The &lt;b&gt;file&lt;/b&gt; is bad" in errors
    assert f"{address}/logs/out?line={LOG.index(b'E: cannot')}#why" in errors
    assert "See it in the log" in job
    assert '<mark id="why">E: cannot find the map</mark>' in log
    assert "data" in pages.get("/errors?by=class").text
    assert "9 jobs" not in pages.get("/jobs?failure_class=data").text
    assert pages.get("/jobs?failure_class=data").text.count('href="/jobs/0f8b') == 1


@pytest.mark.slow
def test_task_says_what_its_failures_were_and_whether_trying_again_may_help(
    pages: FlaskClient, service: Service
) -> None:
    task = {"task_id": "night", "campaign": "c", "stage": "reco"}
    full = {"code": 1, "failed_step": "art", "message": "No space left on device"}
    crashed = {"signal": 11, "failed_step": "art"}
    for number, end in ((50, full), (51, full), (52, crashed)):
        record(service, number, task={**task, "unit": f"u{number}"}, state="failed", exit=end)
    record(service, 53, task={**task, "unit": "u53"}, state="lost", ended_at=None, exit=None)

    section = (
        pages.get("/tasks/night?experiment=nova")
        .text.split('id="causes"')[1]
        .split("</section>")[0]
    )

    assert "The disk was full; trying again may help" in section
    assert "The program crashed; trying again does not help" in section
    assert "lost</td>" in section, "a job that nobody saw end has no step and no code"
    assert (
        "The program crashed; trying again does not help"
        in pages.get(f"/jobs/{a_record(52)['job_id']}").text
    )
    assert (
        'href="/jobs?experiment=nova&amp;task_id=night&amp;state=failed&amp;failed_step=art'
        "&amp;exit_code=1" in section
    )
    assert (
        "/retry?experiment=nova&amp;task_id=night"
        in pages.get("/errors?experiment=nova&task_id=night").text
    )


@pytest.mark.slow
def test_jobs_that_would_run_out_of_memory_again_are_told_before_they_are_ordered(
    pages: FlaskClient, service: Service
) -> None:
    task = {"task_id": "short", "campaign": "c", "stage": "reco"}
    held = {"signal": 9, "message": "Job was held: memory usage exceeded request_memory"}
    asked = {"requested_memory_bytes": 2_000_000_000}
    for number in (60, 61):
        record(
            service,
            number,
            task={**task, "unit": f"u{number}"},
            state="killed",
            exit=held,
            resources=asked,
        )
    address = "experiment=nova&task_id=short"

    by_hand = pages.get(f"/api/v1/retries?{address}").get_json()["tries"]
    with_more = pages.get(f"/api/v1/retries?{address}&memory_factor=1.5").get_json()["tries"]

    assert (
        "2 jobs took more memory than allowed and would get no more now"
        in pages.get(f"/retry?{address}").text
    )
    said = [
        (each["memory_bytes"], each["memory_factor"], each["runs_out_again"])
        for each in by_hand + with_more
    ]
    assert said == [(2_000_000_000, 1.0, True)] * 2 + [(3_000_000_000, 1.5, False)] * 2


@pytest.mark.slow
def test_long_list_of_failures_has_fewer_rows_before_it_cuts_their_words(
    pages: FlaskClient, service: Service
) -> None:
    task = {"task_id": "very-many", "campaign": "prod6", "stage": "reco"}
    name = "nova_raw_r00011057_s00_numi_R26-11-01_v1_data"
    for number in range(100, 205):
        message = (
            "[FATAL] Connection error: Operation expired (source "
            f"root://door.example.org//pnfs/{name}_{number}.root)"
        )
        batch = {"id": f"77120.{number}@jobsub03.example.org"}
        host = {"hostname": f"node{number}.example.org", "site": "FermiGrid"}
        end = {"code": 54, "failed_step": "fetch", "message": message}
        record(
            service,
            number,
            task={**task, "unit": f"u{number}"},
            state="failed",
            exit=end,
            batch=batch,
            host=host,
        )

    address = "/jobs?experiment=nova&task_id=very-many"
    page, seen = pages.get(address).text, []
    while page:
        assert len(page.encode()) <= PAGE_BYTES
        assert "[FATAL] Connection error: Operation expired (source ro" in page, (
            "what failed can be read"
        )
        seen += re.findall(r">(77120\.\d+)<", page)
        older = re.search(r'href="([^"]+)">Older', page)
        page = pages.get(unescape(older[1])).text if older else ""

    assert len(seen) == len(set(seen)) == 105, "each job is on one page"
    csv = re.search(r'href="([^"]+)">These rows as CSV', pages.get(address).text)
    assert csv is not None
    assert pages.get(unescape(csv[1])).text.count("\n") - 1 == 50


@pytest.mark.slow
def test_log_is_searched_and_led_to_its_line(pages: FlaskClient, service: Service) -> None:
    rules = {"experiment": "minerva", "rules": RULE, "who": "Ada", "why": "seen", "after": "0"}
    assert pages.post("/rules", data=rules).status_code == 303
    address = f"{record_failure(service, 40, 'minerva')}/logs/out"

    whole, found, none = (
        pages.get(address).text,
        pages.get(f"{address}?q=FIND+the").text,
        pages.get(f"{address}?q=xyz").text,
    )

    assert "The line that explains why" in whole
    assert '<mark id="why">E: cannot find the map</mark>' in found
    assert "Next" in found
    assert "xyz is not in the log" in none


@pytest.mark.slow
def test_running_job_is_followed(pages: FlaskClient, service: Service) -> None:
    sha256 = service.store.put(b"so far\n").sha256
    service.write(lambda writing: settle_blob(writing, "nova", sha256))
    address = record(service, 20, state="running", logs=[{"name": "out", "sha256": sha256}])

    assert "Refresh" not in pages.get(f"{address}/logs/out").headers
    assert pages.get(f"{address}/logs/out?follow=1").headers["Refresh"] == "10"


@pytest.mark.slow
def test_old_failures_are_read_again_from_the_page(pages: FlaskClient, service: Service) -> None:
    address = record(service, 30, state="failed", exit={"code": 12}, received_at=None)
    work(service)

    done = pages.post("/rules/reclassify", data={"experiment": "nova"})

    assert done.status_code == 303
    assert "will be read again by the newest rules" in pages.get(done.location).text
    assert pages.get("/rules?experiment=nova&queued=no+number").status_code == 422
    assert pages.get(address).status_code == 200


def test_form_that_somebody_overtook_can_be_sent_after_a_look_at_their_rules(
    pages: FlaskClient,
) -> None:
    """It said to look, led nowhere, and was refused for ever."""
    form = {"experiment": "nova", "rules": RULE, "who": "Ada", "why": "seen", "after": "0"}
    pages.post("/rules", data={**form, "rules": RULE.replace("bad", "good")})

    late = pages.post("/rules", data=form)
    after = re.search(r'name="after" value="(\d+)"', late.text)
    assert after is not None
    again = pages.post("/rules", data={**form, "after": after[1]})

    assert 'href="/rules?experiment=nova" target="_blank"' in late.text
    assert (late.status_code, after[1], again.status_code) == (409, "1", 303)


@pytest.mark.slow
def test_failures_that_a_rule_makes_one_cause_stand_in_one_row_and_in_one_list(
    pages: FlaskClient, service: Service
) -> None:
    """They ended in different states, with different codes: the row names none of these."""
    rule = {"name": "calib", "class": "database", "words": "Calibration server was down"}
    rules = [{**rule, "pattern": "calib", "cause": "calibration server", "tell_apart": []}]
    table = {"rules": rules, "who": "Ada", "why": "it was down"}
    now = datetime.now(UTC)
    service.write(lambda writing: declare_rules(writing, "sbnd", table), received_at=now)
    ends = [("failed", {"code": 1}), ("failed", {"code": 65}), ("killed", {"signal": 15})]
    for number, (state, end) in enumerate(ends, 900):
        message = {**end, "failed_step": "art", "message": f"calib: run {number}\nat the server"}
        record(service, number, experiment="sbnd", state=state, exit=message)
    work(service)

    page = pages.get("/errors?experiment=sbnd").text
    links = re.findall(r'href="(/jobs\?[^"]*cause_id[^"]*)"', page)
    listed = pages.get(unescape(links[0])).text

    assert "3 failures in 3 jobs, 1 cause" in page
    assert "calibration server" in page
    assert "None" not in page
    assert len(links) == 1
    assert listed.count('class="why"') == 3
    assert "calib: run 902 at the server" in listed, "a line end is no odd character"
    assert "3 jobs with experiment sbnd, the cause calibration server" in listed
    assert "<title>Jobs of sbnd, calibration server: jobprov</title>" in listed
    assert "One cause: calibration server" in pages.get("/rules?experiment=sbnd").text


def test_other_sites_and_strangers_change_nothing(
    pages: FlaskClient, service: Service, app_on: AppOn
) -> None:
    form = {"experiment": "nova", "rules": "", "who": "Eve", "why": "no", "after": ""}
    crossed = pages.post("/rules", data=form, headers={"Origin": "https://evil.example.org"})
    far = pages.post("/rules", data=form, environ_base={"REMOTE_ADDR": "10.1.1.1"})
    now = datetime.now(UTC)
    token, other = (
        service.write(
            lambda writing, name=name: create_token(
                writing, experiment=name, name="t", now=now, days=1
            )
        )
        for name in ("nova", "dune")
    )
    noticed = replace(service, tokens=TokenBook(service.database.reading))  # it does within seconds
    pages = app_on(noticed).test_client()
    without = pages.post("/rules", data=form)
    foreign = pages.post("/rules", data={**form, "token": other})
    allowed = pages.post("/rules", data={**form, "token": token})

    assert [page.status_code for page in (crossed, far, without, foreign, allowed)] == [
        403,
        403,
        401,
        403,
        303,
    ]
    assert 'type="password"' in pages.get("/rules?experiment=nova&edit=1").text


def test_windows_lead_to_the_failures_of_lately_and_back_to_all_time(
    pages: FlaskClient, service: Service
) -> None:
    record_failure(service, 1, experiment="toyexp")
    text = pages.get("/errors?experiment=toyexp&by=site").text
    lately = unescape(re.findall(r'href="([^"]*)">24 hours<', text)[0])
    since = datetime.fromisoformat(dict(parse_qsl(urlsplit(lately).query))["started_after"])

    assert '<b aria-current="true">all time</b>' in text
    assert timedelta(hours=24) <= datetime.now(UTC) - since < timedelta(hours=25)
    narrowed = pages.get(lately).text
    assert '<b aria-current="true">24 hours</b>' in narrowed
    back = unescape(re.findall(r'href="([^"]*)">all time<', narrowed)[0])
    assert dict(parse_qsl(urlsplit(back).query)) == {"experiment": "toyexp", "by": "site"}
