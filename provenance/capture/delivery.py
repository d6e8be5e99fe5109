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
from urllib.parse import quote, urlsplit

from jobprov.provenance.capture import VERSION, excerpts
from jobprov.provenance.capture.entry import Entry

_TRIES = 3
_TAKEN, _REFUSED, _UNUSABLE = (
    2,
    4,
    422,
)  # classes of HTTP status, and the one of a blob that may not be kept
_TOO_LARGE = 413
_CREATED = 201
_CONTINUE = 308  # a part of a blob is there
_LATER = frozenset([408, 425, 429])
_OF_THE_CALL = frozenset(
    [401, 403, 404, 405, 407]
)  # they speak of token, address or proxy, not of the record
# What Python says of a zip, or of the JSON in it, that is not as it was written; of one by a later
# version as well.
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError)
_CALL_SECONDS = 10.0
_MOST_TOKEN_BYTES = 32 * 1024
_LONGEST_REASON = 1500  # characters of what somebody answered
FIRST_PAUSE_SECONDS = 0.5
RESUMED_BYTES = (
    4 << 20
)  # of a blob; below, sending it again costs less than asking how much arrived


class RefusedError(Exception):
    """The service refuses this record.

    `status` and `answer` are its own, where it said anything.
    """

    status, answer = None, {}

    def is_for_good(self):
        """Tell whether nothing but another record would be taken.

        Another token or address does not help.
        """
        return self.status not in _OF_THE_CALL


class LaterError(Exception):
    """The service cannot take it now.

    Attributes:
        pause: seconds after which it asked to be tried again, or None.
    """

    def __init__(self, message, pause=None):
        Exception.__init__(self, message)
        self.pause = pause


class Service:
    """One connection to a jobprov service; `url` is its root, `clock` the budget."""

    def __init__(self, url, token, clock):
        parts = urlsplit(url if "://" in url else "http://" + url)
        if not parts.hostname:
            raise ValueError("the address {} names no host".format(url))
        self._base = parts.path.rstrip("/") + (
            "" if parts.path.rstrip("/").endswith("/api/v1") else "/api/v1"
        )
        self._parts, self._token, self._clock, self._connection = parts, token, clock, None
        self._socket = None

    def call(self, method, path, body, headers):
        """Return (status, decoded JSON object); raises LaterError and RefusedError."""
        try:
            status, answer, pause = self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise LaterError(self._say(method, path, error or type(error).__name__)) from error
        if status // 100 == _TAKEN or status == _CONTINUE:
            return status, answer
        why = [status, answer.get("detail") or answer.get("title") or ""]
        if answer.get("errors"):
            why.append(json.dumps(answer["errors"], sort_keys=True))
        sentence = self._say(method, path, *why)
        if status // 100 == _REFUSED and status not in _LATER:
            error = RefusedError(sentence)
            error.status, error.answer = status, answer
            raise error
        raise LaterError(sentence, pause)

    def _say(self, method, path, *words):
        """Return what went wrong as one line for the job's log.

        Without our token, which a gateway may repeat, and of bounded length.
        """
        sentence = " ".join(str(word) for word in words)
        if self._token:
            sentence = sentence.replace(self._token, "<redacted:token>")
        sentence = "".join(
            letter if letter.isprintable() else " " for letter in sentence[:_LONGEST_REASON]
        )
        return "{} {}: {}".format(method, path, " ".join(sentence.split()))

    def close(self):
        """Drop the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, method, path, body, headers):
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
        status, content, pause = self._ask(method, path, body, headers)
        return status, _object(content), pause

    def _ask(self, method, path, body, headers):
        """Ask and read the answer; one that comes by drops ends with the budget, whatever each drop takes."""
        end = threading.Timer(self._clock.left(), self._cut)
        end.daemon = True
        end.start()
        try:
            if self._connection.sock is None:
                self._connection.connect()
            self._socket = self._connection.sock
            self._connection.request(method, self._base + path, body, headers)
            response = self._connection.getresponse()
            content = response.read(8 << 20)
        finally:
            end.cancel()
        if response.getheader("Connection", "").lower() == "close":
            self.close()
        return response.status, content, _seconds(response.getheader("Retry-After"))

    def _cut(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass  # not connected yet, or not any more

    def _connect(self, seconds):
        host, port = self._parts.hostname, self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=_tls())
        return http.client.HTTPConnection(host, port, timeout=seconds)


def deliver(path, url, token, clock):
    """Send the entry at a path and return the service's answer.

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


def _send_file(path, service):
    try:
        with zipfile.ZipFile(path) as archive:
            return _send(Entry(archive), service)
    except _DAMAGES as error:
        raise RefusedError(
            "the spooled entry cannot be read: {}".format(error or type(error).__name__)
        ) from error


def _send(entry, service):
    wanted = _ask(entry, service)
    for digest in [digest for digest in entry.digests if digest in wanted]:
        _send_blob(entry, service, digest)
    answer = _send_record(entry, service)
    late = [digest for digest in answer.get("missing_blobs") or () if digest in entry.digests]
    for digest in late:  # removed, or lost, between our question and the record
        _send_blob(entry, service, digest)
    return _send_record(entry, service) if late else answer


def _ask(entry, service):
    """Return the digests of blobs to send, and note at the entry which of its excerpts the service knows.

    Of the blobs that such an excerpt names none is missing; else the answer to the record says so.
    """
    found = entry.excerpts()
    named = b"".join(excerpt.content for excerpt in found)
    own = [digest for digest in entry.digests if digest.encode("ascii") not in named]
    wanted, entry.known = _missing(service, own, [excerpt.sha256 for excerpt in found])
    rest = b"".join(
        excerpt.content for excerpt in found if excerpt.sha256 not in (entry.known or ())
    )
    return (
        wanted
        | _missing(service, [digest for digest in entry.digests if digest.encode("ascii") in rest])[
            0
        ]
    )


def ask_missing(service, digests):
    """Return which of the digests the service lacks; raises LaterError and RefusedError."""
    return _missing(service, digests)[0]


def _missing(service, digests, asked=()):
    if not digests and not asked:
        return frozenset(), None
    question = dict({"sha256": digests}, **({"excerpts": asked} if asked else {}))
    body = gzip_bytes(json.dumps(question, separators=(",", ":")).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = service.call("POST", "/blobs/missing", body, headers)[1]
    known = answer.get("excerpts")
    return frozenset(answer.get("missing") or ()), None if known is None else frozenset(known)


def _send_blob(entry, service, digest):
    for _ in range(3):
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


def _put_blob(service, digest, content):
    """Send a blob; a large one from where an earlier try broke off, of this process or another one."""
    path, total = "/blobs/" + digest, len(content)
    headers = {"Content-Type": "application/octet-stream"}
    if total <= RESUMED_BYTES:
        service.call("PUT", path, content, headers)
        return
    status, answer = service.call(
        "PUT", path, b"", dict(headers, **{"Content-Range": "bytes */{}".format(total)})
    )
    for _ in range(3):
        if status != _CONTINUE:
            return
        start = min(int(answer.get("received_bytes") or 0), total - 1)
        part = {"Content-Range": "bytes {}-{}/{}".format(start, total - 1, total)}
        status, answer = service.call(
            "PUT", path, memoryview(content)[start:], dict(headers, **part)
        )
    if status == _CONTINUE:
        raise LaterError(
            "PUT {}: {} of {} bytes arrived".format(path, answer.get("received_bytes"), total)
        )


def _send_record(entry, service):
    for _ in range(2):
        try:
            return _put_record(entry, service)
        except RefusedError as error:
            said = json.dumps(error.answer) if error.status == _UNUSABLE else ""
            if "unknown-excerpt" in said:
                entry.known = frozenset()
            elif "secret-found" in said:
                entry.withhold_fields(error.answer.get("errors") or {})
            else:
                raise
    return _put_record(entry, service)


def _put_record(entry, service):
    """Send the record as it was spooled: another byte in a second try would be another record."""
    body, headers = (
        entry.record_bytes,
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    if entry.known is not None:
        body = excerpts.fold(body, entry.excerpts(), entry.known)
        headers["Content-Type"] = excerpts.CONTENT_TYPE
    body = gzip_bytes(body)
    path = "/jobs/" + quote(entry.record["job_id"], safe="")
    status, answer = service.call("PUT", path, body, headers)
    if not _is_of_record(status, answer, entry.record["job_id"]):
        raise LaterError("PUT {}: {}, but it is not jobprov that answered".format(path, status))
    return answer


def _is_of_record(status, answer, job_id):
    """Tell whether an answer says what became of the record.

    Portals and proxies say yes to everything, but 201 to nothing.
    """
    named = answer.get("job_id")
    return status == _CREATED if named is None else str(named).lower() == job_id.lower()


def gzip_bytes(content):
    """Return content in gzip form, the same bytes each time."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0) as stream:
        stream.write(content)
    return target.getvalue()


def read_token(options, environment):
    """Return the write token, or None.

    Raises OSError where a token file was named and cannot be read, or holds more than a token.
    """
    words = environment.get("JOBPROV_TOKEN") or ""
    if options.token_file:
        words = _token_words(_transferred(options.token_file, environment))
    if len(words.split()) > 1:  # the error of http.client would tell it to the job's log
        raise OSError("the token is more than one word")
    return words.strip() or None


def _token_words(path):
    """Return what a file holds that was named as the token's, without waiting.

    It may be a pipe without a writer, or a device without an end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        content = os.read(descriptor, _MOST_TOKEN_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_TOKEN_BYTES:
        raise OSError("{} holds more than a token".format(path))
    return content.decode("ascii", "replace")


def _transferred(path, environment):
    """Return where a file lies: as named, else where jobsub or HTCondor put what came with the job."""
    for folder in ("CONDOR_DIR_INPUT", "_CONDOR_SCRATCH_DIR"):
        if not os.path.exists(path) and environment.get(folder):
            brought = os.path.join(environment[folder], os.path.basename(path))
            if os.path.isfile(brought):
                return brought
    return path


def _pause(attempt, asked):
    if asked is not None:
        return asked
    # Jitter, not secrecy
    return (FIRST_PAUSE_SECONDS * 2**attempt) * (0.5 + random.random())  # noqa: S311


def _seconds(text):
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None  # the date form: our own pause is as good


def _object(content):
    try:
        value = json.loads(content.decode("utf-8", "replace")) if content else {}
    except (ValueError, RuntimeError):  # no JSON, or so deep that Python gives up
        return {}
    return value if isinstance(value, dict) else {}


def _tls():
    import ssl  # noqa: PLC0415 - a Python without it can still send over http

    context = ssl.create_default_context()  # honours SSL_CERT_FILE and SSL_CERT_DIR
    folder = os.environ.get("X509_CERT_DIR")
    if folder and os.path.isdir(folder):
        context.load_verify_locations(capath=folder)
    return context
