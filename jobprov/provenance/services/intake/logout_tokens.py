"""What a provider of logins sends when somebody's session there is over: a logout token.

It is checked as an ID token is (`signed_tokens`), and told from one: it says which event it is
about, and has no nonce. Source: OpenID Connect Back-Channel Logout 1.0, sections 2.4 to 2.6.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from jobprov.provenance.services.intake.issuer_keys import IssuerKeys
from jobprov.provenance.services.intake.signed_tokens import UncheckedToken, checked_claims, shown
from jobprov.provenance.services.intake.tokens import WrongTokenError

MOST_AGE_SECONDS = 3600
"""Older tokens are refused, whatever their `exp`: for so long at least their ids are known."""
_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_REQUIRED = ("iss", "aud", "iat", "exp", "jti", "events")
_TYPES = ("jwt", "logout+jwt")
_MOST_ID = 1000


class ProviderLogout(NamedTuple):
    """Somebody's session at the provider is over, or all of theirs.

    Attributes:
        token_id: of the token that says so, which counts once.
        issued_at: when the provider made it, in seconds of its clock.
        issuer: the address of the provider.
        subject: whose; None where only the session is named.
        session_id: which session, as ID tokens name it in `sid`; None for all of theirs.
    """

    token_id: str
    issued_at: int
    issuer: str
    subject: str | None
    session_id: str | None


def checked_logout(token: str, keys: IssuerKeys, issuer: str, client_id: str) -> ProviderLogout:
    """Return whose session a logout token ends, if it is one and made for this service.

    Raises:
        WrongTokenError: it is not; the message names the claim.
        UnreachableError: the keys of the provider cannot be fetched.
    """
    unchecked = UncheckedToken.of(token)
    claims = checked_claims(unchecked, keys, issuer, [client_id], required=_REQUIRED)
    _check_type(unchecked.header.get("typ"))
    _check_event(claims)
    issued_at = int(claims["iat"])
    if time.time() - issued_at > MOST_AGE_SECONDS:
        raise WrongTokenError(f"iat: the token is older than {MOST_AGE_SECONDS} s.")
    token_id = _name_in(claims, "jti")
    subject, session_id = _name_in(claims, "sub"), _name_in(claims, "sid")
    if token_id is None:
        raise WrongTokenError("jti: the token has no id.")
    if subject is None and session_id is None:
        raise WrongTokenError("sub: the token names neither a person (sub) nor a session (sid).")
    return ProviderLogout(token_id, issued_at, issuer, subject, session_id)


def _check_type(kind: Any) -> None:
    """Check that a token's header names no other type; it may name none.

    Raises:
        WrongTokenError: it does.
    """
    if kind is None:
        return
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise WrongTokenError(f"typ: {shown(kind)} is no logout token.")


def _check_event(claims: Mapping[str, Any]) -> None:
    """Check that a token is about a logout.

    Raises:
        WrongTokenError: it is not.
    """
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise WrongTokenError("events: the token is not about a logout.")
    if "nonce" in claims:
        # Else an ID token that was stolen could pass for one
        raise WrongTokenError("nonce: a logout token has none.")


def _name_in(claims: Mapping[str, Any], claim: str) -> str | None:
    """Return a name that a claim gives, None where there is no such claim."""
    name = claims.get(claim)
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= _MOST_ID:
        raise WrongTokenError(f"{claim}: it is no text of 1 to {_MOST_ID} characters.")
    return name
