"""A backup is whole, taken while the service runs, and a service opened on it goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.backups import back_up
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all, seal_ledger
from tests.library.databases import on_sqlite_alone
from tests.library.logical_tables import differences
from tests.library.production import Production, tables_at, tables_of
from tests.library.productions.story import play
from tests.library.records import record_of


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production on both databases, with an archive in files."""
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield opened
    opened.close()


@pytest.mark.slow
def test_a_backup_holds_database_and_archive(production: Production, tmp_path: Path) -> None:
    play(production)
    seal_all(production.database, production.writer, production.store)
    production.record(record_of(30))

    report = back_up(production.database, production.store, tmp_path / "backup")

    copied = open_store(f"file:{tmp_path / 'backup' / 'archive'}")
    assert sorted(copied.digests()) == sorted(production.store.digests())
    assert list(copied.documents()) == list(production.store.documents())
    if production.database.is_sqlite:
        assert differences(production.tables(), tables_at(f"sqlite:///{report.database}")) == []
    else:
        assert report.database is None


def test_a_second_backup_copies_only_what_is_new(production: Production, tmp_path: Path) -> None:
    production.upload(b"old")
    back_up(production.database, production.store, tmp_path / "backup")
    production.upload(b"new")

    report = back_up(production.database, production.store, tmp_path / "backup")

    assert (report.blobs, report.blob_bytes) == (1, 3)


def test_large_blobs_are_streamed(
    production: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobprov.provenance.services.upkeep.backups._STREAMED_BYTES", 10)
    sha256 = production.upload(b"more than ten bytes")

    back_up(production.database, production.store, tmp_path / "backup")

    assert (
        open_store(f"file:{tmp_path / 'backup' / 'archive'}").get(sha256) == b"more than ten bytes"
    )


@pytest.mark.slow
def test_a_service_on_a_backup_goes_on_and_its_archive_is_sound(
    production: Production, tmp_path: Path
) -> None:
    production.record(record_of(1), record_of(2))
    seal_all(production.database, production.writer, production.store)
    production.record(record_of(3))
    report = back_up(production.database, production.store, tmp_path / "backup")
    store = open_store(f"file:{tmp_path / 'backup' / 'archive'}")
    if report.database is None:  # as after pg_dump of another moment: the archive alone
        rebuild_database(store, f"sqlite:///{tmp_path / 'backup' / 'jobprov.db'}")
    restored = Production(
        open_database(f"sqlite:///{tmp_path / 'backup' / 'jobprov.db'}"), store, tmp_path
    )
    restored.record(record_of(4))

    sealed = seal_ledger(restored.database, restored.writer, store)

    with restored.database.reading.connect() as connection:
        checked = check_archive(connection, store)
    jobs = len(tables_of(restored.database)["jobs"])
    restored.close()
    restored.database.dispose()
    assert checked.is_sound
    assert (sealed.adopted, jobs) == ((0, 4) if report.database else (0, 3))


def test_a_folder_that_cannot_be_written_is_told(production: Production, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnreachableError, match="cannot take the backup"):
        back_up(production.database, production.store, tmp_path / "file" / "below")


def test_folder_of_the_service_itself_is_refused(production: Production, tmp_path: Path) -> None:
    production.record(record_of(1))

    with pytest.raises(BadInputError, match="where the service itself keeps its files"):
        back_up(production.database, production.store, tmp_path)

    assert not (tmp_path / "jobprov.db.new").exists()


@on_sqlite_alone
def test_copy_never_takes_the_place_of_the_database(production: Production, tmp_path: Path) -> None:
    database_file = Path(str(production.database.reading.url.database))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "jobprov.db").symlink_to(database_file)

    with pytest.raises(BadInputError, match="where the service itself keeps its files"):
        back_up(production.database, production.store, folder)

    assert (folder / "jobprov.db").is_symlink()


@pytest.mark.slow
def test_what_was_erased_since_goes_from_the_backup_too(
    production: Production, tmp_path: Path
) -> None:
    blob = production.upload(b"hunter2")
    production.record(
        record_of(1, environment={"variables": {"DOOR": "hunter2-of-Ada"}}), record_of(2)
    )
    production.seal()
    back_up(production.database, production.store, tmp_path / "backup")
    production.erase_record(1, fields=("environment.variables.DOOR",))
    production.erase_blob(blob)

    back_up(production.database, production.store, tmp_path / "backup")

    copied = open_store(f"file:{tmp_path / 'backup' / 'archive'}")
    assert copied.missing([blob]) == {blob}
    assert list(copied.documents()) == list(production.store.documents())
    assert sum(name.endswith("-0001.body") for name in copied.documents()) == 1
