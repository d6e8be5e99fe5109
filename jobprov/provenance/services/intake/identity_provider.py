"""Login by a provider of OpenID Connect: authorization code with PKCE.

Authlib makes the question and exchanges the code. The ID token that comes for it is checked by the
code that checks issued tokens (`signed_tokens`): signature, issuer, audience, times. The service
keeps nothing of it, and the access token beside it is not used. Sources: OpenID Connect Core 1.0,
sections 3.1.2 and 3.1.3.7; OpenID Connect RP-Initiated Logout 1.0; RFC 7636; RFC 9207.
"""

import hmac
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import requests
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.services.intake.issuer_keys import (
    IssuerKeys,
    UnusableAnswerError,
    address_in,
    discovered_addresses,
)
from jobprov.provenance.services.intake.logins import (
    Identity,
    LoggedIn,
    LoginAttempt,
    Provider,
    checked_identity,
    client_secret,
)
from jobprov.provenance.services.intake.logout_tokens import ProviderLogout, checked_logout
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
_END = "end_session_endpoint"
_log = logging.getLogger("jobprov.tokens")


class Addresses(NamedTuple):
    """Where a provider logs people in and out and exchanges codes, and how it wants the secret.

    Attributes:
        logout: None where it does not say how people log out.
    """

    login: str
    token: str
    logout: str | None
    secret_by: str
    fetched_at: float


class IdentityProvider:
    """Asks a provider who somebody is; thread-safe.

    Args:
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

    def begin(self, attempt: LoginAttempt, come_back: str) -> str:
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

    def finish(self, attempt: LoginAttempt, answer: Mapping[str, str], come_back: str) -> LoggedIn:
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
        token = self._exchange(attempt, answer["code"], come_back)
        claims = checked_claims(
            UncheckedToken.of(token), self._keys, issuer, [self._provider.client_id]
        )
        _check_meant(claims, attempt, self._provider.client_id)
        claimed = claimed_by(claims, self._provider.groups_claim)
        name = claims.get(self._provider.name_claim)
        groups = self._groups.intersection(claimed.groups)
        shown_name = name if isinstance(name, str) else ""
        identity = checked_identity(Identity(issuer, claimed.subject, shown_name, groups))
        session_id = claims.get("sid")
        return LoggedIn(
            identity,
            token,
            int(claims["iat"]),
            session_id if isinstance(session_id, str) else None,
        )

    def logged_out(self, token: str) -> ProviderLogout:
        """Return whose session at the provider is over, as its logout token says.

        Raises:
            WrongTokenError: it is none of this provider, or not for this service.
            UnreachableError: the provider does not answer.
        """
        return checked_logout(token, self._keys, self._provider.issuer, self._provider.client_id)

    def log_out_address(self, id_token: str | None, come_back: str) -> str | None:
        """Return where somebody who logged out here logs out too; None where that is not wanted.

        Args:
            id_token: of their login, by which the provider knows what to end; without it, it asks.
            come_back: where it sends them then.

        Raises:
            UnreachableError: the provider does not answer, or does not log people out.
        """
        if not self._provider.log_out_there:
            return None
        address = self._known_addresses().logout
        if address is None:
            raise _unreachable(self._provider.issuer, "it names no end_session_endpoint")
        query = [
            ("client_id", self._provider.client_id),
            ("post_logout_redirect_uri", come_back),
        ]
        if id_token:
            query.append(("id_token_hint", id_token))
        return str(add_params_to_uri(address, query))

    @property
    def logs_out_there(self) -> bool:
        """Whether who logs out here is sent to the provider."""
        return self._provider.log_out_there

    @property
    def issuer(self) -> str:
        """The address of the provider."""
        return self._provider.issuer

    def _exchange(self, attempt: LoginAttempt, code: str, come_back: str) -> str:
        """Return the ID token that the provider gives for a code; nothing of it is checked yet."""
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
        except requests.HTTPError as reason:
            status = reason.response.status_code
            raise _unreachable(
                issuer, f"it answered {status} when it was asked for a token"
            ) from None
        except (requests.RequestException, ValueError) as reason:
            raise _unreachable(issuer, type(reason).__name__) from None
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise WrongTokenError(f"{issuer} sent no ID token.")
        return token

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
        self._addresses = Addresses(
            found[0], found[1], self._logout_of(document), self._secret_by(document), now
        )

    def _logout_of(self, document: JsonObject) -> str | None:
        """Return where people log out, if that is wanted and safe; logins go on without it."""
        if not self._provider.log_out_there:
            return None
        try:
            return address_in(document, _END, self._provider)
        except UnusableAnswerError as reason:
            _log.warning("Nobody can log out at %s: %s", self._provider.issuer, reason)
            return None

    def _secret_by(self, document: Mapping[str, Any]) -> str:
        """Return how the secret is sent: as HTTP's password, unless the provider lacks that."""
        if self._secret is None:
            return "none"
        listed = document.get("token_endpoint_auth_methods_supported")
        if isinstance(listed, list) and "client_secret_basic" not in listed:
            return "client_secret_post"
        return "client_secret_basic"


def _check_meant(claims: Mapping[str, Any], attempt: LoginAttempt, client_id: str) -> None:
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
