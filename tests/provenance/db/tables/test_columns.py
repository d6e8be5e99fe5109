"""Column types behave alike on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.tables import Experiment, WorkItem


def test_moment_comes_back_aware_in_utc_to_the_microsecond(database: Database) -> None:
    moment = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=-6)))

    with database.writing.begin() as connection:
        connection.execute(insert(WorkItem).values(kind="a", key="b", due_at=moment))
        held = connection.execute(select(WorkItem.due_at)).scalar_one()

    assert held == moment
    assert held.tzinfo == UTC


def test_naive_moment_is_refused(database: Database) -> None:
    with (
        database.writing.connect() as connection,
        pytest.raises(StatementError, match="without a time zone"),
    ):
        connection.execute(insert(WorkItem).values(kind="a", key="b", due_at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_constraints_are_enforced(database: Database) -> None:
    with database.writing.begin() as connection:
        connection.execute(insert(Experiment).values(name="nova"))
    with database.writing.connect() as connection, pytest.raises(Exception, match=r"(?i)unique"):
        connection.execute(insert(Experiment).values(name="nova"))
