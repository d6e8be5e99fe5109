"""Workflows whose first stage takes its files from a catalog, over HTTP.

Frozen when declared, topped up where they follow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from tests.library.servers.catalogs import CatalogServer, MetaCatServer, SamServer, Shelf
from tests.library.servers.served_app import AppOn

TEXT = """
name = "spring"
experiment = "nova"
[[stage]]
name = "reco"
from = {source}
{more}
command = ["reco", "{{input}}", "{{output}}"]
outputs = ["{{stem}}.reco"]
[[stage]]
name = "merge"
after = "reco"
merge = 2
command = ["merge", "{{inputs}}"]
outputs = ["{{unit}}.root"]
"""
RAW = '{ definition = "raw" }'


@pytest.fixture
def shelf() -> Shelf:
    """Return files a1 and a2, and a definition of them."""
    made = Shelf()
    for name in ("a1.root", "a2.root"):
        made.add(name)
    made.lists |= {"raw": ["a1.root", "a2.root"], "later": []}
    made.snapshots[7] = ["a2.root"]
    return made


@pytest.fixture
def sam(shelf: Shelf) -> Iterator[SamServer]:
    server = SamServer(shelf)
    yield server
    server.close()


@pytest.fixture
def app(app_on: AppOn, database_url: str, tmp_path: Path, sam: CatalogServer) -> Iterator[Flask]:
    """Yield the application on a service whose operator names that catalog."""
    catalogs = f'[nova]\nkind = "sam"\nurl = "{sam.url}"\nattempts = 1\n'
    with _opened(database_url, tmp_path, catalogs) as service:
        yield app_on(service)


@contextmanager
def _opened(database_url: str, folder: Path, catalogs: str) -> Iterator[Service]:
    """Yield a service whose operator names these catalogs."""
    (folder / "catalogs.toml").write_text(catalogs)
    settings = load_settings(
        {
            "JOBPROV_DATA": str(folder / "var"),
            "JOBPROV_DATABASE_URL": database_url,
            "JOBPROV_ARCHIVE_URL": "memory:",
            "JOBPROV_CATALOGS": str(folder / "catalogs.toml"),
        }
    )
    service = open_service(settings)
    yield service
    service.close()


def declare(client: FlaskClient, source: str = RAW, more: str = "") -> Any:
    text = TEXT.format(source=source, more=more)
    return client.put("/api/v1/workflows/spring", json={"text": text})


def advance(client: FlaskClient, *, follow: bool = False) -> dict[str, Any]:
    answer = client.post(f"/api/v1/workflows/spring/advance?follow={str(follow).lower()}")
    assert answer.status_code == 200, answer.text
    return {stage["stage"]: stage for stage in answer.get_json()["stages"]}


def ordered(client: FlaskClient) -> list[tuple[str, list[str]]]:
    """Return what was ordered and is not placed: units and what they read."""
    asked = {"experiment": "nova", "holder": "agent"}
    taken = client.post("/api/v1/orders/take", json=asked).get_json()["orders"]
    return [(order["unit"], order["inputs"]) for order in taken]


def appear(shelf: Shelf, *names: str, definition: str = "raw") -> None:
    for name in names:
        shelf.add(name)
        shelf.lists[definition].append(name)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (RAW, ["a1.root", "a2.root"]),
        ("{ snapshot_id = 7 }", ["a2.root"]),
        ("{ query = \"file_name 'a1.root'\" }", ["a1.root"]),
    ],
)
def test_each_file_of_the_source_is_a_unit(
    client: FlaskClient, source: str, names: list[str]
) -> None:
    assert declare(client, source).status_code == 201

    assert advance(client)["reco"]["units"] == len(names)
    assert ordered(client) == [(name, [name]) for name in names]
    missing = client.get("/api/v1/tasks/spring-v1-reco/missing").get_json()["missing"]
    assert [each["unit"] for each in missing] == names


def test_the_list_stays_as_it_was_when_it_was_declared(
    client: FlaskClient, shelf: Shelf, sam: SamServer
) -> None:
    declare(client)
    appear(shelf, "a3.root")
    asked = len(sam.asked)

    assert declare(client).status_code == 200
    assert advance(client, follow=True)["reco"]["units"] == 2
    assert len(sam.asked) == asked, "it is not even asked again"


@pytest.mark.slow
def test_a_stage_that_follows_takes_what_appears_and_is_not_complete(
    client: FlaskClient, shelf: Shelf
) -> None:
    declare(client, more="follow = true")
    before = advance(client)["reco"]
    appear(shelf, "a0.root", "a3.root")
    shelf.lists["raw"].remove("a1.root")

    assert advance(client)["reco"]["units"] == 2, "the catalog is asked where the caller says so"
    after = advance(client, follow=True)["reco"]

    assert (before["from"], before["follows"]) == ("definition raw", True)
    assert (after["units"], after["wanted"], after["is_closed"], after["follow_problem"]) == (
        4,
        4,
        False,
        None,
    )
    assert [unit for unit, _ in ordered(client)] == ["a1.root", "a2.root", "a0.root", "a3.root"], (
        "later ones last"
    )
    assert advance(client, follow=True)["reco"]["units"] == 4, "each once"


def test_a_definition_that_is_still_empty_may_be_followed_and_else_not(
    client: FlaskClient, shelf: Shelf
) -> None:
    refused = declare(client, '{ definition = "later" }')
    taken = declare(client, '{ definition = "later" }', "follow = true")
    none = advance(client, follow=True)
    appear(shelf, "b1.root", definition="later")

    assert (refused.status_code, taken.status_code) == (422, 201)
    assert "stage reco" in refused.get_json()["detail"]
    assert (none["reco"]["units"], none["reco"]["is_closed"], none["merge"]["is_closed"]) == (
        0,
        False,
        False,
    )
    assert advance(client, follow=True)["reco"]["wanted"] == 1


def test_a_catalog_that_does_not_answer_holds_up_nothing_else(
    client: FlaskClient, shelf: Shelf, sam: SamServer
) -> None:
    declare(client, more="follow = true")
    appear(shelf, "a3.root")
    sam.faults = [503]

    stage = advance(client, follow=True)["reco"]

    assert "503" in stage["follow_problem"]
    assert (stage["units"], stage["wanted"]) == (2, 2)
    assert advance(client, follow=True)["reco"]["units"] == 3, "the next look finds it"


@pytest.mark.slow
def test_frozen_it_takes_nothing_more_whatever_is_said_later(
    client: FlaskClient, shelf: Shelf
) -> None:
    declare(client, more="follow = true")
    said = {"who": "me", "why": "the run is over"}
    answer = client.post(
        "/api/v1/workflows/spring/state", json={"state": "running", "is_frozen": True, **said}
    )
    appear(shelf, "a3.root")

    assert answer.get_json()["stages"][0]["follows"] is False
    assert advance(client, follow=True)["reco"]["units"] == 2
    for state in ("stopped", "running"):
        client.post("/api/v1/workflows/spring/state", json={"state": state, **said})
    assert advance(client, follow=True)["reco"]["units"] == 2


def test_a_definition_that_nobody_made_is_refused_and_nothing_is_declared(
    client: FlaskClient,
) -> None:
    answer = declare(client, '{ definition = "nobodys" }')

    assert answer.status_code in (404, 422)
    assert client.get("/api/v1/workflows").get_json() == {"workflows": []}


def test_the_page_says_where_the_files_come_from(client: FlaskClient) -> None:
    declare(client, more="follow = true")

    page = client.get("/workflows/nova/spring").text

    assert "definition raw" in page
    assert "Takes what appears in definition raw." in page


def test_a_dataset_of_metacat_is_followed_and_keeps_its_namespace(
    app_on: AppOn, database_url: str, tmp_path: Path
) -> None:
    shelf = Shelf()
    shelf.lists["mc:raw"] = []
    appear(shelf, "mc:a1.root", definition="mc:raw")
    server = MetaCatServer(shelf)
    try:
        catalogs = f'[nova]\nkind = "metacat"\nurl = "{server.url}"\n'
        with _opened(database_url, tmp_path, catalogs) as service:
            client = app_on(service).test_client()
            assert declare(client, '{ dataset = "mc:raw" }', "follow = true").status_code == 201
            appear(shelf, "mc:a2.root", definition="mc:raw")
            assert advance(client, follow=True)["reco"]["units"] == 2
            assert ordered(client) == [("a1.root", ["a1.root"]), ("a2.root", ["a2.root"])]
            shelf.lists["mc:raw"] = []
            appear(shelf, "data:a3.root", definition="mc:raw")
            assert "namespace data" in advance(client, follow=True)["reco"]["follow_problem"]
    finally:
        server.close()
