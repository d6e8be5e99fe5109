"""The launcher of HTCondor on a real pool: the behaviour of every launcher.

It runs under the account that owns the jobs.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobprov.provenance.capture.surroundings.condor_ads import job_variables
from jobprov.provenance.launchers.condor.launcher import CondorLauncher
from jobprov.provenance.launchers.condor.tools import ads_of
from jobprov.provenance.launchers.job import BatchJob, Launcher
from tests.library.behaviour.launchers import LauncherBehaviour, NewLauncher, a_job, wait_for
from tests.library.grid.pool import PATH, Pool, need_condor

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_launcher")]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    need_condor()
    running = Pool()
    yield running
    running.stop()


@contextmanager
def owner_of(pool: Pool) -> Iterator[None]:
    """Be the account that owns the pool's jobs: HTCondor runs none of root."""
    if os.getuid() != 0:
        yield
        return
    uid, gid = pool.account.pw_uid, pool.account.pw_gid
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(gid, gid, 0)
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


@pytest.fixture
def new_launcher(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewLauncher]:
    for name, value in pool.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{PATH}:{os.environ['PATH']}")
    folder = pool.make_folder("launched")

    def make() -> Launcher:
        return CondorLauncher(folder)

    with owner_of(pool):
        yield make


@pytest.fixture
def readable(pool: Pool) -> Path:
    folder = Path(tempfile.mkdtemp(dir=pool.folder))
    os.chown(folder, pool.account.pw_uid, pool.account.pw_gid)
    return folder


class TestCondorLauncher(LauncherBehaviour):
    """See `launcher_behaviour`."""


def test_a_job_that_goes_on_hold_is_over_and_leaves_the_queue(
    new_launcher: NewLauncher, pool: Pool
) -> None:
    launcher = new_launcher()
    job = a_job("sleep 300")
    ids = launcher.submit([job])
    pool.run("condor_hold", ids[job.name].partition("@")[0])

    problem = wait_for(launcher, job.name)[job.name].problem or ""

    assert problem.startswith("held: "), problem
    pool.wait_for(
        "it leaves the queue",
        lambda: not pool.run("condor_q", "-af", "ClusterId").stdout.split(),
        60,
    )
    assert not wait_for(launcher, job.name)[job.name].is_success


def test_memory_and_sites_of_a_job_go_into_its_ad(new_launcher: NewLauncher) -> None:
    launcher = new_launcher()
    job = a_job("true")
    launcher.submit(
        [
            BatchJob(
                job.name,
                job.argv,
                {"JOBPROV_UNIT": "two words"},
                memory_bytes=300_000_000,
                avoided_sites=("BNL",),
            )
        ]
    )
    wait_for(launcher, job.name)

    [ad] = [ad for ad in ads_of(["condor_history", "-json"]) if ad.get("JobprovJob") == job.name]

    assert ad["RequestMemory"] == 287
    assert 'GLIDEIN_Site isnt "BNL"' in str(ad["Requirements"])
    assert job_variables(ad)["JOBPROV_UNIT"] == "two words"
