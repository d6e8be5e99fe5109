"""The host that a job runs on, and its environment: variables, operating system, limits.

Sources: /etc/os-release, /proc, the machine ad. What one of them does not tell stays out of the
record.
"""

import os
import re
import resource
import socket
from typing import Dict, Iterable, Optional, Sequence

from jobprov.provenance.capture.record import excerpts
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import ClassAd, JsonObject
from jobprov.provenance.capture.secrets.variables import split_environment

_SITES = ("GLIDEIN_Site", "GLIDEIN_DUNESite", "JUSTIN_SITE_NAME", "DIRACSITE")
_RELEASE_FILES = ("/etc/os-release", "/usr/lib/os-release")
_LIMITS = {
    "stack_bytes": "RLIMIT_STACK",
    "address_space_bytes": "RLIMIT_AS",
    "file_size_bytes": "RLIMIT_FSIZE",
    "cpu_seconds": "RLIMIT_CPU",
    "open_files": "RLIMIT_NOFILE",
    "core_bytes": "RLIMIT_CORE",
    "processes": "RLIMIT_NPROC",
}


def describe_environment(
    draft: Draft, environment: Dict[str, str], allowed: Sequence[str] = ()
) -> JsonObject:
    """Return the record's `environment`; where names are allowed, of those variables alone."""
    kept, withheld = split_environment(environment, allowed)
    fields = {
        "variables": {name: kept[name] for name in excerpts.order(kept)},
        "withheld": withheld,
        "os": draft.attempt("operating system", _operating_system),
        "locale": _first(environment, ("LC_ALL", "LC_CTYPE", "LANG")) or "C",
        "timezone": draft.attempt("time zone", _timezone, environment),
        "umask": draft.attempt("umask", _umask),
        "limits": draft.attempt("limits", _limits),
        "niceness": draft.attempt("niceness", os.nice, 0) or None,
    }
    return without_empty(fields)


def describe_host(draft: Draft, environment: Dict[str, str], machine: ClassAd) -> JsonObject:
    """Return the record's `host`; `machine` is the machine ad."""
    cpu = draft.attempt("cpu", _cpu) or {}
    fields = {
        "hostname": socket.gethostname(),
        "facility": environment.get("GLIDEIN_Entry_Name") or machine.get("GLIDEIN_Entry_Name"),
        "site": machine.get("GLIDEIN_Site") or _first(environment, _SITES),
        "slot": machine.get("Name") or environment.get("_CONDOR_SLOT"),
        "cpu_model": cpu.get("model name"),
        "cores": _count_cores(),
        "memory_bytes": draft.attempt("memory", _memory_bytes),
    }
    if cpu.get("flags"):
        lines = [flag + "\n" for flag in sorted(set(cpu["flags"].split()))]
        fields["cpu_flags_sha256"] = draft.add_bytes("".join(lines).encode())
    return {name: value for name, value in fields.items() if value}


def _operating_system() -> JsonObject:
    fields: Dict[str, str] = {}
    for path in _RELEASE_FILES:
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as stream:
                fields = dict(line.strip().split("=", 1) for line in stream if "=" in line)
            break
    system = {
        "id": fields.get("ID", "").strip("\"'") or None,
        "version": fields.get("VERSION_ID", "").strip("\"'") or None,
        "kernel": os.uname().release or None,
        "libc": _libc(),
    }
    return without_empty(system)


def _libc() -> Optional[str]:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError, AttributeError):
        return None


def _timezone(environment: Dict[str, str]) -> Optional[str]:
    if environment.get("TZ"):
        return environment["TZ"].lstrip(":")
    target = os.path.realpath("/etc/localtime")
    return target.split("zoneinfo/", 1)[1] if "zoneinfo/" in target else None


def _umask() -> str:
    if os.path.exists("/proc/self/status"):
        with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
            match = re.search(r"^Umask:\s+(\d+)", stream.read(), re.MULTILINE)
        if match:
            return match.group(1)
    mask = os.umask(0o022)
    os.umask(mask)
    return "{:04o}".format(mask)


def _limits() -> JsonObject:
    """Return the soft limits.

    What is unlimited stays out, but for the stack: systems limit that.
    """
    soft: JsonObject = {}
    for name, constant in _LIMITS.items():
        if hasattr(resource, constant):
            value = resource.getrlimit(getattr(resource, constant))[0]
            if value != resource.RLIM_INFINITY:
                soft[name] = value
            elif name == "stack_bytes":
                soft[name] = "unlimited"
    return soft


def _first(environment: Dict[str, str], names: Iterable[str]) -> Optional[str]:
    for name in names:
        if environment.get(name):
            return environment[name]
    return None


def _count_cores() -> Optional[int]:
    """Return how many cores the job may use, where the system tells; else how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _cpu() -> Dict[str, str]:
    """Return what /proc/cpuinfo has of the first processor."""
    fields: Dict[str, str] = {}
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if not line.strip():
                    break
                name, _, value = line.partition(":")
                fields[name.strip()] = value.strip()
    return fields


def _memory_bytes() -> Optional[int]:
    with open("/proc/meminfo", encoding="ascii", errors="replace") as stream:
        match = re.search(r"^MemTotal:\s+(\d+) kB", stream.read(), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else None
