"""Names that nothing recorded has: each answer offers those that are spelled much like them."""

import pytest
from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.records import a_record

TASK = {"task_id": "reco-2026-11", "campaign": "spring-2026", "stage": "reco", "unit": "u1"}


@pytest.fixture
def recorded(client: FlaskClient) -> FlaskClient:
    """Return a service with one job of experiment nova."""
    put_job(client, a_record(1, task=TASK))
    return client


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/queue?experiment=nowa", ["nova"]),
        ("/arrivals?experiment=nowa", ["nova"]),
        ("/samples?experiment=nowa", ["nova"]),
        ("/alerts?experiment=nowa", ["nova"]),
        ("/rules/nowa", ["nova"]),
        ("/retry-policies/nowa", ["nova"]),
        ("/campaigns/spring-2026?experiment=nowa", ["nova"]),
        ("/estimate?files=3&experiment=nowa", ["nova"]),
        ("/estimate?files=3&campaign=spring-2025", ["spring-2026"]),
        ("/estimate?files=3&stage=recco", ["reco"]),
        ("/estimate?files=3&task_id=reco-2026-12", ["reco-2026-11"]),
    ],
)
def test_a_name_that_nothing_has_brings_names_like_it(
    recorded: FlaskClient, path: str, nearest: list[str]
) -> None:
    answer = recorded.get(f"/api/v1{path}")

    assert answer.status_code == 404, answer.text
    assert answer.get_json()["nearest"] == nearest


@pytest.mark.parametrize(
    ("filters", "detail"),
    [
        ("site=nowhere", "Nothing is recorded of site nowhere."),
        ("experiment=nova&site=nowhere", "Nothing is recorded of site nowhere of experiment nova."),
        ("host=nowhere", "Nothing to learn from: "),
    ],
)
def test_an_estimate_without_jobs_to_learn_from_says_why(
    recorded: FlaskClient, filters: str, detail: str
) -> None:
    answer = recorded.get(f"/api/v1/estimate?files=3&campaign=spring-2026&{filters}")

    assert answer.status_code == 404
    assert "nearest" not in answer.get_json()
    assert answer.get_json()["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/queue?experiment=nowa", "/queue?experiment=nova"),
        ("/arrivals?experiment=nowa&days=3", "/arrivals?experiment=nova&amp;days=3"),
        ("/samples/nowa", "/samples/nova"),
        ("/errors?experiment=nowa", "/errors?experiment=nova"),
        ("/resources?experiment=nowa", "/resources?experiment=nova"),
        ("/modules?experiment=nowa", "/modules?experiment=nova"),
        ("/throughput?experiment=nowa", "/throughput?experiment=nova"),
    ],
)
def test_a_page_leads_to_itself_with_the_near_name(
    recorded: FlaskClient, path: str, meant: str
) -> None:
    page = recorded.get(path)

    assert page.status_code == 404
    assert f'href="{meant}">nova</a>' in page.text
    assert recorded.get(meant.replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("page", ["errors", "resources", "modules", "throughput"])
def test_a_page_of_a_known_name_without_jobs_is_no_mistake(
    recorded: FlaskClient, page: str
) -> None:
    task = {"experiment": "nova", "campaign": "autumn", "stage": "gen", "units": 3}
    assert recorded.put("/api/v1/tasks/gen-1", json=task).status_code == 201

    of_campaign = recorded.get(f"/{page}?experiment=nova&campaign=autumn")
    mistyped = recorded.get(f"/{page}?experiment=nova&campaign=autum")

    assert of_campaign.status_code == 200
    assert mistyped.status_code == 404
    assert "Nothing is recorded of campaign autum of experiment nova." in mistyped.text
    assert f'href="/{page}?experiment=nova&amp;campaign=autumn">autumn</a>' in mistyped.text


def test_the_page_of_estimates_asks_whether_a_near_name_was_meant(recorded: FlaskClient) -> None:
    page = recorded.get("/estimate?files=3&campaign=spring-2025")

    assert page.status_code == 404
    assert "Nothing is recorded of campaign spring-2025. Did you mean spring-2026?" in page.text
