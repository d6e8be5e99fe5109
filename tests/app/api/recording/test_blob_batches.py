"""Many small blobs in one call: each is taken or refused by itself."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobprov.app.api.recording.blob_batches import BATCH_BLOBS, BATCH_BYTES
from jobprov.app.wiring import Service
from jobprov.provenance.services.erasures.blobs import erase_blob, plan_blob_erasure
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import FIRST, JOB, a_record, sha256

NewToken = Callable[..., dict[str, str]]
BATCH = "/api/v1/blobs/batch"
ONE, TWO, SECRET = b"echo one\n", b"", b"password='correct-horse'\n"


def batch_of(*contents: bytes, package: str | None = None) -> bytes:
    head = [[sha256(content), len(content), package] for content in contents]
    return json.dumps(head).encode() + b"\n" + b"".join(contents)


def results(client: FlaskClient, body: bytes, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = client.post(BATCH, data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["results"]
    return found


def statuses(client: FlaskClient, body: bytes, headers: dict[str, str]) -> list[int]:
    return [result["status"] for result in results(client, body, headers)]


def test_blobs_are_stored_together_once_for_the_experiment_that_sent_them(
    client: FlaskClient, new_token: NewToken
) -> None:
    nova, minerva = new_token("nova"), new_token("minerva")
    asked = {"sha256": [sha256(ONE), sha256(TWO)]}

    first = results(client, batch_of(ONE, TWO, ONE), nova)

    assert first == [
        {"sha256": sha256(ONE), "status": 201},
        {"sha256": sha256(TWO), "status": 201},
        {"sha256": sha256(ONE), "status": 200},
    ]
    assert statuses(client, batch_of(ONE, TWO), nova) == [200, 200]
    assert client.get(f"/api/v1/blobs/{sha256(ONE)}").data == ONE
    missing = client.post("/api/v1/blobs/missing", json=asked, headers=minerva).get_json()
    assert missing["missing"] == asked["sha256"]
    assert statuses(client, batch_of(ONE), minerva) == [201]


def test_one_bad_blob_is_that_blobs_trouble_alone(
    client: FlaskClient, new_token: NewToken, service: Service
) -> None:
    object.__setattr__(service.settings, "blob_limit_bytes", 50)
    garbled, large = b"echo two\n", b"a" * 51
    head = [
        [sha256(ONE), len(ONE), None],
        ["0" * 64, len(garbled), None],
        [sha256(SECRET), len(SECRET), None],
        [sha256(large), len(large), None],
        [sha256(TWO), len(TWO), None],
    ]
    body = json.dumps(head).encode() + b"\n" + ONE + garbled + SECRET + large + TWO

    found = results(client, body, new_token())

    assert [result["status"] for result in found] == [201, 422, 422, 413, 201]
    assert found[1]["errors"] == {"sha256": ["digest-mismatch"]}
    assert found[2]["errors"] == {"sha256": ["secret-found: assignment"]}
    assert "50 bytes" in found[3]["detail"]
    refused = ["0" * 64, sha256(garbled), sha256(SECRET), sha256(large)]
    assert service.store.missing(refused) == set(refused)


def test_text_that_a_package_brought_is_not_searched(
    client: FlaskClient, new_token: NewToken
) -> None:
    body = batch_of(SECRET, package="dpkg libpython3.13-stdlib")

    assert statuses(client, body, new_token()) == [201]


@pytest.mark.parametrize("has_token", [False, True])
def test_blobs_reach_the_job_that_waits_for_them(
    client: FlaskClient,
    new_token: NewToken,
    has_token: bool,  # noqa: FBT001
) -> None:
    header = new_token() if has_token else {}
    scripts = [{"name": name, "sha256": sha256(blob)} for name, blob in (("a", ONE), ("b", TWO))]
    record = a_record(scripts=scripts)
    before = client.put(f"/api/v1/jobs/{JOB}", json=record, headers=header).get_json()

    assert statuses(client, batch_of(ONE, TWO), header) == [201, 201]

    shown = client.get(f"/api/v1/jobs/{JOB}").get_json()
    assert (len(before["missing_blobs"]), shown["missing_blobs"]) == (2, [])
    with_work = client.application.extensions["jobprov"]
    with with_work.reading() as connection:
        queued = connection.exec_driver_sql("SELECT key FROM work").scalars().all()
    assert {f"blob:{sha256(ONE)}", f"blob:{sha256(TWO)}"} <= set(queued)


def test_erased_blob_is_not_stored_again(
    client: FlaskClient, new_token: NewToken, service: Service
) -> None:
    header = new_token()
    results(client, batch_of(ONE), header)
    with service.reading() as connection:
        planned = plan_blob_erasure(connection, service.store, sha256(ONE), "nova")
    erase_blob(service.writer, planned, who="Eve", why="it slipped through", received_at=FIRST)

    assert results(client, batch_of(ONE, TWO), header) == [
        {"sha256": sha256(ONE), "status": 200, "change": "erased"},
        {"sha256": sha256(TWO), "status": 201},
    ]


@on_sqlite_alone
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", ""),
        (b"[]\nx", ""),
        (b'{"sha256": []}\n', ""),
        (batch_of(ONE, TWO)[:-1], ""),
        (batch_of(ONE) + b"more", ""),
        (batch_of(ONE)[: len(batch_of(ONE)) // 2], ""),
        (b'[["x", 0, null]]\n', "[0][0]"),
        (json.dumps([[sha256(TWO), 0, None], [sha256(ONE), -1, None]]).encode() + b"\n", "[1][1]"),
        (json.dumps([[sha256(TWO), 1 << 70, None]]).encode() + b"\n", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_batch_that_was_cut_or_garbled_is_refused_whole(
    client: FlaskClient, service: Service, body: bytes, field: str
) -> None:
    assert_problem(client.post(BATCH, data=body), 422, field)

    assert service.store.missing([sha256(ONE), sha256(TWO)]) == {sha256(ONE), sha256(TWO)}


def test_batch_has_limits(client: FlaskClient) -> None:
    many = json.dumps([[sha256(TWO), 0, None]] * (BATCH_BLOBS + 1)).encode() + b"\n"
    packed = gzip.compress(batch_of(b"a" * BATCH_BYTES))

    assert_problem(client.post(BATCH, data=many), 413)
    assert_problem(client.post(BATCH, data=batch_of(b"a" * BATCH_BYTES)), 413)
    assert_problem(client.post(BATCH, data=packed, headers={"Content-Encoding": "gzip"}), 413)


def test_batch_may_be_packed(client: FlaskClient) -> None:
    body = gzip.compress(batch_of(ONE, TWO))

    assert statuses(client, body, {"Content-Encoding": "gzip"}) == [201, 201]


def test_empty_batch_is_taken(client: FlaskClient) -> None:
    assert results(client, b"[]\n", {}) == []


def test_batch_needs_a_token_where_there_are_some(client: FlaskClient, new_token: NewToken) -> None:
    new_token()

    assert_problem(client.post(BATCH, data=batch_of(ONE)), 401)


def test_batch_counts_for_the_quota(client: FlaskClient, service: Service) -> None:
    results(client, batch_of(ONE), {})
    service.blob_quota._most = len(ONE)

    assert_problem(client.post(BATCH, data=batch_of(TWO)), 503)
