"""Looks at addresses that a record names, and never at this machine or what only it can reach.

A job's token is enough to name an address. A look at `http://169.254.169.254/`, where clouds keep
their machines' passwords, or at a service on loopback would tell whoever wrote the record what is
there. The address of the other end is checked once it is connected and before anything is asked,
so redirects and names that resolve to something else the second time change nothing.
"""

import ipaddress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from jobprov.provenance.errors import UnreachableError

_MOST_REDIRECTS = 5


class InnerAddressError(UnreachableError):
    """An address leads to this machine, or to its link; not an OSError, so that nobody retries it."""


def look_at(address: str, seconds: float) -> requests.Response:
    """Return the answer to HEAD, redirects followed.

    Raises:
        InnerAddressError: it leads, or is redirected, to this machine or to its link.
        requests.RequestException: it does not answer.
    """
    with requests.Session() as session:
        session.max_redirects = _MOST_REDIRECTS
        for scheme in ("http://", "https://"):
            session.mount(scheme, _OutwardConnections())
        return session.head(address, timeout=seconds, allow_redirects=True)


def is_inner(host: str) -> bool:
    """Tell whether an IP address is of this machine or of its link, or no host's at all."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    is_here = address.is_loopback or address.is_unspecified
    return is_here or address.is_link_local or address.is_multicast


class _OutwardConnections(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        pools = {"http": _PlainPool, "https": _SecurePool}
        self.poolmanager.pool_classes_by_scheme = pools


def _check_other_end(connection: HTTPConnection) -> None:
    if connection.sock is None:
        return
    host = connection.sock.getpeername()[0]
    if is_inner(host):
        connection.close()
        raise InnerAddressError(f"{connection.host} is {host}, which is not looked at")


class _Plain(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _check_other_end(self)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _check_other_end(self)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure
