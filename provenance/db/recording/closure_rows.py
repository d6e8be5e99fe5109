"""Configurations of records as shared rows: each once, and once each sequence of them, however many jobs of a task ran it."""

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from provenance.db.base import table_of
from provenance.db.inserting import insert_rows
from provenance.db.keys import KnownKeys
from provenance.db.recording.job_rows import shared_document
from provenance.db.recording.packing import pack
from provenance.db.selecting import select_among
from provenance.db.tables import Closure, ClosureFile, ClosureSet, ClosureSetMember
from provenance.records.job_record import FclConfiguration
from provenance.records.sharing import remembered

_HELD_FILES = "SELECT DISTINCT closure_id FROM closure_files WHERE closure_id {among}"
_HELD_MEMBERS = "SELECT DISTINCT closure_set_id FROM closure_set_members WHERE closure_set_id {among}"


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
    sets = table_of(ClosureSet)
    by_digest = {closure_set_digest(configurations): configurations for configurations in lists}
    fresh = {digest: listed for digest, listed in by_digest.items() if known.get(sets, digest) is None}
    closures = _intern_closures(connection, known, fresh.values())
    keys = known.intern(connection, sets, ["sha256"], {digest: {"sha256": digest} for digest in by_digest})
    held = {row[0] for row in select_among(connection, _HELD_MEMBERS, [keys[digest] for digest in fresh])}
    members = [
        {"closure_set_id": keys[digest], "position": position, "closure_id": closures[closure]}
        for digest in sorted(fresh)
        if keys[digest] not in held
        for position, closure in enumerate(closure_digests(fresh[digest]))
    ]
    insert_rows(connection, table_of(ClosureSetMember), members)
    return keys


def _intern_closures(
    connection: Connection, known: KnownKeys, lists: Iterable[Sequence[FclConfiguration]]
) -> dict[str, int]:
    """Return the integer key of each configuration by its digest, made with its files where it is new."""
    found = {
        digest: configuration
        for configurations in lists
        for digest, configuration in zip(closure_digests(configurations), configurations, strict=True)
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
    held = {row[0] for row in select_among(connection, _HELD_FILES, [keys[digest] for digest in fresh])}
    members = [
        {"closure_id": keys[digest], "position": position, "sha256": file.sha256, "name": file.name}
        for digest in sorted(fresh)
        if keys[digest] not in held
        for position, file in enumerate(found[digest].files or ())
    ]
    insert_rows(connection, table_of(ClosureFile), members)
    return keys
