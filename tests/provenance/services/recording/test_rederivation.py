"""Rows that an earlier version derived otherwise are derived again.

Records of a later version are read once they can be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.recording.job_rows import INDEX_VERSION
from jobprov.provenance.db.tables import Derivation, UnreadRecord, WorkItem
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.recording import rederivation as derive_again
from jobprov.provenance.services.recording.rederivation import DERIVE, enqueue_derivation
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all, seal_ledger
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.logical_tables import differences
from tests.library.production import Production, tables_at
from tests.library.productions.story import play
from tests.library.records import job_id, record_of


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production on both databases, with an archive in files."""
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield opened
    opened.close()


def parts_of(production: Production) -> Parts:
    return Parts(
        production.database, production.writer, production.store, production.folder / "git"
    )


def change(production: Production, *statements: str) -> None:
    production.writer.run(
        lambda writing: [writing.connection.execute(text(statement)) for statement in statements]
    )


def derive(production: Production) -> int:
    """Do the work of deriving, then what that asks for; return how many items the first was."""
    parts = parts_of(production)
    enqueue_derivation(parts)
    items = drain(parts, {DERIVE: HANDLERS[DERIVE]})
    drain(parts, HANDLERS)
    return items


@pytest.mark.slow
def test_rows_of_an_earlier_version_come_out_as_they_are_today(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derive_again, "_AN_ITEM", 5)
    monkeypatch.setattr(derive_again, "_AT_ONCE", 2)
    play(production)
    seal_ledger(production.database, production.writer, production.store, most_entries=7)
    before = production.tables()
    change(
        production,
        "UPDATE jobs SET index_version = 0, level = 0, unit = NULL, recipe = NULL, "
        "gap_set_id = NULL, host_id = NULL",
        "UPDATE jobs SET closure_set_id = NULL",
        "DELETE FROM awaited_blobs",
        "UPDATE mentions SET role = NULL",
    )
    assert differences(before, production.tables()) != []

    items = derive(production)

    assert items > len(before["jobs"]) / 5
    assert differences(before, production.tables()) == []


def test_jobs_of_this_version_are_left_alone_and_nothing_is_asked_twice(
    production: Production,
) -> None:
    production.record(record_of(1))
    change(production, "UPDATE jobs SET unit = 'kept'")

    assert enqueue_derivation(parts_of(production))
    drain(parts_of(production), HANDLERS)

    assert not enqueue_derivation(parts_of(production))
    with production.database.reading.connect() as connection:
        assert connection.execute(text("SELECT unit FROM jobs")).scalar_one() == "kept"
        assert [
            tuple(row) for row in connection.execute(select(Derivation.what, Derivation.version))
        ] == [("jobs", INDEX_VERSION)]
        assert connection.execute(select(WorkItem).where(WorkItem.kind == DERIVE)).first() is None


def test_recipes_that_an_earlier_version_made_otherwise_are_made_again(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version that left out standard input.

    Only its recipes change, all else of the jobs is as it was.
    """
    code = {
        "software": [{"name": "x", "revision": "1" * 40}],
        "inputs": [{"name": "raw", "sha256": "a" * 64}],
    }
    commands = [
        {"argv": ["cat"], **more}
        for more in ({"stdin_sha256": "b" * 64}, {"stdin_sha256": "c" * 64}, {})
    ]
    with monkeypatch.context() as earlier:
        earlier.setattr("jobprov.provenance.records.recipes._standard_input_parts", lambda _: [])
        earlier.setattr("jobprov.provenance.db.recording.job_rows.INDEX_VERSION", INDEX_VERSION - 1)
        production.record(
            *(
                record_of(number, command=command, **code)
                for number, command in enumerate(commands, start=1)
            )
        )
    old = production.tables()
    assert len({row["recipe"] for row in old["jobs"]}) == 1

    derive(production)

    new = production.tables()
    assert {row["index_version"] for row in new["jobs"]} == {INDEX_VERSION}
    recipes = {row["uuid"]: row["recipe"] for row in new["jobs"]}
    assert len(set(recipes.values())) == 3
    assert recipes[job_id(3)] == old["jobs"][0]["recipe"]
    for tables in (old, new):
        for row in tables["jobs"]:
            row["recipe"] = row["index_version"] = None
    assert differences(old, new) == []


@pytest.fixture
def later(production: Production) -> Production:
    """Return the production in which records of a version came that the service did not read then.

    One is a second one of its job.
    """
    production.record(record_of(1), record_of(4))
    for number, more in (
        (2, {"schema_version": 2}),
        (3, {"schema_version": 3}),
        (4, {"schema_version": 2, "threads": 8}),
    ):
        [outcome] = production.record(record_of(number, **more))
        assert outcome.change == "unread"
    return production


def understand(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """Be a service that reads records up to this version."""
    for module in ("repairing", "decoding"):
        monkeypatch.setattr(f"jobprov.provenance.records.reading.{module}.SCHEMA_VERSION", version)


def unread(production: Production) -> list[Any]:
    with production.database.reading.connect() as connection:
        return [row[0] for row in connection.execute(select(UnreadRecord.job_uuid))]


@pytest.mark.slow
@pytest.mark.parametrize("is_sealed", [False, True])
def test_records_of_a_later_version_are_read_once_it_is_understood(
    later: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_sealed: bool
) -> None:
    if is_sealed:
        seal_all(later.database, later.writer, later.store)
    understand(monkeypatch, 2)

    derive(later)

    assert unread(later) == [job_id(3)]
    tables = later.tables()
    assert {row["unit"] for row in tables["jobs"]} == {"f1.root", "f2.root", "f4.root"}
    assert len(tables["conflicts"]) == 1, "of job 4 another record was held"
    assert [outcome.change for outcome in later.record(record_of(2, schema_version=2))] == ["same"]
    later.work()
    seal_all(later.database, later.writer, later.store)
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuild_database(later.store, url)
    assert differences(later.tables(), tables_at(url)) == []


def test_what_is_not_understood_yet_stays(later: Production) -> None:
    derive(later)

    assert sorted(unread(later)) == [job_id(2), job_id(3), job_id(4)]
