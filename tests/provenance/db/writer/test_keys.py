"""Keys of names: those that are there are found, the others are inserted, and no key is lost."""

import pytest
from sqlalchemy import insert

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.tables import Experiment
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import KnownKeys, allocate_keys

EXPERIMENTS = table_of(Experiment)


def rows_of(*names: str) -> dict[str, dict[str, str]]:
    return {name: {"name": name} for name in names}


def test_names_that_another_writer_committed_are_found_and_not_made(database: Database) -> None:
    with database.writing.begin() as connection:
        first = KnownKeys().intern(connection, EXPERIMENTS, ["name"], rows_of("b", "d"))

    with database.writing.begin() as connection:
        keys, made = KnownKeys().intern_new(
            connection, EXPERIMENTS, ["name"], rows_of("d", "a", "c", "b")
        )
        stored = dict(fetch(connection, "SELECT name, id FROM experiments"))

    assert made == {"a", "c"}
    assert keys == stored
    assert {name: keys[name] for name in first} == first


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
        keys, made = KnownKeys().intern_new(connection, EXPERIMENTS, ["name"], rows_of("mine"))
        again, made_again = KnownKeys().intern_new(
            connection, EXPERIMENTS, ["name"], rows_of("mine")
        )

    assert (keys, made) == ({}, set())
    assert (again, made_again) == ({"mine": taken + 1}, {"mine"})
