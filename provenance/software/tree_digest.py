"""The SHA-256 of a tree of files: beside git's SHA-1 ids, and the same for code that never saw git."""

import hashlib
from collections.abc import Iterable

from jobprov.provenance.software.read_pack import TreeFile

ALGORITHM = "tree-content-1"


def tree_digest(files: Iterable[TreeFile]) -> str:
    """Return `tree-content-1:` and the SHA-256 over the files in the byte order of their paths.

    Each adds a line of mode, NUL, SHA-256 of the content, NUL, path, NUL and a newline. Of a link
    the content is its target, of a submodule its commit id.
    """
    lines = sorted(
        (_bytes(file.path), file.mode.encode(), hashlib.sha256(file.content).hexdigest())
        for file in files
    )
    digest = hashlib.sha256()
    for path, mode, content in lines:
        digest.update(b"%s\0%s\0%s\0\n" % (mode, content.encode(), path))
    return f"{ALGORITHM}:{digest.hexdigest()}"


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
