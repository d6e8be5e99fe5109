"""Logs expire where nobody is hurt: which, what stays of them, and what says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.services.erasures.log_expiry import Expiry
from jobprov.provenance.services.intake.blobs import missing_of
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.lookup.logs import OpenLog, read_log
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from tests.library.production import Production, shown_job
from tests.library.records import job_id, record_of

LOG = b"begun\n" + b"line\n" * 2000 + b"ended\n"


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production with an archive in files."""
    made = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield made
    made.close()


def ran(production: Production, number: int, log: bytes, **changes: Any) -> str:
    sha256 = production.upload(log)
    logs = [{"name": "out", "sha256": sha256, "size_bytes": len(log)}]
    production.record(record_of(number, logs=logs, configurations=[], **changes))
    return sha256


def opened(production: Production, number: int) -> OpenLog:
    with production.database.reading.connect() as connection:
        return read_log(
            connection,
            production.store,
            read_job(connection, production.store, job_id(number)),
            "out",
        )


def gaps(production: Production, number: int) -> list[str]:
    with production.database.reading.connect() as connection:
        shown = shown_job(connection, production.store, job_id(number))
    return [gap["code"] for gap in shown["gaps"] if gap["code"].startswith(("log", "blob"))]


@pytest.mark.slow
def test_both_ends_stay_with_digest_and_gap_and_the_rest_is_erased(production: Production) -> None:
    sha256 = ran(production, 1, LOG)
    production.store.seal()

    done = production.expire()

    assert done == Expiry(1, 1, len(LOG) - 200, is_whole=True, left=0)
    assert production.store.missing([sha256]) == {sha256}
    with (log := opened(production, 1)).stream as stream:
        content = stream.read()
    assert (content[:6], content[-6:]) == (b"begun\n", b"ended\n")
    assert b"[jobprov: 9812 bytes of the log expired]" in content
    assert log.expired_at is not None
    assert gaps(production, 1) == ["log-expired"]
    with production.database.reading.connect() as connection:
        assert missing_of(connection, "nova", [sha256]) == [], "no hook is asked to send it again"
        assert check_archive(connection, production.store).is_sound


@pytest.mark.slow
def test_logs_that_somebody_may_need_stay_whole(production: Production) -> None:
    failed = ran(production, 1, LOG + b"1", state="failed", exit={"code": 1})
    small = ran(production, 2, b"short")
    bundled = ran(production, 3, LOG + b"3")
    production.bundle(3)
    other = ran(production, 4, LOG + b"4")
    production.upload(LOG + b"4", "dune")
    production.tick()
    late = ran(production, 5, LOG + b"5")

    done = production.expire(before=production.now)

    assert (done.jobs, done.logs) == (4, 1)
    assert production.store.missing([failed, small, bundled, other, late]) == set()
    assert gaps(production, 4) == ["log-expired"], "the other experiment keeps the bytes"
    assert gaps(production, 5) == []


def test_trial_changes_nothing_and_the_next_run_goes_on(production: Production) -> None:
    digests = [ran(production, number, LOG + b"%d" % number) for number in range(1, 4)]

    trial = production.expire(is_trial=True)
    first = production.expire()
    second = production.expire()

    assert (trial.logs, first.logs, second.jobs) == (3, 3, 0)
    assert production.store.missing(digests) == set(digests)


@pytest.mark.slow
def test_quota_lets_only_the_oldest_go(production: Production) -> None:
    production.record(*[record_of(number, logs=[]) for number in range(100, 200)])
    old = ran(production, 1, LOG + b"1")
    production.record(*[record_of(number, logs=[]) for number in range(200, 300)])
    new = ran(production, 2, LOG + b"2")

    done = production.expire(quota_bytes=len(LOG) + 500)

    assert done.logs == 1
    assert production.store.missing([old, new]) == {old}


def test_crash_before_erasing_is_made_up_for(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = ran(production, 1, LOG)
    monkeypatch.setattr(type(production.store), "erase", lambda _store, _digests: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        production.expire()
    monkeypatch.undo()

    production.expire()

    assert production.store.missing([sha256]) == {sha256}
