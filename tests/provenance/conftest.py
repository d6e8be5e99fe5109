"""A small production to record jobs in, on both databases."""

import pytest
from production_samples import Production

from jobprov.provenance.db.engines import Database


@pytest.fixture
def production(database: Database) -> Production:
    """Return an empty service."""
    return Production(database)
