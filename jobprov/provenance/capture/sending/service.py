"""A connection to jobprov: calls, and what tells its answers from those of whoever stands between.

A proxy, a gateway or a portal may refuse a request, cut the answer short, or say yes to everything.
Only what jobprov itself says counts: an answer that is whole, a JSON object, and about what was
asked; a refusal whose `type` is one of jobprov's problems. Anything else is no answer.

Source: docs/reference/http.md, "Conventions".
"""

import json
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Optional, Tuple, Union
from urllib.parse import urlsplit

from jobprov.provenance.capture import VERSION
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.json_objects import Answer

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

_TAKEN, _REFUSED = 2, 4  # classes of HTTP status
TOO_LARGE = 413
CONTINUE = 308  # a part of a blob is there
BYTES_HEADERS = {"Content-Type": "application/octet-stream"}
PACKAGE_HEADER = "Jobprov-Package"  # which package brought the file
_LATER = frozenset([408, 425, 429])
# About token or address, not about the record
_OF_THE_CALL = frozenset([401, 403, 404, 405])
_PROBLEMS = "/problems/"
_CALL_SECONDS = 10.0
_LARGEST_ANSWER = 8 << 20
_MOST_TOKEN_BYTES = 32 * 1024
_LONGEST_REASON = 1500  # characters of what somebody answered


class RefusedError(Exception):
    """The service refuses this record.

    Attributes:
        status, answer: the service's own, where it answered.
    """

    def __init__(
        self, message: str, status: Optional[int] = None, answer: Optional[Answer] = None
    ) -> None:
        Exception.__init__(self, message)
        self.status = status
        self.answer = answer or {}

    def is_for_good(self) -> bool:
        """Tell whether nothing but another record would be taken.

        Another token or address does not help.
        """
        return self.status not in _OF_THE_CALL

    def is_about(self, problem: str) -> bool:
        """Tell whether `secret-found` or the like is what the service says."""
        return problem in json.dumps(self.answer)


class LaterError(Exception):
    """The service cannot take it now.

    Attributes:
        pause: seconds after which it wants to be tried again, or None.
    """

    def __init__(self, message: str, pause: Optional[float] = None) -> None:
        Exception.__init__(self, message)
        self.pause = pause


class UnansweredError(LaterError):
    """Nothing of jobprov's came back: the line broke, or somebody else answered.

    Attributes:
        status: what somebody else answered; None where the line broke.
    """

    def __init__(
        self, message: str, status: Optional[int] = None, pause: Optional[float] = None
    ) -> None:
        LaterError.__init__(self, message, pause)
        self.status = status

    def is_barred(self) -> bool:
        """Tell whether somebody between refuses this request, so that repeating it is no use."""
        return self.status is not None and _is_refusal(self.status)


class Service:
    """One connection to a jobprov service; `url` is its root, `clock` the budget.

    Attributes:
        reserve: seconds of the budget that calls leave for later ones.
        largest_body: bytes that somebody between was found to let pass, or None.
        batch_bytes: of many small blobs that may go in one call; 0 where the service has no such
            call.
    """

    def __init__(self, url: str, token: Optional[str], clock: Clock) -> None:
        self._parts = urlsplit(url if "://" in url else "http://" + url)
        if not self._parts.hostname:
            raise ValueError("the address {} names no host".format(url))
        self._base = self._parts.path.rstrip("/")
        if not self._base.endswith("/api/v1"):
            self._base += "/api/v1"
        self._token, self._clock = token, clock
        self._connection: "Optional[HTTPConnection]" = None
        self._socket: Optional[socket.socket] = None
        self.reserve = 0.0
        self.largest_body: Optional[int] = None
        self.batch_bytes = 0

    def call(
        self,
        method: str,
        path: str,
        body: Union[bytes, memoryview],
        headers: Dict[str, str],
        is_whole: Callable[[Answer], bool],
    ) -> Tuple[int, Answer]:
        """Return (status, JSON object) of what jobprov answers; raises LaterError and RefusedError.

        `is_whole` tells of a good answer whether all is there that jobprov says, about what was
        asked.
        """
        from http.client import HTTPException  # noqa: PLC0415 - many jobs only spool, and it is slow

        try:
            status, answer, pause = self._exchange(method, path, body, headers)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            sentence = self._sentence(method, path, error or type(error).__name__)
            raise UnansweredError(sentence) from error
        if status // 100 == _TAKEN or status == CONTINUE:
            if is_whole(answer):
                return status, answer
            raise self._stranger(method, path, status, answer)
        if not _is_problem(status, answer):
            raise self._stranger(method, path, status, answer, pause)
        reason = [status, answer.get("detail") or answer.get("title") or ""]
        if answer.get("errors"):
            reason.append(json.dumps(answer["errors"], sort_keys=True))
        sentence = self._sentence(method, path, *reason)
        if _is_refusal(status):
            raise RefusedError(sentence, status, answer)
        raise LaterError(sentence, pause)

    def seconds_left(self) -> float:
        """Return how long calls may take now."""
        return self._clock.left() - self.reserve

    def _stranger(
        self,
        method: str,
        path: str,
        status: int,
        answer: Answer,
        pause: Optional[float] = None,
    ) -> UnansweredError:
        self.close()  # whoever it is may do so too, without a word
        words = "{}, but it is not jobprov that answered".format(status)
        said = answer.get("detail") or answer.get("title") or ""
        return UnansweredError(self._sentence(method, path, words, said), status, pause)

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
    ) -> Tuple[int, Answer, Optional[float]]:
        """Return (status, answer, seconds of Retry-After)."""
        seconds = min(_CALL_SECONDS, self.seconds_left())
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
        end = threading.Timer(self.seconds_left(), self._cut)
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
        connection: "HTTPConnection",
        method: str,
        path: str,
        body: Union[bytes, memoryview],
        headers: Dict[str, str],
    ) -> "Tuple[HTTPResponse, bytes]":
        if connection.sock is None:
            connection.connect()
        self._socket = connection.sock
        try:
            connection.request(method, self._base + path, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # A gateway that finds the body too large says so, and reads no further
            response = connection.getresponse()
            content = _read_whole(response)
            self.close()
            return response, content
        response = connection.getresponse()
        return response, _read_whole(response)

    def _cut(self) -> None:
        try:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass  # not connected any more

    def _connect(self, seconds: float) -> "HTTPConnection":
        from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415

        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return HTTPSConnection(host, port, timeout=seconds, context=_tls())
        return HTTPConnection(host, port, timeout=seconds)


@contextmanager
def opened(options: Options, environment: Dict[str, str], seconds: float) -> Iterator[Service]:
    """Give the service that the options name for so long; raises OSError as read_token does."""
    service = Service(options.url or "", read_token(options, environment), Clock(seconds))
    try:
        yield service
    finally:
        service.close()


def read_token(options: Options, environment: Dict[str, str]) -> Optional[str]:
    """Return the write token, or None.

    Raises OSError where a token file was named and cannot be read, or holds anything but a token.
    """
    token = environment.get("JOBPROV_TOKEN") or ""
    path = token_path(options, environment)
    if path is not None:
        token = _read_token_file(path)
    if len(token.split()) > 1:  # the error of http.client would put it into the job's log
        raise OSError("the token is more than one word")
    if max(token, default="") > "~":
        raise OSError("the token is not ASCII: copy all of it")
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


def token_path(options: Options, environment: Dict[str, str]) -> Optional[str]:
    """Return where the token file lies: as named, else where jobsub or HTCondor put a job's files.

    None where the options name none.
    """
    path = options.token_file
    if not path or os.path.exists(path):
        return path or None
    for folder in ("CONDOR_DIR_INPUT", "_CONDOR_SCRATCH_DIR"):
        if environment.get(folder):
            brought = os.path.join(environment[folder], os.path.basename(path))
            if os.path.isfile(brought):
                return brought
    return path


def _read_whole(response: "HTTPResponse") -> bytes:
    """Return the body of an answer.

    Raises ValueError where it is not as long as its head says: `read` would return what came.
    """
    length = response.length  # None where the head names none
    content = response.read(_LARGEST_ANSWER + 1)
    if len(content) > _LARGEST_ANSWER:
        raise ValueError("the answer is longer than {} bytes".format(_LARGEST_ANSWER))
    if length is not None and len(content) != length:
        raise ValueError("the answer broke off after {} of {} bytes".format(len(content), length))
    return content


def _is_problem(status: int, answer: Answer) -> bool:
    """Tell whether an error is jobprov's own word: problem+json with one of its types."""
    kind = answer.get("type")
    return isinstance(kind, str) and kind.startswith(_PROBLEMS) and answer.get("status") == status


def _is_refusal(status: int) -> bool:
    return status // 100 == _REFUSED and status not in _LATER


def _seconds(text: Optional[str]) -> Optional[float]:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None  # the date form: our own pause is as good


def _object(content: bytes) -> Answer:
    """Return the JSON object of an answer; an empty one where it is none, or not a whole one."""
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
