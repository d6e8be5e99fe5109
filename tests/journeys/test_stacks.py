"""Jobs of real programs run again from their bundles, with all that they brought moved away.

The whole trial is `python -m benchmarks.stacks`; these are the cases that need no more than what
scripts/system-packages installs. Whether outputs are equal is found by digests that were taken
aside, never by jobprov itself.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.stacks.cases import Case, read_cases
from benchmarks.stacks.judging import Class, Outcome, judge
from benchmarks.stacks.recording import Recorded, Site
from benchmarks.stacks.rerunning import Rerun
from benchmarks.stacks.service import running_service
from benchmarks.stacks.trial import Plan, try_cases
from tests.library.disk import storage_folder

CASES = [case for case in read_cases() if case.quick]


@pytest.fixture(scope="module")
def outcomes(hook: Path) -> Iterator[dict[str, Outcome]]:
    """Record all cases, move away what they brought, and run them again."""
    if shutil.which("strace") is None:
        pytest.skip("NO STRACE HERE: what jobs read is not seen, and they are not run again")
    with storage_folder() as folder:
        (folder / "jobs").mkdir()
        with running_service(folder / "service") as (url, service):
            site = Site(folder / "jobs", folder / "no-venv", hook, url, ("--trace",))
            found = try_cases(CASES, site, service, folder / "service", Plan())
        yield {outcome.name: outcome for outcome in found}


@pytest.mark.slow
@pytest.mark.xdist_group("stacks")
@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_a_rerun_is_equal_or_its_failure_was_foretold(
    outcomes: dict[str, Outcome], name: str
) -> None:
    outcome = outcomes[name]
    if outcome.verdict is Class.SKIPPED:
        pytest.skip(f"NOT TRIED: {outcome.why}")
    told = "\n".join((outcome.why, *outcome.gaps, *outcome.lines))
    assert outcome.verdict in {Class.EQUAL, Class.UNSAID, Class.FORETOLD}, told


@pytest.mark.slow
@pytest.mark.xdist_group("stacks")
def test_most_reruns_are_equal(outcomes: dict[str, Outcome]) -> None:
    # a failure is no less one for being foretold
    tried = [one for one in outcomes.values() if one.verdict is not Class.SKIPPED]
    incomplete = [one.name for one in tried if "capture-incomplete" in one.gaps]
    assert incomplete == []
    deterministic = [one for one in tried if one.is_deterministic]
    differing = [one.name for one in deterministic if not one.is_equal]
    assert len(differing) <= len(deterministic) // 5, differing


def _judged(tmp_path: Path, rerun: Rerun, grade: str = "L2", *gaps: str) -> Class:
    case = Case("one", ("sh", "job.sh"), hint="calib")
    recorded = Recorded(case, tmp_path, tmp_path, "id", {"out.txt": "ab"}, 0, "")
    job = {"grade": grade, "gaps": [{"code": gap, "message": "of calib.dat"} for gap in gaps]}
    return judge(recorded, job, rerun, "usual").verdict


def test_the_trial_does_not_believe_a_verdict(tmp_path: Path) -> None:
    equal = Rerun(0, "R7", 1, (), (), "")
    assert _judged(tmp_path, equal) is Class.EQUAL
    assert _judged(tmp_path, Rerun(0, "R7", 0, (), (), "")) is Class.FALSE
    assert _judged(tmp_path, Rerun(0, "R7", 1, ("out.txt",), (), "")) is Class.FALSE
    assert _judged(tmp_path, Rerun(0, "R2", 1, (), (), "")) is Class.FALSE
    assert _judged(tmp_path, Rerun(0, None, 0, (), (), "")) is Class.UNSAID


def test_the_trial_tells_foretold_from_silent(tmp_path: Path) -> None:
    failed = Rerun(1, "R1", 1, ("out.txt",), (), "")
    assert _judged(tmp_path, failed) is Class.SILENT
    assert _judged(tmp_path, failed, "L2", "seed-unknown") is Class.SILENT
    assert _judged(tmp_path, failed, "L2", "outputs-missing") is Class.SILENT
    assert _judged(tmp_path, failed, "L2", "touched-not-kept") is Class.FORETOLD
    assert _judged(tmp_path, failed, "L1", "children-unseen") is Class.FORETOLD
    in_needs = Rerun(1, "R1", 1, ("out.txt",), (), "kind\tname\nscript\tcalib.dat\n")
    assert _judged(tmp_path, in_needs) is Class.FORETOLD
