"""Where reading needs a token, no page and no call answers without one, or to an upload ticket."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from jobprov.app.wiring import Service
from jobprov.provenance.services.intake.tokens import create_ticket, create_token
from tests.library.databases import on_sqlite_alone

PUBLIC = {
    "/api/v1/health",
    "/api/v1/ready",
    "/api/v1/metrics",
    "/metrics",
    "/api/v1/openapi.json",
    "/api/v1/hook/job-end-hook.pyz",
    "/api/v1/hook/job-start.sh",
    "/static/<path:filename>",
    "/login",  # these three say that nobody logs in here
    "/login/done",
    "/logout/done",
}


@pytest.fixture
def closed(app: Flask, service: Service) -> FlaskClient:
    object.__setattr__(service.settings, "reading", "token")
    return app.test_client()


def basic(secret: str) -> dict[str, str]:
    word = base64.b64encode(f"me:{secret}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


def read_rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]


def filled(rule: Rule) -> str:
    """Return an address of the route."""
    values: dict[str, Any] = {}
    for name in rule.arguments:
        values[name] = 1 if "int:" in rule.rule and f"int:{name}" in rule.rule else "a" * 64
    built = rule.build(values)
    assert built is not None
    return built[1]


def answering(app: Flask, client: FlaskClient, headers: dict[str, str]) -> set[str]:
    """Return the routes that answer a reader with these headers."""
    answered = set()
    for rule in read_rules(app):
        if client.get(filled(rule), headers=headers).status_code not in (401, 403):
            answered.add(rule.rule)
    return answered


@pytest.mark.slow
def test_no_route_answers_without_a_token(
    closed: FlaskClient, app: Flask, service: Service
) -> None:
    now = datetime.now(UTC)
    service.write(lambda writing: create_token(writing, experiment="e", name="r", now=now))

    assert answering(app, closed, {}) == PUBLIC


@on_sqlite_alone
@pytest.mark.slow
def test_no_route_answers_to_a_ticket(closed: FlaskClient, app: Flask, service: Service) -> None:
    now = datetime.now(UTC)
    service.write(lambda writing: create_token(writing, experiment="e", name="r", now=now))
    ticket, _ = service.write(
        lambda writing: create_ticket(writing, experiment="e", task_id="t", now=now)
    )

    assert answering(app, closed, basic(ticket)) == PUBLIC
    assert answering(app, closed, {"Authorization": f"Bearer {ticket}"}) == PUBLIC


def test_token_reads_pages_and_calls(closed: FlaskClient, service: Service) -> None:
    now = datetime.now(UTC)
    secret = service.write(lambda writing: create_token(writing, experiment="e", name="r", now=now))

    assert closed.get("/", headers=basic(secret)).status_code == 200
    answer = closed.get("/api/v1/reproduction", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
