"""Where tables are written: a folder, or a prefix of a bucket, by the same few operations.

A file gets its name whole or not at all. Files wait in `_staging` until all are there.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jobprov.archive.backends.durable import flush_folder, make_folder
from jobprov.archive.errors import BadUrlError
from jobprov.archive.opening import open_bucket
from jobprov.provenance.errors import BadInputError, ConflictError
from jobprov.provenance.services.analysis.manifest import LOCK, STAGING

if TYPE_CHECKING:
    from jobprov.archive.backends.s3.bucket import Bucket

_ABANDONED = timedelta(minutes=15)
_FEW = 5


class Folder(Protocol):
    """A place for tables.

    Attributes:
        where: its address, for people.
    """

    where: str

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Hold the folder: no other export works in it meanwhile.

        Raises:
            ConflictError: another one does.
        """

    def check_alone(self) -> None:
        """Note that this export goes on.

        Raises:
            ConflictError: another one took the folder, since this one said nothing for long.
        """

    def scratch(self) -> contextlib.AbstractContextManager[Path]:
        """Give a local folder for files that are being written."""

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a small file; None where it is missing."""

    def write(self, name: str, data: bytes) -> None:
        """Write a small file durably, in place of one of that name."""

    def stage(self, path: Path, name: str) -> None:
        """Bring a finished file to where it waits for its name."""

    def publish(self, name: str) -> None:
        """Give a finished file its name; do nothing if it has it already."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; missing ones are left alone."""

    def clear_staging(self) -> None:
        """Remove what waits for a name."""

    def first_names(self) -> list[str]:
        """Return the names of a few entries, if there are any."""

    def sizes(self) -> dict[str, int]:
        """Return the size of every file that has its name, in bytes."""


def open_folder(address: str) -> Folder:
    """Return the folder at a path or an address `s3://bucket/prefix`.

    Raises:
        BadInputError: the address has another form, the package for S3 is not installed, or the
            path is a file's.
    """
    if address.startswith("s3:"):
        try:
            return BucketFolder(open_bucket(address))
        except BadUrlError as problem:
            raise BadInputError(
                f"{address} is no place for tables: {problem.why}.", {"to": [problem.why]}
            ) from None
    if "://" in address:
        raise BadInputError(
            f"{address} is no place for tables: name a folder, or s3://bucket/prefix.",
            {"to": ["a folder or s3://bucket/prefix"]},
        )
    path = Path(address).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise BadInputError(f"{path} is a file; name a folder.", {"to": ["a folder"]})
    return LocalFolder(path)


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a lock that ends with the process, however it ends."""
        make_folder(self._path)
        with (self._path / LOCK).open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError(
                    f"Another export writes into {self.where} at this moment; nothing was changed. "
                    "Try again when it has ended."
                ) from None
            yield

    def check_alone(self) -> None:
        """Nothing can take the lock away."""

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a folder on the same disk."""
        folder = self._path / STAGING / ".writing"
        make_folder(folder)
        yield folder

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file under another name first."""
        draft = self._path / f".{name}-{os.getpid()}"
        with draft.open("wb") as file:
            file.write(data)
        self._move(draft, self._path / name)

    def stage(self, path: Path, name: str) -> None:
        """Move a file."""
        self._move(path, self._path / STAGING / name)

    def publish(self, name: str) -> None:
        """Move a file, in place of the one that has its name."""
        with contextlib.suppress(FileNotFoundError):
            self._move(self._path / STAGING / name, self._path / name)

    def _move(self, path: Path, target: Path) -> None:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        make_folder(target.parent)
        path.replace(target)
        flush_folder(target.parent)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and the folders that are empty then."""
        for name in names:
            path = self._path / name
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self._path or not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()

    def clear_staging(self) -> None:
        """Remove the staging folder, and drafts that killed exports left."""
        shutil.rmtree(self._path / STAGING, ignore_errors=True)
        for draft in self._path.glob("._*.json-*"):
            draft.unlink(missing_ok=True)

    def first_names(self) -> list[str]:
        """Return the names of a few entries."""
        try:
            with os.scandir(self._path) as entries:
                return [entry.name for entry in islice(entries, _FEW)]
        except FileNotFoundError:
            return []

    def sizes(self) -> dict[str, int]:
        """Return the size of every file but what waits."""
        sizes = {}
        for folder, inner, files in os.walk(self._path):
            if STAGING in inner:
                inner.remove(STAGING)
            for file in files:
                path = Path(folder, file)
                sizes[path.relative_to(self._path).as_posix()] = path.stat().st_size
        return sizes


class BucketFolder:
    """A prefix of a bucket.

    S3 has no lock that ends with its holder. The object `_lock` names the holder, who puts it anew
    as it goes on; when it is old, it counts as left behind by an export that was killed.
    """

    def __init__(self, bucket: "Bucket") -> None:
        self.where = bucket.where
        self._bucket = bucket
        self._holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(8)}".encode()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the object `_lock`."""
        if not self._bucket.put_new(LOCK, self._holder):
            self._take_over()
        self.check_alone()
        try:
            yield
        finally:
            # What cannot be reached now is old in a while
            with contextlib.suppress(Exception):
                if self.read(LOCK) == self._holder:
                    self._bucket.delete([LOCK])

    def _take_over(self) -> None:
        locks = [listed for listed in self._bucket.listed("") if listed.key == LOCK]
        now = self._bucket.now()
        self._bucket.delete(["clock"])  # by which it is asked
        if locks and now - locks[0].modified_at < _ABANDONED:
            holder = (self.read(LOCK) or b"").decode(errors="replace").split(" ")[:2]
            raise ConflictError(
                f"Another export writes into {self.where}: process {' '.join(reversed(holder))}. "
                "Nothing was changed. If it was killed, the next export may begin a quarter of an "
                "hour later."
            )
        self._bucket.delete([LOCK])
        self._bucket.put_new(LOCK, self._holder)

    def check_alone(self) -> None:
        """Put the lock anew, unless it is another's."""
        if self.read(LOCK) != self._holder:
            raise ConflictError(
                f"Another export took {self.where} over; this one published nothing. Try again "
                "when the other one has ended."
            )
        self._bucket.put(LOCK, self._holder)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="jobprov-tables-") as folder:
            yield Path(folder)

    def read(self, name: str) -> bytes | None:
        """Return the bytes of an object."""
        read = self._bucket.first_bytes(name, 1 << 30)
        return None if read is None else read[0]

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        self._bucket.put(name, data)

    def stage(self, path: Path, name: str) -> None:
        """Upload a file, and remove it here."""
        self._bucket.put_file(f"{STAGING}/{name}", path)
        path.unlink()
        self.check_alone()

    def publish(self, name: str) -> None:
        """Copy an object within the server, in place of the one that has its name."""
        if self._bucket.copy(f"{STAGING}/{name}", name):
            self._bucket.delete([f"{STAGING}/{name}"])

    def remove(self, names: Iterable[str]) -> None:
        """Delete objects."""
        self._bucket.delete(names)

    def clear_staging(self) -> None:
        """Delete what waits."""
        self._bucket.delete(listed.key for listed in self._bucket.listed(STAGING))

    def first_names(self) -> list[str]:
        """Return the names of a few objects."""
        return [listed.key for listed in islice(self._bucket.listed(""), _FEW)]

    def sizes(self) -> dict[str, int]:
        """Return the size of every object but what waits."""
        sizes = {}
        for listed in self._bucket.listed(""):
            if not listed.key.startswith(f"{STAGING}/"):
                sizes[listed.key] = listed.size_bytes
        return sizes
