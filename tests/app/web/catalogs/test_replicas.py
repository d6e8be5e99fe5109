"""Where a file is now: call, page and rebuild plan, with the Rucio of its experiment."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser

from tests.library.answers import assert_problem, lead, put_job
from tests.library.browser import NARROW, Watched
from tests.library.records import job_id, record_of
from tests.library.servers.rucio import Copy, Held, RucioServer
from tests.library.servers.served_app import AppOn, opened_service, served

DOOR = "root://fndca1.fnal.gov:1094/"


@pytest.fixture
def rucio() -> Iterator[RucioServer]:
    server = RucioServer()
    disk = Copy("FNAL_DCACHE", f"{DOOR}/pnfs/nova/f2.root")
    tape = Copy("FNAL_TAPE", f"{DOOR}/pnfs/nova/tape/f2.root", medium="TAPE")
    server.held["nova", "f2.root"] = Held(3, "00000003", [tape, disk])
    yield server
    server.close()


@pytest.fixture
def pages(
    rucio: RucioServer, sqlite_template: Path, tmp_path: Path, app_on: AppOn
) -> Iterator[FlaskClient]:
    """Yield the client of a service with f1.root, f2.root and f3.root, each made from the last."""
    token, named = tmp_path / "token", tmp_path / "catalogs.toml"
    token.write_text("given-token")
    named.write_text(
        '[nova]\nkind = "metacat"\nurl = "http://127.0.0.1:9"\n[nova.rucio]\n'
        f'url = "{rucio.url}"\naccount = "jobprov"\ntoken_file = "{token}"\nscope = "nova"\n'
        "attempts = 1\n"
    )
    folder = tmp_path / "var"
    with opened_service(sqlite_template, folder, JOBPROV_CATALOGS=str(named)) as service:
        client = app_on(service).test_client()
        for number in range(1, 4):
            put_job(client, record_of(number))
        yield client


def test_copies_of_a_file_are_told_by_call_and_page(pages: FlaskClient) -> None:
    answer = pages.get("/api/v1/files/f2.root/replicas").json
    page = pages.get("/replicas/f2.root").text

    assert answer["problem"] is None
    [file] = answer["files"]
    assert (file["name"], file["size_bytes"], file["checksums"]) == (
        "f2.root",
        3,
        ["adler32:00000003"],
    )
    assert [copy["storage"] for copy in file["replicas"]] == ["FNAL_DCACHE", "FNAL_TAPE"]
    assert lead(pages, "/replicas/f2.root") == "2 copies found just now."
    assert f"{DOOR}/pnfs/nova/tape/f2.root" in page
    assert "/replicas/f2.root" in pages.get("/files/f2.root").text


def test_file_without_namespace_is_looked_up_in_the_scope_of_its_recorded_location(
    pages: FlaskClient, rucio: RucioServer
) -> None:
    """Its job uploaded it with `rucio upload`, and read another one by `rucio download`."""
    rucio.held["user.ann", "hist.root"] = Held(3, "00000003", [Copy("FNAL_DCACHE", f"{DOOR}/hist")])
    rucio.held["raw.run2", "raw.root"] = Held(3, "00000003", [Copy("FNAL_DCACHE", f"{DOOR}/raw")])
    made = {"name": "hist.root", "location": "rucio://FNAL_DCACHE/user.ann/hist.root"}
    read = {"name": "raw.root", "location": "rucio:///raw.run2/raw.root"}
    put_job(pages, record_of(9, outputs=[made], inputs=[read]))

    addresses = []
    for name in ("hist.root", "raw.root"):
        files = pages.get(f"/api/v1/files/{name}/replicas").json["files"]
        addresses += [copy["address"] for file in files for copy in file["replicas"]]

    assert addresses == [f"{DOOR}/hist", f"{DOOR}/raw"]
    assert f"{DOOR}/hist" in pages.get("/replicas/hist.root").text


def test_a_file_on_tape_alone_is_to_be_staged(pages: FlaskClient, rucio: RucioServer) -> None:
    del rucio.held["nova", "f2.root"].copies[1]

    assert (
        lead(pages, "/replicas/f2.root")
        == "1 copy, on tape only: to be staged before it can be read."
    )
    assert lead(pages, "/replicas/f1.root") == "The catalog knows no copy of this file."


def test_a_plan_names_the_copies_of_what_it_takes(pages: FlaskClient) -> None:
    answer = pages.get("/api/v1/files/f3.root/rebuild/replicas").json
    page = pages.get("/rebuild/f3.root?locate=1").text
    plain = pages.get("/rebuild/f3.root").text

    assert [file["name"] for file in answer["files"]] == ["f2.root"]
    assert len(answer["files"][0]["replicas"]) == 2
    assert f"{DOOR}/pnfs/nova/f2.root" in page
    assert "2 addresses, first" in page
    assert DOOR not in plain
    assert "Ask the catalog where they are now" in plain
    assert "no copy known" in pages.get("/rebuild/f2.root?locate=1").text


def test_inputs_that_a_retry_fetches_have_the_same_places(pages: FlaskClient) -> None:
    answer = pages.get(f"/api/v1/retries/inputs?experiment=nova&jobs={job_id(3)}").json

    [file] = answer["inputs"]
    assert file["places"] == [f"{DOOR}/pnfs/nova/f2.root", f"{DOOR}/pnfs/nova/tape/f2.root"]


def test_a_rucio_that_does_not_answer_is_told_and_the_page_stays(
    pages: FlaskClient, rucio: RucioServer
) -> None:
    rucio.faults = [503]

    answer = pages.get("/replicas/f2.root")

    assert answer.status_code == 200
    assert "does not answer (status 503" in answer.text


def test_an_experiment_without_such_a_catalog_is_told(client: FlaskClient) -> None:
    put_job(client, record_of(1))

    assert lead(client, "/replicas/f1.root").startswith("No catalog is set up here that knows")
    answer = client.get("/api/v1/files/f1.root/replicas").json
    assert answer["files"][0]["replicas"] == []


def bundle_of(client: FlaskClient, number: int, **query: str) -> dict[str, str]:
    """Return the text members of a job's bundle by path, `etag` among them."""
    answer = client.get(f"/api/v1/jobs/{job_id(number)}/bundle", query_string=query)
    assert answer.status_code == 200, answer.text
    members = {"etag": answer.headers["ETag"]}
    with tarfile.open(fileobj=io.BytesIO(answer.data)) as tar:
        for member in tar:
            if file := tar.extractfile(member):
                members[member.name.split("/", 1)[1]] = file.read().decode(errors="replace")
    return members


@pytest.fixture
def reader(pages: FlaskClient) -> FlaskClient:
    """Yield the client where job 4 read f2.root, of which it knew the digest and no place."""
    record = record_of(4, inputs=record_of(3)["inputs"])
    record["inputs"][0]["sha256"] = "a" * 64
    put_job(pages, record)
    return pages


@pytest.mark.slow
def test_bundle_lists_where_its_inputs_were_when_somebody_asked(
    reader: FlaskClient, rucio: RucioServer
) -> None:
    plain = bundle_of(reader, 4)
    located = bundle_of(reader, 4, holey="true", locate="true")
    again = bundle_of(reader, 4, holey="true", locate="true")
    first = located["etag"].strip('"').partition("-")[0]
    rucio.held["nova", "f2.root"] = Held(3, "00000003", [Copy("RAL", "root://ral//f2.root")])
    moved = bundle_of(reader, 4, holey="true", locate="true")
    old = bundle_of(reader, 4, plan=first)

    place = f"{DOOR}/pnfs/nova/f2.root"
    assert "fetch.txt" not in plain
    assert located["fetch.txt"] == f"{place} 3 data/inputs/files/f2.root\n"
    assert place in located["data/NEEDS.tsv"]
    assert moved["fetch.txt"] == "root://ral//f2.root 3 data/inputs/files/f2.root\n"
    assert again == located == old, "a plan stays as it was made"
    assert moved["etag"] != located["etag"]


@pytest.mark.slow
def test_bundle_lists_where_transfer_services_saw_its_inputs(reader: FlaskClient) -> None:
    seen = {"experiment": "nova", "name": "f2.root", "locations": ["root://fts//f2.root"]}
    before = bundle_of(reader, 4, holey="true")
    assert reader.post("/api/v1/files", json=seen).status_code == 201
    other = {**seen, "size_bytes": 99, "locations": ["root://other//f2.root"]}
    assert reader.post("/api/v1/files", json=other).status_code in {200, 201}

    after = bundle_of(reader, 4, holey="true")

    assert "fetch.txt" not in before
    assert after["fetch.txt"] == "root://fts//f2.root 3 data/inputs/files/f2.root\n"


def test_bundle_whose_inputs_cannot_be_located_is_refused_with_the_reason(
    reader: FlaskClient, rucio: RucioServer
) -> None:
    put_job(reader, record_of(5, experiment="minerva"))
    no_catalog = reader.get(f"/api/v1/jobs/{job_id(5)}/bundle?locate=true")
    rucio.close()
    no_answer = reader.get(f"/api/v1/jobs/{job_id(4)}/bundle?locate=true")

    assert_problem(no_catalog, 422, "locate")
    problem = assert_problem(no_answer, 422, "locate")
    assert "without `locate`" in problem["detail"]


@pytest.fixture
def site(pages: FlaskClient) -> Iterator[str]:
    """Yield the address of the served application."""
    yield from served(pages.application)


@pytest.mark.slow
def test_addresses_of_copies_are_seen_on_a_phone(
    rucio: RucioServer, browser: Browser, site: str
) -> None:
    place = Copy("NAMED_" + "STORAGE" * 4, f"{DOOR}/pnfs/nova/{'deep/' * 20}f2.root")
    rucio.held["nova", "f2.root"].copies.append(place)
    phone = Watched(browser, site, NARROW, "light")
    phone.page.goto(f"{site}/replicas/f2.root")

    beyond = "boxes => boxes.map(box => box.scrollWidth - box.clientWidth)"
    assert max(phone.page.locator("main .scroll").evaluate_all(beyond)) <= 0
    address = phone.page.get_by_text(place.address).bounding_box()
    assert address is not None
    assert address["x"] + address["width"] <= NARROW[0]
    phone.check()
    phone.context.close()
