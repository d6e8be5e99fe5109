"""Completes a traced capsule from this machine, if it has the release of the job.

What a listing names is taken from here only with the recorded digest: anybody who may record jobs
can send a listing. Anything else is taken only if a bundle's rerun touches it on this machine and
comes out as recorded, and if no file that it touches differs from the trace: of another release,
libraries would be mixed.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from jobprov.provenance.services.reruns.capsule_making import Tree, own_places, trace_rerun
from jobprov.provenance.services.reruns.isolation import Isolation


def take_by_digest(tree: Tree, digests: Mapping[str, str]) -> None:
    """Copy missing files that are on this machine with the digest that the trace has."""
    for path in sorted(tree.missing):
        if path in digests and _digest(path) == digests[path]:
            with suppress(OSError):
                tree.add_all([path], ())
    tree.forget_what_is_here()


def complete(
    tree: Tree,
    digests: Mapping[str, str],
    roots: Mapping[str, Path],
    scratch: Path,
    isolation: Isolation,
) -> list[str]:
    """Run bundles again under strace if something is missing, and add what they touch.

    Return sentences about bundles of which nothing could be taken.
    """
    notes: list[str] = []
    for position, (name, root) in enumerate(roots.items()):
        if not (tree.missing or tree.left_out):
            break
        result, touched = trace_rerun(root, scratch / f"traced-{position}", isolation)
        verified = result.verified
        if verified is None or verified.decision == "differs":
            last = " ".join(result.lines[-2:])
            notes.append(f"{name} does not come out as recorded on this machine: {last}")
            continue
        different = _first_different(touched, digests)
        if different is not None:
            notes.append(f"this machine has another release than the job: {different} differs")
            continue
        # Files that the trace withheld may be here by now; those of other digests never are
        tree.add_all(touched, own_places(root, scratch))
        tree.forget_what_is_here()
    return notes


def _first_different(touched: list[str], digests: Mapping[str, str]) -> str | None:
    """Return the first file that a rerun touched here and that the trace has with another digest."""
    for path in touched:
        real = os.path.realpath(path)
        if real in digests and _digest(real) != digests[real]:
            return real
    return None


def _digest(path: str) -> str | None:
    """Return the SHA-256 of a file; None if it is none, or cannot be read."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113 - a path of the trace, as text
            return None
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
