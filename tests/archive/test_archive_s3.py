"""The S3 backend behaves as every backend does, on a real server."""

import pytest

from jobprov.archive.opening import open_store
from jobprov.archive.store import Store
from tests.library.behaviour.stores import StoreBehaviour

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]


@pytest.fixture
def store(s3_url: str) -> Store:
    return open_store(s3_url)


class TestS3Store(StoreBehaviour):
    contested_names = (
        2  # of two that put one at the same time, this server lets one wait for a second
    )
