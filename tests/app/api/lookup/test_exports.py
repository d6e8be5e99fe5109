"""Jobs in other people's words, over HTTP."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.records import a_record


def exported(client: FlaskClient, form: str, **fields: Any) -> str:
    job = a_record(1, **fields)
    put_job(client, job)
    answer = client.get(f"/api/v1/jobs/{job['job_id']}/exports/{form}")
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        ("running", ["START"]),
        ("failed", ["START", "FAIL"]),
        ("killed", ["START", "ABORT"]),
        ("lost", ["START", "FAIL"]),
    ],
)
def test_events_of_a_job_have_an_end_only_where_it_ended(
    client: FlaskClient, state: str, kinds: list[str]
) -> None:
    told = exported(client, "openlineage", state=state).splitlines()

    assert [json.loads(event)["eventType"] for event in told] == kinds


def test_events_of_a_job_name_files_as_the_service_takes_them(client: FlaskClient) -> None:
    """A namespace that is an address, and a file of another experiment, stay what they are.

    A dataset of OpenLineage has such a namespace.
    """
    inputs = [
        {"name": "a", "namespace": "s3:%2F%2Fbucket%2F100%25"},
        {"name": "flux", "experiment": "beam"},
    ]

    told = exported(client, "openlineage", inputs=inputs, outputs=[{"name": "made"}]).splitlines()

    end = json.loads(told[1])
    assert [(file["namespace"], file["name"]) for file in end["inputs"] + end["outputs"]] == [
        ("s3://bucket/100%", "a"),
        ("beam", "flux"),
        ("nova", "made"),
    ]


def test_names_that_begin_or_end_with_marks_are_encoded_in_prov_n(client: FlaskClient) -> None:
    """The grammar has no local name that begins with `-` or `.`, or ends with `.`."""
    names = ["-.x", ".x.", "x-.y"]

    told = exported(client, "prov-n", outputs=[{"name": name} for name in names]).splitlines()

    entities = [
        line.partition("(")[2].partition(",")[0] for line in told if line.startswith("  entity(")
    ]
    assert entities == ["file:nova/%2D.x", "file:nova/%2Ex%2E", "file:nova/x-.y"]


def test_files_of_one_name_in_two_namespaces_or_experiments_are_two_entities(
    client: FlaskClient,
) -> None:
    inputs = [{"name": "a", "namespace": "raw"}, {"name": "a", "experiment": "beam"}]

    document = json.loads(exported(client, "prov-json", inputs=inputs, outputs=[{"name": "a"}]))

    [made] = document["wasGeneratedBy"].values()
    assert made["prov:entity"] == "file:nova/a"
    assert sorted(used["prov:entity"] for used in document["used"].values()) == [
        "file:beam/a",
        "file:nova/raw/a",
    ]
    assert len(document["entity"]) == 3
