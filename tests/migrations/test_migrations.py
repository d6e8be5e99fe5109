"""Migrations: one line of them, up and down on both databases.

The schema is exactly what the tables say.
"""

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

from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.tables import Base
from jobprov.provenance.db.tables.name_index import is_of_name_index
from jobprov.provenance.db.upkeep import migrating
from jobprov.provenance.db.upkeep.key_widths import widen_keys
from jobprov.provenance.db.upkeep.migrating import (
    FOLDER,
    changing_schema,
    current_revision,
    downgrade,
    is_current,
    known_revisions,
    newest_revision,
    stamp,
    upgrade,
    upgrade_local,
)
from jobprov.provenance.errors import UnreachableError
from tests.library.statements import statements_sent

POSTGRESQL_SCHEMA = (
    (
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, "
        "column_default, collation_name "
        "FROM information_schema.columns WHERE table_schema = 'public' "
        "AND table_name <> 'alembic_version'"
    ),
    (
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' "
        "AND tablename <> 'alembic_version'"
    ),
    (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace "
        "AND conrelid::regclass::text <> 'alembic_version'"
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


def test_revisions_are_those_that_files_are_named_by() -> None:
    """The service reads the names: to ask Alembic takes longer than the rest of what it looks at."""
    newest_first = ScriptDirectory(str(FOLDER)).walk_revisions()

    assert known_revisions() == [migration.revision for migration in newest_first][::-1]


@pytest.mark.slow
def test_upgrade_then_downgrade_then_upgrade_gives_the_same_schema(empty_url: str) -> None:
    upgrade(empty_url)
    first = schema_of(empty_url)

    downgrade(empty_url, "base")
    left = schema_of(empty_url)
    upgrade(empty_url)

    assert first == schema_of(empty_url)
    assert [row for row in left if row] == []


@pytest.mark.slow
def test_migrated_schema_does_not_drift_from_the_tables(empty_url: str) -> None:
    upgrade(empty_url)
    database = open_database(empty_url)

    with database.reading.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, _kind, _parents: not is_of_name_index(name),
            },
        )
        drift = compare_metadata(context, Base.metadata)

    database.dispose()
    assert drift == []


@pytest.mark.slow
def test_migrated_schema_is_what_the_tables_create(empty_url: str) -> None:
    """It is so to the last collation and condition of an index.

    Alembic's comparison does not see those.
    """
    upgrade(empty_url)
    migrated = schema_of(empty_url)
    downgrade(empty_url, "base")

    database = open_database(empty_url)
    Base.metadata.create_all(database.writing)
    database.dispose()

    assert migrated == schema_of(empty_url)


@pytest.mark.slow
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


@pytest.mark.slow
def test_upgrade_of_a_current_database_keeps_its_rows(empty_url: str) -> None:
    upgrade(empty_url)
    _add_experiment(empty_url)

    upgrade(empty_url)

    assert _experiments(empty_url) == ["nova"]


@pytest.mark.slow
def test_upgrade_of_a_current_database_reads_no_table_of_ours(empty_url: str) -> None:
    """Of ten million jobs, checking what refers to what took over a minute, with writing stopped."""
    upgrade(empty_url)

    with statements_sent(Engine) as statements:
        upgrade(empty_url)

    assert statements
    tables = {f'"{table}"' for table in Base.metadata.tables} | {"foreign_key_check"}
    assert not [sql for sql, _ in statements if any(table in sql for table in tables)]


@pytest.mark.slow
def test_local_upgrade_makes_a_new_database_without_a_copy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"

    assert upgrade_local(url) is None
    assert is_current(url)


@pytest.mark.slow
def test_local_upgrade_copies_what_it_changes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema of the first migration passes for an older one.

    The next migration is not written yet.
    """
    url = f"sqlite:///{tmp_path / 'old.db'}"
    upgrade(url)
    _add_experiment(url)
    monkeypatch.setattr(migrating, "is_current", lambda _url: False)

    copy = upgrade_local(url)

    assert [copy] == list(tmp_path.glob("old.db.*.before-migration"))
    assert _experiments(f"sqlite:///{copy}") == _experiments(url) == ["nova"]


@pytest.mark.slow
def test_database_of_another_version_is_refused_and_stays_as_it_is(empty_url: str) -> None:
    """Whoever made it, one before 0.1.0 or a newer one.

    No command works on it, and none pretends that it is up to date.
    """
    upgrade(empty_url)
    _add_experiment(empty_url)
    _pretend_other(empty_url)
    schema = schema_of(empty_url)

    for use in (is_current, upgrade, stamp, widen_keys):
        with pytest.raises(
            UnreachableError,
            match=r"schema is 0023; nothing was changed\. If a newer version .*rebuild-database`",
        ):
            use(empty_url)

    assert current_revision(empty_url) == "0023"
    assert schema_of(empty_url) == schema
    assert _experiments(empty_url) == ["nova"]


@pytest.mark.slow
def test_local_database_of_another_version_is_not_copied(tmp_path: Path) -> None:
    """A service that is started again and again would fill the disk."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    upgrade(url)
    _pretend_other(url)

    with pytest.raises(UnreachableError, match="rebuild-database"):
        upgrade_local(url)

    assert list(tmp_path.glob("*.before-migration")) == []


@pytest.mark.slow
def test_local_upgrade_of_a_server_names_the_command(postgresql_server: str) -> None:
    with pytest.raises(UnreachableError, match="jobprov migrate"):
        upgrade_local(postgresql_server)


def test_migration_fails_soon_and_changes_nothing_while_another_writes(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("jobprov.provenance.db.connections.engines.BUSY_MILLISECONDS", 50)
    file = tmp_path / "busy.db"
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(UnreachableError, match="nothing was"):
        upgrade(f"sqlite:///{file}")

    holder.rollback()
    holder.close()
    assert current_revision(f"sqlite:///{file}") is None


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_migration_of_a_server_gives_up_soon_where_others_hold_its_tables(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits behind a migration that waits: reading and writing go on."""
    monkeypatch.setattr(migrating, "_LOCK_TIMEOUT", "50ms")
    upgrade(empty_url)
    database = open_database(empty_url)

    with database.writing.connect() as holder:
        holder.execute(text("LOCK TABLE jobs IN ACCESS SHARE MODE"))
        with pytest.raises(UnreachableError, match=r"(?s)nothing was.*lock timeout"):
            downgrade(empty_url, "base")

    database.dispose()
    assert is_current(empty_url)


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_migration_of_a_server_ends_a_statement_that_takes_too_long(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "_STATEMENT_TIMEOUT", "50ms")

    with pytest.raises(UnreachableError, match=r"(?s)nothing was.*statement timeout"):
        _change_slowly(empty_url)

    assert schema_of(empty_url) == [[], [], []]


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_new_tables_have_keys_as_wide_as_the_others(empty_url: str) -> None:
    """Whoever widened the keys of 0.1.0 has no narrow ones in what came later."""
    upgrade(empty_url)
    widen_keys(empty_url)
    wide = schema_of(empty_url)

    downgrade(empty_url, "0001")
    upgrade(empty_url)

    assert schema_of(empty_url) == wide


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_view_of_somebody_else_is_named_and_nothing_is_changed(empty_url: str) -> None:
    upgrade(empty_url)
    _run(empty_url, "CREATE VIEW dashboard AS SELECT id, state FROM jobs")
    schema = schema_of(empty_url)

    with pytest.raises(UnreachableError, match=r"(?s)nothing was.*dashboard.*drop them"):
        widen_keys(empty_url)

    assert schema_of(empty_url) == schema


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_processes_that_migrate_at_once_both_succeed(empty_url: str) -> None:
    code = "import sys; from jobprov.provenance.db.upkeep.migrating import upgrade; upgrade(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}

    started = [
        subprocess.Popen([sys.executable, "-c", code, empty_url], env=environment) for _ in range(2)
    ]

    assert [process.wait(60) for process in started] == [0, 0]
    assert is_current(empty_url)


def _add_experiment(url: str) -> None:
    _run(url, "INSERT INTO experiments (name) VALUES ('nova')")


def _experiments(url: str) -> list[str]:
    database = open_database(url)
    with database.reading.connect() as connection:
        found = [row[0] for row in connection.execute(text("SELECT name FROM experiments"))]
    database.dispose()
    return found


def _change_slowly(url: str) -> None:
    with changing_schema(url) as connection:
        connection.execute(text("CREATE TABLE half ()"))
        connection.execute(text("SELECT pg_sleep(30)"))


def _pretend_other(url: str) -> None:
    """Have the database say that another version of the service made its schema."""
    _run(url, "UPDATE alembic_version SET version_num = '0023'")


def _run(url: str, *statements: str) -> None:
    database = open_database(url)
    with database.writing.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.dispose()
