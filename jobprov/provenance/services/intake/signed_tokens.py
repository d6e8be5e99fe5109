"""Reads the claims of a JWT that an issuer signed, and refuses everything else.

The signature is checked before the claims, so that nobody can find out by trial what a service
expects; only for a token with a valid signature do errors name the claim that is wrong. RS256 and
ES256 alone are accepted, with a key that the issuer lists: hints in the token about keys are
ignored. Sources: RFC 7519 and 8725.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import jwt

from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.services.intake.issuer_keys import ALGORITHMS, IssuerKeys
from jobprov.provenance.services.intake.issuers import Claimed
from jobprov.provenance.services.intake.tokens import WrongTokenError

LEEWAY_SECONDS = 60
_MOST_BYTES = 16_384
_SHOWN = 200
_REQUIRED = ("sub", "aud", "exp")
_NOT_READABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError)


class UncheckedToken(NamedTuple):
    """The claims of a token, before anything of it was checked."""

    token: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @classmethod
    def of(cls, token: str) -> "UncheckedToken":
        """Return the parts of a token.

        Raises:
            WrongTokenError: it is no JWT, or too long.
        """
        if len(token) > _MOST_BYTES:
            raise WrongTokenError(f"The token is longer than {_MOST_BYTES} bytes.")
        try:
            parts = jwt.decode_complete(token, options={"verify_signature": False})
        except _NOT_READABLE:
            raise WrongTokenError(
                "The token has the form of a JWT, but cannot be read as one."
            ) from None
        return cls(token, parts["header"], parts["payload"])


def checked_claims(
    unchecked: UncheckedToken,
    keys: IssuerKeys,
    issuer: str,
    audiences: Sequence[str],
    *,
    required: Sequence[str] = _REQUIRED,
) -> JsonObject:
    """Return the claims of a token whose signature, issuer, times and audience are right.

    Args:
        keys: those of its issuer.
        issuer: has to have made it.
        audiences: it has to be for one of them.
        required: the claims that it has to have.

    Raises:
        WrongTokenError: they are not; the message names the claim.
        UnreachableError: the keys of its issuer cannot be fetched.
    """
    key = _signing_key(unchecked.header, keys, issuer)
    try:
        return jwt.decode(
            unchecked.token,
            key,
            algorithms=list(ALGORITHMS),
            audience=list(audiences),
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(required), "enforce_minimum_key_length": True},
        )
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
        problem = "The signature of the token is not that of its issuer's key."
    except jwt.InvalidKeyError:
        problem = "kid: the issuer's key is too short to be taken."
    except jwt.ExpiredSignatureError:
        problem = f"exp: the token has ended{_moment(unchecked.claims, 'exp')}; get a new one."
    except jwt.ImmatureSignatureError as reason:
        claim = "iat" if "iat" in str(reason) else "nbf"
        problem = (
            f"{claim}: the token is good only from later on{_moment(unchecked.claims, claim)}."
        )
    except jwt.MissingRequiredClaimError as reason:
        problem = f"{reason.claim}: the token lacks this claim."
    except jwt.InvalidAudienceError:
        problem = (
            f"aud: the token is for another service; here it has to be {' or '.join(audiences)}."
        )
    except _NOT_READABLE as reason:
        problem = f"The token's claims are not as they should be: {plain(str(reason))[:_SHOWN]}"
    raise WrongTokenError(problem)


def _signing_key(header: Mapping[str, Any], keys: IssuerKeys, issuer: str) -> jwt.PyJWK:
    """Return the key that has to have signed a token with this header."""
    if header.get("alg") not in ALGORITHMS:
        raise WrongTokenError(
            f"alg: the token is signed with {shown(header.get('alg'))}, and only "
            f"{' and '.join(ALGORITHMS)} are taken."
        )
    key = keys.find(header.get("kid"))
    if key is None:
        raise WrongTokenError(
            f"kid: {issuer} lists no key {shown(header.get('kid'))} that signs tokens."
        )
    return key


def _moment(claims: Mapping[str, Any], claim: str) -> str:
    """Return when a token ended or begins, for a sentence; nothing if that cannot be told."""
    try:
        moment = datetime.fromtimestamp(int(claims[claim]), UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return ""
    return f" ({moment.isoformat()})"


def claimed_by(claims: Mapping[str, Any], groups_claim: str) -> Claimed:
    """Return the claims of a token about its holder.

    Raises:
        WrongTokenError: its subject cannot be printed.
    """
    subject = claims["sub"]
    if not subject.isprintable() or not subject.strip():
        raise WrongTokenError("sub: the token's subject is not printable.")
    return Claimed(subject, words_of(claims.get("scope")), words_of(claims.get(groups_claim)))


def words_of(claim: Any) -> frozenset[str]:
    """Return the words of a claim: a list, or a text with spaces between them."""
    if isinstance(claim, str):
        return frozenset(claim.split())
    if isinstance(claim, list):
        return frozenset(word for word in claim if isinstance(word, str))
    return frozenset()


def plain(text: str) -> str:
    """Return a text that can be sent and logged: JSON may hold lone surrogates or line breaks."""
    return ascii(text)[1:-1]


def shown(value: Any) -> str:
    """Return a claim for a sentence, cut short: a sender can write anything into it."""
    return "(none)" if value is None else ascii(value)[:_SHOWN]
