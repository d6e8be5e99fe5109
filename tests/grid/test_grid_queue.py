"""What runs and waits in a real pool, as the witness reports it and the service tells it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from jobprov.provenance.launchers.condor.launcher import CondorLauncher
from tests.library.grid.scene import Scene, opened_scene

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_queue")]

EVENTS = """#!/usr/bin/python3
# Prints what art prints, an event a second, with the memory of a small job
import time
memory = bytearray(60 * 1024 * 1024)
for number in range(1, 600):
    at = time.strftime("%d-%b-%Y %H:%M:%S UTC", time.gmtime())
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    words = f"Begin processing the {number}{suffix} record. run: 1 subRun: 0 event: {number} at {at}"
    print(words, flush=True)
    time.sleep(1)
"""
NEVER = "False"
TASK = "queued-task"


class QueueScene(Scene):
    """A pool with jobs in every state, and a service that was told of them.

    Attributes:
        ids: `cluster.process` by the name of the job.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "toy")
        self.pool.put("jobs/events.py", EVENTS, 0o755)
        self.ids: dict[str, str] = {}

    def submit(self, name: str, arguments: str, **lines: str) -> None:
        """Submit a job whose program is the hook; `arguments` as a submit file has them."""
        usual = {
            "executable": str(self.hook),
            "arguments": arguments,
            "environment": f'"JOBPROV_EXPERIMENT=toy JOBPROV_TASK_ID={TASK}"',
            "should_transfer_files": "YES",
            "transfer_input_files": "events.py",
            "request_memory": "128M",
            "request_disk": "10M",
            "requirements": NEVER,
            "log": f"{name}.log",
        }
        text = "".join(f"{key} = {value}\n" for key, value in {**usual, **lines}.items())
        self.ids[name] = self.pool.submit(name, f"{text}queue\n")

    def queue(self) -> dict[str, dict[str, Any]]:
        """Return the jobs of the task that run and wait, by unit."""
        return {job["unit"]: job for job in self.ask(f"/tasks/{TASK}/queue")["jobs"]}

    def status(self, name: str) -> str:
        done = self.pool.run("condor_q", self.ids[name], "-af", "JobStatus")
        return done.stdout.strip()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueScene]:
    """Yield a pool with a job in each state that a job waits or runs in, and the witness told."""
    with opened_scene(lambda: QueueScene(tmp_path_factory.mktemp("queue"))) as scene:
        url = f"--url {scene.service.url}"
        scene.submit("idle-new", f"\"run {url} --unit 'unit 1' -- ./events.py\"")
        scene.submit("idle-old", f"run {url} --unit=unit-2 -- ./events.py")
        scene.submit("by-variable", f"run {url} -- ./events.py", environment=_variables("unit-3"))
        scene.submit("held", f"run {url} --unit unit-4 -- ./events.py")
        scene.submit(
            "no-input",
            f"run {url} --unit unit-5 -- ./events.py",
            requirements="IsDoomed =!= True",
            transfer_input_files="/nonexistent/input.root",
        )
        scene.submit("removed", f"run {url} --unit unit-6 -- ./events.py")
        scene.submit(
            "running",
            f"run {url} --unit unit-7 --announce --tail-seconds 1 -- ./events.py",
            requirements="IsDoomed =!= True",
        )
        scene.pool.run("condor_hold", "-reason", "waits for the map", scene.ids["held"])
        scene.pool.run("condor_rm", scene.ids["removed"])
        scene.pool.wait_for("input is missing", lambda: scene.status("no-input") == "5", 120)
        scene.pool.wait_for("it runs", lambda: scene.status("running") == "2", 120)
        scene.pool.wait_for("events are told", lambda: _events(scene) >= 3, 120)
        scene.pool.wait_for("memory is measured", lambda: _measured(scene), 120)
        yield scene


def _variables(unit: str) -> str:
    return f'"JOBPROV_EXPERIMENT=toy JOBPROV_TASK_ID={TASK} JOBPROV_UNIT={unit}"'


def _events(scene: QueueScene) -> int:
    answer = requests.get(f"{scene.service.url}/api/v1/tasks/{TASK}/queue", timeout=30)
    jobs = answer.json().get("jobs", ()) if answer.ok else ()
    return max((job["progress"]["events"] for job in jobs if job["progress"]), default=0)


def _measured(scene: QueueScene) -> bool:
    done = scene.pool.run("condor_q", scene.ids["running"], "-af", "ResidentSetSize")
    return done.stdout.strip().isdigit() and int(done.stdout) > 50_000


@pytest.fixture(scope="module")
def report(scene: QueueScene) -> dict[str, Any]:
    """Let the witness look once; return its report."""
    return scene.witness("--experiment", "toy")


def test_witness_reports_the_whole_queue(scene: QueueScene, report: dict[str, Any]) -> None:
    [queue] = report["queues"]
    assert (queue["schedd"], queue["experiment"], queue["jobs"]) == ("pool@", "toy", 6)
    counts = scene.ask(f"/tasks/{TASK}/queue")["counts"]
    assert (counts["idle"], counts["held"], counts["running"]) == (3, 2, 1)
    assert counts["announced"] == 0


def test_what_the_queue_had_is_kept_over_time(scene: QueueScene, report: dict[str, Any]) -> None:
    assert report["queues"]
    answer = scene.ask("/statistics/throughput?measure=queue&since=1h&step=5m")

    newest = {}
    for group in answer["groups"]:
        known = [amount for amount in group["at_once"] if amount is not None]
        assert None in group["at_once"], "nobody looked an hour ago"
        newest[group["name"]] = known[0]
    assert newest == {"idle": 3, "held": 2, "running": 1}


def test_units_are_told_from_command_lines_and_variables(
    scene: QueueScene, report: dict[str, Any]
) -> None:
    assert report["queues"]
    states = {unit: job["state"] for unit, job in scene.queue().items()}

    assert states == {
        "unit 1": "idle",
        "unit-2": "idle",
        "unit-3": "idle",
        "unit-4": "held",
        "unit-5": "held",
        "unit-7": "running",
    }


def test_held_jobs_say_why(scene: QueueScene, report: dict[str, Any]) -> None:
    assert report["queues"]
    jobs = scene.queue()

    assert "waits for the map" in jobs["unit-4"]["hold_reason"]
    assert "/nonexistent/input.root" in jobs["unit-5"]["hold_reason"]
    assert jobs["unit-5"]["seconds"] < 300
    reasons = scene.ask(f"/tasks/{TASK}/queue")["held_reasons"]
    assert [reason["jobs"] for reason in reasons] == [1, 1]
    assert {reason["words"] for reason in reasons} == {
        jobs["unit-4"]["hold_reason"],
        jobs["unit-5"]["hold_reason"],
    }


def test_running_job_says_where_how_long_and_how_far(
    scene: QueueScene, report: dict[str, Any]
) -> None:
    assert report["queues"]
    job = scene.queue()["unit-7"]

    assert (job["source"], job["step"], job["batch_id"]) == (
        "queue",
        "events.py",
        f"{scene.ids['running'].removesuffix('.0')}.0@pool@",
    )
    assert job["host"]
    assert 60 << 20 <= job["memory_bytes"] < 200 << 20
    assert job["requested_memory_bytes"] == 128 << 20
    assert 3 <= job["progress"]["events"] <= job["seconds"] + 2
    assert 0.5 < job["progress"]["events_per_second"] <= 1.1
    assert (job["is_slow"], job["is_stuck"]) == (False, False)


def test_job_removed_before_it_began_counts_for_its_unit(
    scene: QueueScene, report: dict[str, Any]
) -> None:
    assert report["states"].get("killed", 0) >= 1
    [job] = scene.ask(f"/jobs?task_id={TASK}&unit=unit-6")["jobs"]

    assert (job["state"], job["started_at"]) == ("killed", None)
    assert job["exit"]["error_class"] == "removed"
    assert "via condor_rm" in job["exit"]["message"]
    task = scene.ask(f"/tasks/{TASK}")
    [unit] = [unit for unit in task["blocking"] if unit["unit"] == "unit-6"]
    assert unit["state"] == "killed"


def test_second_look_changes_nothing_but_what_runs(
    scene: QueueScene, report: dict[str, Any]
) -> None:
    assert report["queues"]
    scene.pool.run("condor_release", scene.ids["held"])

    [queue] = scene.witness("--experiment", "toy")["queues"]

    assert (queue["taken"]["new"], queue["taken"]["gone"]) == (0, 0)
    assert scene.queue()["unit-4"]["state"] == "idle"


def test_command_lists_what_runs_and_waits(scene: QueueScene, report: dict[str, Any]) -> None:
    assert report["queues"]
    done = scene.service.run("queue", TASK)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 running, ")
    [header] = [place for place, line in enumerate(lines) if line.startswith("UNIT ")]
    assert "unit-5" in lines[header + 1], "held jobs come first"
    [line] = [line for line in lines if "unit-7" in line]
    assert " of 134 MB" in line
    assert " a second" in line


def test_launcher_finds_jobs_of_another_account(
    scene: QueueScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without -allusers condor_q shows the asker's jobs alone, even to root."""
    if os.getuid() != 0:
        pytest.skip("another account than the pool's can only be had by root")
    scene.submit("named", "run -- ./events.py", **{"MY.JobprovJob": '"an-order"'})
    for name, value in scene.condor.items():
        monkeypatch.setenv(name, value)

    found = CondorLauncher(scene.folder).find(["an-order"])

    assert found == {"an-order": f"{scene.ids['named']}@pool@"}


def test_queue_that_the_token_does_not_allow_is_named(scene: QueueScene) -> None:
    """Last: from now on the service wants a token."""
    made = scene.service.run(
        "token", "create", "--experiment", "mu2e", "--name", "witness", "--json"
    )
    token = json.loads(made.stdout)["token"]
    state = scene.folder / "other.db"

    done = scene.service.run("witness", "--state", str(state), **scene.condor, JOBPROV_TOKEN=token)

    assert done.returncode == 1
    assert "refused: " in done.stdout
    assert "of toy in the queue of pool@: The token is of mu2e" in done.stdout
