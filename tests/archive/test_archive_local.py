"""The local backend behaves as every backend does."""

from pathlib import Path

import pytest

from jobprov.archive.backends.local import LocalStore
from tests.library.behaviour.stores import StoreBehaviour


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "archive")


class TestLocalStore(StoreBehaviour):
    pass
