"""Sending one entry of the spool: ask which blobs are missing, send those, then the record.

Three tries within the budget, with growing pauses and jitter; the service's Retry-After is obeyed.
A large blob goes on where it broke off. What a service refuses (4xx but 408, 425, 429) is not tried
again. Each call is harmless when repeated (http.md).
"""

import gzip
import http.client
import io
import json
import os
import random
import socket
import threading
import time
import zipfile
import zlib
from typing import Any, Dict, FrozenSet, Optional, Sequence, Tuple, Union
from urllib.parse import quote, urlsplit

from jobprov.provenance.capture import VERSION
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record import excerpts
from jobprov.provenance.capture.sending.entry import Entry

_TRIES = 3
_TAKEN, _REFUSED = 2, 4  # classes of HTTP status
_UNUSABLE = 422  # a blob that may not be kept
_TOO_LARGE = 413
_CREATED = 201
_CONTINUE = 308  # a part of a blob is there
_LATER = frozenset([408, 425, 429])
# About token, address or proxy, not about the record
_OF_THE_CALL = frozenset([401, 403, 404, 405, 407])
# What Python raises for a zip, or for the JSON in it, that is not as it was written; also for one
# by a later version.
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError)
_JSON_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
_BYTES_HEADERS = {"Content-Type": "application/octet-stream"}
_CALL_SECONDS = 10.0
_LARGEST_ANSWER = 8 << 20
_MOST_TOKEN_BYTES = 32 * 1024
_LONGEST_REASON = 1500  # characters of what somebody answered
_BLOB_TRIES, _RECORD_TRIES = 3, 2  # with secrets taken out in between
FIRST_PAUSE_SECONDS = 0.5
# Of a blob; below, sending it again costs less than asking how much arrived
RESUMED_BYTES = 4 << 20


class RefusedError(Exception):
    """The service refuses this record.

    Attributes:
        status, answer: the service's own, where it answered.
    """

    def __init__(
        self, message: str, status: Optional[int] = None, answer: Optional[Dict[str, Any]] = None
    ) -> None:
        Exception.__init__(self, message)
        self.status = status
        self.answer = answer or {}

    def is_for_good(self) -> bool:
        """Tell whether nothing but another record would be taken.

        Another token or address does not help.
        """
        return self.status not in _OF_THE_CALL


class LaterError(Exception):
    """The service cannot take it now.

    Attributes:
        pause: seconds after which it wants to be tried again, or None.
    """

    def __init__(self, message: str, pause: Optional[float] = None) -> None:
        Exception.__init__(self, message)
        self.pause = pause


class Service:
    """One connection to a jobprov service; `url` is its root, `clock` the budget."""

    def __init__(self, url: str, token: Optional[str], clock: Clock) -> None:
        self._parts = urlsplit(url if "://" in url else "http://" + url)
        if not self._parts.hostname:
            raise ValueError("the address {} names no host".format(url))
        self._base = self._parts.path.rstrip("/")
        if not self._base.endswith("/api/v1"):
            self._base += "/api/v1"
        self._token, self._clock = token, clock
        self._connection: Optional[http.client.HTTPConnection] = None
        self._socket: Optional[socket.socket] = None

    def call(
        self, method: str, path: str, body: Union[bytes, memoryview], headers: Dict[str, str]
    ) -> Tuple[int, Dict[str, Any]]:
        """Return (status, decoded JSON object); raises LaterError and RefusedError."""
        try:
            status, answer, pause = self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise LaterError(self._sentence(method, path, error or type(error).__name__)) from error
        if status // 100 == _TAKEN or status == _CONTINUE:
            return status, answer
        reason = [status, answer.get("detail") or answer.get("title") or ""]
        if answer.get("errors"):
            reason.append(json.dumps(answer["errors"], sort_keys=True))
        sentence = self._sentence(method, path, *reason)
        if status // 100 == _REFUSED and status not in _LATER:
            raise RefusedError(sentence, status, answer)
        raise LaterError(sentence, pause)

    def _sentence(self, method: str, path: str, *words: object) -> str:
        """Return what went wrong as one line for the job's log, of bounded length.

        It is without our token, which a gateway may repeat.
        """
        sentence = " ".join(str(word) for word in words)
        if self._token:
            sentence = sentence.replace(self._token, "<redacted:token>")
        sentence = "".join(
            letter if letter.isprintable() else " " for letter in sentence[:_LONGEST_REASON]
        )
        return "{} {}: {}".format(method, path, " ".join(sentence.split()))

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, path: str, body: Union[bytes, memoryview], headers: Dict[str, str]
    ) -> Tuple[int, Dict[str, Any], Optional[float]]:
        """Return (status, answer, seconds of Retry-After)."""
        seconds = min(_CALL_SECONDS, self._clock.left())
        if seconds <= 0:
            raise OSError("the time for sending is used up")
        if self._connection is None:
            self._connection = self._connect(seconds)
        if self._connection.sock is not None:
            self._connection.sock.settimeout(seconds)
        headers = dict(
            headers, **{"Accept": "application/json", "User-Agent": "jobprov-hook/" + VERSION}
        )
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        # An answer that comes by drops ends with the budget, whatever each drop takes.
        end = threading.Timer(self._clock.left(), self._cut)
        end.daemon = True
        end.start()
        try:
            response, content = self._ask(self._connection, method, path, body, headers)
        finally:
            end.cancel()
        if response.getheader("Connection", "").lower() == "close":
            self.close()
        return response.status, _object(content), _seconds(response.getheader("Retry-After"))

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Union[bytes, memoryview],
        headers: Dict[str, str],
    ) -> Tuple[http.client.HTTPResponse, bytes]:
        if connection.sock is None:
            connection.connect()
        self._socket = connection.sock
        connection.request(method, self._base + path, body, headers)
        response = connection.getresponse()
        return response, response.read(_LARGEST_ANSWER)

    def _cut(self) -> None:
        try:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass  # not connected any more

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=_tls())
        return http.client.HTTPConnection(host, port, timeout=seconds)


def deliver(path: Any, url: str, token: Optional[str], clock: Clock) -> Dict[str, Any]:
    """Send the entry at a path, or in a stream, and return the service's answer.

    Raises LaterError and RefusedError.
    """
    service = Service(url, token, clock)
    for attempt in range(_TRIES):
        try:
            return _send_file(path, service)
        except LaterError as error:
            pause = _pause(attempt, error.pause)
            if attempt == _TRIES - 1 or pause >= clock.left():
                raise
            time.sleep(pause)
        finally:
            service.close()
    raise LaterError("no try was left")


def _send_file(path: Any, service: Service) -> Dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            return _send(Entry(archive), service)
    except _DAMAGES as error:
        sentence = "the spooled entry cannot be read: {}"
        raise RefusedError(sentence.format(error or type(error).__name__)) from error


def _send(entry: Entry, service: Service) -> Dict[str, Any]:
    wanted = _ask_wanted(entry, service)
    for digest in entry.digests:
        if digest in wanted:
            _send_blob(entry, service, digest)
    answer = _send_record(entry, service)
    late = [digest for digest in answer.get("missing_blobs") or () if digest in entry.digests]
    if not late:
        return answer
    for digest in late:  # removed, or lost, between our question and the record
        _send_blob(entry, service, digest)
    return _send_record(entry, service)


def _ask_wanted(entry: Entry, service: Service) -> FrozenSet[str]:
    """Return the digests of blobs to send, and note at the entry which of its excerpts the service knows.

    Of the blobs that a known excerpt names none is missing; if one is, the answer to the record
    tells.
    """
    own_excerpts = entry.excerpts()
    named = b"".join(excerpt.content for excerpt in own_excerpts)
    unnamed = [digest for digest in entry.digests if digest.encode("ascii") not in named]
    wanted, entry.known = _missing(service, unnamed, [excerpt.sha256 for excerpt in own_excerpts])
    known = entry.known or frozenset()
    rest = b"".join(excerpt.content for excerpt in own_excerpts if excerpt.sha256 not in known)
    in_rest = [digest for digest in entry.digests if digest.encode("ascii") in rest]
    return wanted | ask_missing(service, in_rest)


def ask_missing(service: Service, digests: Sequence[str]) -> FrozenSet[str]:
    """Return which of the digests the service lacks; raises LaterError and RefusedError."""
    return _missing(service, digests)[0]


def _missing(
    service: Service, digests: Sequence[str], excerpt_digests: Sequence[str] = ()
) -> Tuple[FrozenSet[str], Optional[FrozenSet[str]]]:
    """Return (digests that the service lacks, excerpts that it knows).

    None for a service that takes no excerpts.
    """
    if not digests and not excerpt_digests:
        return frozenset(), None
    question: Dict[str, Sequence[str]] = {"sha256": digests}
    if excerpt_digests:
        question["excerpts"] = excerpt_digests
    body = gzip_bytes(json.dumps(question, separators=(",", ":")).encode())
    answer = service.call("POST", "/blobs/missing", body, _JSON_HEADERS)[1]
    missing = frozenset(answer.get("missing") or ())
    known = answer.get("excerpts")
    return missing, None if known is None else frozenset(known)


def _send_blob(entry: Entry, service: Service, digest: str) -> None:
    for _ in range(_BLOB_TRIES):
        try:
            _put_blob(service, digest, entry.blob(digest))
        except RefusedError as error:
            if error.status == _TOO_LARGE:
                return  # the record goes without it, and the service's answer names the gap
            if error.status != _UNUSABLE or "secret-found" not in json.dumps(error.answer):
                raise
            digest = entry.withhold(digest, str(error.answer.get("detail") or "secret-found"))
        else:
            return
    raise RefusedError("the service keeps finding a secret in blob {}".format(digest))


def _put_blob(service: Service, digest: str, content: bytes) -> None:
    """Send a blob; a large one from where an earlier try broke off, of this process or another one."""
    path, total = "/blobs/" + digest, len(content)
    if total <= RESUMED_BYTES:
        service.call("PUT", path, content, _BYTES_HEADERS)
        return
    question = dict(_BYTES_HEADERS, **{"Content-Range": "bytes */{}".format(total)})
    status, answer = service.call("PUT", path, b"", question)
    for _ in range(_BLOB_TRIES):
        if status != _CONTINUE:
            return
        start = min(int(answer.get("received_bytes") or 0), total - 1)
        part = {"Content-Range": "bytes {}-{}/{}".format(start, total - 1, total)}
        status, answer = service.call(
            "PUT", path, memoryview(content)[start:], dict(_BYTES_HEADERS, **part)
        )
    if status == _CONTINUE:
        raise LaterError(
            "PUT {}: {} of {} bytes arrived".format(path, answer.get("received_bytes"), total)
        )


def _send_record(entry: Entry, service: Service) -> Dict[str, Any]:
    for _ in range(_RECORD_TRIES):
        try:
            return _put_record(entry, service)
        except RefusedError as error:
            reason = json.dumps(error.answer) if error.status == _UNUSABLE else ""
            if "unknown-excerpt" in reason:
                entry.known = frozenset()
            elif "secret-found" in reason:
                entry.withhold_fields(error.answer.get("errors") or {})
            else:
                raise
    return _put_record(entry, service)


def _put_record(entry: Entry, service: Service) -> Dict[str, Any]:
    """Send the record as it was spooled: another byte in a second try would be another record."""
    body, headers = entry.record_bytes, dict(_JSON_HEADERS)
    if entry.known is not None:
        body = excerpts.fold(body, entry.excerpts(), entry.known)
        headers["Content-Type"] = excerpts.CONTENT_TYPE
    path = "/jobs/" + quote(entry.record["job_id"], safe="")
    status, answer = service.call("PUT", path, gzip_bytes(body), headers)
    if not _is_of_record(status, answer, entry.record["job_id"]):
        raise LaterError("PUT {}: {}, but it is not jobprov that answered".format(path, status))
    return answer


def _is_of_record(status: int, answer: Dict[str, Any], job_id: str) -> bool:
    """Tell whether an answer is about the record.

    Portals and proxies say yes to everything, but not with 201.
    """
    named = answer.get("job_id")
    if named is None:
        return status == _CREATED
    return str(named).lower() == job_id.lower()


def gzip_bytes(content: bytes) -> bytes:
    """Return content in gzip form, the same bytes each time."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0) as stream:
        stream.write(content)
    return target.getvalue()


def read_token(options: Options, environment: Dict[str, str]) -> Optional[str]:
    """Return the write token, or None.

    Raises OSError where a token file was named and cannot be read, or holds more than a token.
    """
    token = environment.get("JOBPROV_TOKEN") or ""
    if options.token_file:
        token = _read_token_file(_transferred(options.token_file, environment))
    if len(token.split()) > 1:  # the error of http.client would put it into the job's log
        raise OSError("the token is more than one word")
    return token.strip() or None


def _read_token_file(path: str) -> str:
    """Return what is in a token file, without waiting.

    It may be a pipe without a writer, or an endless device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        content = os.read(descriptor, _MOST_TOKEN_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_TOKEN_BYTES:
        raise OSError("{} holds more than a token".format(path))
    return content.decode("ascii", "replace")


def _transferred(path: str, environment: Dict[str, str]) -> str:
    """Return where a file lies: as named, else where jobsub or HTCondor put what came with the job."""
    if os.path.exists(path):
        return path
    for folder in ("CONDOR_DIR_INPUT", "_CONDOR_SCRATCH_DIR"):
        if environment.get(folder):
            brought = os.path.join(environment[folder], os.path.basename(path))
            if os.path.isfile(brought):
                return brought
    return path


def _pause(attempt: int, wanted: Optional[float]) -> float:
    if wanted is not None:
        return wanted
    pause: float = FIRST_PAUSE_SECONDS * 2**attempt
    return pause * (0.5 + random.random())  # noqa: S311 - jitter, not secrecy


def _seconds(text: Optional[str]) -> Optional[float]:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None  # the date form: our own pause is as good


def _object(content: bytes) -> Dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8", "replace")) if content else {}
    except (ValueError, RuntimeError):  # no JSON, or so deep that Python gives up
        return {}
    return value if isinstance(value, dict) else {}


def _tls() -> Any:
    import ssl  # noqa: PLC0415 - a Python without it can still send over http

    context = ssl.create_default_context()  # honours SSL_CERT_FILE and SSL_CERT_DIR
    folder = os.environ.get("X509_CERT_DIR")
    if folder and os.path.isdir(folder):
        context.load_verify_locations(capath=folder)
    return context
