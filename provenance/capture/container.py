"""The container image that a job runs in: that around the hook, else the one that its command starts.

Sources: APPTAINER_* and SINGULARITY_* variables, the ad's SingularityImage, places of unpacked
images on CVMFS, `/run/.containerenv` of podman (containers-common), container folders in
/proc/self/mountinfo, `apptainer exec IMAGE COMMAND`.
"""

import os
import re

from jobprov.provenance.capture.draft import without_empty
from jobprov.provenance.capture.hashing import OutOfTimeError, hash_file
from jobprov.provenance.capture.products import attribute

# where images lie unpacked on CVMFS: singularity.opensciencegrid.org/.images/ab/cdef…,
# unpacked.cern.ch/.flat/ab/abcdef…
_UNPACKED = re.compile(
    r"/\.(?:images/([0-9a-f]{2})/|flat/[0-9a-f]{2}/)([0-9a-f]{62}(?:[0-9a-f]{2})?)(?:/|$)"
)
_VARIABLES = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "APPTAINER_NAME")
_MARKS = ("/.singularity.d", "/.dockerenv", "/run/.containerenv")
_STARTERS = frozenset(["apptainer", "singularity"])
_ACTIONS = frozenset(["exec", "run", "test", "shell"])
_FOLDER = re.compile(r"/(?:docker/containers|overlay-containers)/([0-9a-f]{64})/")
_SIF = b"SIF_MAGIC"  # at byte 32, behind the line that launches it
_HEAD_BYTES = 64


def describe_container(environment, ad, words=()):
    """Return the record's `environment.container`, or None; `words` is the command line."""
    image = next((environment[name] for name in _VARIABLES if environment.get(name)), None)
    is_inside = any(os.path.exists(mark) for mark in _MARKS)
    told = _podman() if is_inside else {}
    if image is None and is_inside:
        image = told.get("image") or ad.get("SingularityImage")
    container_id = _container_id() if is_inside else None
    image = image or _started(words)
    if not image:
        return {"id": container_id} if container_id else None
    resolved = os.path.realpath(image) if image.startswith("/") or os.path.exists(image) else None
    named = re.search(r"sha256:([0-9a-f]{64})", image) or _UNPACKED.search(resolved or "")
    return without_empty(
        {
            "image": image,
            "resolved_path": resolved,
            "digest": "sha256:" + "".join(group or "" for group in named.groups())
            if named
            else None,
            "root_hash": attribute(resolved, "user.root_hash")
            if (resolved or "").startswith("/cvmfs/")
            else None,
            "id": container_id,
            "image_id": told.get("imageid"),
        }
    )


def image_file_digest(container, clock):
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


def _started(words):
    """Return the image that a command line starts.

    The first word behind `exec` that is a file, a folder or an address.
    """
    for place, word in enumerate(words[:-1]):
        if os.path.basename(word) in _STARTERS:
            rest = list(words[place + 1 :])
            while rest and rest.pop(0) not in _ACTIONS:
                pass
            return next(
                (item for item in rest if not item.startswith("-") and _is_image(item)), None
            )
    return None


def _is_image(word):
    is_address = re.match(r"^(?:docker|oras|library|shub|oci|instance)://\S", word)
    return bool(is_address) or (
        os.path.exists(word) and ("/" in word or word.endswith((".sif", ".img", ".simg")))
    )


def _podman():
    """Return what podman says of a container in it, where it says anything."""
    try:
        with open("/run/.containerenv", encoding="utf-8", errors="replace") as stream:
            return dict(re.findall(r"^(\w+)=\"([^\"\n]+)\"$", stream.read(65536), re.MULTILINE))
    except OSError:
        return {}


def _container_id():
    """Return the id that docker or podman gave the container, or None.

    Files of its folder are mounted in it.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
            found = _FOLDER.search(stream.read(1 << 20))
    except OSError:
        return None
    return found.group(1) if found else None
