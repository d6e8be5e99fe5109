"""The catalogs of experiments, as an operator names them in a TOML file: one table an experiment.

[nova]
kind = "sam"                                             # or "metacat"
url = "https://samweb.fnal.gov:8483/sam/nova/api"
certificate = "/etc/jobprov/proxy.pem"                   # or token_file
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.metacat import MetaCat
from jobprov.provenance.catalogs.sam import Sam
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.reading.documents import read_document

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


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


Catalogs = Mapping[str, CatalogSettings]
"""By experiment."""


def read_catalogs(path: Path | None) -> dict[str, CatalogSettings]:
    """Return the catalogs that a file names; none where there is no file named.

    Raises:
        BadInputError: the file cannot be read, or a field is wrong; the message names it.
    """
    if path is None:
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BadInputError(f"{path}: {problem}.", {str(path): [str(problem)]}) from None
    return {name: _checked(name, table, path) for name, table in document.items()}


def _checked(experiment: str, table: Any, path: Path) -> CatalogSettings:
    """Return the settings of one experiment's catalog, or raise what is wrong with them."""
    if not isinstance(table, dict):
        raise BadInputError(
            f"{path}: {experiment} is no table [{experiment}].", {experiment: ["no table"]}
        )
    settings = read_document(table, CatalogSettings, f"{path}, [{experiment}]")
    url = urlsplit(settings.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise BadInputError(
            f"{path}, [{experiment}]: url {settings.url!r} is no http(s) address.",
            {"url": ["no address"]},
        )
    if (
        url.scheme == "http"
        and (settings.token_file or settings.certificate)
        and url.hostname not in ("127.0.0.1", "localhost")
    ):
        raise BadInputError(
            f"{path}, [{experiment}]: a token or certificate needs https, and url is http.",
            {"url": ["https is needed"]},
        )
    return settings


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
    token = None
    if settings.token_file:
        try:
            token = Path(settings.token_file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as problem:
            raise BadInputError(
                f"The token of {experiment}'s catalog: {problem}.", {"token_file": [str(problem)]}
            ) from None
    access = Access(
        settings.url,
        token,
        settings.certificate,
        settings.key,
        settings.ca,
        settings.seconds,
        settings.attempts,
    )
    return Sam(access) if settings.kind == "sam" else MetaCat(access)
