"""A line of bytes to a server that can be made to fail while it is used."""

import enum
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\n"
    b"Content-Length: 39\r\nConnection: close\r\n\r\n"
    b"<Error><Code>SlowDown</Code></Error>   \n"
)
_CHUNK = 1 << 16
_DELAY = 0.5


class LineFault(enum.Enum):
    """What is wrong with a line."""

    NONE = enum.auto()
    GONE = enum.auto()
    SLOW = enum.auto()
    UNAVAILABLE = enum.auto()


class FailingLine:
    """Passes bytes on to a server, both ways; `url` is where it listens."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._fault = LineFault.NONE
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @contextmanager
    def failing(self, fault: LineFault) -> Iterator[None]:
        """Let the line fail until the end; what is under way meets it too."""
        self._fault = fault
        if fault is not LineFault.SLOW:
            self._break_off()
        try:
            yield
        finally:
            self._fault = LineFault.NONE

    def close(self) -> None:
        """Stop listening, and break off what is under way."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self._break_off()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self._fault is LineFault.GONE:
                _reset(client)
            elif self._fault is LineFault.UNAVAILABLE:
                client.recv(_CHUNK)
                client.sendall(_ANSWER)
                client.shutdown(socket.SHUT_WR)
                while client.recv(_CHUNK):
                    pass
            else:
                with socket.create_connection(self._target) as server:
                    self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        pair = {client: server, server: client}
        with self._lock:
            self._open |= pair.keys()
        try:
            with selectors.DefaultSelector() as selector:
                for end in pair:
                    selector.register(end, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select():
                        end = key.fileobj
                        assert isinstance(end, socket.socket)
                        data = end.recv(_CHUNK)
                        if not data:
                            return
                        if self._fault is LineFault.SLOW:
                            time.sleep(_DELAY)
                        pair[end].sendall(data)
        finally:
            with self._lock:
                self._open -= pair.keys()

    def _break_off(self) -> None:
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _reset(client: socket.socket) -> None:
    """End a connection with a reset, as where nobody listens."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
