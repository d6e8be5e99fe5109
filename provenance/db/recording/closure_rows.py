"""Configurations of records as shared rows.

Each is stored once, and so is each sequence of them, however many jobs of a task ran it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial

from jobprov.provenance.db.recording.job_rows import shared_document
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.recording.shared_lists import intern_lists
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Closure, ClosureFile, ClosureSet, ClosureSetMember
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.job_record import FclConfiguration
from jobprov.provenance.records.reading.sharing import remembered

_HELD_FILES = "SELECT DISTINCT closure_id FROM closure_files WHERE closure_id {among}"


@remembered
def closure_digests(configurations: Sequence[FclConfiguration]) -> tuple[str, ...]:
    """Return the digest that names each configuration, in order."""
    return tuple(shared_document(configuration)[0] for configuration in configurations)


@remembered
def closure_set_digest(configurations: Sequence[FclConfiguration]) -> str:
    """Return the digest that names what a job ran: over those of its configurations, in order."""
    return hashlib.sha256(" ".join(closure_digests(configurations)).encode()).hexdigest()


def intern_closure_sets(
    transaction: Transaction, lists: Iterable[Sequence[FclConfiguration]]
) -> dict[str, int]:
    """Return the integer key of each list by `closure_set_digest`, made where it is new."""
    by_digest = {closure_set_digest(configurations): configurations for configurations in lists}
    tables = table_of(ClosureSet), table_of(ClosureSetMember)
    intern = partial(_intern_closures, transaction)
    return intern_lists(
        transaction, tables, by_digest, digests=closure_digests, intern_members=intern
    )


def _intern_closures(
    transaction: Transaction, lists: Iterable[Sequence[FclConfiguration]]
) -> dict[str, int]:
    """Return the integer key of each configuration by its digest.

    A new one is entered with its files.
    """
    by_digest: dict[str, FclConfiguration] = {}
    for configurations in lists:
        by_digest.update(zip(closure_digests(configurations), configurations, strict=True))
    table = table_of(Closure)
    fresh = {digest for digest in by_digest if transaction.known_key(table, digest) is None}
    rows: dict[str, dict[str, ColumnValue]] = {}
    for digest, configuration in by_digest.items():
        # Of a known one nothing is inserted
        rows[digest] = _row(digest, configuration) if digest in fresh else {}
    keys = transaction.intern(table, ["sha256"], rows)
    numbers = [keys[digest] for digest in fresh]
    with_files = {row[0] for row in select_among(transaction.connection, _HELD_FILES, numbers)}
    file_rows: list[dict[str, ColumnValue]] = []
    for digest in sorted(fresh):
        if keys[digest] not in with_files:  # else another process was first
            file_rows.extend(_file_rows(keys[digest], by_digest[digest]))
    insert_rows(transaction.connection, table_of(ClosureFile), file_rows)
    return keys


def _row(digest: str, configuration: FclConfiguration) -> dict[str, ColumnValue]:
    return {
        "sha256": digest,
        "document": pack(shared_document(configuration)[1]),
        "parameter_set_id": configuration.parameter_set_id,
    }


def _file_rows(closure: int, configuration: FclConfiguration) -> list[dict[str, ColumnValue]]:
    rows: list[dict[str, ColumnValue]] = []
    for position, file in enumerate(configuration.files or ()):
        rows.append(
            {"closure_id": closure, "position": position, "sha256": file.sha256, "name": file.name}
        )
    return rows
