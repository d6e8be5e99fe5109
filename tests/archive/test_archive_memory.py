"""The memory backend behaves as every backend does."""

import pytest

from jobprov.archive.backends.memory import MemoryStore
from tests.library.behaviour.stores import StoreBehaviour


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class TestMemoryStore(StoreBehaviour):
    pass
