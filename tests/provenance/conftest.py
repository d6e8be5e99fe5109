"""A small production to record jobs in, on both databases."""

from collections.abc import Iterator

import pytest

from jobprov.provenance.db.connections.engines import Database
from tests.library.production import Production


@pytest.fixture
def production(database: Database) -> Iterator[Production]:
    """Yield an empty service."""
    opened = Production(database)
    yield opened
    opened.close()
