"""Tables for analysis, as programs that none of us wrote read them."""

from pathlib import Path
from typing import Any

import duckdb

from jobprov.provenance.services.analysis.export import Report, Selection, export_tables
from jobprov.provenance.services.analysis.folders import Folder, open_folder
from jobprov.provenance.services.analysis.schema import TABLES
from tests.library.production import Production


def export(
    production: Production,
    folder: Path | Folder | str,
    *experiments: str,
    private: tuple[str, ...] = (),
    parameters: tuple[str, ...] = (),
) -> Report:
    """Export a production."""
    opened = open_folder(str(folder)) if isinstance(folder, Path | str) else folder
    selection = Selection(experiments, frozenset(private), parameters)
    return export_tables(production.database.reading, production.store, opened, selection)


def rows(folder: Path, question: str, *values: object) -> list[tuple[Any, ...]]:
    """Return the answer to SQL over files found by patterns alone, as a stranger writes it."""
    connection = duckdb.connect()
    for table in TABLES:
        files = folder / table.name / "**" / "*.parquet"
        connection.execute(f"CREATE VIEW {table.name} AS FROM read_parquet('{files}')")
    return connection.execute(question, values).fetchall()


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file of tables, and of what the folder says of itself."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "_lock":
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found
