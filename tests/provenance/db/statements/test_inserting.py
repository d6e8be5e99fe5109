"""Rows of several tables that are inserted together, few of them or many, on both databases."""

import pytest
from sqlalchemy import Connection, Table, func, select

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.statements.inserting import COPY_FROM, Insertions
from jobprov.provenance.db.tables import Experiment, File, Identity
from jobprov.provenance.db.tables.base import table_of

MANY = 2 * COPY_FROM


def count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.mark.parametrize(("files", "identities"), [(2, 3), (MANY, 3), (2, MANY), (MANY, MANY)])
def test_rows_are_there_once_those_that_they_point_at_are(
    database: Database, files: int, identities: int
) -> None:
    """Whichever of the tables get many rows: these go another way than few."""
    tables = [table_of(Experiment), table_of(File), table_of(Identity)]
    file_rows: list[dict[str, object]] = []
    for number in range(1, files + 1):
        row = {"id": number, "name": f"f{number}", "namespace": "", "experiment_id": 1}
        file_rows.append({**row, "is_crowded": False})
    identity_rows: list[dict[str, object]] = []
    for number in range(1, identities + 1):
        row = {"id": number, "file_id": 1 + number % files, "key": number.to_bytes(11, "big")}
        identity_rows.append({**row, "size_bytes": number, "checksums": "", "campaign": ""})

    with database.writing.begin() as connection:
        insertions = Insertions(connection)
        insertions.add(tables[0], [{"id": 1, "name": "mu2e"}])
        insertions.add(tables[1], file_rows)
        insertions.add(tables[2], identity_rows)
        waiting = [count(connection, table) for table in tables]
        insertions.write()
        written = [count(connection, table) for table in tables]
        insertions.write()  # nothing waits any more
        again = [count(connection, table) for table in tables]

    assert waiting == [0, 0, 0]
    assert written == again == [1, files, identities]


def test_nothing_is_written_of_no_rows(database: Database) -> None:
    with database.writing.begin() as connection:
        insertions = Insertions(connection)
        insertions.add(table_of(File), [])
        insertions.write()
        assert count(connection, table_of(File)) == 0
