"""Who may log in on the pages, and what they may do then, from an operator's TOML file.

[provider]
issuer = "https://cilogon.org"
client_id = "cilogon:/client_id/5d3c"
secret_file = "/etc/jobprov/login-secret"

[[allow.nova]]
group = "/nova/production"      # or subject; of both given, both must hold
role = "producer"

Instead of [provider], [proxy] names a reverse proxy that says in a header who is logged in.
"""

import secrets
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.documents import (
    check_experiment_name,
    read_document,
    read_toml,
)
from jobprov.provenance.services.intake.issuers import (
    Claimed,
    Condition,
    IssuerAddress,
    check_address,
)
from jobprov.provenance.services.intake.tokens import Scope, WrongTokenError

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
MOST_MINUTES = 60 * 24 * 31
"""The longest that a session can be set to."""
_Minutes = Annotated[int, msgspec.Meta(ge=1, le=MOST_MINUTES)]
_MOST_IDENTITY = 200
"""The width of the column with who submitted an entry of the ledger."""
_MOST_NAME = 200


class Role(StrEnum):
    """What somebody is for an experiment; each may do what those before may."""

    READER = "reader"
    """Sees pages and calls, where reading is not open to all."""
    PRODUCER = "producer"
    """Retries and waives."""
    OPERATOR = "operator"
    """Changes rules."""
    ADMIN = "admin"
    """Sees the audit trail."""

    def covers(self, needed: "Role") -> bool:
        """Return whether it may do what another role may."""
        roles = list(Role)
        return roles.index(self) >= roles.index(needed)

    @property
    def scopes(self) -> frozenset[Scope]:
        """What a token would need to allow the same."""
        if self is Role.ADMIN:
            return frozenset({Scope.ADMIN})
        if self is Role.READER:
            return frozenset({Scope.READ})
        return frozenset({Scope.READ, Scope.DECLARE, Scope.RUN})


class RoleRow(Condition, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The role of those who have a group, or are somebody.

    Attributes:
        role: what they are for the experiment of the table.
    """

    role: Role


class Provider(IssuerAddress, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A provider of OpenID Connect, and what it knows this service as.

    Attributes:
        client_id: the name that it gave this service.
        secret_file: file with the secret that it gave; none for a public client.
        scopes: what it is asked for.
        groups_claim: the claim with the groups of who is logged in.
        name_claim: the claim with a name that others know them by.
        log_out_there: whether who logs out here is sent there to log out too; the address that they
            come back to has to be registered there.
    """

    client_id: _Text
    secret_file: _Text | None = None
    scopes: list[_Text] = msgspec.field(default_factory=lambda: ["openid", "profile", "email"])
    groups_claim: _Text = "groups"
    name_claim: _Text = "name"
    log_out_there: bool = False


class Proxy(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A reverse proxy that passes on who is logged in.

    Attributes:
        addresses: from where it connects, such as `127.0.0.1` or `10.1.2.0/24`.
        user_header: the header with who it is; it has to overwrite what clients send.
        groups_header: the header with their groups, with commas between them.
        name_header: the header with a name that others know them by.
    """

    addresses: Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=100)]
    user_header: _Text
    groups_header: _Text | None = None
    name_header: _Text | None = None

    def is_at(self, address: str) -> bool:
        """Return whether it connects from this address."""
        try:
            client = ip_address(address)
        except ValueError:
            return False
        return any(client in network for network in self.networks())

    def networks(self) -> list[IPv4Network | IPv6Network]:
        """Return its addresses as networks.

        Raises:
            ValueError: one of them is not valid.
        """
        return [ip_network(text) for text in self.addresses]


class SessionEnds(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """When a session ends that nobody logs out of.

    Attributes:
        idle_minutes: after so long without a page.
        longest_minutes: after so long, whatever is done.
    """

    idle_minutes: _Minutes = 120
    longest_minutes: _Minutes = 60 * 12


class LoginRules(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The file of roles: which provider or proxy is believed, and who has which role."""

    allow: dict[str, list[RoleRow]]
    provider: Provider | None = None
    proxy: Proxy | None = None
    session: SessionEnds = SessionEnds()

    def roles(self, claimed: Claimed) -> dict[str, Role]:
        """Return the highest role that somebody has in each experiment."""
        roles: dict[str, Role] = {}
        for experiment, rows in self.allow.items():
            for row in rows:
                if row.holds(claimed) and not _covers(roles.get(experiment), row.role):
                    roles[experiment] = row.role
        return roles

    def named_groups(self) -> frozenset[str]:
        """Return the groups that a role depends on."""
        groups: set[str] = set()
        for rows in self.allow.values():
            groups.update(row.group for row in rows if row.group is not None)
        return frozenset(groups)


class Identity(NamedTuple):
    """Who somebody is.

    Attributes:
        issuer: who says so: the address of the provider, or `the proxy`.
        subject: whom they are known as there, once and for all.
        name: what others know them by.
        groups: those of their groups that a role depends on.
    """

    issuer: str
    subject: str
    name: str
    groups: frozenset[str]

    @property
    def submitter(self) -> str:
        """What the ledger keeps of who wrote."""
        return f"login {self.subject} of {self.issuer}"

    @property
    def claimed(self) -> Claimed:
        """What roles are given by."""
        return Claimed(self.subject, frozenset(), self.groups)


class LoggedIn(NamedTuple):
    """Somebody who logged in.

    Attributes:
        identity: who it is.
        id_token: by which the provider knows which session that is.
        issued_at: when the provider made the ID token, in seconds of its clock.
        session_id: what the provider calls its own session; None where it does not say.
    """

    identity: Identity
    id_token: str
    issued_at: int
    session_id: str | None


class LoginAttempt(NamedTuple):
    """A login that was begun; whoever began it keeps this, and nobody else learns of it.

    Attributes:
        state: comes back with the answer, so that it is known to be the answer to this.
        nonce: has to stand in the ID token.
        verifier: without it the code in the answer is worth nothing (PKCE).
    """

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "LoginAttempt":
        """Return a new attempt that nobody can guess."""
        return cls(*(secrets.token_urlsafe(32) for _ in cls._fields))


def checked_identity(identity: Identity) -> Identity:
    """Return who somebody is, if that can be kept.

    Raises:
        WrongTokenError: it is too long to be told from others, or not printable.
    """
    if not identity.subject.strip() or not identity.subject.isprintable():
        raise WrongTokenError("sub: who is logged in is not printable.")
    if len(identity.submitter) > _MOST_IDENTITY:
        # Cut, it could be somebody else
        raise WrongTokenError(
            f"sub: who is logged in has more than {_MOST_IDENTITY} characters with the issuer."
        )
    name = "".join(letter for letter in identity.name if letter.isprintable()).strip()
    return identity._replace(name=(name or identity.subject)[:_MOST_NAME])


def read_login_rules(path: Path) -> LoginRules:
    """Return the rules of login in a file.

    Raises:
        BadInputError: the file cannot be read, or a field is wrong; the message names it.
    """
    document = read_toml(path)
    try:
        rules = read_document(document, LoginRules, "the file")
        _check(rules)
    except BadInputError as problem:
        raise BadInputError(f"{path}: {problem}", problem.fields) from None
    return rules


def client_secret(provider: Provider) -> str | None:
    """Return the secret that the provider gave this service; None for a public client.

    Raises:
        BadInputError: its file cannot be read, or is empty.
    """
    if provider.secret_file is None:
        return None
    path = Path(provider.secret_file).expanduser()
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        raise BadInputError.of_field("secret_file", f"{path}: {problem}", str(problem)) from None
    if not secret:
        raise BadInputError(f"secret_file: {path} is empty.", {"secret_file": ["empty"]})
    return secret


def _check(rules: LoginRules) -> None:
    """Check fields against each other, and the addresses and scopes of a provider."""
    if (rules.provider is None) == (rules.proxy is None):
        raise BadInputError(
            "name a [provider] or a [proxy], and not both.", {"provider": ["one of both"]}
        )
    if rules.provider is not None:
        check_address(rules.provider.issuer, "issuer", "[provider]")
        if rules.provider.jwks is not None:
            check_address(rules.provider.jwks, "jwks", "[provider]")
        client_secret(rules.provider)
        if "openid" not in rules.provider.scopes:
            words = "openid has to be among them"
            raise BadInputError.of_field("provider.scopes", words, "no openid")
    if rules.proxy is not None:
        try:
            rules.proxy.networks()
        except ValueError as problem:
            raise BadInputError.of_field("proxy.addresses", str(problem)) from None
    _check_rows(rules.allow)


def _check_rows(allow: Mapping[str, list[RoleRow]]) -> None:
    for experiment, rows in allow.items():
        check_experiment_name(experiment)
        for number, row in enumerate(rows):
            if row.group is None and row.subject is None:
                field = f"allow.{experiment}[{number}]"
                words = (
                    "it names no group or subject, and would make everybody who can log in "
                    f"{row.role} of {experiment}"
                )
                raise BadInputError.of_field(field, words, "a group or a subject")


def _covers(role: Role | None, needed: Role) -> bool:
    return role is not None and role.covers(needed)
