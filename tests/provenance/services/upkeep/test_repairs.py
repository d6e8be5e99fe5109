"""An archive is mended from its backup: blobs, packs and segments; another archive is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobprov.archive.opening import folder_url, open_store
from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.upkeep import known_archive
from jobprov.provenance.errors import ConflictError
from jobprov.provenance.services.intake.blobs import LostBlobs, missing_of
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.archive_identity import tie_archive
from jobprov.provenance.services.upkeep.backups import back_up
from jobprov.provenance.services.upkeep.repairs import RepairReport, repair_archive
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.production import Production
from tests.library.records import record_of
from tests.library.tampering import flip_bit

HELD = [b"first" * 100, b"second" * 100, b"third" * 100]


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield a production with three sealed blobs and segments, and its backup beside it."""
    store = open_store(f"file:{tmp_path / 'archive'}")
    tie_archive(database, store)
    opened = Production(database, store, tmp_path)
    for content in HELD:
        opened.upload(content)
    opened.record(record_of(1), record_of(2))
    seal_all(database, opened.writer, store)
    back_up(database, store, tmp_path / "backup")
    yield opened
    opened.close()


def repair(production: Production, copy: Store) -> RepairReport:
    store = open_store(f"file:{production.folder / 'archive'}")
    with production.database.reading.connect() as connection:
        return repair_archive(connection, store, copy, known_archive(connection))


def backup_of(production: Production) -> Store:
    return open_store(folder_url(production.folder / "backup" / "archive"))


def spoil_pack(archive: Path) -> None:
    [pack] = archive.glob("packs/*.pack")
    flip_bit(pack, 8 * 120)


def spoil_segments(archive: Path) -> None:
    for document in archive.glob("documents/ledger/**/*.document"):
        flip_bit(document, 8 * 60)


def lose_blobs(archive: Path) -> None:
    for pack in archive.glob("packs/*.pack"):
        pack.unlink()


def lose_segments(archive: Path) -> None:
    for document in archive.glob("documents/ledger/**/*.document"):
        document.unlink()


@pytest.mark.parametrize("spoil", [spoil_pack, spoil_segments, lose_blobs, lose_segments])
def test_archive_is_mended_from_its_backup(
    production: Production, spoil: Callable[[Path], None]
) -> None:
    spoil(production.folder / "archive")
    with production.database.reading.connect() as connection:
        broken = check_archive(connection, open_store(folder_url(production.folder / "archive")))
    assert not broken.is_sound

    report = repair(production, backup_of(production))

    assert report.after.is_sound
    store = open_store(folder_url(production.folder / "archive"))
    assert {store.get(sha256) for sha256 in store.digests()} >= set(HELD)


def test_copy_of_another_archive_is_refused(production: Production, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="not a copy of this archive"):
        repair(production, open_store(f"file:{tmp_path / 'strange'}"))


def test_blob_that_was_lost_is_asked_for_again(production: Production) -> None:
    lost_blobs = LostBlobs(open_store(folder_url(production.folder / "archive")))
    digests = sorted(production.store.digests())
    lose_blobs(production.folder / "archive")

    with production.database.reading.connect() as connection:
        missing = missing_of(connection, "nova", digests, lost_blobs)

    assert set(missing) == set(digests)


def test_what_is_sealed_while_blobs_are_copied_waits_for_the_next_backup(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_blobs = type(production.store).digests

    def listed_late(store: Store) -> Iterator[str]:
        """What was listed, and then a job with a log is recorded and sealed."""
        digests = list(list_blobs(store))
        monkeypatch.undo()
        log = production.upload(b"came while the backup was made")
        production.record(record_of(3, logs=[{"name": "out", "sha256": log}]))
        seal_all(production.database, production.writer, production.store)
        return iter(digests)

    monkeypatch.setattr(type(production.store), "digests", listed_late)
    folder = production.folder / "during"
    back_up(production.database, production.store, folder)

    copied = open_store(folder_url(folder / "archive"))
    assert not [name for name in copied.documents() if "00000002" in name]
    back_up(production.database, production.store, folder)
    assert list(copied.documents()) == list(production.store.documents())
