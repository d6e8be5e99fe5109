"""What an unmodified metacat asks: its own calls, as data, and the records that it reads."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from jobprov.app.wiring import Service
from jobprov.provenance.services.selections import recorded
from tests.library.answers import put_job
from tests.library.records import catalogued_chain, job_id

API = "/metacat/nova/data"


@pytest.fixture
def metacat(client: FlaskClient) -> FlaskClient:
    """Return a client of a service with a chain of five files; the last is in a namespace."""
    chain = catalogued_chain(5, run=7)
    chain[-1]["outputs"][0]["namespace"] = "nova-reco"
    for record in chain:
        put_job(client, record)
    return client


def sequence(answer: TestResponse) -> list[dict[str, Any]]:
    """Return the records of an answer, as the client takes them apart."""
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.content_type == "application/json-seq"
    lines = answer.get_data().splitlines()
    assert all(line.startswith(b"\x1e") for line in lines)
    return [json.loads(line[1:]) for line in lines]


def names(metacat: FlaskClient, query: str, parameters: str = "") -> list[str]:
    records = sequence(metacat.post(f"{API}/query?{parameters}", data=query))
    return [f"{record['namespace']}:{record['name']}" for record in records]


def f(*numbers: int) -> list[str]:
    return [f"nova:f{number}.root" for number in numbers]


LAST = "nova-reco:f5.root"
SELECTED = [
    ("files from nova:t1", [*f(1, 2, 3, 4), LAST]),
    ("files from nova:c where core.data_tier = 'raw'", f(2, 4)),
    ("files from nova-reco:t1", [LAST]),
    ("files from nova:t1 where namespace = nova", f(1, 2, 3, 4)),
    ("files from nova:t1 where namespace != nova", [LAST]),
    ("files from nova:t1 where core.event_count >= 30 and size < 6", f(3, 4)),
    ("files from nova:t1 where core.event_count in 20:30", f(2, 3)),
    (f"files where prov.job_id = '{job_id(2)}'", f(2)),
    ("files where prov.task_id = t1 and core.data_tier in (reco)", [*f(1, 3), LAST]),
    ("files where name ~ '^f[.]'", None),
    ("files where name ~ '^f.\\.root$' and prov.task_id not present", f(0)),
    ("parents(file nova:f3.root)", f(2)),
    ("children(files from nova:t1 where core.data_tier = raw)", [*f(3), LAST]),
    ("files from nova:t1 - parents(files from nova:t1)", [LAST]),
    ("union(file f1.root, file nova-reco:f5.root)", [*f(1), LAST]),
    ("join(files from t1, files where size = 4)", f(3)),
    ("(files from nova:t1) ordered skip 1 limit 2", f(2, 3)),
    ("files nova:f1.root, nova:nope.root", f(1)),
]


@pytest.mark.slow
def test_files_are_queried(metacat: FlaskClient) -> None:
    for query, expected in SELECTED:
        if expected is None:
            assert metacat.post(f"{API}/query", data=query).status_code == 400
            continue
        assert names(metacat, query) == expected, query
        counted = metacat.post(f"{API}/query?summary=count", data=query).get_json()
        assert counted["count"] == len(expected), query


def test_query_may_stand_in_the_address(metacat: FlaskClient) -> None:
    answer = metacat.get(f"{API}/query", query_string={"query": "file nova:f1.root"})

    assert [record["name"] for record in sequence(answer)] == ["f1.root"]


TOLD = [
    ("files where DUNE.campaign = 'fd'", ["hd:raw1.root", "hd:raw2.root", LAST]),
    ("files where DUNE.campaign = 'fd' and core.run_type ~ '^hd'", ["hd:raw1.root"]),
    ("files from nova:t1 where DUNE.campaign = 'fd'", [LAST]),
    ("files where DUNE.requestid = 4711", [*f(1, 2, 3, 4), LAST, "hd:raw1.root"]),
    ("files where DUNE.requestid > 4711", ["hd:raw2.root"]),
    ("files where DUNE.requestid in (1, 4712)", ["hd:raw2.root"]),
    ("files where DUNE.requestid != 4711", ["hd:raw2.root"]),
    ("files where core.run_type present", [*f(1, 2, 3, 4), LAST, "hd:raw1.root"]),
    ("files where DUNE.is_good = true", ["hd:raw1.root"]),
    ("files where core.data_tier = 'raw'", [*f(2, 4), "hd:raw1.root", "hd:raw2.root"]),
    ("files where core.data_tier = 'raw' or core.data_tier = 'x'",
     [*f(2, 4), "hd:raw1.root", "hd:raw2.root"]),
    ("files from nova:t1 where core.data_tier = 'raw'", f(2, 4)),
    ("files where core.data_tier = 'raw' and size > 10", ["hd:raw1.root"]),
    ("files where core.data_tier = 'raw' and core.event_count = 8", ["hd:raw2.root"]),
]  # fmt: skip


def see(metacat: FlaskClient, name: str, size: int, **metadata: object) -> None:
    dotted = {key.replace("__", "."): value for key, value in metadata.items()}
    namespace, name = name.split(":")
    seen = {"experiment": "nova", "namespace": namespace, "name": name, "size_bytes": size}
    answer = metacat.post("/api/v1/files", json={**seen, "metadata": dotted})
    assert answer.status_code == 201, answer.text


@pytest.mark.slow
def test_files_are_selected_by_metadata_that_only_a_catalog_told(metacat: FlaskClient) -> None:
    """The newest sighting counts; what a job made keeps the data tier that its job says."""
    see(metacat, "hd:raw1.root", 5, core__data_tier="raw", DUNE__campaign="old")
    see(
        metacat, "hd:raw1.root", 11, core__data_tier="raw", core__run_type="hd-protodune",
        DUNE__campaign="fd", DUNE__requestid=4711, DUNE__is_good=True,
    )  # fmt: skip
    see(
        metacat, "hd:raw2.root", 2, core__data_tier="raw", core__event_count=8,
        DUNE__campaign="fd", DUNE__requestid=4712,
    )  # fmt: skip
    see(metacat, LAST, 6, core__data_tier="raw", DUNE__campaign="fd")

    for query, expected in TOLD:
        assert sorted(names(metacat, query)) == sorted(expected), query
    shown = metacat.get(f"{API}/file?did=hd:raw2.root").get_json()["metadata"]
    assert (shown["core.data_tier"], shown["core.event_count"]) == ("raw", 8)
    counted = metacat.get(
        "/sam/nova/api/files/count", query_string={"dims": "DUNE.campaign f% and data_tier raw"}
    )
    assert counted.text.strip() == "2"
    expanded = metacat.get(
        "/sam/nova/api/files/expand_query", query_string={"dims": "DUNE.campaign 'f%'"}
    )
    assert "DUNE.campaign f%" in expanded.text


RECORDED = [
    ("files where core.runs = 7", [*f(1, 2, 3, 4), LAST, "hd:raw2.root"]),
    ("files where core.runs = 8", ["hd:raw2.root"]),
    ("files where core.runs[any] = 8", ["hd:raw2.root"]),
    ("files where 8 in core.runs", ["hd:raw2.root"]),
    ("files from nova:t1 where 7 not in core.runs", []),
    ("files where core.runs != 7", ["hd:raw1.root", "hd:raw2.root"]),
    ("files where core.runs > 7", ["hd:raw1.root", "hd:raw2.root"]),
    ("files where core.runs in (1, 9)", ["hd:raw1.root"]),
    ("files where core.runs in 8:20", ["hd:raw1.root", "hd:raw2.root"]),
    ("files from nova:t1 where core.run_type = physics and core.data_tier = raw", f(2, 4)),
    ("files from nova:t1 where core.file_format ~ '^art'", [*f(1, 2, 3, 4), LAST]),
    ("files from nova:t1 where !(core.file_format = artroot)", []),
    ("files where core.runs = 8 or core.data_tier = 'raw'", [*f(2, 4), "hd:raw2.root"]),
    ("files where core.runs present", [*f(1, 2, 3, 4), LAST, "hd:raw1.root", "hd:raw2.root"]),
    ("children(files from nova:t1 where DUNE.requestid = 4711) where core.runs = 7",
     [*f(2, 3, 4), LAST]),
    ("files where DUNE.campain = 'fd'", []),
    ("files where DUNE.campain != 'fd'", []),
    ("files from nova:t1 where DUNE.campain not present", [*f(1, 2, 3, 4), LAST]),
]  # fmt: skip


@pytest.mark.slow
def test_files_are_selected_by_all_metadata_that_they_are_shown_with(
    metacat: FlaskClient,
) -> None:
    """By what records hold, and by members of lists; an unknown key selects nothing, as there."""
    see(metacat, "hd:raw1.root", 5, core__runs=[9])
    see(metacat, "hd:raw2.root", 6, core__runs=[7, 8])

    for query, expected in RECORDED:
        assert sorted(names(metacat, query)) == sorted(expected), query
        counted = metacat.post(f"{API}/query?summary=count", data=query).get_json()
        assert counted["count"] == len(expected), query


MEMBERS = [
    ('files where dune.workflow["workflow_id"] = 1581', ["hd:raw1.root"]),
    ("files where dune.workflow['workflow_id'] in (1581, 1582)", ["hd:raw1.root", "hd:raw2.root"]),
    ("files where dune.workflow['workflow_id'] > 1581", ["hd:raw2.root"]),
    ("files where dune.workflow['site id'] != x", ["hd:raw2.root"]),
    ("files where dune.workflow['runs'] in 8:9", ["hd:raw2.root"]),
    ("files where core.runs[1] = 8", ["hd:raw2.root"]),
    ("files where core.runs[0] = 8", []),
    ("files where core.runs[5] < 9", []),
    ("files where dune.workflow[0] = 1581", []),
    ("files where core.run_type['x'] = physics", []),
]


@pytest.mark.slow
def test_files_are_selected_by_members_of_what_a_catalog_told(metacat: FlaskClient) -> None:
    """As DUNE asks for the files of a workflow, which MetaCat holds as a dictionary."""
    see(metacat, "hd:raw1.root", 5, dune__workflow={"workflow_id": 1581})
    workflow = {"workflow_id": "1582", "site id": "FNAL", "runs": [7, 8]}
    see(metacat, "hd:raw2.root", 6, core__runs=[7, 8], dune__workflow=workflow)
    see(metacat, "hd:raw3.root", 7, dune__workflow={"workflow_id": 1582.5})

    expected = {**dict(MEMBERS), MEMBERS[2][0]: ["hd:raw3.root"]}
    for query, _ in MEMBERS:
        assert sorted(names(metacat, query)) == expected[query], query


@pytest.mark.slow
def test_dimensions_select_by_what_records_hold(metacat: FlaskClient) -> None:
    """As experiments ask SAM: run_number, file_format and others have no column here."""
    see(metacat, "hd:raw1.root", 5, core__runs=[9], core__file_type="detector")
    see(metacat, "hd:raw2.root", 6, core__runs=[12, 13])

    for dimensions, expected in BY_RECORD:
        answer = metacat.get(
            "/sam/nova/api/files/list", query_string={"dims": dimensions, "format": "plain"}
        )
        assert sorted(answer.text.split()) == sorted(expected), dimensions
        counted = metacat.get("/sam/nova/api/files/count", query_string={"dims": dimensions})
        assert counted.text == f"{len(expected)}\n", dimensions


CHAIN = ["f1.root", "f2.root", "f3.root", "f4.root", "f5.root"]
BY_RECORD = [
    ("run_number 7 and data_tier raw", ["f2.root", "f4.root"]),
    ("run_number 9", ["raw1.root"]),
    ("run_number 12-13", ["raw2.root"]),
    ("run_number 9,12-100", ["raw1.root", "raw2.root"]),
    ("run_number >= 9", ["raw1.root", "raw2.root"]),
    ("file_format artroot and run_type physics and defname: t1", CHAIN),
    ("file_type detector", ["raw1.root"]),
    ("data_tier raw and not file_format artroot", []),
    ("DUNE.requestid 4711 and run_number 7 with limit 2", CHAIN[:2]),
    ("isparentof: (file_format artroot and file_name f2.root)", CHAIN[:1]),
    ("data_stream cosmics", []),
]


def test_records_of_many_files_are_not_read_for_one_question(
    metacat: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a key that catalogs told, those count then alone."""
    see(metacat, "hd:raw1.root", 5, DUNE__campaign="fd")
    monkeypatch.setattr(recorded, "MOST_READ", 4)

    refused = metacat.post(f"{API}/query", data="files from nova:t1 where core.runs = 7")

    assert refused.status_code == 400
    assert "the records of 5 files cannot be read within a question" in refused.text
    assert names(metacat, "files where DUNE.campaign = 'fd'") == ["hd:raw1.root"]
    narrow = "files from nova:t1 where core.runs = 7 and core.data_tier = raw"
    assert names(metacat, narrow) == f(2, 4)


def test_dimension_that_no_catalog_told_is_refused_by_name_with_those_that_were(
    metacat: FlaskClient,
) -> None:
    see(metacat, "hd:raw1.root", 11, DUNE__campaign="fd")

    answer = metacat.get("/sam/nova/api/files/count?dims=DUNE.campain%20fd")

    assert (answer.status_code, answer.get_json()["error"]) == (400, "DimensionError")
    assert answer.get_json()["message"] == (
        "Files cannot be selected by 'DUNE.campain' here: no catalog or transfer service told "
        "it with a file (POST /api/v1/files), and none of the 7 files that the rest selects has it "
        "in its job's record. Keys that were told: DUNE.campaign."
    )


def test_names_take_the_namespace_that_is_given(metacat: FlaskClient) -> None:
    assert names(metacat, "file f5.root", "namespace=nova-reco") == [LAST]
    assert names(metacat, "file f5.root") == []


RECORD = {
    "namespace": "nova",
    "name": "f3.root",
    "size": 4,
    "checksums": {"adler32": "00000004"},
    "retired": False,
    "retired_by": None,
    "retired_timestamp": None,
    "updated_by": None,
    "updated_timestamp": None,
    "creator": "",
    "created_timestamp": 1767229200.0,
}
METADATA = {
    "DUNE.requestid": 4711,
    "core.application": "x",
    "core.application.name": "x",
    "core.application.version": "v1",
    "core.data_tier": "reco",
    "core.end_time": 1767229200.0,
    "core.event_count": 30,
    "core.file_format": "artroot",
    "core.run_type": "physics",
    "core.runs": [7],
    "core.start_time": 1767225600.0,
    "prov.campaign": "c",
    "prov.host": "wn0",
    "prov.job_id": job_id(3),
    "prov.output": "f3.root",
    "prov.site": "FNAL",
    "prov.stage": "reco",
    "prov.task_id": "t1",
    "prov.unit": "f3.root",
}


def test_file_is_a_record(metacat: FlaskClient) -> None:
    plain = metacat.get(
        f"{API}/file?did=nova:f3.root&with_metadata=no&with_provenance=no"
    ).get_json()
    whole = metacat.get(f"{API}/file?namespace=nova&name=f3.root&with_datasets=yes").get_json()
    by_fid = metacat.get(f"{API}/file?fid={plain['fid']}&with_metadata=no").get_json()

    assert {**RECORD, "fid": plain["fid"]} == plain
    assert whole["metadata"] == METADATA
    assert (len(whole["parents"]), len(whole["children"])) == (1, 1)
    assert whole["datasets"] == [
        {"namespace": "nova", "name": "t1"},
        {"namespace": "nova", "name": "c"},
    ]
    assert by_fid["name"] == "f3.root"


def test_many_files_are_records_and_unknown_ones_left_out(metacat: FlaskClient) -> None:
    named = [
        {"did": "nova:f1.root"},
        {"namespace": "nova-reco", "name": "f5.root"},
        {"namespace": "nova", "name": "f5.root"},
        {"did": "nova:hist+1.root"},
        {"fid": "no number"},
        {"fid": "9" * 5000},
        {"did": "nova:a\0b"},
    ]
    answer = metacat.post(f"{API}/files?with_metadata=yes&with_provenance=yes", json=named)
    records = answer.get_json()

    assert [record["name"] for record in records] == ["f1.root", "f5.root"]
    assert records[1]["metadata"]["core.event_count"] == 50
    [parent] = metacat.post(f"{API}/files", json=records[1]["parents"]).get_json()
    assert parent["name"] == "f4.root"


def test_tasks_and_campaigns_are_datasets(metacat: FlaskClient) -> None:
    listed = metacat.get(f"{API}/datasets?with_counts=no").get_json()
    shown = metacat.get(f"{API}/dataset?dataset=nova:t1").get_json()
    counts = metacat.get(f"{API}/dataset_counts?dataset=nova:c").get_json()
    files = sequence(metacat.get(f"{API}/dataset_files?dataset=nova:t1&with_metadata=yes"))
    queried = sequence(metacat.post(f"{API}/query", data="datasets matching nova:t%"))

    assert [(one["namespace"], one["name"]) for one in listed] == [("nova", "c"), ("nova", "t1")]
    assert (shown["file_count"], counts["file_count"], len(files)) == (5, 5, 5)
    assert files[2]["metadata"] == METADATA
    assert [one["name"] for one in queried] == ["t1"]


def test_namespaces_are_those_of_files(metacat: FlaskClient) -> None:
    listed = metacat.get(f"{API}/namespaces").get_json()
    chosen = metacat.post(f"{API}/namespaces", json=["nova-reco", "else"]).get_json()

    assert [one["name"] for one in listed] == ["nova", "nova-reco"]
    assert [one["name"] for one in chosen] == ["nova-reco"]
    assert metacat.get(f"{API}/namespace?name=nova").get_json()["owner_role"] == "nova"


ERRORS = [
    ("GET", "file?did=nova:nope.root", None, 404),
    ("GET", "file", None, 400),
    ("GET", "file?did=nova:", None, 400),
    ("POST", "files", b"<html>", 400),
    ("POST", "files", b'[{"name": 3}]', 400),
    ("POST", "query", b"files from", 400),
    ("POST", "query", b"files from nova:nope", 404),
    ("POST", "query", b"\xff\xfe", 400),
    ("POST", "query?summary=keys", b"files", 400),
    ("POST", "query?save_as=nova:x", b"files", 403),
    ("GET", "dataset", None, 400),
    ("GET", "dataset?dataset=nova:nope", None, 404),
    ("GET", "namespace?name=nope", None, 404),
    ("GET", "categories", None, 404),
    ("POST", "declare_files?dataset=nova:x", b"[]", 403),
    ("GET", "remove_dataset/nova:t1", None, 403),
    ("GET", "add_child_dataset?parent=a:b&child=c:d", None, 403),
    ("POST", "update_file", b"{}", 403),
]


def test_errors_have_a_sentence(metacat: FlaskClient) -> None:
    for method, path, body, status in ERRORS:
        answer = metacat.open(f"{API}/{path}", method=method, data=body)

        assert (answer.status_code, answer.content_type) == (status, "application/json"), path
        assert answer.get_json()["message"].endswith("."), path


@pytest.mark.slow
def test_huge_questions_are_refused_at_once(metacat: FlaskClient) -> None:
    for query in ("(" * 10_000, "files where name = 'x" + "y" * 3_000_000, "parents(" * 10_000):
        start = time.process_time()
        answer = metacat.post(f"{API}/query", data=query)

        assert answer.status_code == 400
        assert len(answer.get_data()) < 500
        assert time.process_time() - start < 5


def test_reading_needs_a_token_where_the_operator_says_so(
    metacat: FlaskClient,
    service: Service,
    new_token: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = new_token()["Authorization"].removeprefix("Bearer ")
    monkeypatch.setitem(service.settings.__dict__, "reading", "token")
    refused = metacat.get(f"{API}/version")

    assert refused.status_code == 401
    assert "token" in refused.get_json()["message"]
    assert metacat.get(f"{API}/version", headers={"X-Authentication-Token": token}).data
    assert metacat.get(f"{API}/version", auth=("jobprov", token)).status_code == 200
