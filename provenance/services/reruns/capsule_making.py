"""Environment capsules, which are folders that reruns can live in.

A capsule holds every file that jobs of a release touched outside their bundles.

A bundle is run again under strace on a machine that still has the release. What its processes
opened, executed, looked at or followed is copied into `data/root` of a BagIt bag, symbolic links
included: absolute ones are made relative, so that they stay inside. One capsule serves all jobs of
a release; each adds what is new. `sh run.sh --capsule CAPSULE/data/root OUT` then needs a shell,
namespaces of the kernel, and this folder.

Not here: how a rerun enters the capsule (the bundle's run.sh). Files that not everybody may read
are left out, and named.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jobprov.provenance.capture.trace.touched import interpreters, touched_path
from jobprov.provenance.errors import BadInputError, BundleError
from jobprov.provenance.services.reruns.execution import RerunResult, rerun, unpack
from jobprov.provenance.services.reruns.isolation import Isolation

_STRACE = ("strace", "-ff", "-qq", "-z", "-y", "-s", "4096", "-e", "trace=%file", "-o")
_KERNEL = ("/proc", "/sys", "/dev")
_MOST_LINKS = 40
_READABLE = 0o004
_PIECE = 1 << 20
_BAGIT = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class CapsuleReport(NamedTuple):
    """What a capsule holds now.

    Attributes:
        added: files that these jobs were the first to need.
        left_out: paths that not everybody may read.
        levels: of each bundle's rerun inside the capsule, by the bundle's file name; None where it
            could not be told.
        missing: paths that a trace tells and whose bytes are not held.
    """

    files: int
    size_bytes: int
    added: int
    left_out: tuple[str, ...]
    levels: dict[str, str | None]
    missing: tuple[str, ...] = ()


def make_capsule(folder: Path, tars: Sequence[Path], isolation: Isolation) -> CapsuleReport:
    """Add what these bundles' jobs touch to a capsule, new or begun before.

    Run each again inside it, and say how that compares.

    Raises:
        BadInputError: the folder holds something else, or strace is not installed.
        BundleError: a job does not come out as recorded on this machine, so that its files are not
            those that it needs.
    """
    if shutil.which("strace") is None:
        raise BadInputError(
            "A capsule is made by tracing: install strace.", {"strace": ["not installed"]}
        )
    tree = open_tree(folder)
    with tempfile.TemporaryDirectory(prefix="jobprov-capsule-") as scratch:
        roots = {
            tar.name: unpack(tar, Path(scratch) / f"bundle-{place}")
            for place, tar in enumerate(tars)
        }
        for place, (name, root) in enumerate(roots.items()):
            tree.add_all(
                _touched(root, Path(scratch) / f"traced-{place}", name, isolation),
                Path(scratch).resolve(),
            )
        files, size = write_bag(folder, tree)
        levels = run_inside(tree.root, roots, Path(scratch), isolation)
    return CapsuleReport(files, size, tree.added, tuple(sorted(tree.left_out)), levels)


def open_tree(folder: Path) -> "Tree":
    """Return the tree of a capsule's folder, new or begun before.

    Raises:
        BadInputError: the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "bagit.txt").is_file():
        raise BadInputError(
            f"{folder} holds something that is no capsule; name a new folder.",
            {"folder": ["no capsule"]},
        )
    return Tree(folder / "data" / "root")


def run_inside(
    capsule: Path, roots: Mapping[str, Path], scratch: Path, isolation: Isolation
) -> dict[str, str | None]:
    """Run unpacked bundles, by name, inside a capsule's root folder.

    Return the level of each, None where it cannot be told.
    """
    levels = {}
    for place, (name, root) in enumerate(roots.items()):
        # run.sh makes namespaces of its own for a capsule; within others it may not mount
        inside = isolation._replace(prefix=())
        result = rerun(root, scratch / f"inside-{place}", isolation=inside, capsule=capsule)
        levels[name] = result.verified.level if result.verified else None
    return levels


def _touched(root: Path, out: Path, name: str, isolation: Isolation) -> Iterator[str]:
    """Run a bundle under strace and yield the paths that its processes touched.

    The interpreters that the kernel loads are among them.
    """
    trace = out.with_suffix(".trace")
    traced = isolation._replace(tracer=(*_STRACE, str(trace)))
    _check(rerun(root, out, isolation=traced), name)
    yield "/bin/sh"  # what run.sh starts a step with, wherever the traced shell lay
    yield from interpreters("/bin/sh")
    seen: set[str] = set()
    # One a process: their lines do not break each other
    for file in sorted(trace.parent.glob(f"{trace.name}.*")):
        with file.open("rb") as lines:
            for path in map(touched_path, lines):
                if path is not None and path not in seen:
                    seen.add(path)
                    yield path
                    yield from interpreters(path)


def _check(result: RerunResult, name: str) -> None:
    if result.verified is None or result.verified.decision == "differs":
        words = " ".join(result.lines[-4:])
        raise BundleError(
            f"{name} does not come out as recorded on this machine, so that a capsule of it would "
            f"not help: {words}"
        )


class Tree:
    """A root folder in the making: files by the path that jobs know, links as they are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.added = 0
        self.left_out: set[str] = set()
        root.mkdir(parents=True, exist_ok=True)
        (root / "tmp").mkdir(exist_ok=True)

    def add_all(self, paths: Iterable[str], scratch: Path) -> None:
        """Copy these paths, but not the kernel's folders or the scratch folder of the rerun."""
        for path in paths:
            if not f"{path}/".startswith((f"{scratch}/", *(f"{folder}/" for folder in _KERNEL))):
                self._add(path)

    def _add(self, path: str) -> None:
        links = 0
        waiting = [part for part in reversed(path.split("/")) if part]
        here = "/"
        while waiting:
            part = waiting.pop()
            if part == "..":
                here = os.path.dirname(here)  # noqa: PTH120 - text, not yet a path here
                continue
            source, target = (
                os.path.join(here, part),  # noqa: PTH118
                self.root / os.path.join(here, part).lstrip("/"),  # noqa: PTH118
            )
            if os.path.islink(source):  # noqa: PTH114
                links += 1
                aim = os.readlink(source)  # noqa: PTH115
                if not target.is_symlink():
                    target.symlink_to(os.path.relpath(aim, here) if aim.startswith("/") else aim)
                if links > _MOST_LINKS:
                    return
                waiting += [piece for piece in reversed(aim.split("/")) if piece not in ("", ".")]
                here = "/" if aim.startswith("/") else here
            elif os.path.isdir(source):  # noqa: PTH112
                target.mkdir(exist_ok=True)
                here = source
            else:
                self._copy(source, target)
                return

    def _copy(self, source: str, target: Path) -> None:
        if target.exists() or not os.path.isfile(source):  # noqa: PTH113
            return
        if not os.stat(source).st_mode & _READABLE:  # noqa: PTH116
            self.left_out.add(source)
            return
        shutil.copyfile(source, target)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        self.added += 1


def write_bag(folder: Path, tree: Tree) -> tuple[int, int]:
    """Write the bag's own files; return number and bytes of the payload's files.

    Links that lead out of it are taken away.
    """
    lines, links, size = [], [], 0
    inside = tree.root.resolve()
    for path in sorted(folder.joinpath("data").rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            if not path.exists() or not path.resolve().is_relative_to(inside):
                path.unlink()  # what it led to was left out
                continue
            links.append(f"{name}\t{path.readlink()}\n")
        if path.is_file() and name not in ("data/links.tsv", "data/left-out.tsv"):
            lines.append(_line(path, name))
            size += 0 if path.is_symlink() else path.stat().st_size
    count = len(lines)
    for name, rows in (
        ("data/links.tsv", links),
        ("data/left-out.tsv", [f"{path}\n" for path in sorted(tree.left_out)]),
    ):
        (folder / name).write_text("".join(rows), encoding="utf-8", errors="surrogateescape")
        lines.append(_line(folder / name, name))
    (folder / "bagit.txt").write_text(_BAGIT, encoding="utf-8")
    manifest = "".join(sorted(lines, key=lambda line: line.partition("  ")[2]))
    (folder / "manifest-sha256.txt").write_text(
        manifest, encoding="utf-8", errors="surrogateescape"
    )
    return count, size


def _line(path: Path, name: str) -> str:
    seen = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            seen.update(piece)
    encoded = name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
    return f"{seen.hexdigest()}  {encoded}\n"
