"""Keys of names: those that are there are found, the others are inserted, and no key is lost."""

from typing import Any

import pytest
from sqlalchemy import Connection, insert

from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.tables import Experiment
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer import keys
from jobprov.provenance.db.writer.keys import KnownKeys, allocate_keys

EXPERIMENTS = table_of(Experiment)


def rows_of(*names: str) -> dict[str, dict[str, str]]:
    return {name: {"name": name} for name in names}


def test_names_that_another_writer_committed_are_found_and_not_made(database: Database) -> None:
    with database.writing.begin() as connection:
        first = KnownKeys().intern(connection, EXPERIMENTS, ["name"], rows_of("b", "d"))

    with database.writing.begin() as connection:
        numbers, made = KnownKeys().intern_new(
            connection, EXPERIMENTS, ["name"], rows_of("d", "a", "c", "b")
        )
        stored = dict(fetch(connection, "SELECT name, id FROM experiments"))

    assert made == {"a", "c"}
    assert numbers == stored
    assert {name: numbers[name] for name in first} == first


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_keys_of_names_that_were_there_are_given_to_the_next(database: Database) -> None:
    with database.writing.begin() as connection:
        before = KnownKeys().intern(connection, EXPERIMENTS, ["name"], rows_of("a", "b", "c"))
        KnownKeys().intern(connection, EXPERIMENTS, ["name"], rows_of("a", "b", "c"))
        after = allocate_keys(connection, EXPERIMENTS, 2)
        last = max(before.values())

    assert after == [last + 1, last + 2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_key_that_is_taken_is_no_name_s(database: Database) -> None:
    """A sequence that was set back gives keys of rows that are there: nothing is linked to them."""
    with database.writing.begin() as connection:
        taken = allocate_keys(connection, EXPERIMENTS, 1)[0] + 1
        connection.execute(insert(EXPERIMENTS).values(id=taken, name="other"))
        numbers, made = KnownKeys().intern_new(connection, EXPERIMENTS, ["name"], rows_of("mine"))
        again, made_again = KnownKeys().intern_new(
            connection, EXPERIMENTS, ["name"], rows_of("mine")
        )

    assert (numbers, made) == ({}, set())
    assert (again, made_again) == ({"mine": taken + 1}, {"mine"})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_commands_that_need_a_key_each_leave_none_out(database_url: str) -> None:
    taken = []
    for _ in range(3):
        process = open_database(database_url)
        with process.writing.begin() as connection:
            taken += allocate_keys(connection, EXPERIMENTS, 1)
        process.dispose()

    assert taken == [1, 2, 3]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_process_that_needs_many_keys_seldom_asks_for_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fetch_and_note(connection: Connection, statement: str, values: tuple[str, int]) -> Any:
        asked.append(values[1])
        return fetch(connection, statement, values)

    monkeypatch.setattr(keys, "fetch", fetch_and_note)
    with database.writing.begin() as connection:
        taken = [allocate_keys(connection, EXPERIMENTS, 1)[0] for _ in range(2000)]

    assert taken == list(range(1, 2001))
    assert asked[:9] == [1, 1, 2, 4, 8, 16, 32, 64, 128]
    assert set(asked[9:]) == {256}
