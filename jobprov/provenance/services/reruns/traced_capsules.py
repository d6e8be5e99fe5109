"""Makes environment capsules without a rerun, from the traces of recorded jobs (`run --trace`).

The files are blobs of the archive; what it lacks is taken from this machine. Anybody who may
record jobs can send a listing of touched paths. So names other than plain absolute paths are
skipped, nothing is written through a link, and blobs that only another experiment sent are not used.

A file is taken from this machine by its name only with the recorded digest. Any other is taken only
if a bundle's rerun touches it here and comes out as recorded, and if no file that the rerun touches
differs from the trace: otherwise libraries of two releases would be mixed.

Source: docs/reference/hook.md, "Tracing".
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.holdings.possessions import senders_of
from jobprov.provenance.errors import BadInputError, BundleError
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.reruns.capsule_making import (
    CapsuleReport,
    Tree,
    add_link,
    open_tree,
    own_places,
    report,
    run_inside,
    trace_rerun,
    unpack_all,
    write_bag,
)
from jobprov.provenance.services.reruns.isolation import Isolation

_LARGEST_LISTING = 64 * 1024 * 1024
_PIECE = 1 << 20
_EXECUTABLE = 0o111
WITHHELD = "-"
_PLAIN = {r"\\": "\\", r"\t": "\t", r"\n": "\n", r"\r": "\r"}


class TouchedPath(NamedTuple):
    """A line of the listing.

    Attributes:
        kind: `dir`, `link` or `file`.
        aim: where a link leads.
        mode: of a file, in octal digits.
        sha256: of a file; `-` where the hook withheld its bytes.
    """

    path: str
    kind: str
    aim: str = ""
    mode: str = ""
    sha256: str = ""

    @classmethod
    def read(cls, cells: Sequence[str]) -> Self | None:
        """Return the path of a line; None for a line that the hook does not write."""
        match cells:
            case [path, "dir"]:
                return cls(path, "dir")
            case [path, "link", aim]:
                return cls(path, "link", aim=aim)
            case [path, "file", mode, _, sha256]:
                return cls(path, "file", mode=mode, sha256=sha256)
        return None


class Trace(NamedTuple):
    """What a job touched, and the digests of files whose bytes may be used."""

    paths: list[TouchedPath]
    available: frozenset[str]


def read_trace(
    connection: Connection, store: Store, job_id: str, *, experiment: str | None = None
) -> Trace:
    """Return what a job touched while it was recorded.

    Raises:
        NotFoundError: no such job.
        BadInputError: it was not traced, or the archive does not have its listing.
    """
    record = read_job(connection, store, job_id, experiment=experiment).reading.record
    listing = record.environment.touched_sha256 if record.environment else None
    if listing is None:
        raise BadInputError(
            f"Job {job_id} was not traced; record one of its release by `run --trace`, or make "
            "the capsule of bundles.",
            {"from-trace": ["not traced"]},
        )
    is_held = listing in _held(connection, store, record.experiment, [listing])
    if not is_held or store.size(listing) > _LARGEST_LISTING:
        raise BadInputError(
            f"The listing {listing} of what job {job_id} touched is not held; send it again "
            "(`flush`).",
            {"from-trace": ["not held"]},
        )
    kept = _kept_by(record)
    paths = [path for path in _read_listing(store.get(listing)) if not _is_kept(path, kept)]
    digests = sorted({path.sha256 for path in paths if path.kind == "file"} - {WITHHELD})
    return Trace(paths, _held(connection, store, record.experiment, digests))


def _kept_by(record: JobRecord) -> frozenset[str]:
    """Return the paths of inputs and scripts, which the job's bundle lays out."""
    entries = [*(record.inputs or ()), *(record.scripts or ())]
    return frozenset(entry.path for entry in entries if entry.path and entry.sha256)


def _is_kept(touched: TouchedPath, kept: frozenset[str]) -> bool:
    """Whether a file that may not leave with the release came with the record anyway."""
    return touched.sha256 == WITHHELD and touched.path in kept


def _read_listing(listing: bytes) -> list[TouchedPath]:
    paths = []
    for line in listing.decode("utf-8", "surrogateescape").split("\n"):
        path = TouchedPath.read(read_cells(line))
        if path is not None:
            paths.append(path)
    return paths


def read_cells(line: str) -> list[str]:
    """Return the cells of a line of the listing, without its end."""
    cells = []
    for cell in line.split("\t"):
        cells.append(re.sub(r"\\[\\tnr]", lambda escape: _PLAIN[escape.group()], cell))
    return cells


def make_traced_capsule(
    folder: Path, traces: Sequence[Trace], store: Store, tars: Sequence[Path], isolation: Isolation
) -> CapsuleReport:
    """Add what jobs touched to a capsule, then rerun these bundles inside it, and compare.

    What the archive lacks is taken from this machine, if it has the release: files with the
    recorded digests, and what the bundles touch when they run again here.

    Raises:
        BadInputError: the folder holds something else.
        BundleError: a tar is not a bundle, or a blob is damaged.
    """
    tree = open_tree(folder)
    for trace in traces:
        _lay_out(tree, trace, store)
    digests = _digests_of(traces)
    _take_by_digest(tree, digests)
    with tempfile.TemporaryDirectory(prefix="jobprov-capsule-") as temporary:
        scratch = Path(temporary)
        roots = unpack_all(tars, scratch)
        notes = _complete(tree, digests, roots, scratch, isolation)
        payload = write_bag(folder, tree)
        levels = run_inside(tree.root, roots, scratch, isolation)
    return report(tree, payload, levels, notes)


def _digests_of(traces: Sequence[Trace]) -> dict[str, str]:
    """Return the digests of all files by path; those of the first trace count."""
    digests: dict[str, str] = {}
    for trace in traces:
        for touched in trace.paths:
            if touched.kind == "file" and touched.sha256 != WITHHELD:
                digests.setdefault(touched.path, touched.sha256)
    return digests


def _held(
    connection: Connection, store: Store, experiment: str, digests: list[str]
) -> frozenset[str]:
    """Return the digests that the archive has, without blobs that only other experiments sent."""
    senders = senders_of(connection, digests)
    # A blob that no experiment sent is the service's own
    own = [sha256 for sha256 in digests if experiment in senders.get(sha256, {experiment})]
    return frozenset(own) - store.missing(own)


def _lay_out(tree: Tree, trace: Trace, store: Store) -> None:
    """Write files and folders, then links; note files that the archive lacks at the tree."""
    # Links last: a file below a link would be written to where the link leads
    for touched in sorted(trace.paths, key=lambda path: path.kind == "link"):
        if not _is_plain(touched.path) or not _has_plain_way(tree.root, touched.path):
            continue
        if touched.sha256 == WITHHELD:
            tree.left_out.add(touched.path)
        elif touched.kind == "file" and touched.sha256 not in trace.available:
            tree.missing.add(touched.path)
        else:
            # Traces of two jobs may contradict each other: the first one counts
            with suppress(FileExistsError, NotADirectoryError, ValueError):
                _write(tree, touched, store)


def _write(tree: Tree, touched: TouchedPath, store: Store) -> None:
    target = tree.root / touched.path[1:]
    if touched.kind == "dir":
        target.mkdir(parents=True, exist_ok=True)
    elif touched.kind == "link":
        target.parent.mkdir(parents=True, exist_ok=True)
        add_link(target, touched.aim, os.path.dirname(touched.path))  # noqa: PTH120 - text
    elif not target.exists():
        mode = 0o755 if int(touched.mode, 8) & _EXECUTABLE else 0o644
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(store, touched.sha256, target)
        target.chmod(mode)
        tree.added += 1


def _is_plain(path: str) -> bool:
    """Return whether a name is an absolute path without `..` and without empty parts.

    POSIX allows `//` in front to mean another place.
    """
    if not path.startswith("/"):
        return False
    parts = path.split("/")[1:]
    return not any(part in {"", ".", ".."} or "\0" in part for part in parts)


def _has_plain_way(root: Path, path: str) -> bool:
    """Return whether no folder on the way to a path is a link. Its last part may be one."""
    here = root
    for part in path.split("/")[1:-1]:
        here /= part
        if here.is_symlink():
            return False
    return True


def _copy(store: Store, sha256: str, target: Path) -> None:
    digest = hashlib.sha256()
    with store.open(sha256) as stored, target.open("xb") as written:
        while piece := stored.read(_PIECE):
            digest.update(piece)
            written.write(piece)
    if digest.hexdigest() != sha256:
        target.unlink()
        raise BundleError(f"Blob {sha256} is damaged in the archive; run `jobprov archive check`.")


def _take_by_digest(tree: Tree, digests: Mapping[str, str]) -> None:
    """Copy missing files that are on this machine with the digest that the trace has."""
    for path in sorted(tree.missing):
        if path in digests and _digest(path) == digests[path]:
            with suppress(OSError):
                tree.add_all([path], ())
    tree.forget_what_is_here()


def _complete(
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
        traced = trace_rerun(root, scratch / f"traced-{position}", isolation)
        verified = traced.result.verified
        if verified is None or verified.decision == "differs":
            last = " ".join(traced.result.lines[-2:])
            notes.append(f"{name} does not come out as recorded on this machine: {last}")
            continue
        different = _first_different(traced.touched, digests)
        if different is not None:
            notes.append(f"this machine has another release than the job: {different} differs")
            continue
        # Files that the trace withheld may be here by now; those of other digests never are
        tree.add_all(traced.touched, own_places(root, scratch))
        tree.forget_what_is_here()
    return notes


def _first_different(touched: list[str], digests: Mapping[str, str]) -> str | None:
    """Return the first file that a rerun touched here and the trace has with another digest."""
    for path in touched:
        real = os.path.realpath(path)
        if real in digests and _digest(real) != digests[real]:
            return real
    return None


def _digest(path: str) -> str | None:
    """Return the SHA-256 of a file; None if there is no file, or it cannot be read."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113 - a path of the trace, as text
            return None
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
