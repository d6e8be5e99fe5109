"""A proxy between the hook and a service that mistreats every request."""

import contextlib
import http.client
import random
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Ask = Callable[[], bytes]
"""Passes the request on, and returns the whole answer as it comes over the line."""

Trouble = Callable[[Ask, random.Random], bytes | None]
"""Returns what the client gets instead of the answer; None cuts the line without a word."""

HTML = b"<html><head><title>Sign in</title></head><body>Accept the terms of use.</body></html>"


def answer_bytes(status: str, content: bytes, kind: str = "text/html") -> bytes:
    """Return an answer as it comes over the line."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def refuse_size(_ask: Ask, _chance: random.Random) -> bytes:
    return answer_bytes("413 Request Entity Too Large", HTML)


def cut(ask: Ask, chance: random.Random) -> bytes:
    answer = ask()
    return answer[: chance.randrange(len(answer))]


def shorten(ask: Ask, chance: random.Random) -> bytes:
    """Cut the body, and make the head fit what is left of it."""
    head, _, content = ask().partition(b"\r\n\r\n")
    return answer_bytes(
        head.split(b"\r\n")[0][9:].decode(), content[: chance.randrange(len(content) or 1)]
    )


def reset(_ask: Ask, _chance: random.Random) -> None:
    return None


def take_and_reset(ask: Ask, _chance: random.Random) -> None:
    ask()


def fail(_ask: Ask, _chance: random.Random) -> bytes:
    return answer_bytes("502 Bad Gateway", HTML)


def take_and_fail(ask: Ask, _chance: random.Random) -> bytes:
    ask()
    return answer_bytes("504 Gateway Time-out", HTML)


def say_yes(_ask: Ask, _chance: random.Random) -> bytes:
    return answer_bytes("200 OK", HTML)


def say_nothing(_ask: Ask, _chance: random.Random) -> bytes:
    return answer_bytes("200 OK", b"")


def say_created(_ask: Ask, _chance: random.Random) -> bytes:
    return answer_bytes("201 Created", b"{}", "application/json")


def say_unknown(_ask: Ask, _chance: random.Random) -> bytes:
    return answer_bytes("404 Not Found", HTML)


TROUBLES: tuple[Trouble, ...] = (
    cut,
    shorten,
    reset,
    take_and_reset,
    fail,
    take_and_fail,
    say_yes,
    say_nothing,
    say_created,
    say_unknown,
)


class HostileProxy:
    """Passes requests on, refuses those that are too large, and mistreats a share of the others.

    Attributes:
        url: where it listens.
        limit: the largest body that it lets pass, or None.
        share: of requests that get one of `troubles`.
        counts: how many requests were passed on, refused as too large, and mistreated.
    """

    def __init__(
        self,
        target: str,
        *,
        limit: int | None = None,
        share: float = 0.0,
        troubles: tuple[Trouble, ...] = TROUBLES,
        seed: int = 1,
    ) -> None:
        self.target, self.limit, self.share, self.troubles = target, limit, share, troubles
        self.counts = {"passed": 0, "too large": 0, "mistreated": 0}
        self.lock, self.chance = threading.Lock(), random.Random(seed)  # noqa: S311 - no secrets
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self})
        )
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def trouble_of(self, length: int) -> Trouble | None:
        """Return what befalls a request with a body of this length."""
        with self.lock:
            if self.limit is not None and length > self.limit:
                self.counts["too large"] += 1
                return refuse_size
            if self.chance.random() < self.share:
                self.counts["mistreated"] += 1
                return self.chance.choice(self.troubles)
            self.counts["passed"] += 1
            return None


class _Handler(BaseHTTPRequestHandler):
    proxy: HostileProxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        trouble = self.proxy.trouble_of(len(body))
        if trouble is None:
            content: bytes | None = self._ask(body)
        else:
            # Without a word in the head; nginx goes on after a 413
            self.close_connection = trouble is not refuse_size
            content = trouble(lambda: self._ask(body), self.proxy.chance)
        if content is None:
            # A reset, not an orderly end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        with contextlib.suppress(OSError):
            self.wfile.write(content)
            self.wfile.flush()

    do_PUT = do_POST = _pass_on  # noqa: N815 - names of http.server

    def _ask(self, body: bytes) -> bytes:
        connection = http.client.HTTPConnection(self.proxy.target.split("//")[1], timeout=30)
        headers = dict(self.headers.items())
        headers.pop("Host", None)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        kind = answer.getheader("Content-Type") or ""
        return answer_bytes(f"{answer.status} {answer.reason}", content, kind)

    def log_message(self, *_words: object) -> None:
        pass
