"""What PostgreSQL reads in the arrays that statements are given."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.statements.arrays import array_of
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.selecting import select_among

only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
TYPES = ("BIGINT", "TEXT", "BYTEA", "BOOLEAN", "DOUBLE PRECISION", "TIMESTAMP WITH TIME ZONE")
UNNEST = f"SELECT * FROM unnest({', '.join(f'?::{name}[]' for name in TYPES)})"  # noqa: S608 - types
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
        st.none() | st.binary(max_size=40),
        st.none() | st.booleans(),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.datetimes(timezones=st.just(UTC)),
    ),
    max_size=20,
)


def in_utc(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(v.astimezone(UTC) if isinstance(v, datetime) else v for v in row)


@pytest.mark.slow
@only_postgresql
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=ROWS)
@example(rows=[(1, '{"a\\b",NULL}\n', b"\\x\0", True, 1e-300, datetime(1, 1, 1, tzinfo=UTC))])
@example(rows=[(0, "NULL", b"", False, float("-inf"), None), (None, "", None, None, None, None)])
def test_array_has_the_values_that_it_was_made_of(
    database: Database, rows: list[tuple[Any, ...]]
) -> None:
    arrays = [array_of([row[place] for row in rows]) for place in range(len(TYPES))]

    with database.writing.begin() as connection:
        found = fetch(connection, UNNEST, arrays)

    assert list(map(in_utc, found)) == rows


def test_value_that_no_column_has_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="Decimal"):
        array_of([1, Decimal(1)])


def test_key_that_is_too_great_for_its_column_is_not_there(database: Database) -> None:
    """An address of a page may have any number in it."""
    with database.reading.connect() as connection:
        assert rows_with_keys(connection, [1, 2**62]) == []


def rows_with_keys(connection: Connection, keys: list[int]) -> list[tuple[Any, ...]]:
    return select_among(connection, "SELECT id FROM jobs WHERE id {among}", keys)
