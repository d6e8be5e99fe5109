"""What a service does about itself: it says when it cannot write, and it takes no flood."""

import logging
import os
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobprov.app.access import wrong_tokens
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service
from jobprov.archive.errors import ArchiveUnreachableError
from jobprov.archive.opening import open_store
from jobprov.provenance.db.changes.upkeep import adopt_archive
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.errors import ConflictError, UnreachableError
from jobprov.provenance.services.intake import blobs
from jobprov.provenance.services.intake.tokens import create_token
from jobprov.provenance.services.recording import dead_letters
from jobprov.provenance.services.upkeep import database_rebuild
from jobprov.provenance.services.upkeep.archive_identity import UNFINISHED, tie_archive
from tests.library.answers import assert_problem
from tests.library.records import JOB, a_record, sha256
from tests.library.servers.live_service import LiveService

PUT = f"/api/v1/jobs/{JOB}"


def test_writer_that_cannot_start_is_told_and_starts_later(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert_problem(client.put(PUT, json=a_record()), 503)
        assert_problem(client.get("/api/v1/ready"), 503)

    assert client.get("/api/v1/ready").status_code == 200
    assert client.put(PUT, json=a_record()).status_code == 201


def test_archive_that_cannot_be_written_is_not_ready(
    client: FlaskClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise ArchiveUnreachableError("archive", "No space left on device")

    monkeypatch.setattr(service.store, "try_writing", full)

    answer = client.get("/api/v1/ready")

    assert_problem(answer, 503)
    assert "No space left" in answer.get_json()["detail"]


@pytest.mark.slow
def test_wrong_tokens_are_slowed_counted_and_logged(
    client: FlaskClient, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    good = service.write(
        lambda writing: create_token(writing, experiment="nova", name="t", now=datetime.now(UTC))
    )
    wrong = {"Authorization": f"Bearer prov_1_{'x' * 43}"}
    with caplog.at_level(logging.WARNING, "jobprov.tokens"):
        statuses = [
            client.put(PUT, json=a_record(), headers=wrong).status_code
            for _ in range(wrong_tokens.MOST_A_MINUTE + 5)
        ]

    assert statuses[: wrong_tokens.MOST_A_MINUTE] == [401] * wrong_tokens.MOST_A_MINUTE
    assert statuses[wrong_tokens.MOST_A_MINUTE :] == [429] * 5
    assert len(caplog.records) == 2
    assert "x" * 43 not in caplog.text
    own = {"Authorization": f"Bearer {good}"}
    assert client.put(PUT, json=a_record(), headers=own).status_code == 201
    assert "jobprov_wrong_tokens_total" in client.get("/api/v1/metrics").text


def test_dead_letters_have_a_quota(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "QUOTA_BYTES", 100)
    statuses = [
        client.put(PUT, data=os.urandom(80).hex(), content_type="application/json").status_code
        for _ in range(4)
    ]

    assert statuses[0] == 422
    assert statuses[-1] == 503


def test_blobs_have_a_quota_a_day(client: FlaskClient, service: Service) -> None:
    object.__setattr__(service, "blob_quota", blobs.BlobQuota(100))
    contents = [os.urandom(80) for _ in range(3)]

    statuses = [
        client.put(f"/api/v1/blobs/{sha256(content)}", data=content).status_code
        for content in contents
    ]

    assert statuses == [201, 201, 503]


def test_rebuild_that_was_killed_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store = f"sqlite:///{tmp_path / 'new.db'}", open_store(f"file:{tmp_path / 'archive'}")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(database_rebuild, "evaluate_waiting", killed)
        with pytest.raises(KeyboardInterrupt):
            database_rebuild.rebuild_database(store, url)

    database = open_database(url)
    with pytest.raises(ConflictError, match="cut short"):
        tie_archive(database, store)
    database.dispose()
    database_rebuild.rebuild_database(store, url)
    database = open_database(url)
    tie_archive(database, store)
    database.dispose()


def test_service_on_an_unfinished_rebuild_is_not_ready(
    client: FlaskClient, service: Service
) -> None:
    with service.database.writing.begin() as connection:
        adopt_archive(connection, UNFINISHED)

    answer = client.get("/api/v1/ready")

    assert_problem(answer, 503)
    assert "rebuild" in answer.get_json()["detail"]


def test_trusted_git_hosts_are_a_setting(tmp_path: Path) -> None:
    given = {"JOBPROV_DATA": str(tmp_path), "JOBPROV_TRUSTED_GIT_HOSTS": "Git.example.org, b"}

    settings = load_settings(given, {})

    assert settings.trusted_git_hosts == {"git.example.org", "b"}


@pytest.mark.slow
def test_requests_that_cannot_be_read_are_answered_in_json(tmp_path: Path) -> None:
    live = LiveService(tmp_path / "var")
    requests = {
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n": 414,
        b"G\x01T / HTTP/1.1\r\nHost: localhost\r\n\r\n": 400,
        b"PUT /api/v1/jobs/x HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 9000 + b"\r\n\r\n": 431,
    }
    try:
        for request, status in requests.items():
            answer = answer_to(live, request)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status), answer
            assert b"application/problem+json" in head
            assert body.startswith(b"{")
    finally:
        live.stop()


def answer_to(live: LiveService, request: bytes) -> bytes:
    """Return what the service says to these bytes, until it closes or a second passes."""
    host, port = live.url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port))) as line:
        line.settimeout(20)
        line.sendall(request)
        while piece := line.recv(65536):
            answer += piece
            if b"\r\n\r\n{" in answer:
                break
    return answer


def test_letters_that_turn_text_are_visible_on_pages(client: FlaskClient) -> None:
    name = "a\u202egpj.root\u2066"
    record = a_record(outputs=[{"name": name, "sha256": "a" * 64}])
    assert client.put(PUT, json=record).status_code == 201

    for path in (f"/jobs/{JOB}", "/jobs", f"/search?q={name}", f"/files/{name}"):
        page = client.get(path, follow_redirects=True).text
        assert "\u202e" not in page
        assert "\u2066" not in page


def test_stuck_writer_is_not_ready(service: Service) -> None:
    held = threading.Event()
    waiting = threading.Thread(target=service.writer.run, args=(lambda _writing: held.wait(20),))
    waiting.start()
    try:
        with pytest.raises(UnreachableError, match="did not answer"):
            service.writer.try_writing(lambda _writing: None, 0.2)
    finally:
        held.set()
        waiting.join()
