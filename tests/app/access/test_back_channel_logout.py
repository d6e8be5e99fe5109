"""A provider says that a session there is over: those of ours end, and nothing forged ends any."""

import base64
import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from jobprov.app.access import wrong_tokens
from jobprov.app.wiring import Service
from jobprov.provenance.services.intake.logout_tokens import MOST_AGE_SECONDS
from tests.library.databases import on_sqlite_alone
from tests.library.servers.logins import (
    CLIENT_ID,
    describe_provider,
    is_logged_in,
    log_in,
    login_file,
    take_logins,
)
from tests.library.servers.token_issuer import DISCOVERY, KEYS, TokenIssuer, token_issuer

ADDRESS = "/logout/back-channel"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
ADA = "ada@example.org"


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as made:
        describe_provider(made)
        yield made


@pytest.fixture
def web(service: Service, client: FlaskClient, issuer: TokenIssuer, tmp_path: Path) -> FlaskClient:
    """Return a client of pages on which people log in."""
    take_logins(service, login_file(tmp_path, issuer.url))
    return client


def claims_of(**claims: Any) -> dict[str, Any]:
    """Return the claims of a logout token as it should be, but for some."""
    now = int(time.time())
    return {
        "aud": CLIENT_ID,
        "sub": ADA,
        "sid": "there",
        "iat": now,
        "nbf": None,
        "exp": now + 120,
        "jti": os.urandom(8).hex(),
        "events": {EVENT: {}},
        "scope": None,
        "wlcg.ver": None,
        **claims,
    }


def logout_token(issuer: TokenIssuer, typ: Any = "logout+jwt", **claims: Any) -> str:
    return issuer.token(headers={"typ": typ}, **claims_of(**claims))


def send(app: Flask, token: str, **more: Any) -> TestResponse:
    """Send a logout token as a provider does: without a cookie."""
    return app.test_client().post(ADDRESS, data={"logout_token": token}, **more)


@pytest.mark.slow
def test_session_of_the_provider_ends_with_all_its_copies(
    web: FlaskClient, issuer: TokenIssuer, app: Flask
) -> None:
    other = app.test_client()
    log_in(web, issuer, sid="there")
    log_in(other, issuer, sid="elsewhere")
    cookie = web.get_cookie("jobprov")
    assert cookie is not None

    answer = send(app, logout_token(issuer))

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert not is_logged_in(web)
    thief = app.test_client()
    thief.set_cookie("jobprov", cookie.value)
    assert not is_logged_in(thief)
    assert is_logged_in(other)


@pytest.mark.slow
def test_session_is_known_without_its_person(
    web: FlaskClient, issuer: TokenIssuer, app: Flask
) -> None:
    log_in(web, issuer, sid="there")

    assert send(app, logout_token(issuer, sub=None)).status_code == 200

    assert not is_logged_in(web)


@pytest.mark.usefixtures("web")
def test_all_sessions_of_a_person_end_where_none_is_named(issuer: TokenIssuer, app: Flask) -> None:
    clients = [app.test_client() for _ in range(3)]
    for client, claims in zip(clients, ({"sid": "a"}, {}, {"sub": "bert"}), strict=True):
        log_in(client, issuer, **claims)

    assert send(app, logout_token(issuer, sid=None)).status_code == 200

    assert [is_logged_in(client) for client in clients] == [False, False, True]


def test_session_that_knows_no_session_there_ends_with_any_of_its_person(
    web: FlaskClient, issuer: TokenIssuer, app: Flask
) -> None:
    log_in(web, issuer)

    assert send(app, logout_token(issuer)).status_code == 200

    assert not is_logged_in(web)


@pytest.mark.parametrize("sid", [None, "there"])
def test_login_that_comes_later_stands(
    web: FlaskClient, issuer: TokenIssuer, app: Flask, sid: str | None
) -> None:
    now = int(time.time())
    send(app, logout_token(issuer, sid=sid, iat=now - 10))
    log_in(web, issuer, iat=now - 9, sid="new")
    assert is_logged_in(web)

    # One that was under way is not undone by an older one that comes late
    send(app, logout_token(issuer, sid=sid, iat=now - 20))
    assert is_logged_in(web)
    log_in(web, issuer, iat=now - 11, sid=sid)
    assert not is_logged_in(web)


def by_public_key(issuer: TokenIssuer) -> str:
    """Return a token whose HS256 signature is made with what everybody knows of the issuer's key."""
    public = issuer.private["first"].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = {"iss": issuer.url, **claims_of(nbf=0)}
    head = {"alg": "HS256", "kid": "first", "typ": "logout+jwt"}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (head, claims)]
    signed = b".".join(part.rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.digest(pem, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + signature).decode()


def unsigned(issuer: TokenIssuer) -> str:
    claims = {"iss": issuer.url, **claims_of(nbf=0)}
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "first"})


def of_a_thief(issuer: TokenIssuer) -> str:
    with token_issuer() as thief:
        return logout_token(thief, iss=issuer.url)


FORGERIES: dict[str, Callable[[TokenIssuer], str]] = {
    "aud": lambda issuer: logout_token(issuer, aud="another"),
    "aud:": lambda issuer: logout_token(issuer, aud=None),
    "claims": lambda issuer: logout_token(issuer, iss="https://elsewhere.example"),
    "iss": lambda issuer: logout_token(issuer, iss=None),
    "exp": lambda issuer: logout_token(issuer, exp=int(time.time()) - 120),
    "exp:": lambda issuer: logout_token(issuer, exp=None),
    "claims:": lambda issuer: logout_token(issuer, exp=float("inf")),
    "claims::": lambda issuer: logout_token(issuer, iat=float("inf")),
    "iat": lambda issuer: logout_token(issuer, iat=None),
    "iat:": lambda issuer: logout_token(issuer, iat=int(time.time()) + 600),
    "iat::": lambda issuer: logout_token(
        issuer, iat=int(time.time()) - MOST_AGE_SECONDS - 5, exp=int(time.time()) + 10**9
    ),
    "jti": lambda issuer: logout_token(issuer, jti=None),
    "jti:": lambda issuer: logout_token(issuer, jti=""),
    "claims:::": lambda issuer: logout_token(issuer, jti=5),
    "events": lambda issuer: logout_token(issuer, events=None),
    "events:": lambda issuer: logout_token(issuer, events={}),
    "events::": lambda issuer: logout_token(issuer, events=[EVENT]),
    "events:::": lambda issuer: logout_token(issuer, events={EVENT: "yes"}),
    "nonce": lambda issuer: logout_token(issuer, nonce="n"),
    "sub": lambda issuer: logout_token(issuer, sub=None, sid=None),
    "sid": lambda issuer: logout_token(issuer, sid=["there"]),
    "sid:": lambda issuer: logout_token(issuer, sid="x" * 2000),
    "typ": lambda issuer: logout_token(issuer, typ="at+jwt"),
    "alg": unsigned,
    "alg:": by_public_key,
    "signature": of_a_thief,
    "kid": lambda issuer: issuer.token(headers={"kid": "x"}, **claims_of()),
    "JWT": lambda _: "a.b.c",
    "longer": lambda _: "a" * 20_000,
}


@on_sqlite_alone
@pytest.mark.parametrize("problem", FORGERIES)
def test_token_that_is_not_right_ends_nothing(
    web: FlaskClient,
    issuer: TokenIssuer,
    app: Flask,
    problem: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_in(web, issuer, sid="there")

    with caplog.at_level(logging.WARNING, "jobprov.tokens"):
        refused = send(app, FORGERIES[problem](issuer))

    assert refused.status_code == 400, refused.text
    assert refused.json is not None
    assert refused.json["error"] == "invalid_request"
    assert problem.rstrip(":") in refused.json["error_description"]
    assert refused.headers["Cache-Control"] == "no-store"
    assert "A logout by the provider that failed from 127.0.0.1" in caplog.text
    assert is_logged_in(web)


def test_id_token_and_logout_token_do_not_pass_for_each_other(
    web: FlaskClient, issuer: TokenIssuer, app: Flask
) -> None:
    log_in(web, issuer, sid="there")
    id_token = issuer.documents["/token"]["id_token"]

    assert send(app, id_token).status_code == 400
    assert is_logged_in(web)
    assert log_in(web, issuer, nonce=None, events={EVENT: {}}, jti="j").status_code == 403


def test_token_counts_once(web: FlaskClient, issuer: TokenIssuer, app: Flask) -> None:
    token = logout_token(issuer, sid=None)

    assert send(app, token).status_code == 200
    log_in(web, issuer, iat=int(time.time()) + 5)
    replayed = send(app, token)

    assert replayed.status_code == 400
    assert replayed.json is not None
    assert "jti" in replayed.json["error_description"]
    assert is_logged_in(web)


@pytest.mark.usefixtures("web")
def test_type_need_not_be_said(issuer: TokenIssuer, app: Flask) -> None:
    for typ in (None, "JWT", "Logout+JWT", "application/logout+jwt"):
        assert send(app, logout_token(issuer, typ)).status_code == 200, typ


@pytest.mark.usefixtures("web")
def test_field_is_asked_for_once(issuer: TokenIssuer, app: Flask) -> None:
    token = logout_token(issuer)
    client = app.test_client()

    assert client.post(ADDRESS).status_code == 400
    assert client.post(ADDRESS, json={"logout_token": token}).status_code == 400
    assert client.post(ADDRESS, query_string={"logout_token": token}).status_code == 400
    assert client.post(ADDRESS, data={"logout_token": [token, token]}).status_code == 400
    assert client.get(ADDRESS).status_code == 405
    with_more = client.post(ADDRESS, data={"logout_token": token, "state": "x"})
    assert with_more.status_code == 200


@pytest.mark.usefixtures("web")
def test_huge_body_is_not_read(app: Flask) -> None:
    assert send(app, "a" * 70_000).status_code == 413
    assert send(app, "a" * (20 << 20)).status_code == 413


def test_many_wrong_tokens_are_slowed_and_right_ones_taken(
    web: FlaskClient, issuer: TokenIssuer, app: Flask
) -> None:
    log_in(web, issuer, sid="there")

    statuses = [send(app, "a.b.c").status_code for _ in range(wrong_tokens.MOST_A_MINUTE + 2)]

    assert statuses == [400] * wrong_tokens.MOST_A_MINUTE + [429] * 2
    assert send(app, logout_token(issuer)).status_code == 200
    assert not is_logged_in(web)


def test_page_of_another_site_ends_nothing(web: FlaskClient, issuer: TokenIssuer) -> None:
    """Even a browser that sent the session along could not use it here."""
    log_in(web, issuer, sid="there")

    assert web.post(ADDRESS, data={"logout_token": "a.b.c"}).status_code == 403
    assert is_logged_in(web)


def test_provider_whose_keys_are_away_is_told_that_it_failed(
    service: Service, app: Flask, issuer: TokenIssuer, tmp_path: Path
) -> None:
    take_logins(service, login_file(tmp_path, issuer.url))
    token = logout_token(issuer)
    issuer.documents[DISCOVERY] = {"issuer": issuer.url, "jwks_uri": issuer.url + KEYS + "x"}

    refused = send(app, token)

    assert refused.status_code == 400
    assert refused.json is not None
    assert refused.json["error"] == "temporarily_unavailable"


def test_logout_that_cannot_be_noted_can_come_again(
    web: FlaskClient, issuer: TokenIssuer, app: Flask, service: Service
) -> None:
    log_in(web, issuer, sid="there")
    token = logout_token(issuer)
    folder = service.settings.data / "ended-sessions"
    folder.write_text("no folder")

    failed = send(app, token)
    folder.unlink()

    assert failed.status_code == 400
    assert failed.json is not None
    assert failed.json["error"] == "server_error"
    assert send(app, token).status_code == 200
    assert not is_logged_in(web)


def test_nobody_is_logged_out_where_nobody_logs_in(app: Flask, issuer: TokenIssuer) -> None:
    assert send(app, logout_token(issuer)).status_code == 404


def test_session_of_before_the_upgrade_ends_too(
    web: FlaskClient, issuer: TokenIssuer, app: Flask
) -> None:
    log_in(web, issuer, sid="there")
    with web.session_transaction() as session:
        login = dict(session["login"])
        del login["issued"], login["provider_session"]
        session["login"] = login
    assert is_logged_in(web)

    assert send(app, logout_token(issuer, iat=int(time.time()) + 5)).status_code == 200

    assert not is_logged_in(web)
