"""Readers from whom experiments are hidden, on both databases."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select, text

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.connections.narrowed import NarrowedDatabase, is_narrowed
from jobprov.provenance.db.connections.visibility import ViewWords, view_bodies
from jobprov.provenance.db.tables import Base, Experiment, File, Host, Job

WORDS = ViewWords("main", "({key} = 0)", "({name} = '')", "t.question")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def narrowed(database: Database, database_url: str) -> NarrowedDatabase:
    """Return the database as others read it, with two experiments of a job and a file each."""
    with database.writing.begin() as connection:
        for key, name in ((1, "open"), (2, "private")):
            connection.execute(insert(Experiment).values(id=key, name=name))
            connection.execute(
                insert(File).values(id=key, experiment_id=key, namespace="", name="same")
            )
            connection.execute(
                insert(Host).values(id=key, hostname=f"host of {name}", site="", facility="")
            )
            job = {"id": key, "experiment_id": key, "host_id": key, "state": 0, "received_at": NOW}
            job |= {"uuid": "0f8b0000-0000-4000-8000-000000000001", "index_version": 1}
            connection.execute(insert(Job).values(**job, level=0, output_count=0))
    return NarrowedDatabase(database_url)


def test_every_table_has_a_view() -> None:
    assert set(view_bodies(WORDS)) == set(Base.metadata.tables)


@pytest.mark.slow
def test_reader_sees_the_rows_of_open_experiments(narrowed: NarrowedDatabase) -> None:
    with narrowed.reading({"private", "never recorded"}).connect() as connection:
        assert is_narrowed(connection)
        assert list(connection.execute(select(Experiment.name)).scalars()) == ["open"]
        assert list(connection.execute(select(Job.id)).scalars()) == [1]
        assert list(connection.execute(select(File.id)).scalars()) == [1]
        assert list(connection.execute(select(Host.hostname)).scalars()) == ["host of open"]
        for table in Base.metadata.sorted_tables:
            connection.execute(select(func.count()).select_from(table)).scalar_one()
    with narrowed.reading({"open"}).connect() as connection:
        assert list(connection.execute(select(Experiment.name)).scalars()) == ["private"]
        connection.commit()
        assert list(connection.execute(text("SELECT name FROM experiments")).scalars()) == [
            "private"
        ]
    narrowed.dispose()


@pytest.mark.slow
def test_transaction_does_not_begin_where_nobody_says_what_is_hidden(
    narrowed: NarrowedDatabase,
) -> None:
    with narrowed._engine.connect() as connection, pytest.raises(KeyError):
        connection.execute(select(Experiment.name))
    narrowed.dispose()
