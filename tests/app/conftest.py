"""The whole application on both databases, without a network."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.services.intake.tokens import create_token


@pytest.fixture(scope="session")
def bare_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Yield an application without data.

    To make one takes a tenth of a second, and most tests want one.
    """
    made = create_app(
        {"JOBPROV_DATA": str(tmp_path_factory.mktemp("app")), "JOBPROV_ARCHIVE_URL": "memory:"}
    )
    yield made
    made.extensions["jobprov"].close()


@pytest.fixture
def app(
    bare_app: Flask, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    """Yield the application on an empty service of its own."""
    settings = load_settings(
        {
            "JOBPROV_DATA": str(tmp_path / "var"),
            "JOBPROV_DATABASE_URL": database_url,
            "JOBPROV_ARCHIVE_URL": "memory:",
        }
    )
    service = open_service(settings)
    # whatever a request keeps in the application, such as answers for pages, is forgotten with the
    # service
    monkeypatch.setattr(bare_app, "extensions", {**bare_app.extensions, "jobprov": service})
    bare_app.extensions["jobprov-measures"]._sums.clear()
    yield bare_app
    service.close()


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
            lambda writing: create_token(
                writing, experiment=experiment, name="test", now=now, days=days
            )
        )
        return {"Authorization": f"Bearer {token}"}

    return make
