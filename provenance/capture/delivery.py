"""Sending one entry of the spool: ask which blobs are missing, send those, then the record.

Three tries within the budget, with growing pauses and jitter; the service's Retry-After is obeyed. A large blob goes on where it broke off. What a service
refuses for good (4xx but 408, 425, 429) is not tried again. Each call is harmless when repeated (http.md).
"""

import gzip
import hashlib
import http.client
import io
import json
import os
import random
import time
import zipfile
from urllib.parse import quote, urlsplit

from provenance.capture import VERSION, redaction
from provenance.capture.spool import encode

_TRIES = 3
_TAKEN, _REFUSED, _UNUSABLE = 2, 4, 422  # classes of HTTP status, and the one of a blob that may not be kept
_TOO_LARGE = 413
_CONTINUE = 308  # a part of a blob is there
_LATER = frozenset([408, 425, 429])
_CALL_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
RESUMED_BYTES = 4 << 20  # of a blob; below, sending it again costs less than asking how much arrived


class RefusedError(Exception):
    """The service refuses this record for good; `status` and `answer` are its own, where it said anything."""

    status, answer = None, {}


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
        self._base = parts.path.rstrip("/") + ("" if parts.path.rstrip("/").endswith("/api/v1") else "/api/v1")
        self._parts, self._token, self._clock, self._connection = parts, token, clock, None

    def call(self, method, path, body, headers):
        """Return (status, decoded JSON object); raises LaterError and RefusedError."""
        try:
            status, answer, pause = self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise LaterError("{} {}: {}".format(method, path, error or type(error).__name__)) from error
        if status // 100 == _TAKEN or status == _CONTINUE:
            return status, answer
        sentence = "{} {}: {} {}".format(method, path, status, answer.get("detail") or answer.get("title") or "")
        if answer.get("errors"):
            sentence += " " + json.dumps(answer["errors"], sort_keys=True)[:1000]
        if status // 100 == _REFUSED and status not in _LATER:
            error = RefusedError(sentence.strip())
            error.status, error.answer = status, answer
            raise error
        raise LaterError(sentence.strip(), pause)

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
        headers = dict(headers, **{"Accept": "application/json", "User-Agent": "jobprov-hook/" + VERSION})
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        self._connection.request(method, self._base + path, body, headers)
        response = self._connection.getresponse()
        content = response.read(8 << 20)
        pause = _seconds(response.getheader("Retry-After"))
        if response.getheader("Connection", "").lower() == "close":
            self.close()
        return response.status, _object(content), pause

    def _connect(self, seconds):
        host, port = self._parts.hostname, self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=_tls())
        return http.client.HTTPConnection(host, port, timeout=seconds)


def deliver(path, url, token, clock):
    """Send the entry at a path and return the service's answer; raises LaterError and RefusedError."""
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
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RefusedError("the spooled entry cannot be read: {}".format(error)) from error


class Entry:
    """An opened entry of the spool: its record, and its blobs by digest."""

    def __init__(self, archive):
        self._archive = archive
        self._replaced = {}
        self.record = json.loads(archive.read("record.json").decode("utf-8"))
        self.record_bytes = archive.read("record.json")
        names = (name for name in archive.namelist() if name.startswith("blobs/"))
        self.digests = [name[6:] for name in names]

    def blob(self, digest):
        """Return a blob's bytes."""
        if digest in self._replaced:
            return self._replaced[digest]
        return self._archive.read("blobs/" + digest)

    def withhold(self, digest, rule):
        """Put redacted bytes in a blob's place, name them in the record, and return their digest."""
        content, hits = redaction.redact(self.blob(digest))
        if not hits:
            content = b"[withheld: the service found a secret in this file]\n"
        new = hashlib.sha256(content).hexdigest()
        self._replaced[new] = content
        text = self.record_bytes.decode("utf-8").replace(digest, new)
        self.record = json.loads(text)
        notes = self.record.setdefault("extra", {}).setdefault("hook_notes", [])
        notes.append("a blob was redacted, since the service found a secret in it ({}): {}".format(rule, new))
        self.record_bytes = encode(self.record)
        return new

    def withhold_fields(self, paths):
        """Take out of the record what the service names as secrets, by field path."""
        for path in sorted(paths):
            self.record = _without(self.record, path)
        notes = self.record.setdefault("extra", {}).setdefault("hook_notes", [])
        notes.append("the service found secrets, which were taken out: {}".format(", ".join(sorted(paths))[:1000]))
        self.record_bytes = encode(self.record)


def _without(value, path):
    """Return the value with the text at a path, such as `software[0].repository`, replaced; names may hold dots."""
    if not path:
        return "<redacted:service>"
    if isinstance(value, list):
        number, _, rest = path[1:].partition("]")
        if number.isdigit() and int(number) < len(value):
            value[int(number)] = _without(value[int(number)], rest.lstrip("."))
    elif isinstance(value, dict):
        for key in sorted(value, key=len, reverse=True):
            if path == key or path.startswith((key + ".", key + "[")):
                value[key] = _without(value[key], path[len(key) :].lstrip("."))
                break
    return value


def _send(entry, service):
    wanted = _missing(service, entry.digests)
    for digest in [digest for digest in entry.digests if digest in wanted]:
        _send_blob(entry, service, digest)
    answer = _send_record(entry, service)
    late = [digest for digest in answer.get("missing_blobs") or () if digest in entry.digests]
    for digest in late:  # removed, or lost, between our question and the record
        _send_blob(entry, service, digest)
    return _send_record(entry, service) if late else answer


def _missing(service, digests):
    if not digests:
        return frozenset()
    body = gzip_bytes(json.dumps({"sha256": digests}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return frozenset(service.call("POST", "/blobs/missing", body, headers)[1].get("missing") or ())


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
    status, answer = service.call("PUT", path, b"", dict(headers, **{"Content-Range": "bytes */{}".format(total)}))
    for _ in range(3):
        if status != _CONTINUE:
            return
        start = min(int(answer.get("received_bytes") or 0), total - 1)
        part = {"Content-Range": "bytes {}-{}/{}".format(start, total - 1, total)}
        status, answer = service.call("PUT", path, memoryview(content)[start:], dict(headers, **part))
    if status == _CONTINUE:
        raise LaterError("PUT {}: {} of {} bytes arrived".format(path, answer.get("received_bytes"), total))


def _send_record(entry, service):
    try:
        return _put_record(entry, service)
    except RefusedError as error:
        if error.status != _UNUSABLE or "secret-found" not in json.dumps(error.answer):
            raise
        entry.withhold_fields(error.answer.get("errors") or {})
        return _put_record(entry, service)


def _put_record(entry, service):
    body = gzip_bytes(entry.record_bytes)  # as spooled: another byte in a second try would be another record
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return service.call("PUT", "/jobs/" + quote(entry.record["job_id"], safe=""), body, headers)[1]


def gzip_bytes(content):
    """Return content in gzip form, the same bytes each time."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0) as stream:
        stream.write(content)
    return target.getvalue()


def read_token(options, environment):
    """Return the write token, or None; raises OSError where a token file was named and cannot be read."""
    if options.token_file:
        with open(_transferred(options.token_file, environment), encoding="ascii", errors="replace") as stream:
            return stream.read().strip() or None
    return environment.get("JOBPROV_TOKEN") or None


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
    return (FIRST_PAUSE_SECONDS * 2**attempt) * (0.5 + random.random())  # noqa: S311 - jitter, not secrecy


def _seconds(text):
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None  # the date form: our own pause is as good


def _object(content):
    try:
        value = json.loads(content.decode("utf-8", "replace")) if content else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _tls():
    import ssl  # noqa: PLC0415 - a Python without it can still send over http

    context = ssl.create_default_context()  # honours SSL_CERT_FILE and SSL_CERT_DIR
    folder = os.environ.get("X509_CERT_DIR")
    if folder and os.path.isdir(folder):
        context.load_verify_locations(capath=folder)
    return context
