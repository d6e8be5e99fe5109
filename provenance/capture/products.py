"""Installed products that a job uses: set-up UPS products, Spack packages and environments, CVMFS repositories.

Sources: UPS's SETUP_<PRODUCT> variables (`ups active` prints the same); Spack's
SPACK_LOADED_HASHES, install prefixes (`…/NAME-VERSION-HASH` with 32 letters of base32) and their
`.spack/spec.json`, SPACK_ENV with `spack.lock` and `spack.yaml` (spack.environment); CVMFS's
extended attributes.
"""

import json
import os
import re

from jobprov.provenance.capture.draft import without_empty

_NAME_AND_VERSION = 2
_PREFIX = re.compile(
    r"(?:^|(?<=[:;=]))(/[^:;]*?/([A-Za-z0-9][A-Za-z0-9_.-]*?)-([^-/:;]+)-([a-z2-7]{32}))(?=[/:;]|$)"
)
_REPOSITORY = re.compile(r"/cvmfs/([A-Za-z0-9.-]+\.[A-Za-z0-9.-]+)")
_SHORTEST_HASH = 7  # characters, as Spack shortens them
_LARGEST_LOCK, _LARGEST_SPEC, _MOST_PACKAGES = 16 << 20, 4 << 20, 2000


def list_products(draft, environment, words=()):
    """Return software entries of all of them.

    `words` is the command line, which may name CVMFS repositories too.
    """
    found = list_ups(environment)
    found += draft.attempt("spack", list_spack, draft, environment) or []
    return found + list_cvmfs([*environment.values(), *words])


def list_ups(environment):
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
        entries.append(
            {"name": words[0], "evidence": "declared", "product": without_empty(product)}
        )
    return entries


def list_spack(draft, environment):
    """Return the packages of the active environment's lock, and loaded ones.

    The lock itself is kept.
    """
    prefixes = _spack_prefixes(environment)
    packages = _read_lock(draft, environment.get("SPACK_ENV"))
    for short in re.split(r"[:;\s]+", environment.get("SPACK_LOADED_HASHES", "")):
        if len(short) >= _SHORTEST_HASH and not any(whole.startswith(short) for whole in packages):
            whole = next((known for known in prefixes if known.startswith(short)), short)
            packages[whole] = _described(prefixes.get(whole))
    entries = []
    for whole in sorted(packages, key=lambda known: (packages[known].get("name") or "", known))[
        :_MOST_PACKAGES
    ]:
        found = packages[whole]
        product = {"manager": "spack", "version": found.get("version") or whole, "root_hash": whole}
        product["prefix"] = found.get("prefix") or prefixes.get(whole, (None,))[0]
        entries.append(
            {
                "name": found.get("name") or whole,
                "evidence": "declared",
                "product": without_empty(product),
            }
        )
    return entries


def list_cvmfs(texts):
    """Return the CVMFS repositories that stand in some texts, those whose revision can be read."""
    used = set()
    for text in texts:
        used.update(_REPOSITORY.findall(text))
    entries = []
    for repository in sorted(used):
        prefix = "/cvmfs/" + repository
        product = {
            "manager": "cvmfs",
            "prefix": prefix,
            "version": attribute(prefix, "user.revision"),
        }
        product["root_hash"] = attribute(prefix, "user.root_hash")
        if product["version"]:
            entries.append(
                {"name": repository, "evidence": "observed", "product": without_empty(product)}
            )
    return entries


def attribute(path, name):
    """Return an extended attribute of a file as text, or None."""
    try:
        return os.getxattr(path, name).decode("ascii", "replace").strip() or None
    except (OSError, AttributeError):
        return None


def _spack_prefixes(environment):
    """Return {hash: (prefix, name, version)} of the install prefixes that variables name."""
    found = {}
    for value in environment.values():
        for prefix, name, version, whole in _PREFIX.findall(value):
            found.setdefault(whole, (prefix, name, version))
    return found


def _described(place):
    """Return name, version and prefix of an installed package.

    By its own spec.json, else by the folder's name.
    """
    if place is None:
        return {}
    prefix, name, version = place
    path = os.path.join(prefix, ".spack", "spec.json")
    try:
        nodes = json.loads(_read(path, _LARGEST_SPEC).decode("utf-8"))["spec"]["nodes"]
        return {"name": nodes[0]["name"], "version": str(nodes[0]["version"]), "prefix": prefix}
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return {"name": name, "version": version, "prefix": prefix}


def _read_lock(draft, folder):
    """Return {hash: {name, version, prefix}} of an environment's lock, and keep it with its manifest in `extra.spack`."""
    if not folder or not os.path.isdir(folder):
        return {}
    kept, content = {"environment": folder}, b""
    for name in ("spack.yaml", "spack.lock"):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            content = _read(path, _LARGEST_LOCK)
            kept[name[6:] + "_sha256"] = draft.add_text(content, path)
    draft.record.setdefault("extra", {})["spack"] = kept
    specs = (
        json.loads(content.decode("utf-8")).get("concrete_specs") or {}
        if "lock_sha256" in kept
        else {}
    )
    return {
        whole: without_empty(
            {
                "name": spec.get("name"),
                "version": None if spec.get("version") is None else str(spec["version"]),
                "prefix": (spec.get("external") or {}).get("path"),
            }
        )
        for whole, spec in specs.items()
    }


def _read(path, limit):
    if os.path.getsize(path) > limit:
        raise ValueError("{} is larger than {} bytes".format(path, limit))
    with open(path, "rb") as stream:
        return stream.read()
