"""Copies database and archive into a folder while the service runs; later runs copy what is new.

The database goes first, so that everything it names is in the copy of the archive, too. Of segments
only those are copied that were there before the first blob was: what is sealed meanwhile may name
blobs that came meanwhile. A database that is older than its archive does no harm: it adopts what it
lacks when it seals (`seal_ledger`).
With PostgreSQL only the archive is copied here, and `pg_dump` copies the database.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from jobprov.archive.opening import folder_url, holds_archive, is_kept_in, open_store
from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.holdings.erasures import all_erased
from jobprov.provenance.errors import BadInputError, NotFoundError, UnreachableError
from jobprov.provenance.progress import tell, watched
from jobprov.provenance.services.ledger.erased_segments import find_rewritten, first_name

DATABASE_COPY = "jobprov.db"
ARCHIVE_COPY = "archive"
_UNFINISHED_COPY = f"{DATABASE_COPY}.new"
_BATCH_BYTES = 8_000_000
_STREAMED_BYTES = 8_000_000
_LISTED_AT_ONCE = 5000


class BackupReport(NamedTuple):
    """What was copied.

    Attributes:
        database: the copy; None with PostgreSQL.
        blobs: how many the copy lacked.
        documents: how many the copy lacked.
        blob_bytes: of those blobs, uncompressed.
    """

    database: Path | None
    blobs: int
    documents: int
    blob_bytes: int


def copied_archive(folder: Path) -> str | None:
    """Return the address of the archive in the folder of a backup; None if there is none."""
    archive = folder.absolute() / ARCHIVE_COPY
    return folder_url(archive) if archive.is_dir() else None


def open_copy(source: str) -> Store:
    """Open the copy of an archive: the folder of a backup, or an address (`file:…`, `s3:…`).

    Raises:
        NotFoundError: the folder holds no archive.
    """
    if source.startswith(("file:", "s3:")):
        return open_store(source)
    address = copied_archive(Path(source))
    if address is None:
        raise NotFoundError(f"{source} holds no archive: it is not a folder of `jobprov backup`.")
    return open_store(address)


def make_backup_folder(folder: Path) -> None:
    """Make the folder of a backup, which only its owner may read.

    Raises:
        UnreachableError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700)
    except OSError as problem:
        raise UnreachableError(f"{folder} cannot be made: {problem.strerror}.") from None


def back_up(database: Database, store: Store, folder: Path) -> BackupReport:
    """Copy everything that the service cannot make again into `folder`, which is made if missing.

    Raises:
        BadInputError: the folder is the service's own, or holds other things and no backup.
        UnreachableError: the folder cannot be written.
        BlobDamagedError, DocumentDamagedError: something in the archive is damaged. Everything
            before it has been copied.
    """
    try:
        _refuse_own_folder(database, store, folder)
        _refuse_folder_of_others(folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        tell("copying the database")
        copy = _copy_database(database, folder) if database.is_sqlite else None
    except (OSError, sqlite3.Error) as problem:
        raise UnreachableError(f"{folder} cannot take the backup: {problem}.") from None
    target = open_store(folder_url(folder / ARCHIVE_COPY))
    named = set(store.documents())
    digests = watched("blobs compared with the copy", store.digests(), lambda: store.stats().blobs)
    copied = copy_blobs(store, target, _lacking(digests, target))
    documents = _copy_documents(store, target, named)
    _erase_superseded(store, target)
    _erase_erased(database, store, target)
    tell("packing the copy")
    target.seal()
    return BackupReport(copy, copied.blobs, documents, copied.size_bytes)


def _refuse_own_folder(database: Database, store: Store, folder: Path) -> None:
    """Refuse a folder from which the service itself works.

    The copy of the database would take the place of the file that the service goes on writing to.
    """
    target = folder / DATABASE_COPY
    is_own = is_kept_in(store, folder / ARCHIVE_COPY)
    if database.is_sqlite and target.exists():
        is_own = is_own or target.samefile(_file_of(database))
    if is_own:
        raise BadInputError(
            f"{folder} is where the service itself keeps its files: name another folder, on "
            "another disk."
        )


def _refuse_folder_of_others(folder: Path) -> None:
    """Refuse a folder that holds other things and no backup: its path is mistyped, most likely."""
    if not folder.is_dir() or _holds_a_backup(folder):
        return
    others = []
    for path in folder.iterdir():
        # An empty disk has lost+found; what pg_dump wrote may lie there before the first backup
        if path.name != "lost+found" and path.suffix != ".dump":
            others.append(path.name)
    if others:
        raise BadInputError(
            f"{folder} holds other things, such as {min(others)}, and no backup: nothing was "
            f"copied. Please name an empty folder or a new one, such as {folder / 'jobprov'}."
        )


def _holds_a_backup(folder: Path) -> bool:
    """Whether `back_up` was there before, even if it was killed."""
    is_database_there = any((folder / name).is_file() for name in (DATABASE_COPY, _UNFINISHED_COPY))
    return is_database_there or holds_archive(folder / ARCHIVE_COPY)


def _file_of(database: Database) -> Path:
    """Return the file of a database of SQLite."""
    return Path(str(database.reading.url.database))


def _as_url(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def _copy_database(database: Database, folder: Path) -> Path:
    """Copy the file as it is at one moment, with SQLite's own backup.

    The last copy stays until the new one is whole.
    """
    target = folder / DATABASE_COPY
    fresh = folder / _UNFINISHED_COPY
    fresh.unlink(missing_ok=True)
    source_url = f"file:{_as_url(_file_of(database))}?mode=ro"
    with (
        closing(sqlite3.connect(source_url, uri=True)) as source,
        closing(sqlite3.connect(fresh)) as copy,
    ):
        # In one step: a copy in parts starts over whenever somebody writes
        source.backup(copy)
        # So that the copy is one file, without the -wal and -shm files beside it
        copy.execute("PRAGMA journal_mode=DELETE")
        if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise UnreachableError(
                "The database is damaged; its copy does not pass SQLite's check."
            )
    with fresh.open("rb+") as file:
        os.fsync(file.fileno())
    fresh.replace(target)
    return target


class CopiedBlobs(NamedTuple):
    """How many blobs were copied, and their bytes."""

    blobs: int
    size_bytes: int


def copy_blobs(source: Store, target: Store, digests: Iterable[str]) -> CopiedBlobs:
    """Copy these blobs.

    Small ones are put together, since each put waits for the disk.
    """
    count = total = waiting_bytes = 0
    waiting: list[bytes] = []
    for sha256 in digests:
        size_bytes = source.size(sha256)
        count += 1
        total += size_bytes
        if size_bytes > _STREAMED_BYTES:
            with source.open(sha256) as blob:
                target.put_stream(iter(lambda: blob.read(1 << 20), b""), expected=sha256)
            continue
        waiting.append(source.get(sha256))
        waiting_bytes += size_bytes
        if waiting_bytes > _BATCH_BYTES:
            target.put_many(waiting)
            waiting, waiting_bytes = [], 0
    if waiting:
        target.put_many(waiting)
    return CopiedBlobs(count, total)


def _lacking(digests: Iterable[str], target: Store) -> Iterator[str]:
    batch: list[str] = []
    for sha256 in digests:
        batch.append(sha256)
        if len(batch) == _LISTED_AT_ONCE:
            yield from sorted(target.missing(batch))
            batch = []
    yield from sorted(target.missing(batch))


def _erase_superseded(source: Store, target: Store) -> None:
    """Remove from the copy the bodies of segments that were rewritten without erased entries."""
    there = set(source.documents())
    gone = [name for name in target.documents() if name.endswith(".body") and name not in there]
    # A body that is gone and has no rewritten one is damage to the archive: the copy keeps it
    superseded = [name for name in gone if find_rewritten(source, first_name(name)) is not None]
    target.erase_documents(superseded)


def _erase_erased(database: Database, source: Store, target: Store) -> None:
    """Remove from the copy the blobs that were erased on purpose and are gone from the archive."""
    with database.reading.connect() as connection:
        digests = all_erased(connection)
    gone = source.missing(digests) if digests else set()
    if left := gone - target.missing(gone):
        target.erase(left)


def _copy_documents(source: Store, target: Store, named: AbstractSet[str]) -> int:
    """Copy the segments; return how many documents the target lacked.

    A head commits its segment, so each body must be copied before its head. The order of the names
    sees to that: `00000001-DIGEST.body` sorts before `00000001.head`.

    Args:
        source: the archive.
        named: the documents that were there before the blobs were copied. A body of theirs may
            have been rewritten since: that one is copied instead.
    """
    there = set(target.documents())
    count = 0
    for name in watched("documents compared with the copy", source.documents()):
        is_old = name in named or (name.endswith(".body") and first_name(name) in named)
        if is_old and name not in there:
            count += target.put_document(name, source.get_document(name))
    return count
