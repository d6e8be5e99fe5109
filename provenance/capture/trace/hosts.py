"""Whom a traced command talked to: hosts elsewhere, but for jobprov and for those of its files.

Name lookups (port 53) are left out: they bring no data, and most scripts ask for their own name.
"""

import ipaddress
import os
import socket
from typing import Any, Dict, Iterable, List, Optional, Set
from urllib.parse import urlsplit

from jobprov.provenance.capture.running.background import Background
from jobprov.provenance.capture.trace.calls import split_host

_NAME_SERVICE = 53
_MOST_HOSTS, _MOST_NAMES, _SECONDS = 20, 10, 2.0


def elsewhere(hosts: Iterable[str], record: Dict[str, Any], url: Optional[str]) -> List[str]:
    """Return those of the hosts that a rerun would have to ask, too, as `address:port`."""
    found = [host for host in sorted(hosts) if _is_elsewhere(host)]
    if not found:
        return []
    work = Background(lambda: _addresses(_names(record, url)))
    known: Set[str] = work.result or set() if work.wait(_SECONDS) else set()
    return [host for host in found if split_host(host)[0] not in known][:_MOST_HOSTS]


def _is_elsewhere(host: str) -> bool:
    address, port = split_host(host)
    try:
        ip: Any = ipaddress.ip_address(address)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback or ip.is_unspecified or port in (0, _NAME_SERVICE):
        return False
    return not _is_this_machine(str(ip), ip.version)


def _is_this_machine(address: str, version: int) -> bool:
    """Tell whether an address is one of this machine: nobody can bind others."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            bound.bind((address, 0))
    except OSError:
        return False
    return True


def _names(record: Dict[str, Any], url: Optional[str]) -> List[str]:
    """Return the hosts in the addresses of the service and of the job's files."""
    addresses = [url or "", os.environ.get("JOBPROV_URL", "")]
    addresses = [text if "://" in text else "http://" + text for text in addresses if text]
    for entry in [*record.get("inputs", ()), *record.get("outputs", ())]:
        if "://" in (entry.get("location") or ""):
            addresses.append(entry["location"])
    names = [_host(address) for address in addresses]
    return [name for name in dict.fromkeys(names) if name][:_MOST_NAMES]


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _addresses(names: Iterable[str]) -> Set[str]:
    known: Set[str] = set()
    for name in names:
        try:
            known.update(str(found[4][0]) for found in socket.getaddrinfo(name, None))
        except (OSError, UnicodeError):
            continue
    return known
