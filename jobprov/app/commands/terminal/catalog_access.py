"""How a user's own commands reach a catalog: with the proxy or token that grid tools use."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jobprov.provenance.errors import BadInputError

if TYPE_CHECKING:
    from jobprov.provenance.catalogs.http import Access

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def own_access(url: str, *, attempts: int = 4) -> "Access":
    """Return the access of whoever calls: nothing secret goes to another host without TLS.

    Source: samweb_client (proxies) and the bearer token discovery of WLCG.

    Args:
        url: of the catalog.
        attempts: before the catalog counts as away.

    Raises:
        BadInputError: the token cannot be read.
    """
    from jobprov.provenance.catalogs.http import Access  # noqa: PLC0415 - for these commands alone

    address = urlsplit(url)
    is_safe = address.scheme == "https"
    if not is_safe and address.hostname not in _LOOPBACK:
        return Access(url, attempts=attempts)
    token = _token()
    if not is_safe:
        return Access(url, token, attempts=attempts)
    certificate, key = _certificate()
    folder = os.environ.get("X509_CERT_DIR")
    ca = folder if folder and Path(folder).is_dir() else None
    return Access(url, token, certificate, key, ca, attempts=attempts)


def _certificate() -> tuple[str | None, str | None]:
    """Return the paths of a proxy, or of certificate and key; the usual proxy by default."""
    proxy = os.environ.get("X509_USER_PROXY")
    if proxy:
        return proxy, None
    certificate, key = os.environ.get("X509_USER_CERT"), os.environ.get("X509_USER_KEY")
    if certificate and key:
        return certificate, key
    usual = f"/tmp/x509up_u{os.getuid()}"  # noqa: S108 - where grid-proxy-init puts it
    return (usual, None) if Path(usual).is_file() else (None, None)


def _token() -> str | None:
    """Return the user's bearer token."""
    if os.environ.get("BEARER_TOKEN"):
        return os.environ["BEARER_TOKEN"].strip()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "/tmp")  # noqa: S108 - as WLCG names it
    file = Path(os.environ.get("BEARER_TOKEN_FILE") or f"{runtime}/bt_u{os.getuid()}")
    if not file.is_file():
        return None
    try:
        return file.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInputError(f"The token in {file} cannot be read: {problem}.") from None
