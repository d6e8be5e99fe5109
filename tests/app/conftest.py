"""The whole application on both databases, without a network."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.factory import create_app
from app.wiring import Service
from provenance.services.write_tokens import create_token


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    made = create_app(
        {"JOBPROV_DATA": str(tmp_path / "var"), "JOBPROV_DATABASE_URL": database_url, "JOBPROV_ARCHIVE_URL": "memory:"}
    )
    yield made
    made.extensions["jobprov"].close()


@pytest.fixture
def service(app: Flask) -> Service:
    found: Service = app.extensions["jobprov"]
    return found


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def new_token(service: Service) -> Callable[..., dict[str, str]]:
    """Return a function that makes a token and returns the header that sends it."""

    def make(experiment: str = "nova", days: int | None = None) -> dict[str, str]:
        now = datetime.now(UTC)
        token = service.write(
            lambda writing: create_token(writing, experiment=experiment, name="test", now=now, days=days)
        )
        return {"Authorization": f"Bearer {token}"}

    return make
