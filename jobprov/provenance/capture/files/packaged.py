"""Which installed package owns a file, and whether the file is still as the package brought it.

What a package brought is public: rules for secrets find made-up ones in it (`passwd='cadaver'` in
Python's urllib). Asked only of files in which a rule found something.

Sources: dpkg's `info/*.list`, `info/*.md5sums` and Conffiles in `status`; `rpm -q --dump`; RECORD
of wheels (PEP 376, base64 without padding); conda-meta/*.json; the content hash that CVMFS gives a
published file. The standard library of a Python that was built by hand has no such list: there a
file counts that is as old as the library's os.py.
"""

import base64
import glob
import hashlib
import json
import os
import re
from typing import Optional

from jobprov.provenance.capture.asking import ask
from jobprov.provenance.capture.files.regular import attribute

_DPKG = "/var/lib/dpkg"
_RPM = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_SITE = re.compile(r"^(.*/(?:site|dist)-packages)/(.+)$")
_LIBRARY = re.compile(r"^(.*/lib(?:64)?/(?:python|pypy)\d[\d.]*)/(.+)$")
_LARGEST, _RPM_SECONDS = 64 << 20, 5
_SAME_INSTALLATION_SECONDS = 3600


def owner_of(path: str) -> Optional[str]:
    """Return which package brought a file as it is now (`dpkg base-files`), or None.

    Raises OSError.
    """
    if os.path.getsize(path) > _LARGEST:
        return None
    if path.startswith("/cvmfs/"):
        return "cvmfs" if attribute(path, "user.hash") else None
    content = _read(path)
    return (
        _in_dpkg(path, content)
        or _in_rpm(path, content)
        or _in_wheel(path, content)
        or _in_conda(path, content)
        or _in_python(path)
    )


def _in_dpkg(path: str, content: bytes) -> Optional[str]:
    # where /lib is a link to /usr/lib, a package may have either name
    for name in (path, re.sub("^/usr/", "/", path)):
        line = os.fsencode("\n{}\n".format(name))
        for listing in glob.glob(_DPKG + "/info/*.list"):
            if line in b"\n" + _read(listing):
                digest = _dpkg_digest(listing[: -len(".list")] + ".md5sums", name)
                # Of a few packages dpkg has no digests; configuration always has one
                is_whole = digest is None and not name.startswith("/etc/")
                if is_whole or digest == hashlib.md5(content).hexdigest():  # noqa: S324 - dpkg's
                    return "dpkg " + os.path.basename(listing)[: -len(".list")]
    return None


def _dpkg_digest(listing: str, name: str) -> Optional[str]:
    """Return the digest that dpkg has of a file: of its package, or of a configuration file."""
    if os.path.isfile(listing):
        word = re.escape(os.fsencode(name[1:]))
        found = re.search(rb"^([0-9a-f]{32})  " + word + rb"$", _read(listing), re.MULTILINE)
        if found:
            return found.group(1).decode()
    word = re.escape(os.fsencode(name))
    found = re.search(rb"^ " + word + rb" ([0-9a-f]{32})", _read(_DPKG + "/status"), re.MULTILINE)
    return found.group(1).decode() if found else None


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _in_rpm(path: str, content: bytes) -> Optional[str]:
    if not any(map(os.path.isdir, _RPM)):
        return None
    told = ask(["rpm", "-q", "--dump", "-f", path], _RPM_SECONDS) or ""
    digests = (hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest())  # noqa: S324
    for line in told.split("\n"):
        # path, size, time and digest; a name may hold blanks
        head = "{} {} ".format(path, len(content))
        if line.startswith(head) and line[len(head) :].split()[1] in digests:
            return "rpm"
    return None


def _in_wheel(path: str, content: bytes) -> Optional[str]:
    site = _SITE.match(path)
    if site is None:
        return None
    folder, name = site.groups()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    line = os.fsencode("{},sha256={},".format(name, digest))
    for record in glob.glob(glob.escape(folder) + "/*.dist-info/RECORD"):
        if line in _read(record):
            return "wheel " + record.split("/")[-2][: -len(".dist-info")]
    return None


def _in_conda(path: str, content: bytes) -> Optional[str]:
    prefix = os.path.dirname(path)
    while not os.path.isdir(os.path.join(prefix, "conda-meta")):
        if prefix == os.path.dirname(prefix):
            return None
        prefix = os.path.dirname(prefix)
    name, digest = path[len(prefix) + 1 :], hashlib.sha256(content).hexdigest()
    for listing in glob.glob(glob.escape(prefix) + "/conda-meta/*.json"):
        text = _read(listing)
        if digest.encode() not in text:
            continue
        for entry in json.loads(text.decode("utf-8"))["paths_data"]["paths"]:
            if entry["_path"] == name and digest in (
                entry.get("sha256_in_prefix"),
                entry.get("sha256"),
            ):
                return "conda " + os.path.basename(listing)[: -len(".json")]
    return None


def _in_python(path: str) -> Optional[str]:
    library = _LIBRARY.match(path)
    if library is None or _SITE.match(path):
        return None
    os_py = os.path.join(library.group(1), "os.py")
    if not os.path.isfile(os_py):
        return None
    age = os.stat(path).st_mtime - os.stat(os_py).st_mtime
    if abs(age) > _SAME_INSTALLATION_SECONDS:
        return None
    return os.path.basename(library.group(1))
