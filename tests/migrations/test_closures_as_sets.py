"""Revision 0021 makes sets of the closures of jobs, the very ones that recording makes, and goes back."""

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from provenance.db.engines import open_database
from provenance.db.migrating import downgrade, upgrade
from provenance.db.recording.closure_rows import closure_digests, closure_set_digest, intern_closure_sets
from provenance.db.transaction import Memory, Transaction
from provenance.records.job_record import FclConfiguration

_BEFORE = "0020"
_SETS = (
    "SELECT closure_set_id, position, closure_id FROM closure_set_members ORDER BY closure_set_id, position",
    "SELECT id, closure_set_id FROM jobs ORDER BY id",
    "SELECT id, sha256 FROM closure_sets",
)


def test_closures_of_jobs_become_sets_and_closures_of_jobs_again(empty_url: str) -> None:
    """Two jobs that ran the same share a set; another order is another; a job without a configuration has none."""
    configurations = _configurations()
    ran = {1: [0], 2: [1, 0, 1], 3: [], 4: [0, 1, 1], 5: [1, 0, 1], 6: [0]}
    upgrade(empty_url, _BEFORE)
    database = open_database(empty_url)
    with database.writing.begin() as connection:
        _add_jobs(connection, configurations, ran)
        _add_closures(connection, _steps(ran))
    database.dispose()

    upgrade(empty_url)
    sets, of_jobs, named = _asked(empty_url, *_SETS)
    downgrade(empty_url, _BEFORE)
    (back,) = _asked(empty_url, "SELECT job_id, position, closure_id FROM job_closures ORDER BY job_id, position")

    key = dict(of_jobs)
    assert key[3] is None
    assert key[1] == key[6]
    assert key[2] == key[5]
    assert len({key[1], key[2], key[4]}) == 3
    assert {number: [row[2] - 1 for row in sets if row[0] == key[number]] for number in ran} == ran
    assert {bytes(sha256).hex() for _, sha256 in named} == {
        closure_set_digest([configurations[place] for place in places]) for places in ran.values() if places
    }
    assert [tuple(row) for row in back] == _steps(ran)


def test_sets_that_were_made_of_rows_are_met_by_jobs_that_come_later(empty_url: str) -> None:
    configurations = _configurations()
    upgrade(empty_url, _BEFORE)
    database = open_database(empty_url)
    with database.writing.begin() as connection:
        _add_jobs(connection, configurations, {1: [1, 0]})
        _add_closures(connection, _steps({1: [1, 0]}))
    upgrade(empty_url)

    with database.writing.begin() as connection:
        keys = intern_closure_sets(Transaction(connection, Memory()), [configurations[::-1], configurations])

    sets, of_jobs, _ = _asked(empty_url, *_SETS)
    database.dispose()
    assert keys[closure_set_digest(configurations[::-1])] == of_jobs[0][1]
    assert sorted((row[1], row[2]) for row in sets) == [(0, 1), (0, 2), (1, 1), (1, 2)]


def _configurations() -> list[FclConfiguration]:
    return [FclConfiguration(step=name) for name in ("gen", "reco")]


def _add_jobs(connection: Connection, configurations: list[FclConfiguration], ran: dict[int, list[int]]) -> None:
    """Write jobs as revision 0019 had them, and configurations whose keys count from 1."""
    connection.execute(text("INSERT INTO experiments (id, name) VALUES (1, 'nova')"))
    closures = [
        {"sha256": bytes.fromhex(sha256), "document": b"{}"} for sha256 in closure_digests(tuple(configurations))
    ]
    connection.execute(text("INSERT INTO closures (sha256, document) VALUES (:sha256, :document)"), closures)
    moment = 0 if connection.dialect.name == "sqlite" else datetime.now(UTC)
    jobs = [{"id": number, "moment": moment, "uuid": uuid.uuid4().bytes} for number in ran]
    added = (
        "INSERT INTO jobs (id, received_at, experiment_id, state, level, uuid) VALUES (:id, :moment, 1, 1, 0, :uuid)"
    )
    connection.execute(text(added), jobs)


def _steps(ran: dict[int, list[int]]) -> list[tuple[int, int, int]]:
    return [(job, position, place + 1) for job, places in ran.items() for position, place in enumerate(places)]


def _add_closures(connection: Connection, rows: list[tuple[int, int, int]]) -> None:
    columns = ("job_id", "position", "closure_id")
    said = text("INSERT INTO job_closures VALUES (:job_id, :position, :closure_id)")
    connection.execute(said, [dict(zip(columns, row, strict=True)) for row in rows])


def _asked(url: str, *queries: str) -> list[list[Any]]:
    database = open_database(url)
    with database.reading.connect() as connection:
        found = [list(connection.execute(text(query)).all()) for query in queries]
    database.dispose()
    return found
