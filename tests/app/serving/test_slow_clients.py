"""Clients that send or read slowly: they keep no thread, and others are answered meanwhile."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

from jobprov.app.serving.arrivals import HEAD_BYTES, Arrival, HeadTooLongError, NoRoomError, Room
from jobprov.app.serving.departures import Departure
from tests.library.records import a_record
from tests.library.servers.live_service import LiveService

CLIENTS = 40
_PUT = b"PUT /api/v1/jobs/x HTTP/1.1\r\nHost: localhost\r\n"
_READ = b"GET /api/v1/hook/job-end-hook.pyz HTTP/1.1\r\nHost: localhost\r\n"
SLOW = {
    "silent": b"",
    "without the end of their headers": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-More: ",
    "with half a body": _PUT + b"Content-Length: 100000\r\n\r\n{",
    "with half a chunk": _PUT + b"Transfer-Encoding: chunked\r\n\r\n9\r\nab\r\n\r\n",
    "with a body that is too long": _PUT + b"Content-Length: 100000000000\r\n\r\n{",
    "that read nothing": (_READ + b"\r\n") * 40,
    "that never close": _READ + b"Connection: close\r\n\r\n",
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(tmp_path_factory.mktemp("slow") / "var", JOBPROV_THREADS="2")
    requests.get(f"{service.url}/api/v1/hook/job-end-hook.pyz", timeout=60).raise_for_status()
    yield service
    service.process.kill()
    service.stop()


def connect(live: LiveService, receive_bytes: int = 65536) -> socket.socket:
    parts = urlsplit(live.url)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    line.settimeout(30)
    line.connect((parts.hostname, parts.port))
    return line


@pytest.mark.slow
@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_keep_no_thread(live: LiveService, kind: str) -> None:
    record = a_record(list(SLOW).index(kind) + 1)
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            line = stack.enter_context(connect(live, 4096))
            line.sendall(SLOW[kind])

        url = f"{live.url}/api/v1/jobs/{record['job_id']}"
        answer = requests.put(url, json=record, timeout=10)

    assert answer.status_code == 201


@pytest.mark.slow
def test_client_that_reads_slowly_gets_its_answers_whole_and_in_order(live: LiveService) -> None:
    hook = requests.get(f"{live.url}/api/v1/hook/job-end-hook.pyz", timeout=60).content
    with connect(live, 4096) as line:
        line.sendall((_READ + b"\r\n") * 4 + _READ + b"Connection: close\r\n\r\n")
        received = b""
        while piece := line.recv(4096):
            received += piece

    assert received.count(hook) == 5


@pytest.mark.slow
def test_client_that_waits_for_a_word_is_told_to_go_on(live: LiveService) -> None:
    with connect(live) as line:
        line.sendall(_PUT + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        told = line.recv(65536)
        line.sendall(b"{}")
        answer = line.recv(65536)

    assert told.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 422 " in answer


@pytest.mark.slow
def test_headers_without_end_are_refused_in_words(live: LiveService) -> None:
    with connect(live) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * (HEAD_BYTES + 1))
        answer = line.recv(65536)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["status"] == 431


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_end_of_a_chunked_request_is_found_however_it_is_cut(size: int) -> None:
    request = _PUT + (
        b"Transfer-Encoding: chunked\r\n\r\n"
        b"5;x=y\r\n0\r\n\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    )
    arrival, surplus = Arrival(Room(0), 1 << 20), b""
    sent = request + b"GET /"

    for place in range(0, len(sent), size):
        piece = sent[place : place + size]
        if arrival.is_whole:
            surplus += piece
        else:
            surplus += arrival.take(piece)

    assert (arrival.is_whole, surplus) == (True, b"GET /")
    reader, read = arrival.reader(), b""
    while piece := reader.chunk():
        read += piece
    assert read == request
    arrival.close()


@pytest.mark.parametrize("framing", [b"Content-Length: 4000000", b"Transfer-Encoding: chunked"])
def test_long_body_is_not_copied_at_each_read(framing: bytes) -> None:
    """What the parser keeps it copies whenever it is read: 64 MB once took 35 s of CPU so."""
    body = bytes(4_000_000)
    arrival = Arrival(Room(1 << 23), 1 << 23)
    sent = body if b"Length" in framing else b"3d0900\r\n" + body + b"\r\n0\r\n\r\n"
    arrival.take(_PUT + framing + b"\r\n\r\n" + sent)
    parser = RequestParser(Config(), (), ("127.0.0.1", 1))
    parser.unreader = arrival.reader()
    request = next(parser)

    received, most_kept = 0, 0
    while piece := request.body.read(1 << 16):
        received += len(piece)
        most_kept = max(most_kept, len(parser.unreader.buf.getvalue()))

    assert received == len(body)
    assert most_kept <= 1 << 16
    arrival.close()


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_rest_of_a_body_that_is_too_long_is_no_request(live: LiveService, framing: str) -> None:
    """Behind a proxy the connection is another client's next: the rest would be its request."""
    hidden = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    taken = b"x" * (64 << 20)
    if framing == "length":
        body = b"Content-Length: %d\r\n\r\n" % (len(taken) + len(hidden)) + taken
    else:
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        body = b"Transfer-Encoding: chunked\r\n\r\n" + chunk * (2 * (64 << 20) // len(chunk) + 1)

    with connect(live) as line:
        line.sendall(_PUT + body + hidden)
        answer = b""
        while piece := line.recv(65536):
            answer += piece

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_body_that_the_disk_does_not_take_is_not_taken_for_whole(tmp_path: Path) -> None:
    """A full disk says the same to whoever writes as a client does that went away: an error."""
    arrival = Arrival(Room(1 << 20, str(tmp_path / "no such folder")), 1 << 20)

    with pytest.raises(NoRoomError, match="cannot be kept until it is whole: No such file"):
        arrival.take(b"PUT / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + bytes(90_000))

    arrival.close()


def test_what_all_requests_take_on_disk_is_bounded(tmp_path: Path) -> None:
    room = Room(300_000, str(tmp_path))
    first, second = Arrival(room, 1 << 20), Arrival(room, 1 << 20)
    for arrival in (first, second):
        arrival.take(_PUT + b"Content-Length: 900000\r\n\r\n")
    first.take(b"x" * 200_000)

    with pytest.raises(NoRoomError):
        second.take(b"x" * 200_000)
    first.close()
    second.take(b"x" * 200_000)
    second.close()


def test_head_and_body_of_an_answer_leave_together(tmp_path: Path) -> None:
    """Each piece that is sent wakes the client, and gives a turn of Python's lock away."""
    server, client = socket.socketpair()
    departure = Departure(server, Room(1 << 20, str(tmp_path)), threading.Semaphore(1))
    client.settimeout(0.0)
    for answer in (b"body", b"another"):
        departure.sendall(b"head ")
        with pytest.raises(BlockingIOError):
            client.recv(100)
        departure.sendall(answer)
        departure.sendall(b" and more")
        departure.send_head()
        departure.end_answer()
        assert client.recv(100) == b"head " + answer + b" and more"

    departure.sendall(b"head alone")
    departure.send_head()
    departure.close()
    assert client.recv(100) == b"head alone"
    client.close()


def test_headers_are_bounded() -> None:
    arrival = Arrival(Room(0), 1 << 20)
    with pytest.raises(HeadTooLongError):
        arrival.take(b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES)
