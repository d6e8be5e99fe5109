"""The same recorded bodies, blobs and resolutions give the same bundle.

Whatever the database, the surroundings, or the day.

Every build happens in a process of its own that forgets the plans made before, so that each is
planned anew from what is recorded.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writer
from tests.library.environments import programs_of
from tests.library.productions.joining import BAD, GOOD, joining_repository, record_sample

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PLAN_AND_BUILD_TWICE = f"""
import hashlib, json, sys
from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.tables import BundlePlan
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.writing import Writer

database, store = open_database(sys.argv[1]), open_store(sys.argv[2])
writer = Writer(database, store)
writer.run(lambda writing: writing.connection.execute(BundlePlan.__table__.delete()))
built = []
for job_id in ({GOOD!r}, {BAD!r}) * 2:
    bundle = build_bundle(database, writer, store, job_id)
    seen = hashlib.sha256()
    for piece in bundle.stream():
        seen.update(piece)
    built.append([bundle.level, bundle.plan_sha256, seen.hexdigest()])
assert built[:2] == built[2:], "planned and read back differ"
print(json.dumps(built[:2]))
"""
DIGEST_OF_TOY = """
import hashlib
from tests.library.productions.toy_job import Toy
toy = Toy()
plan = toy.plan()
print(hashlib.sha256(plan.to_bytes()).hexdigest(), hashlib.sha256(toy.tar_bytes(plan)).hexdigest())
"""
SURROUNDINGS: list[tuple[int, dict[str, str]]] = [
    (0o077, {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "4242", "PYTHONUTF8": "0"}),
    (0o000, {"TZ": "America/Chicago", "LC_ALL": "POSIX", "PYTHONHASHSEED": "17", "LANGUAGE": "de"}),
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return the one repository that every service of a test knows under the same path."""
    return joining_repository(tmp_path / "joining")


class Archived:
    """One service's data: a database, an archive on disk, a code mirror."""

    def __init__(self, database_url: str, folder: Path, checkout: Path) -> None:
        self.database_url = database_url
        self.store_url = f"file:{folder}/archive"
        self.mirrors = folder / "mirrors"
        self.folder = folder
        self.store = open_store(self.store_url)
        database = open_database(database_url)
        writer = Writer(database, self.store)
        record_sample(Parts(database, writer, self.store, self.mirrors), self.store, checkout)
        writer.close()
        database.dispose()

    def build(self, umask: int = 0o022, variables: Mapping[str, str] = {}) -> Any:
        """Return (level, digest of the plan, digest of the tar) of both jobs.

        They are planned in a new process.
        """
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
        words = [sys.executable, "-c", PLAN_AND_BUILD_TWICE, self.database_url, self.store_url]
        ended = subprocess.run(
            words,
            env=environment,
            umask=umask,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture
def archived(database_url: str, tmp_path: Path, checkout: Path) -> Archived:
    folder = tmp_path / "service"
    folder.mkdir()
    return Archived(database_url, folder, checkout)


def test_bundle_is_the_same_from_another_database_and_archive(
    archived: Archived, sqlite_template: Path, tmp_path: Path, checkout: Path
) -> None:
    """SQLite beside SQLite, and PostgreSQL beside SQLite."""
    folder = tmp_path / "other"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "other.db")
    other = Archived(f"sqlite:///{folder}/other.db", folder, checkout)

    built = archived.build()

    assert [level for level, _plan, _tar in built] == ["L2", "L2"]
    assert other.build() == built


def test_bundle_is_the_same_under_other_umask_zone_locale_and_hash_seed(archived: Archived) -> None:
    built = [archived.build(umask, variables) for umask, variables in SURROUNDINGS]

    assert built[1:] == built[:1] * (len(SURROUNDINGS) - 1)


def test_bundle_is_the_same_from_sealed_packs_and_without_the_code(
    archived: Archived, checkout: Path
) -> None:
    """The mirror and the repository are gone: what is recorded and archived is enough."""
    before = archived.build()

    report = archived.store.seal()
    shutil.rmtree(archived.mirrors)
    shutil.rmtree(checkout)

    assert report.packed > 0
    assert archived.build() == before


def test_plan_and_tar_are_the_same_under_another_python(tmp_path: Path) -> None:
    """Of the bundle layer alone, which needs little but Python.

    Reading the database needs packages that are built for one.
    """

    def digests(python: str) -> str:
        words = [python, "-B", "-c", DIGEST_OF_TOY]
        ended = subprocess.run(
            words,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.stdout if ended.returncode == 0 else ""

    python = shutil.which("python3.13")
    if (
        python is None
        or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode
    ):
        pytest.skip("NO python3.13 HERE: that bundles have the same bytes under it is not tested")

    other = programs_of("python3.13", [f"msgspec=={version('msgspec')}"], python=python) / "python"
    assert digests(str(other)) == digests(sys.executable) != ""
