"""The bounded part of `./scripts/endure`: some faults once, one after the other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from tests.endurance.checks import check_end, check_whole
from tests.endurance.faults import FAULTS
from tests.endurance.load import Acknowledged
from tests.endurance.rounds import run_round
from tests.endurance.scene import Scene
from tests.endurance.staging import scene_on
from tests.library.records import JOB, digest
from tests.library.servers.s3 import S3Server

pytestmark = pytest.mark.xdist_group("s3")
ON_SQLITE = ("service-killed", "erase-killed", "broken-proxy")
ON_POSTGRESQL = ("service-killed", "database-killed")
ON_DISKS = ("disk-full",)
ON_S3 = ("s3-gone",)
_SECONDS = 0.3


def strike(scene: Scene, names: tuple[str, ...]) -> None:
    """Let faults befall a service one after the other, and check what is left in the end."""
    for name in names:
        fault = FAULTS[name]()
        lacking = fault.missing()
        if lacking:
            print(f"{name} IS NOT TRIED: this machine lacks {lacking}")
            continue
        run_round(scene, fault)
    check_end(scene)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "names"), [("sqlite", ON_SQLITE), ("postgresql", ON_POSTGRESQL)]
)
def test_nothing_that_was_acknowledged_is_lost(database: str, names: tuple[str, ...]) -> None:
    with scene_on(database, seed=1, most_seconds=_SECONDS) as scene:
        strike(scene, names)

        assert len(scene.sent.records) > len(names)


@pytest.mark.slow
def test_nothing_is_lost_where_s3_fails(s3_server: S3Server) -> None:
    with scene_on("sqlite", seed=1, most_seconds=_SECONDS, s3_server=s3_server) as scene:
        strike(scene, ON_S3)


@pytest.mark.slow
def test_nothing_is_lost_where_disks_fail() -> None:
    """In a process of its own, where disks can be mounted that nobody else sees."""
    if os.geteuid() != 0:
        pytest.skip("ONLY ROOT MAY MOUNT DISKS: full and read-only ones are not tried")
    words = ["-m", "tests.endurance", "--database", "sqlite", "--kills", "1", "--seconds", "0.5"]
    for name in ON_DISKS:
        words += ["--fault", name]

    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told = [line.partition(",")[0] for line in done.stdout.splitlines()]
    assert told == [f"{name} on sqlite" for name in ON_DISKS], done.stdout


def test_page_lists_every_fault() -> None:
    page = Path(__file__).parents[2] / "docs/reference/reliability.md"
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == list(FAULTS)


def test_what_is_lost_is_seen(database_url: str, tmp_path: Path) -> None:
    """Else nothing above could fail."""
    settings = {"JOBPROV_DATA": str(tmp_path), "JOBPROV_DATABASE_URL": database_url}
    service = open_service(load_settings(settings, {}))
    records, blobs = Acknowledged(), Acknowledged()
    records.records[JOB] = b"{}"
    blobs.blobs[digest(1)] = b"x"

    check_whole(service, Acknowledged())
    with pytest.raises(AssertionError, match="1 acknowledged records are lost"):
        check_whole(service, records)
    with pytest.raises(AssertionError):
        check_whole(service, blobs)
    service.close()
