"""The whole application on both databases, without a network."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from jobprov.provenance.services.intake.tokens import create_token
from tests.library.servers.served_app import AppOn, answering_from, empty_service


@pytest.fixture
def app_on(bare_app: Flask) -> Iterator[AppOn]:
    """Yield a function that has the one application answer from a service until the test ends."""
    with ExitStack() as answering:
        yield lambda service: answering.enter_context(answering_from(bare_app, service))


@pytest.fixture
def app(app_on: AppOn, database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """Yield the application on an empty service of its own."""
    with empty_service(database_url, tmp_path / "var") as service:
        yield app_on(service)


@pytest.fixture(scope="module")
def module_service(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Yield an empty service that the tests of a module share.

    It is for those that only read what the module recorded in it once; see `answering_from`.
    """
    folder = tmp_path_factory.mktemp("module")
    with empty_service(module_database_url, folder) as service:
        yield service


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
