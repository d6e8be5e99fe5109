"""Small blobs go in one call, and nothing that happens to that call loses one of them."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.sending.delivery import IncompleteError, deliver
from jobprov.provenance.capture.sending.entry import Entry
from tests.library.records import a_record
from tests.library.servers.hook_service import Answer, Service, problem

SMALL = [f"file {number}\n".encode() * 9 for number in range(40)]


def spooled(folder: Path, contents: list[bytes]) -> Path:
    """Return an entry of the spool with a record that names some blobs."""
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    scripts = [{"name": f"{number}.sh", "sha256": one} for number, one in enumerate(digests)]
    path = folder / "entry.jobprov"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("record.json", json.dumps(a_record(scripts=scripts)))
        archive.writestr("delivery.json", "{}")
        for digest, content in zip(digests, contents, strict=True):
            archive.writestr(f"blobs/{digest}", content)
    return path


def sent(service: Service, folder: Path, contents: list[bytes]) -> Entry:
    return deliver(str(spooled(folder, contents)), service.url, None, Clock(60.0))


@pytest.fixture
def batching(service: Service) -> Service:
    """Return a service that takes blobs together."""
    service.batch_bytes = 8 << 20
    return service


def test_small_blobs_go_in_one_call_and_large_ones_alone(batching: Service, tmp_path: Path) -> None:
    large = b"large" * 40_000

    entry = sent(batching, tmp_path, [*SMALL, large])

    assert sorted(batching.blobs.values()) == sorted([*SMALL, large])
    assert entry.confirmed == set(batching.blobs)
    assert batching.count("POST", "/blobs/batch") == 1
    assert batching.count("PUT", "/blobs/") == 1


def test_service_without_the_call_gets_each_blob_alone(service: Service, tmp_path: Path) -> None:
    sent(service, tmp_path, SMALL)

    assert service.count("PUT", "/blobs/") == len(service.blobs) == len(SMALL)
    assert service.count("POST", "/blobs/batch") == 0


def test_calls_are_bounded_in_blobs_and_bytes(batching: Service, tmp_path: Path) -> None:
    tiny = [str(number).encode() for number in range(600)]
    middling = [bytes([number]) * 100_000 for number in range(30)]

    sent(batching, tmp_path, [*tiny, *middling])

    batches = [
        body for body in batching.received if b'",100000,null]' in body or b",1,null]" in body
    ]
    assert len(batching.blobs) == 630
    assert batching.count("PUT", "/blobs/") == 0
    assert max(len(json.loads(body.partition(b"\n")[0])) for body in batches) <= 250
    assert max(map(len, batches)) <= 1 << 20


def test_secret_in_one_blob_is_that_blobs_trouble_alone(batching: Service, tmp_path: Path) -> None:
    batching.secret = b"password=hunter22"
    secret = b"export X=1\npassword=hunter22\n"

    sent(batching, tmp_path, [*SMALL, secret])

    redacted = b"export X=1\npassword=<redacted:assignment>\n"
    assert sorted(batching.blobs.values()) == sorted([*SMALL, redacted])
    assert hashlib.sha256(secret).hexdigest() not in json.dumps(batching.only_record())
    assert batching.count("PUT", "/blobs/") == 2


def test_batch_that_is_too_large_for_a_gateway_goes_in_pieces(
    batching: Service, tmp_path: Path
) -> None:
    contents = [bytes([number]) * 20_000 for number in range(40)]

    def gateway(handler: BaseHTTPRequestHandler, usual: Callable[[], Answer]) -> Answer:
        batching.faults.append(gateway)
        size = int(handler.headers["Content-Length"])
        return (413, {}, {}) if size > 100_000 else usual()

    batching.faults = [gateway]

    sent(batching, tmp_path, contents)

    assert sorted(batching.blobs.values()) == contents
    assert batching.count("PUT", "/blobs/") < 5
    assert [request[2] for request in batching.requests].count(413) < 6


@pytest.mark.parametrize(
    "fault",
    [
        (200, {}, {}),
        (200, {}, {"results": [{"sha256": "0" * 64, "status": 201}]}),
        (200, {}, {"results": "all of them"}),
        ("cut", {}, {}),
        (403, {}, {"message": "the firewall does not like this"}),
        (413, {}, {}),
        problem(404, "no such call", "not-found"),
        problem(405, "no such method", "method-not-allowed"),
        problem(422, "cannot be read", "bad-input"),
        problem(500, "a mistake of ours", "mistake-of-ours"),
    ],
)
def test_answer_that_is_no_receipt_leaves_no_blob_behind(
    batching: Service, tmp_path: Path, fault: Answer
) -> None:
    def once(handler: BaseHTTPRequestHandler, usual: Callable[[], Answer]) -> Answer:
        is_batch = handler.path.endswith("/blobs/batch")
        if not is_batch:
            batching.faults.append(once)
        return fault if is_batch else usual()

    batching.faults = [once]

    sent(batching, tmp_path, SMALL)

    assert sorted(batching.blobs.values()) == sorted(SMALL)
    assert len(batching.records) == 1


def test_results_without_their_last_blob_are_no_receipt(batching: Service, tmp_path: Path) -> None:
    def forgetful(handler: BaseHTTPRequestHandler, usual: Callable[[], Answer]) -> Answer:
        batching.faults.append(forgetful)
        if not handler.path.endswith("/blobs/batch"):
            return usual()
        status, headers, answer = usual()
        for digest in list(batching.blobs)[-1:]:
            del batching.blobs[digest]
        return status, headers, {"results": answer["results"][:-1]}

    batching.faults = [forgetful]

    entry = sent(batching, tmp_path, SMALL)

    assert sorted(batching.blobs.values()) == sorted(SMALL)
    assert entry.confirmed == set(batching.blobs)


@pytest.mark.slow
def test_gateway_that_refuses_every_batch_is_asked_a_few_times(
    batching: Service, tmp_path: Path
) -> None:
    contents = [bytes([number]) * 10_000 for number in range(200)]

    def gateway(handler: BaseHTTPRequestHandler, usual: Callable[[], Answer]) -> Answer:
        batching.faults.append(gateway)
        return (413, {}, {}) if handler.path.endswith("/blobs/batch") else usual()

    batching.faults = [gateway]

    sent(batching, tmp_path, contents)

    assert sorted(batching.blobs.values()) == contents
    assert batching.count("POST", "/blobs/batch") < 12


def test_sender_who_may_not_write_is_told_so_at_once(batching: Service, tmp_path: Path) -> None:
    batching.faults = [None, problem(403, "another experiment's token", "forbidden")]

    with pytest.raises(Exception, match="another experiment's token") as caught:
        sent(batching, tmp_path, SMALL)

    assert not isinstance(caught.value, IncompleteError)
    assert batching.count("PUT", "/blobs/") == 0
