"""The whole application on both databases, without a network."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.services.intake.tokens import create_token
from tests.library.servers.served_app import AppOn


@pytest.fixture
def app_on(bare_app: Flask, monkeypatch: pytest.MonkeyPatch) -> AppOn:
    """Return a function that has the one application answer from a service until the test ends."""

    def serve(service: Service) -> Flask:
        # whatever a request keeps in the application, such as answers for pages, is forgotten with
        # the service
        extensions = {**bare_app.extensions, "jobprov": service}
        monkeypatch.setattr(bare_app, "extensions", extensions)
        bare_app.extensions["jobprov-measures"]._requests.clear()
        return bare_app

    return serve


@pytest.fixture
def app(app_on: AppOn, database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """Yield the application on an empty service of its own."""
    settings = load_settings(
        {
            "JOBPROV_DATA": str(tmp_path / "var"),
            "JOBPROV_DATABASE_URL": database_url,
            "JOBPROV_ARCHIVE_URL": "memory:",
        }
    )
    service = open_service(settings)
    yield app_on(service)
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
