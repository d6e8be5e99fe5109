"""A database works with its own archive alone: an empty folder is not taken for it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobprov.archive.opening import open_store
from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.errors import ConflictError
from jobprov.provenance.services.upkeep.archive_identity import (
    adopt,
    check_own_archive,
    tie_archive,
)
from jobprov.provenance.services.upkeep.backups import back_up
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.production import Production
from tests.library.records import record_of


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production on both databases, with an archive in files."""
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield opened
    opened.close()


def archive_at(folder: Path) -> Store:
    return open_store(f"file:{folder}")


def test_new_database_and_new_archive_belong_together(production: Production) -> None:
    tie_archive(production.database, production.store)
    tie_archive(production.database, production.store)

    check_own_archive(production.database, production.store)
    assert list(production.store.documents()) == ["identity"]


def test_folder_whose_disk_is_not_mounted_is_refused(
    production: Production, tmp_path: Path
) -> None:
    tie_archive(production.database, production.store)
    production.record(record_of(1))
    shutil.move(tmp_path / "archive", tmp_path / "elsewhere")
    (tmp_path / "archive").mkdir()
    empty = archive_at(tmp_path / "archive")

    with pytest.raises(ConflictError, match=r"archive is empty.*Is its disk mounted"):
        tie_archive(production.database, empty)
    with pytest.raises(ConflictError, match="archive is empty"):
        seal_all(production.database, production.writer, empty)

    assert list(empty.documents()) == []
    assert list(empty.digests()) == []


def test_archive_of_another_database_is_refused(production: Production, tmp_path: Path) -> None:
    tie_archive(production.database, production.store)
    other = archive_at(tmp_path / "other")
    other.put_document("identity", b"of another\n")

    with pytest.raises(ConflictError, match="belongs to another database"):
        tie_archive(production.database, other)


def test_new_database_takes_the_archive_that_is_there(
    production: Production, tmp_path: Path
) -> None:
    """As after `rebuild-database`, or with the folder that a backup wrote."""
    production.store.put_document("identity", b"known before\n")

    tie_archive(production.database, production.store)
    back_up(production.database, production.store, tmp_path / "backup")

    check_own_archive(production.database, archive_at(tmp_path / "backup" / "archive"))


def test_lost_archive_gives_way_to_one_that_an_operator_adopts(
    production: Production, tmp_path: Path
) -> None:
    tie_archive(production.database, production.store)
    fresh = archive_at(tmp_path / "fresh")

    identity = adopt(production.database, fresh)

    check_own_archive(production.database, fresh)
    assert fresh.get_document("identity").decode().strip() == identity
    with pytest.raises(ConflictError, match="belongs to another database"):
        check_own_archive(production.database, production.store)
