"""A capsule that is registered with a release.

Its jobs reach L3, their bundles name it, a rebuilt database knows it.
"""

import hashlib
import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.reruns.capsules import CapsuleRegistered
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.reruns.capsules import registered_capsules
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.bundles.job_bundle import Bundle, build_bundle
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.ledger.trail import show_trail
from jobprov.provenance.services.reruns.capsules import (
    find_capsule,
    register_capsule,
    store_capsule,
)
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.databases import on_sqlite_alone
from tests.library.git import git
from tests.library.logical_tables import differences
from tests.library.production import Production, shown_job, tables_at
from tests.library.productions.joining import EXPERIMENT, GOOD, joining_repository
from tests.library.records import job_id, record_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as `jobprov capsule make` leaves it."""
    root = tmp_path / "release-1" / "data" / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "join").write_bytes(b"#!/bin/sh\n")
    (root / "bin" / "link").symlink_to("join")
    (tmp_path / "release-1" / "bagit.txt").write_text("BagIt-Version: 1.0\n")
    return tmp_path / "release-1"


def register(
    sample: Parts, path: Path, *jobs: str, name: str = "release-1", now: datetime = NOW
) -> CapsuleRegistered:
    stored = store_capsule(sample.store, path)
    answer = sample.writer.run(
        lambda writing: register_capsule(writing, stored, name=name, jobs=jobs), received_at=now
    )
    drain(sample, HANDLERS)
    return answer


def build(sample: Parts, **more: Any) -> Bundle:
    return build_bundle(sample.database, sample.writer, sample.store, GOOD, **more)


def shown(sample: Parts, job: str = GOOD) -> dict[str, Any]:
    with sample.database.reading.connect() as connection:
        return shown_job(connection, sample.store, job)


def needs_of(bundle: Bundle) -> list[list[str]]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(bundle.stream()))) as tar:
        file = tar.extractfile(f"{GOOD}/data/NEEDS.tsv")
        assert file is not None
        return [line.split("\t") for line in file.read().decode().splitlines()]


@pytest.mark.slow
def test_bundle_reaches_the_level_and_names_the_capsule_by_digest(
    sample: Parts, folder: Path
) -> None:
    poor = build(sample)

    answer = register(sample, folder, GOOD)
    rich = build(sample)

    assert (poor.level, rich.level, rich.number) == ("L2", "L4", 2)
    [need] = [cells for cells in needs_of(rich) if cells[0] == "capsule"]
    assert need[1:4] == ["release-1", answer.sha256, str(answer.size_bytes)]
    assert "data/root" in need[4]
    assert [cells for cells in needs_of(poor) if cells[0] == "capsule"] == []
    assert build(sample, level="L2").level == "L2"


@pytest.mark.slow
def test_grade_is_that_of_the_bundle_before_and_after(sample: Parts, folder: Path) -> None:
    before = shown(sample)

    register(sample, folder, GOOD)
    after = shown(sample)

    assert (before["grade"], after["grade"]) == ("L2", "L4")
    assert (before["next_level_needs"], after["next_level_needs"]) == (["capsule"], [])
    assert after["summary"]["grade"] == "L4"


@pytest.mark.slow
@on_sqlite_alone
def test_same_folder_gives_the_same_bytes_and_changes_nothing_the_second_time(
    sample: Parts, folder: Path
) -> None:
    first, second = register(sample, folder, GOOD), register(sample, folder, GOOD)

    assert (first.is_new, second.is_new) == (True, False)
    assert first.sha256 == second.sha256
    with tarfile.open(fileobj=io.BytesIO(sample.store.get(first.sha256))) as tar:
        names = {member.name: member.linkname for member in tar}
    assert names["data/root/bin/link"] == "join"
    assert "data/root/bin/join" in names


@pytest.mark.slow
def test_newest_capsule_counts(sample: Parts, folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "release.sif"
    image.write_bytes(b"image")
    register(sample, folder, GOOD)

    register(sample, image, GOOD, name="release-1-image")

    [need] = [cells for cells in needs_of(build(sample)) if cells[0] == "capsule"]
    assert need[1:3] == ["release-1-image", hashlib.sha256(b"image").hexdigest()]
    assert "sh run.sh --capsule FILE" in need[4]
    with sample.database.reading.connect() as connection:
        assert [row.name for row in registered_capsules(connection)] == [
            "release-1-image",
            "release-1",
        ]
        assert find_capsule(connection, "release-1").experiment == EXPERIMENT
        with pytest.raises(NotFoundError, match="No capsule release-2"):
            find_capsule(connection, "release-2")


@pytest.mark.slow
@on_sqlite_alone
def test_folder_that_is_no_capsule_is_refused(sample: Parts, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no data/root"):
        store_capsule(sample.store, tmp_path)


@pytest.mark.slow
def test_other_stage_or_software_is_not_served_and_a_rebuilt_database_says_the_same(
    database: Database, tmp_path: Path, folder: Path
) -> None:
    production = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    parts = Parts(production.database, production.writer, production.store, tmp_path / "git")
    log, fcl = production.upload(b"log"), production.upload(b"a: 1\n")
    repository = joining_repository(tmp_path / "joining")
    common: dict[str, Any] = {
        "inputs": [],
        "logs": [{"name": "out", "sha256": log}],
        "configurations": [
            {"step": "art", "main": "reco.fcl", "files": [{"name": "reco.fcl", "sha256": fcl}]}
        ],
        "software": [{"name": "joining", "repository": str(repository), "requested_ref": "v1"}],
    }
    commit = git(repository, "rev-parse", "HEAD")
    production.writer.run(lambda writing: register_repository(writing, "x", str(repository)))
    task = {"task_id": "t1", "campaign": "c", "stage": "reco"}
    production.record(
        record_of(1, **common),
        record_of(2, **common, task={**task, "task_id": "t2", "campaign": "another"}),
        record_of(3, **common, task={**task, "stage": "merge"}),
        record_of(
            4,
            **{
                **common,
                "software": [
                    {**common["software"][0], "requested_ref": "main", "revision": commit}
                ],
            },
        ),
        record_of(5, **{**common, "software": []}),
    )
    production.work()

    register(parts, folder, job_id(1))
    production.record(record_of(6, **common))
    with production.database.reading.connect() as connection:
        [act] = show_trail(connection, production.store, "nova", kind="capsule").acts
    assert act.about.startswith("capsule ")

    grades = {number: shown(parts, job_id(number))["grade"] for number in range(1, 7)}
    with pytest.raises(BadInputError, match="names no software"):
        register(parts, folder, job_id(5))
    seal_all(production.database, production.writer, production.store)
    rebuilt = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuild_database(production.store, rebuilt)
    assert differences(production.tables(), tables_at(rebuilt)) == []
    assert len(tables_at(rebuilt)["capsule_uses"]) == 1
    production.close()
    assert grades == {1: "L4", 2: "L4", 3: "L2", 4: "L2", 5: "L0", 6: "L4"}
