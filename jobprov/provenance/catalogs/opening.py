"""The catalogs of experiments, as an operator names them in a TOML file: one table an experiment.

[nova]
kind = "sam"                                             # or "metacat"
url = "https://samweb.fnal.gov:8483/sam/nova/api"
certificate = "/etc/jobprov/proxy.pem"                   # or token_file

[nova.rucio]                                             # where its files lie, if Rucio knows
url = "https://rucio.example.org"
account = "jobprov"
token_file = "/run/jobprov/rucio-token"                  # or certificate, or user_name with a password
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.reading.documents import read_document, read_toml

if TYPE_CHECKING:
    from jobprov.provenance.catalogs.rucio import Rucio

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class RucioSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the Rucio of one experiment is reached.

    `token_file` to `attempts` as in `CatalogSettings`.

    Attributes:
        url: what its clients call `rucio_host`.
        auth_url: what they call `auth_host`; `url` where none is said.
        account: of Rucio.
        user_name, password_file: of an identity by password, in place of token and certificate.
        vo: of a Rucio that serves several experiments.
        scope: of files that have no namespace.
        schemes: of the addresses that are wanted; all where none is said.
    """

    url: str
    auth_url: str | None = None
    account: str
    token_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    user_name: str | None = None
    password_file: str | None = None
    vo: str = "def"
    scope: str | None = None
    schemes: list[str] = []
    ca: str | None = None
    seconds: _Seconds = 30.0
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 4


class CatalogSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the catalog of one experiment is reached.

    Attributes:
        token_file: holds a bearer token (SAM) or MetaCat's; read again for each opening, as tokens
            are renewed.
        certificate: a client certificate or proxy, PEM.
        key: its key, where the certificate's file does not hold it.
        ca: certificates that the server's is checked by; the system's where none is said.
        seconds: to wait for the server.
        attempts: calls before it counts as unreachable.
        arrive_within_hours: how long a file may take into the catalog before it is late.
        rucio: where replicas are, where Rucio knows.
    """

    kind: Literal["sam", "metacat"]
    url: str
    token_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    ca: str | None = None
    seconds: _Seconds = 30.0
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 4
    arrive_within_hours: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None
    rucio: RucioSettings | None = None


Catalogs = Mapping[str, CatalogSettings]
"""By experiment."""


def read_catalogs(path: Path | None) -> dict[str, CatalogSettings]:
    """Return the catalogs that a file names; none where there is no file named.

    Raises:
        BadInputError: the file cannot be read, or a field is wrong; the message names it.
    """
    if path is None:
        return {}
    return {name: _checked(name, table, path) for name, table in read_toml(path).items()}


def _checked(experiment: str, table: Any, path: Path) -> CatalogSettings:
    """Return the settings of one experiment's catalog, or raise what is wrong with them."""
    if not isinstance(table, dict):
        raise BadInputError(
            f"{path}: {experiment} is no table [{experiment}].", {experiment: ["no table"]}
        )
    place = f"{path}, [{experiment}]"
    try:
        settings = read_document(table, CatalogSettings, "its table")
    except BadInputError as problem:
        raise BadInputError(f"{place}: {problem}", problem.fields) from None
    has_secret = bool(settings.token_file or settings.certificate)
    _check_address(settings.url, "url", place, has_secret=has_secret)
    if settings.rucio is not None:
        _check_rucio(settings.rucio, f"{path}, [{experiment}.rucio]")
    return settings


def _check_address(address: str, field: str, place: str, *, has_secret: bool) -> None:
    """Refuse what is no address, or would send a secret without TLS to another machine."""
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise BadInputError(
            f"{place}: {field} {address!r} is no http(s) address.", {field: ["no address"]}
        )
    if has_secret and url.scheme == "http" and url.hostname not in ("127.0.0.1", "localhost"):
        raise BadInputError(
            f"{place}: a token, password or certificate needs https, and {field} is http.",
            {field: ["https is needed"]},
        )


def _check_rucio(settings: RucioSettings, place: str) -> None:
    """Refuse settings that do not say in exactly one way who asks."""
    _check_address(settings.url, "url", place, has_secret=True)
    _check_address(settings.auth_url or settings.url, "auth_url", place, has_secret=True)
    ways = [settings.token_file, settings.certificate, settings.user_name]
    if len([way for way in ways if way]) != 1:
        problem = "name one of token_file, certificate, or user_name with password_file"
        raise BadInputError(f"{place}: {problem}.", {"token_file": [problem]})
    if settings.user_name and not settings.password_file:
        problem = "user_name needs password_file"
        raise BadInputError(f"{place}: {problem}.", {"password_file": [problem]})


def open_catalog(catalogs: Catalogs, experiment: str) -> Catalog:
    """Return the catalog of an experiment; nothing is asked of it yet.

    Raises:
        NotFoundError: none is named.
        BadInputError: its token file cannot be read.
    """
    settings = catalogs.get(experiment)
    if settings is None:
        raise NotFoundError(
            f"No catalog of experiment {experiment} is named here; "
            "an operator names it in the file of JOBPROV_CATALOGS."
        )
    # Slow to import, and a service without catalogs need not wait for it
    from jobprov.provenance.catalogs.http import Access  # noqa: PLC0415
    from jobprov.provenance.catalogs.metacat import MetaCat  # noqa: PLC0415
    from jobprov.provenance.catalogs.sam import Sam  # noqa: PLC0415

    access = Access(
        settings.url,
        _secret(settings.token_file, "token_file", f"The token of {experiment}'s catalog"),
        settings.certificate,
        settings.key,
        settings.ca,
        settings.seconds,
        settings.attempts,
    )
    return Sam(access) if settings.kind == "sam" else MetaCat(access)


def open_rucio(catalogs: Catalogs, experiment: str, *, patience: float = 300.0) -> "Rucio | None":
    """Return the Rucio of an experiment, of which nothing is asked yet; None where it has none.

    Args:
        catalogs: by experiment.
        experiment: whose.
        patience: seconds for one call of it, with all its attempts.

    Raises:
        BadInputError: its token or password cannot be read.
    """
    catalog = catalogs.get(experiment)
    if catalog is None or catalog.rucio is None:
        return None
    # Slow to import, and most services ask none
    from jobprov.provenance.catalogs.http import Access  # noqa: PLC0415
    from jobprov.provenance.catalogs.rucio import Login, Rucio  # noqa: PLC0415

    settings = catalog.rucio
    what = f"of {experiment}'s Rucio"
    login = Login(
        settings.account,
        settings.vo,
        _secret(settings.token_file, "token_file", f"The token {what}"),
        settings.user_name,
        _secret(settings.password_file, "password_file", f"The password {what}"),
    )
    access = Access(
        settings.url,
        ca=settings.ca,
        seconds=settings.seconds,
        attempts=settings.attempts,
        patience=patience,
    )
    auth = access._replace(
        url=settings.auth_url or settings.url,
        certificate=settings.certificate,
        key=settings.key,
    )
    return Rucio(access, auth, login, scope=settings.scope, schemes=settings.schemes)


def _secret(path: str | None, field: str, what: str) -> str | None:
    """Return the token or password that a file holds; None where no file is named."""
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as problem:
        raise BadInputError(f"{what}: {problem}.", {field: [str(problem)]}) from None
