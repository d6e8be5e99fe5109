"""The pages on a small production, once for all tests of this folder: pages only read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from tests.library.productions import large_configuration, toy_experiment
from tests.library.servers.served_app import opened_service


@pytest.fixture(scope="session")
def filled_service(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Yield a service on a temporary folder in which the sample production is recorded."""
    folder = tmp_path_factory.mktemp("pages")
    with opened_service(sqlite_template, folder) as service:
        toy_experiment.fill(service)
        yield service


@pytest.fixture(scope="session")
def pages_app(filled_service: Service) -> Flask:
    """Return the application on it."""
    return create_app(filled_service.settings, service=filled_service)


@pytest.fixture
def pages(pages_app: Flask) -> FlaskClient:
    """Return a client of the application."""
    return pages_app.test_client()


@pytest.fixture(scope="session")
def configured_app(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """Yield the application on a service with one job.

    The job's configuration has 30,000 parameters.
    """
    folder = tmp_path_factory.mktemp("configurations")
    with opened_service(sqlite_template, folder) as service:
        large_configuration.fill(service, folder)
        yield create_app(service.settings, service=service)
