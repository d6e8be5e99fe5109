"""Erasing a blob: the gap that its jobs have, and the bundles that are planned without it.

The tests also tell who keeps its bytes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobprov.archive.opening import open_store
from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.tables import Evaluation
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.bundles.job_bundle import build_bundle, earlier_bundle
from jobprov.provenance.services.erasures.blobs import erase_blob, plan_blob_erasure
from jobprov.provenance.services.intake.blobs import missing_of
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.cleared_erasures import finish_erasures
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.logical_tables import differences
from tests.library.production import Production, shown_job, tables_at
from tests.library.productions.story import play
from tests.library.records import job_id, record_of

FCL = b"process_name: reco\nphysics: { door: hunter2 }\n"
SCRIPT = b"#!/bin/sh\n# the door opens by hunter2\n"


@pytest.fixture(params=["file", "memory"])
def production(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path
) -> Iterator[Production]:
    """Yield an empty production with an archive in files or in memory."""
    store: Store = open_store(
        f"file:{tmp_path / 'archive'}" if request.param == "file" else "memory:"
    )
    made = Production(database, store, tmp_path)
    yield made
    made.close()


def run_job(production: Production, number: int, fcl: str | None, **changes: Any) -> None:
    files = [{"name": "reco.fcl", "path": "reco.fcl", "sha256": fcl}] if fcl else []
    configurations = (
        [{"step": "art", "main": "reco.fcl", "search_path": ["."], "files": files}] if fcl else []
    )
    production.record(record_of(number, configurations=configurations, logs=[], **changes))


def gaps(production: Production, number: int) -> list[str]:
    with production.database.reading.connect() as connection:
        found = shown_job(connection, production.store, job_id(number))
    codes = [gap["code"] for gap in found["gaps"]]
    listed = next(
        row["gap_set_id"] for row in production.tables()["jobs"] if row["uuid"] == job_id(number)
    )
    assert json.loads(document_of(production, listed[0]))  # what lists show is the same
    return [
        code
        for code in codes
        if "erased" in code or code in ("fcl-missing", "script-missing", "blob-missing")
    ]


def document_of(production: Production, sha256: str) -> str:
    return next(
        str(row["document"]) for row in production.tables()["gap_sets"] if row["sha256"] == sha256
    )


def troubles(production: Production) -> list[Any]:
    with production.database.reading.connect() as connection:
        return check_archive(connection, production.store).troubles


def differs_rebuilt(production: Production, tmp_path: Path) -> list[str]:
    seal_all(production.database, production.writer, production.store)
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'rebuilt.db'}"
    rebuild_database(production.store, url)
    return differences(production.tables(), tables_at(url))


@pytest.mark.slow
def test_jobs_have_a_gap_and_others_have_none_and_nothing_is_asked_for_again(
    production: Production, tmp_path: Path
) -> None:
    fcl, other = production.upload(FCL), production.upload(b"process_name: gen\n")
    run_job(production, 1, fcl)
    run_job(production, 2, other)
    production.work()
    production.store.seal()

    planned = production.erase_blob(fcl)
    production.work()

    assert [job.job_id for job in planned.jobs] == [job_id(1)]
    assert production.store.missing([fcl, other]) == {fcl}
    assert (gaps(production, 1), gaps(production, 2)) == (["source-erased"], [])
    with production.database.reading.connect() as connection:
        assert missing_of(connection, "nova", [fcl]) == []
        assert shown_job(connection, production.store, job_id(1))["missing_blobs"] == []
        assert len(connection.execute(select(Evaluation.closure_id)).all()) == 1, (
            "what it evaluated to is gone as well"
        )
    assert troubles(production) == []
    assert differs_rebuilt(production, tmp_path) == []


@pytest.mark.slow
def test_bundle_is_planned_again_without_it_and_what_was_generated_from_it_is_gone(
    production: Production,
) -> None:
    fcl, script = production.upload(FCL), production.upload(SCRIPT)
    scripts = [{"name": "run.sh", "path": "run.sh", "sha256": script}]
    run_job(production, 1, fcl, scripts=scripts)
    run_job(production, 2, None, scripts=scripts)
    production.bundle(1)
    production.bundle(2)
    assert (
        sum(b"hunter2" in production.store.get(sha256) for sha256 in production.store.digests()) > 2
    )

    planned = production.erase_blob(fcl)

    assert len(planned.plans) == 1
    holders = [
        sha256
        for sha256 in production.store.digests()
        if b"door: hunter2" in production.store.get(sha256)
    ]
    assert holders == []
    bundle = build_bundle(production.database, production.writer, production.store, job_id(1))
    content = b"".join(bundle.stream())
    assert bundle.number == 2
    assert b"door: hunter2" not in content
    assert b"opens by hunter2" in content
    other = build_bundle(production.database, production.writer, production.store, job_id(2))
    assert (other.number, b"opens by hunter2" in b"".join(other.stream())) == (1, True)
    with pytest.raises(NotFoundError, match="held what was erased"):
        earlier_bundle(production.database, production.store, job_id(1), 1)
    assert troubles(production) == []


@pytest.mark.slow
def test_blob_sent_again_is_not_possessed_and_a_later_job_has_the_gap_at_once(
    production: Production,
) -> None:
    fcl = production.upload(FCL)
    production.erase_blob(fcl)

    production.upload(FCL)
    run_job(production, 1, fcl)

    assert gaps(production, 1) == ["source-erased"]
    assert production.tables()["possessions"] == []


@pytest.mark.slow
def test_codes_of_gaps_are_those_of_what_it_costs(production: Production) -> None:
    log, stdin = production.upload(b"a log"), production.upload(b"typed in")
    records = [
        record_of(1, configurations=[], logs=[{"name": "out", "sha256": log}]),
        record_of(2, configurations=[], logs=[], command={"argv": ["x"], "stdin_sha256": stdin}),
    ]
    production.record(*records)

    production.erase_blob(log)
    production.erase_blob(stdin)

    assert (gaps(production, 1), gaps(production, 2)) == (["blob-erased"], ["input-erased"])


@pytest.mark.slow
def test_bytes_stay_for_another_experiment_that_sent_them(
    production: Production, tmp_path: Path
) -> None:
    fcl = production.upload(FCL)
    production.upload(FCL, "dune")
    run_job(production, 1, fcl)
    production.record(
        record_of(2, experiment="dune", configurations=[], scripts=[{"name": "x", "sha256": fcl}])
    )

    planned = production.erase_blob(fcl)

    assert planned.others == ["dune"]
    assert production.store.get(fcl) == FCL
    assert gaps(production, 1) == ["source-erased"]
    assert gaps(production, 2) == []
    assert troubles(production) == []
    assert differs_rebuilt(production, tmp_path) == []

    assert production.erase_blob(fcl, "dune").others == []
    assert production.store.missing([fcl]) == {fcl}


@pytest.mark.slow
def test_expired_log_goes_with_what_was_kept_of_it(production: Production, tmp_path: Path) -> None:
    log = production.upload(b"hunter2 begins" + b"x" * 5000 + b"hunter2 ends")
    production.record(record_of(1, configurations=[], logs=[{"name": "out", "sha256": log}]))
    production.expire()

    production.erase_blob(log)

    assert [
        sha256
        for sha256 in production.store.digests()
        if b"hunter2" in production.store.get(sha256)
    ] == []
    assert gaps(production, 1) == ["blob-erased"]
    assert troubles(production) == []
    assert differs_rebuilt(production, tmp_path) == []


def test_half_sent_blob_goes_too(production: Production, tmp_path: Path) -> None:
    fcl = production.upload(FCL)
    half = tmp_path / "half-sent" / "nova" / fcl
    half.parent.mkdir(parents=True)
    half.write_bytes(FCL[:20])

    production.erase_blob(fcl)

    assert not half.exists()


@pytest.mark.slow
def test_story_is_rebuilt_after_blobs_of_it_were_erased(
    production: Production, tmp_path: Path
) -> None:
    play(production)
    tables = production.tables()
    found = {row["sha256"] for row in tables["possessions"] if row["experiment_id"] == ("nova",)}
    found -= {row["sha256"] for row in tables["capsules"]}
    for sha256 in sorted(found):
        if not production.store.missing([sha256]):
            production.erase_blob(sha256)
    production.work()

    assert len(found) > 5
    assert differs_rebuilt(production, tmp_path) == []
    assert troubles(production) == []


@pytest.mark.slow
def test_bytes_that_a_restored_copy_brought_back_go_again(production: Production) -> None:
    fcl = production.upload(FCL)
    run_job(production, 1, fcl)
    production.erase_blob(fcl)
    production.store.put(FCL)
    kinds = [(trouble.kind, trouble.name) for trouble in troubles(production)]

    finish_erasures(production.erasing())

    assert kinds == [("not-erased", fcl)]
    assert production.store.missing([fcl]) == {fcl}
    assert troubles(production) == []


@pytest.mark.slow
def test_crash_after_the_commit_is_finished_later(
    production: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcl = production.upload(FCL)
    run_job(production, 1, fcl)
    monkeypatch.setattr(production, "finish_gaps", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        production.erase_blob(fcl)
    monkeypatch.undo()

    finish_erasures(production.erasing())
    production.finish_gaps()

    assert gaps(production, 1) == ["source-erased"]
    assert differs_rebuilt(production, tmp_path) == []


def test_job_that_came_while_one_was_asked_has_the_gap(production: Production) -> None:
    fcl = production.upload(FCL)
    with production.database.reading.connect() as connection:
        planned = plan_blob_erasure(connection, production.store, fcl, "nova")
    run_job(production, 1, fcl)

    erase_blob(production.writer, planned, who="Eve", why="a test", received_at=production.tick())
    production.finish_gaps()

    assert gaps(production, 1) == ["source-erased"]


@pytest.mark.slow
def test_older_database_adopts_the_erasure(production: Production, tmp_path: Path) -> None:
    fcl = production.upload(FCL)
    run_job(production, 1, fcl)
    production.record(record_of(2, environment={"variables": {"DOOR": "hunter2-x"}}))
    seal_all(production.database, production.writer, production.store)
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'older.db'}"
    rebuild_database(production.store, url)
    production.erase_blob(fcl)
    older = Production(open_database(url), production.store, tmp_path)

    seal_all(older.database, older.writer, older.store)
    older.work()

    older.close()
    older.database.dispose()
    production.work()
    assert differences(production.tables(), tables_at(url)) == []


@pytest.mark.slow
def test_what_is_no_blob_of_the_experiment_is_refused(production: Production) -> None:
    play(production)
    tables = production.tables()
    pack = next(row["pack_sha256"] for row in tables["resolutions"] if row["pack_sha256"])
    capsule = tables["capsules"][0]["sha256"]

    for digest, words in (
        ("0" * 64, "never sent it"),
        (pack, "code that"),
        (capsule, "a capsule"),
    ):
        with pytest.raises((NotFoundError, BadInputError), match=words):
            production.erase_blob(digest)


def test_blob_is_erased_once_and_for_a_reason(production: Production) -> None:
    fcl = production.upload(FCL)
    with pytest.raises(BadInputError, match="who wants it"):
        production.erase_blob(fcl, why=" ")
    with pytest.raises(BadInputError, match="stay for ever"):
        production.erase_blob(fcl, why="ghp_0123456789abcdefghijABCDEFGHIJ012345")
    with pytest.raises(BadInputError, match="named by its SHA-256"):
        production.erase_blob("hunter2")
    production.erase_blob(fcl)

    with pytest.raises(NotFoundError, match="or erased it"):
        production.erase_blob(fcl)
