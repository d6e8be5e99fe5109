"""Writes rows as Parquet files of the documented schema, in bounded memory.

Equal rows give equal bytes: nothing in a file tells when it was made.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from jobprov.provenance.services.analysis.manifest import FileState
from jobprov.provenance.services.analysis.schema import (
    INTEGER,
    MOMENT,
    NUMBER,
    SCHEMA_VERSION,
    TEXT,
    TRUTH,
    TableSchema,
)

_TYPES = {
    TEXT: pa.string(),
    INTEGER: pa.int64(),
    NUMBER: pa.float64(),
    MOMENT: pa.timestamp("us", tz="UTC"),
    TRUTH: pa.bool_(),
}
_MOST_ROWS = 100_000
"""Of a row group."""
_MOST_BYTES = 8 << 20
"""Of a row group in memory: a table may have wide rows."""


def arrow_schema(table: TableSchema) -> pa.Schema:
    """Return the schema of a table, with what each column means."""
    fields = []
    for column in table.columns:
        meaning = {"meaning": column.meaning}
        fields.append(pa.field(column.name, _TYPES[column.kind], metadata=meaning))
    about = {"jobprov.table": table.name, "jobprov.schema_version": str(SCHEMA_VERSION)}
    return pa.schema(fields, metadata=about)


class TableFile:
    """A Parquet file of a table that is being written; a context manager, which completes it."""

    def __init__(self, path: Path, table: TableSchema) -> None:
        self.path = path
        self._schema = arrow_schema(table)
        self._rows = 0
        self._waiting: list[pa.RecordBatch] = []
        repeated = [column.name for column in table.columns if column.repeats]
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=repeated,
            store_schema=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows, whose values are in the order of the columns."""
        if not rows:
            return
        arrays = []
        for values, field in zip(zip(*rows, strict=True), self._schema, strict=True):
            arrays.append(pa.array(values, type=field.type))
        self._waiting.append(pa.record_batch(arrays, schema=self._schema))
        self._rows += len(rows)
        waiting_rows = sum(batch.num_rows for batch in self._waiting)
        waiting_bytes = sum(batch.nbytes for batch in self._waiting)
        if waiting_rows >= _MOST_ROWS or waiting_bytes >= _MOST_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(table, row_group_size=_MOST_ROWS)
            self._waiting = []

    def state(self) -> FileState:
        """Return what the manifest says of the file, once it is complete."""
        with self.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return FileState(self._rows, self.path.stat().st_size, sha256)


_LEVEL = 3
