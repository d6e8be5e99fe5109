"""What is installed where a job runs, in its record: packages, compilers, the operating system."""

import os
from typing import TYPE_CHECKING, Dict, Optional, Sequence

from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.surroundings import compilers, distributions, system_packages

if TYPE_CHECKING:
    from jobprov.provenance.capture.running.watching import Watch

_PYTHON_PACKAGES = "installed packages"


def add_packages(draft: Draft, argv: Sequence[str], environment: Dict[str, str]) -> None:
    """Add what a command's Python has installed to the listing of packages; steps share one."""
    lines = draft.attempt(_PYTHON_PACKAGES, distributions.list_packages, argv, environment)
    if lines:
        draft.add_listing("packages_sha256", lines, _PYTHON_PACKAGES)


def add_packages_of_children(
    draft: Draft, watch: "Optional[Watch]", environment: Dict[str, str]
) -> None:
    """Add what the Pythons have installed that the command's scripts started."""
    described = draft.record.setdefault("environment", {})
    children = watch.children if watch is not None else None
    lines = distributions.list_packages_of_children(
        children.seen if children is not None else (),
        draft.read(described.get("touched_sha256")),
        os.fsdecode(draft.read(described.get("packages_sha256"))).splitlines(),
        environment,
    )
    if lines:
        draft.add_listing("packages_sha256", lines, _PYTHON_PACKAGES)


def add_compilers(draft: Draft, argv: Sequence[str]) -> None:
    """Add the compilers that a command used to the listing of packages."""
    record, blobs = draft.record, draft.blobs
    digests = [script.get("sha256") for script in record.get("scripts", ())]
    digests.append(record["command"].get("processes", {}).get("sha256"))
    digests.append(record.get("environment", {}).get("touched_sha256"))
    texts = [blobs.get(digest, b"") for digest in digests]
    *scripts, processes, touched = [text if isinstance(text, bytes) else b"" for text in texts]
    lines = compilers.list_compilers(argv, scripts, processes, touched)
    if lines:
        draft.add_listing("packages_sha256", lines, "compilers")


def add_system(
    draft: Draft, look: Optional[system_packages.Look], *, is_hurried: bool = False
) -> None:
    """Add what a look at the system found; its packages, once a record, also where there was none.

    Where the job is hurried, nothing is listed that the look did not.
    """
    environment = draft.record.setdefault("environment", {})
    if "system_packages_sha256" not in environment:
        lines = look.packages if look is not None else []
        if not lines and not is_hurried:
            lines = system_packages.list_late()
        if lines:
            draft.add_listing("system_packages_sha256", lines, "packages of the operating system")
    if look is not None and look.image_digest is not None:
        environment["container"]["digest"] = look.image_digest
