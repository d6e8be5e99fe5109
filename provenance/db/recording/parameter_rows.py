"""Writes evaluated configurations into the index of parameters: each distinct table once, whatever the number of sets that have it."""

import hashlib
import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, select

from provenance.db.inserting import insert_rows
from provenance.db.keys import KnownKeys, allocate_keys, chunks
from provenance.db.recording.writing import table_of
from provenance.db.tables import Parameter, ParameterKey, ParameterSet, ParameterSetTable, ParameterTable
from provenance.fhicl import Configuration
from provenance.fhicl.tree import leaves

LONGEST_KEPT = 400
_BEGINNING = 300
_NUMBER = re.compile(r"-?\d|[+-]infinity$")


class IndexedTable(NamedTuple):
    """One table of a set: its key, and (path, canonical text) of each atom directly in it."""

    key: bytes
    atoms: tuple[tuple[str, str], ...]


def indexed_tables(configuration: Configuration) -> list[IndexedTable]:
    """Return the tables of a configuration that have parameters directly in them."""
    atoms = leaves(configuration.root)
    placed = sorted((path.rpartition(".")[0], path, indexed_text(canonical)) for path, canonical, _ in atoms)
    return [_table([(path, text) for _, path, text in inside]) for _, inside in groupby(placed, lambda each: each[0])]


def _table(atoms: Sequence[tuple[str, str]]) -> IndexedTable:
    written = "\n".join(f"{path}:{text}" for path, text in atoms)  # neither holds a newline
    return IndexedTable(hashlib.sha256(written.encode()).digest()[:16], tuple(atoms))


def indexed_text(canonical: str) -> str:
    """Return the canonical text of a value as the index keeps it: a long one by its beginning and digest, which is as unequal."""
    if len(canonical) <= LONGEST_KEPT:
        return canonical
    return f"{canonical[:_BEGINNING]}…{hashlib.sha256(canonical.encode()).hexdigest()}"


def number_in(canonical: str) -> float | None:
    """Return the number that a canonical text is, None where it is none; `inf` beyond the range of a float."""
    return float(canonical) if _NUMBER.match(canonical) else None


def write_tables(connection: Connection, known: KnownKeys, tables: Sequence[IndexedTable]) -> dict[bytes, int]:
    """Write the tables that are new, with their parameters; return the integer key of each."""
    keys = known.intern(
        connection,
        table_of(ParameterKey),
        ["name"],
        {path: {"name": path} for table in tables for path, _ in table.atoms},
    )
    unmet = [each for each in tables if known.get(table_of(ParameterTable), each.key) is None]
    fresh = unwritten_tables(connection, unmet)
    numbers = known.intern(
        connection, table_of(ParameterTable), ["key"], {each.key: {"key": each.key} for each in tables}
    )
    rows = [
        {"key_id": keys[path], "table_id": numbers[table.key], "number": number_in(text), "canonical": text}
        for table in fresh
        for path, text in table.atoms
    ]
    # on PostgreSQL another process may have written the same table since
    insert_rows(connection, table_of(Parameter), rows, skip_known=connection.dialect.name == "postgresql")
    return numbers


def unwritten_tables(connection: Connection, tables: Sequence[IndexedTable]) -> list[IndexedTable]:
    """Return those of the tables that are not in the index yet."""
    unmet = {each.key: each for each in tables}
    column = table_of(ParameterTable).c.key
    for part in chunks(list(unmet)):
        for (key,) in connection.execute(select(column).where(column.in_(part))).all():
            unmet.pop(bytes(key), None)
    return list(unmet.values())


def write_set(connection: Connection, known: KnownKeys, identity: str, tables: Sequence[IndexedTable]) -> int:
    """Write a parameter set where it is new; return its integer key."""
    table = table_of(ParameterSet)
    held = select(table.c.id).where(table.c.identity == identity)
    found: int | None = connection.execute(held).scalar_one_or_none()
    if found is not None:
        return found
    numbers = write_tables(connection, known, tables)
    [number] = allocate_keys(connection, table, 1)
    row = {"id": number, "identity": identity, "parameter_count": sum(len(each.atoms) for each in tables)}
    insert_rows(connection, table, [row])
    links = [{"table_id": each, "set_id": number} for each in sorted(set(numbers.values()))]
    insert_rows(connection, table_of(ParameterSetTable), links)
    return number
