"""The provider of OpenID Connect that says who is logged in: authorization code with PKCE.

Authlib makes the question and exchanges the code. The ID token that comes for it is checked by the
code that checks issued tokens (`signed_tokens`): signature, issuer, audience, times. Nothing of it is
kept, and the access token beside it is not used. Sources: OpenID Connect Core 1.0, sections 3.1.2 and
3.1.3.7; RFC 7636; RFC 9207.
"""

import hmac
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.services.intake.issuer_keys import (
    IssuerKeys,
    UnusableAnswerError,
    discovered_addresses,
)
from jobprov.provenance.services.intake.logins import (
    Attempt,
    Identity,
    Provider,
    checked_identity,
    client_secret,
)
from jobprov.provenance.services.intake.signed_tokens import (
    UncheckedToken,
    checked_claims,
    claimed_by,
    plain,
)
from jobprov.provenance.services.intake.tokens import WrongTokenError

_RENEWED_SECONDS = 3600.0
_PAUSE_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
_PATIENCE_SECONDS = 2.0
_SHOWN = 200
_log = logging.getLogger("jobprov.tokens")


class Addresses(NamedTuple):
    """Where a provider logs people in and exchanges codes, and how it wants the secret."""

    login: str
    token: str
    secret_by: str
    fetched_at: float


class IdentityProvider:
    """Asks a provider who somebody is; thread-safe.

    Args:
        provider: the provider.
        groups: those groups of people that a role depends on; others are forgotten.
        clock: seconds that only grow.

    Raises:
        BadInputError: the file with the secret cannot be read.
    """

    def __init__(
        self,
        provider: Provider,
        groups: frozenset[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider, self._groups, self._clock = provider, groups, clock
        self._secret = client_secret(provider)
        self._keys = IssuerKeys(provider)
        self._lock = threading.Lock()
        self._addresses: Addresses | None = None
        self._not_before = float("-inf")
        self._problem = ""

    def begin(self, attempt: Attempt, come_back: str) -> str:
        """Return the address at which somebody logs in, and is then sent to `come_back`.

        Raises:
            UnreachableError: the provider does not answer.
        """
        addresses = self._known_addresses()
        with self._client(addresses, come_back) as client:
            url, _ = client.create_authorization_url(
                addresses.login,
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(url)

    def finish(self, attempt: Attempt, answer: Mapping[str, str], come_back: str) -> Identity:
        """Return who logged in.

        Args:
            attempt: the one whose state is in the answer.
            answer: the query with which the provider sent them back.
            come_back: as it was given to `begin`.

        Raises:
            WrongTokenError: the provider refused them, or its answer is not what it has to be.
            UnreachableError: the provider does not answer.
        """
        issuer = self._provider.issuer
        if answer.get("iss", issuer) != issuer:
            raise WrongTokenError("iss: the answer is of another provider.")
        if "error" in answer or not answer.get("code"):
            reason = answer.get("error_description") or answer.get("error") or "no code came"
            raise WrongTokenError(f"{issuer} did not log you in: {plain(reason)[:_SHOWN]}.")
        claims = self._exchange(attempt, answer["code"], come_back)
        _check_meant(claims, attempt, self._provider.client_id)
        claimed = claimed_by(claims, self._provider.groups_claim)
        name = claims.get(self._provider.name_claim)
        groups = self._groups.intersection(claimed.groups)
        shown_name = name if isinstance(name, str) else ""
        return checked_identity(Identity(issuer, claimed.subject, shown_name, groups))

    def _exchange(self, attempt: Attempt, code: str, come_back: str) -> dict[str, Any]:
        """Return the claims of the ID token that the provider gives for a code."""
        addresses, issuer = self._known_addresses(), self._provider.issuer
        try:
            with self._client(addresses, come_back) as client:
                answer = client.fetch_token(
                    addresses.token,
                    code=code,
                    code_verifier=attempt.verifier,
                    allow_redirects=False,
                )
        except OAuthError as reason:
            raise WrongTokenError(
                f"{issuer} did not take the code: {plain(str(reason))[:_SHOWN]}."
            ) from None
        except (requests.RequestException, ValueError) as reason:
            raise _unreachable(issuer, type(reason).__name__) from None
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise WrongTokenError(f"{issuer} sent no ID token.")
        unchecked = UncheckedToken.of(token)
        return checked_claims(unchecked, self._keys, issuer, [self._provider.client_id])

    def _client(self, addresses: Addresses, come_back: str) -> OAuth2Session:
        client = OAuth2Session(
            self._provider.client_id,
            self._secret,
            token_endpoint_auth_method=addresses.secret_by,
            scope=" ".join(self._provider.scopes),
            redirect_uri=come_back,
            code_challenge_method="S256",
            default_timeout=_ANSWER_SECONDS,
        )
        client.trust_env = False  # a .netrc has nothing to do with it
        client.verify = self._provider.ca or True
        return client

    def _known_addresses(self) -> Addresses:
        """Return where the provider's parts are, asked anew each hour.

        One thread asks; others wait a little, so that a provider that is away keeps no more of them
        busy.
        """
        issuer = self._provider.issuer
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            raise _unreachable(issuer, "it has not answered yet")
        try:
            now, known = self._clock(), self._addresses
            if known is not None and now - known.fetched_at < _RENEWED_SECONDS:
                return known
            if now >= self._not_before:
                self._not_before = now + _PAUSE_SECONDS
                self._fetch_addresses(now)
            if self._addresses is None:
                raise _unreachable(issuer, self._problem)
            return self._addresses
        finally:
            self._lock.release()

    def _fetch_addresses(self, now: float) -> None:
        """Have the addresses fetched; where that fails, those that are known stay."""
        try:
            document, found = discovered_addresses(
                self._provider, "authorization_endpoint", "token_endpoint"
            )
        except UnusableAnswerError as reason:
            self._problem = str(reason)
            _log.warning("The provider %s cannot be asked: %s", self._provider.issuer, reason)
            return
        self._addresses = Addresses(found[0], found[1], self._secret_by(document), now)

    def _secret_by(self, document: Mapping[str, Any]) -> str:
        """Return how the secret is sent: as HTTP's password, unless the provider lacks that."""
        if self._secret is None:
            return "none"
        listed = document.get("token_endpoint_auth_methods_supported")
        if isinstance(listed, list) and "client_secret_basic" not in listed:
            return "client_secret_post"
        return "client_secret_basic"


def _check_meant(claims: Mapping[str, Any], attempt: Attempt, client_id: str) -> None:
    """Check that an ID token was made for this attempt, and for this service.

    Raises:
        WrongTokenError: it was not.
    """
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(errors="replace"), attempt.nonce.encode()
    ):
        raise WrongTokenError("nonce: the ID token was made for another login.")
    if "iat" not in claims:
        raise WrongTokenError("iat: the ID token lacks this claim.")
    audience = claims["aud"]
    is_shared = isinstance(audience, list) and len(audience) > 1
    if claims.get("azp", None if is_shared else client_id) != client_id:
        raise WrongTokenError("azp: the ID token was made for another service.")


def _unreachable(issuer: str, reason: str) -> UnreachableError:
    return UnreachableError(f"Nobody can log in now: {issuer}: {reason}. Try again in a moment.")
