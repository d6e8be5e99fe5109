"""The files of a checkout as they lay there, where these are not what git stores.

A job reads the files of the work tree. Git stores something else for some of them (Git LFS and
other filters, line ends, `$Id$`, encodings), does not look at others (assume-unchanged,
skip-worktree), and knows nothing of those that it ignores. So each file that may differ is read
here, and no filter runs. Blobs are written into a folder of our own, never into the checkout.
"""

import hashlib
import os
import stat
import zlib
from typing import Dict, List, Optional, Set, Tuple

from jobprov.provenance.capture.checkouts.git import git
from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.files.hashing import SMALL_BYTES
from jobprov.provenance.capture.files.names import DATA_SUFFIXES
from jobprov.provenance.capture.secrets.texts import redact

_MOST_FILES, _MOST_LEFT_OUT, _MOST_NESTED = 2000, 100, 20
_UNTRACKED_BYTES = 1024 * 1024  # a larger untracked file is data, unless it is a program or library
_SEARCHED_BYTES = 8 * 1024 * 1024  # of text, for secrets
_STATUS = ("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=dirty")
_OTHERS = ("--untracked-files=all", "--ignored=matching")
_CONVERSIONS = ("filter", "ident", "working-tree-encoding")
_SHA256_DIGITS = 64
_LINK, _SUBMODULE = b"120000", b"160000"
_GONE = b"0 " + b"0" * 40
# Ignored files that are made from others, or by earlier jobs, and that no job reads as code
_MADE = (".pyc", ".o", ".a", ".d", ".log", ".out", ".err", ".tmp", ".swp", ".lock", "~")
_SHOWN = (".png", ".pdf", ".ps", ".eps", ".jpg", ".gif", ".svg", ".html")
_CACHES = ("__pycache__", "node_modules")


class WorkFiles:
    """What lies in a checkout and not in its index.

    Attributes:
        changed: paths of files that git calls changed or untracked.
        entries: `MODE ID` by path, for git's index; of a file that is gone, zeros.
        left_out: entries of the record: files that are not kept.
        nested: folders of other checkouts inside.
        submodules: id in the index by folder, of submodules that are checked out.
    """

    def __init__(self, top: str, store: str, revision: str) -> None:
        self._top, self._store = os.fsencode(top), store
        self._algorithm = "sha256" if len(revision) == _SHA256_DIGITS else "sha1"
        self.changed: Set[bytes] = set()
        self.entries: Dict[bytes, bytes] = {}
        self.left_out: List[Dict[str, object]] = []
        self.nested: List[str] = []
        self.submodules: Dict[str, str] = {}
        self._room = SMALL_BYTES

    def look(self, *, is_ours: bool) -> None:
        """Compare the files with the index.

        Git itself looks only into a checkout of our own: it would run the filters of its owner.
        """
        top = os.fsdecode(self._top)
        suspects, others, ignored = set(), [], []
        if is_ours:
            for item in git(top, *_STATUS, *_OTHERS).split(b"\0"):
                if item[:2] == b"??":
                    others.append(item[3:])
                elif item[:2] == b"!!":
                    ignored.append(item[3:])
                elif item:
                    suspects.add(item[3:])
            self.changed.update(suspects)
        else:
            others = git(top, "ls-files", "-o", "--exclude-standard", "-z").split(b"\0")[:-1]
        self._compare(top, suspects)
        for path in others:
            self._add_untracked(path)
        for path in ignored:
            self._add_ignored(path)

    def index_lines(self, paths: Optional[Set[bytes]] = None) -> bytes:
        """Return what `git update-index -z --index-info` reads, of these paths or of all."""
        lines = []
        for path, entry in sorted(self.entries.items()):
            if paths is None or path in paths:
                lines.append(entry + b"\t" + path + b"\0")
        return b"".join(lines)

    def _compare(self, top: str, suspects: Set[bytes]) -> None:
        """Take each tracked file that is not the blob in the index."""
        tracked = _list_tracked(top)
        suspects = suspects | _converted(top, tracked)
        sizes = _sizes(top, tracked)
        for path, (flag, mode, oid) in tracked.items():
            if mode == _SUBMODULE:
                self._add_submodule(path, oid, is_changed=path in suspects)
                continue
            status = self._status(path)
            if status is None or stat.S_ISDIR(status.st_mode):
                self.entries[path] = _GONE
            elif (
                flag != b"H"
                or path in suspects
                or _mode(status) != mode
                or sizes.get(oid, status.st_size) != status.st_size
            ):
                self._take(path, status, mode + b" " + oid)

    def _add_submodule(self, path: bytes, oid: bytes, *, is_changed: bool) -> None:
        folder = os.path.join(os.fsdecode(self._top), os.fsdecode(path))
        if os.path.exists(os.path.join(folder, ".git")):
            self.submodules[folder] = oid.decode()
            if is_changed:  # another commit is checked out there
                self.entries[path] = _SUBMODULE + b" " + git(folder, "rev-parse", "HEAD").strip()

    def _add_untracked(self, path: bytes) -> None:
        if path.endswith(b"/"):
            self._add_nested(path)
        elif os.fsdecode(path).endswith(DATA_SUFFIXES):
            self._leave_out(path, "data")
        elif self._add_other(path):
            self.changed.add(path)

    def _add_ignored(self, path: bytes) -> None:
        name = os.fsdecode(path)
        if not path.endswith(b"/"):
            self._add_ignored_file(path)
        elif os.path.basename(name[:-1]) in _CACHES:
            return
        elif os.path.exists(os.path.join(os.fsdecode(self._top), name, ".git")):
            self._add_nested(path)
        elif _is_hidden(name) or self._status(path + b"pyvenv.cfg") is not None:
            self._leave_out(path, "ignored")
        else:
            for inner in self._list_folder(path):
                self._add_ignored_file(inner)

    def _list_folder(self, folder: bytes) -> List[bytes]:
        """Return the files below an ignored folder; none of a large one, which is left out."""
        found: List[bytes] = []
        for place, folders, files in os.walk(os.path.join(self._top, folder)):
            folders[:] = sorted(name for name in folders if os.fsdecode(name) not in _CACHES)
            found += [os.path.relpath(os.path.join(place, name), self._top) for name in files]
            if len(found) > _MOST_FILES:
                self._leave_out(folder, "too many")
                return []
        return sorted(found)

    def _add_ignored_file(self, path: bytes) -> None:
        name = os.fsdecode(path)
        if name.endswith(_MADE):
            return
        if name.endswith(DATA_SUFFIXES + _SHOWN) or _is_hidden(name):
            self._leave_out(path, "ignored")
        else:
            self._add_other(path)

    def _add_other(self, path: bytes) -> bool:
        """Take a file that is not tracked; tell whether it is kept."""
        status = self._status(path)
        if status is None or not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            return False
        name = os.fsdecode(path)
        if private.names_secret(name):
            self._leave_out(path, "private", status.st_size)
            return False
        is_program = status.st_mode & stat.S_IXUSR or ".so" in os.path.basename(name)
        if status.st_size > _UNTRACKED_BYTES and not is_program:
            self._leave_out(path, "too large", status.st_size)
            return False
        return self._take(path, status, b"")

    def _add_nested(self, path: bytes) -> None:
        if len(self.nested) < _MOST_NESTED:
            self.nested.append(os.path.join(os.fsdecode(self._top), os.fsdecode(path[:-1])))
        else:
            self._leave_out(path, "too many")

    def _take(self, path: bytes, status: os.stat_result, known: bytes) -> bool:
        """Keep a file as it lies there, unless that is `known`; tell whether it is kept."""
        full = os.path.join(self._top, path)
        if status.st_size > self._room or len(self.entries) >= _MOST_FILES:
            why = "too large" if status.st_size > self._room else "too many"
            return self._miss(path, why, status.st_size, known)
        try:
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(full)
            elif stat.S_ISREG(status.st_mode):
                with open(full, "rb") as stream:
                    content = stream.read(self._room + 1)
            else:
                return self._miss(path, "no file", None, known)
        except OSError:
            return self._miss(path, "not readable", status.st_size, known)
        oid = self._id(content)
        if _mode(status) + b" " + oid == known:
            return True
        if b"\0" not in content[:8192] and len(content) <= _SEARCHED_BYTES:
            content, rules = redact(content)
            if rules:
                self._leave_out(path, "secret", status.st_size)
                oid = self._id(content)
        self._write(oid, content)
        self._room -= len(content)
        self.entries[path] = _mode(status) + b" " + oid
        return True

    def _miss(self, path: bytes, why: str, size: Optional[int], known: bytes) -> bool:
        self._leave_out(path, why, size)
        if known:  # a pointer or other text in its place would be taken for the file
            self.entries[path] = _GONE
        return False

    def _leave_out(self, path: bytes, why: str, size: Optional[int] = None) -> None:
        if len(self.left_out) >= _MOST_LEFT_OUT:
            last = self.left_out[-1]
            last.update(path="", why="too many", files=int(str(last.get("files", 1))) + 1)
            return
        entry: Dict[str, object] = {"path": os.fsdecode(path), "why": why}
        if size is not None:
            entry["size_bytes"] = size
        self.left_out.append(entry)

    def _id(self, content: bytes) -> bytes:
        header = b"blob %d\0" % len(content)
        return hashlib.new(self._algorithm, header + content).hexdigest().encode()

    def _write(self, oid: bytes, content: bytes) -> None:
        """Write a loose object, as git reads it."""
        name = oid.decode()
        folder = os.path.join(self._store, name[:2])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name[2:]), "wb") as stream:
            stream.write(zlib.compress(b"blob %d\0" % len(content) + content, 1))

    def _status(self, path: bytes) -> Optional[os.stat_result]:
        try:
            return os.lstat(os.path.join(self._top, path))
        except (OSError, ValueError):
            return None


def _list_tracked(top: str) -> Dict[bytes, Tuple[bytes, bytes, bytes]]:
    """Return {path: (git's flag, mode, id)} of the index; `H` is the flag of a plain file."""
    tracked = {}
    for line in git(top, "ls-files", "-v", "-s", "-z").split(b"\0")[:-1]:
        words, path = line.split(b"\t", 1)
        flag, mode, oid, stage = words.split(b" ")
        tracked[path] = (flag if stage == b"0" else b"M", mode, oid)
    return tracked


def _converted(top: str, tracked: Dict[bytes, Tuple[bytes, bytes, bytes]]) -> Set[bytes]:
    """Return the paths that a filter or other conversion may change, but not their size."""
    # Of a worktree, whose `.git` is a file, git itself knows the attributes
    attributes = os.path.join(top, ".git", "info", "attributes")
    is_plain = os.path.isdir(os.path.join(top, ".git")) and not os.path.exists(attributes)
    if is_plain and not any(path.endswith(b".gitattributes") for path in tracked):
        return set()
    names = b"\0".join(tracked) + b"\0"
    words = git(top, "check-attr", "-z", "--stdin", *_CONVERSIONS, content=names).split(b"\0")
    unset = (b"unspecified", b"unset")
    return {words[at] for at in range(0, len(words) - 2, 3) if words[at + 2] not in unset}


def _sizes(top: str, tracked: Dict[bytes, Tuple[bytes, bytes, bytes]]) -> Dict[bytes, int]:
    """Return the sizes of the blobs in the index; those that a partial clone lacks are left out."""
    ids = sorted({oid for _, mode, oid in tracked.values() if mode != _SUBMODULE})
    asked = b"".join(oid + b"\n" for oid in ids)
    sizes = {}
    for line in git(top, "cat-file", "--batch-check", content=asked).splitlines():
        oid, size = line.split(b" ")[0], line.rsplit(b" ", 1)[-1]
        if size.isdigit():
            sizes[oid] = int(size)
    return sizes


def _mode(status: os.stat_result) -> bytes:
    if stat.S_ISLNK(status.st_mode):
        return _LINK
    return b"100755" if status.st_mode & stat.S_IXUSR else b"100644"


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or "/." in name
