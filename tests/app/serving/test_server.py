"""`jobprov serve` as a process: what it says, what it takes over a real socket, how it ends."""

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from jobprov.app.commands.terminal.hints import exports
from jobprov.app.config import load_settings
from jobprov.app.serving.server import serve
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError
from tests.library.commands import JOBPROV, clean_environment, run_alone
from tests.library.records import JOB, a_record, sha256
from tests.library.servers.live_service import LiveService


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(tmp_path_factory.mktemp("served") / "var")
    yield service
    assert service.stop() == 0


def connect(live: LiveService) -> "closing[http.client.HTTPConnection]":
    parts = urlsplit(live.url)
    return closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20))


@pytest.mark.slow
def test_fresh_service_makes_its_schema_and_says_who_may_write(live: LiveService) -> None:
    assert "jobprov serves http://127.0.0.1:" in live.said
    assert Client(live.url).is_ready()
    assert (live.data / "jobprov.db").is_file()
    assert (live.data / "secret-key").stat().st_mode & 0o777 == 0o600


def test_service_beside_the_usual_one_says_what_commands_need_to_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JOBPROV_URL", "JOBPROV_DATA"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings({"JOBPROV_DATA": str(tmp_path / "my data")})

    line = exports(settings, "http://127.0.0.1:8177")

    assert line == f"export JOBPROV_URL=http://127.0.0.1:8177 JOBPROV_DATA='{tmp_path}/my data'"
    assert exports(load_settings({}), "http://127.0.0.1:8095") is None


@pytest.mark.slow
def test_printed_exports_have_commands_ask_this_service(tmp_path: Path) -> None:
    """A shell that types the line finds the service and its folder, without more."""
    service = LiveService(tmp_path / "var")
    try:
        [line] = re.findall(r"^ *export .*$", service.printed(), re.MULTILINE)
        shown = subprocess.run(
            ["sh", "-c", f'{line}\n"$@"', "sh", *JOBPROV, "token", "list"],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        asked = subprocess.run(
            ["sh", "-c", f'{line}\n"$@"', "sh", *JOBPROV, "queue"],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        service.stop()

    assert (shown.returncode, asked.returncode) == (0, 0), shown.stderr + asked.stderr


@pytest.mark.slow
def test_records_and_blobs_come_over_a_real_socket(live: LiveService) -> None:
    client = Client(live.url)
    content = b"echo hello\n"
    client.put_blob(sha256(content), content)

    answer = client.record(a_record(scripts=[{"name": "x", "sha256": sha256(content)}]))

    assert answer.missing_blobs == []
    assert client.job(JOB).summary.state == "succeeded"


def test_body_past_the_limit_gets_an_answer_and_not_a_broken_line(live: LiveService) -> None:
    with connect(live) as connection:
        connection.request(
            "PUT", f"/api/v1/jobs/{JOB}", b"x" * (9 << 20), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        problem = json.loads(answer.read())

    assert (answer.status, problem["limit"]) == (413, 8 << 20)


def test_page_of_a_file_with_the_longest_name_can_be_asked_for(live: LiveService) -> None:
    name = quote("\u00e9" * 1000)
    with connect(live) as connection:
        connection.request("GET", f"/api/v1/files/{name}?experiment=nova")
        answer = connection.getresponse()

    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_chunked_body_is_taken_and_limited(live: LiveService) -> None:
    path, body = f"/api/v1/jobs/{a_record(7)['job_id']}", json.dumps(a_record(7)).encode()

    with connect(live) as connection:
        connection.request("PUT", path, iter([body[:20], body[20:]]), encode_chunked=True)
        taken = connection.getresponse().status
    with connect(live) as connection:
        connection.request("PUT", path, iter([b" " * (1 << 20)] * 9), encode_chunked=True)
        refused = connection.getresponse().status

    assert (taken, refused) == (201, 413)


@pytest.mark.slow
def test_sixteen_clients_record_at_once_and_lose_nothing(live: LiveService) -> None:
    def send(first: int) -> None:
        client = Client(live.url)
        for number in range(first, first + 10):
            client.record(a_record(number))

    threads = [threading.Thread(target=send, args=(1000 + 10 * place,)) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = {job.job_id for job in Client(live.url).jobs(limit=1000)}
    assert {a_record(number)["job_id"] for number in range(1000, 1160)} <= found


@pytest.mark.slow
def test_more_connections_are_kept_than_there_are_threads(tmp_path: Path) -> None:
    service = LiveService(tmp_path / "var", JOBPROV_THREADS="2")
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(service)) for _ in range(12)]
        answers = []
        for _ in range(3):
            for connection in connections:
                connection.request("GET", "/api/v1/health")
            for connection in connections:
                answer = connection.getresponse()
                answer.read()
                answers.append(answer.status)
    assert service.stop() == 0
    assert answers == [200] * 36


def test_requests_sent_ahead_on_one_connection_are_answered_in_order(live: LiveService) -> None:
    parts = urlsplit(live.url)
    paths = ["/api/v1/health", "/api/v1/jobs/none", "/api/v1/ready"]
    with socket.create_connection((parts.hostname, parts.port)) as line:
        for last, path in zip((False, False, True), paths, strict=True):
            closing_word = "Connection: close\r\n" if last else ""
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{closing_word}\r\n".encode())
        said = b""
        while part := line.recv(65536):
            said += part

    statuses = [int(found) for found in re.findall(rb"HTTP/1.1 (\d+)", said)]
    assert statuses == [200, 404, 200]


@pytest.mark.slow
def test_request_under_way_is_finished_before_the_service_ends(tmp_path: Path) -> None:
    service = LiveService(tmp_path / "var")
    assert Client(service.url).is_ready()
    parts = urlsplit(service.url)
    body = json.dumps(a_record()).encode()
    with socket.create_connection((parts.hostname, parts.port)) as line:
        head = (
            f"PUT /api/v1/jobs/{JOB} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            "\r\n"
        )
        line.sendall(head.encode() + body[:10])
        waiter = threading.Timer(1.0, lambda: line.sendall(body[10:]))
        waiter.start()
        stopper = threading.Timer(0.5, service.process.terminate)
        stopper.start()
        answer = line.recv(65536)

    assert answer.startswith(b"HTTP/1.1 201")
    assert service.stop() == 0
    again = LiveService(tmp_path / "var")
    assert Client(again.url).job(JOB).summary.job_id == JOB
    assert again.stop() == 0


@pytest.mark.slow
def test_worker_that_was_just_forked_hears_that_the_service_ends(tmp_path: Path) -> None:
    """The worker is told while it still has the arbiter's handlers of signals."""
    program = """
import os, signal, sys
from jobprov.app.config import load_settings
from jobprov.app.serving.server import Server

def end_both(arbiter, worker):
    os.kill(arbiter.pid, signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)

server = Server(load_settings({"JOBPROV_DATA": sys.argv[1], "JOBPROV_PORT": "0"}), print)
server.cfg.set("post_fork", end_both)
server.cfg.set("graceful_timeout", 3600)
server.run()
"""
    words = [sys.executable, "-c", program, str(tmp_path / "var")]

    ended = subprocess.run(words, env=clean_environment(), timeout=300, check=False)

    assert ended.returncode == 0


@pytest.mark.slow
def test_demo_ends_with_its_service(tmp_path: Path) -> None:
    log, temporary = tmp_path / "log", tmp_path / "tmp"
    temporary.mkdir()
    words = [*JOBPROV, "serve", "--demo", "--port", "0", "--data", str(tmp_path / "var")]
    environment = {**clean_environment(), "TMPDIR": str(temporary)}
    with log.open("wb") as out:
        process = subprocess.Popen(words, env=environment, stdout=out, stderr=out)
    wait_until(lambda: list(temporary.glob("jobprov-demo-*/jobs/*")), "the demo does not begin")
    # what the demo starts has its command line until it is executed, so one line may be there twice
    demos = {line for line in _running(str(tmp_path)) if "service.demo" in line}

    process.terminate()

    assert process.wait(timeout=60) == 0
    assert len(demos) == 1
    wait_until(lambda: demos.isdisjoint(_running(str(tmp_path))), "the demo goes on")
    assert list(temporary.iterdir()) == []


def wait_until(is_so: Callable[[], object], why: str) -> None:
    give_up_at = time.monotonic() + 180
    while not is_so():
        assert time.monotonic() < give_up_at, why
        time.sleep(0.2)


def _running(word: str) -> list[str]:
    """Return the command lines of all processes that have this word in theirs."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended just now
            lines.append(file.read_text(errors="replace").replace("\0", " "))
    return [line for line in lines if word in line]


@pytest.mark.slow
def test_more_than_one_worker_on_sqlite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="PostgreSQL"):
        serve(load_settings({"JOBPROV_DATA": str(tmp_path), "JOBPROV_WORKERS": "2"}, {}), print)


def test_standby_of_sqlite_is_refused_before_anything_listens(tmp_path: Path) -> None:
    settings = {
        "JOBPROV_DATA": str(tmp_path),
        "JOBPROV_DATABASE_READ_URL": "postgresql+psycopg://standby.example.org/jobprov",
    }
    with pytest.raises(BadInputError, match="SQLite has no standby"):
        serve(load_settings(settings, {}), print)


@pytest.mark.slow
def test_postgresql_without_schema_is_not_changed_but_told_the_command(
    postgresql_server: str, tmp_path: Path
) -> None:
    url = (
        postgresql_server.rsplit("/", 1)[0] + "/postgres"
        if "?" not in postgresql_server
        else postgresql_server
    )

    ended = run_alone("serve", "--port", "0", JOBPROV_DATA=str(tmp_path), JOBPROV_DATABASE_URL=url)

    assert ended.returncode == 3
    assert "jobprov migrate" in ended.stderr
