"""Software lists of records as shared rows.

A release's list is stored once, however many jobs ran it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial

from sqlalchemy import Connection, Table

from jobprov.provenance.db.keys import KnownKeys
from jobprov.provenance.db.recording.job_rows import shared_document
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.recording.shared_lists import intern_lists
from jobprov.provenance.db.tables import SoftwareRow, SoftwareSet, SoftwareSetMember
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.records.sharing import remembered
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
    connection: Connection, known: KnownKeys, lists: Sequence[Sequence[Software]]
) -> dict[str, int]:
    """Return the integer key of each software list by `software_set_digest`, made where it is new."""
    by_digest = {software_set_digest(entries): entries for entries in lists}
    intern = partial(_intern_entries, connection, known)
    return intern_lists(
        connection,
        known,
        (_SETS, _MEMBERS),
        by_digest,
        digests=software_digests,
        intern_members=intern,
    )


def _intern_entries(
    connection: Connection, known: KnownKeys, lists: Iterable[Sequence[Software]]
) -> dict[str, int]:
    """Return the integer key of each entry of these lists, by the digest of its document."""
    entries = {
        digest: entry
        for listed in lists
        for digest, entry in zip(software_digests(listed), listed, strict=True)
    }
    return intern_software(connection, known, entries)


def intern_software(
    connection: Connection, known: KnownKeys, entries: dict[str, Software]
) -> dict[str, int]:
    """Return the integer key of each software entry, by the digest of its document."""
    rows = {
        digest: {
            "sha256": digest,
            "name": entry.name,
            "match_key": repository_match_key(entry.repository),
            "requested_ref": entry.requested_ref,
            "revision": entry.revision,
            "document": pack(shared_document(entry)[1]),
        }
        for digest, entry in entries.items()
    }
    return known.intern(connection, _SOFTWARE, ["sha256"], rows)
