"""The application on a port, for clients that speak HTTP alone."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.library.servers.served_app import served


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Yield where the application listens."""
    yield from served(app)
