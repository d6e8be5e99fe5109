"""Configurations of records as shared rows.

Each once, and once each sequence of them, however many jobs of a task ran it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial

from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import KnownKeys
from jobprov.provenance.db.recording.job_rows import shared_document
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.recording.shared_lists import intern_lists
from jobprov.provenance.db.selecting import select_among
from jobprov.provenance.db.tables import Closure, ClosureFile, ClosureSet, ClosureSetMember
from jobprov.provenance.records.job_record import FclConfiguration
from jobprov.provenance.records.sharing import remembered

_HELD_FILES = "SELECT DISTINCT closure_id FROM closure_files WHERE closure_id {among}"


@remembered
def closure_digests(configurations: Sequence[FclConfiguration]) -> tuple[str, ...]:
    """Return the digest that names each configuration, in order."""
    return tuple(shared_document(each)[0] for each in configurations)


@remembered
def closure_set_digest(configurations: Sequence[FclConfiguration]) -> str:
    """Return the digest that names what a job ran: over those of its configurations, in order."""
    return hashlib.sha256(" ".join(closure_digests(configurations)).encode()).hexdigest()


def intern_closure_sets(
    connection: Connection, known: KnownKeys, lists: Iterable[Sequence[FclConfiguration]]
) -> dict[str, int]:
    """Return the integer key of each list of configurations by `closure_set_digest`, made where it is new."""
    by_digest = {closure_set_digest(configurations): configurations for configurations in lists}
    tables = table_of(ClosureSet), table_of(ClosureSetMember)
    intern = partial(_intern_closures, connection, known)
    return intern_lists(
        connection, known, tables, by_digest, digests=closure_digests, intern_members=intern
    )


def _intern_closures(
    connection: Connection, known: KnownKeys, lists: Iterable[Sequence[FclConfiguration]]
) -> dict[str, int]:
    """Return the integer key of each configuration by its digest, made with its files where it is new."""
    found = {
        digest: configuration
        for configurations in lists
        for digest, configuration in zip(
            closure_digests(configurations), configurations, strict=True
        )
    }
    table = table_of(Closure)
    fresh = {digest for digest in found if known.get(table, digest) is None}
    rows = {
        digest: {
            "sha256": digest,
            "document": pack(shared_document(configuration)[1]),
            "parameter_set_id": configuration.parameter_set_id,
        }
        if digest in fresh
        else {}
        for digest, configuration in found.items()
    }
    keys = known.intern(connection, table, ["sha256"], rows)
    held = {
        row[0] for row in select_among(connection, _HELD_FILES, [keys[digest] for digest in fresh])
    }
    members = [
        {"closure_id": keys[digest], "position": position, "sha256": file.sha256, "name": file.name}
        for digest in sorted(fresh)
        if keys[digest] not in held
        for position, file in enumerate(found[digest].files or ())
    ]
    insert_rows(connection, table_of(ClosureFile), members)
    return keys
