"""The pages of recipes, their calls and their command, on jobs that should have come out alike."""

import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.markup import tight
from tests.library.records import a_record

DIGESTS = ("1" * 64, "2" * 64)


def _generated(number: int, content: str) -> dict[str, Any]:
    """A job of the one recipe; `content` is the digest of its output."""
    return a_record(
        number,
        command={"argv": ["gen", "-o", f"out{number}.root"]},
        seeds=[{"seed": 1}],
        software=[{"name": "gen", "revision": "1" * 40}],
        host={"hostname": f"wn{number}"},
        outputs=[{"name": f"out{number}.root", "content_digest": f"root-content-2:{content}"}],
    )


@pytest.fixture
def fleet(client: FlaskClient) -> FlaskClient:
    for number, content in enumerate((DIGESTS[0], DIGESTS[0], DIGESTS[1]), 1):
        record = _generated(number, content)
        put_job(client, record)
    return client


@pytest.mark.slow
def test_divergent_recipe_leads_from_the_list_to_what_differs(fleet: FlaskClient) -> None:
    [recipe] = fleet.get("/api/v1/recipes").get_json()["recipes"]
    listed, shown = (fleet.get(path).get_data(as_text=True) for path in ("/recipes", recipe["url"]))
    job = recipe["results"][0]["example"]["job_id"]

    assert recipe["url"] in listed
    assert "gave 2 different results" in shown
    assert "host.hostname" in shown
    assert recipe["recipe_id"] == fleet.get(f"/api/v1/jobs/{job}").get_json()["recipe_id"]
    assert f'href="{recipe["url"]}"' in fleet.get(f"/jobs/{job}").get_data(as_text=True)
    assert len(fleet.get(f"/api/v1/jobs?recipe_id={recipe['recipe_id']}").get_json()["jobs"]) == 3
    assert "3 jobs with recipe id" in fleet.get(f"/jobs?recipe_id={recipe['recipe_id']}").get_data(
        as_text=True
    )


def test_recipe_of_one_job_has_nothing_to_be_compared_with(client: FlaskClient) -> None:
    job = _generated(1, DIGESTS[0])
    put_job(client, job)
    recipe_id = client.get(f"/api/v1/jobs/{job['job_id']}").get_json()["recipe_id"]

    shown = client.get(f"/recipes/{recipe_id}").get_data(as_text=True)

    assert "1 job had this recipe, so no other result can be compared with its own." in shown


def test_twin_of_the_list_is_of_the_same_experiment(fleet: FlaskClient) -> None:
    """It named all recipes beside a page of one experiment."""
    page = fleet.get("/recipes?experiment=none-has-this-name").get_data(as_text=True)
    found = re.search(r'type="application/json" href="([^"]*)"', page)
    assert found is not None

    assert "they agree" in page
    assert fleet.get(unescape(found[1])).get_json()["recipes"] == []


def test_service_without_divergence_says_so(client: FlaskClient) -> None:
    assert "they agree" in client.get("/recipes").get_data(as_text=True)
    assert client.get("/recipes/nonsense").status_code == 422
    assert client.get(f"/recipes/r1:{'0' * 32}").status_code == 404


def verdict(level: str, **more: str) -> dict[str, Any]:
    """A verdict that compared one output."""
    return {"level": level, "comparisons": [{"output": "o.root", "level": level}], **more}


@pytest.mark.slow
def test_home_page_and_metrics_say_which_share_was_reproduced(fleet: FlaskClient) -> None:
    jobs = [job["job_id"] for job in fleet.get("/api/v1/jobs").get_json()["jobs"]]
    before = tight(fleet.get("/").get_data(as_text=True))
    fleet.post(f"/api/v1/jobs/{jobs[0]}/verdicts", json=verdict("R2", host="old"))
    fleet.post(f"/api/v1/jobs/{jobs[0]}/verdicts", json=verdict("R7", host="wn1", by="drill"))
    fleet.post(
        f"/api/v1/jobs/{jobs[0]}/verdicts", json={"level": "R0", "reason": "an input is gone"}
    )
    page = tight(fleet.get(f"/jobs/{jobs[0]}").get_data(as_text=True))

    assert "none rerun yet" in before
    assert fleet.get("/api/v1/reproduction").get_json() == {
        "recipes": 1,
        "drilled": 1,
        "reproduced": 0,
        "share": 0.0,
        "by_level": {"R0": 1},
        "by_age": [{"within_days": 30, "drilled": 1, "reproduced": 0}],
        "proofs": {"proven": 1, "failed": 0, "differs": 0, "unproven": 0},
    }
    assert "<b>0 %</b> of 1 recipe rerun" in tight(fleet.get("/").get_data(as_text=True))
    assert 'jobprov_recipes_rerun{level="R0"} 1.0' in fleet.get("/api/v1/metrics").get_data(
        as_text=True
    )
    assert re.search(r"<dt>Best</dt><dd><button[^>]*>R7</button>, bytes identical", page)
    assert re.search(r"<dt>Latest</dt><dd><button[^>]*>R0</button>, not run", page)
    assert "an input is gone" in page


@pytest.mark.slow
def test_first_page_counts_reruns_of_jobs_without_a_recipe(fleet: FlaskClient) -> None:
    """The page once said that none was run again, beside one that failed when it was."""
    record = a_record(9, software=[], command=None)
    put_job(fleet, record)
    address = f"/api/v1/jobs/{record['job_id']}"
    assert fleet.get(address).get_json()["recipe_id"] is None
    by_hand = fleet.post(f"{address}/verdicts", json=verdict("R7", host="home"))
    assert by_hand.status_code == 201
    assert fleet.get("/api/v1/reproduction").get_json()["drilled"] == 0
    failed = {"level": "R1", "by": "prove", "reason": "it ended with 1"}
    assert fleet.post(f"{address}/verdicts", json=failed).status_code == 201

    facts = fleet.get("/api/v1/reproduction").get_json()
    page = " ".join(fleet.get("/").get_data(as_text=True).split())

    assert (facts["recipes"], facts["drilled"], facts["by_level"]) == (2, 1, {"R1": 1})
    assert facts["proofs"] == {"proven": 0, "failed": 1, "differs": 0, "unproven": 1}
    assert "1 recipe failed or gave other outputs when jobprov last reran it" in page
    assert "<b>0 %</b> of 1 recipe rerun came out as recorded; 1 more is waiting." in page
    assert "Rerun by jobprov itself: 0 recipes proven, 1 failed, 0 gave other outputs" in page


@pytest.mark.slow
def test_stored_verdict_that_compared_nothing_counts_as_nothing(client: FlaskClient) -> None:
    """It was accepted while the job still ran, so that nobody knew how it would end."""
    record = _generated(1, DIGESTS[0])
    address = f"/api/v1/jobs/{record['job_id']}"
    client.put(address, json=record | {"state": "running", "witness": "wrapper"})
    assert client.post(f"{address}/verdicts", json={"level": "R7"}).status_code == 201

    assert client.put(address, json=record).status_code == 200

    facts = client.get("/api/v1/reproduction").get_json()
    assert (facts["drilled"], facts["reproduced"], facts["by_level"]) == (1, 0, {"none": 1})
    metrics = client.get("/api/v1/metrics").get_data(as_text=True)
    assert 'jobprov_recipes_rerun{level="none"} 1.0' in metrics
    page = tight(client.get(f"/jobs/{record['job_id']}").get_data(as_text=True))
    assert "<dt>Latest</dt><dd>none, compared nothing" in page
    assert "rerun was compared with nothing on" in page
    assert "reproduced byte for byte" not in page
    assert client.get(address).get_json()["best_verdict"]["level"] == "none"
    assert "compared nothing" in tight(client.get("/").get_data(as_text=True))


@pytest.mark.slow
def test_gaps_are_counted_on_the_pages_of_task_and_campaign(client: FlaskClient) -> None:
    for number in (1, 2):
        record = a_record(number, task={"task_id": "t1", "campaign": "c", "stage": "reco"})
        put_job(client, record)
    counted = client.get("/api/v1/gaps?campaign=c").get_json()

    assert counted["gaps"][0]["job_count"] == counted["job_count"] == 2
    for page in ("/tasks/t1", "/campaigns/nova/c"):
        text = tight(client.get(page).get_data(as_text=True))
        assert "how many of 2 jobs have it" in text
        assert "<code>command-missing</code>" in text
    assert client.get("/api/v1/gaps?colour=red").status_code == 422
