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


def test_an_estimate_without_jobs_to_learn_from_offers_no_names(recorded: FlaskClient) -> None:
    answer = recorded.get("/api/v1/estimate?files=3&campaign=spring-2026&site=nowhere")

    assert answer.status_code == 404
    assert "nearest" not in answer.get_json()
    assert answer.get_json()["detail"].startswith("Nothing to learn from")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/queue?experiment=nowa", "/queue?experiment=nova"),
        ("/arrivals?experiment=nowa&days=3", "/arrivals?experiment=nova&amp;days=3"),
        ("/samples/nowa", "/samples/nova"),
    ],
)
def test_a_page_leads_to_itself_with_the_near_name(
    recorded: FlaskClient, path: str, meant: str
) -> None:
    page = recorded.get(path)

    assert page.status_code == 404
    assert f'href="{meant}">nova</a>' in page.text
    assert recorded.get(meant.replace("&amp;", "&")).status_code == 200


def test_the_page_of_estimates_asks_whether_a_near_name_was_meant(recorded: FlaskClient) -> None:
    page = recorded.get("/estimate?files=3&campaign=spring-2025")

    assert page.status_code == 404
    assert "Nothing is recorded of campaign spring-2025. Did you mean spring-2026?" in page.text
