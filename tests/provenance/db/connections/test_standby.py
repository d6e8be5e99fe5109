"""How far a real standby is behind, as this process can prove it."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.connections.standby import Standby
from jobprov.provenance.errors import BadInputError
from tests.library.servers.standby import StandbyServer, running_standby

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("standby")]

_INSERT = text("INSERT INTO standby_rows VALUES (:at)")


@pytest.fixture
def database(postgresql_server: str) -> Iterator[Database]:
    opened = open_database(postgresql_server)
    yield opened
    with opened.writing.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS standby_rows"))
    opened.dispose()


@pytest.fixture
def server(postgresql_server: str) -> Iterator[StandbyServer]:
    with running_standby(postgresql_server) as running:
        yield running


def test_sqlite_has_no_standby(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'jobprov.db'}")

    with pytest.raises(BadInputError, match="SQLite has no standby"):
        Standby("postgresql+psycopg://nowhere/jobprov", database, 5)


@pytest.mark.parametrize("url", ["nonsense", "postgresql://host:port/x", "sqlite:///other.db"])
def test_an_address_of_no_postgresql_is_refused(database: Database, url: str) -> None:
    with pytest.raises(BadInputError, match="JOBPROV_DATABASE_READ_URL is postgresql"):
        Standby(url, database, 5)


def test_what_is_read_is_never_older_than_allowed(
    database: Database, server: StandbyServer
) -> None:
    """A row that was committed longer ago than the limit is always there, however far it lags."""
    standby = Standby(server.url, database, longest_lag=1.0)
    with database.writing.begin() as connection:
        connection.execute(text("CREATE TABLE standby_rows (at double precision)"))
    server.wait()
    reads_by_delay = {}
    for delay in (0, 3, 0):
        server.delay(delay)
        reads_by_delay[delay] = _read_for(4.0, standby, database, longest_lag=1.0)
        if delay:
            time.sleep(delay + 1)

    assert reads_by_delay[0] > 0, "it was never used, so nothing was tried"
    standby.dispose()


def _read_for(seconds: float, standby: Standby, database: Database, longest_lag: float) -> int:
    """Write and read for a while; return how often the standby was read."""
    end, reads = time.monotonic() + seconds, 0
    written: list[float] = []
    while time.monotonic() < end:
        with database.writing.begin() as connection:
            written.append(time.monotonic())
            connection.execute(_INSERT, {"at": written[-1]})
        engine = standby.engine()
        asked = time.monotonic()
        if engine is not None:
            with engine.connect() as connection:
                newest = connection.execute(text("SELECT max(at) FROM standby_rows")).scalar() or 0
            reads += 1
            must_be_there = [at for at in written[:-1] if at < asked - longest_lag - 0.1]
            assert not must_be_there or newest >= max(must_be_there)
        time.sleep(0.02)
    return reads


def test_one_that_lags_is_left_and_used_again(
    database: Database, server: StandbyServer, caplog: pytest.LogCaptureFixture
) -> None:
    standby = Standby(server.url, database, longest_lag=1.0)
    with database.writing.begin() as connection:
        connection.execute(text("CREATE TABLE standby_rows (at double precision)"))
    server.wait()
    assert _used_within(standby, 5)

    server.delay(600)
    with caplog.at_level(logging.WARNING, "jobprov.database"):
        _until(lambda: _is_behind(standby, database, 2.0), 10)
        assert standby.engine() is None
        server.delay(0)
        assert _used_within(standby, 10)

    assert [record.getMessage() for record in caplog.records] == [
        "The standby is more than 1 s behind: all is read from the primary.",
        "The standby is read from again.",
    ]
    standby.dispose()


def test_one_that_was_killed_is_left_alone(
    database: Database, server: StandbyServer, caplog: pytest.LogCaptureFixture
) -> None:
    standby = Standby(server.url, database, longest_lag=1.0)
    assert _used_within(standby, 5)

    server.kill()
    with caplog.at_level(logging.WARNING, "jobprov.database"):
        _until(lambda: standby.engine() is None, 5)
        began = time.monotonic()
        for _ in range(100):
            assert standby.engine() is None

    assert time.monotonic() - began < 1, "it is asked again and again"
    assert len(caplog.records) == 1
    assert "The standby does not answer (" in caplog.records[0].getMessage()
    assert standby.lag() is None
    standby.dispose()


def test_one_that_was_promoted_is_not_read(
    database: Database, server: StandbyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Both could be written to from now on: what it holds is another history."""
    standby = Standby(server.url, database, longest_lag=60.0)
    assert _used_within(standby, 5)

    server.promote()
    with caplog.at_level(logging.WARNING, "jobprov.database"):
        _until(lambda: standby.engine() is None, 5)

    assert "is not a standby" in caplog.text
    standby.dispose()


def test_the_primary_itself_is_no_standby(
    database: Database, postgresql_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    standby = Standby(postgresql_server, database, longest_lag=60.0)

    with caplog.at_level(logging.WARNING, "jobprov.database"):
        assert standby.engine() is None

    assert "The standby is not a standby" in caplog.text
    standby.dispose()


def test_one_that_hangs_costs_two_seconds_now_and_then(database: Database) -> None:
    """An address of nobody: a connection there is neither taken nor refused."""
    standby = Standby("postgresql+psycopg://192.0.2.1/jobprov", database, longest_lag=60.0)

    began = time.monotonic()
    assert standby.engine() is None
    assert standby.engine() is None

    assert time.monotonic() - began < 4
    standby.dispose()


def _is_behind(standby: Standby, database: Database, seconds: float) -> bool:
    """Write something, look, and return whether the standby is so far behind."""
    with database.writing.begin() as connection:
        connection.execute(_INSERT, {"at": 0})
    standby.engine()
    lag = standby.lag()
    return lag is not None and lag > seconds


def _used_within(standby: Standby, seconds: float) -> bool:
    _until(lambda: standby.engine() is not None, seconds)
    return True


def _until(happened: object, seconds: float) -> None:
    assert callable(happened)
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
