"""PostgreSQL goes back, as after a failover to a standby that was behind, and the process lives on."""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, make_url, select, text

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.connections.postgresql import ServerIdentity, ServerWatch
from jobprov.provenance.db.tables import Host, Job
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.writing import Writer
from tests.library.records import MOMENT, a_record

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def writer(database: Database, tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(database, open_store(f"file:{tmp_path / 'archive'}"))
    yield writer
    writer.close()


def record(writer: Writer, number: int, host: str) -> None:
    decoded = decode_record(msgspec.json.encode(a_record(number, host={"hostname": host})))
    outcomes = writer.run(lambda writing: record_jobs(writing, [Submission(decoded, MOMENT)]))
    assert len(outcomes) == 1


def copy_database(url: str, source: str, copy: str) -> None:
    """Make `copy` what `source` is now; whoever is connected to either loses the connection."""
    engine = create_engine(make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (:a, :b)"
        connection.execute(text(ended), {"a": source, "b": copy})
        connection.execute(text(f"DROP DATABASE IF EXISTS {copy} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {copy} TEMPLATE {source}"))
    engine.dispose()


def test_jobs_after_the_way_back_stand_under_their_own_hosts(
    writer: Writer, database: Database, database_url: str, tmp_path: Path
) -> None:
    name = str(make_url(database_url).database)
    record(writer, 1, "node1")
    copy_database(database_url, name, f"{name}_standby")
    record(writer, 2, "node2")

    copy_database(database_url, f"{name}_standby", name)
    other = Writer(database, open_store(f"file:{tmp_path / 'archive'}"))
    record(other, 3, "node3")  # takes the keys that node2 had
    other.close()
    for number in range(4, 100):
        record(writer, number, "node2")

    with database.reading.connect() as connection:
        hosts = select(Host.hostname).join(Job, Job.host_id == Host.id).order_by(Job.id)
        found = connection.execute(hosts).scalars().all()
    assert found == ["node1", "node3", *["node2"] * 96]


def test_server_that_went_back_is_told_in_the_log(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    watch = ServerWatch()
    with database.writing.connect() as connection:
        driver = connection.connection.driver_connection
        watch.look(driver)
        found = watch._last
        assert found is not None
        with caplog.at_level(logging.WARNING, "jobprov.database"):
            watch.look(driver)
            assert not caplog.records

            watch._last = ServerIdentity(found.system, found.timeline + 1)
            watch.look(driver)

    assert "went back in time" in caplog.text
