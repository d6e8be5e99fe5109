"""Bodies of sealed segments that were written anew without some entries.

Their form, and how they are found.

Such a body lies beside the place of the first one, `ledger/EXPERIMENT/00000001-DIGEST-0001.body`,
and counts up each time. Its first line is JSON and says where its frames begin, since the head,
which never changes, says so of the first body alone. In a frame an erased entry keeps its place and
its submitter; salt and bytes are gone, and a length that no entry has says so.
"""

import hashlib
import json
from collections.abc import Sequence

from jobprov.archive.store import Store

ERASED_LENGTH = 0xFFFFFFFF
"""The length of an erased entry; a record is 8 MiB at most."""
NO_SALT = bytes(16)
_SUFFIX = ".body"


def rewritten_names(store: Store, name: str) -> list[str]:
    """Return the documents that were written anew in the place of the body `name`, oldest first."""
    return list(store.documents(f"{name.removesuffix(_SUFFIX)}-"))


def find_rewritten(store: Store, name: str) -> str | None:
    """Return the newest document that stands in the place of the body `name`.

    None where there is none.
    """
    names = rewritten_names(store, name)
    return names[-1] if names else None


def next_name(store: Store, name: str) -> str:
    """Return the name of the next document in the place of the body `name`."""
    newest = find_rewritten(store, name)
    number = int(newest.removesuffix(_SUFFIX)[-4:]) + 1 if newest else 1
    return f"{name.removesuffix(_SUFFIX)}-{number:04d}{_SUFFIX}"


def first_name(name: str) -> str:
    """Return the name of the first body in whose place this document stands.

    For a first body, that is its own name.
    """
    stem = name.removesuffix(_SUFFIX)
    return f"{stem.rpartition('-')[0]}{_SUFFIX}" if stem.rpartition("/")[2].count("-") > 1 else name


def write_rewritten(frames: Sequence[int], body: bytes) -> bytes:
    """Return the document of a body that was written anew."""
    head = {"version": 1, "frames": list(frames), "frames_sha256": hashlib.sha256(body).hexdigest()}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + body


def read_rewritten(document: bytes) -> tuple[list[int], bytes]:
    """Return where the frames begin, and the frames.

    Raises:
        ValueError: the document is none, or damaged.
    """
    line, _, body = document.partition(b"\n")
    try:
        head = json.loads(line)
        frames, sha256 = [int(start) for start in head["frames"]], head["frames_sha256"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("it is no body") from None
    if hashlib.sha256(body).hexdigest() != sha256:
        raise ValueError("its bytes changed")
    return frames, body
