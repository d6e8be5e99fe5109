"""The container image that a job runs in: around the hook, else the one that its command starts.

Sources: APPTAINER_* and SINGULARITY_* variables, the ad's SingularityImage, places of unpacked
images on CVMFS, `/run/.containerenv` of podman (containers-common), container folders in
/proc/self/mountinfo, `apptainer exec IMAGE COMMAND`.
"""

import os
import re
from typing import Dict, Optional, Sequence

from jobprov.provenance.capture.files.hashing import Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.regular import attribute
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import ClassAd, Entry

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
# Where images lie unpacked on CVMFS: singularity.opensciencegrid.org/.images/ab/cdef…,
# unpacked.cern.ch/.flat/ab/abcdef….
_UNPACKED = re.compile(
    r"/\.(?:images/([0-9a-f]{2})/|flat/[0-9a-f]{2}/)([0-9a-f]{62}(?:[0-9a-f]{2})?)(?:/|$)"
)
_VARIABLES = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "APPTAINER_NAME")
_MARKS = ("/.singularity.d", "/.dockerenv", "/run/.containerenv")
_STARTERS = frozenset(["apptainer", "singularity"])
_ACTIONS = frozenset(["exec", "run", "test", "shell"])
_ADDRESS = re.compile(r"^(?:docker|oras|library|shub|oci|instance)://\S")
_FOLDER = re.compile(r"/(?:docker/containers|overlay-containers)/([0-9a-f]{64})/")
_SIF = b"SIF_MAGIC"  # at byte 32, behind the line that launches it
_HEAD_BYTES = 64


def describe_container(
    environment: Dict[str, str], ad: ClassAd, words: Sequence[str] = ()
) -> Optional[Entry]:
    """Return the record's `environment.container`, or None; `words` is the command line."""
    image = _named_image(environment)
    podman: Dict[str, str] = {}
    container_id = None
    if any(os.path.exists(mark) for mark in _MARKS):
        podman = _podman()
        container_id = _container_id()
        if image is None:
            image = podman.get("image") or ad.get("SingularityImage")
    image = image or _started(words)
    if not image:
        return {"id": container_id} if container_id else None
    path = _resolved(image)
    fields = {
        "image": image,
        "resolved_path": path,
        "digest": _digest(image, path or ""),
        "root_hash": _root_hash(path),
        "id": container_id,
        "image_id": podman.get("imageid"),
    }
    return without_empty(fields)


def _resolved(image: str) -> Optional[str]:
    """Return the real path of an image that is a file or folder; None of an address or name."""
    if image.startswith("/") or os.path.exists(image):
        return os.path.realpath(image)
    return None


def _root_hash(path: Optional[str]) -> Optional[str]:
    """Return the hash that CVMFS gives the catalog in which an image lies; None elsewhere."""
    if path is None or not path.startswith("/cvmfs/"):
        return None
    return attribute(path, "user.root_hash")


def image_file_digest(container: Entry, clock: Clock) -> Optional[str]:
    """Return `sha256:…` of an image that is one file (SIF) and has no digest yet.

    None where it is none, or no time is left.
    """
    path = container.get("resolved_path")
    if not path or container.get("digest") or not os.path.isfile(path):
        return None
    with open(path, "rb") as stream:
        if _SIF not in stream.read(_HEAD_BYTES):
            return None
    try:
        return "sha256:" + hash_file(path, clock)[1]
    except OutOfTimeError:
        return None


def _named_image(environment: Dict[str, str]) -> Optional[str]:
    for name in _VARIABLES:
        if environment.get(name):
            return environment[name]
    return None


def _digest(image: str, path: str) -> Optional[str]:
    """Return the digest that stands in an image's name, or in the place where it lies unpacked."""
    match = _DIGEST.search(image) or _UNPACKED.search(path)
    return "sha256:" + "".join(match.groups("")) if match else None


def _started(words: Sequence[str]) -> Optional[str]:
    """Return the image that a command line starts.

    The first word behind `exec` that is a file, folder or address.
    """
    for place, word in enumerate(words[:-1]):
        if os.path.basename(word) in _STARTERS:
            rest = iter(words[place + 1 :])
            while next(rest, "exec") not in _ACTIONS:
                pass
            for candidate in rest:
                if not candidate.startswith("-") and _is_image(candidate):
                    return candidate
            return None
    return None


def _is_image(word: str) -> bool:
    if _ADDRESS.match(word):
        return True
    return os.path.exists(word) and ("/" in word or word.endswith((".sif", ".img", ".simg")))


def _podman() -> Dict[str, str]:
    """Return what podman tells inside a container, where it tells anything."""
    try:
        with open("/run/.containerenv", encoding="utf-8", errors="replace") as stream:
            return dict(re.findall(r"^(\w+)=\"([^\"\n]+)\"$", stream.read(65536), re.MULTILINE))
    except OSError:
        return {}


def _container_id() -> Optional[str]:
    """Return the id that docker or podman gave the container, or None.

    Files of its folder are mounted in it.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
            match = _FOLDER.search(stream.read(1 << 20))
    except OSError:
        return None
    return match.group(1) if match else None
