"""An archive in a bucket of an S3 server, for many machines at once.

    loose/      ab/<digest>.zst, one object for each blob that is not in a pack yet
    packs/      <SHA-256 of the object>.pack, written by a seal
    documents/  <name>.document

Objects have the names and bytes of a local archive's files, so a folder copied into a bucket is an
archive there, and the other way round. Two more objects, `clock` and `put-if-absent`, serve to ask
for the server's time, and to test whether it refuses to overwrite an object.

Uploads, seals and readers use the system's folder for temporary files: for the stored form of one
blob or pack at a time, and 40 bytes for each packed blob as long as the process lives.
"""

import secrets
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path

from jobprov.archive.backends.copies import Copy
from jobprov.archive.backends.durable import Arrival, reaching
from jobprov.archive.backends.erasing import Eraser, Publish
from jobprov.archive.backends.frames import HEADER_BYTES, FrameStream, encode_frame, encode_header
from jobprov.archive.backends.inspecting import (
    inspect_document,
    inspect_loose,
    inspect_packs,
    stray,
)
from jobprov.archive.backends.packs import Pack, PackWriter
from jobprov.archive.backends.reading import CopiesStore, blob_bytes, is_packed
from jobprov.archive.backends.s3.bucket import PART_BYTES, Bucket, in_parallel
from jobprov.archive.backends.s3.objects import (
    DocumentObjects,
    LooseObjects,
    PackObjects,
    is_stray,
    loose_key,
)
from jobprov.archive.backends.s3.sealing import RemoteSealer, find_superseded
from jobprov.archive.backends.shelves import is_intact
from jobprov.archive.digest import check_digest, check_match, checked_chunks, digest_of
from jobprov.archive.store import (
    PACK_LIMIT_BYTES,
    ArchiveStats,
    Finding,
    SealReport,
    Stored,
    nobody,
)

GRACE = timedelta(hours=1)
_SCRATCH = Path(tempfile.gettempdir())


class S3Store(CopiesStore):
    """A `Store` below a prefix of a bucket, which must exist.

    Args:
        bucket: where it is.
        grace: how long a seal leaves the old copies of what it has put into a pack.

    Raises:
        ArchiveUnreachableError: here and in every method, if the server or the local disk cannot be
            used.
    """

    def __init__(self, bucket: Bucket, *, grace: timedelta = GRACE) -> None:
        self.bucket = bucket
        self._grace = grace
        self._loose = LooseObjects(bucket)
        self._packs = PackObjects(bucket)
        self._documents: DocumentObjects = DocumentObjects(bucket)
        self._packs.refresh()  # so that a wrong address shows at the start of the service

    def put(self, data: bytes, *, expected: str | None = None) -> Stored:
        """Store a blob durably; one request if it is new."""
        sha256 = digest_of(data)
        if expected is not None:
            check_match(expected, sha256)
        return Stored(sha256, len(data), is_new=self._put(sha256, data))

    def put_stream(
        self, chunks: Iterable[bytes], *, expected: str, limit_bytes: int | None = None
    ) -> Stored:
        """Store a blob that comes in chunks, compressing them into a local file as they come."""
        check_digest(expected)
        checked = checked_chunks(chunks, expected=expected, limit_bytes=limit_bytes)
        if self._is_packed_intact(expected):
            return Stored(expected, sum(map(len, checked)), is_new=False)
        stream = FrameStream()
        with reaching(_SCRATCH):
            scratch = tempfile.TemporaryDirectory(prefix="jobprov-")
        # Errors of `chunks` are the sender's, not the archive's: only the writing is in `reaching`
        with scratch as folder, Arrival(Path(folder)) as arrival:
            with reaching(_SCRATCH):
                arrival.write(bytes(HEADER_BYTES))
            for chunk in checked:
                with reaching(_SCRATCH):
                    arrival.write(stream.feed(chunk))
            with reaching(_SCRATCH):
                arrival.write(stream.finish())
                header = stream.header(expected)
                arrival.rewrite_start(encode_header(header))
                return Stored(
                    expected, header.size_bytes, is_new=self._put_file(expected, arrival.path)
                )

    def put_many(self, items: Sequence[bytes]) -> list[str]:
        """Store many small blobs durably, several at a time."""
        digests = [digest_of(item) for item in items]
        fresh = dict(zip(digests, items, strict=True))
        for _is_new in in_parallel(lambda item: self._put(*item), fresh.items()):
            pass
        return digests

    def missing(self, digests: Iterable[str]) -> set[str]:
        """The digests that are neither in a pack nor loose; one request for each not in a pack."""
        wanted = {check_digest(sha256) for sha256 in digests}
        known_packs = self._packs.known()
        unknown = {sha256 for sha256 in wanted if not is_packed(known_packs, sha256)}
        unknown -= self._loose.holding(sorted(unknown))
        if not unknown:
            return set()
        # Another process may have packed them since
        packs = self._packs.refresh()
        return {sha256 for sha256 in unknown if not is_packed(packs, sha256)}

    def seal(self, *, pack_limit_bytes: int = PACK_LIMIT_BYTES) -> SealReport:
        """Move loose blobs into packs, merge small packs; a later seal removes the old copies."""
        with reaching(_SCRATCH), tempfile.TemporaryDirectory(prefix="jobprov-") as folder:
            return RemoteSealer(
                self.bucket,
                loose=self._loose,
                packs=self._packs,
                folder=Path(folder),
                pack_limit_bytes=pack_limit_bytes,
                grace=self._grace,
            ).run()

    def erase(self, digests: Collection[str]) -> set[str]:
        """Remove blobs for good; packs that hold one are rewritten.

        A sealer that is running may bring a copy back: then erase again.
        """
        wanted = sorted({check_digest(sha256) for sha256 in digests})
        with reaching(_SCRATCH), tempfile.TemporaryDirectory(prefix="jobprov-") as scratch:
            folder = Path(scratch)
            self._loose.remove(wanted)
            eraser = Eraser(
                folder,
                PACK_LIMIT_BYTES,
                self._publisher(folder),
                lambda pack: self._downloaded(pack, folder),
            )
            emptied, left = eraser.run(self._packs.refresh(), wanted)
            self._packs.remove(emptied)
            self._packs.refresh()
        return left

    def _publisher(self, folder: Path) -> Publish:
        def publish(writer: PackWriter, _digests: Sequence[str]) -> str:
            name = writer.publish(folder)
            self._packs.upload(folder / name)
            (folder / name).unlink()
            return name

        return publish

    def _downloaded(self, pack: Pack, folder: Path) -> Iterator[Copy]:
        here = self._packs.download(pack, folder)
        return here.copies() if here is not None else iter(())

    def try_writing(self) -> None:
        """Put an object and delete it."""
        key = f"arriving/{secrets.token_hex(8)}"
        self.bucket.put(key, b"written")
        self.bucket.delete([key])

    def set_aside(self, pack: str) -> bool:  # noqa: ARG002 - not here
        """Return False: in a bucket an operator replaces the object."""
        return False

    def stats(self) -> ArchiveStats:
        """How much is stored; one request for each loose blob.

        Old copies that a later seal will remove are not counted.
        """
        loose = self._loose.sizes()
        packs = self._packs.refresh()
        superseded = find_superseded(packs, loose)
        packs = [pack for pack in packs if pack.name not in superseded.packs]
        loose = {sha256: size for sha256, size in loose.items() if sha256 not in superseded.loose}
        packed_blobs = sum(pack.index.count for pack in packs)
        packed_bytes = sum(pack.size_bytes for pack in packs)
        packed_content_bytes = sum(pack.content_bytes for pack in packs)
        loose_content_bytes = sum(in_parallel(self._content_bytes, loose))
        return ArchiveStats(
            blobs=len(loose) + packed_blobs,
            loose=len(loose),
            packs=len(packs),
            stored_bytes=sum(loose.values()) + packed_bytes,
            content_bytes=loose_content_bytes + packed_content_bytes,
        )

    def inspect(self, seen: Callable[[], None] = nobody) -> Iterator[Finding]:
        """Read every stored byte and yield what is wrong; call `seen` after each blob."""
        loose_copies = in_parallel(self._loose.find, self._loose.sizes())
        yield from inspect_loose(loose_copies, self._has_intact, seen)
        with tempfile.TemporaryDirectory(prefix="jobprov-") as folder:
            yield from inspect_packs(self._downloads(Path(folder)), self._has_intact, seen)
        yield from self._document_findings()
        for listed in self.bucket.listed(""):
            if is_stray(listed.key):
                yield stray(listed.key)

    def _downloads(self, folder: Path) -> Iterator[Pack]:
        """Each pack in a local file, one after the other."""
        for pack in self._packs.refresh():
            downloaded = self._packs.download(pack, folder)
            if downloaded is not None:
                yield downloaded

    def _document_findings(self) -> Iterator[Finding]:
        def inspect(name: str) -> Finding | None:
            return inspect_document(name, self._documents.get)

        for finding in in_parallel(inspect, self._documents.names()):
            if finding is not None:
                yield finding

    def _copies(self, sha256: str) -> Iterator[Copy]:
        digest = bytes.fromhex(sha256)
        known_packs = self._packs.known()
        yield from self._copies_in(known_packs, digest)
        if loose := self._loose.find(sha256):
            yield loose
        new_packs = [pack for pack in self._packs.refresh() if pack not in known_packs]
        yield from self._copies_in(new_packs, digest)

    def _copies_in(self, packs: Iterable[Pack], digest: bytes) -> Iterator[Copy]:
        for pack in packs:
            if copy := self._packs.find(pack, digest):
                yield copy

    def _reaching(self) -> AbstractContextManager[None]:
        return nullcontext()  # `Bucket` translates them itself

    def _loose_and_packs(self) -> tuple[Iterable[str], Sequence[Pack]]:
        return list(self._loose.sizes()), self._packs.refresh()

    def _is_packed_intact(self, sha256: str) -> bool:
        """Whether a pack holds an intact copy, as far as was known within the last minute."""
        raw = bytes.fromhex(sha256)
        copies = (self._packs.find(pack, raw) for pack in self._packs.recent())
        return any(is_intact(copy) for copy in copies if copy is not None)

    def _is_loose_intact(self, sha256: str) -> bool:
        copy = self._loose.find(sha256)
        return copy is not None and is_intact(copy)

    def _put(self, sha256: str, data: bytes) -> bool:
        """Store a loose blob, unless it is stored already; returns whether it was stored."""
        if self._is_packed_intact(sha256):
            return False
        return self._put_frame(sha256, encode_frame(data, sha256))

    def _put_frame(self, sha256: str, frame: bytes) -> bool:
        key = loose_key(sha256)
        if self.bucket.put_new(key, frame):
            return True
        if self._is_loose_intact(sha256):
            return False
        self.bucket.put(key, frame)  # replaces a damaged copy
        return True

    def _put_file(self, sha256: str, path: Path) -> bool:
        """Store the frame in a file as a loose blob; returns whether it was stored.

        A large one is uploaded in parts, for which no server offers put-if-absent.
        """
        if path.stat().st_size <= PART_BYTES:
            return self._put_frame(sha256, path.read_bytes())
        if self._is_loose_intact(sha256):
            return False
        self.bucket.put_file(loose_key(sha256), path)
        return True

    def _content_bytes(self, sha256: str) -> int:
        return blob_bytes(self._loose.find(sha256, HEADER_BYTES))
