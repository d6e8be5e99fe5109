"""Migrations: one line of them, up and down on both databases, and exactly the schema that the tables say."""

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event, text

from jobprov.provenance.db.engines import open_database
from jobprov.provenance.db.migrating import (
    FOLDER,
    current_revision,
    downgrade,
    is_current,
    newest_revision,
    stamp,
    upgrade,
    upgrade_local,
)
from jobprov.provenance.db.tables import Base
from jobprov.provenance.errors import UnreachableError

POSTGRESQL_SCHEMA = (
    (
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, collation_name "
        "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
    ),
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
    (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'"
    ),
)


def schema_of(url: str) -> list[Any]:
    """Return all that a database says of its own schema, comparable."""
    database = open_database(url)
    with database.reading.connect() as connection:
        if database.is_sqlite:
            rows = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE name <> 'alembic_version'")
            )
            found: list[Any] = sorted((name, _canonical(sql)) for name, sql in rows if sql)
        else:
            found = [
                sorted(map(tuple, connection.execute(text(query))), key=repr)
                for query in POSTGRESQL_SCHEMA
            ]
    database.dispose()
    return found


def _canonical(sql: str) -> list[str]:
    """Return the parts of a CREATE statement, in an order of our own.

    SQLite keeps the text as it was written.
    """
    name, _, parts = " ".join(sql.replace('"', "").split()).partition("(")
    body, _, ending = parts.rpartition(")")
    return [
        name,
        ending.strip(),
        *sorted(part.strip() for part in re.split(r", ?(?![^(]*\))", body)),
    ]


def test_migrations_have_one_head() -> None:
    assert ScriptDirectory(str(FOLDER)).get_heads() == [newest_revision()]


def test_upgrade_then_downgrade_then_upgrade_gives_the_same_schema(empty_url: str) -> None:
    upgrade(empty_url)
    first = schema_of(empty_url)

    downgrade(empty_url, "base")
    left = schema_of(empty_url)
    upgrade(empty_url)

    assert first == schema_of(empty_url)
    assert [row for row in left if row] == []


def test_migrated_schema_does_not_drift_from_the_tables(empty_url: str) -> None:
    upgrade(empty_url)
    database = open_database(empty_url)

    with database.reading.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        drift = compare_metadata(context, Base.metadata)

    database.dispose()
    assert drift == []


def test_migrated_schema_is_what_the_tables_create(empty_url: str) -> None:
    """To the last collation and condition of an index, which the comparison of Alembic does not see."""
    upgrade(empty_url)
    migrated = schema_of(empty_url)
    downgrade(empty_url, "base")

    database = open_database(empty_url)
    Base.metadata.create_all(database.writing)
    database.dispose()

    assert migrated == schema_of(empty_url)


def test_database_is_current_only_at_the_newest_revision(empty_url: str) -> None:
    before = current_revision(empty_url)
    was_current = is_current(empty_url)

    upgrade(empty_url)

    assert before is None
    assert not was_current
    assert current_revision(empty_url) == newest_revision()
    assert is_current(empty_url)


def test_stamp_notes_a_revision_without_making_tables(empty_url: str) -> None:
    stamp(empty_url)

    assert is_current(empty_url)
    assert [row for row in schema_of(empty_url) if row] == []


def test_upgrade_of_a_current_database_keeps_its_rows(empty_url: str) -> None:
    upgrade(empty_url)
    _add_experiment(empty_url)

    upgrade(empty_url)

    assert _experiments(empty_url) == ["nova"]


def test_local_upgrade_makes_a_new_database_without_a_copy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"

    assert upgrade_local(url) is None
    assert is_current(url)


def test_local_upgrade_copies_what_it_changes_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    upgrade(url)
    _add_experiment(url)
    _pretend_older(tmp_path / "old.db")

    with pytest.raises(UnreachableError, match="newer version"):
        upgrade_local(url)

    [copy] = tmp_path.glob("old.db.*.before-migration")
    assert _experiments(f"sqlite:///{copy}") == ["nova"]


def test_local_upgrade_of_a_server_names_the_command(postgresql_server: str) -> None:
    with pytest.raises(UnreachableError, match="jobprov migrate"):
        upgrade_local(postgresql_server)


def test_migration_fails_soon_and_changes_nothing_while_another_writes(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("jobprov.provenance.db.engines.BUSY_MILLISECONDS", 50)
    file = tmp_path / "busy.db"
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(UnreachableError, match="nothing was"):
        upgrade(f"sqlite:///{file}")

    holder.rollback()
    holder.close()
    assert current_revision(f"sqlite:///{file}") is None


def test_all_migrations_are_one_transaction(empty_url: str) -> None:
    commits: list[object] = []
    note = commits.append
    event.listen(Engine, "commit", note)
    try:
        upgrade(empty_url)
    finally:
        event.remove(Engine, "commit", note)

    assert len(commits) == 1
    assert is_current(empty_url)


def test_two_processes_that_migrate_at_once_both_succeed(empty_url: str) -> None:
    code = "import sys; from jobprov.provenance.db.migrating import upgrade; upgrade(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}

    started = [
        subprocess.Popen([sys.executable, "-c", code, empty_url], env=environment) for _ in range(2)
    ]

    assert [process.wait(60) for process in started] == [0, 0]
    assert is_current(empty_url)


WITNESS_RECORDS = [
    (7, "history", 0, 21),
    (7, "wrapper", 0, 20),
    (7, "wrapper", 1, 23),
    (8, "wrapper", 0, 24),
]


def test_records_of_jobs_go_into_the_ledger_and_back(empty_url: str) -> None:
    revision = ScriptDirectory(str(FOLDER)).get_revision("0022")
    assert isinstance(revision.down_revision, str)
    before = revision.down_revision
    upgrade(empty_url, before)
    earlier = schema_of(empty_url)
    _add_experiment(empty_url)
    _run(empty_url, "INSERT INTO jobs (id, uuid, experiment_id, received_at, state, level) VALUES (:id, :uuid, 1, :at, 1, 0)",
         [{"id": key, "uuid": bytes([key] * 16), "at": _moment(empty_url)} for key in (7, 8)])  # fmt: skip
    _run(empty_url, "INSERT INTO ledger_entries (id, received_at, experiment_id, segment, position, kind) "
         "VALUES (:id, :at, 1, NULL, NULL, :kind)", [{"id": key, "at": _moment(empty_url), "kind": kind} for key, kind in
         ((20, "record"), (21, "record"), (22, "conflict"), (23, "revision"), (24, "unread"), (25, "task"))])  # fmt: skip
    _run(empty_url, "INSERT INTO witness_records (job_id, witness, revision, entry_id) VALUES (:job, :witness, :revision, :entry)",
         [dict(zip(("job", "witness", "revision", "entry"), row, strict=True)) for row in WITNESS_RECORDS])  # fmt: skip

    upgrade(empty_url, "0022")
    folded = _rows(
        empty_url,
        "SELECT job_id, witness, revision, id FROM ledger_entries ORDER BY job_id, witness, revision, id",
    )
    kinds = _rows(empty_url, "SELECT kind FROM ledger_entries WHERE job_id IS NULL ORDER BY id")
    downgrade(empty_url, before)

    assert [row for row in folded if row[0] is not None] == WITNESS_RECORDS
    assert [row[:3] for row in folded if row[0] is None] == [(None, None, None)] * 2
    assert kinds == [("conflict",), ("task",)]
    back = _rows(
        empty_url,
        "SELECT job_id, witness, revision, entry_id FROM witness_records ORDER BY job_id, witness, revision",
    )
    assert back == WITNESS_RECORDS
    assert _rows(empty_url, "SELECT count(*) FROM ledger_entries") == [(6,)]
    assert schema_of(empty_url) == earlier


def _moment(url: str) -> Any:
    return 0 if url.startswith("sqlite") else "2026-01-01T00:00:00Z"


def _run(url: str, statement: str, rows: list[dict[str, Any]]) -> None:
    database = open_database(url)
    with database.writing.begin() as connection:
        connection.execute(text(statement), rows)
    database.dispose()


def _rows(url: str, query: str) -> list[Any]:
    database = open_database(url)
    with database.reading.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    database.dispose()
    return found


def _add_experiment(url: str) -> None:
    database = open_database(url)
    with database.writing.begin() as connection:
        connection.execute(text("INSERT INTO experiments (name) VALUES ('nova')"))
    database.dispose()


def _experiments(url: str) -> list[str]:
    database = open_database(url)
    with database.reading.connect() as connection:
        found = [row[0] for row in connection.execute(text("SELECT name FROM experiments"))]
    database.dispose()
    return found


def _pretend_older(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
