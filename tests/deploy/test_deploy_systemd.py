"""The units in `deploy/systemd`: systemd reads them, and they leave the service what it needs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jobprov.app.serving import server, worker

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
JOBPROV = "/opt/jobprov/bin/jobprov"
_MOST_EXPOSED = "20"
with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="NO SYSTEMD HERE: the units in deploy/systemd are not verified",
)


@pytest.fixture
def copies(tmp_path: Path) -> list[Path]:
    """Return the units with a program that this machine has."""
    files = [file for file in UNITS.iterdir() if file.suffix in (".service", ".timer")]
    for file in files:
        text = file.read_text(encoding="utf-8").replace(JOBPROV, "/bin/true")
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    return [tmp_path / file.name for file in files]


@with_systemd
def test_systemd_understands_every_line(copies: list[Path]) -> None:
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies],
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in ended.stderr.splitlines() if "jobprov" in line]
    assert (ended.returncode, ours) == (0, [])
    assert len(copies) == 5


@with_systemd
def test_services_are_confined(copies: list[Path]) -> None:
    services = [file for file in copies if file.suffix == ".service"]
    words = ["systemd-analyze", "security", "--offline=true", f"--threshold={_MOST_EXPOSED}"]

    subprocess.run([*words, "--no-pager", *services], check=True, capture_output=True)


def test_service_has_the_time_and_the_files_that_it_counts_on() -> None:
    text = (UNITS / "jobprov.service").read_text(encoding="utf-8")
    seconds = int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0])
    files = int(re.findall(r"^LimitNOFILE=(\d+)$", text, re.MULTILINE)[0])

    # as the worker does: it waits for requests, then for the work in the background
    assert seconds > server.DRAIN_SECONDS * 1.5
    assert files >= worker._MOST_CONNECTIONS * worker._DESCRIPTORS_A_CONNECTION + 1000
