"""The way from the page of a task to its catalog, and what it says of units of other names."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser

from jobprov.app.factory import create_app
from jobprov.provenance.catalogs.opening import CatalogSettings
from jobprov.provenance.services.catalogs import differences
from jobprov.provenance.services.catalogs.sync import sync_experiment
from tests.library.answers import put_job
from tests.library.browser import NARROW, WIDE, Watched
from tests.library.databases import on_sqlite_alone
from tests.library.markup import tight
from tests.library.records import a_record, job_id
from tests.library.servers.catalogs import SamServer, Shelf, ShelfProcess, ShelfProject
from tests.library.servers.served_app import AppOn, opened_service, served

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


LONG = "fardet_r00011234_s00_keepup_R19-11-18-prod5reco.d_v1_" * 3
BEYOND = "boxes => boxes.map(box => box.scrollWidth - box.clientWidth)"


@pytest.fixture(scope="module")
def long_names(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a service with files of long names: late, lost, and of other sizes."""
    folder = tmp_path_factory.mktemp("long")
    shelf = Shelf()
    units = [f"{LONG}{number}.raw.root" for number in range(5)]
    for unit in units:
        shelf.add(unit)
    shelf.add(
        f"{LONG}1.rec.root",
        parents=[units[1]],
        size_bytes=8,
        checksums={"adler32": "0a0b0c0d"},
        metadata={"prov.task_id": "t1"},
    )
    shelf.snapshots[1] = units
    silent = ShelfProcess(8, "81234567.1@jobsub03.example.org", "wn2", "bad", {units[3]: "x"})
    shelf.projects["p1"] = ShelfProject(1, [silent])
    server = SamServer(shelf)
    named = {"nova": CatalogSettings(kind="sam", url=server.url)}
    with opened_service(sqlite_template, folder) as service:
        app = create_app(service.settings, service=service)
        client = app.test_client()
        declared = {"experiment": "nova", "units": units, "project": "p1"}
        assert client.put("/api/v1/tasks/t1", json=declared).status_code == 201
        ended_at = (datetime.now(UTC) - timedelta(days=2)).isoformat()
        for number in range(2):
            output = {
                "name": f"{LONG}{number}.rec.root",
                "size_bytes": 7,
                "checksums": ["adler32:0a0b0c0d"],
            }
            task = {"task_id": "t1", "unit": units[number], "stage": "reco"}
            host = {"hostname": "wn27.example.org"}
            put_job(
                client,
                a_record(number, ended_at=ended_at, task=task, outputs=[output], host=host),
            )
        sync_experiment(service.database, service.writer, service.store, named, "nova", seconds=60)
        yield from served(app)
    server.close()


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize(
    "address", ["/catalog?task_id=t1&experiment=nova", "/arrivals?experiment=nova"]
)
def test_rows_of_files_with_long_names_fit_the_page(
    browser: Browser, long_names: str, size: tuple[int, int], address: str
) -> None:
    """Names pushed columns beyond the edge, and broke the unit beside them into single letters."""
    watched = Watched(browser, long_names, size, "light")
    watched.page.goto(long_names + address)
    files = watched.page.locator("main td a.name")
    units = watched.page.locator("main td.name")

    assert files.count() > 0
    assert max(watched.page.locator("main .scroll").evaluate_all(BEYOND)) <= 0
    for name in (*files.all(), *units.all()):
        box = name.bounding_box()
        assert box is not None
        assert box["width"] > box["height"], name.text_content()
    watched.check()
    watched.context.close()


def test_list_of_differences_that_is_cut_says_so(
    long_names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{long_names}/catalog?task_id=t1&experiment=nova&late_after_hours=0"
    with urlopen(address) as page:
        whole = tight(page.read().decode())
    monkeypatch.setattr(differences, "MOST_FILES", 0)
    with urlopen(address) as page:
        cut = tight(page.read().decode())

    assert "Only the first" not in whole
    assert "Only the first 0 are listed." in cut
