"""How calls are sent: over a session, with a token.

Reads and repeatable writes are tried three times. What a gateway finds too large is sent in smaller
pieces; what jobprov itself finds too large stays too large.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import requests
from requests.auth import AuthBase
from requests.exceptions import ChunkedEncodingError, InvalidSchema, InvalidURL, MissingSchema

from jobprov.provenance.answers.addresses import fits_path
from jobprov.provenance.answers.recording import BlobAnswer, PartAnswer
from jobprov.provenance.client.answers import GatewayError, check
from jobprov.provenance.errors import BadInputError, ForbiddenError, NotFoundError, UnreachableError
from jobprov.provenance.progress import tell
from jobprov.provenance.records.reading.misfits import misfit

USUAL_URL = "http://127.0.0.1:8095"
"""Where a service listens that was told nothing else."""
TRIES = 3
_PAUSE_SECONDS = 0.5
_MOST_PAUSE_SECONDS = 60
_LATER = (429, 502, 503, 504)
T = TypeVar("T")
P = TypeVar("P", bound="_Page")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BROKEN_OFF = "it breaks off the connection"
_SYSTEM_ERROR = re.compile(r"\[Errno \d+\] ([\w ]+)")
SMALLEST_PART = 16 * 1024
"""A gateway that does not take so much takes nothing of use."""
_MOST_STANDSTILLS = 3
_MOST_TOKEN_BYTES = 32 * 1024
_STEPS = (".", "..")
"""Parts of a path that stand for another path."""

PutPart = Callable[[bytes, str], BlobAnswer | PartAnswer]
"""Sends bytes of a blob under a `Content-Range`."""


class _Page(Protocol):
    """A page of a list; `next` is the cursor of the one after it, None at the end."""

    @property
    def next(self) -> str | None: ...


def read_token_file(path: Path) -> str:
    """Return the token in a file.

    Raises:
        BadInputError: it cannot be read, or holds anything but one word.
    """
    try:
        with path.open("rb") as stream:
            words = stream.read(_MOST_TOKEN_BYTES + 1).decode("ascii").split()
    except (OSError, UnicodeDecodeError) as problem:
        # The error of decoding would name some letters, and they are secret
        reason = problem.strerror if isinstance(problem, OSError) else "it is not ASCII"
        raise BadInputError(f"The token file {path} cannot be read: {reason}.") from None
    if len(words) != 1 or len(words[0]) > _MOST_TOKEN_BYTES:
        raise BadInputError(f"The token file {path} holds {len(words)} words; a token is one.")
    return words[0]


class _TokenFile(AuthBase):
    """Sends the token in a file, read again for each call: tokens are renewed there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {read_token_file(self._path)}"
        return request


class Transport:
    """A line to a service; see `Client`, which names the calls."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        token_file: Path | str | None = None,
        timeout: float = 30.0,
    ) -> None:
        if url is None:
            url = os.environ.get("JOBPROV_URL") or USUAL_URL
            # The environment's token is for the environment's service, and for no other
            if not token:
                token_file = token_file or os.environ.get("JOBPROV_TOKEN_FILE")
                token = os.environ.get("JOBPROV_TOKEN")
        self.url = url.rstrip("/").removesuffix("/api/v1")
        self._base = f"{self.url}/api/v1"
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc must not replace our token
        # As the hook: the certificates of a site's own authority
        authorities = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
        self._session.verify = authorities or True
        # A secret that was mounted or pasted ends with a line break
        bare_token = (token or "").strip()
        if not bare_token.isascii():
            raise BadInputError("The token is not ASCII: copy all of it, from prov_ to its end.")
        self._sent_from = ""
        if token_file:
            self._session.auth = _TokenFile(Path(token_file))
            self._sent_from = f"the file {token_file}"
        elif bare_token:
            self._session.headers["Authorization"] = f"Bearer {bare_token}"
            if bare_token == os.environ.get("JOBPROV_TOKEN", "").strip():
                self._sent_from = "the variable JOBPROV_TOKEN"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_problem: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a client is also a context manager."""
        self._session.close()

    def page(self, address: str) -> tuple[str, str, bytes] | None:
        """Return a page or file of the service: its final address, type and bytes.

        None if the answer is an error.

        Raises:
            UnreachableError: nothing answers.
        """
        try:
            answer = self._session.get(f"{self.url}{address}", timeout=self._timeout)
        except requests.RequestException as problem:
            raise UnreachableError(f"{self.url} does not answer: {problem}.") from None
        if not answer.ok:
            return None
        return answer.url, answer.headers.get("Content-Type", ""), answer.content

    def _save(self, path: str, query: Mapping[str, Any], target: Path | str) -> str:
        target = Path(target)
        if not target.parent.is_dir():
            raise BadInputError(f"There is no folder {target.parent} for {target.name}.")
        if target.exists() and not target.is_file():
            raise BadInputError(f"{target} is no plain file, and would be replaced by one.")
        answer = self._marked("GET", path, params=dict(query), stream=True)
        temporary = target.with_name(f".{target.name}.part")
        try:
            with temporary.open("wb") as stream:
                length = answer.headers.get("Content-Length", "")
                total = int(length) if length.isdigit() else None
                for chunk in answer.iter_content(1 << 16):
                    stream.write(chunk)
                    tell(f"bytes of {target.name}", stream.tell(), total)
            temporary.replace(target)
        except requests.RequestException as problem:
            raise UnreachableError(
                f"{self.url} broke off while sending {target.name}: {problem}."
            ) from None
        except OSError as problem:
            problem.filename = str(target)  # the only name that the caller knows
            raise
        finally:
            answer.close()
            temporary.unlink(missing_ok=True)
        return str(answer.headers.get("ETag", "")).strip('"')

    def _pages(self, kind: type[P], path: str, /, **query: Any) -> Iterator[P]:
        """Yield the pages of a list as their type."""
        cursor = query.pop("cursor", None)
        while True:
            page = self._ask(kind, path, **query, cursor=cursor)
            yield page
            cursor = page.next
            if cursor is None:
                return

    def _ask(self, kind: type[T], path: str, /, **query: Any) -> T:
        """Return an answer as its type; members that a newer service adds are passed over.

        Raises:
            UnreachableError: whoever answered is not jobprov.
        """
        return self._send(kind, "GET", path, params=query)

    def _send(self, kind: type[T], method: str, path: str, **options: Any) -> T:
        """Make a call with a body or a query, and return its answer as its type.

        Raises:
            UnreachableError: whoever answered is not jobprov.
        """
        return self._decoded(kind, self._call(method, path, **options))

    def _text(self, path: str, /, **query: Any) -> str:
        """Return an answer that is text for people or for other programs.

        Raises:
            UnreachableError: whoever answered is not jobprov.
        """
        return self._marked("GET", path, params=query).content.decode(errors="replace")

    def _marked(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return a good answer whose form tells nothing of who gave it, as of a text or a tar.

        A portal's page of a login would pass for it: every answer of jobprov has a number.

        Raises:
            UnreachableError: whoever answered is not jobprov.
        """
        answer = self._call(method, path, **options)
        if "X-Request-Id" not in answer.headers:
            answer.close()
            raise self._stranger()
        return answer

    def _decoded(self, kind: type[T], answer: requests.Response) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.ValidationError as problem:
            raise self._stranger(f": {misfit(problem, kind)}") from None
        except msgspec.DecodeError:
            raise self._stranger() from None

    def _stranger(self, why: str = "") -> UnreachableError:
        return UnreachableError(
            f"{self.url} does not answer as jobprov does{why}; is the address right?"
        )

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return a good answer; only what is harmless to repeat is tried again."""
        tries = 1 if method == "POST" and not path.startswith("/blobs/") else TRIES
        query = options.pop("params", None) or {}
        params = {name: _visible(value) for name, value in query.items()}
        for attempt in range(1, tries + 1):
            pause = _PAUSE_SECONDS * attempt
            try:
                answer = self._session.request(
                    method,
                    self._base + path,
                    timeout=self._timeout,
                    allow_redirects=False,
                    params=params,
                    **options,
                )
            except requests.RequestException as problem:
                if attempt == tries:
                    raise UnreachableError(
                        f"No jobprov answers at {self.url}: {reason_of(problem)}."
                    ) from None
            except OSError as problem:
                raise BadInputError(
                    f"SSL_CERT_FILE or SSL_CERT_DIR names no certificates: {problem}."
                ) from None
            else:
                if answer.is_redirect:
                    raise self._sent_on(answer.headers["Location"])
                if answer.status_code not in _LATER or attempt == tries:
                    return self._checked(answer)
                pause = max(pause, _limit_seconds(answer))
            time.sleep(pause)
        raise AssertionError

    def _sent_on(self, location: str) -> UnreachableError:
        place = urlsplit(location)
        target = f"{place.scheme}://{place.netloc}"
        return UnreachableError(f"{self.url} sends on to {target}: is that the service's address?")

    def _checked(self, answer: requests.Response) -> requests.Response:
        try:
            return check(answer)
        except GatewayError:
            # Some cut the line after an error, without a word
            self._session.close()
            raise
        except NotFoundError as refusal:
            path = urlsplit(self.url).path
            if not path or "no such address" not in str(refusal):
                raise
            root = self.url.removesuffix(path)
            raise NotFoundError(
                f"{self.url} is not the root of a jobprov service: there is no such address below "
                f"{path}. Try {root} as JOBPROV_URL, or as --url."
            ) from None
        except ForbiddenError as refusal:
            # A token may have been left in a shell by something else
            if not self._sent_from:
                raise
            raise ForbiddenError(f"{refusal} What was sent is in {self._sent_from}.") from None


def part(text: str) -> str:
    """Return a name as one part of an address.

    Raises:
        BadInputError: it is empty, or `.` or `..`, which name another address.
    """
    if not text:
        raise BadInputError("The name is empty: name a job, a file or whatever is asked about.")
    if text in _STEPS:
        raise BadInputError(
            f"{text!r} is not a name; name a job, a file or whatever is asked about."
        )
    return quote(_visible(text), safe="")


def task_place(task_id: str) -> tuple[str, dict[str, str]]:
    """Return a task's id for an address: its part of the path, and the query.

    A slash is `%2F` in it, as hooks write it. The query carries an id that no path can hold.

    Raises:
        BadInputError: it is empty.
    """
    if task_id in _STEPS:
        return "-", {"task": task_id}
    return part(task_id.replace("/", "%2F")), {}


def campaign_place(name: str) -> tuple[str, dict[str, str]]:
    """Return a campaign's name for an address: its part of the path, and the query.

    The query carries a name that no path can hold.
    """
    if fits_path(name):
        return part(name), {}
    return "-", {"campaign": _visible(name)}


def _visible(value: Any) -> Any:
    """Return a text in which bytes that are not UTF-8 are written as the hook writes them."""
    if not isinstance(value, str):
        return value
    return _SURROGATE.sub(lambda match: f"\\x{ord(match.group()) & 0xFF:02x}", value)


def _limit_seconds(answer: requests.Response) -> float:
    """Return after how many seconds more requests are taken; 0 where no limit of them is passed.

    A script that asks too often is slower then, and does not fail. Wrong tokens have a limit of
    their own, and waiting does not make them right.
    """
    after = answer.headers.get("Retry-After", "")
    if not answer.headers.get("RateLimit", "").startswith('"requests"') or not after.isdecimal():
        return 0.0
    return float(min(int(after), _MOST_PAUSE_SECONDS))


def reason_of(problem: Exception) -> str:
    """Return why nobody answers, in words."""
    if isinstance(problem, (MissingSchema, InvalidSchema, InvalidURL)):
        return "that is not an address, which looks like http://HOST:PORT"
    if isinstance(problem, requests.Timeout):
        return "it does not answer in time"
    # requests wraps these so deep that only their texts tell them apart
    if isinstance(problem, requests.exceptions.SSLError):
        return _reason_of_tls(str(problem))
    if isinstance(problem, ChunkedEncodingError):
        return _BROKEN_OFF
    return _reason_of_line(str(problem)) or type(problem).__name__


def _reason_of_line(words: str) -> str | None:
    if "refused" in words:
        return "it refuses connections"
    if "NameResolutionError" in words:
        return "no such host is known"
    if "Connection aborted" in words:
        return _BROKEN_OFF
    of_the_system = _SYSTEM_ERROR.search(words)
    return of_the_system[1] if of_the_system else None


def _reason_of_tls(words: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" not in words:
        return "TLS fails; its address may be one of http:// and not of https://"
    reason = words.rpartition("verify failed: ")[2].partition(" (_ssl")[0].rstrip(".")
    if "self-signed" in reason or "issuer" in reason:
        reason += "; SSL_CERT_FILE may name a file with certificates to trust"
    return f"its certificate is not trusted: {reason}"


def is_too_large(refusal: GatewayError) -> bool:
    """Return whether a gateway refuses a request for its size."""
    return refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def put_in_parts(put: PutPart, data: bytes) -> BlobAnswer:
    """Send a blob in parts, which become half as large each time that a gateway refuses one.

    Raises:
        GatewayError: it refuses the smallest part, or for another reason.
        UnreachableError: the service keeps no part.
    """
    total = len(data)
    largest = total // 2
    standstills = 0
    answer = put(b"", f"bytes */{total}")
    while isinstance(answer, PartAnswer):
        start = min(answer.received_bytes, total - 1)
        end = min(start + largest, total)
        try:
            answer = put(data[start:end], f"bytes {start}-{end - 1}/{total}")
        except GatewayError as refusal:
            if not is_too_large(refusal) or end - start <= SMALLEST_PART:
                raise
            largest = max(SMALLEST_PART, (end - start) // 2)
            continue
        if isinstance(answer, PartAnswer) and answer.received_bytes <= start:
            standstills += 1
            if standstills == _MOST_STANDSTILLS:
                raise UnreachableError(
                    f"The service keeps no part of blob {answer.sha256}, so that it cannot be "
                    "sent past a gateway that finds it too large."
                )
    return answer
