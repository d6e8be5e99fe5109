"""Installed products that a job uses: of UPS, Spack and its environments, Mu2e's Muse, CVMFS.

Sources: UPS's SETUP_<PRODUCT> variables (`ups active` prints the same); Spack's
SPACK_LOADED_HASHES, install prefixes (`…/NAME-VERSION-HASH` with 32 letters of base32) and their
`.spack/spec.json`, SPACK_ENV with `spack.lock` and `spack.yaml` (spack.environment); the variables
of `muse setup`, with the builds that one is based on in MUSE_BACKING; CVMFS's extended attributes.
"""

import json
import os
import re
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.files.regular import attribute
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import Entry

_UPS_VARIABLE = "SETUP_"
_NAME_AND_VERSION = 2
_PREFIX = re.compile(
    r"(?:^|(?<=[:;=]))"
    r"(/[^:;=]*?/([A-Za-z0-9][A-Za-z0-9_.-]*?)-([^-/:;]+)-([a-z2-7]{32}))(?=[/:;]|$)"
)
_MUSING = re.compile(r"(/\S+/Musings/([^/\s]+)/([^/\s]+))/?")
_REPOSITORY = re.compile(r"/cvmfs/([A-Za-z0-9.-]+\.[A-Za-z0-9.-]+)")
_SHORTEST_HASH = 7  # characters, as Spack shortens them
_LARGEST_LOCK, _LARGEST_SPEC, _MOST_PACKAGES = 16 << 20, 4 << 20, 2000


def list_products(
    draft: Draft, environment: Dict[str, str], words: Sequence[str] = ()
) -> List[Entry]:
    """Return software entries of all of them.

    `words` is the command line, which may name CVMFS repositories too.
    """
    entries = list_ups(environment)
    entries += draft.attempt("spack", list_spack, draft, environment) or []
    entries += list_muse(environment)
    return entries + list_cvmfs([*environment.values(), *words])


def list_ups(environment: Dict[str, str]) -> List[Entry]:
    """Read SETUP_X="x v1_2 -f flavor -z path -q e26:prof" of UPS, with escaped blanks."""
    entries = []
    for variable in sorted(environment):
        if not variable.startswith(_UPS_VARIABLE):
            continue
        name = variable[len(_UPS_VARIABLE) :]
        words = environment[variable].replace("\\ ", " ").split()
        if len(words) < _NAME_AND_VERSION or words[0].upper() != name.upper():
            continue
        flags = dict(zip(words[2::2], words[3::2]))  # noqa: B905 - 3.6 has no strict
        product = {
            "manager": "ups",
            "version": words[1],
            "qualifiers": flags.get("-q"),
            "prefix": environment.get(name + "_DIR") or environment.get(name + "_FQ_DIR"),
        }
        entries.append(
            {"name": words[0], "evidence": "declared", "product": without_empty(product)}
        )
    return entries


def list_muse(environment: Dict[str, str]) -> List[Entry]:
    """Read Muse's published builds, `…/Musings/SimJob/MDC2020z`; a build of one's own is code."""
    entries = []
    folders = [environment.get("MUSE_WORK_DIR", ""), *environment.get("MUSE_BACKING", "").split()]
    for musing in filter(None, map(_MUSING.fullmatch, dict.fromkeys(folders))):
        product = {
            "manager": "muse",
            "version": musing.group(3),
            "qualifiers": environment.get("MUSE_STUB"),
            "prefix": musing.group(1),
        }
        entries.append(
            {"name": musing.group(2), "evidence": "declared", "product": without_empty(product)}
        )
    return entries


def list_spack(draft: Draft, environment: Dict[str, str]) -> List[Entry]:
    """Return the packages of the active environment's lock, and loaded ones.

    The lock itself is kept.
    """
    prefixes = _spack_prefixes(environment)
    packages = _read_lock(draft, environment.get("SPACK_ENV"))
    for short in re.split(r"[:;\s]+", environment.get("SPACK_LOADED_HASHES", "")):
        # A package of the lock is listed already
        if len(short) >= _SHORTEST_HASH and _whole_hash(short, packages) is None:
            whole = _whole_hash(short, prefixes) or short
            packages[whole] = _describe_installed(prefixes.get(whole))
    return _spack_entries(packages, prefixes)[:_MOST_PACKAGES]


def _spack_entries(
    packages: Dict[str, Entry], prefixes: Dict[str, Tuple[str, str, str]]
) -> List[Entry]:
    """Return the entries of packages by name, and by hash where they share one."""
    entries = []
    for whole in sorted(packages, key=lambda whole: (packages[whole].get("name") or "", whole)):
        package = packages[whole]
        prefix = package.get("prefix")
        if not prefix and whole in prefixes:
            prefix = prefixes[whole][0]
        product = {
            "manager": "spack",
            "version": package.get("version") or whole,
            "root_hash": whole,
            "prefix": prefix,
        }
        name = package.get("name") or whole
        entries.append({"name": name, "evidence": "declared", "product": without_empty(product)})
    return entries


def list_cvmfs(texts: Iterable[str]) -> List[Entry]:
    """Return the CVMFS repositories named in some texts, those with a readable revision."""
    repositories: Set[str] = set()
    for text in texts:
        repositories.update(_REPOSITORY.findall(text))
    entries = []
    for repository in sorted(repositories):
        prefix = "/cvmfs/" + repository
        product = {
            "manager": "cvmfs",
            "prefix": prefix,
            "version": attribute(prefix, "user.revision"),
            "root_hash": attribute(prefix, "user.root_hash"),
        }
        if product["version"]:
            entries.append(
                {"name": repository, "evidence": "observed", "product": without_empty(product)}
            )
    return entries


def _spack_prefixes(environment: Dict[str, str]) -> Dict[str, Tuple[str, str, str]]:
    """Return {hash: (prefix, name, version)} of the install prefixes that variables name."""
    prefixes: Dict[str, Tuple[str, str, str]] = {}
    for value in environment.values():
        for prefix, name, version, whole in _PREFIX.findall(value):
            prefixes.setdefault(whole, (prefix, name, version))
    return prefixes


def _whole_hash(short: str, hashes: Iterable[str]) -> Optional[str]:
    """Return the first hash that begins with a short one, or None."""
    for whole in hashes:
        if whole.startswith(short):
            return whole
    return None


def _describe_installed(place: Optional[Tuple[str, str, str]]) -> Entry:
    """Return name, version and prefix of an installed package.

    By its own spec.json, else by the folder's name.
    """
    if place is None:
        return {}
    prefix, name, version = place
    path = os.path.join(prefix, ".spack", "spec.json")
    try:
        package = json.loads(_read(path, _LARGEST_SPEC).decode("utf-8"))["spec"]["nodes"][0]
        return {"name": package["name"], "version": str(package["version"]), "prefix": prefix}
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return {"name": name, "version": version, "prefix": prefix}


def _read_lock(draft: Draft, folder: Optional[str]) -> Dict[str, Entry]:
    """Return {hash: {name, version, prefix}} of an environment's lock.

    It is kept with its manifest in `extra.spack`.
    """
    if not folder or not os.path.isdir(folder):
        return {}
    kept, lock = {"environment": folder}, b"{}"
    for name in ("spack.yaml", "spack.lock"):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            content = _read(path, _LARGEST_LOCK)
            kept[name[6:] + "_sha256"] = draft.add_text(content, path)
            if name == "spack.lock":
                lock = content
    draft.record.setdefault("extra", {})["spack"] = kept
    packages = {}
    for whole, spec in (json.loads(lock.decode("utf-8")).get("concrete_specs") or {}).items():
        version = spec.get("version")
        fields = {
            "name": spec.get("name"),
            "version": None if version is None else str(version),
            "prefix": (spec.get("external") or {}).get("path"),
        }
        packages[whole] = without_empty(fields)
    return packages


def _read(path: str, limit: int) -> bytes:
    if os.path.getsize(path) > limit:
        raise ValueError("{} is larger than {} bytes".format(path, limit))
    with open(path, "rb") as stream:
        return stream.read()
