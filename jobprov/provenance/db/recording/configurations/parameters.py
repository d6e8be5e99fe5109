"""Writes evaluated configurations into the index of parameters.

Each distinct table once, whatever the number of sets that have it.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.statements.driver import change
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    Parameter,
    ParameterKey,
    ParameterSet,
    ParameterTable,
    ParameterValue,
)
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.tables.configurations import SETS_A_BLOCK
from jobprov.provenance.db.writer.keys import allocate_keys, chunks
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.fhicl import Configuration
from jobprov.provenance.fhicl.tree import atoms_and_sequences

LONGEST_KEPT = 400
_BEGINNING = 300
_LONGEST_KEY = 2000
CUT = "…"
_DIGEST_LETTERS = 64
_ENTER = """
INSERT INTO parameter_set_tables (table_id, block, members) {rows}
ON CONFLICT (table_id, block)
DO UPDATE SET members = parameter_set_tables.members | excluded.members
"""
_ENTER_BY_DIALECT = {
    "sqlite": _ENTER.format(rows="SELECT value, ?, ? FROM json_each(?) WHERE true"),
    "postgresql": _ENTER.format(
        rows="SELECT key, ?::bigint, ?::bigint FROM (SELECT unnest(?::bigint[]) AS key) AS among"
    ),
}
_NUMBER = re.compile(r"-?\d|[+-]infinity$")


class IndexedTable(NamedTuple):
    """One table of a set: its key, and (path, canonical text) of its own atoms and sequences."""

    key: bytes
    values: tuple[tuple[str, str], ...]


def indexed_tables(
    configuration: Configuration, *, leave_out: str | None = None
) -> list[IndexedTable]:
    """Return the tables of a configuration that have parameters directly in them.

    Values that hold the text of `leave_out` are not indexed.
    """
    placed = []
    for path, canonical in atoms_and_sequences(configuration.root):
        if leave_out is not None and leave_out in canonical:
            continue
        table = path.rpartition(".")[0]
        placed.append((table, indexed_key(path), indexed_text(canonical)))
    placed.sort()
    tables = []
    for _, parameters in groupby(placed, lambda parameter: parameter[0]):
        tables.append(table_with([(path, text) for _, path, text in parameters]))
    return tables


def table_with(values: Sequence[tuple[str, str]]) -> IndexedTable:
    """Return a table of these paths and texts of values."""
    written = "\n".join(f"{path}:{text}" for path, text in values)  # neither holds a newline
    return IndexedTable(hashlib.sha256(written.encode()).digest()[:16], tuple(values))


def indexed_key(path: str) -> str:
    """Return the path of a parameter as the index keeps it.

    A long one by its beginning and digest, as an index of PostgreSQL ends soon.
    """
    return path if len(path) <= _LONGEST_KEY else _cut(path)


def indexed_text(canonical: str) -> str:
    """Return the canonical text of a value as the index keeps it.

    A long one by its beginning and digest, which is as unequal.

    A long number keeps its exponent behind these, so that it still has a size.
    """
    if len(canonical) <= LONGEST_KEPT:
        return canonical
    exponent = ""
    if _NUMBER.match(canonical) and "e" in canonical:
        exponent = canonical[canonical.find("e") :]
    return f"{_cut(canonical)}{exponent}"


def _cut(text: str) -> str:
    return f"{text[:_BEGINNING]}{CUT}{hashlib.sha256(text.encode()).hexdigest()}"


def number_in(canonical: str) -> float | None:
    """Return the number that a canonical text is, whole or as the index keeps it.

    None where it is none, `inf` beyond a float.
    """
    return float(_digits(canonical)) if _NUMBER.match(canonical) else None


def exact_number_in(canonical: str) -> Decimal:
    """Return the number that a canonical text is, with all the digits kept of it."""
    return Decimal(_digits(canonical))


def _digits(canonical: str) -> str:
    beginning, _, rest = canonical.partition(CUT)
    return beginning + rest[_DIGEST_LETTERS:]


def write_tables(transaction: Transaction, tables: Sequence[IndexedTable]) -> dict[bytes, int]:
    """Write the tables that are new, with their parameters; return the integer key of each."""
    connection = transaction.connection
    names: dict[str, dict[str, str]] = {}
    for table in tables:
        names.update((path, {"name": path}) for path, _ in table.values)
    keys = transaction.intern(table_of(ParameterKey), ["name"], names)
    unmet = []
    for table in tables:
        if transaction.known_key(table_of(ParameterTable), table.key) is None:
            unmet.append(table)
    fresh = unwritten_tables(connection, unmet)
    by_key = {table.key: {"key": table.key} for table in tables}
    numbers = transaction.intern(table_of(ParameterTable), ["key"], by_key)
    wanted: dict[tuple[int, str], dict[str, ColumnValue]] = {}
    for table in fresh:
        for path, text in table.values:
            wanted[keys[path], text] = {
                "key_id": keys[path],
                "canonical": text,
                "number": number_in(text),
            }
    values = transaction.intern(table_of(ParameterValue), ["key_id", "canonical"], wanted)
    rows: list[dict[str, int]] = []
    for table in fresh:
        number = numbers[table.key]
        for path, text in table.values:
            rows.append({"value_id": values[keys[path], text], "table_id": number})
    # on PostgreSQL another process may have written the same table since
    insert_rows(connection, table_of(Parameter), rows, skip_known=True)
    return numbers


def unwritten_tables(connection: Connection, tables: Sequence[IndexedTable]) -> list[IndexedTable]:
    """Return those of the tables that are not in the index yet."""
    unmet = {table.key: table for table in tables}
    column = table_of(ParameterTable).c.key
    for part in chunks(list(unmet)):
        for (key,) in connection.execute(select(column).where(column.in_(part))).all():
            unmet.pop(bytes(key), None)
    return list(unmet.values())


def write_set(transaction: Transaction, identity: str, tables: Sequence[IndexedTable]) -> int:
    """Write a parameter set where it is new; return its integer key."""
    connection = transaction.connection
    table = table_of(ParameterSet)
    query = select(table.c.id).where(table.c.identity == identity)
    number: int | None = connection.execute(query).scalar_one_or_none()
    if number is not None:
        return number
    numbers = write_tables(transaction, tables)
    [number] = allocate_keys(connection, table, 1)
    row = {"id": number, "identity": identity, "parameter_count": sum(map(_count, tables))}
    insert_rows(connection, table, [row])
    # The same order in every process, so that two cannot wait for each other
    among = sorted(set(numbers.values()))
    keys: Any = json.dumps(among) if connection.dialect.name == "sqlite" else among
    block, place = divmod(number, SETS_A_BLOCK)
    change(connection, _ENTER_BY_DIALECT[connection.dialect.name], (block, 1 << place, keys))
    return number


def _count(table: IndexedTable) -> int:
    """Return how many parameters a table has; a sequence does not count, but its elements do."""
    return sum(text == "[]" or not text.startswith("[") for _, text in table.values)
