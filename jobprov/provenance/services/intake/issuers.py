"""Who may issue tokens for an experiment, and what they allow, from an operator's TOML file.

[[dune]]
issuer = "https://cilogon.org/dune"
audience = ["https://wlcg.cern.ch/jwt/v1/any"]

[[dune.allow]]
scope = "compute.create"        # or group, or subject; of several given, all must hold
may = ["record", "read"]
"""

import re
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.documents import (
    check_experiment_name,
    read_document,
    read_toml,
)
from jobprov.provenance.services.intake.tokens import Scope

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Texts = Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=100)]
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ROOT = "/"


class Condition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is asked of somebody to be allowed something; of several given, all must hold.

    Attributes:
        group: a group of theirs, written as the issuer writes it.
        subject: themselves, as the claim `sub` names them.
    """

    group: _Text | None = None
    subject: _Text | None = None

    def holds(self, claimed: "Claimed") -> bool:
        """Return whether somebody is all that is asked for here."""
        if self.group is not None and self.group not in claimed.groups:
            return False
        return self.subject is None or self.subject == claimed.subject


class Allowance(Condition, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a token may do that has a scope, a group or a subject; of several given, all must hold.

    Attributes:
        scope: a word of the token's `scope`, such as `compute.create` or `storage.read:/dune`.
        may: the scopes of jobprov that it gets.
    """

    scope: _Text | None = None
    may: Annotated[list[Scope], msgspec.Meta(min_length=1)]

    def holds(self, claimed: "Claimed") -> bool:
        """Return whether a token has all that is asked for here."""
        if self.scope is not None and not _has_scope(claimed.scopes, self.scope):
            return False
        return Condition.holds(self, claimed)


class IssuerAddress(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where an issuer and its keys are.

    Attributes:
        issuer: its address, which the claim `iss` of its tokens has, letter by letter.
        jwks: the address of its keys; without it, its discovery document names that.
        ca: certificates that its server's is checked by; the system's where none is said.
    """

    issuer: _Text
    jwks: _Text | None = None
    ca: _Text | None = None


class Issuer(IssuerAddress, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An issuer of tokens of one experiment.

    Attributes:
        audience: whom tokens may be for: one of these has to stand in the claim `aud`.
        allow: what its tokens allow.
        groups_claim: the claim with the groups of the token's holder.
    """

    audience: _Texts
    allow: Annotated[list[Allowance], msgspec.Meta(min_length=1, max_length=1000)]
    groups_claim: _Text = "wlcg.groups"


class ExperimentIssuer(msgspec.Struct, frozen=True):
    """An issuer, and the experiment that its tokens are of."""

    experiment: str
    issuer: Issuer


class Claimed(msgspec.Struct, frozen=True):
    """The claims of a token about its holder."""

    subject: str
    scopes: AbstractSet[str]
    groups: AbstractSet[str]


def read_issuers(path: Path | None) -> list[ExperimentIssuer]:
    """Return the issuers that a file names; none where there is no file named.

    Raises:
        BadInputError: the file cannot be read, or a field is wrong; the message names it.
    """
    if path is None:
        return []
    issuers: list[ExperimentIssuer] = []
    for experiment, tables in read_toml(path).items():
        check_experiment_name(experiment)
        for table in tables if isinstance(tables, list) else [tables]:
            issuers.append(ExperimentIssuer(experiment, _read_table(experiment, table, path)))
    if not issuers:
        raise BadInputError(
            f"{path} names no issuer; it needs a table such as [[nova]].", {str(path): ["empty"]}
        )
    _check_together(issuers, path)
    return issuers


def _read_table(experiment: str, table: Any, path: Path) -> Issuer:
    where = f"{path}, [[{experiment}]]"
    if not isinstance(table, dict):
        raise BadInputError(f"{where}: this is no table.", {experiment: ["no table"]})
    try:
        issuer = read_document(table, Issuer, where)
    except BadInputError as problem:
        raise BadInputError(f"{where}: {problem}", problem.fields) from None
    check_address(issuer.issuer, "issuer", where)
    if issuer.jwks is not None:
        check_address(issuer.jwks, "jwks", where)
    for number, allowance in enumerate(issuer.allow):
        if allowance.scope is None and allowance.group is None and allowance.subject is None:
            field = f"allow[{number}]"
            raise BadInputError(
                f"{where}, {field}: it names no scope, group or subject, and would allow "
                f"{', '.join(allowance.may)} to every token of the issuer.",
                {field: ["a scope, a group or a subject"]},
            )
    return issuer


def check_address(address: str, field: str, where: str) -> None:
    """Refuse addresses whose keys somebody on the way could replace."""
    url = urlsplit(address)
    if url.scheme == "https" and url.hostname:
        return
    if url.scheme == "http" and url.hostname in _LOOPBACK:
        return
    raise BadInputError(
        f"{where}: {field} is {address!r}; it has to be an https address.",
        {field: ["an https address"]},
    )


def _check_together(issuers: list[ExperimentIssuer], path: Path) -> None:
    """Refuse tables of one issuer that contradict each other; experiments may share an issuer."""
    seen: set[tuple[str, str]] = set()
    keys_at: dict[str, tuple[str | None, str | None]] = {}
    for table in issuers:
        name, keys = table.issuer.issuer, (table.issuer.jwks, table.issuer.ca)
        if (table.experiment, name) in seen:
            raise BadInputError(
                f"{path}: [[{table.experiment}]] names {name} twice; put what both allow into one "
                "table.",
                {"issuer": ["named twice"]},
            )
        if keys_at.setdefault(name, keys) != keys:
            raise BadInputError(
                f"{path}: jwks and ca of {name} are not the same in all of its tables.",
                {"jwks": ["not the same"], "ca": ["not the same"]},
            )
        seen.add((table.experiment, name))


def _has_scope(scopes: AbstractSet[str], wanted: str) -> bool:
    """Return whether a token's scopes hold the wanted one, or one of a folder above it.

    Source: WLCG Common JWT Profiles 1.0, "Capabilities"; SciTokens, "Claims": authority for a path
    holds for everything below it, and a scope without a path is for `/`.
    """
    name, _, path = wanted.partition(":")
    for scope in scopes:
        own_name, _, own_path = scope.partition(":")
        if own_name == name and _is_within(path or _ROOT, own_path or _ROOT):
            return True
    return False


def _is_within(path: str, folder: str) -> bool:
    """Return whether a path lies in a folder, or is it."""
    parts, above = _parts(path), _parts(folder)
    if ".." in above:
        return False
    return parts[: len(above)] == above


def _parts(path: str) -> list[str]:
    return [part for part in re.split("/+", path) if part not in ("", ".")]
