"""Bodies of sealed segments that were rewritten without erased entries: their form and names.

A rewritten body is named after the first one, `ledger/EXPERIMENT/00000001-DIGEST-0001.body`, and
each rewriting counts up. Its first line is JSON with the offsets of its frames, because the head,
which never changes, has only those of the first body. In a frame, an erased entry keeps its place
and its submitter; its salt and bytes are gone, and a length that no entry can have marks it.
"""

import hashlib
import json
from collections.abc import Sequence

from jobprov.archive.store import Store

ERASED_LENGTH = 0xFFFFFFFF
"""Marks an erased entry: no entry is that long, since a record has at most 8 MiB."""
NO_SALT = bytes(16)
_SUFFIX = ".body"


def rewritten_names(store: Store, name: str) -> list[str]:
    """Return the names of the documents that rewrote the first body `name`, oldest first."""
    return list(store.documents(f"{name.removesuffix(_SUFFIX)}-"))


def find_rewritten(store: Store, name: str) -> str | None:
    """Return the name of the newest document that rewrote the first body `name`, or None."""
    names = rewritten_names(store, name)
    return names[-1] if names else None


def next_name(store: Store, name: str) -> str:
    """Return the name for the next document that rewrites the first body `name`."""
    newest = find_rewritten(store, name)
    number = 1
    if newest is not None:
        number = int(newest.removesuffix(_SUFFIX)[-4:]) + 1
    return f"{name.removesuffix(_SUFFIX)}-{number:04d}{_SUFFIX}"


def first_name(name: str) -> str:
    """Return the name of the first body that this document rewrote; a first body's own name."""
    stem = name.removesuffix(_SUFFIX)
    # 00000001-DIGEST is a first body, 00000001-DIGEST-0001 a rewritten one
    is_rewritten = stem.rpartition("/")[2].count("-") > 1
    if not is_rewritten:
        return name
    first_stem, _, _ = stem.rpartition("-")
    return f"{first_stem}{_SUFFIX}"


def write_rewritten(frames: Sequence[int], body: bytes) -> bytes:
    """Return the document of a rewritten body."""
    head = {"version": 1, "frames": list(frames), "frames_sha256": hashlib.sha256(body).hexdigest()}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + body


def read_rewritten(document: bytes) -> tuple[list[int], bytes]:
    """Return the offsets of the frames, and the frames.

    Raises:
        ValueError: this is not a rewritten body, or it is damaged.
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
