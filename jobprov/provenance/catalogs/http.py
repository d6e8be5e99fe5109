"""HTTP as the catalogs speak it: time limits, retries, errors in our words, no redirects.

What may go by itself is tried again. Redirects are refused, so that a token goes nowhere but to the
server that it is for.
"""

import json
import random
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from weakref import WeakSet

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from jobprov.provenance.errors import (
    BadInputError,
    ForbiddenError,
    LimitError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)

MOST_BYTES = 256 << 20
_RETRIED = frozenset({429, 500, 502, 503, 504})
_LONGEST_PAUSE = 30.0
_PIECE = 1 << 16
_SHOWN = 300
_GZIP = 31  # zlib's number of the form
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Access(NamedTuple):
    """How a catalog is reached.

    Attributes:
        url: its base address.
        token: sent with each call.
        certificate: path of a client certificate or proxy (PEM).
        key: path of its key, where the certificate's file does not hold it.
        ca: path of the certificates that the server's is checked by; None for the system's.
        seconds: to wait for the server between two pieces of an answer.
        attempts: calls in all, before the catalog counts as unreachable.
        pause: seconds before the second call, doubled each time.
        patience: seconds for a call with all its attempts.
    """

    url: str
    token: str | None = None
    certificate: str | None = None
    key: str | None = None
    ca: str | None = None
    seconds: float = 30.0
    attempts: int = 4
    pause: float = 1.0
    patience: float = 300.0


class _Connections(HTTPAdapter):
    """Connections that can be ended while somebody waits for what they bring.

    The time limit of a socket begins again with each byte: a server that sends one every 29 seconds
    would hold a call for hours.
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pool of connections, which keeps those that are open."""
        self._open: WeakSet[HTTPConnection] = WeakSet()
        super().init_poolmanager(*arguments, **options)
        opened = self._open

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened.add(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened.add(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def end(self) -> None:
        """End all connections: whoever waits for one gets an error."""
        for connection in list(self._open):
            if connection.sock is not None:
                with suppress(OSError):  # it ended by itself
                    connection.sock.shutdown(socket.SHUT_RDWR)


class Transport:
    """Calls to one catalog, over connections that are kept.

    Args:
        access: how to reach it.
        headers: sent with each call.
    """

    def __init__(self, access: Access, headers: dict[str, str]) -> None:
        self._access = access
        self._url = access.url.rstrip("/")
        self._session = requests.Session()
        self._connections = _Connections()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._connections)
        self._session.trust_env = False  # no .netrc: its password would go out instead of the token
        self._session.headers.update({"Accept-Encoding": "gzip", **headers})
        self._session.verify = access.ca or True
        if access.certificate:
            self._session.cert = (
                (access.certificate, access.key) if access.key else access.certificate
            )

    def get(self, path: str, *, what: str, **query: Any) -> bytes:
        """Return the body of an answer; `what` was asked for, for the error's sentence."""
        return b"".join(self._ask("GET", path, what, params=query))

    def lines(self, method: str, path: str, *, what: str, **options: Any) -> Iterator[str]:
        """Yield the lines of an answer as they come, at most 256 MB."""
        rest: list[
            bytes
        ] = []  # pieces of the line that goes on: a list of a million files may be one line
        for piece in self._ask(method, path, what, **options):
            first, *others = piece.split(b"\n")
            rest.append(first)
            for other in others:
                yield b"".join(rest).decode("utf-8", "replace")
                rest = [other]
        if last := b"".join(rest):
            yield last.decode("utf-8", "replace")

    def post(self, path: str, *, what: str, **options: Any) -> bytes:
        """Return the body of an answer to a form (`data`) or a document (`json`)."""
        return b"".join(self._ask("POST", path, what, **options))

    def header(self, name: str, path: str, *, what: str) -> str | None:
        """Return a header of an answer: some servers send tokens there; None where it is not."""
        with self._patience() as until, self._reach("GET", path, what, until, {}) as answer:
            return answer.headers.get(name)

    def _ask(self, method: str, path: str, what: str, **options: Any) -> Iterator[bytes]:
        """Yield the pieces of an answer.

        A call that fails before its first byte may be repeated.
        """
        with self._patience() as until:
            yield from self._pieces(self._reach(method, path, what, until, options), what, until)

    @contextmanager
    def _patience(self) -> Iterator[float]:
        """End the connections once patience is over; the value is when, on the monotonic clock."""
        # Before the timer, so that what it cuts is never taken for broken off by the catalog
        until = time.monotonic() + self._access.patience
        ending = threading.Timer(self._access.patience, self._connections.end)
        ending.daemon = True
        ending.start()
        try:
            yield until
        finally:
            ending.cancel()

    def _pieces(self, answer: requests.Response, what: str, until: float) -> Iterator[bytes]:
        size = 0
        with answer:
            try:
                for piece in _pieces(answer):
                    size += len(piece)
                    if size > MOST_BYTES:
                        raise LimitError(
                            f"The catalog's answer to {what} is larger than {MOST_BYTES} bytes.",
                            MOST_BYTES,
                        )
                    if time.monotonic() > until:
                        raise UnreachableError(self._slow(what))
                    yield piece
                if time.monotonic() > until:  # a head that was cut reads as one without a body
                    raise UnreachableError(self._slow(what))
            except _BROKEN as problem:
                if time.monotonic() > until:
                    raise UnreachableError(self._slow(what)) from None
                raise UnreachableError(
                    f"The catalog at {self._url} broke off its answer to {what}: "
                    f"{type(problem).__name__}."
                ) from None

    def _reach(
        self, method: str, path: str, what: str, until: float, options: Mapping[str, Any]
    ) -> requests.Response:
        """Return the answer; ask again within the time while the catalog is overloaded."""
        trouble, pause = "", self._access.pause
        for attempt in range(self._access.attempts):
            if attempt:
                left = until - time.monotonic()
                if left < pause:
                    raise UnreachableError(f"{self._slow(what)} Last: {trouble}.")
                time.sleep(pause)
            pause = min(_LONGEST_PAUSE, self._access.pause * 2**attempt * random.uniform(1, 1.5))  # noqa: S311 - no secret
            try:
                answer = self._session.request(
                    method,
                    self._url + path,
                    timeout=self._access.seconds,
                    allow_redirects=False,
                    stream=True,
                    **options,
                )
            except _BROKEN as problem:
                trouble = type(problem).__name__
                continue
            if answer.status_code not in _RETRIED:
                return self._checked(answer, what, until)
            trouble, asked = f"status {answer.status_code}", answer.headers.get("Retry-After", "")
            pause = max(pause, min(_LONGEST_PAUSE, float(asked))) if asked.isdecimal() else pause
            answer.close()
        raise UnreachableError(
            f"The catalog at {self._url} does not answer ({trouble}, "
            f"{self._access.attempts} attempts); asked for {what}."
        )

    def _checked(self, answer: requests.Response, what: str, until: float) -> requests.Response:
        if answer.status_code == requests.codes.ok:
            return answer
        with answer:
            message = _sentence(_beginning(answer, until))
        raise self._error(answer.status_code, message, what)

    def _error(self, status: int, message: str, what: str) -> ProvenanceError:
        if status == requests.codes.bad_request:
            return BadInputError(
                f"The catalog at {self._url} refuses {what}: {message}", {"query": [message]}
            )
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            return ForbiddenError(
                f"The catalog at {self._url} does not give {what} (status {status}): "
                "renew the certificate or token that it is "
                f"asked with. It says: {message}"
            )
        if status == requests.codes.not_found:
            return NotFoundError(f"The catalog at {self._url} does not know {what}.")
        if 300 <= status < 400:  # noqa: PLR2004 - the redirects
            return UnreachableError(
                f"The catalog at {self._url} redirects (status {status}) where {what} was asked "
                "for, as servers do that want a login: is the address right, and the token valid?"
            )
        return UnreachableError(
            f"The catalog at {self._url} does not answer as one does: status {status} for {what}."
        )

    def _slow(self, what: str) -> str:
        return (
            f"The catalog at {self._url} took more than "
            f"{self._access.patience:g} seconds for {what}."
        )


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """Yield bytes as they come.

    A piece of a fixed length could take hours if each second brings one byte.
    """
    pieces = iter(lambda: answer.raw.read1(_PIECE, decode_content=False), b"")
    return (
        _unpacked(pieces)
        if "gzip" in answer.headers.get("Content-Encoding", "").lower()
        else pieces
    )


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content of a gzip.

    It raises DecodeError also if the end is missing, which the library ignores.
    """
    unpacking = zlib.decompressobj(_GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if unpacking.eof:
                    unpacking = zlib.decompressobj(_GZIP)
                yield unpacking.decompress(rest)
                rest = unpacking.unused_data
    except zlib.error as problem:
        raise urllib3.exceptions.DecodeError(str(problem)) from None
    if not unpacking.eof:
        raise urllib3.exceptions.DecodeError("its end is missing")


def _beginning(answer: requests.Response, until: float) -> str:
    """Return the beginning of an error's body, as far as it can be read; the status is enough."""
    message = b""
    with suppress(*_BROKEN):
        for piece in _pieces(answer):
            message += piece
            if len(message) >= _SHOWN * 4 or time.monotonic() > until:
                break
    return message.decode("utf-8", "replace").strip()


def _sentence(message: str) -> str:
    """Return an error's words: of a JSON object, as all catalogs send it, its message alone."""
    with suppress(ValueError, RecursionError):
        error = json.loads(message)
        if isinstance(error, dict):
            for key in ("message", "ExceptionMessage"):
                if isinstance(error.get(key), str):
                    return str(error[key])[:_SHOWN]
    return message[:_SHOWN]
