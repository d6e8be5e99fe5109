"""What surrounds a job: variables, operating system, limits and host.

Sources: /etc/os-release, /proc, the machine ad. What one of them does not tell stays out of the
record.
"""

import os
import platform
import re
import resource
import socket

from jobprov.provenance.capture import excerpts, redaction
from jobprov.provenance.capture.draft import without_empty

_SITES = ("GLIDEIN_Site", "GLIDEIN_DUNESite", "JUSTIN_SITE_NAME")
_LIMITS = {
    "stack_bytes": "RLIMIT_STACK",
    "address_space_bytes": "RLIMIT_AS",
    "file_size_bytes": "RLIMIT_FSIZE",
    "cpu_seconds": "RLIMIT_CPU",
    "open_files": "RLIMIT_NOFILE",
    "core_bytes": "RLIMIT_CORE",
    "processes": "RLIMIT_NPROC",
}


def describe_environment(draft, environment, allowed=()):
    """Return the record's `environment`; where names are allowed, of those variables alone."""
    kept, withheld = redaction.split_environment(environment, allowed)
    return without_empty(
        {
            "variables": {name: kept[name] for name in excerpts.order(kept)},
            "withheld": withheld,
            "os": draft.attempt("operating system", _system),
            "locale": environment.get("LC_ALL")
            or environment.get("LC_CTYPE")
            or environment.get("LANG")
            or "C",
            "timezone": draft.attempt("time zone", _timezone, environment),
            "umask": draft.attempt("umask", _umask),
            "limits": draft.attempt("limits", _limits),
        }
    )


def _system():
    fields = {}
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as stream:
                fields = dict(line.strip().split("=", 1) for line in stream if "=" in line)
            break
    return without_empty(
        {
            "id": fields.get("ID", "").strip("\"'") or None,
            "version": fields.get("VERSION_ID", "").strip("\"'") or None,
            "kernel": platform.release() or None,
            "libc": _libc(),
        }
    )


def _libc():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError, AttributeError):
        return None


def _timezone(environment):
    if environment.get("TZ"):
        return environment["TZ"].lstrip(":")
    target = os.path.realpath("/etc/localtime")
    return target.split("zoneinfo/", 1)[1] if "zoneinfo/" in target else None


def _umask():
    if os.path.exists("/proc/self/status"):
        with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
            match = re.search(r"^Umask:\s+(\d+)", stream.read(), re.MULTILINE)
        if match:
            return match.group(1)
    mask = os.umask(0o022)
    os.umask(mask)
    return "{:04o}".format(mask)


def _limits():
    soft = {}
    for name, constant in _LIMITS.items():
        if hasattr(resource, constant):
            value = resource.getrlimit(getattr(resource, constant))[0]
            if value != resource.RLIM_INFINITY:
                soft[name] = value
    return soft


def describe_host(draft, environment, machine):
    """Return the record's `host`."""
    cpu = draft.attempt("cpu", _cpu) or {}
    fields = {
        "hostname": socket.gethostname() or None,
        "facility": environment.get("GLIDEIN_Entry_Name") or machine.get("GLIDEIN_Entry_Name"),
        "site": machine.get("GLIDEIN_Site") or _first(environment, _SITES),
        "slot": machine.get("Name") or environment.get("_CONDOR_SLOT"),
        "cpu_model": cpu.get("model name"),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_bytes": draft.attempt("memory", _memory),
    }
    if cpu.get("flags"):
        fields["cpu_flags_sha256"] = draft.add_bytes(
            ("\n".join(sorted(set(cpu["flags"].split()))) + "\n").encode()
        )
    return without_empty({name: value or None for name, value in fields.items()})


def _first(environment, names):
    return next((environment[name] for name in names if environment.get(name)), None)


def _cpu():
    fields = {}
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if not line.strip():
                    break
                name, _, value = line.partition(":")
                fields[name.strip()] = value.strip()
    return fields


def _memory():
    with open("/proc/meminfo", encoding="ascii", errors="replace") as stream:
        match = re.search(r"^MemTotal:\s+(\d+) kB", stream.read(), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else None
