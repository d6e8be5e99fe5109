"""Whom a traced command talked to, but for itself, jobprov and the hosts of its files.

Name lookups (port 53) are left out: they bring no data, and most scripts ask for their own name.
"""

import ipaddress
import os
import socket
from typing import Any, Iterable, List, Optional, Set
from urllib.parse import urlsplit

from jobprov.provenance.capture.record.json_objects import Record
from jobprov.provenance.capture.running.background import Background
from jobprov.provenance.capture.trace.calls import split_host

_NAME_SERVICE = 53
_LISTEN = "0A"  # TCP_LISTEN
_MOST_HOSTS, _MOST_NAMES, _SECONDS = 20, 10, 2.0


def elsewhere(hosts: Iterable[str], record: Record, url: Optional[str]) -> List[str]:
    """Return those of the hosts that a rerun would have to ask, too, as `address:port`.

    On this machine, these are the ports that somebody still listens at: the job has ended.
    """
    far, near = [], []
    for host in sorted(hosts):
        if _is_elsewhere(host):
            far.append(host)
        elif _is_here(host):
            near.append(host)
    if not far and not near:
        return []
    addresses = _addresses_named(record, url)
    asked = []
    if near:
        own_ports = {str(_port(address)) for address in addresses}
        others = _listening() - own_ports
        asked += [host for host in near if host.rpartition(":")[2] in others]
    if far:
        known = _known_addresses(addresses)
        asked += [host for host in far if split_host(host)[0] not in known]
    return asked[:_MOST_HOSTS]


def _known_addresses(addresses: Iterable[str]) -> Set[str]:
    """Return the numbers of the hosts of some addresses; none where looking them up takes long."""
    work = Background(lambda: _addresses(_names(addresses)))
    if not work.wait(_SECONDS):
        return set()
    known: Set[str] = work.result or set()
    return known


def _is_elsewhere(host: str) -> bool:
    ip = _ip_of(host)
    if ip is None or ip.is_loopback or ip.is_unspecified:
        return False
    return not _is_this_machine(str(ip), ip.version)


def _is_here(host: str) -> bool:
    ip = _ip_of(host)
    return ip is not None and (ip.is_loopback or _is_this_machine(str(ip), ip.version))


def _ip_of(host: str) -> Any:
    """Return the address, None for ports of no interest and what is no address."""
    address, port = split_host(host)
    try:
        ip: Any = ipaddress.ip_address(address)
    except ValueError:
        return None
    return None if port in (0, _NAME_SERVICE) else getattr(ip, "ipv4_mapped", None) or ip


def _listening() -> Set[str]:
    """Return the ports at which somebody listens on this machine; proc(5), `net/tcp`."""
    ports: Set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii", errors="replace") as stream:
                for words in map(str.split, stream):
                    if words[3] == _LISTEN:
                        ports.add(str(int(words[1].rpartition(":")[2], 16)))
        except OSError:
            continue
    return ports


def _is_this_machine(address: str, version: int) -> bool:
    """Tell whether an address is one of this machine: nobody can bind others."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            bound.bind((address, 0))
    except OSError:
        return False
    return True


def _addresses_named(record: Record, url: Optional[str]) -> List[str]:
    """Return the addresses of the service and of the job's files."""
    addresses = [url or "", os.environ.get("JOBPROV_URL", "")]
    addresses = [text if "://" in text else "http://" + text for text in addresses if text]
    for entry in [*record.get("inputs", ()), *record.get("outputs", ())]:
        if "://" in (entry.get("location") or ""):
            addresses.append(entry["location"])
    return addresses


def _names(addresses: Iterable[str]) -> List[str]:
    names = [_host(address) for address in addresses]
    return [name for name in dict.fromkeys(names) if name][:_MOST_NAMES]


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _port(address: str) -> int:
    try:
        return urlsplit(address).port or 0
    except ValueError:
        return 0


def _addresses(names: Iterable[str]) -> Set[str]:
    known: Set[str] = set()
    for name in names:
        try:
            known.update(str(found[4][0]) for found in socket.getaddrinfo(name, None))
        except (OSError, UnicodeError):
            continue
    return known
