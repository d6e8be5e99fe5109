"""The web login by a certified provider in Chromium, and by several worker processes."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect

from jobprov.app.wiring import Service
from jobprov.provenance.services.ledger.trail import show_trail
from tests.library.browser import NARROW, axe_findings
from tests.library.commands import run_alone
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record
from tests.library.servers.live_service import LiveService
from tests.library.servers.logins import (
    CLIENT_ID,
    SECRET,
    TOKEN,
    describe_provider,
    id_token,
    login_file,
    take_logins,
)
from tests.library.servers.oidc_provider import certified_provider, free_address
from tests.library.servers.served_app import served
from tests.library.servers.token_issuer import token_issuer

pytestmark = pytest.mark.slow

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
GROUPS = {"cleo": ["/nova/operators"], "dora": ["/mu2e"]}
RULE = '[[rules]]\nname = "x"\nclass = "y"\nwords = "z"\nexit_code = [1]\n'
RULES = "/rules?experiment=nova"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Yield a page that asks nothing of other machines, as the provider's would of a font."""
    context = browser.new_context(viewport={"width": NARROW[0], "height": NARROW[1]})
    context.route(lambda url: urlsplit(url).hostname != "127.0.0.1", lambda route: route.abort())
    yield context.new_page()
    context.close()


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    yield from served(app)


@pytest.fixture
def issuer(service: Service, site: str, client: FlaskClient, tmp_path: Path) -> Iterator[str]:
    """Yield the address of the provider by which people log in on the site."""
    client.put(f"/api/v1/jobs/{JOB}", json=a_record(state="failed", exit={"code": 1}))
    address = free_address()
    rules = login_file(tmp_path, address, "log_out_there = true")
    take_logins(service, rules, public_url=site)
    with certified_provider(address, CLIENT_ID, SECRET, f"{site}/login/done", GROUPS):
        yield address


def log_in(page: Page, name: str) -> None:
    """Log in at the provider, and let it tell the service who one is."""
    page.get_by_role("link", name="Log in").first.click()
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def faults(page: Page) -> list[str]:
    """Return what axe-core finds on a page, and whether it is wider than its window."""
    found = [rule for rule, _ in axe_findings(page)]
    if page.evaluate("document.documentElement.scrollWidth") > NARROW[0]:
        found.append("too wide")
    return found


@on_sqlite_alone
def test_person_logs_in_changes_rules_and_logs_out(
    page: Page, site: str, issuer: str, service: Service
) -> None:
    answers: list[str] = []
    page.on("response", lambda answer: answers.append(answer.url))

    page.goto(f"{site}{RULES}&edit=1")
    assert faults(page) == []
    log_in(page, "cleo")
    expect(page).to_have_url(f"{site}{RULES}&edit=1")
    assert faults(page) == []
    page.locator("textarea[name=rules]").fill(RULE)
    page.locator("input[name=why]").fill("a test")
    page.get_by_role("button", name="Declare").click()

    expect(page).to_have_url(f"{site}{RULES}")
    expect(page.locator("main")).to_contain_text("by cleo of the tests: a test")
    with service.reading() as connection:
        act = show_trail(connection, service.store, "nova", kind="rules").acts[0]
    assert act.submitter == f"login cleo of {issuer}"
    assert (act.who, act.user, act.through) == ("cleo of the tests",) * 2 + ("page",)

    [answer] = [url for url in answers if "/login/done?" in url]
    page.goto(answer)
    expect(page.locator("main")).to_contain_text("finished before")
    page.goto(f"{site}/jobs")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page).to_have_url(f"{site}/logout/done")
    expect(page.locator("h1")).to_have_text("You are logged out")
    assert faults(page) == []
    page.get_by_role("link", name="Log in").click()
    # The provider does not know them either: it asks who they are
    expect(page.locator("input[name=login]")).to_be_visible()


@on_sqlite_alone
def test_person_without_the_role_changes_nothing(page: Page, site: str, issuer: str) -> None:
    assert issuer

    page.goto(f"{site}{RULES}")
    log_in(page, "dora")

    expect(page.locator("main")).to_contain_text("the role operator of nova")
    expect(page.locator("main").get_by_role("button")).to_have_count(0)
    assert faults(page) == []


def answer_of(site: str, person: requests.Session, name: str) -> str:
    """Log in at the provider by its forms; return where it sends the browser then."""
    answer = person.get(f"{site}/login", allow_redirects=False, timeout=10)
    forms = [{"prompt": "consent"}, {"prompt": "login", "login": name, "password": "any"}]
    while True:
        if answer.is_redirect:
            where = urljoin(answer.url, answer.headers["Location"])
            if where.startswith(f"{site}/login/done"):
                return where
            answer = person.get(where, allow_redirects=False, timeout=10)
        else:
            form = forms.pop()
            answer = person.post(answer.url, data=form, allow_redirects=False, timeout=10)


@on_sqlite_alone
def test_code_that_somebody_else_got_is_worth_nothing(site: str, issuer: str) -> None:
    person, thief = requests.Session(), requests.Session()
    right = answer_of(site, person, "cleo")
    stolen = dict(parse_qsl(urlsplit(right).query))
    own = dict(parse_qsl(urlsplit(answer_of(site, thief, "dora")).query))

    with_its_state = thief.get(right, timeout=10)
    injected = {**own, "code": stolen["code"]}
    without_verifier = thief.get(f"{site}/login/done", params=injected, timeout=10)

    assert stolen["iss"] == issuer
    assert with_its_state.status_code == 403
    assert without_verifier.status_code == 403
    assert "did not take the code" in without_verifier.text
    assert "Log out" not in thief.get(f"{site}/jobs", timeout=10).text


@on_sqlite_alone
@pytest.mark.parametrize("names_sessions", [True, False])
def test_logout_at_the_provider_ends_sessions_here(
    site: str, service: Service, tmp_path: Path, *, names_sessions: bool
) -> None:
    """The one that it names, or all of the person where it names none."""
    address = free_address()
    take_logins(service, login_file(tmp_path, address), public_url=site)
    come_back = f"{site}/login/done"
    with certified_provider(
        address, CLIENT_ID, SECRET, come_back, GROUPS, names_sessions=names_sessions
    ) as answers:
        people = []
        for name in ("cleo", "cleo", "dora"):
            person = requests.Session()
            person.get(answer_of(site, person, name), timeout=10)
            people.append(person)
        before = [_shows_logout(site, person) for person in people]
        _log_out_at(address, people[0])
        told = answers()

    assert before == [True, True, True]
    assert told == ["told"]
    after = [_shows_logout(site, person) for person in people]
    assert after == [False, names_sessions, True]


def _log_out_at(address: str, person: requests.Session) -> None:
    """End the session at the provider, on its own page."""
    page = person.get(f"{address}/session/end", timeout=10).text
    xsrf = page.split('name="xsrf" value="')[1].split('"')[0]
    form = {"xsrf": xsrf, "logout": "yes"}
    person.post(f"{address}/session/end/confirm", data=form, timeout=10).raise_for_status()


def _shows_logout(site: str, person: requests.Session) -> bool:
    return "Log out" in person.get(f"{site}/", timeout=10).text


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_all_workers_know_a_session_and_its_end(empty_url: str, tmp_path: Path) -> None:
    assert run_alone("migrate", JOBPROV_DATABASE_URL=empty_url).returncode == 0
    with token_issuer() as issuer:
        describe_provider(issuer)
        live = LiveService(
            tmp_path / "var",
            JOBPROV_DATABASE_URL=empty_url,
            JOBPROV_WORKERS="3",
            JOBPROV_LOGIN=str(login_file(tmp_path, issuer.url)),
            JOBPROV_PUBLIC_URL="http://127.0.0.1",
        )
        try:
            person = requests.Session()
            begun = person.get(f"{live.url}/login", allow_redirects=False, timeout=10)
            asked = dict(parse_qsl(urlsplit(begun.headers["Location"]).query))
            issuer.documents[TOKEN] = {
                "access_token": "x",
                "token_type": "Bearer",
                "id_token": id_token(issuer, asked),
            }
            query = {"state": asked["state"], "code": "c"}
            person.get(f"{live.url}/login/done", params=query, allow_redirects=False, timeout=10)
            cookies = person.cookies.get_dict()

            known = {_is_logged_in(live, cookies) for _ in range(30)}
            logout = issuer.token(aud=CLIENT_ID, sub="bert", jti="1", events={LOGOUT_EVENT: {}})
            sent = {"logout_token": logout}
            urls = [f"{live.url}/logout/back-channel"] * 30
            taken = [requests.post(url, data=sent, timeout=10).status_code for url in urls]
            page = person.get(f"{live.url}/", timeout=10).text
            token = page.split('name="form_token" value="')[1].split('"')[0]
            person.post(f"{live.url}/logout", data={"form_token": token}, timeout=10)
            known_after = {_is_logged_in(live, cookies) for _ in range(30)}
        finally:
            live.stop()

    assert known == {True}
    # Whichever worker is asked, a token that another one took counts no second time
    assert taken == [200] + [400] * 29
    assert known_after == {False}


def _is_logged_in(live: LiveService, cookies: dict[str, str]) -> bool:
    """Ask by a connection of its own, which any worker may take."""
    return "Log out" in requests.get(f"{live.url}/", cookies=cookies, timeout=10).text
