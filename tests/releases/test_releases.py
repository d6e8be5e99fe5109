"""What a release wrote is opened by every later version, and stays byte for byte what it was."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.upkeep.migrating import upgrade
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.bundles.job_bundle import earlier_bundle
from jobprov.provenance.services.recording.rederivation import enqueue_derivation
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from tests.library.hook import Runner
from tests.library.logical_tables import differences
from tests.library.production import Production, shown_job, tables_at
from tests.library.servers.live_service import LiveService
from tests.releases.promises import Comparison
from tests.releases.written import Release, all_releases


@pytest.fixture(params=all_releases(), ids=lambda release: release.version)
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


@pytest.mark.slow
def test_each_release_has_kept_all_that_it_wrote(release: Release) -> None:
    """What is not kept is not held."""
    assert {file.name for file in release.folder.iterdir()} == {
        "archive.tar.gz",
        "jobprov.db.gz",
        "postgresql.sql.gz",
        "bundles.tsv",
        "records.jsonl",
        "job-end-hook.pyz",
        "openapi.json.gz",
    }
    assert release.bundles()
    assert release.records()


@pytest.mark.slow
def test_the_first_version_is_among_the_releases() -> None:
    assert all_releases()[0].version == "0.1.0"


def tars_that_differ(production: Production, release: Release) -> list[str]:
    """Return the bundles of a release that are no longer what they were, in words."""
    found = []
    for kept in release.bundles():
        bundle = earlier_bundle(
            production.database,
            production.store,
            kept.job_id,
            kept.number,
            experiment=kept.experiment,
        )
        digest = hashlib.sha256(b"".join(bundle.stream())).hexdigest()
        if (bundle.size_bytes, digest) != (kept.size_bytes, kept.sha256):
            found.append(f"bundle {kept.number} of {kept.job_id} has {bundle.size_bytes} bytes")
    return found


@pytest.mark.slow
def test_archive_of_a_release_fills_a_database_and_makes_its_bundles(
    release: Release, empty_url: str, tmp_path: Path
) -> None:
    store = release.open_archive(tmp_path)
    report = rebuild_database(store, empty_url)
    production = Production(open_database(empty_url), store, tmp_path)

    assert report.jobs >= len(release.records())
    assert tars_that_differ(production, release) == []
    with production.database.reading.connect() as connection:
        assert check_archive(connection, store).is_sound
    production.close_all()


@pytest.mark.slow
def test_database_of_a_release_says_what_its_archive_says(
    release: Release, empty_url: str, tmp_path: Path
) -> None:
    release.fill_database(empty_url, tmp_path)
    upgrade(empty_url)
    store = release.open_archive(tmp_path)
    anew = f"sqlite:///{tmp_path / 'anew.db'}"
    rebuild_database(store, anew)
    production = Production(open_database(empty_url), store, tmp_path)
    # As a service does that starts
    enqueue_derivation(production.parts())
    production.work()

    assert tars_that_differ(production, release) == []
    assert differences(production.tables(), tables_at(anew)) == []
    production.close_all()


@pytest.mark.slow
def test_records_of_a_release_are_taken_and_kept_as_they_are(
    release: Release, database_url: str, tmp_path: Path
) -> None:
    production = Production(open_database(database_url), open_store("memory:"), tmp_path)
    for record in release.records():
        production.record(record)

    with production.database.reading.connect() as connection:
        for record in release.records():
            shown = shown_job(connection, production.store, record["job_id"])
            assert shown["record"] == record
    production.close_all()


@pytest.mark.slow
def test_hook_of_a_release_reports_to_the_service_of_now(release: Release, tmp_path: Path) -> None:
    live = LiveService(tmp_path / "var")
    runner = Runner(str(release.hook), tmp_path / "job", sys.executable)
    runner.folder.mkdir()
    (runner.folder / "in.txt").write_text("muon\n", encoding="utf-8")

    done = runner("run", "--url", live.url, "--", "sh", "-c", "sort in.txt > out.txt; exit 3")

    assert done.returncode == 3
    assert done.stderr == b""
    made = requests.get(f"{live.url}/api/v1/files/out.txt", timeout=30)
    assert made.status_code == 200, made.text
    live.stop()


@pytest.mark.slow
def test_http_interface_keeps_what_a_release_promised(release: Release, bare_app: Flask) -> None:
    now = openapi_of(bare_app.test_client())

    assert Comparison(release.openapi(), now).broken() == []


@pytest.mark.slow
def test_broken_promises_are_named(release: Release) -> None:
    now = release.openapi()
    del now["paths"]["/api/v1/files/{name}"]
    jobs = now["paths"]["/api/v1/jobs"]["get"]
    jobs["parameters"] = [word for word in jobs["parameters"] if word["name"] != "cursor"]
    jobs["parameters"].append({"name": "shift", "in": "query", "required": True})
    del now["components"]["schemas"]["JobList"]["properties"]["jobs"]
    now["components"]["schemas"]["Gap"]["properties"]["code"]["type"] = ["string", "null"]

    broken = Comparison(release.openapi(), now).broken()

    assert set(broken) >= {
        "GET /api/v1/files/{name} is gone",
        "GET /api/v1/jobs: parameter cursor is gone",
        "GET /api/v1/jobs: parameter shift is required and new",
        "GET /api/v1/jobs: 200.jobs is gone",
    }
    assert [sentence for sentence in broken if "may be null" in sentence]


@pytest.mark.slow
def test_records_of_a_release_are_read_without_a_change(release: Release) -> None:
    for record in release.records():
        assert decode_record(json.dumps(record).encode()).job_id == record["job_id"]


def openapi_of(client: FlaskClient) -> dict[str, object]:
    """Return the description of the interface of now."""
    found: dict[str, object] = client.get("/api/v1/openapi.json").get_json()
    return found
