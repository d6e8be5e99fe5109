"""Limits of time, on both databases.

They hold for all that runs inside together, and for nothing after it.
"""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.connections.time_limits import limited, time_limit
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.errors import LimitError

_COUNT = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT max(i) "
    "FROM n"
)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.reading.connect() as opened:
        yield opened


def work(connection: Connection, seconds: float) -> None:
    """Ask the database things of which none takes long, as many as fit into so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fetch(connection, _COUNT.format(30_000))
        connection.execute(text(_COUNT.format(30_000)))


def lasted(start: float) -> float:
    return time.monotonic() - start


def test_a_statement_past_the_limit_is_ended(database: Database) -> None:
    with (
        database.reading.connect() as connection,
        pytest.raises(LimitError, match=r"The answer took more than 0\.1 s; ask for less\."),
        time_limit(connection, "ask for less", seconds=0.1),
    ):
        connection.execute(text(_COUNT.format(2_000_000_000)))
    with database.reading.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_statements_that_take_too_long_together_are_ended(connection: Connection) -> None:
    """PostgreSQL's own limit is one for each statement."""
    start = time.monotonic()

    with pytest.raises(LimitError), time_limit(connection, seconds=0.4):
        work(connection, 30)

    assert lasted(start) < 10


@pytest.mark.slow
def test_a_long_statement_after_others_has_what_is_left(connection: Connection) -> None:
    start = time.monotonic()

    # One after another
    with pytest.raises(LimitError), time_limit(connection, seconds=3):  # noqa: PT012
        work(connection, 2)
        connection.execute(text(_COUNT.format(2_000_000_000)))

    assert lasted(start) < 4.5


def test_a_limit_inside_another_does_not_prolong_it(connection: Connection) -> None:
    start = time.monotonic()

    def parts() -> None:
        for _ in range(100):
            with time_limit(connection, "ask for the inner", seconds=60):
                work(connection, 0.3)

    with (
        pytest.raises(LimitError, match=r"0\.4 s; ask for the inner"),
        time_limit(connection, "outer", seconds=0.4),
    ):
        parts()

    assert lasted(start) < 10


@pytest.mark.slow
def test_the_outer_limit_holds_once_the_inner_one_is_over(connection: Connection) -> None:
    start = time.monotonic()

    with pytest.raises(LimitError, match="outer"), time_limit(connection, "outer", seconds=0.5):  # noqa: PT012 - one in the other
        with time_limit(connection, "inner", seconds=0.3):
            connection.execute(text("SELECT 1"))
        connection.execute(text(_COUNT.format(2_000_000_000)))

    assert lasted(start) < 10


@pytest.mark.slow
def test_what_comes_after_a_limit_has_none(connection: Connection) -> None:
    """The limit ended with the transaction.

    What came after it in the same one was ended, with an error that nobody expected.
    """
    with time_limit(connection, seconds=0.3):
        connection.execute(text("SELECT 1"))

    work(connection, 0.6)
    assert connection.execute(text(_COUNT.format(3_000_000))).scalar_one() == 3_000_000
    if connection.dialect.name == "postgresql":
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0"
    with time_limit(connection, seconds=30):
        assert connection.execute(text(_COUNT.format(3_000_000))).scalar_one() == 3_000_000


@pytest.mark.slow
def test_a_whole_question_has_one_limit(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobprov.provenance.db.connections.time_limits.SECONDS", 0.3)

    @limited("ask for less")
    def question(connection: Connection, parts: int) -> None:
        for _ in range(parts):
            with time_limit(connection, "a part", seconds=0.3):
                work(connection, 0.2)

    with pytest.raises(LimitError):
        question(connection, 50)
