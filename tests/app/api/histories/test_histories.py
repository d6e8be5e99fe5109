"""Questions to histories over HTTP: every call answers, and bad input is named by its field."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobprov.provenance.records.openlineage.runs import read_event
from tests.library.answers import assert_problem, put_job
from tests.library.databases import on_sqlite_alone
from tests.library.records import a_record


def files(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "checksums": [f"adler32:{sum(name.encode()):08x}"], **more} for name in names
    ]


@pytest.fixture
def recorded(client: FlaskClient) -> FlaskClient:
    """Raw is made into two files, these into one; a circle of two.

    A file that is its own parent.
    """
    jobs = (
        a_record(
            1,
            outputs=files("raw"),
            resources={"wall_seconds": 5},
            task={"task_id": "t", "stage": "daq", "unit": "u"},
        ),
        a_record(
            2,
            inputs=files("raw", role="primary"),
            outputs=files("left"),
            task={"task_id": "r", "stage": "reco"},
        ),
        a_record(
            3, inputs=files("raw"), outputs=files("right"), task={"task_id": "r", "stage": "reco"}
        ),
        a_record(
            4,
            inputs=files("left", "right"),
            outputs=files("merged"),
            ended_at="2026-01-01T01:00:00Z",
        ),
        a_record(5, inputs=files("y"), outputs=files("x")),
        a_record(6, inputs=files("x"), outputs=files("y")),
        a_record(7, inputs=files("self"), outputs=files("self")),
    )
    for job in jobs:
        put_job(client, job)
    return client


def read(client: FlaskClient, path: str) -> Any:
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.get_data(as_text=True)[:300]
    return answer.get_json()


def test_the_past_says_what_is_told_as_it_is_today(recorded: FlaskClient) -> None:
    moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    before = read(recorded, f"/files/merged/lineage?direction=ancestors&as_of={moment}")
    job = a_record(
        4, inputs=files("left"), outputs=files("merged"), ended_at="2026-01-01T01:00:00Z"
    )
    corrected = {"record": job, "reason": "right was not read"}
    assert (
        recorded.post(f"/api/v1/jobs/{job['job_id']}/revisions", json=corrected).status_code == 201
    )

    after = read(recorded, f"/files/merged/lineage?direction=ancestors&as_of={moment}")
    page = recorded.get(f"/lineage/merged?as_of={moment}").text

    assert before["past"]["is_exact"]
    assert (after["past"]["is_exact"], after["past"]["changed_jobs"]) == (False, [job["job_id"]])
    assert "Of 1 job more was recorded since, which is shown." in page
    assert f'<a href="/jobs/{job["job_id"]}">' in page
    assert "past" not in read(recorded, "/files/merged/lineage")


def test_every_question_has_its_call(recorded: FlaskClient) -> None:
    assert [row["name"] for row in read(recorded, "/files/merged/roots")["files"]] == ["raw"]
    assert [row["name"] for row in read(recorded, "/files/raw/leaves?limit=1")["files"]] == [
        "merged"
    ]
    assert read(recorded, "/files/merged/cost")["made"]["jobs"] == 4
    assert len(read(recorded, "/lineage/paths?a=raw&b=merged")["paths"]) == 2
    assert [
        row["name"] for row in read(recorded, "/lineage/common?a=left&b=right&hub=2")["ancestors"]
    ] == ["raw"]
    assert read(recorded, "/lineage/orphans?isolated=true")["files"] == []
    shown = read(recorded, "/files/merged/lineage?direction=ancestors&stage=reco&kind=file")
    assert sorted(node["name"] for node in shown["nodes"]) == ["left", "merged", "right"]
    assert shown["omitted"]["hidden"] == 5


def test_a_job_that_read_two_contents_of_an_orphan_is_one_reader(client: FlaskClient) -> None:
    seen = [
        {"name": "raw", "checksums": [f"adler32:{place:08x}"], "role": "shared"} for place in (1, 2)
    ]
    for job in (a_record(1, inputs=seen), a_record(2, inputs=seen[:1])):
        put_job(client, job)

    [orphan] = read(client, "/lineage/orphans")["files"]

    assert (orphan["name"], orphan["reader_count"], orphan["is_shared"]) == ("raw", 2, True)


def test_all_ancestors_and_descendants_are_listed_with_the_jobs_that_made_them(
    recorded: FlaskClient,
) -> None:
    up, down = (
        read(recorded, f"/files/{path}") for path in ("merged/ancestors", "raw/descendants")
    )

    jobs = {
        name: a_record(number)["job_id"]
        for number, name in enumerate(("raw", "left", "right", "merged"), 1)
    }
    assert [(row["name"], row["job_id"]) for row in up["files"]] == [
        (name, jobs[name]) for name in ("left", "raw", "right")
    ]
    assert [row["name"] for row in down["files"]] == ["left", "merged", "right"]
    assert (up["file"]["name"], up["count"], up["is_truncated"]) == ("merged", 3, False)
    # A circle ends
    assert [row["name"] for row in read(recorded, "/files/x/ancestors")["files"]] == [
        "x",
        "y",
    ]
    assert read(recorded, "/files/raw/ancestors")["files"] == []


def test_lineage_is_exported_as_rows_and_as_events(recorded: FlaskClient) -> None:
    """What goes out as OpenLineage is read as it came in."""
    told = recorded.get(
        "/api/v1/files/merged/lineage?direction=ancestors&format=openlineage"
    ).get_data(as_text=True)
    events = [json.loads(line) for line in told.splitlines()]
    [last] = [
        event
        for event in events
        if event["run"]["runId"] == a_record(4)["job_id"] and event["eventType"] == "COMPLETE"
    ]
    assert len(events) == 8
    assert (last["eventTime"], [file["name"] for file in last["inputs"]]) == (
        "2026-01-01T01:00:00Z",
        ["left", "right"],
    )
    assert all(read_event(json.dumps(event).encode()) for event in events)

    rows = list(
        csv.DictReader(
            io.StringIO(
                recorded.get("/api/v1/files/merged/lineage?format=csv").get_data(as_text=True)
            )
        )
    )
    by_key = {row["key"]: row for row in rows}
    [merged] = [row for row in rows if row["name"] == "merged"]
    assert [by_key[key]["job_id"] for key in merged["from"].split()] == [a_record(4)["job_id"]]


@pytest.mark.parametrize("name", ["x", "self"])
def test_circles_in_what_clients_sent_are_answered(recorded: FlaskClient, name: str) -> None:
    for call in ("lineage", "lineage?kind=file", "roots", "leaves", "cost", "rebuild"):
        read(recorded, f"/files/{name}/{call}")
    for call in ("paths", "common"):
        read(recorded, f"/lineage/{call}?a={name}&b={name}")
    read(recorded, f"/lineage/impact?file={name}")


@on_sqlite_alone
@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/files/raw/lineage?depth=1000000000", 422, "depth"),
        ("/files/raw/lineage?kind=thing", 422, "kind"),
        ("/files/raw/lineage?state=odd", 422, "state"),
        ("/files/raw/lineage?as_of=yesterday", 422, "as_of"),
        ("/files/raw/lineage?colour=red", 422, "colour"),
        ("/files/raw/roots?limit=0", 422, "limit"),
        ("/files/raw/roots?cursor=x", 422, "cursor"),
        ("/lineage/paths?a=raw", 422, "b"),
        ("/lineage/common?a=raw&b=left&hub=0", 422, "hub"),
        ("/lineage/impact?revision=a..", 422, "revision"),
        ("/files/unheard/roots", 404, None),
        ("/lineage/paths?a=raw&b=unheard", 404, None),
        ("/files/merged/lineage?as_of=2001-01-01T00:00:00Z", 404, None),
        ("/lineage/impact?revision=a..b", 404, None),
    ],
)
def test_bad_input_is_answered_by_its_field(
    recorded: FlaskClient, path: str, status: int, field: str | None
) -> None:
    assert_problem(recorded.get(f"/api/v1{path}"), status, *([field] if field else []))


@pytest.mark.slow
def test_limit_of_a_file_with_very_many_parents(client: FlaskClient) -> None:
    """More inputs than a job may have are refused by name.

    So many parents as a record may name are drawn in part.
    """
    many = a_record(1, inputs=[{"name": f"i{n}"} for n in range(32_768)], outputs=files("wide"))
    assert_problem(client.put(f"/api/v1/jobs/{many['job_id']}", json=many), 422, "inputs")
    wide = a_record(2, outputs=files("wide", parents=[f"p{n}" for n in range(3000)]))
    put_job(client, wide)

    shown = read(client, "/files/wide/lineage?direction=ancestors")
    assert (len(shown["nodes"]), shown["is_truncated"], shown["omitted"]["by_kind"]["file"]) == (
        200,
        True,
        2802,
    )
    roots = read(client, "/files/wide/roots?limit=5")
    assert (roots["count"], len(roots["files"])) == (3000, 5)
    more = read(client, f"/files/wide/roots?limit=5&cursor={roots['next']}")
    assert len({file["name"] for file in roots["files"] + more["files"]}) == 10


def test_questions_are_asked_of_a_version_and_say_of_which(recorded: FlaskClient) -> None:
    again = a_record(
        8,
        outputs=[{"name": "left", "checksums": ["adler32:00000001"]}],
        ended_at="2026-01-02T00:00:00Z",
    )
    assert recorded.put(f"/api/v1/jobs/{again['job_id']}", json=again).status_code == 201

    for question, newest in (
        ("roots", 2),
        ("cost", 2),
        ("ancestors", 2),
        ("lineage", 2),
        ("leaves", None),
        ("descendants", None),
    ):
        answer = read(recorded, f"/files/left/{question}")
        assert (answer["version"], answer["versions"]) == (newest, 2), question
        assert read(recorded, f"/files/left/{question}?version=1")["version"] == 1
        refused = recorded.get(f"/api/v1/files/left/{question}?version=99")
        assert_problem(refused, 422, "version")
        assert "known: 1, 2" in refused.get_json()["detail"]
    assert [row["name"] for row in read(recorded, "/files/left/roots?version=1")["files"]] == [
        "raw"
    ]
    assert "This is about version 1 of 2." in recorded.get("/roots/left?version=1").text
    assert "This covers all 2 versions." in recorded.get("/leaves/left").text


def test_plan_of_a_circle_or_of_an_unknown_loss_says_why_it_cannot_be(
    recorded: FlaskClient,
) -> None:
    plan = read(recorded, "/files/x/rebuild?from_scratch=true")

    assert (plan["is_possible"], len(plan["circle"])) == (False, 2)
    assert plan["why"].startswith("These jobs read each other's outputs")
    assert "These jobs read each other" in recorded.get("/rebuild/x?from_scratch=1").text
    assert_problem(recorded.get("/api/v1/files/x/rebuild?lost=nosuch"), 422, "lost")


def test_events_of_a_history_name_the_experiment_of_each_job(client: FlaskClient) -> None:
    """The file that was asked for may be another experiment's than the jobs behind it."""
    flux = {"name": "flux", "checksums": ["adler32:00000001"]}
    jobs = (
        a_record(1, outputs=[flux], experiment="beam", ended_at="2026-01-01T01:00:00Z"),
        a_record(
            2,
            inputs=[{**flux, "experiment": "beam"}],
            outputs=files("made"),
            ended_at="2026-01-01T02:00:00Z",
        ),
    )
    for job in jobs:
        put_job(client, job)

    lines = client.get("/api/v1/files/made/lineage?format=openlineage").text.splitlines()

    namespaces = {
        event["run"]["runId"]: event["job"]["namespace"] for event in map(json.loads, lines)
    }
    assert namespaces == {jobs[0]["job_id"]: "beam", jobs[1]["job_id"]: "nova"}


@pytest.mark.slow
def test_events_of_a_history_make_the_same_graph_where_they_are_sent(client: FlaskClient) -> None:
    """Of two versions of a name each was read by one job.

    Without what tells them apart, both would be ancestors of both.
    """
    jobs = []
    for version in ("1", "2"):
        made = {"name": "v", "checksums": [f"adler32:0000000{version}"], "size_bytes": 5}
        jobs += [
            a_record(len(jobs) + 1, inputs=files(f"raw{version}"), outputs=[made]),
            a_record(len(jobs) + 2, inputs=[made], outputs=files(f"end{version}")),
        ]
    for job in jobs:
        put_job(client, job)

    for name in ("end1", "end2"):
        for line in client.get(
            f"/api/v1/files/{name}/lineage?format=openlineage"
        ).text.splitlines():
            assert client.post("/api/v1/lineage?experiment=dune", data=line).status_code in (
                200,
                201,
            )

    for name in ("end1", "end2"):
        assert edges_of(client, name, "dune") == edges_of(client, name, "nova")


def edges_of(client: FlaskClient, name: str, experiment: str) -> set[tuple[str, str, bool]]:
    graph = read(client, f"/files/{name}/lineage?experiment={experiment}")
    names = {node["key"]: node.get("job_id") or node["name"] for node in graph["nodes"]}
    return {
        (names[edge["source"]], names[edge["target"]], edge["is_sure"]) for edge in graph["edges"]
    }
