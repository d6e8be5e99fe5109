"""What was erased on purpose: digests that an experiment refuses since, and ledger entries."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.selecting import select_by
from jobprov.provenance.db.tables import ErasedBytes, ErasedEntry, Experiment, LedgerEntry
from jobprov.provenance.db.tables.base import table_of

_BYTES = table_of(ErasedBytes)
_ANY = "SELECT 1 FROM erased_bytes LIMIT 1"
_EXPERIMENT = "SELECT id FROM experiments WHERE name = ?"


def is_anything_erased(connection: Connection) -> bool:
    """Whether anything was ever erased. Asked before each batch: most services never erase."""
    return bool(fetch(connection, _ANY))


def erased_among(connection: Connection, wanted: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Return the (experiment key, digest) pairs that were erased."""
    if not is_anything_erased(connection):
        return set()
    return set(
        select_by(
            connection, _BYTES, ("erasure_id",), ("experiment_id", "sha256"), sorted(set(wanted))
        )
    )


def erased_digests(
    connection: Connection, wanted: Mapping[str, Iterable[str]]
) -> dict[str, set[str]]:
    """Return the digests that were erased, by experiment, without experiments that erased none."""
    if not is_anything_erased(connection):
        return {}
    keys: dict[int, str] = {}
    pairs: list[tuple[int, str]] = []
    for experiment, digests in wanted.items():
        if rows := fetch(connection, _EXPERIMENT, (experiment,)):
            key = rows[0][0]
            keys[key] = experiment
            pairs += [(key, sha256) for sha256 in digests]
    erased: dict[str, set[str]] = {}
    if pairs:
        for key, sha256 in erased_among(connection, pairs):
            erased.setdefault(keys[key], set()).add(sha256)
    return erased


def was_erased(connection: Connection, experiment: str | None, sha256: str) -> bool:
    """Whether an experiment (None: any experiment) erased these bytes."""
    if experiment is not None:
        return bool(erased_digests(connection, {experiment: [sha256]}))
    return bool(erased_anywhere(connection, [sha256]))


def erased_anywhere(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Return the digests that any experiment erased."""
    if not is_anything_erased(connection):
        return set()
    query = select(ErasedBytes.sha256)
    return {row[0] for row in rows_among(connection, query, ErasedBytes.sha256, digests)}


def all_erased(connection: Connection) -> set[str]:
    """Return every digest that any experiment erased."""
    return {row[0] for row in connection.execute(select(ErasedBytes.sha256))}


def erased_of(connection: Connection, experiment: str) -> set[str]:
    """Return every digest that an experiment erased."""
    query = select(ErasedBytes.sha256).join(Experiment, Experiment.id == ErasedBytes.experiment_id)
    return {row[0] for row in connection.execute(query.where(Experiment.name == experiment))}


def erased_places(
    connection: Connection, experiment: str, entries: Sequence[int] | None = None
) -> dict[int, set[int]]:
    """Return the positions of an experiment's erased and sealed entries, by segment.

    With `entries`, only those with these keys.
    """
    positions: dict[int, set[int]] = {}
    query: Any = (
        select(LedgerEntry.segment, LedgerEntry.position)
        .join(ErasedEntry, ErasedEntry.entry_id == LedgerEntry.id)
        .join(Experiment, Experiment.id == LedgerEntry.experiment_id)
        .where(Experiment.name == experiment, LedgerEntry.segment.is_not(None))
    )
    if entries is None:
        rows: Iterable[Any] = connection.execute(query)
    else:
        rows = rows_among(connection, query, ErasedEntry.entry_id, entries)
    for segment, position in rows:
        positions.setdefault(segment, set()).add(position)
    return positions
