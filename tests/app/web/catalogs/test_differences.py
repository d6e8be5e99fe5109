"""The way from the page of a task to its catalog, and what it says of units of other names."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.library.databases import on_sqlite_alone
from tests.library.markup import tight
from tests.library.records import a_record, job_id
from tests.library.servers.served_app import AppOn, opened_service

COMPARISON, DIMENSION = "Compared with its catalog", "as a SAM dimension"


def task_page(pages: FlaskClient) -> str:
    """Return the page of a task with two units; a job of each ran, one under another name."""
    declared = {"experiment": "nova", "units": ["a.root", "b.root"]}
    assert pages.put("/api/v1/tasks/t1", json=declared).status_code == 201
    for number, unit in ((1, "a.root"), (2, "raw:b.root")):
        task, output = {"task_id": "t1", "unit": unit}, {"name": f"{number}.root"}
        record = a_record(number, task=task, outputs=[output])
        assert pages.put(f"/api/v1/jobs/{job_id(number)}", json=record).status_code == 201
    return tight(pages.get("/tasks/t1?experiment=nova").text)


@pytest.mark.parametrize(
    ("catalogs", "offered"),
    [
        ("", [DIMENSION]),
        ('[nova]\nkind = "sam"\nurl = "http://127.0.0.1:1"', [COMPARISON, DIMENSION]),
        ('[nova]\nkind = "metacat"\nurl = "http://127.0.0.1:1"', [COMPARISON]),
        ('[nova]\nkind = "neither"', [DIMENSION]),
    ],
    ids=["none", "sam", "metacat", "wrong"],
)
def test_task_offers_what_its_catalog_can_do(
    app_on: AppOn, sqlite_template: Path, tmp_path: Path, catalogs: str, offered: list[str]
) -> None:
    named = tmp_path / "catalogs.toml"
    named.write_text(catalogs)
    with opened_service(sqlite_template, tmp_path, JOBPROV_CATALOGS=str(named)) as service:
        page = task_page(app_on(service).test_client())

    assert [link for link in (COMPARISON, DIMENSION) if link in page] == offered
    assert "as a plain list" in page


@on_sqlite_alone
def test_task_says_that_jobs_ran_for_units_of_other_names(client: FlaskClient) -> None:
    page = task_page(client)

    assert "Jobs ran for 1 unit not on the declared list" in page
    assert "1 of 2 units done" in page
