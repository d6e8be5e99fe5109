"""A small production to record jobs in, on both databases."""

import pytest

from provenance.db.engines import Database
from tests.library.records import Production


@pytest.fixture
def production(database: Database) -> Production:
    """Return an empty service."""
    return Production(database)
