"""The page of alerts, however much there is to show."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.web.frame.page import PAGE_BYTES
from jobprov.app.wiring import Service
from jobprov.provenance.db.queries.alerts.alerts import open_alerts
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.services.alerts.events import Found, begin_alerts, end_alerts
from jobprov.provenance.services.writing import Writing
from tests.library.markup import tight

RECEIVERS = [f"<b>receiver</b> {number:02} {'x' * 60}" for number in range(16)]


def begin_many(writing: Writing) -> None:
    """Have 120 alerts begin, and 60 of them be over."""
    key = intern_experiments(writing, {"nova"})["nova"]
    for rule in ("past", "now"):
        found = [
            Found(
                f"site {number}", f"<script>{'&' * 400}", f"/errors?site={number}&experiment=nova"
            )
            for number in range(60)
        ]
        begin_alerts(
            writing, key, found, rule=f"{rule} {'<' * 70}", condition="held", receivers=RECEIVERS
        )
        if rule == "past":
            standing = open_alerts(writing.connection, key)
            end_alerts(writing, key, standing, "it is over")


def test_rules_that_were_never_looked_at_do_not_say_that_all_is_well(
    app: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    service: Service = app.extensions["jobprov"]
    settings = replace(service.settings, alerts=tmp_path / "alerts.toml")
    app.extensions["jobprov"] = replace(service, settings=settings)

    page = client.get("/alerts").text

    assert "No rule has been looked at yet." in page
    assert "Nothing is wrong" not in page


@pytest.mark.slow
def test_page_stays_small_and_leads_to_the_rest(app: Flask, client: FlaskClient) -> None:
    service: Service = app.extensions["jobprov"]
    empty = client.get("/alerts")
    assert "No rule is declared, so nothing is looked at." in tight(empty.text)
    assert "names it in the setting <code>JOBPROV_ALERTS</code>" in tight(empty.text)
    service.write(begin_many)

    page = client.get("/alerts?experiment=nova")

    assert page.status_code == 200
    assert len(page.data) <= PAGE_BYTES
    assert "<script>&&" not in page.text
    assert "<b>receiver" not in page.text
    assert "and 12 more" in page.text
    alerts = client.get("/api/v1/alerts?limit=200").get_json()["alerts"]
    assert len(alerts) == 120
    assert {len(alert["deliveries"]) for alert in alerts} == {16}
    older = client.get("/api/v1/alerts?state=over&limit=50").get_json()
    rest = client.get(f"/api/v1/alerts?state=over&limit=50&cursor={older['next']}").get_json()
    assert (len(older["alerts"]), len(rest["alerts"]), rest["next"]) == (50, 10, None)
    assert client.get("/alerts?experiment=none").status_code == 404
