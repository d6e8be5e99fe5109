"""Adopting what the archive has beyond a database.

Afterwards that says what one says that is rebuilt from the archive.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.writer.turns import LostTurnError
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.bundles.comparators import show_comparators
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from tests.library.logical_tables import LogicalTables, differences
from tests.library.production import Production, shown_job, tables_at, tables_of
from tests.library.records import job_id, record_of


@pytest.fixture
def local(tmp_path: Path, sqlite_template: Path) -> Iterator[Production]:
    """Yield an empty production on a file that can be copied as a backup is."""
    (tmp_path / "var").mkdir()
    shutil.copy(sqlite_template, tmp_path / "var" / "jobprov.db")
    opened = Production(
        open_database(f"sqlite:///{tmp_path / 'var' / 'jobprov.db'}"),
        open_store(f"file:{tmp_path / 'archive'}"),
        tmp_path,
    )
    yield opened
    opened.close_all()


@pytest.fixture
def restored(local: Production, tmp_path: Path) -> Iterator[Callable[[], Production]]:
    """Yield a function that returns a production on the database as it is now.

    It knows nothing of what comes later.
    """
    made: list[Production] = []

    def restore_now() -> Production:
        copy = local.copy_database(tmp_path / f"copy{len(made)}.db")
        made.append(local.restored(copy, tmp_path / f"restored{len(made)}"))
        return made[-1]

    yield restore_now
    for each in made:
        each.close_all()


def rebuilt(local: Production, tmp_path: Path) -> LogicalTables:
    """Return what a database says that is made from the archive."""
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuild_database(local.store, url)
    return tables_at(url)


Act = Callable[[Production, int], Any]
ACTS: dict[str, Act] = {
    "a declaration": lambda production, time: production.declare(
        "t1", campaign="c", stage=f"s{time}", units=["a", f"{time}"]
    ),
    "a waiver": lambda production, time: production.waive("t1", "a", withdrawn=time == 1),
    "comparators": lambda production, time: production.compare_by(
        {"pattern": "*.root", "comparator": ("content", "numeric")[time]}
    ),
    "rules": lambda production, time: production.declare_rules(
        {"name": "code", "class": ("data", "code")[time], "words": "bad", "exit_code": [65]}
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("first", [0, 1])
def test_what_waits_stands_against_what_it_is_sealed_behind(
    local: Production, restored: Callable[[], Production], tmp_path: Path, *, act: str, first: int
) -> None:
    local.record(record_of(1))
    older = restored()
    ACTS[act](local, first)
    local.seal()
    older.now = local.now
    ACTS[act](older, 1 - first)

    older.seal()
    local.seal()

    expected = rebuilt(local, tmp_path)
    assert differences(tables_of(older.database), expected) == []
    assert differences(local.tables(), expected) == []


@pytest.mark.slow
def test_failures_are_read_by_the_rules_as_the_chain_numbers_them(
    local: Production, restored: Callable[[], Production], tmp_path: Path
) -> None:
    failed = {"state": "failed", "exit": {"code": 65}}
    local.record(record_of(1, **failed))
    older = restored()
    ACTS["rules"](local, 0)
    local.seal()
    older.now = local.now
    ACTS["rules"](older, 1)
    older.reclassify()
    older.record(record_of(2, **failed))
    older.work()

    older.seal()
    for production in (local, older):
        production.seal()
        production.work()

    expected = rebuilt(local, tmp_path)
    assert differences(tables_of(older.database), expected) == []
    assert differences(local.tables(), expected) == []
    assert [(row["class_name"], row["version"]) for row in expected["failure_classes"]] == [
        ("code", 2)
    ] * 2


def test_comparators_that_were_sent_again_have_the_number_of_the_chain(
    local: Production, restored: Callable[[], Production]
) -> None:
    older = restored()
    ACTS["comparators"](local, 0)
    ACTS["comparators"](local, 1)
    local.seal()
    ACTS["comparators"](older, 1)

    older.seal()

    with older.database.reading.connect() as connection:
        shown = show_comparators(connection, "nova")
    assert (shown.version, shown.comparators["output"][0]["comparator"]) == (2, "numeric")


@pytest.mark.slow
@pytest.mark.parametrize("is_conflict_first", [True, False])
def test_a_job_came_when_the_first_of_its_records_came(
    local: Production,
    restored: Callable[[], Production],
    tmp_path: Path,
    *,
    is_conflict_first: bool,
) -> None:
    older = restored()
    early, late = (older, local) if is_conflict_first else (local, older)
    early.record(record_of(1, exit={"code": 1}))
    late.now = early.now
    late.record(record_of(1))
    local.seal()

    older.seal()
    local.seal()

    expected = rebuilt(local, tmp_path)
    assert expected["jobs"][0]["received_at"] == early.now
    assert differences(tables_of(older.database), expected) == []
    assert differences(local.tables(), expected) == []


@pytest.mark.slow
def test_what_was_sent_again_came_when_it_was_sealed(
    local: Production, restored: Callable[[], Production], tmp_path: Path
) -> None:
    local.record(record_of(1))
    local.seal()
    older = restored()
    for production in (local, older):
        production.verdict(1, "R5")
        production.see("f9.root", size_bytes=4)
        older.now = local.now
    local.seal()

    older.seal()

    assert differences(tables_of(older.database), rebuilt(local, tmp_path)) == []


@pytest.mark.slow
def test_a_record_that_was_erased_since_is_named_as_such(
    local: Production, restored: Callable[[], Production]
) -> None:
    local.record(record_of(1))
    local.seal()
    older = restored()
    local.erase_record(1, fields=("environment.variables.OWN",))

    with (
        older.database.reading.connect() as connection,
        pytest.raises(NotFoundError, match="were erased"),
    ):
        shown_job(connection, older.store, job_id(1))
    older.seal()

    assert differences(tables_of(older.database), local.tables()) == []


@pytest.mark.slow
@pytest.mark.parametrize("reason", [None, "again"])
def test_a_record_is_not_taken_in_the_place_of_one_that_was_erased_since(
    local: Production, restored: Callable[[], Production], tmp_path: Path, reason: str | None
) -> None:
    local.record(record_of(1))
    local.record(record_of(1, unit="a"), reason="another unit")
    local.seal()
    older = restored()
    local.erase_record(1, fields=("environment.variables.OWN",))
    other = record_of(1, exit={"code": 3})

    with pytest.raises(LostTurnError, match="was erased after"):
        older.record(record_of(2), other, reason=reason)
    held = older.tables()
    older.seal()
    [outcome] = older.record(other, reason=reason)
    older.seal()

    assert [row["revision"] for row in held["ledger_entries"]] == [0, 1]
    assert outcome.change == ("conflict" if reason is None else "replaced")
    assert differences(tables_of(older.database), rebuilt(local, tmp_path)) == []


@pytest.mark.slow
def test_a_blob_that_was_erased_here_does_not_come_back(
    local: Production, restored: Callable[[], Production], tmp_path: Path
) -> None:
    secret = local.upload(b"a password")
    older = restored()
    local.seal()
    older.now = local.now

    older.erase_blob(secret)
    older.seal()

    assert tables_of(older.database)["possessions"] == []
    assert differences(tables_of(older.database), rebuilt(local, tmp_path)) == []
