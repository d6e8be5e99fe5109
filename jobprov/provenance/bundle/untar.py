"""Reads the tar of a bundle, and no other tar: each header must be the one that `ustar` writes.

So no other mode, owner, time, type or extension of the format is accepted, unlike by libraries for
tars. Order, folders and the padding at the end must be those of `tar`, too. Nothing is written
here; a tar is read once, in bounded memory.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from jobprov.provenance.bundle.draft import Member
from jobprov.provenance.bundle.names import is_plain
from jobprov.provenance.bundle.tar import RECORD
from jobprov.provenance.bundle.ustar import BLOCK, KIND, MTIME, PREFIX, Headers
from jobprov.provenance.errors import BundleError

_PIECE = 1 << 20
_NAME, _MODE, _SIZE = slice(0, 100), slice(100, 108), slice(124, 136)
_MTIME, _PREFIX = slice(MTIME, MTIME + 12), slice(PREFIX, PREFIX + 155)
_FILE, _FOLDER = b"0", b"5"
_FILE_MODES, _FOLDER_MODES = (0o644, 0o755), (0o755,)


class Entry(NamedTuple):
    """A file or folder of the tar.

    Attributes:
        path: with the top folder; without a slash at the end.
        mode: 0644 or 0755; that of a folder is 0755.
        size: of a file, in bytes; 0 for a folder.
    """

    path: str
    mode: int
    size: int
    is_folder: bool


class BundleTar:
    """A bundle's tar, read from a stream.

    Attributes:
        mtime: the time of its entries, in seconds since 1970; -1 before the first.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.mtime = -1
        self._stream = stream
        self._read_bytes = 0
        self._left = 0
        self._headers: Headers | None = None
        self._last_file = b""
        self._folders: set[str] = set()
        self._new_folders: list[str] = []

    def entries(self) -> Iterator[Entry]:
        """Each folder and file in order; read a file's `pieces` before the next entry.

        Raises:
            BundleError: this tar was not written as a bundle is; the message names the entry.
        """
        while True:
            block = self._block()
            if not any(block):
                self._check_end()
                return
            entry = self._entry(block)
            self._check_order(entry)
            self._left = entry.size
            yield entry
            if self._left:
                raise AssertionError("the bytes of the last entry were not read")

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the last file."""
        padding = -self._left % BLOCK
        while self._left:
            piece = self._exactly(min(_PIECE, self._left))
            self._left -= len(piece)
            yield piece
        if any(self._exactly(padding)):
            raise BundleError("The tar has bytes between its files; get the bundle again.")

    def _entry(self, block: bytes) -> Entry:
        path, kind = _path_of(block), block[KIND : KIND + 1]
        if kind not in {_FILE, _FOLDER} or not is_plain(path.removesuffix("/")):
            raise BundleError(
                f"{path!r} (type {kind!r}): a bundle holds only plain files and folders, so this "
                "tar is not a bundle."
            )
        is_folder = kind == _FOLDER
        mode, mtime = _number(block[_MODE]), _number(block[_MTIME])
        size = _number(block[_SIZE])
        if self._headers is None:  # the first entry has the time of all
            self.mtime, self._headers = mtime, Headers(mtime)
        if mode not in (_FOLDER_MODES if is_folder else _FILE_MODES):
            raise BundleError(f"{path}: mode {mode:o} is none that a bundle has; get it again.")
        if mtime != self.mtime:
            raise BundleError(f"{path}: its time is not that of the bundle; get it again.")
        if path.endswith("/") != is_folder or block != _header(self._headers, path, mode, size):
            raise BundleError(
                f"{path}: its header is not as a bundle has it (owner, link, device or form of the "
                "tar); the bundle was packed again or changed, get it again."
            )
        return Entry(path.removesuffix("/"), mode, size, is_folder)

    def _check_order(self, entry: Entry) -> None:
        """Refuse what is not in its place.

        Paths go up, and a folder comes right before its first file.
        """
        if entry.is_folder:
            if entry.path in self._folders or entry.path in self._new_folders:
                raise BundleError(f"{entry.path}: a folder named twice; get the bundle again.")
            self._new_folders.append(entry.path)
            return
        self._check_folders(entry.path)
        path = entry.path.encode()
        if path <= self._last_file:
            raise BundleError(f"{entry.path}: named twice, or not in its place; get it again.")
        if self._last_file and _top_of(path) != _top_of(self._last_file):
            raise BundleError(f"{entry.path}: a bundle has one top folder; get it again.")
        self._folders.update(self._new_folders)
        self._new_folders = []
        self._last_file = path

    def _check_folders(self, path: str) -> None:
        """Refuse a file unless the folders right before it are the new ones that it lies in."""
        parts = path.split("/")
        folders = ["/".join(parts[:count]) for count in range(1, len(parts))]
        expected = [folder for folder in folders if folder not in self._folders]
        if self._new_folders != expected:
            odd = sorted(set(self._new_folders) ^ set(expected)) or expected
            raise BundleError(
                f"{odd[0]}: a folder that is empty, missing or not in its place; get the bundle "
                "again."
            )

    def _check_end(self) -> None:
        """The first of the last blocks was read."""
        if not self._last_file:
            raise BundleError("The tar is empty; get the bundle again.")
        if self._new_folders:
            raise BundleError(f"{self._new_folders[0]}: an empty folder; get the bundle again.")
        written = self._read_bytes - BLOCK
        left = 2 * BLOCK + -(written + 2 * BLOCK) % RECORD - BLOCK
        if any(self._exactly(left)) or self._stream.read(1):
            raise BundleError("The tar has bytes behind its end; get the bundle again.")

    def _block(self) -> bytes:
        return self._exactly(BLOCK)

    def _exactly(self, count: int) -> bytes:
        parts = []
        left = count
        while left:
            part = self._stream.read(left)
            if not part:
                raise BundleError("The tar is damaged or cut off; get the bundle again.")
            parts.append(part)
            left -= len(part)
        self._read_bytes += count
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _header(headers: Headers, path: str, mode: int, size: int) -> bytes:
    """The header that a bundle has for a file, or for a folder, whose path ends in a slash."""
    if path.endswith("/"):
        return headers.of(path.encode(), None)
    member = Member(path=path, mode=mode, sha256="", sha512="", size=size)
    return headers.of(path.encode(), member)


def _top_of(path: bytes) -> bytes:
    return path.split(b"/")[0]


def _path_of(block: bytes) -> str:
    name, prefix = (_text(block[field]) for field in (_NAME, _PREFIX))
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("ascii", "backslashreplace")


def _number(field: bytes) -> int:
    try:
        return int(field.rstrip(b"\0 "), 8)
    except ValueError:
        return -1
