"""A client that costs little.

Whole requests are made before, and one process keeps many connections busy by `select`. Two cores
are shared with the service, so what a client spends is taken from what is measured; its CPU is
reported apart.
"""

import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

_READ_BYTES = 1 << 20


class Answered(NamedTuple):
    """What a client saw.

    Attributes:
        seconds: wall time from the first request to the last answer.
        cpu_seconds: the client's own.
        waits: seconds from sending to the last byte of the answer, one a request.
    """

    seconds: float
    cpu_seconds: float
    waits: list[float]


def request_bytes(method: str, path: str, body: bytes) -> bytes:
    """Return one whole request with a JSON body."""
    lines = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def send_all(
    addresses: Sequence[str],
    requests: Sequence[bytes],
    *,
    connections: int,
    statuses: Iterable[int],
) -> Answered:
    """Send every request over that many kept connections, each one request at a time.

    Of several services each gets as many of the connections.

    Raises:
        RuntimeError: an answer has a status that is not among `statuses`.
    """
    taken = {str(status).encode() for status in statuses}
    waiting = iter(requests)
    waits: list[float] = []
    start, cpu = time.perf_counter(), time.process_time()
    with selectors.DefaultSelector() as selector:
        count = min(connections, len(requests))
        talks = [_Talk(addresses[place % len(addresses)]) for place in range(count)]
        for talk in talks:
            talk.send(next(waiting))
            selector.register(talk.socket, selectors.EVENT_READ, talk)
        while selector.get_map():
            for key, _ in selector.select():
                talk = key.data
                if not talk.receive():
                    continue
                if talk.status not in taken:
                    raise RuntimeError(talk.answer[:2000].decode(errors="replace"))
                waits.append(time.perf_counter() - talk.sent_at)
                if (more := next(waiting, None)) is not None:
                    talk.send(more)
                else:
                    selector.unregister(talk.socket)
        seconds = time.perf_counter() - start
        for talk in talks:
            talk.socket.close()
    return Answered(seconds, time.process_time() - cpu, waits)


class _Talk:
    """One kept connection with at most one request under way."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.socket = socket.create_connection(
            (parts.hostname or "127.0.0.1", parts.port or 80), timeout=60
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.sent_at = 0.0
        self._end = 0

    def send(self, request: bytes) -> None:
        """Send a request; its answer starts afresh."""
        self.answer, self._end, self.sent_at = b"", 0, time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what is there; return whether the answer is complete."""
        part = self.socket.recv(_READ_BYTES)
        if not part:
            message = "the service closed a connection before its answer"
            raise RuntimeError(message)
        self.answer += part
        if not self._end:
            head, found, _ = self.answer.partition(b"\r\n\r\n")
            if not found:
                return False
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._end = len(head) + 4 + int(length)
        return len(self.answer) >= self._end

    @property
    def status(self) -> bytes:
        """Return the three digits of the answer's status."""
        return self.answer[9:12]
