"""The public keys of an issuer of tokens: found, kept, and renewed in the background.

An issuer that does not answer must not stop the service: keys that are known are used for a day, a
request waits some seconds at most for keys that are not, and between two attempts there is a pause
that grows. Nor must wrong tokens make the service ask and ask: after an answer, a key that is not in
it is looked for again a minute later.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt
import msgspec
import requests
from urllib3.exceptions import HTTPError

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.services.intake.issuers import IssuerAddress

ALGORITHMS = ("RS256", "ES256")
RENEWED_SECONDS = 3600.0
WORTHLESS_SECONDS = 86_400.0
LEAST_PAUSE = 5.0
LONGEST_PAUSE = 600.0
PAUSE_AFTER_ANSWER = 60.0
_PATIENCE_SECONDS = 6.0
_ANSWER_SECONDS = 5.0
_MOST_BYTES = 1 << 20
_PIECE = 1 << 16
_MOST_KEYS = 100
# Source: OpenID Connect Discovery 1.0, section 4; RFC 8414, section 3
_DISCOVERY = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
_log = logging.getLogger("jobprov.tokens")


class UnusableAnswerError(UnreachableError):
    """An issuer does not answer, or its answer cannot be used; the message gives the reason."""


class _Keys(NamedTuple):
    """What an issuer answered, by key id; `fetched_at` is of its reader's clock."""

    by_id: Mapping[str, jwt.PyJWK]
    unnamed: tuple[jwt.PyJWK, ...]
    fetched_at: float

    def find(self, key_id: str | None, now: float) -> jwt.PyJWK | None:
        """Return a key by its id; the only one there is, where a token names none.

        Keys that are older than a day are none.
        """
        if now - self.fetched_at >= WORTHLESS_SECONDS:
            return None
        if key_id is not None:
            return self.by_id.get(key_id)
        every = (*self.by_id.values(), *self.unnamed)
        return every[0] if len(every) == 1 else None


class IssuerKeys:
    """The keys of one issuer; thread-safe."""

    def __init__(self, issuer: IssuerAddress, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._clock = issuer, clock
        self._lock = threading.Lock()
        self._keys = _Keys({}, (), float("-inf"))
        self._fetched: threading.Event | None = None
        """The fetch that is under way; None if there is none."""
        self._began = 0.0
        self._not_before = float("-inf")
        self._failures = 0
        self._problem: str | None = None

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key with this id, None where the issuer has no such key.

        Raises:
            UnreachableError: the key is not known, and the issuer's keys cannot be fetched.
        """
        now = self._clock()
        keys = self._keys
        key = keys.find(key_id, now)
        if key is not None and now - keys.fetched_at < RENEWED_SECONDS:
            return key
        fetched = self._fetch(now)
        if key is not None:
            return key
        if fetched is not None and fetched.wait(_PATIENCE_SECONDS):
            key = self._keys.find(key_id, self._clock())
        if key is None:
            self._check_reached()
        return key

    def _check_reached(self) -> None:
        with self._lock:
            problem = self._problem
            if problem is None and self._fetched is not None:
                problem = "it has not answered yet"
        if problem is not None:
            raise UnreachableError(
                f"Tokens of {self._issuer.issuer} cannot be checked now, as its keys cannot be "
                f"fetched: {problem}. Try again in a moment."
            )

    def _fetch(self, now: float) -> threading.Event | None:
        """Have the keys fetched; return what tells when they are, None if nobody should wait."""
        with self._lock:
            if self._fetched is not None:
                is_young = now - self._began < _PATIENCE_SECONDS
                return self._fetched if is_young else None
            if now < self._not_before:
                return None
            self._fetched, self._began = threading.Event(), now
            fetched = self._fetched
        threading.Thread(target=self._fetch_now, args=(fetched,), daemon=True).start()
        return fetched

    def _fetch_now(self, fetched: threading.Event) -> None:
        keys, problem = None, None
        try:
            keys = _fetched_keys(self._issuer, self._clock())
        except UnusableAnswerError as reason:
            problem = str(reason)
        except Exception:  # noqa: BLE001 - a thread's error would be seen by nobody
            _log.exception("Keys of %s", self._issuer.issuer)
            problem = "a mistake of ours; the log has it"
        with self._lock:
            now = self._clock()
            self._problem, self._fetched = problem, None
            if keys is not None:
                self._keys, self._failures = keys, 0
                self._not_before = now + PAUSE_AFTER_ANSWER
            else:
                pause = min(LONGEST_PAUSE, LEAST_PAUSE * 2**self._failures)
                self._failures = min(self._failures + 1, 20)
                self._not_before = now + pause
        if problem is not None:
            _log.warning("The keys of %s cannot be fetched: %s", self._issuer.issuer, problem)
        fetched.set()


def _fetched_keys(issuer: IssuerAddress, now: float) -> _Keys:
    """Return the keys that an issuer has now.

    Raises:
        UnusableAnswerError: it does not answer, or has no key that can be used.
    """
    with _session(issuer) as session:
        address = issuer.jwks or address_in(_discovered(session, issuer), "jwks_uri", issuer)
        document = _document(session, address)
    by_id: dict[str, jwt.PyJWK] = {}
    unnamed: list[jwt.PyJWK] = []
    listed = document.get("keys")
    for entry in listed[:_MOST_KEYS] if isinstance(listed, list) else []:
        key = _usable(entry)
        if key is None:
            continue
        if key.key_id is None:
            unnamed.append(key)
        else:
            by_id[key.key_id] = key
    if not by_id and not unnamed:
        raise UnusableAnswerError(f"none of its keys is for {' or '.join(ALGORITHMS)}")
    return _Keys(by_id, tuple(unnamed), now)


def _usable(entry: Any) -> jwt.PyJWK | None:
    """Return a key that signs tokens, None for any other."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(entry.get("kid", ""), str):
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def discovered_addresses(issuer: IssuerAddress, *names: str) -> tuple[JsonObject, list[str]]:
    """Return the document in which an issuer describes itself, and addresses that it names.

    Raises:
        UnusableAnswerError: it does not answer, or does not name one of them.
    """
    with _session(issuer) as session:
        document = _discovered(session, issuer)
    return document, [address_in(document, name, issuer) for name in names]


def _session(issuer: IssuerAddress) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a .netrc has nothing to do with it
    session.verify = issuer.ca or True
    return session


def _discovered(session: requests.Session, issuer: IssuerAddress) -> JsonObject:
    """Return the document in which the issuer describes itself."""
    problem = ""
    for path in _DISCOVERY:
        try:
            document = _document(session, issuer.issuer.rstrip("/") + path)
        except UnusableAnswerError as reason:
            problem = problem or str(reason)
            continue
        if document.get("issuer") != issuer.issuer:
            raise UnusableAnswerError(f"its document at {path} is of another issuer")
        return document
    raise UnusableAnswerError(problem)


def address_in(document: JsonObject, name: str, issuer: IssuerAddress) -> str:
    """Return an address that the issuer's document names."""
    address = document.get(name)
    if not isinstance(address, str) or not _is_as_safe(address, issuer.issuer):
        raise UnusableAnswerError(f"its discovery document names no https address as {name}")
    return address


def _is_as_safe(address: str, issuer: str) -> bool:
    """Return whether an address is https, or as plain as that of the issuer itself."""
    return address.startswith("https://") or (
        issuer.startswith("http://") and address.startswith("http://")
    )


def _document(session: requests.Session, address: str) -> JsonObject:
    """Return the JSON object at an address, of 1 MB at most."""
    until = time.monotonic() + _ANSWER_SECONDS
    content = b""
    try:
        with session.get(
            address, timeout=_ANSWER_SECONDS, allow_redirects=False, stream=True
        ) as answer:
            if answer.status_code != requests.codes.ok:
                raise UnusableAnswerError(f"{address} answers {answer.status_code}")
            while piece := answer.raw.read1(_PIECE, decode_content=True):
                content += piece
                if len(content) > _MOST_BYTES or time.monotonic() > until:
                    raise UnusableAnswerError(f"{address} sends more than 1 MB, or too slowly")
    except (requests.RequestException, HTTPError, OSError) as problem:
        raise UnusableAnswerError(f"{address} does not answer ({type(problem).__name__})") from None
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UnusableAnswerError(f"{address} does not answer a JSON object")
    return document
