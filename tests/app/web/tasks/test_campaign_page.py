"""The page of a campaign: what it cost, what is left first, and its figure for a talk."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser

from jobprov.app.reports.rows import spending_tables, spent_row, week_words
from jobprov.provenance.answers.statistics.spending import Spending, Spent
from tests.library.answers import put_job
from tests.library.browser import NARROW, WIDE, Watched
from tests.library.records import a_record
from tests.library.servers.served_app import served

PAGE = "/campaigns/toyexp/demo-2026"
SVG = "{http://www.w3.org/2000/svg}"


def declare(client: FlaskClient, task_id: str, campaign: str, *units: str) -> None:
    declaration = {
        "experiment": "nova",
        "campaign": campaign,
        "stage": "reco",
        "units": list(units),
    }
    assert client.put(f"/api/v1/tasks/{task_id}", json=declaration).status_code == 201


def finish(client: FlaskClient, number: int, task_id: str, unit: str) -> None:
    task, outputs = {"task_id": task_id, "unit": unit}, [{"name": f"{task_id}.{unit}.root"}]
    put_job(client, a_record(number, task=task, outputs=outputs))


@pytest.mark.slow
def test_figure_is_whole_and_says_what_the_page_says(client: FlaskClient) -> None:
    declare(client, "t1", "<b> & co", "u1", "u2", "u3")
    finish(client, 1, "t1", "u1")
    page = "/campaigns/nova/%3Cb%3E%20%26%20co"

    answer = client.get(f"{page}?figure=svg")

    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    figure = ET.fromstring(answer.data)  # noqa: S314 - our own
    words = [text.text for text in figure.iter(f"{SVG}text")]
    assert words[0] == "<b> & co: 1 of 3 units done (33 %)"
    assert "1 of 3 units done (33 %) in 1 stage" in client.get(page).text
    assert "class" not in answer.text, "no style sheet goes with it"
    assert "href" not in answer.text


def test_figure_counts_what_was_declared_and_says_what_it_cost(client: FlaskClient) -> None:
    """Where the first stage alone was declared, the others are no part of its sum."""
    declare(client, "t1", "c", "u1", "u2", "u3")
    finish(client, 1, "t1", "u1")
    for number in range(2, 7):
        task = {"task_id": "t2", "campaign": "c", "stage": "merge", "unit": f"m{number}"}
        resources = {"cpu_user_seconds": 7200, "cpu_system_seconds": 0}
        outputs = [{"name": f"m{number}.root"}]
        put_job(client, a_record(number, task=task, outputs=outputs, resources=resources))

    figure = ET.fromstring(client.get("/campaigns/nova/c?figure=svg").data)  # noqa: S314 - our own
    words = [text.text for text in figure.iter(f"{SVG}text")]

    assert words[0] == "c: 1 of 3 units done (33 %)"
    assert words[1] == "Units left to do in the declared stages"
    assert words[2] == "Cost so far 10 CPU hours"


@pytest.fixture
def site(client: FlaskClient) -> Iterator[str]:
    """Yield the address of the served application."""
    yield from served(client.application)


@pytest.mark.slow
def test_figure_is_saved_as_png(client: FlaskClient, browser: Browser, site: str) -> None:
    """Not every program for talks takes SVG."""
    declare(client, "t1", "c", "u1", "u2", "u3")
    finish(client, 1, "t1", "u1")
    watched = Watched(browser, site, WIDE, "dark")

    watched.page.goto(f"{site}/campaigns/nova/c")
    with watched.page.expect_download() as saving:
        watched.page.get_by_text("The same as PNG").click()
    saved = saving.value.path().read_bytes()

    assert saving.value.suggested_filename == "c.png"
    assert saved.startswith(b"\x89PNG")
    assert int.from_bytes(saved[16:20]) == 3 * 960, "its width"
    watched.check()
    watched.context.close()


def test_figure_of_what_nobody_declared_is_not_offered(pages: FlaskClient) -> None:
    assert "figure=svg" not in pages.get(PAGE).text
    assert pages.get(f"{PAGE}?figure=svg").status_code == 404


def test_tasks_in_which_something_is_missing_stand_first(client: FlaskClient) -> None:
    declare(client, "t1", "c", "a")
    declare(client, "t2", "c", "b")
    declare(client, "t3", "c", "c")
    finish(client, 1, "t1", "a")
    finish(client, 3, "t3", "c")

    text = client.get("/campaigns/nova/c").text

    assert re.findall(r'class="name" href="/tasks/([^?"]*)', text) == ["t2", "t1", "t3"]


def test_report_has_what_the_campaign_cost_and_the_page_leads_to_the_jobs(
    pages: FlaskClient,
) -> None:
    report = pages.get("/api/v1/campaigns/demo-2026/report?experiment=toyexp").get_json()
    spending = report["spending"]
    text = pages.get(PAGE).text

    assert spending["total"]["jobs"] == sum(site["jobs"] for site in spending["sites"])
    assert '<h2 id="cost">' in text
    for site in spending["sites"]:
        if site["name"]:
            assert f"site={site['name']}" in text
    assert "What it cost: by release" in pages.get("/reports/toyexp/demo-2026").text


def test_weeks_are_compared_in_a_sentence() -> None:
    this, before = Spent("last 7 days", 200, 11, 50, 3), Spent("7 days before", 100, 3, 20, 1)
    none = Spent("7 days before", 0, 0, 0, 0)

    def spending(*weeks: Spent) -> Spending:
        total = Spent("all", sum(week.jobs for week in weeks), 0, 70, 0)
        return Spending(total=total, weeks=list(weeks), sites=[], releases=[])

    assert week_words(spending(this, before)) == (
        "200 jobs ended in the last 7 days, of which 5.5 % did not succeed; "
        "in the 7 days before 100, of which 3.0 % did not succeed."
    )
    assert week_words(spending(this, none)).endswith("; in the 7 days before none.")
    assert week_words(spending(none, none)) == ""
    assert list(spending_tables(spending(none, none))) == []
    by_week = next(spending_tables(spending(this, before)))
    assert by_week.rows[0] == ("last 7 days", "200", "11 (5.5 %)", "50", "3.0 (6.0 %)")


def test_cpu_hours_of_a_small_campaign_are_not_none() -> None:
    def cells(hours: float, lost: float) -> tuple[str, ...]:
        return spent_row(Spent("FNAL", 26, 2, hours, lost), "Site")[3:]

    assert cells(0.0409, 0.002) == ("0.04", "under 0.01 (4.9 %)")
    assert cells(9.96, 2.5) == ("10.0", "2.5 (25.1 %)")
    assert cells(1204.4, 0) == ("1\N{NARROW NO-BREAK SPACE}204", "0")


@pytest.mark.slow
def test_long_name_of_a_stage_leaves_room_for_its_units_on_a_phone(
    client: FlaskClient, browser: Browser, site: str
) -> None:
    stage = "calibration_and_reconstruction_" * 8
    task = {"task_id": "t", "campaign": "c", "stage": stage, "unit": "u"}
    put_job(client, a_record(1, task=task, outputs=[{"name": "f.root"}]))
    phone = Watched(browser, site, NARROW, "light")
    phone.page.goto(f"{site}/campaigns/nova/c")

    stages = phone.page.locator("section", has=phone.page.locator("#stages")).locator(".scroll")
    assert stages.evaluate("box => box.scrollWidth - box.clientWidth") <= 0
    assert phone.page.get_by_text("succeeded 1").is_visible()
    assert stage not in phone.page.locator(".lead").inner_text(), "a sentence names it cut"
    phone.check()
    phone.context.close()


@pytest.mark.slow
def test_counts_stand_behind_an_arabic_name_in_their_order(
    client: FlaskClient, browser: Browser, site: str
) -> None:
    """The marks of states and their numbers came in the other order, so each fitted the next."""
    for number, state in enumerate(("succeeded", "failed", "failed"), 1):
        task = {"task_id": "t", "campaign": "c", "stage": "مرحلة", "unit": f"u{number}"}
        outputs = [{"name": f"{number}.root"}] if state == "succeeded" else []
        put_job(client, a_record(number, state=state, task=task, outputs=outputs))
    desk = Watched(browser, site, WIDE, "light")
    desk.page.goto(site)

    name = desk.page.get_by_role("link", name="مرحلة").bounding_box()
    counts = desk.page.locator("tr", has_text="مرحلة").locator("svg.mark").all()
    places = [mark.bounding_box() for mark in counts[:2]]
    assert name is not None
    edges = [name["x"], *(place["x"] for place in places if place is not None)]
    assert len(edges) == 3
    assert edges == sorted(edges), "name, then succeeded, then failed"
    desk.check()
    desk.context.close()
