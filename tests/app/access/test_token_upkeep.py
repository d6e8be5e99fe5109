"""Tokens over the years: when each was used, and how one takes another's place."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from jobprov.app.wiring import Service
from jobprov.provenance.db.changes.intake import note_token_use
from jobprov.provenance.db.queries.intake import TokenRow, list_tokens
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.intake import tokens
from jobprov.provenance.services.intake.tokens import (
    Scope,
    TokenBook,
    WrongTokenError,
    create_ticket,
    create_token,
    revoke_token,
    rotate_token,
)
from tests.library.commands import run_alone
from tests.library.records import JOB, a_record

NOW = datetime.now(UTC)


@pytest.fixture
def make_token(service: Service) -> Callable[..., str]:
    def make(days: int | None = 90, now: datetime = NOW) -> str:
        return service.write(
            lambda writing: create_token(
                writing,
                experiment="nova",
                name="hook",
                now=now,
                days=days,
                scopes={Scope.RECORD, Scope.READ},
            )
        )

    return make


def rows(service: Service) -> list[TokenRow]:
    with service.reading() as connection:
        return list_tokens(connection)


def rotate(service: Service, number: int, keep: timedelta) -> tokens.Rotation:
    return service.write(lambda writing: rotate_token(writing, number, now=NOW, keep=keep))


def use(client: FlaskClient, token: str) -> int:
    header = {"Authorization": f"Bearer {token}"}
    return client.put(f"/api/v1/jobs/{JOB}", json=a_record(), headers=header).status_code


def test_last_use_is_noted_once_an_hour(
    client: FlaskClient, service: Service, make_token: Callable[..., str]
) -> None:
    token = make_token()
    assert rows(service)[0].last_used_at is None

    assert use(client, token) == 201

    used_at = rows(service)[0].last_used_at
    assert used_at is not None
    assert abs(datetime.now(UTC) - used_at) < timedelta(minutes=1)

    notes: list[int] = []
    TokenBook(service.database.reading, notes.append).grant(token)
    assert notes == [], "it was noted within the hour"

    earlier = datetime.now(UTC) - timedelta(hours=2)
    service.write(lambda writing: note_token_use(writing.connection, 1, earlier))
    book = TokenBook(service.database.reading, notes.append)
    for _ in range(3):
        book._grants.clear()
        book.grant(token)
    assert notes == [1]


def test_use_that_cannot_be_noted_stops_nobody(
    client: FlaskClient,
    service: Service,
    make_token: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = make_token()
    object.__setattr__(service.settings, "reading", "token")

    def fail(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is read-only"))

    monkeypatch.setattr("jobprov.app.wiring.note_token_use", fail)
    answer = client.get("/api/v1/jobs", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 200
    assert rows(service)[0].last_used_at is None


def test_new_token_allows_the_same_and_the_old_one_ends(
    client: FlaskClient, service: Service, make_token: Callable[..., str]
) -> None:
    old_token = make_token()

    rotation = rotate(service, 1, timedelta(hours=24))

    old, new = rows(service)
    assert (new.experiment, new.name, new.scopes) == (old.experiment, old.name, old.scopes)
    assert new.expires_at is not None
    assert abs(new.expires_at - NOW - timedelta(days=90)) < timedelta(minutes=1)
    assert old.expires_at is not None
    assert abs(old.expires_at - NOW - timedelta(hours=24)) < timedelta(minutes=1)
    assert use(client, rotation.token) == 201
    assert use(client, old_token) == 200


def test_old_token_may_end_at_once(service: Service, make_token: Callable[..., str]) -> None:
    token = make_token()

    rotate(service, 1, timedelta(0))

    with pytest.raises(WrongTokenError):
        TokenBook(service.database.reading).grant(token)


def test_old_token_does_not_live_longer_by_it(
    service: Service, make_token: Callable[..., str]
) -> None:
    make_token(days=1)
    make_token(days=None)

    rotate(service, 1, timedelta(days=30))
    rotate(service, 2, timedelta(days=30))

    first, forever, _, replacement = rows(service)
    assert first.expires_at is not None
    assert first.expires_at - NOW < timedelta(days=2)
    assert forever.expires_at is not None
    assert replacement.expires_at is None


def test_only_a_valid_token_takes_part(service: Service, make_token: Callable[..., str]) -> None:
    make_token(days=1, now=NOW - timedelta(days=2))
    make_token()
    service.write(lambda writing: revoke_token(writing, 2, NOW))
    service.write(lambda writing: create_ticket(writing, experiment="nova", task_id="t", now=NOW))

    for number in (1, 2, 9):
        with pytest.raises(NotFoundError, match=f"no valid token {number}"):
            rotate(service, number, timedelta(0))
    with pytest.raises(BadInputError, match="upload ticket"):
        rotate(service, 3, timedelta(0))
    assert len(rows(service)) == 3


@pytest.mark.slow
def test_command_prints_the_new_token_once(tmp_path: Path) -> None:
    data = str(tmp_path / "var")
    assert run_alone("migrate", JOBPROV_DATA=data).returncode == 0
    words = ("token", "create", "--experiment", "nova", "--name", "hook")
    assert run_alone(*words, JOBPROV_DATA=data).returncode == 0

    made = run_alone("token", "rotate", "1", "--keep-hours", "2", JOBPROV_DATA=data)

    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("prov_2_")
    assert re.match(r"Token 1 ends \d{4}-\d\d-\d\d \d\d:\d\d UTC\.\n", made.stderr)
    listed = json.loads(run_alone("token", "list", "--json", JOBPROV_DATA=data).stdout)
    end = datetime.fromisoformat(listed[0]["expires_at"])
    assert timedelta(hours=1) < end - datetime.now(UTC) < timedelta(hours=3)
    assert run_alone("token", "rotate", "7", JOBPROV_DATA=data).returncode == 2
