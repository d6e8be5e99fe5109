"""The state of a witness."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobprov.provenance.db.witness_state import WitnessState


@pytest.fixture
def state(tmp_path: Path) -> Iterator[WitnessState]:
    """Return the state of a witness that told nothing yet."""
    with WitnessState(tmp_path / "state" / "witness.db") as opened:
        yield opened
