"""Reading over HTTP: jobs, files, lineage, tasks, logs, configurations and more.

Bundles, verdicts and sightings are read as well.
"""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobprov.app.api import operations
from jobprov.app.api.lookup.jobs import last_lines
from jobprov.app.factory import create_app
from tests.library.answers import assert_problem, put_job
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record, sha256

LOG = b"".join(b"line %d\n" % number for number in range(30_000))
FCL = b"physics: { producers: { x: 1 } }\n"


@pytest.fixture
def recorded(client: FlaskClient) -> FlaskClient:
    """Return a client of a service with one job that has everything, made from another's output."""
    for content in (LOG, FCL):
        client.put(f"/api/v1/blobs/{sha256(content)}", data=content)
    first = a_record(2, outputs=[{"name": "a.root", "checksums": ["adler32:00000001"]}])
    second = a_record(
        task={"task_id": "t1", "campaign": "c", "stage": "reco", "unit": "u"},
        command={"argv": ["art", "-c", "x.fcl"]},
        environment={"variables": {"A": "b"}},
        exit={"code": 0},
        configurations=[
            {"step": "art", "main": "x.fcl", "files": [{"name": "x.fcl", "sha256": sha256(FCL)}]}
        ],
        logs=[
            {"name": "art.out", "sha256": sha256(LOG), "size_bytes": len(LOG)},
            {"name": "lost.out", "sha256": "0" * 64},
        ],
        inputs=[{"name": "a.root", "checksums": ["adler32:00000001"]}],
        outputs=[{"name": "größe 日本.root", "checksums": ["adler32:00000002"], "size_bytes": 5}],
    )
    for record in (first, second):
        put_job(client, record)
    return client


def read(client: FlaskClient, path: str) -> Any:
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.get_data(as_text=True)[:300]
    return answer.get_json()


def test_job_is_shown_with_its_record_as_sent(recorded: FlaskClient) -> None:
    shown = read(recorded, f"/jobs/{JOB}")

    assert shown["record"]["task"]["task_id"] == "t1"
    assert {
        "received_at",
        "witnesses",
        "contradictions",
        "grade",
        "gaps",
        "recipe_id",
        "revisions",
        "verdicts",
    } <= set(shown)
    assert_problem(recorded.get(f"/api/v1/jobs/{JOB}?witness=history"), 404)


def test_jobs_are_listed_page_by_page_newest_first(recorded: FlaskClient) -> None:
    first = read(recorded, "/jobs?limit=1")
    second = read(recorded, f"/jobs?limit=1&cursor={first['next']}")

    assert [first["jobs"][0]["job_id"], second["jobs"][0]["job_id"]] == [JOB, a_record(2)["job_id"]]
    assert second["next"] is None
    assert [
        job["job_id"]
        for job in read(recorded, "/jobs?task_id=t1&state=succeeded&exit_code=0")["jobs"]
    ] == [JOB]


def test_name_of_any_language_is_looked_up(recorded: FlaskClient) -> None:
    shown = read(recorded, "/files/größe%20日本.root")

    assert shown["producer"]["job_id"] == JOB
    assert [parent["name"] for parent in shown["parents"]] == ["a.root"]


def test_wrong_name_is_told_the_nearest(recorded: FlaskClient) -> None:
    problem = assert_problem(recorded.get("/api/v1/files/a.roo"), 404)

    assert "a.root" in problem["nearest"]


def test_part_of_a_name_is_told_the_names_that_hold_it(recorded: FlaskClient) -> None:
    problem = assert_problem(recorded.get("/api/v1/files/.ROO"), 404)

    assert "a.root" in problem["nearest"]
    assert "a.root" in recorded.get("/files/.ROO").text


@pytest.mark.parametrize("letter", ["%F4%8F%BF%BF", "%ED%9F%BF"])
def test_last_characters_of_all_are_asked_for_like_others(
    recorded: FlaskClient, letter: str
) -> None:
    assert_problem(recorded.get(f"/api/v1/files/abc{letter}"), 404)
    for page in (
        "/jobs",
        "/api/v1/jobs",
        "/api/v1/lineage/impact",
        "/api/v1/files/a.root/lineage",
        "/lineage/a.root",
    ):
        assert recorded.get(f"{page}?revision={letter}").status_code == 200


def test_name_that_two_experiments_know_needs_the_experiment(recorded: FlaskClient) -> None:
    recorded.put(
        f"/api/v1/jobs/{JOB}", json=a_record(experiment="minerva", outputs=[{"name": "a.root"}])
    )

    problem = assert_problem(recorded.get("/api/v1/files/a.root"), 300)

    assert {choice["experiment"] for choice in problem["choices"]} == {"minerva", "nova"}
    assert recorded.get("/api/v1/files/a.root?experiment=nova").status_code == 200


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        ("json", "application/json"),
        ("dot", "text/vnd.graphviz; charset=utf-8"),
        ("svg", "image/svg+xml; charset=utf-8"),
        ("prov-json", "application/json"),
        ("prov-n", "text/provenance-notation; charset=utf-8"),
        ("text", "text/plain; charset=utf-8"),
    ],
)
def test_lineage_comes_in_every_form(recorded: FlaskClient, form: str, content_type: str) -> None:
    answer = recorded.get(f"/api/v1/files/a.root/lineage?direction=descendants&format={form}")

    assert answer.status_code == 200
    assert answer.content_type == content_type
    assert "größe" in answer.get_data(as_text=True) or "\\u00f6" in answer.get_data(as_text=True)


def test_log_is_sent_whole_in_part_and_by_its_end(recorded: FlaskClient) -> None:
    path = f"/api/v1/jobs/{JOB}/logs/art.out"

    assert recorded.get(path).data == LOG
    assert recorded.get(path).content_type == "text/plain; charset=utf-8"
    assert recorded.get(path, headers={"Range": "bytes=-5"}).data == LOG[-5:]
    assert recorded.get(f"{path}?tail=2").data == b"line 29998\nline 29999\n"
    assert_problem(recorded.get(f"/api/v1/jobs/{JOB}/logs/lost.out"), 404)
    assert assert_problem(recorded.get(f"/api/v1/jobs/{JOB}/logs/x"), 404)["nearest"] == [
        "art.out",
        "lost.out",
    ]


def test_who_kept_a_log_is_sent_the_one_of_a_correction(client: FlaskClient) -> None:
    logs = (b"run 1\n", b"run 2\n")
    first, corrected = (a_record(logs=[{"name": "out", "sha256": sha256(log)}]) for log in logs)
    for log in logs:
        client.put(f"/api/v1/blobs/{sha256(log)}", data=log)
    put_job(client, first)
    path = f"/api/v1/jobs/{JOB}/logs/out"
    kept = {"If-None-Match": client.get(path).headers["ETag"]}

    assert client.get(path, headers=kept).status_code == 304
    client.post(f"/api/v1/jobs/{JOB}/revisions", json={"record": corrected, "reason": "mixed up"})
    assert client.get(path, headers=kept).data == b"run 2\n"


@pytest.mark.parametrize("lines", [1, 2, 9000, 29_999, 30_000, 90_000])
def test_last_lines_are_the_last_lines(lines: int) -> None:
    assert last_lines(io.BytesIO(LOG), len(LOG), lines) == b"".join(
        LOG.splitlines(keepends=True)[-lines:]
    )


def test_configuration_comes_as_files_expanded_and_evaluated(recorded: FlaskClient) -> None:
    path = f"/jobs/{JOB}/configurations/art"

    assert read(recorded, f"{path}?form=files")["files"][0]["text"] == FCL.decode()
    assert recorded.get(f"/api/v1{path}?form=expanded").data.strip() == FCL.strip()
    assert read(recorded, path)["values"]["physics"]["producers"]["x"]


def test_configuration_without_its_files_says_which_is_missing(client: FlaskClient) -> None:
    files = [{"name": "gone.fcl", "sha256": "0" * 64}]
    client.put(
        f"/api/v1/jobs/{JOB}",
        json=a_record(configurations=[{"step": "art", "main": "gone.fcl", "files": files}]),
    )

    assert (
        "gone.fcl"
        in assert_problem(client.get(f"/api/v1/jobs/{JOB}/configurations/art"), 409)["detail"]
    )


def test_bundle_is_the_same_bytes_each_time_and_says_its_digest(recorded: FlaskClient) -> None:
    first = recorded.get(f"/api/v1/jobs/{JOB}/bundle")
    content = first.data
    second = recorded.get(f"/api/v1/jobs/{JOB}/bundle")

    assert content == second.data
    assert int(first.headers["Content-Length"]) == len(content)
    assert "Content-Digest" not in first.headers
    assert second.headers["Content-Digest"].startswith("sha-256=:")
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert any(name.endswith("/data/run.sh") for name in tar.getnames())
    etag = first.headers["ETag"]
    assert (
        recorded.get(f"/api/v1/jobs/{JOB}/bundle", headers={"If-None-Match": etag}).status_code
        == 304
    )


def test_bundle_that_lists_what_is_to_be_fetched_is_a_plan_of_its_own(client: FlaskClient) -> None:
    url = "https://data.example.org/large.root"
    entry = {"name": "large.root", "location": url, "sha256": "0f" * 32, "size_bytes": 7 << 30}
    client.put(f"/api/v1/jobs/{JOB}", json=a_record(inputs=[entry]))

    plain = client.get(f"/api/v1/jobs/{JOB}/bundle")
    holey = client.get(f"/api/v1/jobs/{JOB}/bundle?holey=true")

    with tarfile.open(fileobj=io.BytesIO(holey.data)) as tar:
        listed = tar.extractfile(
            next(member for member in tar if member.name.endswith("/fetch.txt"))
        )
        assert listed is not None
        assert listed.read().decode() == f"{url} {7 << 30} data/inputs/files/large.root\n"
    assert holey.headers["ETag"] != plain.headers["ETag"]
    assert (
        client.get(f"/api/v1/jobs/{JOB}/bundle?holey=true").headers["ETag"] == holey.headers["ETag"]
    )
    assert client.get(f"/api/v1/jobs/{JOB}/bundle").data == plain.data


@pytest.mark.slow
def test_verdict_stays_with_the_job(recorded: FlaskClient) -> None:
    verdict = {"level": "R7", "comparisons": [{"output": "o.root", "level": "R7"}], "host": "wn1"}
    answer = recorded.post(f"/api/v1/jobs/{JOB}/verdicts", json=verdict)

    assert answer.status_code == 201
    assert read(recorded, f"/jobs/{JOB}")["verdicts"][0]["level"] == "R7"
    assert_problem(
        recorded.post(f"/api/v1/jobs/{JOB}/verdicts", json={"level": "R99"}), 422, "level"
    )
    assert_problem(recorded.post(f"/api/v1/jobs/{JOB}/verdicts", data=b"{"), 422)


@on_sqlite_alone
@pytest.mark.parametrize("level", ["R2", "R5~", "R7"])
@pytest.mark.parametrize("comparisons", [None, []])
def test_verdict_on_outputs_that_compared_none_is_refused(
    recorded: FlaskClient, level: str, comparisons: list[object] | None
) -> None:
    url = f"/api/v1/jobs/{JOB}/verdicts"

    refused = recorded.post(url, json={"level": level, "comparisons": comparisons})

    assert_problem(refused, 422, "comparisons")
    assert "if nothing was compared" in refused.get_json()["detail"]
    assert_problem(recorded.post(url, json={"level": "R1="}), 422, "level")
    assert read(recorded, f"/jobs/{JOB}")["verdicts"] == []


def test_task_is_declared_and_counted(recorded: FlaskClient) -> None:
    declaration = {"experiment": "nova", "stage": "reco", "campaign": "c", "units": ["u", "v"]}

    assert recorded.put("/api/v1/tasks/t1", json=declaration).status_code == 201
    assert recorded.put("/api/v1/tasks/t1", json=declaration).status_code == 200
    assert read(recorded, "/tasks/t1")["produced"] == 1
    assert [unit["unit"] for unit in read(recorded, "/tasks/t1/missing")["missing"]] == ["v"]
    assert_problem(recorded.put("/api/v1/tasks/t2", json={"units": 3}), 422, "experiment")


def test_task_goes_on_without_a_waived_unit(recorded: FlaskClient) -> None:
    recorded.put("/api/v1/tasks/t1", json={"experiment": "nova", "units": ["u", "v", "w"]})
    assert recorded.get("/api/v1/tasks/t1/missing?format=plain").text == "v\nw\n"
    assert recorded.get("/api/v1/tasks/t1/missing?format=sam").text == "file_name 'v','w'\n"
    waiver = {"units": ["v"], "who": "Ada", "why": "the tape is lost"}

    answer = recorded.post("/api/v1/tasks/t1/waivers", json=waiver)

    assert (answer.status_code, answer.json) == (
        201,
        {
            "task_id": "t1",
            "experiment": "nova",
            "unit_count": 1,
            "not_waived_count": 0,
            "not_waived": [],
        },
    )
    assert read(recorded, "/tasks/t1/missing") == {
        "missing": [{"unit": "w", "state": "not_submitted", "why": None}],
        "unnamed_count": 0,
    }
    assert_problem(
        recorded.post("/api/v1/tasks/t1/waivers", json={**waiver, "units": ["x"]}), 422, "units"
    )
    assert_problem(recorded.post("/api/v1/tasks/t9/waivers", json=waiver), 404)


def test_file_that_nobody_read_is_ready(recorded: FlaskClient) -> None:
    assert [file["name"] for file in read(recorded, "/tasks/t1/ready")["files"]] == [
        "größe 日本.root"
    ]
    assert recorded.get("/api/v1/tasks/t1/ready?format=plain").text == "größe 日本.root\n"
    assert_problem(recorded.get("/api/v1/tasks/t1/ready?cursor=x"), 422, "cursor")


def test_sighting_joins_a_file_to_the_job_that_made_it(recorded: FlaskClient) -> None:
    sighting = {
        "experiment": "nova",
        "name": "renamed.root",
        "locations": ["enstore:/pnfs/x"],
        "metadata": {"prov.job_id": JOB, "prov.output": "größe 日本.root"},
    }

    first, again = (
        recorded.post("/api/v1/files", json=sighting),
        recorded.post("/api/v1/files", json=sighting),
    )

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.get_json()["job_id"] == JOB
    assert_problem(recorded.post("/api/v1/files", json={"name": "x"}), 422, "experiment")


def test_what_is_no_time_is_refused_with_words_that_are_one(recorded: FlaskClient) -> None:
    refused = recorded.get("/api/v1/jobs?started_after=yesterday")

    assert_problem(refused, 422, "started_after")
    example = refused.get_json()["detail"].rpartition(" or ")[2].removesuffix(".")
    assert recorded.get(f"/api/v1/jobs?started_after={example}").status_code == 200


def test_a_task_that_another_experiment_has_is_not_said_to_be_unknown(
    recorded: FlaskClient,
) -> None:
    detail = recorded.get("/api/v1/tasks/t1?experiment=nobody").get_json()["detail"]

    assert detail == "No task t1 of experiment nobody was declared, and no job names it."


def test_plain_list_names_a_file_that_two_jobs_made_once(recorded: FlaskClient) -> None:
    """The next stage took each line for an input."""
    for number, unit in ((31, "a"), (32, "b")):
        job = a_record(
            number,
            task={"task_id": "twice", "unit": unit},
            inputs=[],
            outputs=[{"name": "twice.root"}],
        )
        assert recorded.put(f"/api/v1/jobs/{job['job_id']}", json=job).status_code == 201

    assert len(read(recorded, "/tasks/twice/ready")["files"]) == 2
    assert recorded.get("/api/v1/tasks/twice/ready?format=plain").text == "twice.root\n"


def test_search_finds_no_campaign_that_its_last_task_left(recorded: FlaskClient) -> None:
    """The hit led to a page that said nobody names the campaign."""
    for campaign in ("mistyped", "meant"):
        recorded.put(
            "/api/v1/tasks/moved", json={"experiment": "nova", "campaign": campaign, "stage": "gen"}
        )

    assert read(recorded, "/search?q=mistyped")["hits"] == []
    assert [hit["url"] for hit in read(recorded, "/search?q=meant")["hits"]] == [
        "/campaigns/nova/meant"
    ]


def test_search_and_file_find_a_did(recorded: FlaskClient) -> None:
    for number, namespace in enumerate(("raw-data", "usertests"), 71):
        output = {"name": "with-did.root", "namespace": namespace, "size_bytes": number}
        record = a_record(number, outputs=[output], configurations=[])
        assert recorded.put(f"/api/v1/jobs/{record['job_id']}", json=record).status_code == 201

    found = read(recorded, "/search?q=usertests:with")["hits"]
    assert [hit["text"] for hit in found] == ["usertests:with-did.root"]
    both = [hit["text"] for hit in read(recorded, "/search?q=with-did.root")["hits"]]
    assert both == ["raw-data:with-did.root", "usertests:with-did.root"]
    assert len(read(recorded, "/search?q=other:with")["hits"]) == 2, "of any, where it has none"
    file = read(recorded, "/files/usertests:with-did.root")["file"]
    assert (file["name"], file["namespace"]) == ("with-did.root", "usertests")
    unknown = recorded.get("/api/v1/files/other:a.root")
    assert (unknown.status_code, unknown.get_json()["nearest"]) == (404, ["a.root"])


def test_search_finds_what_a_name_could_mean(recorded: FlaskClient) -> None:
    assert any(hit["text"] == "a.root" for hit in read(recorded, "/search?q=a.root")["hits"])
    assert_problem(recorded.get("/api/v1/search"), 422, "q")
    assert_problem(recorded.get(f"/api/v1/search?q={'x' * 10_000}"), 422, "q")
    assert_problem(recorded.get("/api/v1/search?q=a&kind=people"), 422, "kind")
    assert read(recorded, "/search?q=%20%20")["hits"] == []
    assert recorded.get(f"/search?q={'%25' * 10_000}").status_code == 200


@pytest.mark.slow
def test_hook_is_one_file_and_is_kept_for_the_next_process_of_a_service(tmp_path: Path) -> None:
    app = create_app({"JOBPROV_DATA": str(tmp_path), "JOBPROV_ARCHIVE_URL": "memory:"})
    answer = app.test_client().get("/api/v1/hook/job-end-hook.pyz")
    content = answer.data
    [built] = (tmp_path / "hooks").iterdir()
    moment = built.stat().st_mtime_ns

    assert content.startswith(b"#!/usr/bin/env python3\n")
    assert answer.headers["ETag"].strip('"') == sha256(content)
    operations._built_hook.cache_clear()  # as in another process
    again = app.test_client().get("/api/v1/hook/job-end-hook.pyz").data

    assert again == content == built.read_bytes()
    assert built.stat().st_mtime_ns == moment


def test_metrics_count_requests_by_route(recorded: FlaskClient) -> None:
    text = recorded.get("/api/v1/metrics").get_data(as_text=True)

    labels = '{method="PUT",route="/api/v1/jobs/<job_id>",status="201"}'
    assert f"jobprov_request_seconds_count{labels} 2.0" in text
    assert read(recorded, "/ready")["status"] == "ready"


def test_impact_is_counted_listed_and_streamed(recorded: FlaskClient) -> None:
    answer = read(recorded, "/lineage/impact?file=a.root")

    assert (answer["jobs"], answer["touched"]) == (2, 2)
    rows = recorded.get("/api/v1/lineage/impact?file=a.root&format=csv").text.splitlines()
    assert rows[0] == "name,namespace,experiment,job_id,task_id,stage,is_direct,version"
    assert sorted(row.split(",")[0] for row in rows[1:]) == ["a.root", "größe 日本.root"]
    lines = recorded.get("/api/v1/lineage/impact?file=a.root&format=ndjson").text.splitlines()
    assert sorted(json.loads(line)["name"] for line in lines) == ["a.root", "größe 日本.root"]
    assert_problem(recorded.get("/api/v1/lineage/impact?format=csv"), 422, "revision", "file")
    assert_problem(recorded.get("/api/v1/lineage/impact?file=a.root&value=3"), 422, "value")


def test_lost_file_is_made_again_by_its_jobs_in_order(recorded: FlaskClient) -> None:
    plan = read(recorded, "/files/größe 日本.root/rebuild?lost=a.root")

    assert plan["is_possible"] is True
    assert [job["makes"] for job in plan["jobs"]] == [["a.root"], ["größe 日本.root"]]
    assert_problem(recorded.get("/api/v1/files/nothing/rebuild"), 404)


def test_campaign_is_told_stage_by_stage(recorded: FlaskClient) -> None:
    recorded.put(
        "/api/v1/tasks/t1",
        json={"experiment": "nova", "campaign": "c", "stage": "reco", "units": ["u", "v"]},
    )

    campaign = read(recorded, "/campaigns/c?experiment=nova")

    assert [(stage["stage"], stage["units"]["missing"]) for stage in campaign["stages"]] == [
        ("reco", 1)
    ]
    assert_problem(recorded.get("/api/v1/campaigns/none?experiment=nova"), 404)
    assert_problem(recorded.get("/api/v1/campaigns/c"), 422, "experiment")


def test_what_is_said_of_a_job_a_task_and_a_file_is_documented(recorded: FlaskClient) -> None:
    lines = (Path(__file__).parents[4] / "docs/reference/http.md").read_text(encoding="utf-8")
    words = lines.split("### A job in a few words")[1].split("###")[0]
    summary = read(recorded, "/jobs?limit=1")["jobs"][0]

    for name, value in summary.items():
        assert {name, *(value if isinstance(value, dict) else ())} <= set(
            re.findall(r"[a-z_]+", words)
        ), name
    for call, path in (
        ("jobs/{job_id}", f"/jobs/{JOB}"),
        ("tasks/{task_id}", "/tasks/t1"),
        ("files/{name}", "/files/a.root"),
    ):
        section = lines.split(f"### `GET /api/v1/{call}`\n")[1].split("\n#")[0]
        assert read(recorded, path).keys() - set(re.findall(r"[a-z_]+", section)) == set(), call


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("/files/a.rooot", "a.root"),
        (f"/jobs/{JOB[:-3]}fff", JOB),
    ],
)
def test_mistyped_name_is_told_what_is_spelled_like_it(
    recorded: FlaskClient, address: str, meant: str
) -> None:
    problem = assert_problem(recorded.get(f"/api/v1{address}"), 404)

    assert meant in problem["nearest"]
    page = recorded.get(address).text
    assert page.count(f">{meant}</a>") == 1


def test_mistyped_task_and_campaign_are_told_what_is_spelled_like_them(
    recorded: FlaskClient,
) -> None:
    task = {"task_id": "keepup-2026-01", "campaign": "spring-2026", "stage": "reco"}
    record = a_record(70, task=task)
    assert recorded.put(f"/api/v1/jobs/{record['job_id']}", json=record).status_code == 201

    for address, meant in (
        ("/tasks/kepup-2026-01", "keepup-2026-01"),
        ("/campaigns/nova/sprnig-2026", "spring-2026"),
    ):
        page = recorded.get(address)
        assert page.status_code == 404
        assert f">{meant}</a>" in page.text, address
        place = address.replace("/nova/", "/") + "?experiment=nova"
        assert assert_problem(recorded.get(f"/api/v1{place}"), 404)["nearest"] == [meant]


def test_name_that_only_another_experiment_has_is_not_offered_as_what_is_like_it(
    recorded: FlaskClient,
) -> None:
    problem = assert_problem(recorded.get(f"/api/v1/jobs/{JOB}?experiment=dune"), 404)

    assert JOB not in problem.get("nearest", [])
