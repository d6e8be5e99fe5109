"""Environment capsules without a rerun.

They are made from what jobs touched while they were recorded (`run --trace`), and the archive's
bytes.

The listing comes from whoever may record jobs. So names that are no plain absolute path are passed
over, nothing is written through a link, and bytes that another experiment alone sent are not taken.
Source: docs/reference/hook.md, "Tracing".
"""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.capture.trace.inventory import read_line
from jobprov.provenance.db.queries.holdings.possessions import senders_of
from jobprov.provenance.errors import BadInputError, BundleError
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.reruns.capsule_making import (
    CapsuleReport,
    Tree,
    open_tree,
    run_inside,
    write_bag,
)
from jobprov.provenance.services.reruns.execution import unpack
from jobprov.provenance.services.reruns.isolation import Isolation

_LARGEST_LISTING = 64 * 1024 * 1024
_PIECE = 1 << 20
_CELLS = {"dir": 2, "link": 3, "file": 5}
_EXECUTABLE = 0o111
_WITHHELD = "-"


class Trace(NamedTuple):
    """What a job touched: the lines of the listing as cells, and the digests that may be taken."""

    entries: list[list[str]]
    held: frozenset[str]


def read_trace(
    connection: Connection, store: Store, job_id: str, *, experiment: str | None = None
) -> Trace:
    """Return what a job touched, as it was recorded.

    Raises:
        NotFoundError: no such job.
        BadInputError: it was not traced, or its listing is not held.
    """
    record = read_job(connection, store, job_id, experiment=experiment).reading.record
    listing = record.environment.touched_sha256 if record.environment else None
    if listing is None:
        raise BadInputError(
            f"Job {job_id} was not traced; record one of its release by `run --trace`, or make "
            "the capsule of bundles.",
            {"from-trace": ["not traced"]},
        )
    if (
        listing not in _held(connection, store, record.experiment, [listing])
        or store.size(listing) > _LARGEST_LISTING
    ):
        raise BadInputError(
            f"The listing {listing} of what job {job_id} touched is not held; send it again "
            "(`flush`).",
            {"from-trace": ["not held"]},
        )
    lines = store.get(listing).decode("utf-8", "surrogateescape").split("\n")
    cells: list[list[str]] = [read_line(line) for line in lines]
    entries = [entry for entry in cells if len(entry) > 1 and len(entry) == _CELLS.get(entry[1])]
    digests = sorted({entry[4] for entry in entries if entry[1] == "file"} - {_WITHHELD})
    return Trace(entries, _held(connection, store, record.experiment, digests))


def make_traced_capsule(
    folder: Path, traces: Sequence[Trace], store: Store, tars: Sequence[Path], isolation: Isolation
) -> CapsuleReport:
    """Add what jobs touched to a capsule, new or begun before.

    Run these bundles inside it, and say how that compares.

    Raises:
        BadInputError: the folder holds something else.
        BundleError: a tar is no bundle, or a blob is damaged.
    """
    tree = open_tree(folder)
    missing: set[str] = set()
    for trace in traces:
        missing |= _lay_out(tree, trace, store)
    files, size = write_bag(folder, tree)
    with tempfile.TemporaryDirectory(prefix="jobprov-capsule-") as scratch:
        roots = {
            tar.name: unpack(tar, Path(scratch) / f"bundle-{place}")
            for place, tar in enumerate(tars)
        }
        levels = run_inside(tree.root, roots, Path(scratch), isolation)
    return CapsuleReport(
        files, size, tree.added, tuple(sorted(tree.left_out)), levels, tuple(sorted(missing))
    )


def _held(
    connection: Connection, store: Store, experiment: str, digests: list[str]
) -> frozenset[str]:
    """Return those of the digests that the archive has, unless only others sent them."""
    senders = senders_of(connection, digests)
    # A blob that no experiment sent is the service's own
    own = [sha256 for sha256 in digests if experiment in senders.get(sha256, {experiment})]
    return frozenset(own) - store.missing(own)


def _lay_out(tree: Tree, trace: Trace, store: Store) -> set[str]:
    """Write files and folders, then links; return the paths of files whose bytes are not held."""
    missing = set()
    for entry in sorted(trace.entries, key=lambda entry: entry[1] == "link"):
        path, kind = entry[:2]
        if not _is_plain(path) or not _has_plain_way(tree.root, path):
            continue
        target = tree.root / path[1:]
        try:
            if kind == "dir":
                target.mkdir(parents=True, exist_ok=True)
            elif kind == "link":
                _link(target, path, entry[2])
            elif entry[4] == _WITHHELD:
                tree.left_out.add(path)
            elif entry[4] not in trace.held:
                missing.add(path)
            elif not target.exists():
                mode = 0o755 if int(entry[2], 8) & _EXECUTABLE else 0o644
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(store, entry[4], target)
                target.chmod(mode)
                tree.added += 1
        except (FileExistsError, NotADirectoryError, ValueError):
            continue  # two traces that contradict each other: the first stays
    return missing


def _is_plain(path: str) -> bool:
    """Return whether a name is absolute and says what it means.

    No `..`, no empty part (POSIX lets `//` in front stand).
    """
    return path.startswith("/") and not any(
        part in {"", ".", ".."} or "\0" in part for part in path.split("/")[1:]
    )


def _has_plain_way(root: Path, path: str) -> bool:
    """Return whether no folder on the way to a path is a link; only its last part may be one."""
    here = root
    for part in path.split("/")[1:-1]:
        here /= part
        if here.is_symlink():
            return False
    return True


def _link(target: Path, path: str, aim: str) -> None:
    if target.is_symlink() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(os.path.relpath(aim, os.path.dirname(path)) if aim.startswith("/") else aim)  # noqa: PTH120 - text


def _copy(store: Store, sha256: str, target: Path) -> None:
    seen = hashlib.sha256()
    with store.open(sha256) as held, target.open("xb") as written:
        while piece := held.read(_PIECE):
            seen.update(piece)
            written.write(piece)
    if seen.hexdigest() != sha256:
        target.unlink()
        raise BundleError(f"Blob {sha256} is damaged in the archive; run `jobprov archive check`.")
