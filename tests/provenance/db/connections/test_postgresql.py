"""How statements are planned and prepared on PostgreSQL.

A lost connection costs nobody anything.
"""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from jobprov.provenance.db.connections import postgresql
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.statements.driver import change, fetch
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.db.writer.write_queue import WriteQueue

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
MODE = "SELECT current_setting('plan_cache_mode')"


def planned_once(connection: Connection) -> str:
    return str(fetch(connection, MODE)[0][0])


def planned_for_values(connection: Connection) -> str:
    return str(connection.execute(text(MODE)).scalar_one())


@pytest.mark.slow
def test_constant_statements_have_one_plan_and_composed_ones_a_plan_for_their_values(
    database: Database,
) -> None:
    with database.reading.connect() as connection:
        found = [
            planned_once(connection),
            planned_for_values(connection),
            planned_for_values(connection),
        ]
        found.append(planned_once(connection))
    assert found == ["force_generic_plan", "auto", "auto", "force_generic_plan"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_how_a_transaction_planned_ends_with_it(database: Database, ending: str) -> None:
    with database.reading.connect() as connection:
        planned_for_values(connection)
        getattr(connection, ending)()
        assert planned_once(connection) == "force_generic_plan"
        assert planned_for_values(connection) == "auto"


@pytest.mark.parametrize("value", [7, 70_000, 7 << 40, "é", b"\0x", True, datetime.now(UTC), None])
def test_who_writes_gets_values_back_as_who_reads(database: Database, value: object) -> None:
    kind = {
        int: "BIGINT",
        str: "TEXT",
        bytes: "BYTEA",
        bool: "BOOLEAN",
        datetime: "TIMESTAMPTZ",
    }.get(type(value), "TEXT")
    statement = f"SELECT ?::{kind}, ?::{kind}[]"
    with database.writing.begin() as connection:
        written = fetch(connection, statement, (value, None))
    with database.reading.connect() as connection:
        assert written == fetch(connection, statement, (value, None)) == [(value, None)]


@pytest.mark.parametrize("most", [1, 300])
def test_what_is_prepared_outlives_a_transaction_that_fails(
    database: Database, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_PREPARED_STATEMENTS", most)
    insert = "INSERT INTO experiments (id, name) VALUES (?, ?)"
    with database.writing.connect() as connection:
        change(connection, insert, (1, "nova"))
        connection.commit()
        for name in ("nova", "sbnd"):
            with pytest.raises(IntegrityError):
                change(connection, insert, (1, name))
            connection.rollback()
            assert fetch(connection, "SELECT count(*) FROM experiments") == [(1,)]
        change(connection, insert, (2, "sbnd"))
        connection.rollback()
        assert fetch(connection, "SELECT name FROM experiments") == [("nova",)]


@pytest.mark.parametrize(
    "meanwhile", ["ALTER TABLE gap_sets ALTER id TYPE bigint", "DEALLOCATE ALL"]
)
def test_writer_goes_on_where_what_it_prepared_holds_no_more(
    database: Database, meanwhile: str
) -> None:
    """Keys are widened in place; a pool of connections in between may forget what is prepared."""
    writer = WriteQueue(database.writing, Transaction)

    def read(transaction: Transaction) -> object:
        return fetch(transaction.connection, "SELECT id FROM gap_sets")

    def change_tables(transaction: Transaction) -> None:
        transaction.connection.execute(text(meanwhile))

    writer.run(read)
    writer.run(change_tables)
    assert writer.run(read) == []
    writer.close()


def test_who_writes_is_told_of_a_lost_connection(database: Database) -> None:
    with database.writing.connect() as connection:
        lost = fetch(connection, "SELECT pg_backend_pid()")[0][0]
        with database.reading.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:lost, 5000)"), {"lost": lost})
        with pytest.raises(OperationalError):
            fetch(connection, "SELECT pg_backend_pid()")
        connection.invalidate()


def test_connection_that_was_lost_while_nobody_used_it_is_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_JUST_USED", 0.0)
    with database.reading.connect() as connection:
        lost = fetch(connection, "SELECT pg_backend_pid()")[0][0]
    with database.writing.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:lost, 5000)"), {"lost": lost})

    with database.reading.connect() as connection:
        assert fetch(connection, "SELECT pg_backend_pid()")[0][0] != lost


def test_what_is_written_is_tried_again_where_the_connection_was_just_lost(
    database: Database,
) -> None:
    """Whoever writes does not ask a connection that was just used whether it is still there."""
    writer = WriteQueue(database.writing, Transaction)

    def write(transaction: Transaction) -> int:
        return int(fetch(transaction.connection, "SELECT pg_backend_pid()")[0][0])

    lost = writer.run(write)
    with database.reading.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:lost, 5000)"), {"lost": lost})

    assert writer.run(write) != lost
    writer.close()
