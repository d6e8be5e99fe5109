"""A shifter at a workflow that waits, in Chromium.

Sees what blocks it, looks at the resubmission, waives, orders. Real clicks.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect

from tests.library.answers import put_job
from tests.library.browser import Watched, axe_findings
from tests.library.markup import tight
from tests.library.productions.toy_workflow import launch
from tests.library.records import a_record
from tests.library.servers.served_app import AppOn, opened_service, served


@pytest.fixture
def app(app_on: AppOn, sqlite_template: Path, tmp_path: Path) -> Iterator[Flask]:
    """Yield the application on a workflow of which two units failed for good."""
    with opened_service(sqlite_template, tmp_path, JOBPROV_ARCHIVE_URL="memory:") as service:
        made = app_on(service)
        launch(FlaskClient(made, made.response_class))
        yield made


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """Yield the address of the served application."""
    yield from served(app)


def finds_nothing(watched: Watched) -> None:
    """Have axe-core look at the page; it fits into its width."""
    watched.page.wait_for_load_state()
    assert axe_findings(watched.page) == []
    assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("size", "scheme"), [((1280, 800), "light"), ((390, 844), "dark")])
def test_two_bad_files_are_seen_looked_at_waived_and_one_ordered(
    browser: Browser, site: str, size: tuple[int, int], scheme: str
) -> None:
    watched = Watched(browser, site, size, scheme)
    page = watched.page
    page.goto(f"{site}/workflows")
    finds_nothing(watched)
    page.get_by_role("link", name="toy").click()
    expect(page.locator(".lead")).to_contain_text("2 of gen failed for good and need a decision")
    finds_nothing(watched)

    page.get_by_role("link", name="Retry, or go on without").click()
    page.wait_for_load_state()
    for box in page.get_by_role("checkbox", name="Retry").all():
        box.check()
    finds_nothing(watched)
    page.get_by_role("button", name="Show the resubmission").click()
    expect(page.locator(".lead")).to_have_text("2 jobs selected to retry as recorded.")
    page.get_by_role("link", name="jobsub_submit script").click()
    expect(page.locator("#chosen ~ pre").first).to_contain_text("jobsub_submit -G nova -N 2")
    finds_nothing(watched)

    page.get_by_role("checkbox", name="Go on without").first.check()
    page.get_by_role("button", name="Go on without the units ticked").click()
    expect(page.locator("h1")).to_have_text("Go on without 1 unit?")
    finds_nothing(watched)
    page.get_by_label("Who decides").fill("a shifter")
    page.get_by_label("Why").fill("the raw file is damaged")
    page.get_by_role("button", name="Go on without 1 unit").click()
    expect(page.get_by_role("status")).to_contain_text("1 unit waived")
    finds_nothing(watched)

    page.get_by_role("checkbox", name="Wait again for").check()
    page.get_by_role("button", name="Wait for the units ticked again").click()
    page.get_by_label("Who decides").fill("a shifter")
    page.get_by_label("Why").fill("there is a copy on tape")
    page.get_by_role("button", name="Wait for 1 unit again").click()
    expect(page.get_by_role("status")).to_contain_text("The task waits for 1 unit again.")
    expect(page.get_by_role("checkbox", name="Go on without")).to_have_count(2)

    page.get_by_label("Who decides").fill("a shifter")
    page.get_by_label("Why").fill("the calibration is there now")
    page.get_by_role("checkbox", name="Retry 1").check()
    page.get_by_role("checkbox", name="Retry 2").uncheck()
    page.get_by_role("button", name="Order the jobs ticked").click()
    expect(page.get_by_role("status")).to_contain_text("1 job ordered")
    watched.check()
    watched.context.close()


def test_what_a_retry_cannot_find_begins_in_the_first_line_of_its_row(client: FlaskClient) -> None:
    """An empty line stood above it where nothing else was said of the cause."""
    client.put("/api/v1/tasks/t1", json={"experiment": "nova", "units": ["a.root"]})
    put_job(
        client, a_record(1, task={"task_id": "t1", "unit": "a.root"}, inputs=[{"name": "a.root"}])
    )

    page = tight(client.get("/retry?task_id=t1&experiment=nova").text)

    assert "<td><div><b>No place is known</b> of its input a.root." in page
