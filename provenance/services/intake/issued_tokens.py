"""Tokens that an experiment's issuer signed: SciTokens and WLCG tokens, which are JWTs.

Nothing of them is kept. The signature is checked before the claims, so that nobody can try out what
a service expects; what a sound token then lacks is said by the name of the claim. Only RS256 and
ES256 are taken, with a key that the issuer lists, whatever the token says of keys. Sources: RFC 7519
and 8725; WLCG Common JWT Profiles 1.0; SciTokens Claims and Scopes Language.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import jwt

from jobprov.provenance.errors import ForbiddenError
from jobprov.provenance.services.intake.issuer_keys import ALGORITHMS, IssuerKeys
from jobprov.provenance.services.intake.issuers import Claimed, ExperimentIssuer
from jobprov.provenance.services.intake.tokens import Grant, Scope, WrongTokenError

LEEWAY_SECONDS = 60
_MOST_BYTES = 16_384
_SHOWN = 200
_MOST_SUBMITTER = 200
_CHECKS: Any = {"require": ["sub", "aud", "exp"], "enforce_minimum_key_length": True}
_NOT_READABLE = (jwt.PyJWTError, ValueError, TypeError)


class IssuedTokens:
    """Checks tokens of the issuers that an operator named; thread-safe."""

    def __init__(self, issuers: Sequence[ExperimentIssuer]) -> None:
        self._issuers: dict[str, list[ExperimentIssuer]] = {}
        for one in issuers:
            self._issuers.setdefault(one.issuer.issuer, []).append(one)
        self._keys: dict[str, IssuerKeys] = {}
        for name, tables in self._issuers.items():
            self._keys[name] = IssuerKeys(tables[0].issuer)

    def grant(self, token: str) -> Grant:
        """Return what a token allows.

        Raises:
            WrongTokenError: it is worth nothing here; the message names the claim.
            ForbiddenError: it is sound, but allows nothing here, or things of several experiments.
            UnreachableError: the keys of its issuer cannot be fetched.
        """
        if len(token) > _MOST_BYTES:
            raise WrongTokenError(f"The token is longer than {_MOST_BYTES} bytes.")
        issuer, key = self._signed_with(token)
        tables = self._issuers[issuer]
        claims = _read(token, key, tables)
        experiment, claimed, scopes = _allowed(claims, tables)
        submitter = f"issued {claimed.subject} of {issuer}"[:_MOST_SUBMITTER]
        return Grant(experiment, submitter, scopes=scopes, is_issued=True)

    def _signed_with(self, token: str) -> tuple[str, jwt.PyJWK]:
        """Return whose token it says it is, and the key that has to have signed it then."""
        try:
            unchecked = jwt.decode_complete(token, options={"verify_signature": False})
        except _NOT_READABLE:
            raise WrongTokenError("The token has the form of a JWT, and is none.") from None
        issuer, header = unchecked["payload"].get("iss"), unchecked["header"]
        if not isinstance(issuer, str) or issuer not in self._issuers:
            raise WrongTokenError(
                f"iss: the token is of {_shown(issuer)}, whose tokens this service does not take."
            )
        if header.get("alg") not in ALGORITHMS:
            raise WrongTokenError(
                f"alg: the token is signed with {_shown(header.get('alg'))}, and only "
                f"{' and '.join(ALGORITHMS)} are taken."
            )
        key = self._keys[issuer].find(header.get("kid"))
        if key is None:
            raise WrongTokenError(
                f"kid: {issuer} lists no key {_shown(header.get('kid'))} that signs tokens."
            )
        return issuer, key


def _read(token: str, key: jwt.PyJWK, tables: Sequence[ExperimentIssuer]) -> dict[str, Any]:
    """Return the claims of a token whose signature, times and audience are right."""
    audiences: list[str] = []
    for table in tables:
        audiences += table.issuer.audience
    try:
        return jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=audiences,
            issuer=tables[0].issuer.issuer,
            leeway=LEEWAY_SECONDS,
            options=_CHECKS,
        )
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
        problem = "The signature of the token is not that of its issuer's key."
    except jwt.InvalidKeyError:
        problem = "kid: the issuer's key is too short to be taken."
    except jwt.ExpiredSignatureError:
        problem = f"exp: the token has ended{_moment(token, 'exp')}; get a new one."
    except jwt.ImmatureSignatureError as reason:
        claim = "iat" if "iat" in str(reason) else "nbf"
        problem = f"{claim}: the token is good only from later on{_moment(token, claim)}."
    except jwt.MissingRequiredClaimError as reason:
        problem = f"{reason.claim}: the token lacks this claim."
    except jwt.InvalidAudienceError:
        problem = (
            f"aud: the token is for another service; here it has to be {' or '.join(audiences)}."
        )
    except _NOT_READABLE as reason:
        problem = f"The token's claims are not as they should be: {_plain(str(reason))[:_SHOWN]}"
    raise WrongTokenError(problem)


def _moment(token: str, claim: str) -> str:
    """Return when a token ended or begins, for a sentence; nothing if that cannot be told."""
    claims = jwt.decode(token, options={"verify_signature": False})
    try:
        moment = datetime.fromtimestamp(int(claims[claim]), UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return ""
    return f" ({moment.isoformat()})"


def _allowed(
    claims: Mapping[str, Any], tables: Sequence[ExperimentIssuer]
) -> tuple[str, Claimed, frozenset[Scope]]:
    """Return the experiment that a token is of, what it says of its holder, and what it allows."""
    audience = claims["aud"]
    named = {audience} if isinstance(audience, str) else set(audience)
    found: list[tuple[str, Claimed, frozenset[Scope]]] = []
    for table in tables:
        if named.isdisjoint(table.issuer.audience):
            continue
        claimed = _claimed(claims, table.issuer.groups_claim)
        scopes: set[Scope] = set()
        for allowance in table.issuer.allow:
            if allowance.holds(claimed):
                scopes.update(allowance.may)
        if scopes:
            found.append((table.experiment, claimed, frozenset(scopes)))
    if len(found) == 1:
        return found[0]
    if found:
        experiments = ", ".join(experiment for experiment, _, _ in found)
        raise ForbiddenError(
            f"The token is good for several experiments ({experiments}), and it cannot be told "
            "which is meant: get one with the scopes or groups of one of them."
        )
    raise ForbiddenError(_lack(claims, tables))


def _claimed(claims: Mapping[str, Any], groups_claim: str) -> Claimed:
    subject = claims["sub"]
    if not subject.isprintable() or not subject.strip():
        raise WrongTokenError("sub: the token's subject is not printable.")
    return Claimed(subject, _words(claims.get("scope")), _words(claims.get(groups_claim)))


def _words(claim: Any) -> frozenset[str]:
    """Return the words of a claim: a list, or a text with spaces between them."""
    if isinstance(claim, str):
        return frozenset(claim.split())
    if isinstance(claim, list):
        return frozenset(word for word in claim if isinstance(word, str))
    return frozenset()


def _lack(claims: Mapping[str, Any], tables: Sequence[ExperimentIssuer]) -> str:
    """Return why a token allows nothing: what it has, and that no row of the table names it."""
    groups_claim = tables[0].issuer.groups_claim
    has = []
    for claim in ("scope", groups_claim):
        words = " ".join(sorted(_words(claims.get(claim)))) or "none"
        has.append(f"{claim}: {_plain(words)[:_SHOWN]}")
    return (
        f"The token is sound, but nothing is allowed to what it has ({'; '.join(has)}); the operator "
        "of this service knows which scopes and groups count (JOBPROV_TOKEN_ISSUERS)."
    )


def _plain(text: str) -> str:
    """Return a text that can be sent and logged: JSON may hold halves of letters, or a line break."""
    return ascii(text)[1:-1]


def _shown(value: Any) -> str:
    """Return what a token says, for a sentence: it may say anything, at any length."""
    return "(none)" if value is None else ascii(value)[:_SHOWN]
