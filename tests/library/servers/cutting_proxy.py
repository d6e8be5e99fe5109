"""A line to a real service that is cut after so many bytes."""

import contextlib
import socket
import threading


class CuttingProxy:
    """Passes connections on; the next ones are cut when the client has sent as many bytes as `cuts` says.

    Attributes:
        url: where it listens.
        sent: bytes that the client sent, by connection.
    """

    def __init__(self, url: str, cuts: list[int]) -> None:
        host, port = url.rsplit("/", 1)[1].split(":")
        self._target, self.cuts, self.sent = (host, int(port)), cuts, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        limit, count = self.cuts.pop(0) if self.cuts else None, 0
        with client, socket.create_connection(self._target) as server:
            back = threading.Thread(target=self._answer, args=(server, client), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while chunk := client.recv(65536):
                    server.sendall(chunk)
                    count += len(chunk)
                    if limit is not None and count >= limit:
                        break
            self.sent.append(count)
            for line in (server, client):
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            back.join()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(65536):
                client.sendall(chunk)
