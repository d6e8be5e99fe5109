"""`jobprov export-site` of several campaigns, opened from disk in Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from playwright.sync_api import Browser, expect

from jobprov.app.cli import jobprov
from tests.library.answers import put_job
from tests.library.records import a_record
from tests.library.servers.served_app import AppOn, opened_service, served

CAMPAIGNS = ["prod/5 & co", "spring <2026>", "cosmics"]


@pytest.fixture
def app(app_on: AppOn, sqlite_template: Path, tmp_path: Path) -> Iterator[Flask]:
    """Yield the application on three campaigns of two units, of which one is done."""
    data = tmp_path / "data"
    with opened_service(sqlite_template, data, JOBPROV_ARCHIVE_URL="memory:") as service:
        made = app_on(service)
        client = made.test_client()
        for place, campaign in enumerate(CAMPAIGNS):
            task = {
                "experiment": "nova",
                "campaign": campaign,
                "stage": "gen",
                "units": ["u1", "u2"],
            }
            assert client.put(f"/api/v1/tasks/t{place}", json=task).status_code == 201
            names = {"task_id": f"t{place}", "campaign": campaign, "stage": "gen", "unit": "u1"}
            record = a_record(place + 1, task=names, outputs=[{"name": f"f{place}.root"}])
            put_job(client, record)
        yield made


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """Yield the address of the served application."""
    yield from served(app)


def export(site: str, folder: Path, *campaigns: str) -> int:
    """Copy these campaigns into a folder; return the number of pages."""
    words = ["export-site", str(folder), "--experiment", "nova", "--url", site, "--json"]
    for campaign in campaigns:
        words += ["--campaign", campaign]
    ended = CliRunner().invoke(jobprov, words)
    assert ended.exit_code == 0, ended.output
    # Not `output`: on a slow machine progress is told beside it
    pages: int = json.loads(ended.stdout)["pages"]
    return pages


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_first_page_lists_all_campaigns_and_leads_to_each(
    browser: Browser,
    site: str,
    tmp_path: Path,
    size: tuple[int, int],
) -> None:
    export(site, tmp_path / "copy", *CAMPAIGNS, CAMPAIGNS[0])
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    first = (tmp_path / "copy" / "index.html").as_uri()

    page.goto(first)
    assert page.locator("tbody a.name").all_text_contents() == CAMPAIGNS
    expect(page.locator("tbody tr").first).to_contain_text("1 of 2 units done (50 %), 1 missing.")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.querySelector('.bar')).display") == "flex"
    for place, campaign in enumerate(CAMPAIGNS):
        page.goto(first)
        page.get_by_role("link", name=campaign, exact=True).click()
        expect(page.locator("h1")).to_have_text(f"Campaign {campaign}")
        assert page.url.startswith("file:")
        page.locator("a.brand").click()
        expect(page.locator("h1")).to_have_text("Campaigns of nova")
        page.get_by_role("link", name="Report").nth(place).click()
        expect(page.locator("h1")).to_have_text(f"Campaign {campaign}")
        assert page.url.startswith("file:")
    page.close()


@pytest.mark.slow
def test_first_page_of_one_campaign_is_its_own(site: str, tmp_path: Path) -> None:
    export(site, tmp_path / "copy", "cosmics")

    assert "Campaigns of" not in (tmp_path / "copy" / "index.html").read_text()
