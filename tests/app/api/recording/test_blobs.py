"""Blobs over HTTP: digests, limits, possession, and what a late blob does for waiting jobs."""

import gzip
import os
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from jobprov.provenance.services.intake import partial_blobs as half_sent
from jobprov.provenance.services.intake.partial_blobs import HalfSent
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record, sha256

NewToken = Callable[..., dict[str, str]]
BYTES = b"#!/bin/sh\necho hello\n"
DIGEST = sha256(BYTES)
PUT = f"/api/v1/blobs/{DIGEST}"


def test_blob_is_stored_once_and_read_back(client: FlaskClient, new_token: NewToken) -> None:
    header = new_token()

    assert client.put(PUT, data=BYTES, headers=header).status_code == 201
    assert client.put(PUT, data=BYTES, headers=header).status_code == 200
    answer = client.get(PUT)
    assert answer.data == BYTES
    assert answer.headers["Content-Length"] == str(len(BYTES))


def test_question_that_is_nested_too_deeply_is_refused(
    client: FlaskClient, new_token: NewToken
) -> None:
    assert_problem(
        client.post("/api/v1/blobs/missing", data=b'{"a":' * 50_000, headers=new_token()), 422
    )


def test_part_of_a_blob_can_be_asked_for(client: FlaskClient, new_token: NewToken) -> None:
    client.put(PUT, data=BYTES, headers=new_token())

    answer = client.get(PUT, headers={"Range": "bytes=2-8"})

    assert (answer.status_code, answer.data) == (206, BYTES[2:9])
    kept = client.get(PUT, headers={"If-None-Match": f'"{DIGEST}"'})
    assert (kept.status_code, kept.headers["Cache-Control"]) == (304, "private, no-cache")
    assert_problem(client.get(PUT, headers={"Range": "bytes=900-"}), 416)


def test_half_sent_blob_goes_on_where_it_broke_off(
    client: FlaskClient, new_token: NewToken
) -> None:
    header = new_token()
    size = len(BYTES)

    nothing = client.put(PUT, headers={**header, "Content-Range": f"bytes */{size}"})
    cut = client.put(
        PUT,
        input_stream=BytesIO(BYTES[:9]),  # less than was announced
        headers={
            **header,
            "Content-Range": f"bytes 0-{size - 1}/{size}",
            "Content-Length": str(size),
        },
    )
    asked = client.put(PUT, headers={**header, "Content-Range": f"bytes */{size}"})
    beyond = client.put(
        PUT, data=BYTES[12:], headers={**header, "Content-Range": f"bytes 12-{size - 1}/{size}"}
    )
    rest = client.put(
        PUT, data=BYTES[9:], headers={**header, "Content-Range": f"bytes 9-{size - 1}/{size}"}
    )

    assert (
        nothing.status_code,
        nothing.get_json()["received_bytes"],
        nothing.headers.get("Range"),
    ) == (308, 0, None)
    assert (cut.status_code, cut.get_json()["received_bytes"]) == (308, 9)
    assert (asked.status_code, asked.headers["Range"], asked.get_json()["received_bytes"]) == (
        308,
        "bytes=0-8",
        9,
    )
    assert (beyond.status_code, beyond.get_json()["received_bytes"]) == (308, 9)
    assert (rest.status_code, client.get(PUT).data) == (201, BYTES)


def test_half_sent_blobs_of_experiments_do_not_meet(
    client: FlaskClient, new_token: NewToken
) -> None:
    size = len(BYTES)
    head = {"Content-Range": f"bytes 0-8/{size}"}
    client.put(PUT, data=BYTES[:9], headers={**new_token("minerva"), **head})

    answer = client.put(PUT, headers={**new_token(), "Content-Range": f"bytes */{size}"})

    assert answer.get_json()["received_bytes"] == 0


def test_garbled_part_is_forgotten(client: FlaskClient, service: Service) -> None:
    size = len(BYTES)
    client.put(PUT, data=b"X" * 9, headers={"Content-Range": f"bytes 0-8/{size}"})

    refused = client.put(
        PUT, data=BYTES[9:], headers={"Content-Range": f"bytes 9-{size - 1}/{size}"}
    )
    again = client.put(PUT, data=BYTES, headers={"Content-Range": f"bytes 0-{size - 1}/{size}"})

    assert_problem(refused, 422, "sha256")
    assert again.status_code == 201
    assert list(service.settings.data.rglob("half-sent/*/*")) == []


@pytest.mark.parametrize("secret", [b"password=hunter2canary\n"])
def test_secret_in_parts_is_not_stored(
    client: FlaskClient, service: Service, secret: bytes
) -> None:
    digest, size = sha256(secret), len(secret)
    url = f"/api/v1/blobs/{digest}"
    client.put(url, data=secret[:4], headers={"Content-Range": f"bytes 0-3/{size}"})

    answer = client.put(
        url, data=secret[4:], headers={"Content-Range": f"bytes 4-{size - 1}/{size}"}
    )

    assert_problem(answer, 422, "sha256")
    assert service.store.missing([digest]) == {digest}


@on_sqlite_alone
@pytest.mark.parametrize(
    "text",
    ["bytes 5-3/9", "bytes 0-9/9", "0-3/9", "bytes 0-3/*", "bytes 0-3/9 x", "items 0-3/9", ""],
)
def test_odd_range_is_refused(client: FlaskClient, text: str) -> None:
    assert_problem(
        client.put(PUT, data=b"abcd", headers={"Content-Range": text}), 422, "Content-Range"
    )


def test_part_has_limits(client: FlaskClient, service: Service) -> None:
    object.__setattr__(service.settings, "blob_limit_bytes", 1000)

    assert_problem(client.put(PUT, data=b"a", headers={"Content-Range": "bytes 0-0/1001"}), 413)
    assert_problem(client.put(PUT, data=b"abc", headers={"Content-Range": "bytes 0-1/1000"}), 413)
    packed = {"Content-Range": "bytes 0-1/1000", "Content-Encoding": "gzip"}
    assert_problem(client.put(PUT, data=b"abc", headers=packed), 422, "Content-Encoding")


def test_half_sent_blobs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_sent, "EXPERIMENT_FILES", 3)
    now = time.time()
    for number in range(5):
        half = HalfSent(tmp_path, "nova", f"{number:064}")
        half.take(0, [b"x"])
        os.utime(tmp_path / "nova" / f"{number:064}", (now + number, now + number))
    HalfSent(tmp_path, "dune", "1" * 64).take(0, [b"x"])

    half_sent.make_room(tmp_path, now=now + 100)
    kept = sorted(path.name[-1] for path in (tmp_path / "nova").iterdir())
    half_sent.make_room(tmp_path, now=now + half_sent.KEPT_SECONDS + 2.5)

    assert kept == ["2", "3", "4"]
    assert sorted(path.name[-1] for path in tmp_path.glob("*/*")) == ["3", "4"]


def test_blob_whose_digest_differs_is_refused(client: FlaskClient, service: Service) -> None:
    assert_problem(client.put(PUT, data=b"something else"), 422, "sha256")
    assert service.store.missing([DIGEST]) == {DIGEST}


@on_sqlite_alone
@pytest.mark.parametrize("name", ["abc", "A" * 64, "..%2f..%2fetc", "0" * 65])
def test_name_that_is_no_digest_is_refused(client: FlaskClient, name: str) -> None:
    assert client.put(f"/api/v1/blobs/{name}", data=b"x").status_code in (404, 422)
    assert client.get(f"/api/v1/blobs/{name}").status_code in (404, 422)


def test_gzip_blob_is_kept_unpacked(client: FlaskClient) -> None:
    client.put(PUT, data=gzip.compress(BYTES), headers={"Content-Encoding": "gzip"})
    client.put(f"/api/v1/jobs/{JOB}", json=a_record(scripts=[{"name": "x", "sha256": DIGEST}]))

    assert client.get(PUT).data == BYTES


@pytest.mark.slow
def test_blob_past_the_limit_is_refused(client: FlaskClient, service: Service) -> None:
    object.__setattr__(service.settings, "blob_limit_bytes", 9_000_000)
    large = b"a" * 9_000_001  # more than the longest record

    assert_problem(client.put(f"/api/v1/blobs/{sha256(large)}", data=large), 413)
    within = large[:-1]
    assert client.put(f"/api/v1/blobs/{sha256(within)}", data=within).status_code == 201


def test_blob_of_unknown_length_is_limited_too(client: FlaskClient, service: Service) -> None:
    object.__setattr__(service.settings, "blob_limit_bytes", 100_000)
    large = b"a" * 100_001

    answer = client.put(
        f"/api/v1/blobs/{sha256(large)}",
        input_stream=BytesIO(large),
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert_problem(answer, 413)


def test_blob_with_a_secret_is_not_stored(client: FlaskClient, service: Service) -> None:
    text = b"export X=1\ncurl -H 'Authorization: Bearer abcdefghijklmnopqrstuvwxyz012345'\n"

    problem = assert_problem(client.put(f"/api/v1/blobs/{sha256(text)}", data=text), 422, "sha256")

    assert problem["type"].endswith("secret-found")
    assert service.store.missing([sha256(text)]) == {sha256(text)}


def test_text_that_a_package_brought_is_stored_whatever_it_seems_to_hold(
    client: FlaskClient, service: Service
) -> None:
    text = b"password = 'correct-horse'\n"
    headers = {"Jobprov-Package": "dpkg libpython3.13-stdlib:amd64"}

    answer = client.put(f"/api/v1/blobs/{sha256(text)}", data=text, headers=headers)

    assert answer.status_code == 201
    assert service.store.get(sha256(text)) == text


def test_possession_is_an_experiments_own(client: FlaskClient, new_token: NewToken) -> None:
    nova, minerva = new_token("nova"), new_token("minerva")
    client.put(PUT, data=BYTES, headers=nova)
    body = {"sha256": [DIGEST, "0" * 64, DIGEST]}

    assert client.post("/api/v1/blobs/missing", json=body, headers=nova).get_json() == {
        "missing": ["0" * 64],
        "batch_bytes": 8 << 20,
    }
    assert client.post("/api/v1/blobs/missing", json=body, headers=minerva).get_json()[
        "missing"
    ] == [DIGEST, "0" * 64]
    assert client.put(PUT, data=BYTES, headers=minerva).status_code == 201


def test_naming_a_blob_of_another_experiment_gives_nothing(
    client: FlaskClient, new_token: NewToken
) -> None:
    nova, minerva = new_token("nova"), new_token("minerva")
    client.put(PUT, data=BYTES, headers=nova)
    record = a_record(experiment="minerva", scripts=[{"name": "x", "sha256": DIGEST}])

    answer = client.put(f"/api/v1/jobs/{JOB}", json=record, headers=minerva)

    assert answer.get_json()["missing_blobs"] == [DIGEST]


def test_answer_to_a_record_names_small_inputs_that_nobody_sent(
    client: FlaskClient, new_token: NewToken
) -> None:
    """As after a restart of a service without tokens, which forgets who sent what."""
    header = new_token("nova")
    small = {"name": "a.txt", "sha256": DIGEST, "size_bytes": len(BYTES)}
    large = {"name": "b.root", "sha256": "0" * 64, "size_bytes": 1 << 30}
    record = a_record(inputs=[small, large])

    before = client.put(f"/api/v1/jobs/{JOB}", json=record, headers=header).get_json()
    shown = client.get(f"/api/v1/jobs/{JOB}").get_json()["missing_blobs"]
    client.put(PUT, data=BYTES, headers=header)
    after = client.put(f"/api/v1/jobs/{JOB}", json=record, headers=header).get_json()

    assert (before["missing_blobs"], shown, after["missing_blobs"]) == ([DIGEST], [DIGEST], [])


@pytest.mark.parametrize("is_late", [False, True])
def test_blob_without_token_is_for_the_experiment_that_names_it(
    client: FlaskClient,
    is_late: bool,  # noqa: FBT001
) -> None:
    record = a_record(scripts=[{"name": "x", "sha256": DIGEST}])
    if is_late:
        client.put(f"/api/v1/jobs/{JOB}", json=record)
    client.put(PUT, data=BYTES)

    answer = client.put(f"/api/v1/jobs/{JOB}", json=record)

    assert answer.get_json()["missing_blobs"] == []
    assert client.get(PUT).data == BYTES


def test_blob_that_nobody_named_is_not_read(client: FlaskClient) -> None:
    client.put(PUT, data=BYTES)

    assert_problem(client.get(PUT), 404)


@on_sqlite_alone
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"sha256": ["x"]}, 422),
        ({"sha256": "x"}, 422),
        ({}, 422),
        ({"sha256": ["0" * 64] * 10_001}, 413),
    ],
)
def test_question_about_no_digests_is_refused(
    client: FlaskClient, body: object, status: int
) -> None:
    assert_problem(client.post("/api/v1/blobs/missing", json=body), status)
