"""What tells one version of a job's own programs from another, read before the command may change it."""

import os
from typing import Iterable, List, Sequence, Tuple

from jobprov.provenance.capture.command import arguments

# What these read although no word names it
_UNNAMED = {
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "gmake": ("GNUmakefile", "makefile", "Makefile"),
    "snakemake": ("Snakefile", "workflow/Snakefile"),
}
_LARGEST_REF, _HEAD_BYTES, _MOST_WORDS = 4096, 1 << 16, 100


def heads_of_programs(argv: Sequence[str]) -> List[Tuple[int, bytes]]:
    """Return size and beginning of the job's own programs that a command line names.

    And of the files that a program reads although no word names them.
    """
    argv = arguments.without_prefix(argv)
    if not argv:
        return []
    files = list(_UNNAMED.get(os.path.basename(argv[0]), ()))
    for word in [argv[0], *" ".join(argv[1:]).split()][:_MOST_WORDS]:
        is_own = "/" in word and not arguments.is_system(os.path.abspath(word))
        if is_own and os.access(word, os.X_OK):
            files.append(word)
    found = []
    for path in filter(os.path.isfile, files):
        try:
            with open(path, "rb") as stream:
                found.append((os.path.getsize(path), stream.read(_HEAD_BYTES)))
        except OSError:
            continue  # it may be run, and not be read
    return found


def commits(tops: Iterable[str]) -> List[str]:
    """Return the commits of checkouts without starting git; a branch where that is packed."""
    return [_commit(os.path.join(top, ".git")) for top in tops]


def _commit(folder: str) -> str:
    head = _line(os.path.join(folder, "HEAD"))
    if not head.startswith("ref: "):
        return head
    return _line(os.path.join(folder, head[5:])) or head


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(_LARGEST_REF).strip()
    except OSError:
        return ""
