"""A gunicorn worker that no slow client can stop.

gunicorn's own gives a thread to each connection that sent a byte, and the thread waits for the rest
of the request, and for the client to read its answer: as many slow clients as threads stop the
service. Here the worker's loop collects requests (`app.serving.arrivals`), a thread takes one that
is whole, and the loop sends what a client did not read at once (`app.serving.departures`).

After an answer a thread waits a moment for the connection's next request: handing it back to the
loop costs eight system calls and three turns of Python's lock, and a client that records job after
job asks again within a millisecond or two.
"""

import errno
import json
import resource
import select
import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn, ThreadWorker

from jobprov.app.serving.arbiter import hear_signals
from jobprov.app.serving.arrivals import Arrival, HeadTooLongError, NoRoomError, Room
from jobprov.app.serving.departures import STALL_BYTES, STALL_SECONDS, Departure

PATIENCE_MILLISECONDS = 10
HEAD_SECONDS = 15.0
"""From the first byte of a request to the end of its headers."""
_FAREWELL_SECONDS = 2.0
_FAREWELL_BYTES = 1 << 16
_ROOM_BYTES = 1 << 30
_PIECE_BYTES = 1 << 16
_PIECES_A_TURN = 16
_MOST_CONNECTIONS = 4000
_DESCRIPTORS_A_CONNECTION = 3  # itself, a request in a file, an answer in a file
_STATUS: dict[type[Exception], int] = {
    LimitRequestLine: 414,
    LimitRequestHeaders: 431,
    ExpectationFailed: 417,
    UnsupportedTransferCoding: 501,
}


def allowed_connections() -> int:
    """Return how many connections a worker can hold, with as many descriptors as it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS * _DESCRIPTORS_A_CONNECTION + 1000
    soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(64, min(_MOST_CONNECTIONS, (soft - 256) // _DESCRIPTORS_A_CONNECTION))


class Connection(TConn):  # type: ignore[misc]  # the package has no types
    """A client's connection, which the loop or one thread has.

    Attributes:
        arrival: the request that is being collected.
        surplus: what came behind the last request.
        deadline: when the loop lets it go.
        is_idle: it waits for a request of which nothing came yet.
    """

    def __init__(
        self, worker: "LingeringWorker", sock: socket.socket, listener: Any, client: Any
    ) -> None:
        self.departure = Departure(sock, worker.room, worker.long_answers)
        super().__init__(worker.cfg, self.departure, client, listener.getsockname())
        self.initialized = True
        self.arrival = worker.new_arrival()
        self.surplus = b""
        self.deadline = 0.0
        self.is_idle = True
        self.moved = 0
        self.is_leaving = False

    def begin_parsing(self) -> None:
        """Have gunicorn read the request that has arrived."""
        self.parser = RequestParser(self.cfg, (), self.client)
        self.parser.unreader = self.arrival.reader()


class LingeringWorker(ThreadWorker):  # type: ignore[misc]  # the package has no types
    """gunicorn's threads, which wait for no client.

    Attributes:
        folder: where requests and answers wait that are too large for memory.
        most_bytes: length of the longest body that any call takes.
    """

    folder: str | None = None
    most_bytes = 1 << 30

    def init_process(self) -> None:
        """Begin the work; never returns."""
        self.room = Room(_ROOM_BYTES, self.folder)
        self.long_answers = threading.Semaphore(max(1, self.cfg.threads // 2))
        self._held: set[Connection] = set()
        self._looked_at = time.monotonic()
        super().init_process()

    def init_signals(self) -> None:
        """Take the arbiter's signals, which waited until this worker can act upon them."""
        super().init_signals()
        hear_signals()

    def new_arrival(self) -> Arrival:
        """Return the place of a request that may come."""
        return Arrival(self.room, self.most_bytes)

    # In the loop

    def accept(self, listener: Any) -> None:
        """Take a new connection; where there are too many, let go of the one that waits longest."""
        try:
            sock, client = listener.accept()
        except OSError as problem:
            if problem.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif problem.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        # The answer is whole when it is sent: nothing follows that a packet could wait for
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, sock, listener, client)
        connection.deadline = time.monotonic() + HEAD_SECONDS
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        self._collect_in_loop(connection)

    def _make_room(self) -> None:
        """Let go of the connection that has waited longest, an idle one before others."""
        if self._held:
            self._let_go(min(self._held, key=_claim_to_stay))

    def _collect_in_loop(self, connection: Connection) -> None:
        if self._collect(connection):
            self._unhold(connection)
            self.enqueue_req(connection)
        elif connection.is_leaving:
            self._unhold(connection)
            self._say_farewell(connection)
        elif connection not in self._held:
            self._hold(connection, selectors.EVENT_READ, self._collect_in_loop)

    def _hold(
        self, connection: Connection, event: int, ready: Callable[[Connection], None]
    ) -> None:
        """Have the loop look after a connection, until something can be read or written."""
        self._held.add(connection)
        self.poller.register(connection.departure.true, event, lambda _file: ready(connection))

    def _unhold(self, connection: Connection) -> None:
        if connection in self._held:
            self._held.discard(connection)
            self.poller.unregister(connection.departure.true)

    def _let_go(self, connection: Connection) -> None:
        self._unhold(connection)
        self.nr_conns -= 1
        connection.arrival.close()
        connection.departure.close()

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Send the rest of an answer, then wait for the next request or close the connection."""
        conn.is_leaving = True
        with suppress(Exception):
            conn.is_leaving = not fs.result()
        self._send_rest(conn)

    def _send_rest(self, connection: Connection) -> None:
        try:
            connection.departure.send_waiting()
        except OSError:
            self._let_go(connection)
            return
        if connection.departure.waiting:
            if connection not in self._held:
                connection.moved = connection.departure.sent
                connection.deadline = time.monotonic() + STALL_SECONDS
                self._hold(connection, selectors.EVENT_WRITE, self._send_rest)
            return
        self._unhold(connection)
        if connection.is_leaving:
            self._say_farewell(connection)
            return
        connection.deadline = time.monotonic() + self.cfg.keepalive
        if connection.arrival.received:
            connection.deadline = time.monotonic() + HEAD_SECONDS
        self._collect_in_loop(connection)

    def _say_farewell(self, connection: Connection) -> None:
        """Close what the client may still write to, so that it reads its answer to the end.

        Source: RFC 9112, section 9.6.
        """
        try:
            connection.departure.true.shutdown(socket.SHUT_WR)
        except OSError:
            self._let_go(connection)
            return
        connection.arrival.close()
        connection.arrival = self.new_arrival()
        connection.deadline = time.monotonic() + _FAREWELL_SECONDS
        connection.is_idle = True
        connection.moved = 0
        self._hold(connection, selectors.EVENT_READ, self._hear_out)

    def _hear_out(self, connection: Connection) -> None:
        try:
            data = connection.departure.true.recv(_PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection.moved += len(data)
        if not data or connection.moved > _FAREWELL_BYTES:
            self._let_go(connection)

    def murder_pending(self) -> None:
        """Let go of clients that are too slow; gunicorn calls this in each turn of its loop."""
        now = time.monotonic()
        if now - self._looked_at < 1.0:
            return
        self._looked_at = now
        for connection in [held for held in self._held if held.deadline < now]:
            moved = _moved_bytes(connection)
            if moved - connection.moved >= STALL_BYTES:
                connection.moved = moved
                connection.deadline = now + STALL_SECONDS
            elif connection.arrival.received and not connection.departure.waiting:
                _tell(connection, 408, "The request did not arrive in time.")
                self._unhold(connection)
                self._say_farewell(connection)
            else:
                self._let_go(connection)

    def murder_keepalived(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - gunicorn's
        """Close what is left, when the worker ends."""
        if force:
            for connection in list(self._held):
                self._let_go(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        for connection in self._held:
            if connection.is_idle:
                connection.deadline = min(connection.deadline, deadline)

    # In the loop or a thread

    def _collect(self, connection: Connection) -> bool:
        """Read what has come; return whether a thread can take the request.

        That is when it is whole. If its client went away, what came of its body is taken, too: a
        large blob goes on from there.
        """
        arrival = connection.arrival
        data, connection.surplus = connection.surplus, b""
        try:
            for _ in range(_PIECES_A_TURN):
                if not data:
                    data = connection.departure.true.recv(_PIECE_BYTES)
                    if not data:
                        connection.is_leaving = True
                        return arrival.has_content
                self._take(connection, data)
                if arrival.is_whole:
                    return True
                data = b""
        except BlockingIOError:
            return False
        except OSError:
            connection.is_leaving = True
            return arrival.has_content
        except HeadTooLongError as problem:
            _tell(connection, 431, str(problem))
            connection.is_leaving = True
        except NoRoomError as problem:
            _tell(connection, 503, str(problem))
            connection.is_leaving = True
        return False

    @staticmethod
    def _take(connection: Connection, data: bytes) -> None:
        arrival = connection.arrival
        had_head = arrival.has_head
        connection.surplus = arrival.take(data)
        now = time.monotonic()
        if connection.is_idle:
            connection.is_idle = False
            connection.deadline = now + HEAD_SECONDS
        if arrival.has_head and not had_head:
            connection.moved = arrival.received
            connection.deadline = now + STALL_SECONDS
            if arrival.wants_to_be_told():
                connection.departure.true.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    # In a thread

    def handle(self, conn: Connection) -> bool:
        """Answer a request, and those that follow at once.

        Return whether the connection is kept.
        """
        is_kept = self._answer(conn)
        while is_kept and not conn.departure.waiting and self._goes_on(conn):
            is_kept = self._answer(conn)
        return is_kept and not conn.is_leaving

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Tell a client in JSON what is wrong with its request, or that we made a mistake."""
        if isinstance(exc, ParseException):
            status = _status_of(exc)
            detail = f"The request cannot be read: {exc}"[:500]
        else:
            status, detail = 500, "The service made a mistake; its log tells more."
            self.log.error("Error handling request", exc_info=exc)
        with suppress(OSError):
            client.sendall(_problem(status, detail))

    def _answer(self, connection: Connection) -> bool:
        connection.begin_parsing()
        try:
            is_kept = super().handle(connection) is True
            connection.departure.send_head()
            return is_kept
        finally:
            connection.departure.end_answer()
            connection.arrival.close()
            connection.arrival = self.new_arrival()
            connection.is_idle = True
            connection.moved = 0

    def _goes_on(self, connection: Connection) -> bool:
        """Return whether the next request is there whole, or comes within moments."""
        until = time.monotonic() + 10 * PATIENCE_MILLISECONDS / 1000
        while self._has_time(until):
            if not connection.surplus and not _readable(connection.departure.true):
                return False
            if self._collect(connection):
                return True
            if connection.is_leaving:
                return False
        return False

    def _has_time(self, until: float) -> bool:
        # The pool has no word for it
        is_free = not self.tpool._work_queue.qsize()  # noqa: SLF001
        return bool(self.alive and is_free and time.monotonic() < until)


def worker_of(folder: Path, most_bytes: int) -> type[LingeringWorker]:
    """Return the worker for a service: where its requests wait, and how long they may be."""
    return type("Worker", (LingeringWorker,), {"folder": str(folder), "most_bytes": most_bytes})


def _status_of(problem: Exception) -> int:
    """Return the HTTP status for a request that cannot be read."""
    for kind, status in _STATUS.items():
        if isinstance(problem, kind):
            return status
    return 400


def _moved_bytes(connection: Connection) -> int:
    """Return how many bytes of the answer were sent, or else how many of a body have come."""
    if connection.departure.waiting:
        return connection.departure.sent
    if connection.arrival.has_head:
        return connection.arrival.received
    return 0


def _claim_to_stay(connection: Connection) -> tuple[bool, bool, float]:
    """Return the sort key of connections: idle ones are closed first, answered ones last."""
    return connection.departure.waiting > 0, not connection.is_idle, connection.deadline


def _readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(PATIENCE_MILLISECONDS))


def _tell(connection: Connection, status: int, detail: str) -> None:
    """Tell a client why it is let go, if it listens."""
    with suppress(OSError):
        connection.departure.true.send(_problem(status, detail))


def _problem(status: int, detail: str) -> bytes:
    title = HTTPStatus(status).phrase
    document = {"type": "/problems/refused", "title": title, "status": status, "detail": detail}
    body = json.dumps(document).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
