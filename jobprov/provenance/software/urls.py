"""Repository urls: parsed, compared and shown, and which of them the service may fetch from.

The only use of the network here is the name look-up of `public_address`.

Source: "GIT URLS" in git-fetch(1).
"""

import ipaddress
import posixpath
import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.embedded_addresses import embedded_addresses

_SCP = re.compile(
    r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[0-9a-fA-F:]+\]|[^@/:\[\]]+):(?P<path>(?!//).*)", re.DOTALL
)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_REMOTE_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")  # ext::, fd:: and their like run programs
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
_REMOTE = frozenset({"https", "http", "ssh", "git"})


@dataclass(frozen=True)
class RepositoryUrl:
    """A parsed repository url; `scheme` is https, http, ssh, git or file."""

    scheme: str
    user: str
    host: str
    port: int | None
    path: str

    @property
    def key(self) -> str:
        """The same text for all spellings of one repository: `host/path`, or `file:/path`."""
        path = posixpath.normpath("/" + self.path.strip("/")).removesuffix(".git").rstrip("/")
        return f"file:{path}" if self.scheme == "file" else f"{self._authority}{path}"

    @property
    def public(self) -> str:
        """The url without password, token, query and fragment, for records and pages."""
        if self.scheme == "file":
            return self.path
        user = f"{self.user}@" if self.scheme == "ssh" and self.user else ""
        return f"{self.scheme}://{user}{self._authority}/{self.path.lstrip('/')}"

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (None, _PORTS.get(self.scheme)) else f"{host}:{self.port}"


def parse_url(text: str) -> RepositoryUrl:
    """Return the parts of a url, of a `user@host:path` as scp has it, or of an absolute local path.

    Raises:
        SoftwareError: `text` is none of these, or git could take its host or path for an option.
    """
    if text.startswith("/"):
        return RepositoryUrl("file", "", "", None, text)
    if not _PRINTABLE.fullmatch(text) or text.startswith("-") or _REMOTE_HELPER.match(text):
        raise _unreadable(text)
    if "://" not in text:
        return _from_scp(text)
    return _from_url(text)


def match_key(text: str) -> str:
    """Return the key of a url, or `text` itself if it is not one, so that it matches itself."""
    try:
        return parse_url(text).key
    except SoftwareError:
        return text.strip()


def without_credentials(text: str) -> str:
    """Return a url without password. A text that is not a url loses everything before an @."""
    try:
        return parse_url(text).public
    except SoftwareError:
        return re.sub(r"(?<=//)[^/]*@|^[^/:]*:[^/]*@", "", text)


def is_private_address(address: str) -> bool:
    """Whether `address` is in a network to which a client's url must not lead the service."""
    outer = ipaddress.ip_address(address.partition("%")[0])
    every = (outer, *embedded_addresses(outer))
    return any(not one.is_global or one.is_multicast for one in every)


def public_address(url: RepositoryUrl, *, trusted_hosts: Collection[str] = ()) -> str:
    """Return an address of the url's host, whose addresses are public unless the host is trusted.

    Raises:
        SoftwareError: the host is unknown, or has an address in a private network.
    """
    try:
        port = url.port or _PORTS[url.scheme]
        entries = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"Host {url.host} of repository {url.public} is not known: {error}."
        raise SoftwareError(message) from error
    addresses = [str(entry[4][0]) for entry in entries]
    private = [address for address in addresses if is_private_address(address)]
    if private and url.host not in trusted_hosts:
        raise SoftwareError(
            f"Host {url.host} of repository {url.public} leads to the private "
            f"address {private[0]}: "
            "an operator must list the host in JOBPROV_TRUSTED_GIT_HOSTS first."
        )
    return addresses[0]


def _from_url(text: str) -> RepositoryUrl:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _unreadable(text) from error
    is_local = parts.netloc in ("", "localhost") and parts.path.startswith("/")
    if parts.scheme == "file" and is_local:
        return RepositoryUrl("file", "", "", None, unquote(parts.path))
    scheme = parts.scheme.removeprefix("git+")
    if scheme not in _REMOTE or len(parts.path) < 2:  # noqa: PLR2004 - "/" names no repository
        raise _unreadable(text)
    host = _checked_host(parts.hostname or "", text)
    user = _checked_user(parts.username or "", text)
    return RepositoryUrl(scheme, user, host, port, parts.path)


def _from_scp(text: str) -> RepositoryUrl:
    match = _SCP.fullmatch(text)
    if match is None or not match["path"].strip("/") or match["path"].startswith("-"):
        raise _unreadable(text)
    host = _checked_host(match["host"].strip("[]"), text)
    return RepositoryUrl("ssh", _checked_user(match["user"] or "", text), host, None, match["path"])


def _checked_host(host: str, text: str) -> str:
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise _unreadable(text) from error
    if not _HOST.fullmatch(host):
        raise _unreadable(text)
    return host.lower()


def _checked_user(user: str, text: str) -> str:
    if user.startswith("-"):  # ssh would take it for an option
        raise _unreadable(text)
    return user


def _unreadable(text: str) -> SoftwareError:
    shown = re.sub(r"//[^/]*@", "//", text)[:200]
    return SoftwareError(
        f"{shown!r} is not a repository url: give https://host/path, ssh, or an absolute path."
    )
