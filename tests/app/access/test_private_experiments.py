"""A private experiment is, for whoever has no role in it, one that does not exist.

A service with open experiments is copied, and private ones are recorded in the copy, with the same
names, blobs and commits and with some of their own. Every route then has to give a reader who may
not see them the answer that the service without them gives, byte for byte.
"""

import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from flask import Flask
from sqlalchemy import URL, create_engine, delete, insert, make_url, select, text
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

import jobprov.app as app_package
from jobprov.app.api.recording.blobs import _erase_again
from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.changes.alerts import end_turn, take_turn
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.db.tables import ErasedBytes, Experiment
from jobprov.provenance.services.alerts.events import Found, begin_alerts
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.intake.tokens import (
    Scope,
    TokenBook,
    create_ticket,
    create_token,
)
from jobprov.provenance.services.work.queue import Parts, drain
from jobprov.provenance.services.writing import Writing
from tests.library.productions.answer_calls import Call, sha256
from tests.library.productions.private_calls import (
    CANARY,
    CANARY_LOG,
    CANARY_WRITES,
    DERIVING_JOB,
    FORMS,
    HIDDEN,
    POSTED_QUESTIONS,
    canary_calls,
    hidden_calls,
    hidden_reads,
    open_calls,
    open_reads,
    own_reads,
)
from tests.library.standing_clock import START, standing_clock

API = "/api/v1"
APP = Path(app_package.__file__).parent
pytestmark = pytest.mark.slow

Headers = Mapping[str, str]
_REQUEST_NUMBER = re.compile(r"[0-9a-f]{8}-\d+(?=[\"<. ])")
_COOKIE_TIMES = re.compile(r"(?<=jobprov-visits=)[\d.]+|(?<=Expires=)[^;]+")
"""When the reader was here, and when their browser forgets it."""
_TICKET = re.compile(r'"ticket":"[^"]*"')
LOGIN = """
[proxy]
addresses = ["127.0.0.1"]
user_header = "X-Remote-User"
[[allow."{hidden}"]]
subject = "reader"
role = "reader"
[[allow.nova]]
subject = "other"
role = "admin"
"""
NOT_ASKED = {
    "openapi",
    "operations.hook",
    "operations.start_script",
    "operations.metrics",  # below
    "metrics",
    "pages.back_channel_logout",  # asked by the provider of logins alone
}
"""What is the same for everybody."""
_UNSTEADY_HEADERS = (
    "X-Request-Id",
    "Date",
    "Content-Length",  # as long as the number of a ticket; the body is compared
    "Content-Digest",  # a bundle has it once somebody has had the whole of it
)


class World(NamedTuple):
    """Two services with the same settings.

    Attributes:
        without: only the open experiments were recorded in it.
        whole: private ones as well.
        tokens: headers with a token, by whose it is, of the whole service.
        seen: the addresses at which a reader of a private experiment saw something of it. They
            asked before everybody else: what was kept for them is kept for nobody else.
    """

    without: Flask
    whole: Flask
    tokens: dict[str, Headers]
    seen: list[str]


def opened(folder: Path, **settings: str) -> Service:
    return open_service(load_settings({"JOBPROV_DATA": str(folder), **settings}, {}))


def make_calls(service: Service, calls: list[Call]) -> None:
    """Make the calls from this machine, as if there were no token yet, and do the work they leave."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenBook, "exist", lambda _: False)
        _make_calls(service, calls)
    mirrors = service.settings.data / "git"
    drain(Parts(service.database, service.writer, service.store, mirrors), HANDLERS)


def _make_calls(service: Service, calls: list[Call]) -> None:
    client = create_app(service.settings, service=service).test_client()
    for call in calls:
        answer = client.open(API + call.address, method=call.method, **body_of(call))
        assert answer.status_code not in (401, 403, 500), (call.title, answer.text)


def body_of(call: Call) -> dict[str, Any]:
    if isinstance(call.body, bytes):
        return {"data": call.body}
    return {} if call.body is None else {"json": call.body}


def token_of(service: Service, experiment: str, *scopes: Scope, name: str) -> Headers:
    token = service.write(
        lambda writing: create_token(
            writing, experiment=experiment, name=name, now=START, scopes=set(scopes)
        )
    )
    return {"Authorization": f"Bearer {token}"}


def begin_alert(service: Service, experiment: str, words: str) -> None:
    """Have an alert begin, and its rules be looked at."""
    with service.reading_everything() as connection:
        key = experiment_key(connection, experiment)
    assert key is not None
    rule = {"rule": words, "condition": "held", "receivers": [words]}
    found = [Found("", words, "/")]

    def begin(writing: Writing) -> None:
        connection, now = writing.connection, writing.received_at
        turn = take_turn(connection, key, now=now, before=now, until=now)
        assert turn is not None
        end_turn(connection, key, turn, now=now, problem=words)
        begin_alerts(writing, key, found, **rule)

    service.write(begin)


class OnSQLite(NamedTuple):
    """Has the services' databases be files in their folders."""

    template: Path

    def begin(self, folder: Path) -> dict[str, str]:
        """Make an empty database; return the settings that lead to it."""
        shutil.copy(self.template, folder / "jobprov.db")
        return {}

    def copy(self, settings: dict[str, str]) -> dict[str, str]:
        """Return the settings that lead to a copy: here it came with the folder."""
        return settings


class OnPostgreSQL(NamedTuple):
    """Has the services' databases lie on a server."""

    server: URL

    def begin(self, _folder: Path) -> dict[str, str]:
        """Make an empty database; return the settings that lead to it."""
        return self._made_from("template_jobprov")

    def copy(self, settings: dict[str, str]) -> dict[str, str]:
        """Copy a database that nobody has open; return the settings that lead to the copy."""
        return self._made_from(str(make_url(settings["JOBPROV_DATABASE_URL"]).database))

    def _made_from(self, template: str) -> dict[str, str]:
        name = f"private_{uuid.uuid4().hex}"
        engine = create_engine(self.server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        engine.dispose()
        url = self.server.set(database=name).render_as_string(hide_password=False)
        return {"JOBPROV_DATABASE_URL": url}


@pytest.fixture(scope="module")
def world(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with made_world(tmp_path_factory.mktemp("private"), OnSQLite(sqlite_template)) as world:
        yield world._replace(seen=seen_in(world, own_reads()))


@contextmanager
def made_world(folder: Path, database: OnSQLite | OnPostgreSQL) -> Iterator[World]:
    """Record in two services, and yield them."""
    without, whole = folder / "without", folder / "whole"
    without.mkdir()
    of_without = database.begin(without)
    with standing_clock(), ExitStack() as stack:
        service = opened(without, **of_without)
        make_calls(service, open_calls())
        tokens = {"open": token_of(service, "nova", *Scope, name="of nova")}
        begin_alert(service, "nova", "many jobs failed")
        service.close()
        shutil.copytree(without, whole)
        of_whole = database.copy(of_without)
        service = opened(whole, **of_whole)
        make_calls(service, hidden_calls() + canary_calls())
        hidden = HIDDEN["nova"]
        begin_alert(service, hidden, "CANARY jobs failed")
        tokens["private"] = token_of(service, hidden, Scope.READ, name="CANARY reads")
        tokens["recording"] = token_of(service, hidden, Scope.RECORD, name="CANARY records")
        ticket, _ = service.write(
            lambda writing: create_ticket(writing, experiment=hidden, task_id="t1", now=START)
        )
        tokens["ticket"] = {"Authorization": f"Bearer {ticket}"}
        service.close()
        apps = []
        for place, settings in ((without, of_without), (whole, of_whole)):
            private = {"JOBPROV_PRIVATE_EXPERIMENTS": ",".join(HIDDEN.values())}
            service = opened(place, **settings, **private)
            apps.append(create_app(service.settings, service=service))
            stack.callback(apps[-1].extensions["jobprov"].close)
        yield World(apps[0], apps[1], tokens, [])


def seen_in(world: World, addresses: list[str]) -> list[str]:
    """Return the addresses at which a reader of a private experiment sees something of it."""
    reader = Asking(world.whole, world.tokens["private"])
    return [address for address in addresses if reader.ask(address).names_hidden()]


class Told(NamedTuple):
    """An answer: all that a reader is told."""

    status: int
    headers: str
    body: bytes

    def text(self) -> str:
        """Return it as one text, without what numbers the request."""
        body = self.body.decode("latin-1")
        return f"{self.status}\n{self.headers}\n" + _REQUEST_NUMBER.sub("REQUEST", body)

    def names_hidden(self) -> bool:
        """Return whether it names anything of a private experiment."""
        return CANARY in self.headers.lower() or CANARY.encode() in self.body.lower()


class Asking:
    """Asks for one address after the other, as one reader."""

    def __init__(self, app: Flask, headers: Headers | None = None) -> None:
        self._client = app.test_client()
        self._headers = dict(headers or {})
        self._last: dict[str, str] = {}

    def ask(self, address: str, method: str = "GET", **sent: Any) -> Told:
        """Return the answer; `{next}` and `{recipe_id}` in the address are those told last."""
        for name, value in self._last.items():
            address = address.replace(f"{{{name}}}", value)
        answer = self._client.open(address, method=method, headers=self._headers, **sent)
        with closing(answer):
            told = Told(answer.status_code, _headers_of(answer), answer.get_data())
            document = answer.get_json(silent=True)
        if isinstance(document, dict):
            self._last["next"] = document.get("next") or self._last.get("next", "")
            if isinstance(document.get("recipes"), list) and document["recipes"]:
                self._last["recipe_id"] = document["recipes"][0]["recipe_id"]
        assert told.status < 500 or told.status == 501, (address, told.body[:500])
        return told


def _headers_of(answer: TestResponse) -> str:
    kept = (f"{name}: {value}" for name, value in answer.headers if name not in _UNSTEADY_HEADERS)
    return _COOKIE_TIMES.sub("TIME", "\n".join(kept))


def differences(world: World, addresses: list[str], headers: Headers | None = None) -> list[str]:
    """Return where the service with private experiments gives another answer than the one without."""
    without, whole = Asking(world.without, headers), Asking(world.whole, headers)
    wrong = []
    for address in addresses:
        expected, found = without.ask(address).text(), whole.ask(address).text()
        if expected != found:
            wrong.append(f"{address}\n{_difference(expected, found)}")
    return wrong


def test_stranger_gets_the_answers_of_a_service_without_the_private_experiments(
    world: World,
) -> None:
    wrong = differences(world, open_reads() + hidden_reads())
    without, whole = Asking(world.without), Asking(world.whole)
    for address, question in POSTED_QUESTIONS:
        expected = without.ask(address, "POST", json=question).text()
        if whole.ask(address, "POST", json=question).text() != expected:
            wrong.append(f"POST {address}")

    assert not wrong, "\n".join(wrong)


def test_stranger_gets_these_answers_on_postgresql_too(
    postgresql_server: str, tmp_path: Path
) -> None:
    """One address of each route suffices: the views that hide are the same for all its statements."""
    with made_world(tmp_path, OnPostgreSQL(make_url(postgresql_server))) as world:
        addresses = one_a_route(world.whole)
        seen = seen_in(world, addresses)
        wrong = differences(world, addresses)

    assert len(seen) > 30
    assert not wrong, "\n".join(wrong)


def one_a_route(app: Flask) -> list[str]:
    """Return an address of each route that reads."""
    adapter = app.url_map.bind("localhost")
    chosen: dict[str, str] = {}
    for address in open_reads():
        path = unquote(address.partition("?")[0]).replace("{recipe_id}", "r1:0")
        with suppress(HTTPException):
            endpoint, _ = adapter.match(path, "GET")
            chosen.setdefault(endpoint, address)
    return list(chosen.values())


def _difference(expected: str, found: str) -> str:
    same = 0
    while expected[same : same + 1] == found[same : same + 1]:
        same += 1
    start = max(0, same - 60)
    return (
        f"  without: …{expected[start : same + 100]!r}\n  whole:   …{found[start : same + 100]!r}"
    )


def test_metrics_count_what_is_open(world: World) -> None:
    counts = re.compile(r"^jobprov_(?:recipes|jobs).*", re.MULTILINE)
    told = []
    for app in (world.without, world.whole):
        answer = Asking(app).ask("/metrics")
        assert not answer.names_hidden()
        told.append(counts.findall(answer.text()))

    assert told[0] == told[1]
    assert any(line.startswith('jobprov_jobs{experiment="nova"') for line in told[0])
    reader = Asking(world.whole, world.tokens["private"])
    assert reader.ask("/metrics").names_hidden()


@pytest.mark.parametrize("whose", ["recording", "ticket"])
def test_token_that_only_records_shows_nothing(world: World, whose: str) -> None:
    """Such tokens lie on worker nodes."""
    asking = Asking(world.whole, world.tokens[whose])
    for address in (
        "/",
        "/jobs",
        f"{API}/jobs",
        f"{API}/names/experiments",
        "/search?q=CANARYhost",
    ):
        expected, found = Asking(world.whole).ask(address), asking.ask(address)
        assert found.text() == expected.text(), address


def test_reader_of_it_sees_it(world: World) -> None:
    """Else the other tests could not fail."""
    assert len(world.seen) > 100


def test_plan_of_a_bundle_is_the_same_whoever_has_it_made(world: World) -> None:
    """A plan is kept, and everybody who may read its job can ask for it by its number."""
    address = f"{API}/jobs/{DERIVING_JOB}/bundle?experiment=nova"
    made = Asking(world.whole, world.tokens["private"]).ask(f"{address}&level=L3")
    expected = Asking(world.without).ask(f"{address}&level=L3")
    stranger = Asking(world.whole)
    newest = int(re.findall(r'ETag: "(\d+)-', made.headers)[0])
    told = [stranger.ask(f"{address}&plan={number}") for number in range(1, newest + 1)]
    plans = [plan.body for plan in told if plan.status == 200]

    assert made.body == expected.body
    assert made.body in plans
    # what a catalog of the private experiment calls the file that the job read
    assert not any(b"renamed.root" in body for body in plans)


def test_role_shows_it_and_no_proxy_keeps_a_copy(world: World, tmp_path: Path) -> None:
    hidden = HIDDEN["nova"]
    rules = tmp_path / "login.toml"
    rules.write_text(LOGIN.format(hidden=hidden), encoding="utf-8")
    service = opened(
        world.whole.extensions["jobprov"].settings.data,
        JOBPROV_PRIVATE_EXPERIMENTS=",".join(HIDDEN.values()),
        JOBPROV_LOGIN=str(rules),
    )
    app = create_app(service.settings, service=service)

    for user, sees in (("reader", True), ("other", False), ("nobody", False)):
        told = Asking(app, {"X-Remote-User": user}).ask("/search?q=CANARYhost&all=1")
        assert (b"/jobs?host=CANARYhost" in told.body) is sees, user
        assert "no-store" in told.headers
        told = Asking(app, {"X-Remote-User": user}).ask("/search?q=CANARYhsot")
        assert (b"/jobs?host=CANARYhost" in told.body) is sees, "what is spelled like it"
        told = Asking(app, {"X-Remote-User": user}).ask(f"{API}/names/experiments")
        assert (hidden.encode() in told.body) is sees, user
        assert "Cache-Control: private" in told.headers
    app.extensions["jobprov"].close()


def test_writing_needs_a_token_from_this_machine_too(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "jobprov.db")
    service = opened(tmp_path, JOBPROV_PRIVATE_EXPERIMENTS="dune")
    app = create_app(service.settings, service=service)
    first = open_calls()[0]

    told = Asking(app).ask(API + first.address, first.method, **body_of(first))
    app.extensions["jobprov"].close()

    assert told.status == 401


def test_bytes_of_a_private_experiment_stay_when_another_erases_them(world: World) -> None:
    """What is decided for the archive looks at all experiments, whoever sends the request."""
    service: Service = world.whole.extensions["jobprov"]
    digest = sha256(CANARY_LOG)
    nova = select(Experiment.id).where(Experiment.name == "nova").scalar_subquery()
    of_nova = (ErasedBytes.experiment_id == nova) & (ErasedBytes.sha256 == digest)
    with service.database.writing.begin() as connection:
        row = {"experiment_id": nova, "sha256": digest, "erasure_id": 1}
        connection.execute(insert(ErasedBytes).values(**row))
    with world.whole.test_request_context(headers=world.tokens["open"]):
        assert service.hidden_experiments() == set(HIDDEN.values())
        assert _erase_again("nova", [digest]) == {digest}
    with service.database.writing.begin() as connection:
        connection.execute(delete(ErasedBytes).where(of_nova))

    assert not service.store.missing([digest])


def test_writer_of_another_experiment_is_told_no_more(world: World) -> None:
    """What is written here is written to both services, so that this is asked last."""
    headers = world.tokens["open"]
    wrong = differences(world, _told_to_tokens_alone(world), headers)
    without, whole = Asking(world.without, headers), Asking(world.whole, headers)
    for call in [*CANARY_WRITES, *open_calls(), *hidden_calls(), *canary_calls()]:
        sent = body_of(call)
        expected = without.ask(API + call.address, call.method, **sent).text()
        found = whole.ask(API + call.address, call.method, **sent).text()
        if _TICKET.sub("", expected) != _TICKET.sub("", found):
            wrong.append(f"{call.title}\n{_difference(expected, found)}")
    token = headers["Authorization"].removeprefix("Bearer ")
    for address, fields in FORMS:
        form = {**fields, "token": token, "who": "Ada", "why": "to see"}
        expected = without.ask(address, "POST", data=form).text()
        found = whole.ask(address, "POST", data=form).text()
        if expected != found:
            wrong.append(f"POST {address} {fields}\n{_difference(expected, found)}")

    assert not wrong, "\n".join(wrong)


def _told_to_tokens_alone(world: World) -> list[str]:
    stranger = Asking(world.without)
    return [address for address in open_reads() if stranger.ask(address).status in (401, 403)]


def test_requests_read_by_the_doors_of_the_service_alone() -> None:
    """Whatever opens the database by itself sees all experiments."""
    other_doors = []
    for room in ("api", "web", "sam", "metacat"):
        for file in sorted((APP / room).rglob("*.py")):
            for line in file.read_text(encoding="utf-8").splitlines():
                if re.search(r"\.database\b|\.parts\(\)|reading_everything", line):
                    other_doors.append(f"{file.relative_to(APP)}: {line.strip()}")

    # whether an earlier plan tells something hidden; numbers without names; and whether bytes may be
    # removed from the archive
    assert other_doors == [
        "api/lookup/jobs.py: reading_everything = None",
        "api/lookup/jobs.py: reading_everything = service.reading_everything",
        "api/lookup/jobs.py: reading_everything=reading_everything,",
        "api/metrics.py: with service.reading_everything() as connection:",
        "api/recording/blobs.py: with service.reading_everything() as connection:",
    ]


def test_every_route_is_asked(world: World) -> None:
    """A new one belongs into `private_calls`: as an address that reads, a call or a form."""
    asked = {("GET", address) for address in open_reads()}
    asked |= {(call.method, API + call.address) for call in [*CANARY_WRITES, *open_calls()]}
    asked |= {("POST", address) for address, _ in [*FORMS, *POSTED_QUESTIONS]}
    adapter = world.whole.url_map.bind("localhost")
    covered = set()
    for method, address in asked:
        path = unquote(address.partition("?")[0]).replace("{recipe_id}", "r1:0")
        with suppress(HTTPException):
            endpoint, _ = adapter.match(path, method)
            covered.add(endpoint)

    assert {rule.endpoint for rule in world.whole.url_map.iter_rules()} - covered == NOT_ASKED
