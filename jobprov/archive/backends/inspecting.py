"""Reads every bit of an archive and reports what is wrong."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from jobprov.archive.backends.copies import CHUNK_BYTES, Copy, Readable
from jobprov.archive.backends.documents import SUFFIX as DOCUMENT_SUFFIX
from jobprov.archive.backends.documents import DocumentShelf
from jobprov.archive.backends.packs import SUFFIX as PACK_SUFFIX
from jobprov.archive.backends.packs import Pack
from jobprov.archive.backends.shelves import LooseShelf, PackShelf
from jobprov.archive.errors import BlobDamagedError, DocumentDamagedError, DocumentMissingError
from jobprov.archive.store import Finding, FindingKind, is_document_name


def inspect_loose(
    copies: Iterable[Copy | None], has_intact: Callable[[str], bool], seen: Callable[[], None]
) -> Iterator[Finding]:
    """Yield what is wrong with loose blobs; a copy is None if a sealer moved it meanwhile."""
    for copy in copies:
        if copy is not None:
            yield from _inspect_copy(copy, has_intact)
        seen()


def inspect_packs(
    packs: Iterable[Pack], has_intact: Callable[[str], bool], seen: Callable[[], None]
) -> Iterator[Finding]:
    """What is wrong with the packs: with each frame, each index, and each file as a whole."""
    for pack in packs:
        if pack.index_damage is not None:
            yield Finding(
                FindingKind.INDEX_DAMAGED, pack.name, f"packs/{pack.name}", pack.index_damage
            )
        for copy in pack.copies():
            yield from _inspect_copy(copy, has_intact)
            seen()
        yield from _inspect_file(pack)


def inspect_document(name: str, get: Callable[[str], bytes]) -> Finding | None:
    """What is wrong with a document."""
    try:
        get(name)
    except DocumentDamagedError as error:
        return Finding(FindingKind.DOCUMENT_DAMAGED, name, error.where, error.detail)
    except DocumentMissingError:
        detail = "it was removed while the archive was read"
        return Finding(
            FindingKind.DOCUMENT_MISSING, name, f"documents/{name}{DOCUMENT_SUFFIX}", detail
        )
    return None


def inspect_names(
    loose: LooseShelf, packs: PackShelf, documents: DocumentShelf
) -> Iterator[Finding]:
    """Files with names that the archive does not use, for example a blob in the wrong folder."""
    for path in _files(loose.root):
        if loose.path(path.name.split(".")[0]) != path:
            yield _stray(path, loose.root)
    for path in _files(packs.root):
        if path.parent != packs.root or path.suffix != PACK_SUFFIX:
            yield _stray(path, packs.root)
    for path in _files(documents.root):
        name = path.relative_to(documents.root).as_posix().removesuffix(DOCUMENT_SUFFIX)
        if path.suffix != DOCUMENT_SUFFIX or not is_document_name(name):
            yield _stray(path, documents.root)


def stray(where: str) -> Finding:
    """The finding for a file or object that the archive did not put there."""
    return Finding(
        FindingKind.STRAY,
        where.rpartition("/")[2],
        where,
        "the archive puts no file of this name here",
    )


def _inspect_copy(copy: Copy, has_intact: Callable[[str], bool]) -> Iterator[Finding]:
    try:
        copy.check_content()
    except BlobDamagedError as error:
        kind = FindingKind.COPY_DAMAGED if has_intact(copy.sha256) else FindingKind.BLOB_DAMAGED
        yield Finding(kind, copy.sha256, copy.where, error.detail)


def _inspect_file(pack: Pack) -> Iterator[Finding]:
    actual = file_digest(pack.file)
    if f"{actual}{PACK_SUFFIX}" != pack.name:
        detail = f"the file has SHA-256 {actual}, not the one that names it"
        yield Finding(FindingKind.PACK_DAMAGED, pack.name, f"packs/{pack.name}", detail)


def file_digest(file: Readable) -> str:
    """The SHA-256 of a whole file."""
    sha256 = hashlib.sha256()
    offset = 0
    while chunk := file.read_at(offset, CHUNK_BYTES):
        sha256.update(chunk)
        offset += len(chunk)
    return sha256.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        yield from (Path(folder) / file for file in sorted(files))


def _stray(path: Path, root: Path) -> Finding:
    return stray(str(path.relative_to(root.parent)))
