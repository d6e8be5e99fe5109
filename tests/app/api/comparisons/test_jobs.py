"""Two jobs side by side over HTTP."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.library.answers import assert_problem, put_job
from tests.library.records import a_record, sha256

FCL = (b"physics: { x: 1 y: 2 }\n", b"physics: { x: 1\n y: 3 }\n")


@pytest.fixture
def recorded(client: FlaskClient) -> FlaskClient:
    """Return a client of a service that holds two jobs of one task."""
    for number, content in enumerate(FCL, 1):
        client.put(f"/api/v1/blobs/{sha256(content)}", data=content)
        files = [{"name": "x.fcl", "path": "job/x.fcl", "sha256": sha256(content)}]
        record = a_record(
            number,
            task={"task_id": "t1", "unit": "u"},
            configurations=[{"step": "art", "main": "x.fcl", "files": files}],
        )
        put_job(client, record)
    return client


def ids() -> tuple[str, str]:
    return a_record(1)["job_id"], a_record(2)["job_id"]


def test_the_parameter_that_differs_comes_with_file_and_line(recorded: FlaskClient) -> None:
    one, two = ids()

    found: Any = recorded.get(f"/api/v1/jobs/{one}/diff/{two}").get_json()

    assert (found["a"]["job_id"], found["b"]["job_id"], found["is_same"]) == (one, two, False)
    [row] = next(
        facet["differences"] for facet in found["facets"] if facet["name"] == "configuration"
    )
    assert (row["key"], row["before"], row["after"]) == ("physics.y", "2", "3")
    assert (row["origin_before"]["line"], row["origin_after"]["line"]) == (1, 2)


def test_jobs_to_compare_with_are_named(recorded: FlaskClient) -> None:
    one, two = ids()

    [group] = recorded.get(f"/api/v1/jobs/{one}/diff").get_json()["companions"]

    assert (group["why"], [job["job_id"] for job in group["jobs"]]) == ("attempt", [two])


def test_a_job_that_is_not_there_and_a_bad_limit_are_told(recorded: FlaskClient) -> None:
    one, _ = ids()

    assert_problem(recorded.get(f"/api/v1/jobs/{one}/diff/{a_record(9)['job_id']}"), 404)
    assert_problem(recorded.get(f"/api/v1/jobs/{one}/diff/{one}?limit=0"), 422)


def test_where_two_files_part_is_answered_over_http(client: FlaskClient) -> None:
    for number in (1, 2):
        record = a_record(
            number,
            task={"stage": "reco", "task_id": f"t{number}"},
            outputs=[{"name": f"{number}.root", "checksums": [f"adler32:0000000{number}"]}],
        )
        put_job(client, record)

    found: Any = client.get("/api/v1/lineage/diverge?a=1.root&b=2.root").get_json()

    assert (found["stage"], found["a"]["job_id"], found["b"]["job_id"]) == ("reco", *ids())
    assert_problem(client.get("/api/v1/lineage/diverge?a=1.root"), 422, "b")
    assert_problem(client.get("/api/v1/lineage/diverge?a=1.root&b=none"), 404)
