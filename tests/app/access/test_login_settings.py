"""Where people log in by a proxy's header; and what an operator can write wrongly."""

import logging
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix

from jobprov.app.access import visitors
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.intake.issuers import Claimed
from jobprov.provenance.services.intake.logins import Role, read_login_rules
from jobprov.provenance.services.ledger.trail import show_trail
from tests.app.access.test_logins import RULE
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record
from tests.library.servers.logins import ROWS, login_file, take_logins

PROXY = """
[proxy]
addresses = ["10.1.2.0/24", "::1"]
user_header = "X-Remote-User"
groups_header = "X-Remote-Groups"
name_header = "X-Remote-Name"
"""
CLEO = {
    "X-Remote-User": "cleo",
    "X-Remote-Groups": "/else, /nova/operators",
    "X-Remote-Name": "Cleo",
}
BY_PROXY = {"REMOTE_ADDR": "10.1.2.3"}


@pytest.fixture
def behind(service: Service, client: FlaskClient, tmp_path: Path) -> FlaskClient:
    """Return a client of pages behind a proxy that says who is logged in."""
    client.put(f"/api/v1/jobs/{JOB}", json=a_record())
    file = tmp_path / "login.toml"
    file.write_text(PROXY + ROWS, encoding="utf-8")
    take_logins(service, file)
    return client


def test_proxy_says_who_is_logged_in(behind: FlaskClient, service: Service) -> None:
    page = behind.get("/rules?experiment=nova", headers=CLEO, environ_base=BY_PROXY).text
    token = page.split('name="form_token" value="')[1].split('"')[0]
    form = {"experiment": "nova", "rules": RULE, "why": "w"}

    bare = behind.post("/rules", data=form, headers=CLEO, environ_base=BY_PROXY)
    done = behind.post(
        "/rules", data={**form, "form_token": token}, headers=CLEO, environ_base=BY_PROXY
    )

    assert "Cleo" in page
    assert "Log out" not in page
    assert bare.status_code == 403
    assert done.status_code == 303, done.text
    assert "Set-Cookie" not in done.headers
    with service.reading() as connection:
        act = show_trail(connection, service.store, "nova", kind="rules").acts[0]
    assert (act.submitter, act.who, act.user) == ("login cleo of the proxy", "Cleo", "Cleo")


def test_calls_that_change_something_take_no_name_from_the_proxy(behind: FlaskClient) -> None:
    body = {"rules": [], "who": "a", "why": "b"}

    changed = behind.put("/api/v1/rules/nova", json=body, headers=CLEO, environ_base=BY_PROXY)

    assert changed.status_code == 401
    assert behind.get("/api/v1/jobs", headers=CLEO, environ_base=BY_PROXY).status_code == 200


@pytest.mark.slow
@on_sqlite_alone
def test_header_from_elsewhere_is_ignored_and_logged(
    behind: FlaskClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(visitors._last_logged, "at", float("-inf"))
    with caplog.at_level(logging.WARNING, "jobprov.logins"):
        for _ in range(3):
            page = behind.get("/", headers=CLEO, environ_base={"REMOTE_ADDR": "10.1.3.3"}).text
            assert "Cleo" not in page

    assert caplog.text.count("X-Remote-User is ignored: it came from 10.1.3.3") == 1


@pytest.mark.slow
@on_sqlite_alone
def test_forwarded_address_is_not_taken_for_that_of_the_proxy(
    behind: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = behind.application
    monkeypatch.setattr(app, "wsgi_app", ProxyFix(app.wsgi_app))
    forged = {**CLEO, "X-Forwarded-For": "10.1.2.3"}

    stranger = behind.get("/", headers=forged, environ_base={"REMOTE_ADDR": "192.0.2.7"}).text
    client_of_proxy = {**CLEO, "X-Forwarded-For": "192.0.2.7"}
    reader = behind.get("/", headers=client_of_proxy, environ_base=BY_PROXY).text

    assert "Cleo" not in stranger
    assert "Cleo" in reader


@pytest.mark.slow
def test_nobody_logs_in_here_where_the_proxy_says_who_they_are(behind: FlaskClient) -> None:
    assert behind.get("/login").status_code == 404
    assert behind.get("/login/done").status_code == 404
    assert "Log in" not in behind.get("/").text


def test_without_the_setting_nothing_is_different(client: FlaskClient) -> None:
    page = client.get("/")

    assert "Log in" not in page.text
    # It tells what is new to somebody, and nothing of who that is
    assert [line.partition("=")[0] for line in page.headers.getlist("Set-Cookie")] == [
        "jobprov-visits"
    ]
    assert "Cache-Control" not in page.headers
    answer = client.get("/login")
    assert answer.status_code == 404
    assert "Nobody logs in here: JOBPROV_LOGIN names no provider." in answer.text
    client.put(f"/api/v1/jobs/{JOB}", json=a_record())
    assert 'name="who"' in client.get("/rules?experiment=nova&edit=1").text
    form = {"experiment": "nova", "rules": RULE, "who": "Ada", "why": "w"}
    assert client.post("/rules", data=form).status_code == 303


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (PROXY, "allow"),
        (PROXY + '[[allow.nova]]\nrole = "admin"\n', "allow.nova[0]"),
        (PROXY + '[[allow.nova]]\ngroup = "g"\nrole = "boss"\n', "role"),
        (PROXY + '[[allow.nova]]\ngroup = "g"\nscope = "x"\nrole = "admin"\n', "scope"),
        (PROXY + '[[allow."no va"]]\ngroup = "g"\nrole = "admin"\n', "experiment"),
        (PROXY.replace("10.1.2.0/24", "10.1.2.3/24") + ROWS, "proxy.addresses"),
        (ROWS, "provider"),
        (PROXY + '[provider]\nissuer = "https://x"\nclient_id = "c"\n' + ROWS, "provider"),
        ('[provider]\nissuer = "http://x.example"\nclient_id = "c"\n' + ROWS, "issuer"),
        ('[provider]\nissuer = "https://x"\n' + ROWS, "client_id"),
        ('[provider]\nissuer = "https://x"\nclient_id = "c"\nscopes = []\n' + ROWS, "scopes"),
        (
            '[provider]\nissuer = "https://x"\nclient_id = "c"\nsecret_file = "/none"\n' + ROWS,
            "secret",
        ),
        (PROXY + "[session]\nidle_minutes = 0\n" + ROWS, "idle_minutes"),
        ("[", "login.toml"),
    ],
)
def test_file_that_cannot_be_used_is_refused_with_its_field(
    tmp_path: Path, text: str, field: str
) -> None:
    file = tmp_path / "login.toml"
    file.write_text(text, encoding="utf-8")
    settings = load_settings(
        {
            "JOBPROV_DATA": str(tmp_path / "var"),
            "JOBPROV_ARCHIVE_URL": "memory:",
            "JOBPROV_LOGIN": str(file),
            "JOBPROV_PUBLIC_URL": "https://jobprov.example.org",
        },
        {},
    )

    with pytest.raises(BadInputError, match=r"login\.toml") as caught:
        open_service(settings)

    assert field in str(caught.value)


@pytest.mark.parametrize("public_url", ["", "http://jobprov.example.org"])
def test_provider_needs_the_address_to_send_people_back_to(tmp_path: Path, public_url: str) -> None:
    settings = load_settings(
        {
            "JOBPROV_DATA": str(tmp_path / "var"),
            "JOBPROV_ARCHIVE_URL": "memory:",
            "JOBPROV_LOGIN": str(login_file(tmp_path, "https://x.example")),
            "JOBPROV_PUBLIC_URL": public_url,
        },
        {},
    )

    with pytest.raises(BadInputError, match="JOBPROV_PUBLIC_URL"):
        open_service(settings)


def test_files_in_the_guide_can_be_used(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs/how-to/log-in-by-the-web.md").read_text()
    by_provider, by_proxy = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="utf-8")
    file = tmp_path / "login.toml"

    file.write_text(by_provider.replace("/etc/jobprov/login-secret", str(secret)))
    rules = read_login_rules(file)
    assert rules.provider is not None
    assert rules.roles(Claimed("x", set(), {"/nova/production"})) == {"nova": Role.PRODUCER}
    file.write_text(by_proxy + ROWS)
    behind = read_login_rules(file)
    assert behind.proxy is not None
    assert behind.proxy.is_at("127.0.0.1")


def test_key_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "JOBPROV_DATA": str(tmp_path / "var"),
            "JOBPROV_ARCHIVE_URL": "memory:",
            "JOBPROV_LOGIN": str(login_file(tmp_path, "https://x.example")),
            "JOBPROV_PUBLIC_URL": "https://jobprov.example.org",
            "JOBPROV_SECRET_KEY": "short",
        },
        {},
    )

    with pytest.raises(BadInputError, match="JOBPROV_SECRET_KEY"):
        open_service(settings)


def test_password_for_the_proxy_is_not_taken_for_a_token(
    behind: FlaskClient, service: Service
) -> None:
    object.__setattr__(service.settings, "reading", "token")
    headers = {**CLEO, "Authorization": "Basic Y2xlbzp4"}

    assert behind.get("/jobs", headers=headers, environ_base=BY_PROXY).status_code == 200
    assert behind.get("/jobs", headers=headers).status_code == 401


def test_form_token_is_of_the_session(behind: FlaskClient) -> None:
    """Drawn for two people, the same form differs."""
    tokens = set()
    for user in ("cleo", "bert"):
        headers = {**CLEO, "X-Remote-User": user}
        page = behind.get("/rules?experiment=nova", headers=headers, environ_base=BY_PROXY).text
        tokens.add(page.split('name="form_token" value="')[1].split('"')[0])

    assert len(tokens) == 2
