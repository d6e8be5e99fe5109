"""Mends an archive from a copy of it, such as a backup: only what a check finds damaged or gone.

Every byte is compared with its digest before it is taken, and the copy must be one of this archive.
A damaged pack is moved aside once everything in it is intact elsewhere; nothing is deleted.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import FindingKind, Store
from jobprov.provenance.errors import ConflictError
from jobprov.provenance.services.ledger.erased_segments import find_rewritten, first_name
from jobprov.provenance.services.upkeep.archive_checks import ArchiveReport, Trouble, check_archive
from jobprov.provenance.services.upkeep.archive_identity import DOCUMENT, strange_archive
from jobprov.provenance.services.upkeep.backups import copy_blobs

_BLOBS = frozenset({FindingKind.BLOB_MISSING, FindingKind.BLOB_DAMAGED})
_DOCUMENTS = frozenset({FindingKind.DOCUMENT_MISSING, FindingKind.DOCUMENT_DAMAGED})
_PACKS = frozenset({FindingKind.PACK_DAMAGED, FindingKind.INDEX_DAMAGED})


class RepairReport(NamedTuple):
    """What was mended.

    Attributes:
        packs: damaged ones that were moved aside.
        after: what a check finds now.
    """

    blobs: int
    documents: int
    packs: int
    after: ArchiveReport


def repair_archive(
    connection: Connection, store: Store, copy: Store, known: str | None
) -> RepairReport:
    """Put back what is damaged or missing in the archive and intact in the copy.

    Args:
        copy: of the same archive.
        known: the identity of the archive.

    Raises:
        ConflictError: the copy is one of another archive.
    """
    if strange_archive(known, copy) is not None:
        raise ConflictError(
            f"That is not a copy of this archive: its document {DOCUMENT} does not name {known}."
        )
    troubles = check_archive(connection, store).troubles
    blobs = _mend_blobs(store, copy, troubles)
    documents = _mend_documents(store, copy, troubles)
    packs = 0
    for name in sorted({trouble.name for trouble in troubles if trouble.kind in _PACKS}):
        packs += store.set_aside(name)
    return RepairReport(blobs, documents, packs, check_archive(connection, store))


def _mend_blobs(store: Store, copy: Store, troubles: list[Trouble]) -> int:
    wanted = {trouble.name for trouble in troubles if trouble.kind in _BLOBS}
    count = 0
    for sha256 in sorted(wanted - copy.missing(wanted)):
        try:
            count += copy_blobs(copy, store, [sha256]).blobs
        except ArchiveError:
            continue  # damaged in the copy too: the check afterwards tells
    return count


def _mend_documents(store: Store, copy: Store, troubles: list[Trouble]) -> int:
    """Take documents from the copy that are damaged here or missing; return how many."""
    damaged = {trouble.name for trouble in troubles if trouble.kind in _DOCUMENTS}
    count = 0
    for name in (*sorted(damaged & set(copy.documents())), *_lacking(store, copy)):
        try:
            content = copy.get_document(name)
        except ArchiveError:
            continue
        store.erase_documents([name])
        count += store.put_document(name, content)
    return count


def _lacking(store: Store, copy: Store) -> Iterator[str]:
    """Yield the documents that only the copy has, but bodies that an erasure replaced since."""
    there = set(store.documents())
    for name in copy.documents():
        is_replaced = name.endswith(".body") and find_rewritten(store, first_name(name)) is not None
        if name not in there and not is_replaced:
            yield name
