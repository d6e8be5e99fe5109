"""What raw SQL does on the same schema.

Rows are made before, the driver's `executemany` writes them, and checks of foreign keys are off.
Nothing that keeps records can be faster on these tables; how near the service comes is the ratio
that the report prints.
"""

import time
from typing import Any

from sqlalchemy import Table

from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.tables import Base

BATCH_JOBS = 500

Rows = dict[str, list[tuple[Any, ...]]]


def read_rows(database: Database) -> Rows:
    """Return every row as the driver gave it, by table, in the order of primary keys."""
    rows: Rows = {}
    with database.reading.connect() as connection:
        for table in Base.metadata.sorted_tables:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            order = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
            found = connection.exec_driver_sql(
                f'SELECT {columns} FROM "{table.name}" ORDER BY {order}'  # noqa: S608
            )
            rows[table.name] = [tuple(row) for row in found]
    return rows


def raw_batches(url: str, rows: Rows) -> float:
    """Return jobs a second where 500 jobs' share of the rows of each table is a transaction."""
    jobs = len(rows["jobs"])
    return jobs / _write(url, rows, max(1, jobs // BATCH_JOBS))


def raw_singles(url: str, rows: Rows) -> float:
    """Return jobs a second where each job's share of the rows is a transaction, one by one."""
    jobs = len(rows["jobs"])
    return jobs / _write(url, rows, jobs)


def _write(url: str, rows: Rows, parts: int) -> float:
    """Write all rows in that many equal transactions; return the seconds."""
    engine = open_database(url).writing
    is_sqlite = engine.dialect.name == "sqlite"
    connection = engine.raw_connection()
    cursor = connection.cursor()
    for statement in (
        ("PRAGMA foreign_keys=OFF",) if is_sqlite else ("SET session_replication_role = replica",)
    ):
        cursor.execute(statement)
    connection.commit()
    statements = {
        table.name: _insert(table, "?" if is_sqlite else "%s")
        for table in Base.metadata.sorted_tables
    }
    start = time.perf_counter()
    for part in range(parts):
        if is_sqlite:
            cursor.execute("BEGIN IMMEDIATE")
        for name, statement in statements.items():
            share = _share(rows[name], part, parts)
            if share:
                cursor.executemany(statement, share)
        connection.commit()
    seconds = time.perf_counter() - start
    connection.close()
    engine.dispose()
    return seconds


def _share(rows: list[tuple[Any, ...]], part: int, parts: int) -> list[tuple[Any, ...]]:
    return rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]


def _insert(table: Table, mark: str) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({", ".join(mark for _ in table.columns)})'  # noqa: S608 - names are ours
