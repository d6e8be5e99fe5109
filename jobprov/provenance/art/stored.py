"""The tables of art's database as Python values, with bounds on rows, bytes and work.

Art stores ids and texts with their closing NUL, which is removed here. A name may occur more than
once in `FileCatalog_metadata`; the last value counts. Values are JSON, or words without the quotes
that JSON needs.

Source: art-root-io's `RootOutputFile`, `RootInputFile`; canvas `FileCatalogMetadata`;
`sam_metadata_dumper`.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobprov.provenance.art.root_key import copy_database
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import JsonObject

_MOST_ROWS = 200_000
_LARGEST_BYTES = 256_000_000
_LARGEST_VALUE = 64_000_000
_MOST_STEPS = 2000
"""Times 100,000 instructions of SQLite, some seconds of work: a hostile table cannot take more."""


@dataclass(frozen=True)
class StoredFile:
    """What an art file stores about itself.

    Attributes:
        path: where it was read.
        size_bytes: of the file.
        parameter_sets: compact text of every set registered in the process, by ParameterSetID.
        metadata: of the file, by name, as in a catalog.
        event_ranges: (subrun, first event, one past the last), as stored.
        tables: number of rows of each table of the database.
    """

    path: str
    size_bytes: int
    parameter_sets: dict[str, str]
    metadata: JsonObject
    event_ranges: list[tuple[int, int, int]]
    tables: dict[str, int]


def read_stored(path: Path) -> StoredFile:
    """Return what an art/ROOT file stores about itself.

    Raises:
        BadInputError: it is no art file, is not whole, or holds more than can be read.
        OSError: it cannot be opened.
    """
    name = str(path)
    with path.open("rb") as source, tempfile.NamedTemporaryFile(prefix="jobprov-art-") as copy:
        copy_database(source, copy, name)  # type: ignore[arg-type]
        copy.flush()
        try:
            with _opened(copy.name) as database:
                return _read(database, name, path.stat().st_size)
        except (sqlite3.Error, OverflowError) as problem:
            raise BadInputError(f"{name}: its database cannot be read: {problem}.") from None


@contextmanager
def _opened(file: str) -> Iterator[sqlite3.Connection]:
    """Yield the database: read-only, and with limits, since anybody may have made the file."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as database:
        steps = iter(range(_MOST_STEPS))

        def is_too_much() -> bool:
            return next(steps, None) is None

        database.set_progress_handler(is_too_much, 100_000)
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA cell_size_check = ON")
        database.text_factory = bytes
        yield database


def _read(database: sqlite3.Connection, path: str, size_bytes: int) -> StoredFile:
    tables = {name: _rows(database, name) for name in sorted(_tables(database))}
    for name, count in tables.items():
        if count > _MOST_ROWS:
            limit = f"{_MOST_ROWS:,} is the limit"
            raise BadInputError(f"{path}: its table {name} has {count:,} rows; {limit}.")
    sets: dict[str, str] = {}
    if "ParameterSets" in tables:
        pairs = _pairs(database, "ParameterSets", ("ID", "PSetBlob"), path)
        sets = {identity: text for identity, text in pairs if identity}
    metadata: JsonObject = {}
    if "FileCatalog_metadata" in tables:
        pairs = _pairs(database, "FileCatalog_metadata", ("Name", "Value"), path)
        metadata = {name: _value(text) for name, text in pairs}
    ranges = _event_ranges(database) if "EventRanges" in tables else []
    return StoredFile(path, size_bytes, sets, metadata, ranges, tables)


def _event_ranges(database: sqlite3.Connection) -> list[tuple[int, int, int]]:
    """Return the rows whose values are numbers, as all of them should be."""
    query = "SELECT [SubRun], [begin], [end] FROM [EventRanges] ORDER BY rowid"
    return list(filter(_are_numbers, database.execute(query)))


def _are_numbers(row: tuple[object, ...]) -> bool:
    return all(isinstance(value, int) for value in row)


def _tables(database: sqlite3.Connection) -> set[str]:
    """Return the names of plain tables: a view or virtual table would run code of the file."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%' LIMIT 100"
    )
    return {row[0].decode(errors="replace") for row in database.execute(query)}


def _rows(database: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    # The name comes from the file, so it is quoted
    return int(database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608


def _pairs(
    database: sqlite3.Connection, table: str, columns: tuple[str, str], path: str
) -> Iterator[tuple[str, str]]:
    key, value = columns
    sizes = f"SELECT sum(length([{value}])) FROM [{table}]"  # noqa: S608 - names are ours
    total = database.execute(sizes).fetchone()[0] or 0
    if total > _LARGEST_BYTES:
        limit = f"{_LARGEST_BYTES:,} is the limit"
        raise BadInputError(f"{path}: its table {table} holds {total:,} bytes; {limit}.")
    rows = f"SELECT [{key}], [{value}] FROM [{table}] ORDER BY rowid"  # noqa: S608 - as above
    for stored_key, stored_value in database.execute(rows):
        yield _text(stored_key), _text(stored_value)


def _text(value: object) -> str:
    raw = value if isinstance(value, bytes) else str(value or "").encode()
    return raw.rstrip(b"\0").decode(errors="replace")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
