"""The three places of an archive on S3: loose blobs, packs and documents, named as in a folder."""

import os
import tempfile
import threading
import time
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from jobprov.archive.backends.copies import Copy, OpenFile
from jobprov.archive.backends.documents import SUFFIX as DOCUMENT_SUFFIX
from jobprov.archive.backends.documents import place_of_part
from jobprov.archive.backends.durable import reaching
from jobprov.archive.backends.frames import HEADER_BYTES, decode_frame, encode_frame
from jobprov.archive.backends.inspecting import file_digest
from jobprov.archive.backends.packs import SUFFIX as PACK_SUFFIX
from jobprov.archive.backends.packs import Pack, ReadAt
from jobprov.archive.backends.s3.bucket import PART_BYTES, Bucket, in_parallel
from jobprov.archive.backends.shelves import SUFFIX as LOOSE_SUFFIX
from jobprov.archive.digest import digest_of, is_digest
from jobprov.archive.errors import (
    ArchiveUnreachableError,
    DocumentDamagedError,
    DocumentMissingError,
    FrameDamagedError,
)
from jobprov.archive.store import check_document_name, is_document_name

_RECENT_SECONDS = 60.0
"""Each upload asks which packs there are; so long, an earlier listing will do."""
FIRST_BYTES = 128 << 10
"""Fetched by the first request for an object, in which most blobs are whole."""

_WINDOW_BYTES = 16 << 10
"""Fetched by the first request into a pack. Much more would mostly be other blobs' frames."""


class LooseObjects:
    """Blobs in objects of their own: `loose/ab/<digest>.zst`, one frame each."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def find(self, sha256: str, first_bytes: int = FIRST_BYTES) -> Copy | None:
        """The loose copy of a blob, or None; one request, which also fetches its first bytes."""
        key = loose_key(sha256)
        first_and_size = self._bucket.first_bytes(key, first_bytes)
        if first_and_size is None:
            return None
        first, size_bytes = first_and_size
        return Copy(sha256, RemoteFile(self._bucket, key, size_bytes, first), key)

    def holding(self, digests: Sequence[str]) -> set[str]:
        """The digests that are loose; one request for each."""
        is_there = in_parallel(lambda sha256: self._bucket.holds(loose_key(sha256)), digests)
        return {sha256 for sha256, there in zip(digests, is_there, strict=True) if there}

    def sizes(self) -> dict[str, int]:
        """The loose blobs by digest, sorted, with the sizes of their frames in bytes."""
        sizes = {}
        for listed in self._bucket.listed("loose"):
            sha256 = listed.key.rpartition("/")[2].removesuffix(LOOSE_SUFFIX)
            if is_digest(sha256) and listed.key == loose_key(sha256):
                sizes[sha256] = listed.size_bytes
        return dict(sorted(sizes.items()))

    def remove(self, digests: Sequence[str]) -> None:
        """Remove loose copies."""
        self._bucket.delete(map(loose_key, digests))


class _PackVersion(NamedTuple):
    """An object under the name of a pack, and when it was stored, by the server's clock."""

    name: str
    stored_at: datetime


class PackObjects:
    """The packs, as this process last saw them. Their indexes are in a local scratch file."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._scratch = _Scratch()
        self._looking = threading.Lock()
        self._looked_at = 0.0
        self._packs: dict[_PackVersion, Pack] = {}
        self._intact: set[_PackVersion] = set()

    def known(self) -> Sequence[Pack]:
        """The packs as last seen."""
        return tuple(self._packs.values())

    def recent(self) -> Sequence[Pack]:
        """The packs as seen within the last minute."""
        if time.monotonic() < self._looked_at + _RECENT_SECONDS:
            return self.known()
        return self.refresh()

    def refresh(self) -> Sequence[Pack]:
        """The packs as they are now.

        A blob that a seal moves is seen in one place at least: the old one is removed last, an hour
        after the new one was stored.
        """
        with self._looking:
            sizes = self._listed_sizes()
            if list(sizes) != list(self._packs):
                self._packs = self._opened(sizes)
            self._looked_at = time.monotonic()
            return self.known()

    def _listed_sizes(self) -> dict[_PackVersion, int]:
        """The packs in the bucket, sorted, with their sizes in bytes."""
        sizes: dict[_PackVersion, int] = {}
        for listed in self._bucket.listed("packs"):
            name = listed.key.removeprefix("packs/")
            if name.endswith(PACK_SUFFIX) and "/" not in name:
                sizes[_PackVersion(name, listed.modified_at)] = listed.size_bytes
        return dict(sorted(sizes.items()))

    def _opened(self, sizes: dict[_PackVersion, int]) -> dict[_PackVersion, Pack]:
        """The packs that were listed: those known already, and the others opened in parallel.

        What was removed after the listing is left out.
        """
        new = [version for version in sizes if version not in self._packs]
        new_packs = in_parallel(lambda version: self._open(version.name, sizes[version]), new)
        found = {**self._packs, **dict(zip(new, new_packs, strict=True))}
        packs: dict[_PackVersion, Pack] = {}
        for version in sizes:
            pack = found[version]
            if pack is not None:
                packs[version] = pack
        return packs

    def arrivals(self) -> dict[str, datetime]:
        """When each pack was stored, by the server's clock, by name of the pack."""
        return {version.name: version.stored_at for version in self._packs}

    def find(self, pack: Pack, sha256: bytes) -> Copy | None:
        """The copy of a blob in a pack, or None. This makes no request."""
        copy = pack.find(sha256)
        # Each copy has its own window of bytes: threads share the pack
        return copy and replace(
            copy, file=RemoteFile(self._bucket, _pack_key(pack.name), pack.size_bytes)
        )

    def download(self, pack: Pack, folder: Path) -> Pack | None:
        """A pack with all its bytes in a local file; None if it is gone."""
        target = folder / pack.name
        file = download(self._bucket, _pack_key(pack.name), pack.size_bytes, target)
        if file is None:
            return None
        target.unlink()  # the system keeps the bytes as long as the file is open
        return Pack(pack.name, file)

    def is_intact(self, pack: Pack, folder: Path) -> bool:
        """Whether a pack has the bytes that it is named after.

        Each pack is read through only once in the life of this process.
        """
        version = _PackVersion(pack.name, self.arrivals()[pack.name])
        if version not in self._intact:
            here = self.download(pack, folder)
            if here is None or f"{file_digest(here.file)}{PACK_SUFFIX}" != pack.name:
                return False
            self._intact.add(version)
        return True

    def upload(self, path: Path) -> None:
        """Store a finished pack under its name."""
        self._bucket.put_file(_pack_key(path.name), path)

    def remove(self, packs: Sequence[Pack]) -> None:
        """Remove packs."""
        self._bucket.delete(_pack_key(pack.name) for pack in packs)

    def _open(self, name: str, size_bytes: int) -> Pack | None:
        file = RemoteFile(self._bucket, _pack_key(name), size_bytes)
        try:
            # One request for the end of the pack: in most packs, this includes the whole index
            file.read_at(max(size_bytes - FIRST_BYTES, 0), FIRST_BYTES)
        except FrameDamagedError:
            return None  # it was removed after the listing
        pack = Pack(name, file, self._scratch.hold)
        # A new file, so that the bytes read so far do not stay in memory for each pack
        pack.file = RemoteFile(self._bucket, _pack_key(name), size_bytes)
        return pack


class DocumentObjects:
    """Documents: `documents/<name>.document`, one frame each, bound to its name."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._is_conditional = False

    def put(self, name: str, data: bytes) -> bool:
        """Store a document durably, unless one of that name exists; returns whether it was stored.

        Raises:
            BadNameError: no document may have that name.
            ArchiveUnreachableError: the server would overwrite an existing one.
        """
        key = _document_key(name)
        self._check_conditional()
        return self._bucket.put_new(key, encode_frame(data, digest_of(data), bound_to=name))

    def get(self, name: str) -> bytes:
        """See `Store.get_document`."""
        key = _document_key(name)
        first_and_size = self._bucket.first_bytes(key, FIRST_BYTES)
        if first_and_size is None:
            raise DocumentMissingError(name)
        first, size_bytes = first_and_size
        file = RemoteFile(self._bucket, key, size_bytes, first)
        try:
            return decode_frame(file.read_at(0, size_bytes), bound_to=name)
        except FrameDamagedError as error:
            raise DocumentDamagedError(name, key, error.detail) from error

    def read(self, name: str, start: int, length: int, *, sha256: str) -> bytes | None:
        """See `Store.read_document`."""
        key = _document_key(name)
        first_and_size = self._bucket.first_bytes(key, HEADER_BYTES)
        if first_and_size is None:
            raise DocumentMissingError(name)
        try:
            place = place_of_part(first_and_size[0], start, length, sha256)
        except FrameDamagedError as error:
            raise DocumentDamagedError(name, key, error.detail) from error
        if place is None:
            return None
        part = self._bucket.read(key, place, length)
        if part is None:
            raise DocumentMissingError(name)
        return part

    def remove(self, names: Collection[str]) -> None:
        """See `Store.erase_documents`."""
        self._bucket.delete([_document_key(name) for name in names])

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names that begin with a prefix, sorted."""
        folder_of_prefix = f"documents/{prefix.rpartition('/')[0]}".rstrip("/")
        names: list[str] = []
        for listed in self._bucket.listed(folder_of_prefix):
            file = listed.key.removeprefix("documents/")
            name = file.removesuffix(DOCUMENT_SUFFIX)
            if _is_document(file) and name.startswith(prefix):
                names.append(name)
        yield from sorted(names)

    def _check_conditional(self) -> None:
        """Check once that the server honours put-if-absent.

        Some servers ignore it. Then two sealers could both write the same segment of a ledger.
        """
        if self._is_conditional:
            return
        if self._bucket.put_new("put-if-absent", b"") and self._bucket.put_new(
            "put-if-absent", b""
        ):
            raise ArchiveUnreachableError(
                self._bucket.where,
                "its server passes over `If-None-Match: *`, so that two sealers could overwrite "
                "each other's segments",
                "use one that does not",
            )
        self._is_conditional = True


def is_stray(key: str) -> bool:
    """Whether an object is in one of the three places under a name that is not the archive's."""
    place, _slash, rest = key.partition("/")
    name = rest.rpartition("/")[2]
    if place == "loose":
        sha256 = name.removesuffix(LOOSE_SUFFIX)
        return not is_digest(sha256) or key != loose_key(sha256)
    if place == "packs":
        return name != rest or not rest.endswith(PACK_SUFFIX)
    return place == "documents" and not _is_document(rest)


class _Scratch:
    """A nameless file for what would be too much for memory; closed when nothing refers to it."""

    def __init__(self) -> None:
        with reaching(Path(tempfile.gettempdir())):
            self._fd, path = tempfile.mkstemp(prefix="jobprov-")
            Path(path).unlink()
        # Not at exit: other threads may still read, and the system closes it anyway
        weakref.finalize(self, os.close, self._fd).atexit = False
        self._end = 0
        self._appending = threading.Lock()

    def hold(self, data: bytes) -> ReadAt:
        """Keep bytes; returns a function that reads them."""
        with self._appending, reaching(Path(tempfile.gettempdir())):
            start = self._end
            while data:
                written = os.pwrite(self._fd, data, self._end)
                self._end += written
                data = data[written:]
        return lambda offset, length: os.pread(self._fd, length, start + offset)


def loose_key(sha256: str) -> str:
    """The key of a loose blob."""
    return f"loose/{sha256[:2]}/{sha256}{LOOSE_SUFFIX}"


def _pack_key(name: str) -> str:
    return f"packs/{name}"


def _is_document(file: str) -> bool:
    return file.endswith(DOCUMENT_SUFFIX) and is_document_name(file.removesuffix(DOCUMENT_SUFFIX))


def _document_key(name: str) -> str:
    return f"documents/{check_document_name(name)}{DOCUMENT_SUFFIX}"


class RemoteFile:
    """An object that is read by position; not for two threads at once.

    It fetches more than it is asked for, and twice as much each time a read continues where the
    last one ended.

    Args:
        bucket: where it is.
        key: of the object.
        size_bytes: of the object.
        window: its first bytes, if they are known.
    """

    def __init__(self, bucket: Bucket, key: str, size_bytes: int, window: bytes = b"") -> None:
        self._bucket = bucket
        self._key = key
        self._size_bytes = size_bytes
        self._start = 0
        self._window = window
        self._ahead_bytes = _WINDOW_BYTES

    def size(self) -> int:
        """The length of the object in bytes."""
        return self._size_bytes

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes from an offset; fewer than asked for only where the object ends.

        Raises:
            FrameDamagedError: the object no longer exists.
            ArchiveUnreachableError: the server does not deliver them.
        """
        length = max(min(length, self._size_bytes - offset), 0)
        begin = offset - self._start
        if not 0 <= begin <= begin + length <= len(self._window):
            self._fetch(offset, length)
            begin = 0
        return self._window[begin : begin + length]

    def _fetch(self, offset: int, length: int) -> None:
        """Make the window hold so many bytes from there on, and more where the reader goes on."""
        end = self._start + len(self._window)
        known = b""
        if self._start <= offset < end:
            known = self._window[offset - self._start :]
        if self._start < offset <= end:
            self._ahead_bytes = min(2 * self._ahead_bytes, PART_BYTES)
        else:
            self._ahead_bytes = _WINDOW_BYTES
        left_bytes = self._size_bytes - offset
        window_bytes = min(max(length, self._ahead_bytes), left_bytes)
        fetched = self._bucket.read(self._key, offset + len(known), window_bytes - len(known))
        if fetched is None:
            raise FrameDamagedError("the object is gone")
        self._start = offset
        self._window = known + fetched


def download(bucket: Bucket, key: str, size_bytes: int, target: Path) -> OpenFile | None:
    """An object's bytes in a new local file, open for reading; None if there is no such object."""
    with target.open("xb") as file:
        for start in range(0, size_bytes, 4 * PART_BYTES):
            data = bucket.read(key, start, min(4 * PART_BYTES, size_bytes - start))
            if data is None:
                target.unlink()
                return None
            file.write(data)
    return OpenFile(target)
