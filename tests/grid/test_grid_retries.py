"""Retries by hand on a real pool: what they make comes home, whole, to its place.

The first attempts are real jobs under the hook whose program fails once.
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.library.commands import JOBPROV
from tests.library.grid.scene import Scene, opened_scene

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_retries")]

MAKE = """
[ -f {marks}/mended ] || {{ echo "no such table" >&2; exit 3; }}
mkdir -p deep out
cksum "$1" > out/hist.root
echo "extra of $1" > deep/extra.dat
echo scratch > scratch.tmp; rm scratch.tmp
sha256sum out/hist.root deep/extra.dat > sums.txt
"""
SUBMIT = """
executable = /bin/sh
transfer_executable = False
arguments = "-c 'exec /usr/bin/python3 job-end-hook.pyz run --output out/hist.root -- sh make.sh {input}'"
environment = "JOBPROV_URL='{url}' JOBPROV_EXPERIMENT='toyexp' JOBPROV_TASK_ID='t1' JOBPROV_UNIT='{unit}'"
should_transfer_files = YES
when_to_transfer_output = ON_EXIT
transfer_input_files = {hook}, make.sh, {input}
output = {unit}.out
error = {unit}.err
request_memory = 256M
queue
"""
SMALL, LARGE = 100_000, 17 << 20
"""Bytes of inputs: the hook keeps those up to 16 MiB."""


class Trial(Scene):
    """A pool, a service, and two units whose first attempts failed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "toyexp")
        self.pool.put("jobs/make.sh", MAKE.format(marks=self.pool.folder / "marks"))
        self.store = self.pool.make_folder("store")
        for unit, size in (("small", SMALL), ("large", LARGE)):
            self.pool.put(f"jobs/{unit}.raw", os.urandom(size))
            words = {
                "url": self.service.url,
                "hook": self.hook,
                "unit": unit,
                "input": f"{unit}.raw",
            }
            self.pool.submit(unit, SUBMIT.format(**words))
        self.wait(lambda: len(self.jobs(state="failed")) == 2, 120)
        self.pool.put("marks/mended", "")

    def jobs(self, **query: str) -> list[dict[str, Any]]:
        return list(self.ask("/jobs", task_id="t1", **query)["jobs"])

    def last_job(self, unit: str, state: str) -> dict[str, Any]:
        found = [job for job in self.jobs(state=state) if job["task"]["unit"] == unit]
        return found[0]

    def record(self, job: dict[str, Any]) -> dict[str, Any]:
        return dict(self.ask(f"/jobs/{job['job_id']}")["record"])

    def wait(self, is_there: Any, seconds: float) -> None:
        self.pool.wait_for("what the test waits for", is_there, seconds)

    def submit(self, name: str, *words: str) -> Path:
        """Submit retries and wait for their end; return the submission's folder."""
        folder = self.submit_retries(name, *words)
        self.wait_for_empty_queue()
        return folder


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with opened_scene(lambda: Trial(tmp_path_factory.mktemp("retries"))) as made:
        yield made


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_outputs(home: Path, record: dict[str, Any]) -> None:
    """Check each file against the sum that the job itself wrote, and the hook's record of it."""
    names = {"out/hist.root", "deep/extra.dat", "sums.txt"}
    made = {str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()}
    assert {name for name in made if not name.endswith(".json")} == names
    for line in (home / "sums.txt").read_text().splitlines():
        digest, name = line.split()
        assert sha256(home / name) == digest, name
    recorded = {output["path"]: output["sha256"] for output in record["outputs"]}
    assert recorded == {name: sha256(home / name) for name in names}


def test_all_that_a_retry_made_goes_to_the_place_that_was_named(trial: Trial) -> None:
    job = trial.last_job("small", "failed")
    place = trial.store / "retries"

    trial.submit("again-small", job["job_id"], "--output-dir", str(place))

    done = trial.last_job("small", "succeeded")
    check_outputs(place, trial.record(done))
    sidecar = json.loads((place / "out/hist.root.json").read_text())
    assert sidecar["metadata"]["prov.job_id"] == done["job_id"]
    assert done["retry_of"] == job["job_id"]


def test_an_input_that_is_at_no_known_place_is_named_and_nothing_is_submitted(
    trial: Trial,
) -> None:
    """HTCondor brought it to a scratch folder that is gone, and it is too large for the archive."""
    job = trial.last_job("large", "failed")

    done = trial.service.run("retry", job["job_id"], "--experiment", "toyexp", "--order")

    assert "Ordered 0 jobs" in done.stdout
    assert f"input large.raw of job {job['job_id']}: no place of it is recorded" in done.stdout
    assert trial.ask("/orders")["orders"] == []


def test_an_input_that_is_gone_when_the_job_runs_has_a_class_and_the_unit_is_retried(
    trial: Trial,
) -> None:
    first = trial.last_job("large", "failed")
    inputs = trial.pool.make_folder("inputs")
    trial.pool.put("inputs/large.raw", (trial.pool.folder / "jobs/large.raw").read_bytes())
    folder = trial.pool.make_folder("again-large")
    words = [first["job_id"], "--input-dir", str(inputs), "--format", "condor", "-o", str(folder)]
    trial.retry(*words)
    # Somebody takes it out of the submit file: the job finds it nowhere
    submit_file = folder / "retry.sub"
    text = submit_file.read_text()
    assert f", {inputs}/large.raw" in text
    submit_file.write_text(text.replace(f", {inputs}/large.raw", ""))
    (folder / "retry-places.tsv").write_text("")
    trial.pool.give(folder)
    trial.pool.run("condor_submit", "retry.sub", cwd=folder)
    trial.wait(lambda: len(trial.jobs(state="failed")) == 3, 120)

    second = trial.last_job("large", "failed")
    assert second["job_id"] != first["job_id"]
    record = trial.record(second)
    assert record["exit"]["code"] == 66
    assert record["exit"]["failed_step"] == "stage_in"
    shown = trial.service.run("retry", second["job_id"], "--experiment", "toyexp")
    assert "no place of it is recorded" in shown.stdout
    [offered] = trial.ask("/retries", jobs=second["job_id"])["tries"]
    assert offered["class"]["class"] == "input"
    assert "jobprov retry JOB --input-dir FOLDER" in offered["class"]["advice"]
    assert offered["order"]["bundle_of"] == first["job_id"], "the failed try has no recipe"

    folder = trial.submit("again-large-2", second["job_id"], "--input-dir", str(inputs))

    done = trial.last_job("large", "succeeded")
    assert done["retry_of"] == second["job_id"]
    [home] = folder.glob("outputs-*")
    check_outputs(home, trial.record(done))
    text = (folder / "retry.sub").read_text()
    assert re.search(r"transfer_output_files = outputs-[0-9a-f-]+\n", text)


NAME = "as submitted"


def fail_once(trial: Trial, unit: str) -> dict[str, Any]:
    """Run a job that fails until its table is right; return it."""
    trial.pool.put("jobs/table", "wrong")
    script = 'cat table; test "$(cat table)" = right && mkdir deep && echo "$1" > deep/made.txt'
    trial.pool.put("jobs/own.sh", f"{script} && cp deep/made.txt made.txt\n")
    text = SUBMIT.format(url=trial.service.url, hook=trial.hook, unit=unit, input="table")
    text = text.replace("sh make.sh table", f'sh own.sh ""{NAME}""').replace("make.sh,", "own.sh,")
    trial.pool.submit(unit, text)
    failed = [job for job in trial.jobs(state="failed") if job["task"]["unit"] == unit]
    trial.wait(lambda: failed or unit in units(trial.jobs(state="failed")), 60)
    return trial.last_job(unit, "failed")


def units(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["task"]["unit"] for job in jobs]


def test_a_submission_is_repeated_as_it_was_for_one_unit(trial: Trial) -> None:
    """By the ad in the history of the submit node, which the witness keeps too."""
    first = fail_once(trial, "own")
    trial.pool.put("jobs/table", "right")
    folder = trial.pool.make_folder("as-submitted")

    words = ["retry", first["job_id"], "--experiment", "toyexp", "--as-submitted"]
    done = trial.service.run(*words, "-o", str(folder), **trial.condor)

    assert done.returncode == 0, done.stdout + done.stderr
    trial.pool.give(folder)
    trial.pool.run("./as-submitted.sh", cwd=folder)
    trial.wait_for_empty_queue()
    again = trial.last_job("own", "succeeded")
    assert again["retry_of"] == first["job_id"]
    assert (trial.pool.folder / "jobs/made.txt").read_text() == f"{NAME}\n"
    assert (trial.pool.folder / "jobs/own.out").is_file(), "the first attempt's"


def test_what_the_agent_has_retried_comes_back_to_its_folder(trial: Trial) -> None:
    first = fail_once(trial, "ordered")
    # Its table is in its bundle, and wrong for ever: what failed comes home, too
    trial.retry(first["job_id"], "--order")
    folder = trial.pool.make_folder("agent")
    words = ["agent", "--experiment", "toyexp", "--folder", str(folder), "--once", "--no-witness"]

    def is_over() -> bool:
        done = subprocess.run(
            [*trial.as_owner(), *JOBPROV, *words],
            env=trial.agent_environment(),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return " over" in done.stderr

    trial.wait(is_over, 120)

    again = [job for job in trial.jobs(state="failed") if job["retry_of"] == first["job_id"]]
    [order] = again
    [home] = (folder / "jobs").glob("*/outputs")
    assert (home / ".destinations.json").is_file(), "HTCondor brought the folder back"
    assert trial.record(order)["exit"]["code"] == 1


def test_what_htcondor_brought_back_goes_where_it_brought_it(trial: Trial) -> None:
    """The witness keeps the job's ad: what lay in the working folder came to the Iwd."""
    mended = trial.pool.folder / "marks/mended"
    mended.unlink()
    words = {"url": trial.service.url, "hook": trial.hook}
    trial.pool.submit("iwd", SUBMIT.format(**words, unit="iwd", input="small.raw"))
    trial.wait(lambda: "iwd" in units(trial.jobs(state="failed")), 60)
    trial.pool.put("marks/mended", "")
    first = trial.last_job("iwd", "failed")

    def has_ad() -> bool:
        look = ["witness", "--experiment", "toyexp", "--settle-seconds", "0"]
        done = trial.service.run(*look, **trial.condor)
        assert done.returncode == 0, done.stderr
        [known] = trial.ask("/retries/submissions", jobs=first["job_id"])["submissions"]
        return known["ad"] is not None

    trial.wait(has_ad, 60)
    earlier = trial.pool.put("jobs/sums.txt", "of another job\n")

    folder = trial.submit("again-iwd", first["job_id"])

    again = trial.last_job("iwd", "succeeded")
    [home] = folder.glob("outputs-*")
    assert (home / "out/hist.root").is_file(), "HTCondor brings back no folders by itself"
    assert earlier.read_text() == "of another job\n"
    kept = trial.pool.folder / f"jobs/sums.txt.{again['job_id']}"
    recorded = {output["name"]: output["sha256"] for output in trial.record(again)["outputs"]}
    assert sha256(kept) == recorded["sums.txt"]
    assert sha256(home / "out/hist.root") == recorded["hist.root"]


def test_of_two_values_of_a_variable_the_job_gets_the_last(trial: Trial) -> None:
    """So one job of a jobsub submission gets the number that it had: jobsub's own -e come last."""
    lines = {
        "executable": "/bin/sh",
        "transfer_executable": "False",
        "arguments": "\"-c 'echo $PROCESS'\"",
        "environment": "CLUSTER=$(Cluster);PROCESS=$(Process);PROCESS=7",
        "should_transfer_files": "YES",
        "output": "number.out",
    }

    trial.pool.submit("number", lines)
    trial.wait_for_empty_queue(60)

    assert (trial.pool.folder / "jobs/number.out").read_text() == "7\n"
