"""Keys of issuers: fetched when needed, renewed, and asked for no more than is decent."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.services.intake import issuer_keys
from jobprov.provenance.services.intake.issuer_keys import (
    LONGEST_PAUSE,
    PAUSE_AFTER_ANSWER,
    RENEWED_SECONDS,
    WORTHLESS_SECONDS,
    IssuerKeys,
)
from jobprov.provenance.services.intake.issuers import Allowance, Issuer
from jobprov.provenance.services.intake.tokens import Scope
from tests.library.servers.token_issuer import AUDIENCE, DISCOVERY, KEYS, TokenIssuer, token_issuer

OAUTH = "/.well-known/oauth-authorization-server"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys_of(clock: Clock) -> Callable[..., IssuerKeys]:
    def make(url: str, **more: Any) -> IssuerKeys:
        allow = [Allowance(scope="compute.create", may=[Scope.RECORD])]
        return IssuerKeys(Issuer(issuer=url, audience=[AUDIENCE], allow=allow, **more), clock)

    return make


def wait_for_fetches() -> None:
    """Wait until no fetch is under way in the background."""
    for thread in threading.enumerate():
        if "_fetch_now" in thread.name:
            thread.join()


def test_keys_are_found_by_either_discovery_document_or_by_address(
    issuer: TokenIssuer, keys_of: Callable[..., IssuerKeys]
) -> None:
    assert keys_of(issuer.url).find("first") is not None
    issuer.documents[OAUTH] = issuer.documents.pop(DISCOVERY)
    assert keys_of(issuer.url).find("first") is not None
    del issuer.documents[OAUTH]
    assert keys_of(issuer.url, jwks=issuer.url + KEYS).find("first") is not None


@pytest.mark.parametrize(
    ("path", "document", "words"),
    [
        (DISCOVERY, {"issuer": "https://x.example.org", "jwks_uri": "y"}, "of another issuer"),
        (DISCOVERY, {"jwks_uri": "y"}, "of another issuer"),
        (DISCOVERY, None, "answers 404"),
        (DISCOVERY, [], "not answer a JSON object"),
        (KEYS, {}, "none of its keys"),
        (KEYS, {"keys": [{"kty": "oct", "k": "AAAA", "kid": "first"}, 7]}, "none of its keys"),
        (KEYS, {"keys": "x" * 2_000_000}, "more than 1 MB"),
    ],
    ids=["issuer", "no issuer", "missing", "list", "empty", "secret", "large"],
)
def test_answer_that_cannot_be_used_is_named(
    issuer: TokenIssuer,
    keys_of: Callable[..., IssuerKeys],
    path: str,
    document: Any,
    words: str,
) -> None:
    issuer.documents[path] = document

    with pytest.raises(UnreachableError, match=words):
        keys_of(issuer.url).find("first")


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://x/keys", 7, None])
def test_keys_are_fetched_from_no_other_kind_of_address(
    issuer: TokenIssuer, keys_of: Callable[..., IssuerKeys], address: Any
) -> None:
    issuer.documents[DISCOVERY]["jwks_uri"] = address

    with pytest.raises(UnreachableError, match="names no https address"):
        keys_of(issuer.url).find("first")


def test_keys_for_encryption_and_of_other_algorithms_are_left_out(
    issuer: TokenIssuer, keys_of: Callable[..., IssuerKeys]
) -> None:
    listed = issuer.documents[KEYS]["keys"]
    listed.append({**listed[0], "kid": "secret", "use": "enc"})
    listed.append({"kty": "oct", "k": "AAAA", "kid": "shared", "alg": "HS256"})
    keys = keys_of(issuer.url)

    assert keys.find("secret") is None
    assert keys.find("shared") is None
    assert keys.find("first") is not None


def test_token_without_key_id_is_checked_by_the_only_key(
    issuer: TokenIssuer, keys_of: Callable[..., IssuerKeys]
) -> None:
    assert keys_of(issuer.url).find(None) is not None
    issuer.add_key("second")
    assert keys_of(issuer.url).find(None) is None


def test_new_key_is_found_a_minute_after_the_last_answer(
    issuer: TokenIssuer, keys_of: Callable[..., IssuerKeys], clock: Clock
) -> None:
    keys = keys_of(issuer.url)
    assert keys.find("first") is not None
    issuer.add_key("second")

    assert keys.find("second") is None
    assert keys.find("second") is None
    assert issuer.count(KEYS) == 1

    clock.now += PAUSE_AFTER_ANSWER
    assert keys.find("second") is not None
    assert issuer.count(KEYS) == 2


def test_keys_are_renewed_in_the_background_each_hour(
    issuer: TokenIssuer, keys_of: Callable[..., IssuerKeys], clock: Clock
) -> None:
    keys = keys_of(issuer.url)
    assert keys.find("first") is not None
    issuer.documents[KEYS]["keys"].clear()
    issuer.add_key("second")

    clock.now += RENEWED_SECONDS
    assert keys.find("first") is not None, "the request did not wait"
    wait_for_fetches()

    assert keys.find("first") is None
    assert keys.find("second") is not None


def test_known_keys_outlast_an_issuer_that_is_down_for_a_day(
    issuer: TokenIssuer, keys_of: Callable[..., IssuerKeys], clock: Clock
) -> None:
    keys = keys_of(issuer.url)
    assert keys.find("first") is not None
    del issuer.documents[KEYS]

    clock.now += WORTHLESS_SECONDS - 1
    assert keys.find("first") is not None
    wait_for_fetches()
    clock.now += LONGEST_PAUSE
    with pytest.raises(UnreachableError, match="answers 404"):
        keys.find("first")


def test_pauses_between_attempts_grow(
    issuer: TokenIssuer, keys_of: Callable[..., IssuerKeys], clock: Clock
) -> None:
    del issuer.documents[DISCOVERY]
    keys = keys_of(issuer.url)
    attempts = []

    for _ in range(2000):
        before = issuer.count(DISCOVERY)
        with pytest.raises(UnreachableError):
            keys.find("first")
        if issuer.count(DISCOVERY) > before:
            attempts.append(clock.now)
        clock.now += 1.0

    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert pauses[:8] == [5, 10, 20, 40, 80, 160, 320, 600]


def test_issuer_that_does_not_answer_holds_no_request(
    issuer: TokenIssuer,
    keys_of: Callable[..., IssuerKeys],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(issuer_keys, "_PATIENCE_SECONDS", 0.05)
    issuer.pause = 0.2
    keys = keys_of(issuer.url)

    with pytest.raises(UnreachableError, match="not answered yet"):
        keys.find("first")
    clock.now += 0.1
    with pytest.raises(UnreachableError, match="not answered yet"):
        keys.find("first")

    wait_for_fetches()
    assert issuer.asked == [DISCOVERY, KEYS]
    assert keys.find("first") is not None


def test_nothing_listens_at_the_address(keys_of: Callable[..., IssuerKeys]) -> None:
    with pytest.raises(UnreachableError, match="does not answer"):
        keys_of("http://127.0.0.1:9").find("first")
