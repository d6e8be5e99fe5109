"""Campaigns in the large over HTTP, as JSON, DOT and SVG.

Large ones are kept, and each box leads to its jobs.
"""

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient

from jobprov.provenance.services.kept_answers import kept_answers
from jobprov.provenance.services.statistics import campaign_graph
from tests.library.answers import assert_problem
from tests.library.markup import tight
from tests.library.records import a_record

GRAPH = "/api/v1/campaigns/prod%2F5/graph?experiment=nova"


@pytest.fixture
def recorded(client: FlaskClient, new_token: Callable[..., dict[str, str]]) -> FlaskClient:
    """Return a client of a service with five raw files' reconstruction, one of which failed."""
    token = new_token("nova")
    for number in range(1, 6):
        name = f"a{number}.root"
        raw = a_record(
            number,
            task={"task_id": "t1", "campaign": "prod/5", "stage": "raw"},
            outputs=[{"name": name}],
        )
        reco = a_record(
            100 + number,
            task={"task_id": "t2", "campaign": "prod/5", "stage": "reco"},
            inputs=[{"name": name}],
            state="failed" if number == 5 else "succeeded",
        )
        for record in (raw, reco):
            assert (
                client.put(
                    f"/api/v1/jobs/{record['job_id']}", json=record, headers=token
                ).status_code
                == 201
            )
    return client


def test_a_campaign_is_folded_in_every_form(recorded: FlaskClient) -> None:
    found = recorded.get(GRAPH).get_json()

    assert [(node["stage"], node["state"], node["jobs"]) for node in found["nodes"]] == [
        ("raw", "succeeded", 5), ("reco", "failed", 1), ("reco", "succeeded", 4),
    ]  # fmt: skip
    assert found["edges"] == [
        {"source": 0, "target": 1, "files": 1},
        {"source": 0, "target": 2, "files": 4},
    ]
    assert (found["is_current"], found["omitted"]) == (True, {"nodes": 0, "jobs": 0})
    jobs = recorded.get("/api/v1" + found["nodes"][2]["url"]).get_json()["jobs"]
    assert len(jobs) == 4
    alone = recorded.get(f"{GRAPH}&task_id=t1").get_json()
    assert [node["stage"] for node in alone["nodes"]] == ["raw"]
    dot = recorded.get(f"{GRAPH}&format=dot")
    assert dot.content_type.startswith("text/vnd.graphviz")
    assert '0 -> 2 [label="4 files"];' in dot.text
    # Our own
    assert ET.fromstring(recorded.get(f"{GRAPH}&format=svg").text).tag.endswith("svg")  # noqa: S314


def test_file_that_a_job_and_its_retry_read_was_made_once(
    recorded: FlaskClient, new_token: Callable[..., dict[str, str]]
) -> None:
    retry = a_record(
        205,
        task={"task_id": "t2", "campaign": "prod/5", "stage": "reco"},
        inputs=[{"name": "a5.root"}],
        outputs=[{"name": "b5.root"}],
        retry_of=a_record(105)["job_id"],
    )
    address = f"/api/v1/jobs/{retry['job_id']}"
    assert recorded.put(address, json=retry, headers=new_token("nova")).status_code == 201

    found = recorded.get(GRAPH).get_json()
    page = recorded.get("/campaigns/nova/prod/5/lineage").text

    assert sum(edge["files"] for edge in found["edges"] if edge["source"] == 0) == 6
    assert [(node["stage"], node["outputs"]) for node in found["nodes"]] == [
        ("raw", 5), ("reco", 0), ("reco", 1),
    ]  # fmt: skip
    assert tight(page).count('<td class="number roomy">5</td></tr>') == 1
    assert '<td class="number roomy">6</td></tr>' not in page


def test_folded_graph_is_found_by_the_name_of_the_campaign_alone(
    recorded: FlaskClient, new_token: Callable[..., dict[str, str]]
) -> None:
    folded = "/api/v1/lineage/folded?campaign=prod%2F5"
    assert recorded.get(folded).get_json()["nodes"] == recorded.get(GRAPH).get_json()["nodes"]
    assert recorded.get(f"{folded}&format=dot").text == recorded.get(f"{GRAPH}&format=dot").text
    assert_problem(recorded.get("/api/v1/lineage/folded"), 422, "campaign")
    assert_problem(recorded.get("/api/v1/lineage/folded?campaign=none"), 404)

    other = a_record(
        1, experiment="dune", task={"task_id": "t1", "campaign": "prod/5", "stage": "raw"}
    )
    recorded.put(f"/api/v1/jobs/{other['job_id']}", json=other, headers=new_token("dune"))
    several = recorded.get(folded)
    assert (
        several.status_code,
        [choice["experiment"] for choice in several.get_json()["choices"]],
    ) == (
        300,
        ["dune", "nova"],
    )
    assert len(recorded.get(f"{folded}&experiment=dune").get_json()["nodes"]) == 1


def test_what_is_not_there_or_not_meant_is_said(recorded: FlaskClient) -> None:
    assert_problem(recorded.get("/api/v1/campaigns/none/graph?experiment=nova"), 404)
    assert_problem(recorded.get(f"{GRAPH}&task_id=t1,t9"), 404)
    assert_problem(recorded.get("/api/v1/campaigns/prod%2F5/graph"), 422, "experiment")
    assert_problem(recorded.get(f"{GRAPH}&format=png"), 422, "format")


def test_a_large_campaign_is_answered_from_what_was_kept(
    recorded: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answers, "MOST_COUNTED_AT_ONCE", 3)
    first = recorded.get(GRAPH).get_json()
    monkeypatch.setattr(campaign_graph, "fold_tasks", None)  # must not count again

    second = recorded.get(GRAPH).get_json()

    assert second == first
    page = recorded.get("/campaigns/nova/prod/5/lineage").text
    assert "10 jobs in 2 stages; 1 failed." in page
