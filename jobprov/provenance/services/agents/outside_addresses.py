"""Looks at addresses that a record names, and never at this machine or what only it can reach.

A job's token is enough to name an address. A look at `http://169.254.169.254/`, where clouds keep
their machines' passwords, or at a service on loopback would tell whoever wrote the record what is
there. The address of the other end is checked once it is connected and before anything is sent,
so redirects and names that resolve to something else the second time change nothing.

Nor does the password of a `.netrc` go to an address that a record names: its `default` entry is for
every host.
"""

import ipaddress
import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.software.embedded_addresses import embedded_addresses

_MOST_REDIRECTS = 5


class InnerAddressError(UnreachableError):
    """An address leads to this machine or its link. Not an OSError, since these are retried."""


def look_at(address: str, seconds: float) -> requests.Response:
    """Return the answer to HEAD, redirects followed.

    Raises:
        InnerAddressError: it leads, or is redirected, to this machine or to its link.
        requests.RequestException: it does not answer.
    """
    with requests.Session() as session:
        session.trust_env = False  # no .netrc, and so the proxies have to be named
        session.proxies = requests.utils.get_environ_proxies(address)
        session.max_redirects = _MOST_REDIRECTS
        for scheme in ("http://", "https://"):
            session.mount(scheme, _OutwardConnections())
        return session.head(address, timeout=seconds, allow_redirects=True)


def is_inner(host: str, own: str) -> bool:
    """Return whether an IP address is this machine's, its link's, or no host's at all.

    Args:
        host: the address.
        own: what this machine talks to it from. To any address of its own that is the address itself.
    """
    if host == own:
        return True
    address = ipaddress.ip_address(host)
    for within in (address, *embedded_addresses(address)):
        if within.is_loopback or within.is_unspecified:
            return True
        if within.is_link_local or within.is_multicast:
            return True
    return False


class _OutwardConnections(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        pools = {"http": _PlainPool, "https": _SecurePool}
        self.poolmanager.pool_classes_by_scheme = pools


def _checked(connection: HTTPConnection, connected: socket.socket) -> socket.socket:
    """Return a connection's socket, unless it leads to this machine or to its link."""
    host, own = connected.getpeername()[0], connected.getsockname()[0]
    if is_inner(host, own):
        connected.close()
        raise InnerAddressError(f"{connection.host} is {host}, which is not looked at")
    return connected


# urllib3 says nothing over a new socket before `_new_conn` returns it: neither HTTP nor TLS
class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn())


class _Secure(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure
