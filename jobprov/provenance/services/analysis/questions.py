"""Asks tables for analysis in SQL, by DuckDB: of a folder's files, and of nothing else.

Each table is a view over exactly the files that the folder's manifest names. A question is one
SELECT; files beside the folder, settings and extensions are out of its reach.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs

from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError, UnreachableError
from jobprov.provenance.services.analysis.folders import Folder, open_folder
from jobprov.provenance.services.analysis.manifest import (
    MANIFEST,
    PUBLICATION,
    Manifest,
    read_manifest,
)
from jobprov.provenance.services.analysis.parquet import arrow_schema
from jobprov.provenance.services.analysis.schema import TABLES, TableSchema

_ROWS_AT_ONCE = 1000
_PARTITIONS = pa.schema([("experiment", pa.string()), ("month", pa.string())])


class Answer(NamedTuple):
    """The answer to a question.

    Attributes:
        columns: their names.
        rows: as they come; they can be taken once.
    """

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]


def ask_tables(address: str, question: str, *, memory_bytes: int) -> Answer:
    """Return the answer to one SELECT over the tables in a folder or bucket.

    Args:
        address: of the folder.
        question: in DuckDB's SQL.
        memory_bytes: what DuckDB may take; what needs more goes to temporary files.

    Raises:
        NotFoundError: the folder has no tables.
        ConflictError: its tables are of a later jobprov, or an export was interrupted.
        BadInputError: the question is wrong, or is no SELECT.
    """
    folder = open_folder(address)
    manifest = _read(folder)
    connection = duckdb.connect(config={"memory_limit": f"{memory_bytes}B"})
    # Days and months are UTC's, as in the names of folders; DuckDB would take this machine's zone
    connection.execute("SET TimeZone = 'UTC'")
    _check_is_question(connection, question)
    for table in TABLES:
        _make_view(connection, folder, manifest, table)
    if "://" not in folder.where:
        connection.execute("SET allowed_directories = $folders", {"folders": [folder.where]})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    try:
        connection.execute(question)
    except duckdb.Error as problem:
        raise _wrong(problem) from None
    return Answer(_column_names(connection), _rows(connection))


def _column_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return a name of its own for each column of an answer.

    Where tables are joined, two may have one name. The second then gets a number, as DuckDB does it
    where a table is made of an answer.
    """
    names: list[str] = []
    for name, *_ in connection.description or ():
        own_name, number = name, 0
        while own_name in names:
            number += 1
            own_name = f"{name}_{number}"
        names.append(own_name)
    return names


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while True:
        try:
            rows = connection.fetchmany(_ROWS_AT_ONCE)
        except duckdb.Error as problem:
            raise _wrong(problem) from None
        if not rows:
            return
        yield from rows


def _read(folder: Folder) -> Manifest:
    data = folder.read(MANIFEST)
    if data is None:
        raise NotFoundError(
            f"{folder.where} has no tables: write them by `jobprov tables export --to "
            f"{folder.where}`."
        )
    manifest = read_manifest(data, folder.where)
    if manifest.is_only_begun:
        raise NotFoundError(
            f"{folder.where} has no tables yet: the first `jobprov tables export` is at work, or "
            "was interrupted. Wait for it, or run it again."
        )
    if folder.read(PUBLICATION) is not None:
        raise ConflictError(
            f"An export gives the files of {folder.where} their names at this moment, or was "
            "interrupted there. Try again; if that does not help, run `jobprov tables export` anew."
        )
    return manifest


def _check_is_question(connection: duckdb.DuckDBPyConnection, question: str) -> None:
    try:
        statements = connection.extract_statements(question)
    except duckdb.Error as problem:
        raise _wrong(problem) from None
    types = [statement.type for statement in statements]
    if types == [duckdb.StatementType.MULTI]:
        # DuckDB makes a type of the values first, which would be a second statement
        raise BadInputError(
            "PIVOT needs its values here, such as: "
            "PIVOT jobs ON state IN ('failed', 'succeeded') USING count(*).",
            {"sql": ["PIVOT without values"]},
        )
    if types != [duckdb.StatementType.SELECT]:
        raise BadInputError(
            "A question is one SELECT; nothing else is done to tables.", {"sql": ["one SELECT"]}
        )


def _wrong(problem: Exception) -> BadInputError:
    text = str(problem).strip()
    return BadInputError(f"DuckDB cannot answer: {text}", {"sql": [text]})


def _make_view(
    connection: duckdb.DuckDBPyConnection, folder: Folder, manifest: Manifest, table: TableSchema
) -> None:
    files = [name for name in manifest.files() if name.startswith(f"{table.name}/")]
    if not files:
        schema = arrow_schema(table)
        for field in _partitions_of(table):
            schema = schema.append(field)
        connection.register(table.name, schema.empty_table())
    elif "://" in folder.where:
        connection.register(table.name, _dataset(folder.where, files, table))
    else:
        paths = [str(Path(folder.where, name)) for name in files]
        types = ", ".join(f"'{field.name}': VARCHAR" for field in _partitions_of(table))
        listed = ", ".join(_quoted(path) for path in paths)
        connection.execute(
            f'CREATE VIEW "{table.name}" AS SELECT * FROM read_parquet([{listed}], '  # noqa: S608
            f"hive_partitioning = true, hive_types = {{{types}}})"
        )


def _partitions_of(table: TableSchema) -> Sequence[pa.Field]:
    return list(_PARTITIONS) if table.by_month else [_PARTITIONS.field("experiment")]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _dataset(where: str, files: Sequence[str], table: TableSchema) -> pyarrow.dataset.Dataset:
    """Return files of a bucket as what DuckDB reads: its own way to S3 is a download."""
    parts = urlsplit(where)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    place = f"{parts.netloc}{parts.path}"
    try:
        server = pyarrow.fs.S3FileSystem(
            endpoint_override=endpoint, region=os.environ.get("AWS_REGION")
        )
        partitioning = pyarrow.dataset.partitioning(pa.schema(_partitions_of(table)), flavor="hive")
        return pyarrow.dataset.dataset(
            [f"{place}/{name}" for name in files],
            filesystem=server,
            format="parquet",
            partitioning=partitioning,
            partition_base_dir=f"{place}/{table.name}",
        )
    except OSError as problem:
        raise UnreachableError(f"{where} cannot be read: {problem}.") from None
