"""Software lists of records as shared rows: a release's list is stored once, however many jobs ran it."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, Table

from provenance.db.inserting import insert_rows
from provenance.db.keys import KnownKeys
from provenance.db.recording.job_rows import shared_document
from provenance.db.recording.packing import pack
from provenance.db.selecting import select_among
from provenance.db.tables import SoftwareRow, SoftwareSet, SoftwareSetMember
from provenance.records.job_record import Software
from provenance.records.sharing import remembered
from provenance.software.urls import match_key

_HELD_MEMBERS = "SELECT DISTINCT software_set_id FROM software_set_members WHERE software_set_id {among}"
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
    fresh = {digest: entries for digest, entries in by_digest.items() if known.get(_SETS, digest) is None}
    entries = {shared_document(entry)[0]: entry for entries in fresh.values() for entry in entries}
    software = intern_software(connection, known, entries)
    keys = known.intern(connection, _SETS, ["sha256"], {digest: {"sha256": digest} for digest in by_digest})
    held = {row[0] for row in select_among(connection, _HELD_MEMBERS, [keys[digest] for digest in fresh])}
    rows = [
        {"software_set_id": keys[digest], "position": place, "software_id": software[shared_document(entry)[0]]}
        for digest in sorted(fresh)
        if keys[digest] not in held
        for place, entry in enumerate(fresh[digest])
    ]
    insert_rows(connection, _MEMBERS, rows)
    return keys


def intern_software(connection: Connection, known: KnownKeys, entries: dict[str, Software]) -> dict[str, int]:
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
