"""Constant statements: what they find, and what they raise."""

import sys
from collections.abc import Callable

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.statements.driver import change, change_many, fetch
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import change_among, select_among, select_by
from jobprov.provenance.db.tables import Experiment, File, GapSet
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import KnownKeys, allocate_keys
from jobprov.provenance.errors import UnreachableError

FILES, GAP_SETS = table_of(File), table_of(GapSet)


def name_files(connection: Connection, names: list[str]) -> dict[tuple[str, str, int], int]:
    insert_rows(connection, table_of(Experiment), [{"id": 1, "name": "nova"}])
    rows = {
        (name, "", 1): {"name": name, "namespace": "", "experiment_id": 1, "is_crowded": False}
        for name in names
    }
    return KnownKeys().intern(connection, FILES, ["name", "namespace", "experiment_id"], rows)


@pytest.mark.parametrize("count", [1, 3, 256, 257, 700])
def test_rows_are_found_by_any_number_of_keys(database: Database, count: int) -> None:
    names = [f"é{number}.root" for number in range(count)]
    with database.writing.begin() as connection:
        made = name_files(connection, names)

        asked = [*made, ("absent", "", 1), (names[0], "other", 1)]
        found = select_by(
            connection, FILES, ("id", "is_crowded"), ("name", "namespace", "experiment_id"), asked
        )

        assert found == {key: (number, False) for key, number in made.items()}
        assert {
            row[0]
            for row in select_among(
                connection, "SELECT id FROM files WHERE id {among}", made.values()
            )
        } == set(made.values())


def test_column_types_convert_both_ways(database: Database) -> None:
    digests = ["ab" * 32, "cd" * 32]
    with database.writing.begin() as connection:
        rows = [
            {"id": place, "sha256": sha256, "document": "[]"}
            for place, sha256 in enumerate(digests, 1)
        ]
        insert_rows(connection, GAP_SETS, rows)

        assert select_by(connection, GAP_SETS, ("sha256",), ("sha256",), digests[::-1]) == {
            sha256: (sha256,) for sha256 in digests
        }


def test_keys_that_another_process_made_meanwhile_are_taken(database: Database) -> None:
    one, other = KnownKeys(), KnownKeys()
    rows = {name: {"name": name} for name in ("dune", "nova")}
    with database.writing.begin() as connection:
        first = one.intern(connection, table_of(Experiment), ["name"], {"nova": rows["nova"]})
    with database.writing.begin() as connection:
        assert (
            other.intern(connection, table_of(Experiment), ["name"], rows)["nova"] == first["nova"]
        )


@pytest.mark.parametrize(
    "run",
    [
        fetch,
        change,
        lambda connection, statement: change_many(connection, statement, [()]),
    ],
)
def test_error_is_the_one_that_sqlalchemy_raises(
    database: Database, run: Callable[[Connection, str], None]
) -> None:
    with (
        pytest.raises((OperationalError, ProgrammingError), match="no_such_table"),
        database.writing.begin() as connection,
    ):
        run(connection, "DELETE FROM no_such_table")


@pytest.mark.parametrize("count", [2, 200])
def test_broken_constraint_is_an_integrity_error_however_rows_are_sent(
    database: Database, count: int
) -> None:
    rows = [{"id": place, "name": "nova"} for place in range(1, count + 1)]
    with pytest.raises(IntegrityError), database.writing.begin() as connection:
        insert_rows(connection, table_of(Experiment), rows)


def test_change_among_touches_those_rows_alone(database: Database) -> None:
    with database.writing.begin() as connection:
        made = name_files(connection, ["a", "b", "c"])
        change_among(
            connection, "UPDATE files SET is_crowded = TRUE WHERE id {among}", [made["b", "", 1]]
        )
        change_among(connection, "DELETE FROM files WHERE name {among}", ["a", "absent"])

        assert fetch(connection, "SELECT name FROM files WHERE is_crowded ORDER BY id") == [("b",)]
        assert fetch(connection, "SELECT count(*) FROM files WHERE id > ?", (0,)) == [(2,)]


def test_keys_rise_and_none_is_given_twice(database: Database) -> None:
    given = []
    for count in (3, 100, 1, 64, 7):
        with database.writing.begin() as connection:
            keys = allocate_keys(connection, GAP_SETS, count)
            rows = [{"id": key, "sha256": f"{key:064x}", "document": "[]"} for key in keys]
            insert_rows(connection, GAP_SETS, rows)
        given += keys

    assert len(given) == 175
    assert given == sorted(set(given))


def test_who_reads_sees_one_state_however_many_statements_it_takes(database: Database) -> None:
    """PostgreSQL shows each statement what was committed before it, unless told otherwise.

    Answers lost what was written meanwhile.
    """
    with database.reading.connect() as reading:
        assert fetch(reading, "SELECT count(*) FROM files") == [(0,)]
        with database.writing.begin() as connection:
            name_files(connection, ["a.root"])

        assert fetch(reading, "SELECT count(*) FROM files") == [(0,)]
        reading.commit()
        assert fetch(reading, "SELECT count(*) FROM files") == [(1,)]


def test_postgresql_without_its_packages_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(
        UnreachableError, match=r"scripts/setup production.*pip install 'jobprov\[postgresql\]'"
    ):
        open_database("postgresql+psycopg://jobprov@db.example.org/jobprov")
