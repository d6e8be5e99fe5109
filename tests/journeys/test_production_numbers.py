"""The numbers of a production of 20,000 jobs on every page, against a count by hand.

The count is made from its records, on both databases.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from jobprov.app.factory import create_app
from jobprov.provenance.db.upkeep.housekeeping import refresh_statistics
from jobprov.provenance.services.intake.tokens import create_token
from tests.library.productions.large import Counts, LargeProduction

pytestmark = pytest.mark.slow

UNITS = ("expected", "produced", "running", "failed", "waived", "missing")


@pytest.fixture(scope="module")
def recorded(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FlaskClient, Counts]]:
    """Yield a client of the service that took the production over HTTP, in batches.

    With it comes what a count by hand says.
    """
    settings = {
        "JOBPROV_DATA": str(tmp_path_factory.mktemp("production")),
        "JOBPROV_DATABASE_URL": module_database_url,
        "JOBPROV_ARCHIVE_URL": "memory:",
    }
    app = create_app(settings)
    service = app.extensions["jobprov"]
    now = datetime.now(UTC)
    token = service.write(
        lambda writing: create_token(writing, experiment="nova", name="t", now=now)
    )
    headers = {"Authorization": f"Bearer {token}"}
    client, production = app.test_client(), LargeProduction(seed=2026)
    assert 19_500 < len(production.jobs) < 20_500
    batches = list(production.batches())
    half = len(batches) // 2
    for batch in batches[:half]:
        _send(client, headers, batch)
    for (
        task,
        declared,
    ) in production.tasks().items():  # declared when half of the records were there
        assert (
            client.put(f"/api/v1/tasks/{task}", json=declared, headers=headers).status_code == 201
        )
    for batch in batches[half:]:
        _send(client, headers, batch)
    for task, units in production.waived.items():
        waiver = {"units": units, "who": "Ada", "why": "the tape is gone"}
        assert (
            client.post(f"/api/v1/tasks/{task}/waivers", json=waiver, headers=headers).status_code
            == 201
        )
    if not service.database.is_sqlite:  # as `jobprov serve` does every ten seconds
        with service.database.writing.begin() as connection:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
        refresh_statistics(service.database)  # of what autovacuum has not looked at meanwhile
    yield client, production.counts()
    service.close()


def _send(client: FlaskClient, headers: dict[str, str], batch: list[dict[str, Any]]) -> None:
    answer = client.post("/api/v1/jobs/batch", json={"jobs": batch}, headers=headers)
    refused = [row for row in answer.get_json()["results"] if row["status"] >= 300]
    assert (answer.status_code, refused) == (200, [])


def _get(client: FlaskClient, address: str) -> Any:
    answer = client.get(f"/api/v1{address}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def _rows(client: FlaskClient, address: str) -> list[list[str]]:
    """Return the rows of all tables of a page, as their reader sees them; thin spaces left out."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    rows = re.findall(r"<tr.*?</tr>", answer.text, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)).replace("\u202f", "").strip() for cell in row]
        for row in cells
    ]


@pytest.mark.parametrize("stage", ["gen", "reco", "pid", "merge"])
def test_units_of_a_task(recorded: tuple[FlaskClient, Counts], stage: str) -> None:
    client, counts = recorded
    by_hand = counts.units[f"t-{stage}"]

    assert {name: _get(client, f"/tasks/t-{stage}")[name] for name in UNITS} == by_hand
    assert len(_get(client, f"/tasks/t-{stage}/missing")["missing"]) == by_hand["missing"]
    campaign = _get(client, "/campaigns/prod?experiment=nova")
    (units,) = [row["units"] for row in campaign["stages"] if row["stage"] == stage]
    assert {name: units[name] for name in UNITS} == by_hand
    row = next(row for row in _rows(client, "/campaigns/nova/prod") if row[:1] == [stage])
    assert row[1:5] == [
        str(by_hand[name]) for name in ("produced", "expected", "missing", "waived")
    ]
    report = next(row for row in _rows(client, "/reports/nova/prod") if row[:1] == [stage])
    assert report[1:5] == [
        str(by_hand[name]) for name in ("expected", "produced", "waived", "missing")
    ]
    for state in ("running", "failed"):
        assert f"{by_hand[state]} {state}" in report[5] or by_hand[state] == 0
    assert f"{by_hand['missing']} missing" in client.get(f"/tasks/t-{stage}").text.replace(
        "\u202f", ""
    )


def test_causes_of_failure(recorded: tuple[FlaskClient, Counts]) -> None:
    client, counts = recorded
    found = _get(client, "/statistics/errors?experiment=nova")

    assert (found["jobs"], found["failures"]) == (counts.over, counts.failures)
    said = Counter[tuple[Any, ...]]()
    for cause in found["causes"]:
        said[cause["failed_step"], cause["error_class"], cause["exit_code"], cause["signal"], cause["state"]] += cause["count"]  # fmt: skip
    assert said == counts.causes
    by_site = Counter[str]()
    for cause in _get(client, "/statistics/errors?experiment=nova&by=site")["causes"]:
        by_site[cause["by"] or ""] += cause["count"]
    assert by_site == counts.sites
    numbers = [row[0] for row in _rows(client, "/errors?experiment=nova")]
    assert str(max(counts.causes.values())) in numbers


def test_files_that_are_ready_for_the_next_stage(recorded: tuple[FlaskClient, Counts]) -> None:
    client, counts = recorded
    found = set()
    more: str | None = ""
    while more is not None:
        page = _get(client, f"/tasks/t-reco/ready?limit=1000{more}")
        found |= {file["name"] for file in page["files"]}
        more = f"&cursor={page['next']}" if page["next"] else None

    assert found == counts.ready


def test_what_jobs_and_modules_took(recorded: tuple[FlaskClient, Counts]) -> None:
    client, counts = recorded
    groups = _get(client, "/statistics/resources?experiment=nova")["groups"]

    assert {
        group["name"]: group["measures"]["wall_seconds"]["median"] for group in groups
    } == counts.wall
    (group,) = _get(client, "/statistics/modules?experiment=nova&stage=reco")["groups"]
    assert {row["label"]: (row["events"], row["seconds"]) for row in group["modules"]} == {
        label: (events, pytest.approx(seconds))
        for label, (events, seconds) in counts.modules.items()
    }


def test_samples_count_the_files(recorded: tuple[FlaskClient, Counts]) -> None:
    client, counts = recorded
    (sample,) = _get(client, "/samples?experiment=nova")["samples"]

    for cell in sample["cells"]:
        by_hand = counts.units[f"t-{cell['data_tier']}"]
        assert (cell["files"], cell["expected_files"]) == (by_hand["produced"], by_hand["expected"])
        assert cell["events"] == 100 * by_hand["produced"]


def test_the_graph_in_the_large_counts_all_jobs(recorded: tuple[FlaskClient, Counts]) -> None:
    client, counts = recorded
    graph = _get(client, "/campaigns/prod/graph?experiment=nova")
    by_state = Counter[str]()
    for node in graph["nodes"]:
        for state, count in (node.get("states") or {node.get("state"): node["jobs"]}).items():
            by_state[state] += count

    assert by_state["succeeded"] == sum(units["produced"] for units in counts.units.values())
    assert sum(by_state[state] for state in ("failed", "killed", "lost")) == counts.failures
