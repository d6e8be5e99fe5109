"""What surrounds a job: variables, operating system, limits, host, container and installed products.

Sources: /etc/os-release, /proc, UPS's SETUP_<PRODUCT> variables, Spack's SPACK_LOADED_HASHES, CVMFS's extended
attributes, the machine ad. What one of them does not tell stays out of the record.
"""

import os
import platform
import re
import resource
import socket

from provenance.capture import excerpts, redaction
from provenance.capture.draft import without_empty

_NAME_AND_VERSION = 2
# where images lie unpacked on CVMFS: singularity.opensciencegrid.org/.images/ab/cdef…, unpacked.cern.ch/.flat/ab/abcdef…
_UNPACKED = re.compile(r"/\.(?:images/([0-9a-f]{2})/|flat/[0-9a-f]{2}/)([0-9a-f]{62}(?:[0-9a-f]{2})?)(?:/|$)")
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


def describe_environment(draft, environment, ad, allowed=()):
    """Return the record's `environment`; where names are allowed, of those variables alone."""
    kept, withheld = redaction.split_environment(environment, allowed)
    return without_empty(
        {
            "variables": {name: kept[name] for name in excerpts.order(kept)},
            "withheld": withheld,
            "container": draft.attempt("container", _container, environment, ad),
            "os": draft.attempt("operating system", _system),
            "locale": environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or "C",
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


def _container(environment, ad):
    image = (
        environment.get("APPTAINER_CONTAINER")
        or environment.get("SINGULARITY_CONTAINER")
        or environment.get("APPTAINER_NAME")
        or ad.get("SingularityImage")
    )
    inside = os.path.exists("/.singularity.d") or os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
    if not image or not (inside or environment.get("APPTAINER_CONTAINER") or environment.get("SINGULARITY_CONTAINER")):
        return None
    resolved = os.path.realpath(image) if image.startswith("/") else None
    told = re.search(r"sha256:([0-9a-f]{64})", image) or _UNPACKED.search(resolved or "")
    return without_empty(
        {
            "image": image,
            "resolved_path": resolved,
            "digest": "sha256:" + "".join(group or "" for group in told.groups()) if told else None,
            "root_hash": _attribute(resolved, "user.root_hash")
            if resolved and resolved.startswith("/cvmfs/")
            else None,
        }
    )


def describe_host(draft, environment, machine):
    """Return the record's `host`."""
    cpu = draft.attempt("cpu", _cpu) or {}
    fields = {
        "hostname": socket.gethostname() or None,
        "facility": environment.get("GLIDEIN_Entry_Name") or machine.get("GLIDEIN_Entry_Name"),
        "site": machine.get("GLIDEIN_Site") or _first(environment, _SITES),
        "slot": machine.get("Name") or environment.get("_CONDOR_SLOT"),
        "cpu_model": cpu.get("model name"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": draft.attempt("memory", _memory),
    }
    if cpu.get("flags"):
        fields["cpu_flags_sha256"] = draft.add_bytes(("\n".join(sorted(set(cpu["flags"].split()))) + "\n").encode())
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


def list_products(environment):
    """Return software entries of set-up UPS products, loaded Spack packages and CVMFS repositories in use."""
    return _ups(environment) + _spack(environment) + _cvmfs(environment)


def _ups(environment):
    """Read SETUP_X="x v1_2 -f flavor -z path -q e26:prof", as UPS writes it (with escaped blanks)."""
    entries = []
    for name in sorted(environment):
        words = environment[name].replace("\\ ", " ").split() if name.startswith("SETUP_") else []
        if len(words) < _NAME_AND_VERSION or words[0].upper() != name[6:].upper():
            continue
        flags = dict(zip(words[2::2], words[3::2]))  # noqa: B905 - 3.6 has no strict
        product = {
            "manager": "ups",
            "version": words[1],
            "qualifiers": flags.get("-q"),
            "prefix": environment.get(name[6:] + "_DIR") or environment.get(name[6:] + "_FQ_DIR"),
        }
        entries.append({"name": words[0], "evidence": "declared", "product": without_empty(product)})
    return entries


def _spack(environment):
    hashes = [item for item in re.split(r"[:;\s]+", environment.get("SPACK_LOADED_HASHES", "")) if item]
    return [{"name": item, "evidence": "declared", "product": {"manager": "spack", "version": item}} for item in hashes]


def _cvmfs(environment):
    used = set()
    for value in environment.values():
        used.update(re.findall(r"/cvmfs/([A-Za-z0-9.-]+\.[A-Za-z0-9.-]+)", value))
    entries = []
    for repository in sorted(used):
        prefix = "/cvmfs/" + repository
        product = {"manager": "cvmfs", "prefix": prefix, "version": _attribute(prefix, "user.revision")}
        product["root_hash"] = _attribute(prefix, "user.root_hash")
        if product["version"]:
            entries.append({"name": repository, "evidence": "observed", "product": without_empty(product)})
    return entries


def _attribute(path, name):
    try:
        return os.getxattr(path, name).decode("ascii", "replace").strip() or None
    except (OSError, AttributeError):
        return None
