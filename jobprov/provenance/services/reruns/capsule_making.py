"""Makes environment capsules: folders with every file that jobs of a release touch outside bundles.

A bundle is run again under strace on a machine that still has the release. What its processes
opened, executed, looked at or followed is copied into `data/root` of a BagIt bag. Absolute symbolic
links are made relative, so that they stay inside. One capsule serves all jobs of a release; each
bundle adds what is new. No file is too large. Private files (that not everybody may read, or named
like secrets) are left out, and listed.

With a capsule, `sh run.sh --capsule CAPSULE/data/root OUT` needs only a shell and namespaces of the
kernel. How a rerun enters the capsule is up to the bundle's run.sh.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from jobprov.provenance.bundle.fields import RecordPart
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.trace.touched import interpreters, plain
from jobprov.provenance.errors import BadInputError, BundleError
from jobprov.provenance.services.reruns.execution import RerunResult, rerun, unpack
from jobprov.provenance.services.reruns.isolation import Isolation

_STRACE = ("strace", "-ff", "-qq", "-z", "-y", "-s", "4096", "-e", "trace=%file", "-o")
# The kernel of each machine makes these: a rerun gets those of its own machine. A recorded /sys would
# tell of processors and disks that are not there
_KERNEL = ("/proc", "/sys", "/dev")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - the job's own, never copied
_MOST_LINKS = 40
_READABLE = 0o004
_LINKS, _LEFT_OUT, _MISSING = "data/links.tsv", "data/left-out.tsv", "data/missing.tsv"
_CALL = re.compile(
    rb'^(?:\d+ +)?\w+\((?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"'
)
_MAKES_ROOT = re.compile(rb'/own-root\.sh"|\["mount", ')
_BAGIT = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class CapsuleReport(NamedTuple):
    """What a capsule holds now.

    Attributes:
        added: how many files are new in it.
        left_out: private paths, whose bytes are not in it.
        levels: level of each bundle's rerun inside the capsule, by the bundle's file name; None
            where nothing could be compared.
        missing: paths in a trace whose bytes are neither in the archive nor on this machine.
        notes: sentences about what could not be taken from this machine.
    """

    files: int
    size_bytes: int
    added: int
    left_out: tuple[str, ...]
    levels: dict[str, str | None]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing that a job touched is missing."""
        return not (self.left_out or self.missing)


def make_capsule(folder: Path, tars: Sequence[Path], isolation: Isolation) -> CapsuleReport:
    """Add what these bundles' jobs touch to a capsule, then rerun each inside it, and compare.

    Raises:
        BadInputError: the folder holds something else, or strace is not installed.
        BundleError: a job does not come out as recorded on this machine, so the files that it
            touches here are not the ones that it needs.
    """
    if shutil.which("strace") is None:
        raise BadInputError(
            "A capsule is made by tracing: install strace.", {"strace": ["not installed"]}
        )
    tree = open_tree(folder)
    with tempfile.TemporaryDirectory(prefix="jobprov-capsule-") as temporary:
        scratch = Path(temporary)
        roots = unpack_all(tars, scratch)
        for position, (name, root) in enumerate(roots.items()):
            traced = trace_rerun(root, scratch / f"traced-{position}", isolation)
            _check(traced.result, name)
            tree.add_all(traced.touched, own_places(root, scratch))
        payload = write_bag(folder, tree)
        levels = run_inside(tree.root, roots, scratch, isolation)
    return report(tree, payload, levels)


class Payload(NamedTuple):
    """How many files a capsule holds, and their bytes."""

    files: int
    size_bytes: int


def report(
    tree: "Tree", payload: Payload, levels: dict[str, str | None], notes: Sequence[str] = ()
) -> CapsuleReport:
    """Return what a capsule holds now."""
    left_out, missing = tuple(sorted(tree.left_out)), tuple(sorted(tree.missing))
    return CapsuleReport(*payload, tree.added, left_out, levels, missing, tuple(notes))


def unpack_all(tars: Sequence[Path], scratch: Path) -> dict[str, Path]:
    """Unpack bundles below a folder; return their roots by the names of their files."""
    roots = {}
    for position, tar in enumerate(tars):
        roots[tar.name] = unpack(tar, scratch / f"bundle-{position}")
    return roots


def open_tree(folder: Path) -> "Tree":
    """Return the tree of a capsule's folder, which is new or has a capsule to be extended.

    Raises:
        BadInputError: the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "bagit.txt").is_file():
        raise BadInputError(
            f"{folder} holds something else than a capsule; name a new folder.",
            {"folder": ["no capsule"]},
        )
    return Tree(folder / "data" / "root")


def run_inside(
    capsule: Path, roots: Mapping[str, Path], scratch: Path, isolation: Isolation
) -> dict[str, str | None]:
    """Run unpacked bundles, by name, inside a capsule's root folder.

    Return the level of each; None where nothing could be compared.
    """
    levels = {}
    # run.sh makes its own namespaces for a capsule; inside those of `unshare` it may not mount
    inside = isolation._replace(prefix=())
    for position, (name, root) in enumerate(roots.items()):
        result = rerun(root, scratch / f"inside-{position}", isolation=inside, capsule=capsule)
        levels[name] = result.verified.level if result.verified else None
    return levels


class TracedRerun(NamedTuple):
    """A rerun under strace.

    Attributes:
        touched: the paths that its processes touched, with the interpreters that the kernel loads.
    """

    result: RerunResult
    touched: list[str]


def trace_rerun(root: Path, out: Path, isolation: Isolation) -> TracedRerun:
    """Run a bundle under strace."""
    trace = out.with_suffix(".trace")
    result = rerun(root, out, isolation=isolation._replace(tracer=(*_STRACE, str(trace))))
    # run.sh starts each step with /bin/sh, even if the traced shell was another file
    touched = dict.fromkeys(["/bin/sh", *interpreters("/bin/sh")])
    # `strace -ff` writes one file per process, so that their lines do not mix
    for file in sorted(trace.parent.glob(f"{trace.name}.*")):
        for path in _paths_in(file, f"{out.resolve()}/root/"):
            if path not in touched:
                touched[path] = None
                touched.update(dict.fromkeys(interpreters(path)))
    return TracedRerun(result, list(touched))


def _paths_in(file: Path, root: str) -> Iterator[str]:
    """Yield the paths that a process touched; `root` is where the rerun's own root is from outside.

    The script that makes this root looks at everything around it: that is no need of the job.
    """
    is_making_root = False
    with file.open("rb") as lines:
        for line in lines:
            if line.startswith(b"execve("):
                is_making_root = _MAKES_ROOT.search(line) is not None
            path = None if is_making_root else touched_path(line)
            if path is not None:
                # A relative path begins with the working directory as strace sees it
                yield path.removeprefix(root[:-1]) if path.startswith(root) else path


def touched_path(line: bytes) -> str | None:
    """Return the absolute path that a line of strace (`-y`) is about; None where there is none.

    `..` stays in it: behind a link it leads elsewhere than the text shows, and the folder before it
    must be there.
    """
    call = _CALL.match(line)
    if call is None:
        return None
    path = plain(call.group(2))
    if not path.startswith("/"):
        if not call.group(1):
            return None
        path = plain(call.group(1)) + "/" + path
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts)


def own_places(root: Path, scratch: Path) -> tuple[str, ...]:
    """Return the folders and files that are the rerun's own, or the kernel's.

    Those are the scratch folder, and what the bundle lays out at its recorded path.
    """
    places = {str(scratch), str(scratch.resolve()), *_KERNEL, *_TEMPORARY}
    file = root / "data" / "JOB.json"
    if file.is_file():
        record = RecordPart(json.loads(file.read_bytes()))
        places.add(record.part("command").text("working_directory"))
        for entry in [*record.parts("inputs"), *record.parts("outputs")]:
            places.add(entry.text("path"))
    folders = []
    for place in sorted(places):
        if place.startswith("/") and place != "/":
            folders.append(f"{place}/")
    return tuple(folders)


def _check(result: RerunResult, name: str) -> None:
    if result.verified is None or result.verified.decision == "differs":
        last_lines = " ".join(result.lines[-4:])
        raise BundleError(
            f"{name} does not come out as recorded on this machine, so that a capsule of it would "
            f"not help: {last_lines}"
        )


class Tree:
    """The root folder of a capsule: files at the paths that jobs use, and the links on the way.

    Attributes:
        added: how many files are new.
        left_out: paths of private files, of this call and of earlier ones.
        missing: paths of files whose bytes nobody had so far.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.added = 0
        self.left_out = _read_paths(root.parent.parent / _LEFT_OUT)
        self.missing = _read_paths(root.parent.parent / _MISSING)
        root.mkdir(parents=True, exist_ok=True)
        for scratch in _TEMPORARY:  # programs write there
            (root / scratch[1:]).mkdir(parents=True, exist_ok=True)

    def add_all(self, paths: Iterable[str], left_alone: tuple[str, ...]) -> None:
        """Copy these paths, but not those below the folders that are to be left alone."""
        for path in paths:
            if not f"{path}/".startswith(left_alone):
                self._add(path)

    def forget_what_is_here(self) -> None:
        """Drop paths from the lists of what is not here if they came after all."""
        for paths in (self.left_out, self.missing):
            paths.difference_update([path for path in paths if self.has(path)])

    def has(self, path: str) -> bool:
        """Whether the file at a path is in the tree."""
        target = self.root / path.lstrip("/")
        return target.is_file() and not target.is_symlink()

    def _add(self, path: str) -> None:
        """Copy a file and all links on the way to it, as the kernel would follow them."""
        links = 0
        parts = _last_first(path)
        folder = "/"
        while parts:
            part = parts.pop()
            if part == "..":
                folder = os.path.dirname(folder)  # noqa: PTH120 - text, not yet a path here
                continue
            source = os.path.join(folder, part)  # noqa: PTH118
            target = self.root / source.lstrip("/")
            if os.path.islink(source):  # noqa: PTH114
                aim = os.readlink(source)  # noqa: PTH115
                add_link(target, aim, folder)
                links += 1
                # The kernel gives up after 40 links, too: they may form a circle
                if links > _MOST_LINKS:
                    return
                parts += _last_first(aim)
                if aim.startswith("/"):
                    folder = "/"
            elif os.path.isdir(source):  # noqa: PTH112
                target.mkdir(exist_ok=True)
                folder = source
            else:
                self._copy(source, target)
                return

    def _copy(self, source: str, target: Path) -> None:
        """Copy a file into the capsule; note one that is private instead."""
        if target.exists() or not os.path.isfile(source):  # noqa: PTH113
            return
        is_readable = os.stat(source).st_mode & _READABLE  # noqa: PTH116
        if private.is_private(source) or not (is_readable or private.is_software(source)):
            self.left_out.add(source)
            return
        shutil.copyfile(source, target)
        mode = 0o755 if os.access(source, os.X_OK) else 0o644
        target.chmod(mode)
        self.added += 1


def _last_first(path: str) -> list[str]:
    """Return the parts of a path as a stack, the first part on top."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def add_link(target: Path, aim: str, folder: str) -> None:
    """Make a link that is in `folder`. An absolute one is made relative, to stay in the tree.

    What is there already stays.
    """
    if target.is_symlink() or target.exists():
        return
    if aim.startswith("/"):
        aim = os.path.relpath(aim, folder)
    target.symlink_to(aim)


def write_bag(folder: Path, tree: Tree) -> Payload:
    """Write the bag's own files; return how much the payload is without them.

    Links that lead out of the capsule, or to nothing, are removed.
    """
    tree.forget_what_is_here()
    lines: list[str] = []
    links: list[str] = []
    size = 0
    for path in _payload(folder, tree):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            links.append(f"{name}\t{path.readlink()}\n")
        if path.is_file() and name not in (_LINKS, _LEFT_OUT, _MISSING):
            lines.append(_line(path, name))
            size += 0 if path.is_symlink() else path.stat().st_size
    count = len(lines)
    lists = {_LINKS: links, _LEFT_OUT: _paths(tree.left_out), _MISSING: _paths(tree.missing)}
    for name, listed in lists.items():
        _write(folder / name, "".join(listed))
        lines.append(_line(folder / name, name))
    (folder / "bagit.txt").write_text(_BAGIT, encoding="utf-8")
    lines.sort(key=lambda line: line.partition("  ")[2])
    _write(folder / "manifest-sha256.txt", "".join(lines))
    return Payload(count, size)


def _payload(folder: Path, tree: Tree) -> Iterator[Path]:
    """Yield what is below `data`, sorted; remove links that lead out of the capsule, or nowhere.

    Their targets were left out, or are outside: in another place such a link leads nowhere.
    """
    inside = tree.root.resolve()
    for path in sorted(folder.joinpath("data").rglob("*")):
        if path.is_symlink() and not _leads_inside(path, inside):
            path.unlink()
        else:
            yield path


def _leads_inside(link: Path, folder: Path) -> bool:
    return link.exists() and link.resolve().is_relative_to(folder)


def _paths(paths: Iterable[str]) -> list[str]:
    """Return paths as lines of a list, sorted."""
    return [f"{percent(path)}\n" for path in sorted(paths)]


def _write(file: Path, content: str) -> None:
    # The content holds names of files, which need not be UTF-8
    file.write_text(content, encoding="utf-8", errors="surrogateescape")


def _read_paths(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    lines = file.read_text("utf-8").rstrip("\n").split("\n")
    return {unquote(line, errors="surrogateescape") for line in lines if line}


def _line(path: Path, name: str) -> str:
    """Return a file's line in the manifest. BagIt encodes characters that would break the line."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    encoded = name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
    return f"{digest.hexdigest()}  {encoded}\n"
