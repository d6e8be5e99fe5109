"""Jobs of real programs, rerun in a root that has nothing but their capsule.

A few of them, or all with `JOBPROV_TRIAL_FOREIGN=1` (five minutes), from a checkout that lies in no
temporary folder, which a trace leaves out. Each is recorded once with `--trace`, its capsule is
made of the archive alone, and everything that it used outside the system is moved away before its
bundle runs in the capsule.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.library.hook import Runner, can_trace
from tests.library.productions.foreign_jobs import JOBS, ForeignJob, Places, environment_of
from tests.library.servers.live_service import LiveService

pytestmark = pytest.mark.slow

_FEW = ("perl", "origin-library", "sqlite", "scratch-and-home")
_TRIED = [job for job in JOBS if job.name in _FEW or "JOBPROV_TRIAL_FOREIGN" in os.environ]

_BARE = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}


def can_enter() -> bool:
    """Return whether this kernel lets run.sh enter a folder."""
    words = ["unshare", "-rm", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(tmp_path_factory.mktemp("foreign") / "var")
    yield service
    service.stop()


@pytest.fixture
def places() -> Iterator[Places]:
    """Folders outside the temporary ones, which a trace leaves out."""
    folder = Path(tempfile.mkdtemp(prefix="jobprov-foreign-", dir=Path.home()))
    made = Places(folder / "work", folder / "home", folder / "software")
    made.work.mkdir()
    made.home.mkdir()
    yield made
    shutil.rmtree(folder)


def run_bundle(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(script), *words],
        env=_BARE,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.skipif(
    not (can_trace() and can_enter()),
    reason="NO STRACE OR NO NAMESPACES HERE: no capsules of traces",
)
@pytest.mark.parametrize("job", _TRIED, ids=[job.name for job in _TRIED])
def test_job_reruns_equal_in_a_root_that_has_its_capsule_alone(
    job: ForeignJob, places: Places, hook: str, live: LiveService, tmp_path: Path
) -> None:
    if not job.is_possible:
        pytest.skip(f"NO {job.programs} HERE: {job.name} is not tried")
    job_id = f"00000000-0000-0000-0000-{JOBS.index(job) + 1:012}"
    argv = job.prepare(places)
    runner = Runner(hook, places.work)
    runner.spool = tmp_path / "spool"
    runner.environment |= environment_of(places) | {"JOBPROV_SPOOL": str(runner.spool)}
    told = ["--url", live.url, "--stage", job.name, "--task-id", "foreign", "--job-id", job_id]
    words = [
        "run",
        "--verbose",
        "--trace",
        "--trace-bytes",
        "1000000000",
        "--output",
        job.output,
        *told,
    ]
    done = runner(*words, "--", *argv, timeout=300)  # a busy machine traces slowly
    assert b"recorded" in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
    live.run("work")
    live.run("bundle", job_id, "-o", str(tmp_path / "job.tar"))
    away = places.work.parent.with_name(places.work.parent.name + "-away")
    places.work.parent.rename(away)
    try:
        made = live.run("capsule", "make", str(tmp_path / "capsule"), "--from-trace", job_id)
        subprocess.run(["tar", "-xf", str(tmp_path / "job.tar"), "-C", str(tmp_path)], check=True)
        [run] = tmp_path.glob("*/data/run.sh")
        root, out = str(tmp_path / "capsule/data/root"), str(tmp_path / "out")
        rerun = run_bundle(run, "--capsule", root, out)
        verified = run_bundle(run.parent / "verify.sh", out)
    finally:
        away.rename(places.work.parent)

    log = tmp_path / "out/run.log"
    told_by_job = log.read_text()[-3000:] if log.is_file() else ""
    assert (verified.returncode, "R7" in verified.stdout + verified.stderr) == (0, True), (
        verified.stdout + verified.stderr + rerun.stderr + told_by_job + made.stdout
    )
    assert made.returncode == 0, made.stdout + made.stderr
