"""Files that exist as a whole or not at all, whenever the power fails.

A file is written under a temporary name and flushed. Then it gets its name by a link, which fails
if the name is taken, so that one of two writers wins; and then the folder is flushed. No other
module of the archive creates files.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from jobprov.archive.errors import ArchiveUnreachableError

_ABANDONED_SECONDS = 24 * 3600


class Arrival:
    """A file under a temporary name; if it is not linked when the block ends, it is lost."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{os.getpid()}-{secrets.token_hex(8)}"
        # Read-only from the start: no file of the archive is ever changed later
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary name; a linked file stays."""
        os.close(self.fd)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        view = memoryview(data)
        while view:
            written = os.write(self.fd, view)  # may be less than asked for
            view = view[written:]

    def truncate(self, length: int) -> None:
        """Drop what was written beyond a length, and continue from there."""
        os.ftruncate(self.fd, length)
        os.lseek(self.fd, length, os.SEEK_SET)

    def rewrite_start(self, data: bytes) -> None:
        """Overwrite the first bytes, as long as the file has no name."""
        os.pwrite(self.fd, data, 0)

    def flush(self) -> None:
        """Return once the bytes are on the disk."""
        os.fsync(self.fd)

    def link(self, target: Path) -> bool:
        """Give the file its name; returns False if that is taken. Flush the folder afterwards."""
        try:
            os.link(self.path, target)
        except FileExistsError:
            return False
        return True

    def replace(self, target: Path) -> None:
        """Give the file the name of a damaged file, which is lost. Flush the folder afterwards."""
        self.path.replace(target)


def flush_folder(folder: Path) -> None:
    """Return once the names in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, durably; existing ones are left alone."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    flush_folder(folder.parent)


def sweep_arrivals(folder: Path) -> int:
    """Remove files that crashed writers left more than a day ago; returns how many."""
    before = time.time() - _ABANDONED_SECONDS
    removed = 0
    for path in list(folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()
                removed += 1
    return removed


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold a lock that excludes every other holder, in this process and others; waits for it."""
    with _lock(path, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Hold a lock that is shared with others and excludes exclusive holders; waits for it."""
    with _lock(path, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def reaching(root: Path) -> Iterator[None]:
    """Turn errors of the operating system into one error that names the archive."""
    try:
        yield
    except OSError as error:
        raise ArchiveUnreachableError(
            str(error.filename or root), error.strerror or str(error)
        ) from error


@contextlib.contextmanager
def _lock(path: Path, kind: int) -> Iterator[None]:
    # Opened again each time: the lock belongs to the open file, and threads must not share it.
    # NFS grants an exclusive lock only on a file that is open for writing
    mode = os.O_RDWR if kind == fcntl.LOCK_EX else os.O_RDONLY
    fd = os.open(path, mode | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, kind)
        yield
    finally:
        os.close(fd)
