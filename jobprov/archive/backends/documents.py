"""Documents in a local folder: each is a frame in `<name>.document`, bound to its name."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from jobprov.archive.backends.durable import Arrival, flush_folder, make_folder
from jobprov.archive.backends.frames import HEADER_BYTES, decode_frame, decode_header, encode_frame
from jobprov.archive.digest import digest_of
from jobprov.archive.errors import DocumentDamagedError, DocumentMissingError, FrameDamagedError
from jobprov.archive.store import check_document_name, is_document_name

SUFFIX = ".document"


def place_of_part(data: bytes, start: int, length: int, sha256: str) -> int | None:
    """Where a part of a document begins in its frame; None if the document is compressed.

    `data` are the first bytes of the frame.

    Raises:
        FrameDamagedError: the header is damaged, or is that of another or a shorter document.
    """
    header = decode_header(data)
    if not header.is_plain:
        return None
    if header.sha256.hex() != sha256:
        raise FrameDamagedError("its header names the digest of other bytes")
    if start + length > header.size_bytes:
        raise FrameDamagedError(
            f"bytes {start} to {start + length} of {header.size_bytes} are asked for"
        )
    return HEADER_BYTES + start


class DocumentShelf:
    """The documents below one folder."""

    def __init__(self, root: Path, arriving: Path) -> None:
        self.root = root
        self._arriving = arriving

    def path(self, name: str) -> Path:
        """Where a document lies.

        Raises:
            BadNameError: no document may have that name.
        """
        return self.root / f"{check_document_name(name)}{SUFFIX}"

    def put(self, name: str, data: bytes) -> bool:
        """See `Store.put_document`."""
        target = self.path(name)
        make_folder(target.parent)
        if target.exists():
            is_new = False
        else:
            with Arrival(self._arriving) as arrival:
                arrival.write(encode_frame(data, digest_of(data), bound_to=name))
                arrival.flush()
                is_new = arrival.link(target)
        # Even if it existed: its writer may not have flushed the folder yet
        flush_folder(target.parent)
        return is_new

    def get(self, name: str) -> bytes:
        """See `Store.get_document`."""
        path = self.path(name)
        try:
            frame = path.read_bytes()
        except FileNotFoundError as error:
            raise DocumentMissingError(name) from error
        try:
            return decode_frame(frame, bound_to=name)
        except FrameDamagedError as error:
            raise DocumentDamagedError(name, f"documents/{name}{SUFFIX}", error.detail) from error

    def read(self, name: str, start: int, length: int, *, sha256: str) -> bytes | None:
        """See `Store.read_document`."""
        path = self.path(name)
        try:
            with path.open("rb") as file:
                place = place_of_part(file.read(HEADER_BYTES), start, length, sha256)
                if place is None:
                    return None
                file.seek(place)
                return file.read(length)
        except FileNotFoundError as error:
            raise DocumentMissingError(name) from error
        except FrameDamagedError as error:
            raise DocumentDamagedError(name, f"documents/{name}{SUFFIX}", error.detail) from error

    def remove(self, names: Collection[str]) -> None:
        """See `Store.erase_documents`."""
        paths = [self.path(name) for name in names]
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in paths if path.parent.exists()}:
            flush_folder(folder)

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names that begin with a prefix, sorted."""
        folder_of_prefix = prefix.rpartition("/")[0]
        names = []
        for folder, _folders, files in os.walk(self.root / folder_of_prefix):
            base = Path(folder).relative_to(self.root).as_posix()
            stem = "" if base == "." else f"{base}/"
            for file in files:
                name = stem + file.removesuffix(SUFFIX)
                is_document = file.endswith(SUFFIX) and is_document_name(name)
                if is_document and name.startswith(prefix):
                    names.append(name)
        yield from sorted(names)
