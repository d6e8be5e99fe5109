"""Checking the archive: every flipped bit and missing blob is found.

The jobs that it touches are named.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.services.upkeep.archive_checks import ArchiveReport, check_archive
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.production import Production
from tests.library.productions.story import play
from tests.library.records import job_id, record_of


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production on both databases, with an archive in files."""
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield opened
    opened.close()


def check(production: Production) -> ArchiveReport:
    # As a process of its own would see it
    store = open_store(f"file:{production.folder / 'archive'}")
    with production.database.reading.connect() as connection:
        return check_archive(connection, store)


def touched(report: ArchiveReport, kind: str) -> set[str]:
    return {
        job.job_id for trouble in report.troubles if trouble.kind == kind for job in trouble.jobs
    }


def flip(path: Path, at: int = -20) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def loose(production: Production, sha256: str) -> Path:
    [path] = (production.folder / "archive").rglob(f"{sha256}*")
    return path


@pytest.mark.slow
def test_a_sound_archive_has_no_troubles(production: Production) -> None:
    play(production)
    unsealed = check(production)

    seal_all(production.database, production.writer, production.store)

    sealed = check(production)
    assert (unsealed.troubles, sealed.troubles) == ([], [])
    assert sealed.is_sound
    assert sealed.segments == 5
    assert sealed.entries > 20


def test_blobs_that_never_came_are_gaps_and_no_damage(production: Production) -> None:
    production.record(record_of(1), record_of(2))

    report = check(production)

    assert report.is_sound
    assert report.gaps == (3, 2)  # two logs of their own, one fcl file of both


@pytest.mark.parametrize("is_sealed", [False, True], ids=["waiting", "sealed"])
def test_a_possessed_blob_that_is_gone_names_its_jobs(
    production: Production, *, is_sealed: bool
) -> None:
    log = production.upload(b"a log")
    production.record(record_of(1, logs=[{"name": "out", "sha256": log}]), record_of(2))
    production.record(
        record_of(1, logs=[{"name": "out", "sha256": log}], exit={"code": 2}), reason="mended"
    )
    path = loose(production, log)
    if is_sealed:
        seal_all(production.database, production.writer, production.store)
        [path] = (production.folder / "archive").rglob("*.pack")
    path.unlink()

    report = check(production)

    assert not report.is_sound
    assert touched(report, "blob-missing") == {job_id(1)}


def test_a_flipped_bit_in_a_blob_names_its_jobs(production: Production) -> None:
    log = production.upload(b"a log that is not short" * 20)
    production.record(record_of(1, logs=[{"name": "out", "sha256": log}]), record_of(2))
    flip(loose(production, log))

    report = check(production)

    assert not report.is_sound
    assert touched(report, "blob-damaged") == {job_id(1)}


def test_a_blob_named_by_an_unknown_field_is_found_too(production: Production) -> None:
    extra = production.upload(b"something of a later hook")
    production.record(record_of(3, extra={"deep": [{"trace_sha256": extra}]}))
    loose(production, extra).unlink()

    assert touched(check(production), "blob-missing") == {job_id(3)}


def test_a_lost_file_of_the_system_names_the_traced_job_that_touched_it(
    production: Production,
) -> None:
    library = production.upload(b"a library that the job loaded")
    listing = production.upload(f"/lib/libm.so\tfile\t0644\t29\t{library}\n".encode())
    traced = {"environment": {"touched_sha256": listing}}
    production.record(record_of(1, **traced), record_of(2), record_of(3))
    production.record(record_of(3, **traced), reason="the listing came later")
    loose(production, library).unlink()
    one_lost = check(production)
    loose(production, listing).unlink()
    both_lost = check(production)

    assert touched(one_lost, "blob-missing") == {job_id(1), job_id(3)}
    assert touched(both_lost, "blob-missing") == {job_id(1), job_id(3)}


@pytest.mark.slow
def test_a_lost_pack_of_code_names_the_jobs_that_ran_it(production: Production) -> None:
    play(production)
    packs = {row["pack_sha256"] for row in production.tables()["resolutions"]}
    for sha256 in packs:
        loose(production, sha256).unlink()

    report = check(production)

    missing = {trouble.name for trouble in report.troubles if trouble.kind == "blob-missing"}
    assert missing >= packs
    assert touched(report, "blob-missing") >= {job_id(6), job_id(7), job_id(11)}


def test_a_lost_capsule_names_the_jobs_that_it_serves(production: Production) -> None:
    software = [{"name": "release", "product": {"manager": "ups", "version": "v1"}}]
    production.record(
        record_of(1, software=software), record_of(2, software=software), record_of(3)
    )
    production.keep_capsule(b"the environment", 1)
    sha256 = hashlib.sha256(b"the environment").hexdigest()
    assert check(production).is_sound
    loose(production, sha256).unlink()

    report = check(production)

    [trouble] = report.troubles
    assert (trouble.kind, trouble.name) == ("blob-missing", sha256)
    assert [job.job_id for job in trouble.jobs] == [job_id(1), job_id(2)]


@pytest.mark.slow
def test_a_lost_bundle_plan_names_its_job(production: Production) -> None:
    play(production)
    plan = production.tables()["bundle_plans"][0]["plan_sha256"]
    loose(production, plan).unlink()

    report = check(production)

    [trouble] = [trouble for trouble in report.troubles if trouble.name == plan]
    assert [job.job_id for job in trouble.jobs] == [job_id(6)]


def test_a_flipped_bit_in_a_segment_names_the_jobs_in_it(production: Production) -> None:
    production.record(record_of(1), record_of(2))
    seal_all(production.database, production.writer, production.store)
    production.record(record_of(3))
    seal_all(production.database, production.writer, production.store)
    [body] = (production.folder / "archive").rglob("00000001-*.body*")
    flip(body)

    report = check(production)

    assert not report.is_sound
    assert touched(report, "document-damaged") == {job_id(1), job_id(2)}
    assert touched(report, "chain-broken") == {job_id(1), job_id(2), job_id(3)}


def test_a_lost_head_is_missed(production: Production) -> None:
    production.record(record_of(1))
    seal_all(production.database, production.writer, production.store)
    [head] = (production.folder / "archive").rglob("00000001.head*")
    head.unlink()

    report = check(production)

    assert not report.is_sound
    assert touched(report, "document-missing") == {job_id(1)}


def test_a_chain_that_another_database_sealed_is_told(production: Production) -> None:
    """The archive was swapped for one whose chain is whole in itself."""
    production.record(record_of(1))
    seal_all(production.database, production.writer, production.store)
    with production.database.writing.begin() as connection:
        connection.execute(
            text("UPDATE chain_heads SET head_sha256 = :other"), {"other": b"\1" * 32}
        )

    report = check(production)

    [trouble] = report.troubles
    assert (trouble.kind, trouble.name) == ("chain-broken", "nova")
    assert "is not the one that this database sealed" in trouble.detail
