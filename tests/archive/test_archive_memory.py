"""The memory backend behaves as every backend does."""

import pytest
from archive_behaviour import StoreBehaviour

from jobprov.archive.backends.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class TestMemoryStore(StoreBehaviour):
    pass
