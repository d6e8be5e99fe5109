"""With the archive on S3 the use cases do what they do with a folder.

Sealing, rebuilding, checking, copying, bundles.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.backups import back_up
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from jobprov.provenance.services.work.queue import Parts
from tests.library.logical_tables import differences
from tests.library.production import Production, tables_at
from tests.library.productions.joining import GOOD, joining_repository, record_sample
from tests.library.productions.story import play
from tests.library.records import job_id, record_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]


@pytest.fixture
def production(database: Database, s3_url: str, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production on both databases, with an archive on S3."""
    opened = Production(database, open_store(s3_url), tmp_path)
    yield opened
    opened.close()


def test_sealed_story_is_rebuilt_checked_and_copied(
    production: Production, s3_url: str, tmp_path: Path
) -> None:
    play(production)
    _, blobs = seal_all(production.database, production.writer, production.store)
    again = seal_all(production.database, production.writer, production.store)

    rebuild_database(open_store(s3_url), f"sqlite:///{tmp_path / 'rebuilt.db'}")

    assert blobs.packed > 10
    assert (again[0].entries, again[1].packed) == (0, 0)
    assert differences(production.tables(), tables_at(f"sqlite:///{tmp_path / 'rebuilt.db'}")) == []
    with production.database.reading.connect() as connection:
        checked = check_archive(connection, open_store(s3_url))
    assert (checked.is_sound, checked.entries > 20) == (True, True)
    assert any(
        name.endswith("-0001.body") for name in production.store.documents("ledger/nova/")
    ), "an erasure"
    report = back_up(production.database, production.store, tmp_path / "backup")
    copied = open_store(f"file:{tmp_path / 'backup' / 'archive'}")
    assert (report.documents, list(copied.digests())) == (10, list(production.store.digests()))


def test_missing_blob_names_the_jobs_that_it_touches(production: Production, s3_url: str) -> None:
    sha256 = production.upload(b"a log")
    production.record(record_of(1, logs=[{"name": "stdout", "stream": "stdout", "sha256": sha256}]))
    production.store.bucket.delete([f"loose/{sha256[:2]}/{sha256}.zst"])

    with production.database.reading.connect() as connection:
        report = check_archive(connection, open_store(s3_url))

    (trouble,) = report.troubles
    assert (trouble.kind, trouble.name) == ("blob-missing", sha256)
    assert [job.job_id for job in trouble.jobs] == [job_id(1)]


def test_of_two_sealers_at_once_one_seals(production: Production, s3_url: str) -> None:
    """On SQLite two in one process, on PostgreSQL as two machines would."""
    play(production)
    stores = [open_store(s3_url) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        sealed = list(
            pool.map(lambda store: seal_all(production.database, production.writer, store), stores)
        )

    assert sorted(ledger.entries > 0 for ledger, _blobs in sealed) == [False, True]
    assert sorted(blobs.packed > 0 for _ledger, blobs in sealed) == [False, True]
    heads = [name for name in production.store.documents("ledger/") if name.endswith(".head")]
    assert len(heads) == 5
    with production.database.reading.connect() as connection:
        assert check_archive(connection, open_store(s3_url)).is_sound


def test_bundle_has_the_bytes_that_it_has_from_a_folder(
    production: Production, tmp_path: Path, sqlite_template: Path
) -> None:
    """Before and after what it is made of lies in packs."""
    (tmp_path / "local.db").write_bytes(sqlite_template.read_bytes())
    database = open_database(f"sqlite:///{tmp_path / 'local.db'}")
    local = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    checkout = joining_repository(tmp_path / "checkout")
    for place, each in enumerate((local, production)):
        parts = Parts(each.database, each.writer, each.store, tmp_path / f"mirrors{place}")
        record_sample(parts, each.store, checkout)

    loose = bundle_digest(production)
    seal_all(production.database, production.writer, production.store)
    for key in [listed.key for listed in production.store.bucket.listed("loose")]:
        production.store.bucket.delete([key])

    assert bundle_digest(production) == loose == bundle_digest(local)
    local.close()
    database.dispose()


def bundle_digest(production: Production) -> str:
    seen = hashlib.sha256()
    for piece in build_bundle(
        production.database, production.writer, production.store, GOOD
    ).stream():
        seen.update(piece)
    return seen.hexdigest()
