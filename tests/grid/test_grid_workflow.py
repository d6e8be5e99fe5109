"""A production of sixty real jobs on a real pool.

Six kinds of failure, an agent that is killed, two bad files to get past.

The workflow is launched as run-a-workflow.md says: declared to the service, submitted by the agent
under the account that owns the jobs.

The witness reports a job that was killed with its hook a minute after its end. The workflow waits
longer than that for records, or the retry would not know which job it repeats.
"""

import contextlib
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.library.commands import JOBPROV
from tests.library.grid.scene import Scene, opened_scene

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_workflow")]

WORKFLOW = """
name = "grid"
experiment = "toyexp"
campaign = "sixty"
storage = "{folder}/store"
settle_seconds = 180
in_flight = 12

[[stage]]
name = "gen"
count = 18
command = ["sh", "work.sh", "gen", "{{unit}}", "{{output}}"]
outputs = ["gen_{{unit}}.txt"]
ships = ["work.sh"]

[[stage]]
name = "reco"
after = "gen"
command = ["sh", "work.sh", "reco", "{{input}}", "{{output}}"]
outputs = ["{{stem}}.reco.txt"]
ships = ["work.sh"]

[[stage]]
name = "select"
after = "reco"
command = ["sh", "work.sh", "select", "{{input}}", "{{output}}"]
outputs = ["{{stem}}.select.txt"]
ships = ["work.sh"]
wall_seconds = 60
retry = {{times = 1, memory_factor = 1.5, other_site = true}}
memory_mib = 64

[[stage]]
name = "merge"
after = "select"
merge = 5
command = ["sh", "work.sh", "merge", "{{unit}}", "{{output}}", "{{inputs}}"]
outputs = ["{{unit}}.txt"]
ships = ["work.sh"]
"""
WORK = r"""
stage=$1 what=$2 output=$3
echo "$stage $what" >> {marks}/starts
once() {{ ( set -C; : > "{marks}/$1" ) 2>/dev/null; }}
case $stage:$what in
  gen:3) echo "no such run in the table" >&2; exit 65 ;;
  gen:11) if once killed; then
      above=$$
      while [ "$(cat "/proc/$above/comm")" != condor_starter ]; do below=$above; above=$(cut -d' ' -f4 "/proc/$above/stat"); done
      kill -9 "$below"; kill -9 $$
    fi ;;
  reco:gen_7.txt) kill -SEGV $$ ;;
  reco:gen_9.txt) if once full; then echo "write failed: No space left on device" >&2; exit 1; fi ;;
  select:gen_5.reco.txt) if once slow; then sleep 600; fi ;;
  select:gen_6.reco.txt) if once short; then echo "memory usage exceeded request_memory" >&2; exit 1; fi ;;
esac
shift 3
if [ "$stage" = gen ]; then echo "event $what" > "$output"
elif [ "$stage" = merge ]; then cat "$@" > "$output"
else {{ cat "$what"; echo "$stage"; }} > "$output"; fi
"""


class Trial(Scene):
    """A service, a pool and an agent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "toyexp")
        for name in ("store", "agent"):
            self.pool.make_folder(name)
        self.marks = self.pool.folder / "marks"
        file = folder / "grid.toml"
        file.write_text(WORKFLOW.format(folder=self.pool.folder))
        (folder / "work.sh").write_text(WORK.format(marks=self.marks))
        done = self.service.run("launch", str(file), "--by-agent")
        assert done.returncode == 0, done.stderr
        self.log = (folder / "agent.log").open("w")

    @contextlib.contextmanager
    def agent(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the agent as the jobs' owner; kill it in the end."""
        words = [
            *JOBPROV,
            "agent",
            "--experiment",
            "toyexp",
            "--folder",
            str(self.pool.folder / "agent"),
            "--interval",
            "1",
        ]
        process = subprocess.Popen(
            [*self.as_owner(), *words],
            env=self.agent_environment(),
            stdout=self.log,
            stderr=self.log,
            cwd=self.pool.folder,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def standing(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.ask("/workflows/grid")
        return {stage["stage"]: stage for stage in answer["stages"]} | {"": answer}

    def wait_for(self, what: str, is_so: Any, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while not is_so(standing := self.standing()):
            assert time.monotonic() < end, (
                f"not {what}: {json.dumps(standing['']['stages'], indent=1)}\n"
                f"{Path(self.log.name).read_text()[-3000:]}\n{self.pool.diagnosis()}"
            )
            time.sleep(0.5)
        return standing

    def jobs(self, stage: str) -> list[dict[str, Any]]:
        return list(self.ask("/jobs", task_id=f"grid-v1-{stage}", limit=1000)["jobs"])

    def starts(self) -> Counter[str]:
        return Counter((self.marks / "starts").read_text().splitlines())

    def close(self) -> None:
        super().close()
        self.log.close()


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with opened_scene(lambda: Trial(tmp_path_factory.mktemp("sixty"))) as made:
        yield made


@pytest.fixture(scope="module")
def blocked(trial: Trial) -> dict[str, Any]:
    """Let the agent work, killed twice with -9, until only people can help.

    Return how the workflow stands then.
    """
    for _ in range(2):
        with trial.agent():
            time.sleep(8)
    with trial.agent():
        return trial.wait_for(
            "blocked by two bad files",
            lambda stages: (
                stages["gen"]["failed"] == 1
                and stages["reco"]["failed"] == 1
                and stages["select"]["done"] == 16
                and stages["merge"]["done"] == 3
            ),
            400,
        )


def test_nothing_was_submitted_twice_although_the_agent_was_killed(
    trial: Trial, blocked: dict[str, Any]
) -> None:
    twice = {what: count for what, count in trial.starts().items() if count != 1}

    assert twice == {
        "gen 11": 2,
        "reco gen_9.txt": 2,
        "select gen_5.reco.txt": 2,
        "select gen_6.reco.txt": 2,
    }, "once each, but for transient failures"
    assert blocked[""]["state"] == "running"


def test_six_kinds_of_failure_are_told_apart(trial: Trial, blocked: dict[str, Any]) -> None:
    assert blocked
    bad = {
        (job["task"]["stage"], job["task"]["unit"]): (
            job["state"],
            job["exit"]["code"],
            job["exit"]["signal"],
        )
        for stage in ("gen", "reco", "select")
        for job in trial.jobs(stage)
        if job["state"] != "succeeded"
    }

    assert bad == {
        ("gen", "3"): ("failed", 65, None),
        ("gen", "11"): ("killed", 137, 9),
        ("reco", "gen_7.txt"): ("failed", 139, 11),
        ("reco", "gen_9.txt"): ("failed", 1, None),
        ("select", "gen_5.reco.txt"): ("killed", 143, 15),
        ("select", "gen_6.reco.txt"): ("failed", 1, None),
    }
    errors = trial.ask("/statistics/errors", campaign="sixty")
    assert (errors["failures"], errors["jobs"]) == (6, sum(trial.starts().values()))


def test_numbers_of_pages_and_calls_agree_with_a_count_by_hand(
    trial: Trial, blocked: dict[str, Any]
) -> None:
    for stage, expected in (("gen", 18), ("reco", 18), ("select", 18), ("merge", 4)):
        best: dict[str, bool] = {}
        for job in trial.jobs(stage):
            unit = job["task"]["unit"]
            best[unit] = best.get(unit, False) or job["state"] == "succeeded"
        done, failed = sum(best.values()), len(best) - sum(best.values())
        task = trial.ask(f"/tasks/grid-v1-{stage}")

        assert (blocked[stage]["done"], blocked[stage]["failed"]) == (done, failed), stage
        assert (task["produced"], task["failed"], task["running"]) == (done, failed, 0), stage
        page = trial.page(f"/tasks/grid-v1-{stage}?experiment=toyexp")
        assert f"{done} of {task['expected']} units done" in page
        assert blocked[stage]["units"] <= expected
    page = trial.page("/workflows/toyexp/grid")
    total = sum(blocked[stage]["done"] for stage in ("gen", "reco", "select", "merge"))
    assert f"{total} of" in page
    assert "1 of gen, 1 of reco failed for good" in page


def test_retries_are_chained_with_more_memory_where_that_ran_out(
    trial: Trial, blocked: dict[str, Any]
) -> None:
    assert blocked
    for stage, unit in (
        ("gen", "11"),
        ("reco", "gen_9.txt"),
        ("select", "gen_5.reco.txt"),
        ("select", "gen_6.reco.txt"),
    ):
        mine = [job for job in trial.jobs(stage) if job["task"]["unit"] == unit]
        [bad] = [job for job in mine if job["state"] != "succeeded"]
        [good] = [job for job in mine if job["state"] == "succeeded"]
        shown = trial.ask(f"/jobs/{good['job_id']}")
        assert shown["record"]["retry_of"] == bad["job_id"]
    ads = trial.pool.run(
        "condor_history", "-af:,", "RequestMemory", "JobprovJob"
    ).stdout.splitlines()
    assert Counter(line.split(",")[0] for line in ads)["96"] == 1, (
        "64 MiB times 1.5, once: not for the job that was only slow"
    )


def test_past_two_bad_files(trial: Trial, blocked: dict[str, Any]) -> None:
    """Stage 4 waits for two bad files to fill its last group; they are waived, and it goes on."""
    assert "lacks 4 files" in blocked["merge"]["waits_for"]
    assert blocked["select"]["waits_for"]
    for stage, unit in (("gen", "3"), ("reco", "gen_7.txt")):
        done = trial.service.run(
            "waive",
            f"grid-v1-{stage}",
            unit,
            "--experiment",
            "toyexp",
            "--who",
            "me",
            "--why",
            "bad file",
        )
        assert done.returncode == 0, done.stderr
    began = time.monotonic()

    with trial.agent():
        standing = trial.wait_for("complete", lambda stages: stages[""]["state"] == "complete", 120)

    assert time.monotonic() - began < 60, "within a minute"
    assert [standing[stage]["done"] for stage in ("gen", "reco", "select", "merge")] == [
        17,
        16,
        16,
        4,
    ]
    merged = sorted((trial.pool.folder / "store").glob("merge-*.txt"))
    lines = [
        line
        for file in merged
        for line in file.read_text().splitlines()
        if line.startswith("event")
    ]
    assert sorted(lines) == sorted(
        f"event {number}" for number in range(18) if number not in (3, 7)
    )
    assert sum(trial.starts().values()) >= 56


def test_a_recorded_job_is_tried_again_from_its_bundle_by_condor_submit(
    trial: Trial, blocked: dict[str, Any]
) -> None:
    """The files that `jobprov retry --format condor` writes make another attempt of the unit.

    That is the page's way; they are submitted by hand.
    """
    assert blocked
    [bad] = [job for job in trial.jobs("reco") if job["task"]["unit"] == "gen_7.txt"]

    trial.submit_retries("by-hand", bad["job_id"])
    end = time.monotonic() + 120
    while (
        len(
            found := [
                job
                for job in trial.jobs("reco")
                if job["task"]["unit"] == "gen_7.txt" and job["state"] != "running"
            ]
        )
        < 2
    ):
        assert time.monotonic() < end, trial.pool.diagnosis()
        time.sleep(0.5)

    [again] = [job for job in found if job["job_id"] != bad["job_id"]]
    assert (again["state"], again["exit"]["signal"] or again["exit"]["code"]) in (
        ("failed", 11),
        ("failed", 139),
    )
    assert trial.ask(f"/jobs/{again['job_id']}")["record"]["retry_of"] == bad["job_id"]
    task = trial.ask("/tasks/grid-v1-reco")
    assert task["failed"] + task["waived"] == 1, "the unit counts once"
