"""Reads git objects: from bytes to commits, tags and trees. Pure functions, without git or files.

Source: "Git Objects" in gitformat-pack(5) and Documentation/technical of git; "hash of type, blank,
size, NUL, content".
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from jobprov.provenance.errors import SoftwareError

KINDS = ("commit", "tree", "blob", "tag")  # in the order of their numbers in packs, 1 to 4
TREE_MODE = "040000"
MAX_ENTRIES = 2_000_000
"""A tree may contain another one many times, and so a small pack may name billions of files."""
GITLINK_MODE = "160000"  # a submodule: the id is a commit of another repository


@dataclass(frozen=True)
class TreeEntry:
    """One entry below a tree.

    Attributes:
        path: relative to that tree; bytes that are not UTF-8 are surrogates.
    """

    path: str
    mode: str
    oid: str

    @property
    def is_tree(self) -> bool:
        """Whether it is a folder."""
        return self.mode == TREE_MODE

    @property
    def is_gitlink(self) -> bool:
        """Whether it is a submodule, whose objects are in another repository."""
        return self.mode == GITLINK_MODE


@dataclass(frozen=True)
class CommitFields:
    """The fields of a commit."""

    tree: str
    parents: tuple[str, ...]
    committed_at: datetime | None
    subject: str


def object_id(kind: str, content: bytes) -> str:
    """Return the SHA-1 object id of `content`."""
    return hashlib.sha1(
        b"%s %d\0" % (kind.encode(), len(content)) + content, usedforsecurity=False
    ).hexdigest()


def parse_commit(content: bytes) -> CommitFields:
    """Return the fields of a commit. Dates that cannot be read are None; old histories have such.

    Raises:
        SoftwareError: it names no tree.
    """
    header, _, message = content.partition(b"\n\n")
    fields: list[list[bytes]] = []
    for line in header.split(b"\n"):
        # A line that begins with a blank continues the one before, as in signatures
        if b" " in line and not line.startswith(b" "):
            fields.append(line.split(b" ", 1))
    first = dict(reversed(fields))  # of several with one name, the first counts
    if b"tree" not in first:
        raise SoftwareError("A commit object names no tree: the repository is damaged.")
    parents = tuple(value.decode("ascii", "replace") for name, value in fields if name == b"parent")
    subject = message.lstrip(b"\n").split(b"\n", 1)[0].decode("utf-8", "replace")
    return CommitFields(
        first[b"tree"].decode("ascii", "replace"),
        parents,
        _moment(first.get(b"committer", b"")),
        subject,
    )


def tagged_object(content: bytes) -> str:
    """Return the id of the object that an annotated tag names.

    Raises:
        SoftwareError: it names none.
    """
    header = content.partition(b"\n\n")[0]
    fields = dict(line.split(b" ", 1) for line in header.split(b"\n") if b" " in line)
    try:
        return fields[b"object"].decode("ascii")
    except (KeyError, UnicodeDecodeError) as error:
        raise SoftwareError("A tag object names no object: the repository is damaged.") from error


def parse_tree(content: bytes) -> list[TreeEntry]:
    """Return the direct entries of a tree, in git's order.

    Raises:
        SoftwareError: it is cut off, or names an entry that would lead out of the tree or into
            git's own folder.
    """
    entries: list[TreeEntry] = []
    at = 0
    while at < len(content):
        blank, end = content.find(b" ", at, at + 8), content.find(b"\0", at)
        if blank < 0 or end < blank or end + 21 > len(content):
            raise SoftwareError("A tree object is cut off: the repository is damaged.")
        name = content[blank + 1 : end].decode("utf-8", "surrogateescape")
        mode = content[at:blank].decode("ascii", "replace").zfill(6)
        entries.append(TreeEntry(name, mode, content[end + 1 : end + 21].hex()))
        at = end + 21
    _check_names(entries)
    return entries


def walk_tree(read_tree: Callable[[str, str], bytes], tree: str) -> Iterator[TreeEntry]:
    """Yield every entry below `tree`, folders before what is in them.

    Args:
        read_tree: returns the content of a tree, given its id and its path.
        tree: the id of the tree to walk.

    Raises:
        SoftwareError: a tree is damaged or hostile, or there are more than two million entries.
    """
    pending, left = [("", tree)], MAX_ENTRIES
    while pending:
        folder, oid = pending.pop()
        entries = parse_tree(read_tree(oid, folder.rstrip("/")))
        left -= len(entries)
        if left < 0:
            raise SoftwareError(f"Tree {tree} has more than {MAX_ENTRIES} entries: it is not read.")
        for entry in entries:
            full = TreeEntry(folder + entry.path, entry.mode, entry.oid)
            yield full
            if full.is_tree:
                pending.append((full.path + "/", full.oid))


def _check_names(entries: list[TreeEntry]) -> None:
    """Refuse names that `git fsck` refuses: uploaded packs have not been checked by it."""
    names = {entry.path for entry in entries}
    for name in names:
        if name in ("", ".", "..") or "/" in name or name.lower() == ".git":
            raise SoftwareError(
                f"A tree object names an entry {name!r}, which is not allowed: "
                "it is damaged or hostile."
            )
    if len(names) < len(entries):
        raise SoftwareError("A tree object names an entry twice: it is damaged or hostile.")


def _moment(person: bytes) -> datetime | None:
    """The time in `Name <address> seconds zone`."""
    try:
        return datetime.fromtimestamp(int(person.rsplit(b">", 1)[-1].split()[0]), UTC)
    except (ValueError, IndexError, OverflowError, OSError):
        return None
