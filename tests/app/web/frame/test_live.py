"""A page of something under way keeps itself up to date in Chromium.

Numbers change, what the reader did stays.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.tasks.declarations import declare_task
from tests.library.browser import WIDE, Watched
from tests.library.servers.served_app import opened_service, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Yield the application, updating each second, on a task of four units of which one failed."""
    folder = tmp_path_factory.mktemp("live")
    with opened_service(sqlite_template, folder) as service:
        declared = {
            "experiment": "toy",
            "campaign": "c",
            "stage": "reco",
            "units": [f"u{n}" for n in range(4)],
        }
        service.write(lambda writing: declare_task(writing, "t", declared), received_at=_now())
        _record(service, 0, "failed")
        app = create_app(service.settings, service=service)
        app.config["LIVE_SECONDS"] = 1
        yield app


@pytest.fixture(scope="module")
def live_site(running: Flask) -> Iterator[str]:
    """Yield its address."""
    yield from served(running)


def _now() -> datetime:
    return datetime.now(UTC)


def _record(service: Service, unit: int, state: str, **more: Any) -> None:
    record = {
        "schema_version": 1,
        "job_id": f"00000000-0000-0000-0000-00000000000{unit}",
        "experiment": "toy",
        "state": state,
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z",
        "task": {"task_id": "t", "campaign": "c", "stage": "reco", "unit": f"u{unit}"},
        "exit": {"code": 1 if state == "failed" else 0},
        **more,
    }
    submission = Submission(decode_record(json.dumps(record).encode()), _now(), "test", None)
    service.write(lambda writing: record_jobs(writing, [submission]))


@pytest.mark.parametrize("address", ["/tasks/t", "/campaigns/toy/c"])
def test_numbers_change_and_the_reader_keeps_his_place(
    browser: Browser, live_site: str, running: Flask, address: str
) -> None:
    unit = 1 if address.startswith("/tasks") else 2
    watched = Watched(browser, live_site, WIDE, "light", timezone_id="America/Chicago")
    page = watched.page
    page.goto(live_site + address)
    page.evaluate("document.querySelector('h1').kept = true")
    before = page.locator("main").inner_text()

    _record(running.extensions["jobprov"], unit, "succeeded")

    page.wait_for_function(
        "before => document.querySelector('main').innerText !== before", arg=before
    )
    expect(page.locator("footer")).to_contain_text("Updated every 1 s")
    assert page.evaluate("document.querySelector('h1').kept")  # morphed, not replaced
    assert page.evaluate("scrollY") == 0
    zoned = page.locator("main time").first
    if zoned.count():
        assert "UTC" not in zoned.inner_text()
    assert watched.complaints == []
    assert watched.hosts <= {live_site.removeprefix("http://")}
    watched.context.close()


def test_nothing_changes_under_a_selection(
    browser: Browser, live_site: str, running: Flask
) -> None:
    watched = Watched(browser, live_site, WIDE, "light")
    page = watched.page
    page.goto(f"{live_site}/tasks/t")
    page.locator("h1").select_text()
    before = page.locator("main").inner_text()
    _record(running.extensions["jobprov"], 3, "succeeded")

    page.wait_for_timeout(2500)
    assert page.locator("main").inner_text() == before
    page.evaluate("getSelection().removeAllRanges()")
    page.wait_for_function(
        "before => document.querySelector('main').innerText !== before", arg=before
    )
    assert watched.complaints == []
    watched.context.close()
