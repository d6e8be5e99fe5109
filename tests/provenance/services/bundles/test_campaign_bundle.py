"""One bundle of many jobs holds what they share once; each can be run and verified.

The archive is checked for drift.
"""

import io
import subprocess
from pathlib import Path

import pytest

from jobprov.provenance.db.tables import BundlePlan
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.errors import BundleError, NotFoundError
from jobprov.provenance.services.bundles.campaign_bundle import WantedJobs, build_campaign
from jobprov.provenance.services.bundles.checks import check_bundles
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.reruns.execution import unpack
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.work.queue import Parts
from tests.library.productions.joining import (
    BAD,
    EXPERIMENT,
    GOOD,
)

TASK = "toyexp-join-0001"


def _run(data: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    program = ["dash", str(data / script), *words]
    return subprocess.run(
        program, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_every_job_of_a_task_runs_again_from_one_bundle(sample: Parts, tmp_path: Path) -> None:
    campaign = build_campaign(sample.database, sample.store, WantedJobs(task_id=TASK))
    content = b"".join(campaign.stream())
    data = unpack(io.BytesIO(content), tmp_path / "bundle") / "data"

    assert (campaign.jobs, campaign.level, campaign.size_bytes) == (2, "L2", len(content))
    listed = [
        line.split("\t")[:2] for line in _run(data, "run.sh", "--list-jobs").stdout.splitlines()[1:]
    ]
    assert listed == [[GOOD, "succeeded"], [BAD, "failed"]]
    for job_id, code, level in ((GOOD, 0, "R7"), (BAD, 3, "R1=")):
        out = tmp_path / job_id
        assert _run(data, "run.sh", "--job", job_id, str(out)).returncode == code
        verified = _run(data, "verify.sh", str(out))
        assert verified.returncode == 0, verified.stderr
        assert f"level {level}" in verified.stderr
    assert _run(data, "verify.sh", "--bundle").returncode == 0


@pytest.mark.slow
def test_same_jobs_give_the_same_bytes_however_they_are_asked_for(sample: Parts) -> None:
    by_id = build_campaign(sample.database, sample.store, WantedJobs(job_ids=[BAD, GOOD]))
    again = build_campaign(
        sample.database, sample.store, WantedJobs(job_ids=[GOOD, BAD], experiment=EXPERIMENT)
    )

    assert b"".join(by_id.stream()) == b"".join(again.stream())
    assert by_id.etag == again.etag


@pytest.mark.slow
def test_further_job_takes_its_record_and_little_else(sample: Parts) -> None:
    one = build_campaign(sample.database, sample.store, WantedJobs(job_ids=[GOOD]))
    both = build_campaign(sample.database, sample.store, WantedJobs(job_ids=[GOOD, BAD]))

    added = {member.path for member in both.plan.own} - {member.path for member in one.plan.own}
    assert {path for path in added if not path.startswith("data/lists/")} == {
        f"data/jobs/{BAD}.json",
        f"data/jobs/{BAD}.sh",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "wanted",
    [WantedJobs(task_id="none"), WantedJobs(campaign="none"), WantedJobs(job_ids=["0" * 36])],
)
def test_jobs_that_nobody_recorded_are_not_found(sample: Parts, wanted: WantedJobs) -> None:
    with pytest.raises(NotFoundError):
        build_campaign(sample.database, sample.store, wanted)


@pytest.mark.slow
def test_job_that_is_not_in_the_bundle_is_refused(sample: Parts, tmp_path: Path) -> None:
    campaign = build_campaign(sample.database, sample.store, WantedJobs(job_ids=[GOOD]))
    data = unpack(io.BytesIO(b"".join(campaign.stream())), tmp_path / "bundle") / "data"

    for words in ([], ["--job", BAD], ["--job", "../x"]):
        ended = _run(data, "run.sh", *words, str(tmp_path / "out"))
        assert ended.returncode == 125, words
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_level_makes_a_plan_of_its_own_and_leaves_the_others(sample: Parts) -> None:
    whole = build_bundle(sample.database, sample.writer, sample.store, GOOD)
    low = build_bundle(sample.database, sample.writer, sample.store, GOOD, level="L1")

    assert (whole.level, whole.number, low.level, low.number) == ("L2", 1, "L1", 2)
    assert build_bundle(sample.database, sample.writer, sample.store, GOOD).etag == whole.etag
    assert (
        build_bundle(sample.database, sample.writer, sample.store, GOOD, level="L1").etag
        == low.etag
    )
    with pytest.raises(BundleError, match="no closure level"):
        build_bundle(sample.database, sample.writer, sample.store, GOOD, level="L7")


@pytest.mark.slow
def test_bundles_are_built_again_and_drift_is_reported(sample: Parts) -> None:
    for job_id in (GOOD, BAD):
        build_bundle(sample.database, sample.writer, sample.store, job_id)

    first = check_bundles(sample.database, sample.writer, sample.store, 10)
    second = check_bundles(sample.database, sample.writer, sample.store, 1)
    sample.writer.run(
        lambda writing: writing.connection.execute(
            table_of(BundlePlan)
            .update()
            .where(table_of(BundlePlan).c.number == 1)
            .values(tar_sha256="0" * 64)
        )
    )
    third = check_bundles(sample.database, sample.writer, sample.store, 10)

    assert (first.compared, first.first, first.drifted) == (0, 2, [])
    assert (second.compared, second.first, second.drifted) == (1, 0, [])
    assert {found.job.job_id for found in third.drifted} == {GOOD, BAD}
    assert "the first one had 000" in third.drifted[0].detail


@pytest.mark.slow
def test_archive_with_bundles_is_sound(sample: Parts) -> None:
    build_bundle(sample.database, sample.writer, sample.store, GOOD)

    with sample.database.reading.connect() as connection:
        assert check_archive(connection, sample.store).troubles == []
