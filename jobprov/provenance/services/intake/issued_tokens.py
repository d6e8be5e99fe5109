"""Tokens that an experiment's issuer signed: SciTokens and WLCG tokens, which are JWTs.

Nothing of them is kept. How they are checked is in `signed_tokens`, what they allow in the file that
`issuers` reads. Sources: WLCG Common JWT Profiles 1.0; SciTokens Claims and Scopes Language.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobprov.provenance.errors import ForbiddenError
from jobprov.provenance.services.intake.issuer_keys import IssuerKeys
from jobprov.provenance.services.intake.issuers import Claimed, ExperimentIssuer
from jobprov.provenance.services.intake.signed_tokens import (
    UncheckedToken,
    checked_claims,
    claimed_by,
    plain,
    shown,
    words_of,
)
from jobprov.provenance.services.intake.tokens import Grant, Scope, WrongTokenError

_SHOWN = 200
_MOST_SUBMITTER = 200


class IssuedTokens:
    """Checks tokens of the issuers that an operator named; thread-safe."""

    def __init__(self, issuers: Sequence[ExperimentIssuer]) -> None:
        self._issuers: dict[str, list[ExperimentIssuer]] = {}
        for table in issuers:
            self._issuers.setdefault(table.issuer.issuer, []).append(table)
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
        unchecked = UncheckedToken.of(token)
        issuer = unchecked.claims.get("iss")
        if not isinstance(issuer, str) or issuer not in self._issuers:
            raise WrongTokenError(
                f"iss: the token is of {shown(issuer)}, whose tokens this service does not take."
            )
        tables = self._issuers[issuer]
        audiences: list[str] = []
        for table in tables:
            audiences += table.issuer.audience
        claims = checked_claims(unchecked, self._keys[issuer], issuer, audiences)
        allowed = _allowed(claims, tables)
        submitter = f"issued {allowed.holder.subject} of {issuer}"[:_MOST_SUBMITTER]
        return Grant(allowed.experiment, submitter, scopes=allowed.scopes, is_issued=True)


class _Allowed(NamedTuple):
    """What a token allows its holder in an experiment."""

    experiment: str
    holder: Claimed
    scopes: frozenset[Scope]


def _allowed(claims: Mapping[str, Any], tables: Sequence[ExperimentIssuer]) -> _Allowed:
    """Return what a token allows.

    Raises:
        ForbiddenError: it allows nothing, or something in several experiments.
    """
    audience = claims["aud"]
    audiences = {audience} if isinstance(audience, str) else set(audience)
    allowed: list[_Allowed] = []
    for table in tables:
        if audiences.isdisjoint(table.issuer.audience):
            continue
        holder = claimed_by(claims, table.issuer.groups_claim)
        scopes: set[Scope] = set()
        for allowance in table.issuer.allow:
            if allowance.holds(holder):
                scopes.update(allowance.may)
        if scopes:
            allowed.append(_Allowed(table.experiment, holder, frozenset(scopes)))
    if len(allowed) == 1:
        return allowed[0]
    if allowed:
        experiments = ", ".join(granted.experiment for granted in allowed)
        raise ForbiddenError(
            f"The token is good for several experiments ({experiments}), and it cannot be told "
            "which is meant: get one with the scopes or groups of one of them."
        )
    raise ForbiddenError(_lack(claims, tables))


def _lack(claims: Mapping[str, Any], tables: Sequence[ExperimentIssuer]) -> str:
    """Return why a token allows nothing: what it claims, which no row of the table names."""
    groups_claim = tables[0].issuer.groups_claim
    has = []
    for claim in ("scope", groups_claim):
        words = " ".join(sorted(words_of(claims.get(claim)))) or "none"
        has.append(f"{claim}: {plain(words)[:_SHOWN]}")
    return (
        f"The token is sound, but nothing is allowed to what it has ({'; '.join(has)}); the operator "
        "of this service knows which scopes and groups count (JOBPROV_TOKEN_ISSUERS)."
    )
