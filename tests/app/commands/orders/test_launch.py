"""A workflow that is launched on this machine.

Killed and started again, past files that fail for good, retried from bundles.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.library.commands import JOBPROV
from tests.library.hook import put_hook
from tests.library.servers.live_service import LiveService

pytestmark = pytest.mark.slow

WORKFLOW = """
name = "toy"
experiment = "toyexp"
campaign = "spring"
storage = "{storage}"
settle_seconds = 2

[[stage]]
name = "gen"
count = 9
command = ["sh", "gen.sh", "{{unit}}", "{{output}}"]
outputs = ["gen_{{unit}}.txt"]
ships = ["gen.sh"]
retry = {{times = 1}}

[[stage]]
name = "reco"
after = "gen"
command = ["sh", "-c", 'cat "$1" > "$2"; echo reco >> "$2"', "sh", "{{input}}", "{{output}}"]
outputs = ["{{stem}}.reco.txt"]

[[stage]]
name = "merge"
after = "reco"
merge = 4
command = ["sh", "-c", 'out=$1; shift; cat "$@" > "$out"', "sh", "{{output}}", "{{inputs}}"]
outputs = ["{{unit}}.txt"]
"""
GEN = """
echo started >> {folder}/starts.$1
sleep 0.3
case $1 in
  2) [ -f {folder}/disk-is-there ] || {{ echo "write failed: No space left on device" >&2; touch {folder}/disk-is-there; exit 28; }} ;;
  3) kill -SEGV $$ ;;
  5) [ -f {folder}/mended ] || {{ echo "bad input" >&2; exit 65; }} ;;
  6) [ -f {folder}/killed ] || {{ touch {folder}/killed; for p in $(cut -d' ' -f4 /proc/$$/stat); do kill -9 "$p"; done; kill -9 $$; }} ;;
esac
echo "event $1" > "$2"
"""


class Trial:
    """A service, a workflow, and what runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = LiveService(folder / "var")
        self.file = folder / "toy.toml"
        self.file.write_text(WORKFLOW.format(storage=folder / "store"))
        (folder / "gen.sh").write_text(GEN.format(folder=folder))
        self.common = [
            "--launcher",
            "local",
            "--folder",
            str(folder / "agent"),
            "--interval",
            "0.2",
            "--slots",
            "2",
        ]

    def start(self) -> "subprocess.Popen[str]":
        words = [*JOBPROV, "launch", str(self.file), *self.common]
        environment = {**self.service.environment, "JOBPROV_URL": self.service.url}
        return subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def standing(self) -> dict[str, dict[str, Any]]:
        answer = requests.get(
            f"{self.service.url}/api/v1/workflows/toy?experiment=toyexp", timeout=30
        ).json()
        # None before the workflow is declared
        return {stage["stage"]: stage for stage in answer.get("stages", ())} | {"": answer}

    def wait_for(self, what: str, is_so: Any, seconds: float = 120) -> dict[str, dict[str, Any]]:
        end = time.monotonic() + seconds
        while not is_so(standing := self.standing()):
            assert time.monotonic() < end, f"not {what}: {json.dumps(standing, indent=1)[:3000]}"
            time.sleep(0.2)
        return standing

    def jobs(self, task: str) -> list[dict[str, Any]]:
        address = f"{self.service.url}/api/v1/jobs?experiment=toyexp&task_id={task}&limit=1000"
        return list(requests.get(address, timeout=30).json()["jobs"])


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    made = Trial(tmp_path_factory.mktemp("launch"))
    try:
        yield made
    finally:
        made.service.stop()


@pytest.fixture(scope="module")
def blocked(trial: Trial) -> dict[str, dict[str, Any]]:
    """Launch it, and return how it stands when only people can help.

    On the way the launcher is killed with -9 three times.
    """
    for _ in range(3):
        process = trial.start()
        time.sleep(3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = trial.start()
    try:
        return trial.wait_for(
            "blocked by two units",
            lambda stages: (
                "gen" in stages
                and stages["gen"]["failed"] == 2
                and stages["reco"]["done"] == 7
                and stages["merge"]["done"] == 1
            ),
        )
    finally:
        process.kill()
        process.communicate()


def test_nothing_was_submitted_twice_although_the_launcher_was_killed(
    trial: Trial, blocked: dict[str, dict[str, Any]]
) -> None:
    starts = {
        unit: len((trial.folder / f"starts.{unit}").read_text().splitlines()) for unit in range(9)
    }

    assert starts == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1, 5: 1, 6: 2, 7: 1, 8: 1}, (
        "transient ones twice, all others once"
    )
    assert len(trial.jobs("toy-v1-gen")) == sum(starts.values()), "and every start has its record"
    assert blocked[""]["state"] == "running"


def test_numbers_agree_with_a_count_by_hand_from_the_records(
    trial: Trial, blocked: dict[str, dict[str, Any]]
) -> None:
    for stage in ("gen", "reco", "merge"):
        best: dict[str, bool] = {}
        for job in trial.jobs(f"toy-v1-{stage}"):
            unit = job["task"]["unit"]
            best[unit] = best.get(unit, False) or job["state"] == "succeeded"
        assert blocked[stage]["done"] == sum(best.values())
        assert blocked[stage]["failed"] == len(best) - sum(best.values())
        task = requests.get(
            f"{trial.service.url}/api/v1/tasks/toy-v1-{stage}?experiment=toyexp", timeout=30
        ).json()
        assert (task["produced"], task["expected"]) == (
            blocked[stage]["done"],
            blocked[stage]["units"],
        )


def test_retries_are_chained_to_what_they_repeat(
    trial: Trial, blocked: dict[str, dict[str, Any]]
) -> None:
    assert blocked
    by_unit: dict[str, list[dict[str, Any]]] = {}
    for job in trial.jobs("toy-v1-gen"):
        by_unit.setdefault(job["task"]["unit"], []).append(job)
    for unit in ("2", "6"):
        first, second = sorted(by_unit[unit], key=lambda job: str(job["ended_at"]))
        assert (first["state"] in ("failed", "killed"), second["state"]) == (True, "succeeded")
        shown = requests.get(
            f"{trial.service.url}/api/v1/jobs/{second['job_id']}", timeout=30
        ).json()
        assert shown["record"]["retry_of"] == first["job_id"]


def test_an_error_is_seen_by_running_the_job_here(
    trial: Trial, blocked: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    assert blocked
    [job] = [job for job in trial.jobs("toy-v1-gen") if job["task"]["unit"] == "5"]

    words = ("retry", job["job_id"], "--experiment", "toyexp", "--here")
    done = trial.service.run(*words, TMPDIR=str(tmp_path))

    assert done.returncode == 65
    assert "bad input" in done.stderr


def test_past_two_bad_files_one_tried_again_from_its_record_one_waived(
    trial: Trial, blocked: dict[str, dict[str, Any]]
) -> None:
    """One is mended and tried again by the agent, the other waived.

    Then all that is left goes on by itself.
    """
    assert blocked
    bad = {
        job["task"]["unit"]: job["job_id"]
        for job in trial.jobs("toy-v1-gen")
        if job["state"] == "failed"
    }
    (trial.folder / "mended").touch()
    ordered = trial.service.run(
        "retry",
        bad["5"],
        "--experiment",
        "toyexp",
        "--order",
        "--who",
        "me",
        "--why",
        "mended",
        "--json",
    )
    assert [row["unit"] for row in json.loads(ordered.stdout)["tries"]] == ["5"], ordered.stderr
    waived = trial.service.run(
        "waive",
        "toy-v1-gen",
        "3",
        "--experiment",
        "toyexp",
        "--who",
        "me",
        "--why",
        "it always crashes",
    )
    assert waived.returncode == 0, waived.stderr

    said, _ = trial.start().communicate(timeout=120)

    assert "complete: every unit of every stage is done, 1 are waived" in said, said
    standing = trial.standing()
    assert [standing[stage]["done"] for stage in ("gen", "reco", "merge")] == [8, 8, 2]
    lines = [
        line
        for file in sorted((trial.folder / "store").glob("merge-*.txt"))
        for line in file.read_text().splitlines()
    ]
    assert sorted(line for line in lines if line != "reco") == [
        f"event {n}" for n in (0, 1, 2, 4, 5, 6, 7, 8)
    ]


def test_the_same_file_again_is_the_same_version_and_another_text_a_new_one(trial: Trial) -> None:
    again = trial.service.run("launch", str(trial.file), "--by-agent")
    assert "version=1" in again.stdout

    other = trial.folder / "other.toml"
    other.write_text(trial.file.read_text().replace("merge = 4", "merge = 3"))
    changed = trial.service.run("launch", str(other), "--by-agent")
    assert "version=2" in changed.stdout


def test_a_workflow_that_cannot_be_read_is_refused_with_line_and_field(trial: Trial) -> None:
    bad = trial.folder / "bad.toml"
    bad.write_text(trial.file.read_text().replace('after = "gen"', 'after = "gne"'))

    done = trial.service.run("launch", "--check", str(bad))

    assert done.returncode == 2
    line = bad.read_text().splitlines().index('after = "gne"') + 1
    assert f"bad.toml, line {line}: stage[1].after: no earlier stage is called gne" in done.stderr


def test_two_launchers_in_one_folder_do_not_collide(trial: Trial) -> None:
    code = (
        "import fcntl, sys, time; lock = open(sys.argv[1], 'a'); fcntl.flock(lock, fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(trial.folder / "agent" / "lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = trial.service.run("launch", str(trial.file), *trial.common)
        holder.kill()

    assert done.returncode == 1
    assert "Another agent or launch works in" in done.stderr


def test_a_job_that_no_workflow_launched_is_tried_again_from_its_bundle_by_the_agent(
    trial: Trial,
) -> None:
    folder = trial.folder / "by-hand"
    folder.mkdir()
    hook = put_hook(folder / "job-end-hook.pyz")
    script = (
        f'[ -f {folder}/mended ] || {{ echo "write failed: $1" >&2; exit 3; }}\n'
        "echo $1 > made.txt\n"
    )
    (folder / "make.sh").write_text(script)
    words = [
        sys.executable,
        str(hook),
        "run",
        "--url",
        trial.service.url,
        "--experiment",
        "toyexp",
        "--task-id",
        "by-hand",
    ]
    for unit, error in (("u1", "no table yet"), ("u2", "No space left on device")):
        job = [*words, "--unit", unit, "--output", "made.txt", "--", "sh", "make.sh", error]
        assert (
            subprocess.run(job, cwd=folder, env=trial.service.environment, check=False).returncode
            == 3
        )
    [bad] = [job for job in trial.jobs("by-hand") if job["task"]["unit"] == "u1"]
    (folder / "make.sh").write_text("echo today's script; exit 9\n")
    (folder / "mended").touch()

    ordered = trial.service.run(
        "retry", bad["job_id"], "--experiment", "toyexp", "--order", "--who", "me"
    )
    assert "from its bundle" in ordered.stdout, ordered.stderr
    agent = ["agent", "--experiment", "toyexp", "--once", "--retry-task", "by-hand", *trial.common]
    end = time.monotonic() + 90
    while len(jobs := [job for job in trial.jobs("by-hand") if job["state"] != "running"]) < 4:
        done = trial.service.run(*agent)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() < end, [
            (job["task"]["unit"], job["state"], job["exit"]) for job in jobs
        ] + [done.stderr]
    good = {job["task"]["unit"]: job for job in jobs if job["state"] == "succeeded"}
    assert set(good) == {"u1", "u2"}, (
        "one by hand, one by the policy; the recorded script ran, not today's"
    )
    again = good["u1"]
    shown = requests.get(f"{trial.service.url}/api/v1/jobs/{again['job_id']}", timeout=30).json()
    assert shown["record"]["retry_of"] == bad["job_id"]
    task = requests.get(
        f"{trial.service.url}/api/v1/tasks/by-hand?experiment=toyexp", timeout=30
    ).json()
    # The attempt that failed recorded no output, so that its try cannot name made.txt as one: the
    # unit is without output, and the policy tries it again
    assert sum(task["states"].values()) == 2, "a unit counts once"
    assert task["failed"] == 0
    # A record is there before its hook has ended, and the order is over only then
    while still_open := _open_orders(trial) & {job["job_id"] for job in jobs}:
        assert time.monotonic() < end, f"orders that are not over: {still_open}"
        assert trial.service.run(*agent).returncode == 0


def _open_orders(trial: Trial) -> set[str]:
    orders = requests.get(f"{trial.service.url}/api/v1/orders?experiment=toyexp", timeout=30).json()
    return {order["order_id"] for order in orders["orders"]}


def test_the_five_minute_recipe_of_the_document(trial: Trial) -> None:
    """What docs/how-to/run-a-workflow.md shows runs as it stands there."""
    text = (Path(__file__).parents[4] / "docs/how-to/run-a-workflow.md").read_text(encoding="utf-8")
    blocks = {
        name: re.findall(rf"```{name}\n(.*?)```", text, re.DOTALL)[0]
        for name in ("toml recipe", "sh recipe-script", "sh recipe")
    }
    folder = trial.folder / "recipe"
    folder.mkdir()
    (folder / "first.toml").write_text(blocks["toml recipe"])
    (folder / "gen.sh").write_text(blocks["sh recipe-script"])
    environment = {**trial.service.environment, "JOBPROV_URL": trial.service.url}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    done = subprocess.run(
        ["sh", "-ec", blocks["sh recipe"]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )

    assert done.returncode == 0, done.stderr
    assert "complete: every unit of every stage is done" in done.stdout
    assert "4 of 4 units done" in done.stdout
    assert sorted(file.name for file in (folder / "files").glob("merge-*.txt")) == [
        "merge-00001.txt",
        "merge-00002.txt",
    ]


def test_units_that_failed_for_good_are_told_with_their_page(trial: Trial, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        'name = "bad"\nexperiment = "toyexp"\n[[stage]]\nname = "gen"\ncount = 1\n'
        'command = ["false"]\noutputs = ["a.txt"]\n'
    )
    words = [*JOBPROV, "launch", str(file), *trial.common, "--folder", str(tmp_path / "agent")]
    environment = {**trial.service.environment, "JOBPROV_URL": trial.service.url}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = next(line for line in process.stderr if "for good" in line)
        process.kill()

    assert told == (
        "1 unit of gen failed for good: retry, or go on without: "
        f"{trial.service.url}/workflows/toyexp/bad?version=1\n"
    )


def test_check_misses_a_file_that_is_to_be_shipped(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(trial.file.read_text())

    done = trial.service.run("launch", "--check", str(tmp_path / "toy.toml"))

    assert done.returncode == 2
    assert done.stderr == (
        "jobprov: The workflow ships gen.sh, which cannot be read beside it: "
        "No such file or directory.\n"
    )
