"""Whether a request comes from this machine itself.

A fresh service without any token takes writes from such requests.

From a loopback address that no proxy stands before, and not from a web page of another site that a
browser on this machine happens to show.
"""

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import request

_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")
"""Headers of proxies, as WSGI names them: each record that is sent is asked for them."""


def is_local() -> bool:
    """Return whether the request comes from this machine, and from no other site's page."""
    if not request.environ.keys().isdisjoint(_FORWARDED):
        return False
    return (
        is_loopback(request.remote_addr or "")
        and _names_this_machine(request.host)
        and not is_cross_site()
    )


def is_cross_site() -> bool:
    """Return whether another site's page had the browser send this."""
    environ = request.environ
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return True
    return environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none")


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Return whether an address is this machine's own, to itself."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _names_this_machine(host: str) -> bool:
    """Return whether the client calls us by a loopback name.

    A name made to point here would be another's.
    """
    name = urlsplit(f"//{host}").hostname or ""
    return name == "localhost" or is_loopback(name)
