"""An empty production, and what background work needs: empty, and with two recorded jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.witness_state import WitnessState
from jobprov.provenance.services.work.queue import Parts
from tests.library.production import Production, opened_parts
from tests.library.productions.joining import joining_repository, sample_parts


@pytest.fixture
def state(tmp_path: Path) -> Iterator[WitnessState]:
    """Return the state of a witness that told nothing yet."""
    with WitnessState(tmp_path / "state" / "witness.db") as opened:
        yield opened


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production with an archive in memory."""
    made = Production(database, open_store("memory:"), tmp_path)
    yield made
    made.close()


@pytest.fixture
def parts(database: Database, tmp_path: Path) -> Iterator[Parts]:
    """Yield what background work needs, on an empty service."""
    with opened_parts(database, tmp_path) as opened:
        yield opened


@pytest.fixture
def sample_checkout(tmp_path: Path) -> Path:
    """Return the repository of the sample's two jobs."""
    return joining_repository(tmp_path / "joining")


@pytest.fixture
def sample(database: Database, tmp_path: Path, sample_checkout: Path) -> Iterator[Parts]:
    """Yield a service that holds the sample's two jobs: one succeeded and one failed."""
    with sample_parts(database, tmp_path, checkout=sample_checkout) as opened:
        yield opened
