"""What a gateway finds too large goes in smaller pieces, to a real service."""

import json
import os
from collections.abc import Iterator

import pytest

from jobprov.provenance.client import Client
from jobprov.provenance.client.answers import GatewayError
from jobprov.provenance.errors import LimitError
from tests.library.records import a_record, sha256
from tests.library.servers.hostile_proxy import HostileProxy
from tests.library.servers.live_service import LiveService

pytestmark = pytest.mark.slow
LIMIT = 60_000


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(
        tmp_path_factory.mktemp("split") / "var", JOBPROV_BLOB_LIMIT_BYTES=str(1 << 20)
    )
    yield service
    service.stop()


@pytest.fixture
def proxy(live: LiveService) -> Iterator[HostileProxy]:
    proxy = HostileProxy(live.url, limit=LIMIT)
    yield proxy
    proxy.close()


def test_blob_goes_in_parts(live: LiveService, proxy: HostileProxy) -> None:
    content = os.urandom(500_000)

    answer = Client(proxy.url).put_blob(sha256(content), content)

    assert (answer.size_bytes, answer.is_new) == (500_000, True)
    assert Client(live.url).missing_blobs([sha256(content)]) == []
    assert proxy.counts["too large"] == 4  # 500 kB, 250, 125, 62.5


def test_blob_that_no_gateway_lets_pass_is_an_error(live: LiveService) -> None:
    proxy = HostileProxy(live.url, limit=10_000)

    with pytest.raises(GatewayError, match="413, but it is not jobprov"):
        Client(proxy.url).put_blob(sha256(b"x" * 50_000), b"x" * 50_000)
    proxy.close()


def test_blob_that_jobprov_finds_too_large_is_not_tried_in_parts(live: LiveService) -> None:
    proxy = HostileProxy(live.url)

    with pytest.raises(LimitError):
        Client(proxy.url).put_blob(sha256(b"x" * (2 << 20)), b"x" * (2 << 20))
    assert proxy.counts["passed"] == 1
    proxy.close()


def test_batch_goes_in_halves(proxy: HostileProxy) -> None:
    bodies = []
    for number in range(30):
        record = a_record(1000 + number, extra={"filler": "x" * 20_000})
        bodies.append(json.dumps(record).encode())

    results = Client(proxy.url).record_batch(bodies)

    assert [result.status for result in results] == [201] * 30
    assert [result.job_id for result in results] == [json.loads(body)["job_id"] for body in bodies]


def test_question_goes_in_halves(live: LiveService, proxy: HostileProxy) -> None:
    here = os.urandom(10)
    Client(live.url).put_blob(sha256(here), here)
    digests = [sha256(str(number).encode()) for number in range(3000)]

    missing = Client(proxy.url).missing_blobs([*digests, sha256(here)])

    assert missing == digests
    assert proxy.counts["too large"] >= 3
