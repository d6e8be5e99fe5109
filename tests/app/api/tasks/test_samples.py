"""Samples over HTTP, as JSON, as a page and as CSV."""

from collections.abc import Callable

from flask.testing import FlaskClient


def test_samples_are_the_same_in_every_form(
    client: FlaskClient, new_token: Callable[..., dict[str, str]]
) -> None:
    token = new_token("nova")
    declared = {
        "experiment": "nova",
        "campaign": "c",
        "stage": "reco",
        "units": 2,
        "outputs_per_unit": 1,
        "sample": "<FD>",
    }
    for task, more in (("t1", {"definition": "=fd_v1"}), ("t0", {"is_obsolete": True})):
        assert (
            client.put(
                f"/api/v1/tasks/{task}", json={**declared, **more}, headers=token
            ).status_code
            == 201
        )
    job = "00000000-0000-0000-0000-000000000001"
    record = {
        "schema_version": 1,
        "job_id": job,
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z",
        "task": {"task_id": "t1", "stage": "reco", "unit": "a"},
        "outputs": [{"name": "a.root", "size_bytes": 1, "event_count": 5}],
    }
    assert client.put(f"/api/v1/jobs/{job}", json=record, headers=token).status_code == 201

    found = client.get("/api/v1/samples?experiment=nova").get_json()
    (cell,) = found["samples"][0]["cells"]
    assert (cell["data_tier"], cell["files"], cell["expected_files"], cell["events"]) == (
        "reco",
        1,
        2,
        5,
    )
    assert [row["task_id"] for row in found["archived"]] == ["t0"]
    page = client.get("/samples/nova").text
    assert "1 sample in 1 data tier: 0 of 1 cell that expect files are complete." in page
    assert "<b>1 of 2</b> files" in page
    assert "&lt;FD&gt;" in page
    lines = client.get("/samples/nova?format=csv").text.splitlines()
    assert lines[1] == "<FD>,reco,'=fd_v1,,1,2,5,"
    assert client.get("/api/v1/samples?experiment=none").status_code == 404
    assert client.get("/samples/none").status_code == 404
    wrong = {**declared, "events_per_unit": -1}
    assert (
        "events_per_unit"
        in client.put("/api/v1/tasks/t2", json=wrong, headers=token).get_json()["errors"]
    )


def test_experiment_without_a_declared_task_has_a_page_that_says_so(
    client: FlaskClient, new_token: Callable[..., dict[str, str]]
) -> None:
    """The home page leads there from every experiment."""
    new_token("mine")

    page = client.get("/samples/mine")

    assert page.status_code == 200
    assert "No task was declared" in page.text
    assert client.get("/api/v1/samples?experiment=mine").status_code == 404
