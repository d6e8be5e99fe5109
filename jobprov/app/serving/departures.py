"""The connection as the server writes to it: an answer waits for its client, a thread does not.

A client that reads slowly has the rest of its answer put by, in memory and then in a file; the
worker's loop sends it. An answer too long for that is sent by the thread, but never by more than
some of the threads at once.
"""

import select
import socket
import threading
import time
from tempfile import SpooledTemporaryFile

from jobprov.app.serving.arrivals import MEMORY_BYTES, Room

_PATIENCE_SECONDS = 0.05
"""How long a thread waits for its client, in the whole of one answer."""
_PUT_BY_BYTES = 16 << 20
_PIECE_BYTES = 1 << 18
STALL_SECONDS = 20.0
STALL_BYTES = 8192
"""A client that does not move so many bytes in so many seconds is let go."""


class Departure:
    """What gunicorn takes for the socket of a connection; the true one never blocks.

    Args:
        sock: the true one.
        room: what may wait on disk.
        turns: taken by a thread that sends a long answer to a slow client.
    """

    def __init__(self, sock: socket.socket, room: Room, turns: threading.Semaphore) -> None:
        sock.settimeout(0.0)
        self.true = sock
        self.waiting = 0
        self.sent = 0
        self._room, self._turns = room, turns
        self._has_turn = False
        self._patience = _PATIENCE_SECONDS
        self._put_by: SpooledTemporaryFile[bytes] | None = None
        self._read_at = 0
        self._taken = 0
        self._head: bytes | None = None

    def sendall(self, data: bytes) -> None:
        """Send, or put by, all of it.

        The head of an answer, which comes first, waits for what follows: alone it would wake the
        client for nothing, and give a turn of Python's lock away.

        Raises:
            BrokenPipeError: the client reads too slowly to be waited for.
        """
        if self._head is None:
            self._head = data
            return
        head, self._head = self._head, b""
        self._send_or_keep(head + data)

    def _send_or_keep(self, data: bytes) -> None:
        rest = memoryview(data)
        if not self.waiting:
            rest = self._send_some(rest)
        while rest:
            piece, rest = rest[:_PIECE_BYTES], rest[_PIECE_BYTES:]
            if self.waiting + len(piece) > _PUT_BY_BYTES or not self._keep(piece):
                self._wait_for_client()
                rest = self._send_some(memoryview(bytes(piece) + bytes(rest)))

    def send(self, data: bytes) -> int:
        """Send nothing: gunicorn sends `100 Continue` by it, and the body is there by then."""
        return len(data)

    def _send_some(self, data: memoryview) -> memoryview:
        """Return what could not be sent within the patience that is left."""
        while data:
            try:
                count = self.true.send(data)
            except BlockingIOError:
                began = time.monotonic()
                is_ready = self._patience > 0 and _writable(self.true, self._patience)
                self._patience -= time.monotonic() - began
                if not is_ready:
                    return data
            else:
                self.sent += count
                data = data[count:]
        return data

    def _keep(self, data: memoryview) -> bool:
        if self._put_by is None:
            # Closed when it was sent
            self._put_by = SpooledTemporaryFile(MEMORY_BYTES, dir=self._room.folder)  # noqa: SIM115
        if self.waiting + len(data) > MEMORY_BYTES:
            if not self._room.take(len(data)):
                return False
            self._taken += len(data)
        self._put_by.seek(0, 2)
        self._put_by.write(data)
        self.waiting += len(data)
        return True

    def _wait_for_client(self) -> None:
        """Send what was put by from this thread, if not too many threads do so."""
        if not self._has_turn and not self._turns.acquire(blocking=False):
            raise BrokenPipeError("Too many clients read long answers slowly.")
        self._has_turn = True
        self._patience = STALL_SECONDS
        since, sent = time.monotonic(), self.sent
        while self.waiting:
            _writable(self.true, 1.0)
            self.send_waiting()
            if time.monotonic() - since > STALL_SECONDS:
                if self.sent - sent < STALL_BYTES:
                    raise BrokenPipeError("The client does not read.")
                since, sent = time.monotonic(), self.sent

    def send_waiting(self) -> None:
        """Send what was put by, as far as the client takes it now.

        Raises:
            OSError: the client is gone.
        """
        while self.waiting and self._put_by is not None:
            self._put_by.seek(self._read_at)
            piece = self._put_by.read(_PIECE_BYTES)
            try:
                count = self.true.send(piece)
            except BlockingIOError:
                return
            self.sent += count
            self._read_at += count
            self.waiting -= count
        self._forget()

    def send_head(self) -> None:
        """Send the head of an answer that has nothing else.

        Raises:
            BrokenPipeError: the client reads too slowly to be waited for.
        """
        if self._head:
            self._send_or_keep(self._head)

    def end_answer(self) -> None:
        """Get ready for the next answer."""
        self._head = None
        self._patience = _PATIENCE_SECONDS
        if self._has_turn:
            self._has_turn = False
            self._turns.release()

    def _forget(self) -> None:
        if self._put_by is not None:
            self._put_by.close()
            self._put_by = None
        self._read_at = self.waiting = 0
        self._room.give_back(self._taken)
        self._taken = 0

    def fileno(self) -> int:
        """Return the descriptor of the true socket."""
        return self.true.fileno()

    def setblocking(self, _flag: bool) -> None:  # noqa: FBT001 - as sockets have it
        """Do nothing: it never blocks."""

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: it never blocks."""

    def gettimeout(self) -> float:
        """Return that it never blocks."""
        return 0.0

    def recv(self, _size: int) -> bytes:
        """Return nothing: requests are read when they have arrived."""
        return b""

    def shutdown(self, _how: int) -> None:
        """Do nothing: the worker's loop ends connections, when all is sent."""

    def close(self) -> None:
        """Close the true socket; what was put by is lost."""
        self.end_answer()
        self._forget()
        self.true.close()


def _writable(sock: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))
