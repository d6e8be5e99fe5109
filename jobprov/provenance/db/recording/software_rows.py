"""Software lists of records as shared rows.

A release's list is stored once, however many jobs ran it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial

from sqlalchemy import Table

from jobprov.provenance.db.recording.job_rows import shared_document
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.recording.shared_lists import intern_lists
from jobprov.provenance.db.tables import SoftwareRow, SoftwareSet, SoftwareSetMember
from jobprov.provenance.db.tables.base import ColumnValue
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.records.reading.sharing import remembered
from jobprov.provenance.software.urls import match_key

_SOFTWARE: Table = SoftwareRow.__table__  # type: ignore[assignment]
_SETS: Table = SoftwareSet.__table__  # type: ignore[assignment]
_MEMBERS: Table = SoftwareSetMember.__table__  # type: ignore[assignment]


def software_digests(software: Sequence[Software]) -> tuple[str, ...]:
    """Return the digest of each entry's document, in order."""
    return _digests(software)[1]


def software_set_digest(software: Sequence[Software]) -> str:
    """Return the digest that names a software list: over those of its entries, in order."""
    return _digests(software)[0]


@remembered
def _digests(software: Sequence[Software]) -> tuple[str, tuple[str, ...]]:
    """Return the digest of a list and those of its entries."""
    entries = tuple(shared_document(entry)[0] for entry in software)
    return hashlib.sha256(" ".join(entries).encode()).hexdigest(), entries


def repository_match_key(repository: str | None) -> str | None:
    """Return the form in which repository addresses are compared, None where there is none."""
    return match_key(repository) if repository else None


def intern_software_sets(
    transaction: Transaction, lists: Sequence[Sequence[Software]]
) -> dict[str, int]:
    """Return the integer key of each list by `software_set_digest`, made where it is new."""
    by_digest = {software_set_digest(entries): entries for entries in lists}
    intern = partial(_intern_entries, transaction)
    return intern_lists(
        transaction, (_SETS, _MEMBERS), by_digest, digests=software_digests, intern_members=intern
    )


def _intern_entries(
    transaction: Transaction, lists: Iterable[Sequence[Software]]
) -> dict[str, int]:
    """Return the integer key of each entry of these lists, by the digest of its document."""
    by_digest: dict[str, Software] = {}
    for entries in lists:
        by_digest.update(zip(software_digests(entries), entries, strict=True))
    return intern_software(transaction, by_digest)


def intern_software(transaction: Transaction, entries: dict[str, Software]) -> dict[str, int]:
    """Return the integer key of each software entry, by the digest of its document."""
    rows = {digest: _row(digest, entry) for digest, entry in entries.items()}
    return transaction.intern(_SOFTWARE, ["sha256"], rows)


def _row(digest: str, entry: Software) -> dict[str, ColumnValue]:
    return {
        "sha256": digest,
        "name": entry.name,
        "match_key": repository_match_key(entry.repository),
        "requested_ref": entry.requested_ref,
        "revision": entry.revision,
        "document": pack(shared_document(entry)[1]),
    }
