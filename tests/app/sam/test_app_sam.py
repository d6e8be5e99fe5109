"""What an unmodified samweb asks: its own calls, as data, and what it must be able to read.

Source: the calls of the official client, command by command.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from tests.library.answers import put_job
from tests.library.records import a_record, catalogued_chain, file_entry, job_id, record_of
from tests.library.servers.served_app import AppOn, answering_from

API = "/sam/nova/api"


def record_all(client: FlaskClient) -> None:
    """Record a chain of seven files, of one task, and one of another."""
    chain = catalogued_chain(7, run=1)
    for number, record in enumerate(chain, 1):
        record["outputs"][0]["location"] = f"root://store/f{number}.root"
    merge = a_record(
        8,
        task={"task_id": "t2", "campaign": "c", "stage": "merge"},
        inputs=[file_entry("f7.root", 8, 8), file_entry("f3.root", 4, 4)],
        outputs=[file_entry("merged.root", 99, 99, data_tier="ana")],
    )
    failed = record_of(9, state="failed", inputs=[], outputs=[file_entry("f3.root", 77, 77)])
    rerun = record_of(10, rerun_of=job_id(3), inputs=[], outputs=[file_entry("again.root", 78, 78)])
    for record in (*chain, merge, failed, rerun):
        put_job(client, record)


@pytest.fixture(scope="module")
def recorded(bare_app: Flask, module_service: Service) -> Service:
    """Return a service with all of it, once for all tests that only read."""
    with answering_from(bare_app, module_service) as app:
        record_all(app.test_client())
    return module_service


@pytest.fixture
def sam(app_on: AppOn, recorded: Service) -> FlaskClient:
    """Return a client of that service."""
    return app_on(recorded).test_client()


@pytest.fixture
def own_sam(client: FlaskClient) -> FlaskClient:
    """Return a client of a service with the same, for a test that changes it."""
    record_all(client)
    return client


def names(sam: FlaskClient, dimensions: str) -> list[str]:
    answer = sam.post(f"{API}/files/list?format=plain", data={"dims": dimensions})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return sorted(answer.get_data(as_text=True).split())


def f(*numbers: int) -> list[str]:
    return [f"f{number}.root" for number in numbers]


SELECTED = [
    ("file_name f3.root", f(3)),
    ("file_name f3.root, f5.root", f(3, 5)),
    ("file_name f%.root", f(0, 1, 2, 3, 4, 5, 6, 7)),
    ("file_name 'f?.root' and data_tier raw", f(2, 4, 6)),
    ("file_name F3.root", []),
    ("data_tier re%", f(1, 3, 5, 7)),
    ("data_tier reco and prov.task_id t1", f(1, 3, 5, 7)),
    ("data_tier != reco", [*f(2, 4, 6), "merged.root"]),
    ("not data_tier reco and file_name f%", f(0, 2, 4, 6)),
    ("event_count 20-40", f(2, 3, 4)),
    ("event_count > 50 and event_count <= 70", f(6, 7)),
    ("file_size 3", f(2)),
    ("file_size >= 99", ["merged.root"]),
    ("file_id 4", f(3)),
    ("create_date > 2030-01-01", []),
    ("end_time >= '2026-01-01T01:00:00' and data_tier raw", f(2, 4, 6)),
    (f"prov.job_id {job_id(3)}", f(3)),
    ("prov.campaign c and prov.stage merge", ["merged.root"]),
    ("prov.stage != reco", ["merged.root"]),
    ("prov.unit f4.root", f(4)),
    ("prov.host wn0", f(3, 6)),
    ("prov.site FN%", f(1, 2, 3, 4, 5, 6, 7)),
    ("application x and version v1", f(1, 2, 3, 4, 5, 6, 7)),
    ("version v2", []),
    ("POMS.SUBMISSION_ID t2", ["merged.root"]),
    ("defname: t2", ["merged.root"]),
    ("defname: c", [*f(1, 2, 3, 4, 5, 6, 7), "merged.root"]),
    ("project_name t2", f(3, 7)),
    ("project_name t1 and consumed_status co%", f(0, 1, 2, 3, 4, 5, 6)),
    ("project_name t1 and consumed_status failed", []),
    ("isparentof: (file_name merged.root)", f(3, 7)),
    ("ischildof: (file_name f3.root)", ["f4.root", "merged.root"]),
    ("isparentof: (isparentof: (file_name merged.root))", f(2, 6)),
    ("isancestorof: (file_name f3.root)", f(0, 1, 2)),
    ("isancestorof: (defname: t2) and data_tier raw", f(2, 4, 6)),
    ("isdescendantof: (file_name f5.root)", ["f6.root", "f7.root", "merged.root"]),
    ("defname: t1 minus isparentof: (defname: t2)", f(1, 2, 4, 5, 6)),
    ("data_tier raw union data_tier ana", [*f(2, 4, 6), "merged.root"]),
    ("defname: c intersect data_tier ana", ["merged.root"]),
    ("defname: t1 or data_tier ana", [*f(1, 2, 3, 4, 5, 6, 7), "merged.root"]),
    ("defname: t1 and (data_tier raw and event_count > 50 or event_count 10)", f(1, 6)),
    ("(data_tier raw or event_count 10) and not file_name f6.root", f(1, 2, 4)),
    ("defname: t1 with limit 2 offset 1", f(2, 3)),
    ("defname: t1 with stride 3", f(1, 4, 7)),
    ("defname: t1 with offset 5", f(6, 7)),
    ("(defname: t1 with limit 1) union (defname: t1 with stride 6 offset 0)", f(1, 7)),
    ("snapshot_for_project_name t1 minus (project_name t1 and consumed_status co%)", []),
    ("isparentof: (" * 3 + "file_name f3.root" + ")" * 3, f(0)),
]
HUGE = [
    ("isancestorof: (" * 10 + "file_name f3.root" + ")" * 10, []),
    ("(" * 40 + "file_name f3.root" + ")" * 40, f(3)),
    (" or ".join(f"event_count > {number}" for number in range(60, 400)), f(7)),
    (" minus ".join(["defname: t1"] + ["data_tier raw"] * 40), f(1, 3, 5, 7)),
    ("file_name " + ",".join(["nope"] * 9000 + ["f3.root"]), f(3)),
]


@pytest.mark.slow
def test_files_are_selected(sam: FlaskClient) -> None:
    for dimensions, expected in SELECTED:
        assert names(sam, dimensions) == expected, dimensions[:200]


@pytest.mark.slow
def test_the_largest_selections_are_answered(sam: FlaskClient) -> None:
    for dimensions, expected in HUGE:
        assert names(sam, dimensions) == expected, dimensions[:200]


@pytest.mark.slow
def test_files_are_counted(sam: FlaskClient) -> None:
    for dimensions, expected in SELECTED[::5]:
        counted = sam.post(f"{API}/files/count", data={"dims": dimensions})
        assert counted.get_data(as_text=True) == f"{len(expected)}\n", dimensions[:200]


@pytest.mark.slow
def test_dimensions_may_come_in_the_body(sam: FlaskClient) -> None:
    """The client sends what is longer than 1,024 characters by POST, the rest in the address."""
    dimensions = "file_name " + ",".join(["nope.root"] * 1000 + ["f3.root"])
    posted = sam.post(f"{API}/files/list?format=plain", data={"dims": dimensions})
    asked = sam.get(f"{API}/files/list", query_string={"dims": "file_name f3.root"})

    assert posted.get_data(as_text=True) == asked.get_data(as_text=True) == "f3.root\n"


def test_server_tells_of_itself(sam: FlaskClient) -> None:
    for path in (API, f"{API}/"):
        answer = sam.get(path)
        assert answer.status_code == 200
        assert answer.content_type.startswith("text/plain")
        assert "jobprov" in answer.get_data(as_text=True)


def test_files_come_with_sizes(sam: FlaskClient) -> None:
    query = {"dims": "file_name f3.root, f0.root", "fileinfo": "1"}
    plain = sam.get(f"{API}/files/list", query_string={**query, "format": "plain"})
    as_json = sam.get(f"{API}/files/list", query_string={**query, "format": "json"})
    lines = [line.split("\t") for line in plain.get_data(as_text=True).splitlines()]

    assert sorted(lines) == [["f0.root", lines[0][1], "1", "0"], ["f3.root", "4", "4", "30"]]
    assert {"file_name": "f3.root", "file_id": 4, "file_size": 4, "event_count": 30} in (
        as_json.get_json()
    )


def test_lists_are_json_where_asked(sam: FlaskClient) -> None:
    def listed(dimensions: str) -> Any:
        query = {"format": "json", "dims": dimensions}
        return sam.get(f"{API}/files/list", query_string=query).get_json()

    assert (listed("data_tier raw"), listed("data_tier none")) == (f(2, 4, 6), [])


def test_lists_are_sent_page_by_page(sam: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobprov.provenance.services.selections.files.PAGE", 3)
    query = {"format": "plain", "dims": "defname: t1"}
    answer = sam.get(f"{API}/files/list", query_string=query, buffered=False)
    parts = [part.decode().split() for part in answer.iter_encoded()]

    assert parts == [f(1, 2, 3), f(4, 5, 6), f(7)]
    as_json = sam.get(f"{API}/files/list", query_string={**query, "format": "json"})
    assert as_json.get_json() == f(1, 2, 3, 4, 5, 6, 7)


def test_files_are_summed(sam: FlaskClient) -> None:
    """Of f3.root, the file of the failed job counts nowhere."""
    expected = {"file_count": 7, "total_file_size": 35, "total_event_count": 280}

    for path in ("/files/summary?dims=defname:%20t1", "/definitions/name/t1/files/summary"):
        assert sam.get(API + path).get_json() == expected


def test_metadata_have_sams_words(sam: FlaskClient) -> None:
    shown = sam.get(f"{API}/files/name/f3.root/metadata?locations=1").get_json()
    by_id = sam.get(f"{API}/files/id/{shown['file_id']}/metadata?locations=1").get_json()
    basic = sam.get(f"{API}/files/name/f3.root/metadata?basic=1").get_json()
    plain = sam.get(f"{API}/files/name/f3.root/metadata?format=plain").get_data(as_text=True)

    assert (
        shown
        == by_id
        == {
            "file_name": "f3.root",
            "file_id": 4,
            "create_date": "2026-01-01T01:00:00+00:00",
            "group": "nova",
            "file_size": 4,
            "checksum": ["adler32:00000004"],
            "file_format": "artroot",
            "content_status": "good",
            "data_tier": "reco",
            "event_count": 30,
            "start_time": "2026-01-01T00:00:00+00:00",
            "end_time": "2026-01-01T01:00:00+00:00",
            "runs": [[1, 3, "physics"]],
            "application": {"name": "x", "version": "v1"},
            "DUNE.requestid": 4711,
            "prov.job_id": job_id(3),
            "prov.task_id": "t1",
            "prov.output": "f3.root",
            "prov.campaign": "c",
            "prov.stage": "reco",
            "prov.unit": "f3.root",
            "prov.host": "wn0",
            "prov.site": "FNAL",
            "parents": [{"file_name": "f2.root", "file_id": 3}],
            "locations": [
                {
                    "location": "root://store/f3.root",
                    "full_path": "root://store/f3.root",
                    "location_type": "disk",
                }
            ],
        }
    )
    assert not {"parents", "prov.job_id"} & basic.keys()
    assert "              File Name: f3.root\n" in plain
    assert "                  Group: nova\n" in plain
    assert "         Content Status: good\n" in plain
    assert "                Parents: f2.root\n" in plain


def test_metadata_of_many_leave_out_what_is_unknown(sam: FlaskClient) -> None:
    data = {"file_name": ["f3.root", "nope.root", "f0.root"], "file_id": ["5", "999999999999"]}
    shown = sam.post(f"{API}/files/metadata", data=data).get_json()

    assert sorted(file["file_name"] for file in shown) == f(0, 3, 4)


LINEAGE = [
    ("parents", "merged.root", ["f3.root", "f7.root"]),
    ("children", "f3.root", ["f4.root", "merged.root"]),
    ("ancestors", "f3.root", ["f2.root", ["f1.root", ["f0.root"]]]),
    ("descendants", "f6.root", ["f7.root", ["merged.root"]]),
    ("rawancestors", "merged.root", ["f0.root"]),
    ("parents", "f0.root", []),
]


def test_lineage_is_nested(sam: FlaskClient) -> None:
    def nested(files: list[dict[str, Any]]) -> list[Any]:
        shown: list[Any] = []
        for file in files:
            shown.append(file["file_name"])
            for member in ("children", "parents"):
                if file.get(member):
                    shown.append(nested(file[member]))
        return shown

    for kind, name, expected in LINEAGE:
        shown = sam.get(f"{API}/files/name/{name}/lineage/{kind}").get_json()
        assert nested(shown) == expected, (kind, name)


def test_locations_are_those_of_jobs_and_sightings(own_sam: FlaskClient) -> None:
    seen = {
        "experiment": "nova",
        "name": "f3.root",
        "size_bytes": 4,
        "checksums": ["adler32:00000004"],
        "locations": ["enstore:/pnfs/nova/f3.root"],
        "metadata": {"core.run_type": "mc"},
    }
    assert own_sam.post("/api/v1/files", json=seen).status_code == 201
    one = own_sam.get(f"{API}/files/name/f3.root/locations").get_json()
    many = own_sam.get(f"{API}/files/locations?file_name=f3.root&file_name=nope").get_json()

    assert [place["location"] for place in one] == [
        "enstore:/pnfs/nova/f3.root",
        "root://store/f3.root",
    ]
    assert many == {"f3.root": one}
    shown = own_sam.get(f"{API}/files/name/f3.root/metadata").get_json()
    assert (shown["core.run_type"], shown["DUNE.requestid"]) == ("mc", 4711)


def test_tasks_and_campaigns_are_definitions(sam: FlaskClient) -> None:
    def text(path: str) -> str:
        return sam.get(API + path).get_data(as_text=True)

    described = sam.get(f"{API}/definitions/name/t1/describe").get_json()

    assert text("/definitions/list?format=plain").split() == ["c", "t1", "t2"]
    assert text("/definitions/list?format=plain&defname=t%25").split() == ["t1", "t2"]
    assert (described["defname"], described["dimensions"]) == ("t1", "prov.task_id 't1'")
    assert "Definition Name: c\n" in text("/definitions/name/c/describe?format=plain")
    assert text("/definitions/name/t2/files/list?format=plain") == "merged.root\n"
    assert text("/definitions/name/c/files/count") == "8\n"


@pytest.mark.slow
def test_definitions_are_listed_by_who_declared_them_and_when(own_sam: FlaskClient) -> None:
    """As `samweb list-definitions --user … --after …` asks; nobody declared t1, t2 and c."""
    declared = own_sam.put("/api/v1/tasks/t3", json={"experiment": "nova", "units": ["u1"]})
    assert declared.status_code in (200, 201), declared.text
    user = own_sam.get(f"{API}/definitions/name/t3/describe").get_json()["username"]

    def listed(**parameters: str) -> list[str]:
        answer = own_sam.get(f"{API}/definitions/list", query_string=parameters)
        assert answer.status_code == 200, answer.text
        return answer.text.split()

    assert listed() == listed(group="nova") == ["c", "t1", "t2", "t3"]
    assert listed(user=user) == listed(after="2020-01-01", before="2100-01-01") == ["t3"]
    assert listed(user=user, defname="t1%") == []
    assert listed(user="somebody") == listed(before="2020-01-01") == listed(group="dune") == []


def test_posted_questions_are_not_answered_as_if_they_wrote(sam: FlaskClient) -> None:
    for call in ("list/locations", "validate_metadata"):
        answer = sam.post(f"{API}/files/{call}", data={"dims": "data_tier raw"})

        assert answer.status_code == 404
        assert answer.get_json()["message"] == (
            f"jobprov does not answer /files/{call} in place of SAM."
        )


def test_file_that_a_running_job_reads_is_delivered_wherever_it_is_asked_for(
    own_sam: FlaskClient,
) -> None:
    """As tools count it that ask for `consumed,failed,skipped,delivered`."""
    task = {"task_id": "t9", "campaign": "c", "stage": "later"}
    running = a_record(20, state="running", ended_at=None, task=task)
    put_job(own_sam, {**running, "inputs": [file_entry("f7.root", 8, 8)]})

    summary = own_sam.get(f"{API}/projects/name/t9/summary?format=json").get_json()

    assert {word for word, files in summary["file_counts"].items() if files} == {"delivered"}
    assert [process["counts"] for process in summary["processes"]] == [{"delivered": 1}]
    for status in ("delivered", "transferred", "consumed,failed,skipped,delivered", "d%"):
        assert names(own_sam, f"project_name t9 and consumed_status {status}") == f(7), status
    for status in ("consumed", "!= delivered", "!= transferred"):
        assert names(own_sam, f"project_name t9 and consumed_status {status}") == [], status


def test_task_is_a_project(sam: FlaskClient) -> None:
    summary = sam.get(f"{API}/projects/name/t2/summary?format=json&process_limit=1").get_json()
    plain = sam.get(f"{API}/projects/name/t1/summary?format=plain").get_data(as_text=True)
    recovery = sam.get(f"{API}/projects/name/t1/recovery_dimensions?format=plain")

    assert summary["files_in_snapshot"] == summary["file_counts"]["consumed"] == 2
    assert summary["process_counts"] == {"completed": 1, "running": 0, "bad": 0}
    assert summary["processes"] == [
        {
            "process_id": 8,
            "status": "completed",
            "process_desc": None,
            "node": None,
            "counts": {"consumed": 2},
        }
    ]
    assert "Project name: t1\n" in plain
    assert names(sam, recovery.get_data(as_text=True).strip()) == []


def test_tasks_are_listed_as_projects(sam: FlaskClient) -> None:
    def projects(query: str) -> list[str]:
        answer = sam.get(f"{API}/projects?format=plain{query}")
        assert answer.status_code == 200, answer.text
        return answer.text.split()

    assert projects("") == ["t1", "t2"]
    assert projects("&name=t%25&defname=t%25") == ["t1", "t2"]
    assert projects("&defname=t2&group=nova") == ["t2"]
    assert projects("&started_after=2026-01-02") == []
    assert projects("&ended_before=2026-01-02T00:00:00&name=t1") == ["t1"]
    assert projects("&user=nobody") == projects("&group=other") == projects("&snapshot_id=7") == []


@pytest.mark.parametrize(("dimensions", "expected"), SELECTED)
def test_expanded_dimensions_select_the_same(
    sam: FlaskClient, dimensions: str, expected: list[str]
) -> None:
    answer = sam.get(f"{API}/files/expand_query", query_string={"dims": dimensions})

    assert answer.json is not None
    assert list(answer.json) == ["query"]
    assert names(sam, answer.json["query"]) == sorted(expected)
    assert "defname" not in answer.json["query"]


def test_dump_tells_how_dimensions_are_read(sam: FlaskClient) -> None:
    dimensions = "defname: t1 and data_tier re% minus isparentof: (file_name 'f 7', f5.root)"
    for call, way in (("list", "parse_only"), ("count", "diagnostics"), ("summary", "diagnostics")):
        answer = sam.post(f"{API}/files/{call}?{way}=1", data={"dims": dimensions})

        assert answer.text.splitlines() == [
            "minus",
            "  all of",
            "    prov.task_id t1",
            "    data_tier re%",
            "  isparentof:",
            "    file_name 'f 7', f5.root",
        ]


ERRORS = [
    ("GET", "/files/expand_query?dims=bogus%203", 400, "DimensionError"),
    ("GET", "/files/expand_query?defname=nope", 404, "DefinitionNotFound"),
    ("GET", "/files/list?parse_only=1&dims=bogus%203", 400, "DimensionError"),
    ("GET", "/projects?started_after=soon", 400, "DimensionError"),
    ("GET", "/files/list?dims=bogus%203", 400, "DimensionError"),
    ("GET", "/files/list?dims=", 400, "DimensionError"),
    ("GET", "/files/count?dims=file_size%20abc", 400, "DimensionError"),
    ("GET", "/files/count?dims=file_name%20'a%00b'", 400, "DimensionError"),
    ("GET", "/files/count?dims=file_size%20nan", 400, "DimensionError"),
    ("GET", "/files/name/a%00b/metadata", 404, "FileNotFound"),
    ("GET", "/definitions/name/a%00b/describe", 404, "DefinitionNotFound"),
    ("GET", "/files/locations?file_id=" + "9" * 5000, 400, "DimensionError"),
    ("GET", "/projects/name/t1/summary?process_limit=many", 400, "DimensionError"),
    ("GET", "/files/count?dims=create_date%20soon", 400, "DimensionError"),
    ("GET", "/files/count?dims=prov.job_id%20x", 400, "DimensionError"),
    ("GET", "/files/count?dims=file_size%20%3C%20'" + "9" * 400 + "'", 400, "DimensionError"),
    (
        "GET",
        "/files/count?dims=" + "%20or%20".join(["isparentof:%20(file_id%203)"] * 45),
        400,
        "DimensionError",
    ),
    ("GET", "/files/list?dims=defname:%20nope", 404, "DefinitionNotFound"),
    ("GET", "/files/name/nope/metadata", 404, "FileNotFound"),
    ("GET", "/files/id/999999999999/metadata", 404, "FileNotFound"),
    ("GET", "/files/name/nope/lineage/parents", 404, "FileNotFound"),
    ("GET", "/files/name/f3.root/lineage/uncles", 404, "NotFound"),
    ("GET", "/files/locations?file_id=x", 400, "DimensionError"),
    ("GET", "/definitions/name/nope/describe", 404, "DefinitionNotFound"),
    ("GET", "/projects/name/c/summary", 404, "ProjectNotFound"),
    ("GET", "/nothing/here", 404, "NotFound"),
    ("POST", "/files", 403, "Forbidden"),
    ("PUT", "/files/name/f3.root/metadata", 403, "Forbidden"),
    ("POST", "/files/name/f3.root/locations", 403, "Forbidden"),
    ("POST", "/definitions/create", 403, "Forbidden"),
    ("DELETE", "/definitions/name/t1", 403, "Forbidden"),
    ("POST", "/startProject", 403, "Forbidden"),
]


@pytest.mark.slow
def test_errors_have_sams_form(sam: FlaskClient) -> None:
    for method, path, status, name in ERRORS:
        answer = sam.open(API + path, method=method)

        assert (answer.status_code, answer.content_type) == (status, "application/json"), path
        error = answer.get_json()
        assert error["error"] == name, path
        assert error["message"].endswith("."), path


def test_unknown_experiment_is_told(sam: FlaskClient) -> None:
    answer = sam.get("/sam/mars/api/files/count?dims=data_tier%20reco")

    assert answer.status_code == 404
    assert "mars" in answer.get_json()["message"]


@pytest.mark.slow
def test_huge_questions_are_refused_at_once(sam: FlaskClient) -> None:
    huge = {
        "1 MB": "file_name " + "a" * 1_100_000,
        "parentheses": "(" * 10_000,
        "quote": "file_name 'never ends" + "x" * 10_000,
        "values": "file_name " + "'a'," * 50_000,
    }
    for what, dimensions in huge.items():
        start = time.process_time()
        answer = sam.post(f"{API}/files/list?format=plain", data={"dims": dimensions})

        assert (answer.status_code, answer.get_json()["error"]) == (400, "DimensionError"), what
        assert len(answer.get_data()) < 500
        assert time.process_time() - start < 5, what


def test_what_takes_too_long_is_an_error_of_the_client(
    sam: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 5xx would have samweb ask again for hours."""
    monkeypatch.setattr("jobprov.provenance.services.selections.files._SECONDS", -1.0)
    monkeypatch.setattr("jobprov.provenance.db.connections.time_limits._OPERATIONS", 1)
    answer = sam.get(f"{API}/files/list?dims=isancestorof:%20(defname:%20c)")

    assert (answer.status_code, answer.get_json()["error"]) == (400, "DimensionError")
    assert "select fewer files" in answer.get_json()["message"]


@pytest.mark.slow
def test_reading_needs_a_token_where_the_operator_says_so(
    own_sam: FlaskClient,
    service: Service,
    new_token: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = new_token()["Authorization"].removeprefix("Bearer ")
    monkeypatch.setitem(service.settings.__dict__, "reading", "token")
    path = f"{API}/files/count?dims=data_tier%20raw"
    refused = own_sam.get(path)

    assert (refused.status_code, refused.get_json()["error"]) == (401, "Unauthorized")
    assert own_sam.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert own_sam.get(path, headers={"Authorization": f"Bearer {token}"}).data == b"3\n"
    assert own_sam.get(path, auth=("jobprov", token)).data == b"3\n"
    assert own_sam.get(f"{API}/nothing").status_code == 401
