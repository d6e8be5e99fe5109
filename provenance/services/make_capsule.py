"""Environment capsules: every file that jobs of a release touched outside their bundles, as a folder that reruns can live in.

A bundle is run again under strace on a machine that still has the release. What its processes opened, executed, looked at or followed
is copied into `data/root` of a BagIt bag, symbolic links included: absolute ones are made relative, so that they stay inside. One
capsule serves all jobs of a release; each adds what is new. `sh run.sh --capsule CAPSULE/data/root OUT` then needs a shell, namespaces
of the kernel, and this folder.

Not here: how a rerun enters the capsule (the bundle's run.sh). Files that not everybody may read are left out, and named.
"""

import hashlib
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from provenance.errors import BadInputError, BundleError
from provenance.services.isolation import Isolation
from provenance.services.rerun_bundle import RerunResult, rerun, unpack

_STRACE = ("strace", "-ff", "-qq", "-z", "-y", "-s", "4096", "-e", "trace=%file", "-o")
_CALL = re.compile(rb'^(?:\d+ +)?\w+\((?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{2}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"b": b"\b"}
_KERNEL = ("/proc", "/sys", "/dev")
_MOST_LINKS = 40
_READABLE = 0o004
_PIECE = 1 << 20
_PT_INTERP = 3
_BAGIT = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class CapsuleReport(NamedTuple):
    """What a capsule holds now.

    Attributes:
        added: files that these jobs were the first to need.
        left_out: paths that not everybody may read.
        levels: of each bundle's rerun inside the capsule, by the bundle's file name; None where it could not be told.
    """

    files: int
    size_bytes: int
    added: int
    left_out: tuple[str, ...]
    levels: dict[str, str | None]


def make_capsule(folder: Path, tars: Sequence[Path], isolation: Isolation) -> CapsuleReport:
    """Add what these bundles' jobs touch to a capsule, new or begun before; run each again inside it, and say how that compares.

    Raises:
        BadInputError: the folder holds something else, or strace is not installed.
        BundleError: a job does not come out as recorded on this machine, so that its files are not those that it needs.
    """
    if shutil.which("strace") is None:
        raise BadInputError("A capsule is made by tracing: install strace.", {"strace": ["not installed"]})
    if folder.exists() and any(folder.iterdir()) and not (folder / "bagit.txt").is_file():
        raise BadInputError(
            f"{folder} holds something that is no capsule; name a new folder.", {"folder": ["no capsule"]}
        )
    tree = _Tree(folder / "data" / "root")
    with tempfile.TemporaryDirectory(prefix="jobprov-capsule-") as scratch:
        roots = {tar.name: unpack(tar, Path(scratch) / f"bundle-{place}") for place, tar in enumerate(tars)}
        for place, (name, root) in enumerate(roots.items()):
            tree.add_all(_touched(root, Path(scratch) / f"traced-{place}", name, isolation), Path(scratch).resolve())
        files, size = _write_bag(folder, tree)
        levels = {}
        for place, (name, root) in enumerate(roots.items()):
            # run.sh makes namespaces of its own for a capsule; within others it may not mount
            inside = isolation._replace(prefix=())
            result = rerun(root, Path(scratch) / f"inside-{place}", isolation=inside, capsule=tree.root)
            levels[name] = result.verified.level if result.verified else None
    return CapsuleReport(files, size, tree.added, tuple(sorted(tree.left_out)), levels)


def _touched(root: Path, out: Path, name: str, isolation: Isolation) -> Iterator[str]:
    """Run a bundle under strace; yield the paths that its processes touched, the interpreters that the kernel loads among them."""
    trace = out.with_suffix(".trace")
    traced = isolation._replace(tracer=(*_STRACE, str(trace)))
    _check(rerun(root, out, isolation=traced), name)
    yield "/bin/sh"  # what run.sh starts a step with, wherever the traced shell lay
    yield from _interpreters("/bin/sh")
    seen: set[str] = set()
    for file in sorted(trace.parent.glob(f"{trace.name}.*")):  # one a process: their lines do not break each other
        with file.open("rb") as lines:
            for path in map(touched_path, lines):
                if path is not None and path not in seen:
                    seen.add(path)
                    yield path
                    yield from _interpreters(path)


def _check(result: RerunResult, name: str) -> None:
    if result.verified is None or result.verified.decision == "differs":
        words = " ".join(result.lines[-4:])
        raise BundleError(
            f"{name} does not come out as recorded on this machine, so that a capsule of it would not help: {words}"
        )


def touched_path(line: bytes) -> str | None:
    """Return the absolute path that a line of strace (`-y`) is about; None where there is none."""
    found = _CALL.match(line)
    if found is None:
        return None
    path = _plain(found[2])
    if not path.startswith("/"):
        if not found[1]:
            return None
        path = f"{_plain(found[1])}/{path}"
    return os.path.normpath(path) if "/../" not in path else os.path.abspath(path)  # noqa: PTH100 - of the traced job


def _plain(text: bytes) -> str:
    def letter(found: re.Match[bytes]) -> bytes:
        code = found[1]
        if code[:1].isdigit():
            return bytes([int(code, 8) & 0xFF])
        return bytes([int(code[1:], 16)]) if len(code) == 3 else _LETTERS.get(code, code)  # noqa: PLR2004 - xHH

    return os.fsdecode(_ESCAPE.sub(letter, text))


def _interpreters(path: str) -> Iterator[str]:
    """Yield what the kernel itself opens to run a file: the loader of an ELF program, the interpreter of a script."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path of the traced job
            head = file.read(4096)
    except OSError:
        return
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n", 1)[0].split()
        if words and words[0].startswith(b"/"):
            yield os.fsdecode(words[0])
    elif loader := elf_interpreter(head):
        yield os.fsdecode(loader)


def elf_interpreter(head: bytes) -> bytes | None:
    """Return the loader that a program names in its PT_INTERP header, from the first bytes of its file; None where it names none.

    Source: System V ABI, "Program Header". Little-endian, 32 and 64 bits.
    """
    try:
        if head[:4] != b"\x7fELF" or head[5] != 1:
            return None
        is_wide = head[4] == 2  # noqa: PLR2004 - ELFCLASS64
        table, size, count = (
            struct.unpack_from("<Q", head, 32)[0] if is_wide else struct.unpack_from("<I", head, 28)[0],
            *struct.unpack_from("<HH", head, 54 if is_wide else 42),
        )
        for place in range(table, table + size * count, size):
            if struct.unpack_from("<I", head, place)[0] == _PT_INTERP:
                offset = struct.unpack_from("<Q" if is_wide else "<I", head, place + (8 if is_wide else 4))[0]
                return head[offset:].split(b"\0", 1)[0] or None
    except (struct.error, IndexError):
        pass
    return None


class _Tree:
    """A root folder in the making: files by the path that jobs know, links as they are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.added = 0
        self.left_out: set[str] = set()
        root.mkdir(parents=True, exist_ok=True)
        (root / "tmp").mkdir(exist_ok=True)

    def add_all(self, paths: Iterable[str], scratch: Path) -> None:
        """Copy these paths, but for what lies in the kernel's folders and in the scratch folder of the rerun."""
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
            source, target = os.path.join(here, part), self.root / os.path.join(here, part).lstrip("/")  # noqa: PTH118
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


def _write_bag(folder: Path, tree: _Tree) -> tuple[int, int]:
    """Write the bag's own files; return number and bytes of the payload's files."""
    lines, links, size = [], [], 0
    for path in sorted(folder.joinpath("data").rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            if not path.exists():
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
    (folder / "manifest-sha256.txt").write_text(manifest, encoding="utf-8", errors="surrogateescape")
    return count, size


def _line(path: Path, name: str) -> str:
    seen = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            seen.update(piece)
    encoded = name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
    return f"{seen.hexdigest()}  {encoded}\n"
