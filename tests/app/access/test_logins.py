"""The web login: who comes from the provider is who acts, and nothing else logs anybody in."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from jobprov.app.access import sessions
from jobprov.app.web.logins import page_here
from jobprov.app.wiring import Service
from jobprov.provenance.services.ledger.trail import show_trail
from tests.app.access.test_reading import PUBLIC, answering
from tests.library.databases import on_sqlite_alone
from tests.library.markup import tight
from tests.library.records import JOB, a_record
from tests.library.servers.logins import (
    CLIENT_ID,
    PAGE,
    SECRET,
    TOKEN,
    begin,
    come_back,
    describe_provider,
    id_token,
    is_logged_in,
    log_in,
    login_file,
    take_logins,
)
from tests.library.servers.token_issuer import DISCOVERY, KEYS, TokenIssuer, token_issuer

ADA = {"sub": "ada@example.org"}
PRODUCER = {"sub": "bert@example.org", "name": "Bert", "groups": ["/nova/production", "/else"]}
OPERATOR = {"sub": "cleo@example.org", "name": "Cleo", "groups": ["/nova/operators"]}
READER = {"sub": "dora@example.org", "name": "Dora", "groups": ["/mu2e"]}
NOBODY = {"sub": "eve@example.org", "name": "Eve", "groups": ["/else"]}
FAILED = {"state": "failed", "exit": {"code": 1}, "task": {"task_id": "t", "unit": "u1"}}
RULE = '[[rules]]\nname = "x"\nclass = "y"\nwords = "z"\nexit_code = [1]\n'
TRAIL = "/trail?experiment=nova"
Clock = Callable[[float], None]


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as made:
        describe_provider(made)
        yield made


@pytest.fixture
def web(service: Service, client: FlaskClient, issuer: TokenIssuer, tmp_path: Path) -> FlaskClient:
    """Return a client of pages on which people log in; a failed unit of a task is there."""
    assert client.put(f"/api/v1/jobs/{JOB}", json=a_record(**FAILED)).status_code == 201
    declared = {"experiment": "nova", "units": ["u1"]}
    assert client.put("/api/v1/tasks/t", json=declared).status_code == 201
    take_logins(service, login_file(tmp_path, issuer.url))
    return client


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a function that lets time pass, for sessions alone."""

    def pass_(seconds: float) -> None:
        now = time.time() + seconds
        monkeypatch.setattr(sessions.time, "time", lambda: now)

    return pass_


def form_token(client: FlaskClient, page: str = PAGE) -> str:
    found = re.search(r'name="form_token" value="(\w+)"', client.get(page).text)
    assert found is not None
    return found.group(1)


def waive(client: FlaskClient, **more: Any) -> Any:
    form = {
        "experiment": "nova",
        "task_id": "t",
        "unit": "u1",
        "confirmed": "1",
        "why": "its input is lost",
        "form_token": form_token(client),
        **more,
    }
    return client.post("/waive", data=form)


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("jobprov")
    return "" if cookie is None else cookie.value


def test_login_leads_to_the_provider_and_back_to_the_page(
    web: FlaskClient, issuer: TokenIssuer
) -> None:
    asked = begin(web, "/jobs?state=failed")
    answer = come_back(web, issuer, asked["state"], id_token(issuer, asked, **ADA))

    assert asked["response_type"] == "code"
    assert asked["client_id"] == CLIENT_ID
    assert asked["redirect_uri"] == "http://127.0.0.1/login/done"
    assert asked["code_challenge_method"] == "S256"
    assert (answer.status_code, answer.headers["Location"]) == (303, "/jobs?state=failed")
    [exchange] = map(parse_qs, issuer.posted)
    assert exchange["code"] == ["c"]
    assert len(exchange["code_verifier"][0]) >= 43
    page = web.get("/jobs").text
    assert "Ada Lovelace" in page
    assert "Log out" in page
    assert "Log in" not in page


def test_who_is_logged_in_decides_and_the_trail_says_so(
    web: FlaskClient, issuer: TokenIssuer, service: Service
) -> None:
    log_in(web, issuer, **PRODUCER)

    step = web.post(
        "/waive",
        data={
            "experiment": "nova",
            "task_id": "t",
            "unit": "u1",
            "do": "waive",
            "form_token": form_token(web),
        },
    )
    done = waive(web, who="somebody else")

    assert 'name="who"' not in step.text
    assert 'name="token"' not in step.text
    assert done.status_code == 303, done.text
    with service.reading() as connection:
        act = show_trail(connection, service.store, "nova", kind="waiver").acts[0]
    assert act.submitter == f"login bert@example.org of {issuer.url}"
    assert (act.who, act.why) == ("Bert", "its input is lost")
    assert (act.through, act.user, act.address) == ("page", "Bert", "127.0.0.1")


@pytest.mark.slow
def test_trail_is_shown_to_who_administers_the_experiment(
    web: FlaskClient, issuer: TokenIssuer
) -> None:
    log_in(web, issuer, **PRODUCER)
    waive(web)
    refused = web.get(TRAIL)
    frame = web.get("/").text

    log_in(web, issuer, **ADA)

    assert refused.status_code == 403
    assert 'href="/trail"' not in frame
    assert 'href="/trail"' in web.get("/").text
    assert 'href="/trail?experiment=nova"' in web.get("/trail").text
    shown = web.get(TRAIL).text
    assert "login bert@example.org of" in shown
    assert "page of Bert" in shown
    assert web.get("/api/v1/trail?experiment=nova").status_code == 200
    assert web.get("/trail?experiment=mu2e").status_code == 403
    assert web.get("/api/v1/trail?experiment=mu2e").status_code == 403


@pytest.mark.slow
@on_sqlite_alone
def test_each_role_may_do_what_it_is_for(web: FlaskClient, issuer: TokenIssuer) -> None:
    outcomes = {}
    for claims in (NOBODY, READER, PRODUCER, OPERATOR, ADA):
        log_in(web, issuer, **claims)
        form = {"experiment": "nova", "form_token": form_token(web)}
        rules = web.post("/rules", data={**form, "rules": RULE, "why": "w"})
        again = web.post("/rules/reclassify", data=form)
        retry = web.post("/retry", data={**form, "do": "order", "job": JOB, "why": "w"})
        trail = web.get(TRAIL)
        answers = (waive(web), retry, rules, again, trail)
        outcomes[claims["sub"][0]] = [answer.status_code for answer in answers]

    assert outcomes == {
        "e": [403, 403, 403, 403, 403],
        "d": [403, 403, 403, 403, 403],
        "b": [303, 303, 403, 403, 403],
        "c": [303, 303, 303, 303, 403],
        "a": [303, 303, 303, 303, 200],
    }


@on_sqlite_alone
def test_forms_are_offered_to_those_with_the_role_alone(
    web: FlaskClient, issuer: TokenIssuer
) -> None:
    pages = {
        "producer": (
            "/retry?experiment=nova&task_id=t",
            "/waive?experiment=nova&task_id=t&unit=u1",
        ),
        "operator": ("/rules?experiment=nova", "/rules?experiment=nova&edit=1"),
    }
    deciding = re.compile(r'value="(?:order|waive)"|Read them again<|Declare<|Change them<|"why"')

    for claims, roles in (READER, ()), (PRODUCER, ("producer",)), (OPERATOR, tuple(pages)):
        log_in(web, issuer, **claims)
        for role, addresses in pages.items():
            for address in addresses:
                page = web.get(address).text
                lack = f"This needs the role {role} of nova, which {claims['name']} does not have"
                assert (deciding.search(page) is not None) == (role in roles), address
                assert (lack in page) == (role not in roles), address


def test_nobody_logged_in_changes_nothing(web: FlaskClient) -> None:
    form = {"experiment": "nova", "rules": RULE, "who": "Eve", "why": "w", "token": "prov_1_x"}

    refused = web.post("/rules", data=form)

    assert refused.status_code == 401
    assert "WWW-Authenticate" not in refused.headers
    assert "Log in" in refused.text
    assert escape(RULE.strip()) in refused.text, "what was typed is not lost with the session"
    assert 'name="why" value="w"' in refused.text
    assert "logged in. Copy the rules before you log in" in tight(refused.text)
    assert f"/login?next={quote('/rules?experiment=nova&edit=1', safe='')}" in refused.text
    assert "prov_1_x" not in refused.text
    page = web.get("/rules?experiment=nova&edit=1").text
    assert "to change this" in page
    assert 'name="who"' not in page
    assert web.get(TRAIL).status_code == 401


def test_decision_typed_while_a_session_ended_is_kept_and_leads_to_the_login(
    web: FlaskClient,
) -> None:
    place = {"experiment": "nova", "task_id": "t", "why": "a long & good reason"}
    back = f"/login?next={quote('/retry?experiment=nova&task_id=t', safe='')}"

    order = web.post("/retry", data={**place, "do": "order", "job": JOB})
    waiver = web.post("/waive", data={**place, "unit": "u1", "confirmed": "1"})

    for refused in (order, waiver):
        assert refused.status_code == 401
        assert "This is for those who are logged in." in refused.text
        assert 'value="a long &amp; good reason"' in refused.text
        assert back in refused.text


@on_sqlite_alone
@pytest.mark.slow
def test_forms_of_other_pages_are_refused(
    web: FlaskClient, issuer: TokenIssuer, app: Flask
) -> None:
    log_in(web, issuer, **PRODUCER)
    other = app.test_client()
    log_in(other, issuer, **PRODUCER)

    assert waive(web, form_token="").status_code == 403
    assert waive(web, form_token=form_token(other)).status_code == 403
    assert web.post("/logout").status_code == 403
    assert is_logged_in(web)
    crossed = {"Origin": "https://elsewhere.example"}
    form = {"form_token": form_token(web)}
    assert web.post("/logout", data=form, headers=crossed).status_code == 403
    assert waive(web).status_code == 303


def test_every_posted_form_holds_the_token() -> None:
    templates = Path(__file__).parents[3] / "jobprov" / "app" / "templates"
    parts = (templates / "frame" / "_parts.html").read_text()
    bringing = ["form_token }}", "form_token()"]
    for name, body in re.findall(r"{% macro (\w+)\(.*?%}(.*?){%-? endmacro %}", parts, re.DOTALL):
        if "form_token()" in body:
            bringing.append(f"{name}(")
    bare = []
    for template in templates.glob("**/*.html"):
        for form in re.findall(r"<form[^>]*post.*?</form>", template.read_text(), re.DOTALL):
            if not any(part in form for part in bringing):
                bare.append(template.name)

    assert bare == []
    assert "task_form_fields(" in bringing


FORGERIES: dict[str, Callable[[TokenIssuer, dict[str, str]], Any]] = {
    "exp": lambda issuer, asked: id_token(issuer, asked, exp=int(time.time()) - 120),
    "nonce": lambda issuer, asked: id_token(issuer, asked, nonce="another"),
    "nonce:": lambda issuer, asked: id_token(issuer, asked, nonce=None),
    "aud": lambda issuer, asked: id_token(issuer, asked, aud="another"),
    "azp": lambda issuer, asked: id_token(issuer, asked, azp="another"),
    "azp:": lambda issuer, asked: id_token(issuer, asked, aud=[CLIENT_ID, "another"]),
    "iat": lambda issuer, asked: id_token(issuer, asked, iat=None),
    "claims": lambda issuer, asked: id_token(issuer, asked, iss="https://elsewhere.example"),
    "alg": lambda _, asked: _by_secret(asked),
    "alg:": lambda _, asked: jwt.encode(_claims(asked), "", algorithm="none"),
    "ID token": lambda *_: None,
    "JWT": lambda *_: "a.b.c",
    "kid": lambda issuer, asked: issuer.token(headers={"kid": "x"}, **_claims(asked)),
    "sub": lambda issuer, asked: id_token(issuer, asked, sub="x" * 300),
}


def _claims(asked: dict[str, str]) -> dict[str, Any]:
    now = int(time.time())
    return {"aud": CLIENT_ID, "nonce": asked["nonce"], "sub": "ada", "exp": now + 60, "iat": now}


def _by_secret(asked: dict[str, str]) -> str:
    """Return a token that is signed with the client's secret, as HS256 has it."""
    return jwt.encode(_claims(asked), SECRET * 2, algorithm="HS256", headers={"kid": "first"})


@on_sqlite_alone
@pytest.mark.parametrize("problem", FORGERIES)
def test_id_token_that_is_not_right_logs_nobody_in(
    web: FlaskClient, issuer: TokenIssuer, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = begin(web)

    with caplog.at_level(logging.WARNING, "jobprov.tokens"):
        refused = come_back(web, issuer, asked["state"], FORGERIES[problem](issuer, asked))

    assert refused.status_code == 403, refused.text
    assert problem.rstrip(":") in refused.text
    assert not is_logged_in(web)
    assert "A login that failed from 127.0.0.1" in caplog.text


def test_key_of_another_signs_nobody_in(web: FlaskClient, issuer: TokenIssuer) -> None:
    with token_issuer() as thief:
        asked = begin(web)
        forged = id_token(thief, asked, iss=issuer.url)
        refused = come_back(web, issuer, asked["state"], forged)

    assert refused.status_code == 403
    assert "signature" in refused.text


def test_answer_counts_once_and_only_where_it_was_asked(
    web: FlaskClient, issuer: TokenIssuer, app: Flask, later: Clock
) -> None:
    asked = begin(web)
    token = id_token(issuer, asked, **ADA)

    elsewhere = app.test_client()
    assert come_back(elsewhere, issuer, asked["state"], token).status_code == 403
    assert come_back(web, issuer, "x", token).status_code == 403
    assert come_back(web, issuer, asked["state"], token).status_code == 303
    assert come_back(web, issuer, asked["state"], token).status_code == 403
    assert not is_logged_in(elsewhere)
    slow = begin(elsewhere)
    later(sessions.ATTEMPT_SECONDS + 1)
    assert come_back(elsewhere, issuer, slow["state"], token).status_code == 403


def test_attempt_that_failed_is_over(web: FlaskClient, issuer: TokenIssuer) -> None:
    asked = begin(web)
    right, forged = id_token(issuer, asked, **ADA), id_token(issuer, asked, nonce="another")

    assert come_back(web, issuer, asked["state"], forged).status_code == 403
    assert come_back(web, issuer, asked["state"], right).status_code == 403
    assert not is_logged_in(web)


def test_login_that_failed_still_leads_to_the_page_that_was_wanted(
    web: FlaskClient, issuer: TokenIssuer, later: Clock
) -> None:
    again = f"/login?next={quote('/jobs?state=failed', safe='')}"
    asked = begin(web, "/jobs?state=failed")
    forged = come_back(web, issuer, asked["state"], id_token(issuer, asked, nonce="another"))
    asked = begin(web, "/jobs?state=failed")
    denied = web.get(f"/login/done?state={asked['state']}&error=access_denied")
    asked = begin(web, "/jobs?state=failed")
    later(sessions.ATTEMPT_SECONDS + 1)
    late = come_back(web, issuer, asked["state"], id_token(issuer, asked, **ADA))

    for refused in (forged, denied, late):
        assert refused.status_code == 403
        # by the frame and by the button
        assert refused.text.count(f'href="{again}"') == 2, refused.text


@pytest.mark.slow
def test_login_ends_what_was_begun_before_it(web: FlaskClient, issuer: TokenIssuer) -> None:
    before = begin(web)
    log_in(web, issuer, **ADA)

    late = come_back(web, issuer, before["state"], id_token(issuer, before, **PRODUCER))

    assert late.status_code == 403
    assert "Ada Lovelace" in web.get("/").text


def test_answer_of_another_provider_is_refused(web: FlaskClient, issuer: TokenIssuer) -> None:
    asked = begin(web)

    refused = web.get(f"/login/done?state={asked['state']}&code=c&iss=https://elsewhere.example")

    assert refused.status_code == 403
    assert issuer.posted == []


def test_refusal_of_the_provider_is_shown_as_text(web: FlaskClient) -> None:
    asked = begin(web)
    query = {"state": asked["state"], "error": "access_denied", "error_description": "<b>no</b>"}

    refused = web.get("/login/done", query_string=query)

    assert refused.status_code == 403
    assert "&lt;b&gt;no&lt;/b&gt;" in refused.text
    assert '<a class="button" href="/login?' in refused.text, "one can try again"


@on_sqlite_alone
@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://elsewhere.example",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "\\\\elsewhere.example",
        "/\t/elsewhere.example",
        "javascript:alert(1)",
        "jobs",
        "",
        "/jobs\r\nX: y",
        "/" + "x" * 600,
    ],
)
def test_login_leads_to_no_other_site(
    web: FlaskClient, issuer: TokenIssuer, elsewhere: str
) -> None:
    assert log_in(web, issuer, elsewhere, **ADA).headers["Location"] == "/"


def test_page_is_come_back_to_as_it_was_asked_for(web: FlaskClient, issuer: TokenIssuer) -> None:
    wanted = "/files/a%2Fb%20c?experiment=nova&x=1&x=2"
    page = web.get(wanted).text
    link = re.search(r'href="(/login\?next=[^"]+)"', page)
    assert link is not None
    query = dict(parse_qsl(urlsplit(unescape(link.group(1))).query))

    assert log_in(web, issuer, query["next"], **ADA).headers["Location"] == wanted


def test_too_many_groups_for_a_cookie_are_told(
    web: FlaskClient, issuer: TokenIssuer, service: Service, tmp_path: Path
) -> None:
    groups = [f"/nova/{number:096}" for number in range(30)]
    rows = "".join(f'[[allow.nova]]\ngroup = "{name}"\nrole = "reader"\n' for name in groups)
    take_logins(service, login_file(tmp_path, issuer.url, rows=rows))

    assert log_in(web, issuer, sub="x", groups=groups).status_code == 413
    assert log_in(web, issuer, sub="x", groups=groups[:19]).status_code == 303
    assert len(cookie_of(web)) < 4000
    assert is_logged_in(web)


def test_pages_of_the_site_are_led_to() -> None:
    for page in ("/", "/jobs?state=failed&x=%2F%2Fy", "/files/a%5Cb", "/reports/e/c"):
        assert page_here(page) == page


def test_session_of_before_the_login_is_worth_nothing_after_it(
    web: FlaskClient, issuer: TokenIssuer, app: Flask
) -> None:
    asked = begin(web)
    planted = cookie_of(web)
    come_back(web, issuer, asked["state"], id_token(issuer, asked, **ADA))
    first, first_token = cookie_of(web), form_token(web)
    log_in(web, issuer, **ADA)

    attacker = app.test_client()
    for worthless in (planted, first):
        attacker.set_cookie("jobprov", worthless)
        assert not is_logged_in(attacker)
    assert is_logged_in(web)
    assert planted != first != cookie_of(web)
    assert form_token(web) != first_token


def test_logout_ends_copies_of_the_session_too(
    web: FlaskClient, issuer: TokenIssuer, app: Flask, service: Service
) -> None:
    log_in(web, issuer, **ADA)
    copied = cookie_of(web)

    done = web.post("/logout", data={"form_token": form_token(web)})

    assert done.status_code == 303
    assert not is_logged_in(web)
    thief = app.test_client()
    thief.set_cookie("jobprov", copied)
    assert not is_logged_in(thief)
    assert web.get("/logout").status_code == 405
    [marker] = (service.settings.data / "ended-sessions").iterdir()
    assert copied not in marker.name
    os.utime(marker, (0, 0))
    log_in(web, issuer, **ADA)
    web.post("/logout", data={"form_token": form_token(web)})
    [newer] = (service.settings.data / "ended-sessions").iterdir()
    assert newer != marker


@pytest.mark.parametrize("end", [None, "/end?lang=en", "javascript:alert(1)"])
def test_logout_is_sent_to_the_provider_where_that_is_wanted(
    web: FlaskClient, issuer: TokenIssuer, service: Service, tmp_path: Path, end: str | None
) -> None:
    rules = login_file(tmp_path, issuer.url, "log_out_there = true")
    take_logins(service, rules, public_url="http://127.0.0.1")
    if end is not None:
        address = issuer.url + end if end.startswith("/") else end
        issuer.documents[DISCOVERY] = {
            **issuer.documents[DISCOVERY],
            "end_session_endpoint": address,
        }
    log_in(web, issuer, **ADA)

    done = web.post("/logout", data={"form_token": form_token(web)})

    assert not is_logged_in(web)
    assert done.status_code == 200
    assert "Log out" not in done.text
    # What is no https address is as good as none
    if end != "/end?lang=en":
        assert "Refresh" not in done.headers
        assert "there you may still be logged in" in tight(done.text)
        return
    seconds, _, there = done.headers["Refresh"].partition("; url=")
    assert seconds == "0"
    assert there.startswith(f"{issuer.url}/end?lang=en&")
    query = dict(parse_qsl(urlsplit(there).query))
    assert query["client_id"] == CLIENT_ID
    assert query["post_logout_redirect_uri"] == "http://127.0.0.1/logout/done"
    assert query["id_token_hint"] == issuer.documents[TOKEN]["id_token"]
    # Nothing of the login stays in the browser
    assert web.get_cookie("jobprov-id-token", path="/logout") is None
    assert web.get("/logout/done").status_code == 200


@pytest.mark.slow
def test_sessions_end_when_nobody_is_there_and_at_last(
    web: FlaskClient, issuer: TokenIssuer, later: Clock
) -> None:
    log_in(web, issuer, **ADA)
    began = time.time()
    for minutes in (100, 200, 300, 400, 500, 600, 700):
        later(began - time.time() + minutes * 60)
        assert is_logged_in(web), minutes
    later(began - time.time() + 721 * 60)
    assert not is_logged_in(web)


@pytest.mark.slow
def test_page_that_updates_itself_keeps_no_session_alive(
    web: FlaskClient, issuer: TokenIssuer, later: Clock
) -> None:
    log_in(web, issuer, **ADA)
    later(100 * 60)
    assert "Log out" in web.get("/", headers={"HX-Request": "true"}).text
    later(30 * 60)
    assert not is_logged_in(web)


def test_cookie_is_for_the_service_alone(
    web: FlaskClient, issuer: TokenIssuer, service: Service
) -> None:
    plain = log_in(web, issuer, **ADA).headers["Set-Cookie"]
    object.__setattr__(service.settings, "public_url", "https://jobprov.example.org")
    asked = web.get("/login", base_url="https://jobprov.example.org").headers["Set-Cookie"]

    assert plain.startswith("jobprov=")
    for part in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in plain
        assert part in asked
    assert "Secure" not in plain
    assert asked.startswith("__Host-jobprov=")
    assert "Secure" in asked
    assert "Domain" not in asked


def test_changed_cookie_is_worth_nothing(web: FlaskClient, issuer: TokenIssuer, app: Flask) -> None:
    log_in(web, issuer, **NOBODY)
    head, _, signature = cookie_of(web).partition(".")
    forger = app.test_client()
    forger.set_cookie("jobprov", f"{head[:-2]}xx.{signature}")

    assert not is_logged_in(forger)


def test_pages_drawn_for_somebody_are_not_kept(web: FlaskClient, issuer: TokenIssuer) -> None:
    log_in(web, issuer, **ADA)

    answer = web.get("/jobs")

    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


def test_closed_pages_are_read_by_those_with_a_role(
    web: FlaskClient, issuer: TokenIssuer, service: Service
) -> None:
    object.__setattr__(service.settings, "reading", "token")

    assert web.get("/jobs").status_code == 401
    assert web.get("/api/v1/jobs").status_code == 401
    log_in(web, issuer, **NOBODY)
    assert web.get("/jobs").status_code == 403
    assert web.get("/api/v1/jobs").status_code == 403
    log_in(web, issuer, **READER)
    assert web.get("/jobs").status_code == 200
    assert web.get("/api/v1/jobs").status_code == 200


@on_sqlite_alone
@pytest.mark.slow
def test_no_route_answers_to_who_has_no_role(
    web: FlaskClient, issuer: TokenIssuer, service: Service, app: Flask
) -> None:
    object.__setattr__(service.settings, "reading", "token")
    open_to_all = PUBLIC - {"/login/done"}

    assert answering(app, web, {}) == open_to_all
    log_in(web, issuer, **NOBODY)
    assert answering(app, web, {}) == open_to_all


def test_calls_that_change_something_take_no_session(web: FlaskClient, issuer: TokenIssuer) -> None:
    log_in(web, issuer, **ADA)

    refused = web.put("/api/v1/rules/nova", json={"rules": [], "who": "a", "why": "b"})

    assert refused.status_code == 401


def test_role_is_read_anew_each_time(
    web: FlaskClient, issuer: TokenIssuer, service: Service, tmp_path: Path
) -> None:
    log_in(web, issuer, **PRODUCER)
    rows = '[[allow.nova]]\ngroup = "/nova/production"\nrole = "reader"\n'

    take_logins(service, login_file(tmp_path, issuer.url, rows=rows))

    assert waive(web).status_code == 403


def test_provider_that_is_away_stops_nobody_else(web: FlaskClient, issuer: TokenIssuer) -> None:
    issuer.documents[DISCOVERY] = {"issuer": issuer.url, "jwks_uri": issuer.url + KEYS}

    answer = web.get("/login")

    assert answer.status_code == 503
    assert "authorization_endpoint" in answer.text
    assert web.get("/jobs").status_code == 200
    web.get("/login")
    assert issuer.count(DISCOVERY) == 1


def test_provider_that_fails_to_give_a_token_is_told_with_its_status(
    web: FlaskClient, issuer: TokenIssuer
) -> None:
    issuer.statuses[TOKEN] = 500

    answer = log_in(web, issuer)

    assert answer.status_code == 503
    assert f"{issuer.url}: it answered 500 when it was asked for a token" in answer.text


@pytest.mark.slow
def test_names_of_people_are_text(web: FlaskClient, issuer: TokenIssuer) -> None:
    log_in(web, issuer, sub="x", name="<b>Ada</b>\n\u202e")

    page = web.get("/").text

    assert "&lt;b&gt;Ada&lt;/b&gt;" in page
    assert "\u202e" not in page
