"""Callers are limited by the minute, are told so, and hooks and agents never are."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.access import minute_counts, rate_limits
from jobprov.app.access.minute_counts import MinuteCounts, network_of
from jobprov.app.access.wrong_tokens import MOST_A_MINUTE
from jobprov.app.wiring import Service
from jobprov.provenance.client import Client, transport
from jobprov.provenance.services.intake.tokens import Scope, create_ticket, create_token
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record
from tests.library.servers.served_app import served

NAMES, JOB_CALL = "/api/v1/names/experiments", f"/api/v1/jobs/{JOB}"
MOST = 3
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
Header = dict[str, str]


@pytest.fixture(autouse=True)
def few(service: Service, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit callers to three requests a minute, and begin to count."""
    object.__setattr__(service.settings, "requests_a_minute", MOST)
    monkeypatch.setitem(
        client.application.extensions, rate_limits._COUNTS, MinuteCounts("requests")
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets so many seconds go by."""
    passed = [1000.0]
    standing = SimpleNamespace(monotonic=lambda: passed[0])
    monkeypatch.setattr(minute_counts, "time", standing)

    def wait(seconds: float) -> None:
        passed[0] += seconds

    return wait


def token_with(service: Service, *scopes: Scope) -> Header:
    token = service.write(
        lambda writing: create_token(
            writing, experiment="nova", name="t", now=datetime.now(UTC), scopes=set(scopes)
        )
    )
    return {"Authorization": f"Bearer {token}"}


def test_caller_is_told_what_is_left_and_when_to_come_again(
    client: FlaskClient, clock: Callable[[float], None]
) -> None:
    answers = [client.get(NAMES, environ_base=ELSEWHERE) for _ in range(MOST)]
    clock(20)
    refused = client.get(NAMES, environ_base=ELSEWHERE)
    page = client.get("/jobs", environ_base=ELSEWHERE)
    clock(41)
    again = client.get(NAMES, environ_base=ELSEWHERE)

    assert [answer.status_code for answer in answers] == [200] * MOST
    assert answers[0].headers["RateLimit-Policy"] == '"requests";q=3;w=60'
    assert answers[0].headers["RateLimit"] == '"requests";r=2;t=60'
    assert_problem(refused, 429)
    assert refused.headers["Retry-After"] == "40"
    assert refused.headers["RateLimit"] == '"requests";r=0;t=40'
    assert page.status_code == 429
    assert page.content_type.startswith("text/html")
    assert again.status_code == 200


def test_client_waits_until_it_may_ask_again(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The headers are those of the service itself; only the waiting is not done."""
    monkeypatch.setattr(rate_limits, "is_loopback", lambda _: False)
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        app.extensions[rate_limits._COUNTS] = MinuteCounts("requests")

    monkeypatch.setattr(transport, "time", SimpleNamespace(sleep=wait))
    for address in served(app):
        client = Client(address)
        experiments = [list(client.jobs()) for _ in range(MOST + 1)]

    assert experiments == [[]] * (MOST + 1)
    assert len(pauses) == 1
    assert 50 < pauses[0] <= 60


def test_callers_are_told_apart(client: FlaskClient, service: Service) -> None:
    reader = token_with(service, Scope.READ)
    for _ in range(MOST + 1):
        last = client.get(NAMES, environ_base=ELSEWHERE)
    assert last.status_code == 429

    assert client.get(NAMES, environ_base={"REMOTE_ADDR": "192.0.2.8"}).status_code == 200
    by_token = client.get(NAMES, environ_base=ELSEWHERE, headers=reader)
    assert by_token.headers["RateLimit"].startswith('"requests";r=2;')


@pytest.mark.slow
def test_what_a_production_lives_by_is_not_limited(client: FlaskClient, service: Service) -> None:
    writers = [token_with(service, scope) for scope in (Scope.RECORD, Scope.RUN, Scope.ADMIN)]
    ticket, _ = service.write(
        lambda writing: create_ticket(
            writing, experiment="nova", task_id="t", now=datetime.now(UTC)
        )
    )
    writers.append({"Authorization": f"Bearer {ticket}"})
    asked: list[tuple[str, Header]] = [(NAMES, header) for header in writers]
    asked += [("/api/v1/health", {}), ("/api/v1/ready", {}), ("/api/v1/metrics", {})]
    asked += [("/sam/nova/api/files/list?dims=x", {}), ("/metacat/nova/data/version", {})]

    for address, header in asked:
        for _ in range(MOST + 2):
            answer = client.get(address, environ_base=ELSEWHERE, headers=header)
            assert answer.status_code != 429, address
            assert "RateLimit" not in answer.headers
    for _ in range(MOST + 2):
        record = client.put(JOB_CALL, json=a_record(), environ_base=ELSEWHERE, headers=writers[0])
        assert record.status_code in (200, 201)
    for _ in range(MOST + 2):
        assert client.get(NAMES).status_code == 200, "this machine itself"


@pytest.mark.slow
@on_sqlite_alone
def test_document_has_429_where_it_is_answered(client: FlaskClient) -> None:
    """Callers are over both limits here: of requests, and of wrong tokens."""
    document = client.get("/api/v1/openapi.json").get_json()
    wrong = {"Authorization": f"Bearer prov_1_{'x' * 43}"}
    for _ in range(MOST_A_MINUTE + 1):
        client.put(JOB_CALL, json=a_record(), headers=wrong, environ_base=ELSEWHERE)
        client.get(NAMES, environ_base=ELSEWHERE)
    documented, answered = set(), set()

    for path, item in document["paths"].items():
        for method in {"get", "put", "post"} & set(item):
            if "429" in item[method]["responses"]:
                documented.add((method, path))
            address = re.sub(r"{\w+}", JOB, path)
            answer = client.open(
                address, method=method, json={}, headers=wrong, environ_base=ELSEWHERE
            )
            if answer.status_code == 429:
                answered.add((method, path))
                told = set(answer.headers.keys())
    refusal = document["components"]["responses"]["TOO_MANY_REQUESTS"]

    assert documented == answered
    assert len(answered) > 70
    assert set(refusal["headers"]) == {"Retry-After", "RateLimit-Policy", "RateLimit"} <= told


def test_wrong_tokens_are_told_what_is_left(
    client: FlaskClient, clock: Callable[[float], None]
) -> None:
    wrong = {"Authorization": f"Bearer prov_1_{'x' * 43}"}

    first = client.put(JOB_CALL, json=a_record(), headers=wrong)
    for _ in range(MOST_A_MINUTE):
        last = client.put(JOB_CALL, json=a_record(), headers=wrong)
    clock(50)
    still = client.put(JOB_CALL, json=a_record(), headers=wrong)

    assert first.status_code == 401
    assert first.headers["RateLimit"] == f'"wrong-tokens";r={MOST_A_MINUTE - 1};t=60'
    assert last.status_code == 429
    assert still.headers["Retry-After"] == "10"


def test_limit_of_zero_is_none(client: FlaskClient, service: Service) -> None:
    object.__setattr__(service.settings, "requests_a_minute", 0)

    answers = [client.get(NAMES, environ_base=ELSEWHERE) for _ in range(MOST + 2)]

    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0].headers


def test_many_addresses_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minute_counts, "MOST_CALLERS", 5)
    counts = MinuteCounts("requests")

    for number in range(50):
        counts.count(f"192.0.2.{number}", MOST)
        newest = counts.count("192.0.2.250", MOST)

    assert len(counts._windows) <= 5
    assert newest.used <= 50


def test_addresses_of_one_home_are_one_caller() -> None:
    assert network_of("2001:db8:1:2::7") == network_of("2001:db8:1:2:9:9:9:9")
    assert network_of("2001:db8:1:2::7") != network_of("2001:db8:1:3::7")
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("?") == "?"
