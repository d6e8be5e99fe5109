"""An operator makes an experiment private, or opens it, while the service runs."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from jobprov.app.access.private_experiments import with_privacy
from jobprov.app.cli import jobprov
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.queries.lookup.experiments import private_experiments
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError
from jobprov.provenance.services.intake import privacy
from jobprov.provenance.services.intake.privacy import make_private, open_again
from jobprov.provenance.services.intake.tokens import Scope, create_token
from jobprov.provenance.services.ledger.trail import show_trail
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import adopt_archived, seal_ledger
from tests.library.answers import assert_problem
from tests.library.records import JOB, a_record
from tests.library.servers.served_app import AppOn

JOB_CALL = f"/api/v1/jobs/{JOB}"
NAMES = "/api/v1/names/experiments"
LOGIN = """
[proxy]
addresses = ["127.0.0.1"]
user_header = "X-Remote-User"
[[allow.nova]]
group = "/nova/production"
role = "producer"
"""
ISSUERS = """
[[nova]]
issuer = "https://cilogon.org/nova"
audience = ["https://wlcg.cern.ch/jwt/v1/any"]
[[nova.allow]]
scope = "storage.read:/nova"
may = ["read"]
[[nova.allow]]
scope = "compute.create"
may = ["record"]
"""


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    """Yield what a command opens, whose user has the database at hand."""
    settings = {
        "JOBPROV_DATA": str(tmp_path / "var"),
        "JOBPROV_DATABASE_URL": database_url,
        "JOBPROV_ARCHIVE_URL": "memory:",
    }
    opened = open_service(load_settings(settings, {}))
    yield opened
    opened.close()


@pytest.fixture
def app(app_on: AppOn, service: Service) -> Iterator[Flask]:
    """Yield the application as it is served: what is private is hidden by it."""
    served = with_privacy(service)
    yield app_on(served)
    assert served.privacy is not None
    served.narrowed.dispose()


@pytest.fixture
def notices_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the service ask anew each time which experiments are private."""
    monkeypatch.setattr(privacy, "_SECONDS_KEPT", 0.0)


def hide(service: Service, name: str = "nova") -> bool:
    return service.write(
        lambda writing: make_private(writing, name, "agreed with the collaboration")
    )


def show(service: Service, name: str = "nova") -> bool:
    return service.write(lambda writing: open_again(writing, name, None))


@pytest.mark.usefixtures("notices_at_once")
def test_running_service_hides_and_shows_it(client: FlaskClient, service: Service) -> None:
    assert client.put(JOB_CALL, json=a_record()).status_code == 201
    open_answer = client.get(JOB_CALL)
    token = service.write(
        lambda writing: create_token(
            writing, experiment="nova", name="reads", now=datetime.now(UTC), scopes={Scope.READ}
        )
    )
    reader = {"Authorization": f"Bearer {token}"}

    assert hide(service)

    assert_problem(client.get(JOB_CALL), 404)
    assert "nova" not in client.get(NAMES).text
    assert_problem(client.put(JOB_CALL, json=a_record()), 401)
    seen = client.get(JOB_CALL, headers=reader)
    assert seen.get_json() == open_answer.get_json()
    assert seen.headers["Cache-Control"] == "private"
    bundle = client.get(f"{JOB_CALL}/bundle", headers=reader)
    assert bundle.headers["Cache-Control"] == "no-cache, private"

    assert show(service)

    assert client.get(JOB_CALL).get_json() == open_answer.get_json()
    assert "Cache-Control" not in client.get(JOB_CALL).headers


def test_it_is_private_before_its_first_record(client: FlaskClient, service: Service) -> None:
    assert hide(service, "dune")

    assert_problem(client.put(JOB_CALL, json=a_record(experiment="dune")), 401)
    assert "dune" not in client.get(NAMES).text


@pytest.mark.usefixtures("notices_at_once")
def test_nothing_is_shown_while_the_database_cannot_say(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> list[str]:
        raise OperationalError("SELECT", None, Exception("gone"))

    assert client.get(NAMES).status_code == 200
    monkeypatch.setattr(privacy, "private_experiments", fail)

    answer = client.get(NAMES)

    assert answer.status_code >= 500
    assert client.get("/api/v1/health").status_code == 200


def test_only_a_change_is_entered(service: Service) -> None:
    assert hide(service)
    assert not hide(service)
    assert show(service)
    assert not show(service)
    with pytest.raises(NotFoundError, match="no experiment nowa"):
        show(service, "nowa")
    with pytest.raises(BadInputError):
        hide(service, "no va")

    with service.reading() as connection:
        acts = show_trail(connection, service.store, "nova", kind="privacy").acts
    assert [act.about for act in acts] == ["opened", "made private"]
    assert acts[1].why == "agreed with the collaboration"


@pytest.mark.slow
def test_rebuilt_database_hides_it_again(service: Service, tmp_path: Path) -> None:
    hide(service)
    hide(service, "dune")
    show(service)
    hide(service, "sbnd")
    seal_ledger(service.database, service.writer, service.store)
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"

    rebuild_database(service.store, url)

    rebuilt = open_database(url)
    with rebuilt.reading.connect() as connection:
        assert private_experiments(connection) == ["dune", "sbnd"]
    rebuilt.dispose()


@pytest.mark.parametrize(
    ("change", "left"), [(hide, ["nova"]), (lambda service: hide(service) and show(service), [])]
)
def test_restored_database_keeps_the_newest_word(
    sqlite_template: Path, tmp_path: Path, change: Callable[[Service], bool], left: list[str]
) -> None:
    """What waits in a database comes after what its archive has."""
    archive = f"file:{tmp_path / 'archive'}"
    services = []
    for name in ("ahead", "behind"):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(sqlite_template, folder / "jobprov.db")
        settings = {"JOBPROV_DATA": str(folder), "JOBPROV_ARCHIVE_URL": archive}
        services.append(open_service(load_settings(settings, {})))
    ahead, behind = services
    hide(ahead)
    seal_ledger(ahead.database, ahead.writer, ahead.store)
    change(behind)

    adopt_archived(behind.database, behind.writer, behind.store, "nova")

    with behind.reading() as connection:
        assert private_experiments(connection) == left
    for service in services:
        service.close()


@pytest.mark.slow
def test_command_hides_lists_and_opens(tmp_path: Path) -> None:
    """The command seals what it did, so that nothing of it is lost with the database."""
    data, rebuilt = tmp_path / "var", tmp_path / "rebuilt"
    login, issuers = tmp_path / "login.toml", tmp_path / "issuers.toml"
    login.write_text(LOGIN, encoding="utf-8")
    issuers.write_text(ISSUERS, encoding="utf-8")
    rules = {"JOBPROV_LOGIN": str(login), "JOBPROV_TOKEN_ISSUERS": str(issuers)}

    def run(*words: str, **environment: str) -> str:
        given = {"JOBPROV_DATA": str(data), **environment}
        return CliRunner(env=given).invoke(jobprov, words, catch_exceptions=False).output

    run("migrate")
    hidden = run("experiment", "private", "nova", "--why", "agreed", "--force")
    assert "nova is private. Nothing is recorded of it yet. Nobody" in hidden
    assert " Nobody can read it yet" in hidden
    assert run("experiment", "private", "nova", **rules).strip() == "nova was private before."
    words = ("token", "create", "--experiment", "nova", "--name")
    run(*words, "analysis")
    run(*words, "hook", "--scope", "record")

    listed = run("experiment", "list", JOBPROV_PRIVATE_EXPERIMENTS="dune")
    readers = json.loads(run("experiment", "readers", "nova", "--json", **rules))
    [act] = json.loads(run("trail", "--experiment", "nova", "--kind", "privacy", "--json"))["acts"]

    assert [line.split() for line in listed.splitlines()[1:]] == [
        ["dune", "private", "(by", "setting)"],
        ["nova", "private", "(by", "command)"],
    ]
    assert readers["is_private"]
    assert [(reader["kind"], reader["who"]) for reader in readers["readers"]] == [
        ("login", "producer: group /nova/production"),
        ("issued token", "https://cilogon.org/nova: scope storage.read:/nova"),
        ("token", "1 analysis"),
    ]
    assert (act["about"], act["why"], act["through"]) == ("made private", "agreed", "command")
    assert act["user"]

    with pytest.raises(ConflictError, match="take it out there"):
        run("experiment", "open", "nova", JOBPROV_PRIVATE_EXPERIMENTS="nova")
    assert run("experiment", "open", "nova").strip() == "nova is open."
    assert "everybody who can reach the service" in run("experiment", "readers", "nova")
    with pytest.raises(NotFoundError, match=r"nothing was changed.*add --force") as mistyped:
        run("experiment", "private", "NOvA")
    assert mistyped.value.nearest == ["nova"]
    run("experiment", "private", "sbnd", "--force")
    archive = {"JOBPROV_ARCHIVE_URL": f"file:{data / 'archive'}"}
    run("rebuild-database", JOBPROV_DATA=str(rebuilt), **archive)
    again = run("experiment", "list", JOBPROV_DATA=str(rebuilt), **archive)
    assert [line.split()[:2] for line in again.splitlines()[1:]] == [
        ["nova", "open"],
        ["sbnd", "private"],
    ]


@pytest.mark.usefixtures("notices_at_once")
def test_plan_made_while_it_was_open_is_not_shown_afterwards(
    client: FlaskClient, service: Service
) -> None:
    """The bundle of an open job says where copies of its inputs are, and so told of a file of dune."""
    read = {"name": "d.root", "experiment": "dune", "size_bytes": 4, "sha256": "ab" * 32}
    places = ["root://canary.example.org/dune/d.root"]
    dune = {"experiment": "dune", "name": "d.root", "size_bytes": 4, "locations": places}
    assert client.post("/api/v1/files", json=dune).status_code == 201
    assert client.put(JOB_CALL, json=a_record(inputs=[read])).status_code == 201
    first = client.get(f"{JOB_CALL}/bundle?plan=1")
    made = client.get(f"{JOB_CALL}/bundle")
    numbered = client.get(f"{JOB_CALL}/bundle?plan=1")
    assert (first.status_code, made.status_code, numbered.status_code) == (404, 200, 200)
    assert b"canary.example.org" in numbered.data
    token = service.write(
        lambda writing: create_token(
            writing, experiment="dune", name="reads", now=datetime.now(UTC), scopes={Scope.READ}
        )
    )

    hide(service, "dune")

    stranger = client.get(f"{JOB_CALL}/bundle?plan=1")
    assert_problem(stranger, 404)
    assert "canary" not in stranger.text
    member = client.get(f"{JOB_CALL}/bundle?plan=1", headers={"Authorization": f"Bearer {token}"})
    assert member.data == made.data
    now = client.get(f"{JOB_CALL}/bundle")
    assert b"canary" not in now.data
    assert client.get(f"{JOB_CALL}/bundle?plan=2").data == now.data

    show(service, "dune")

    assert client.get(f"{JOB_CALL}/bundle?plan=1").data == made.data
