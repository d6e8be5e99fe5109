"""The hook's document says what the hook does.

Its option table, and its recipes as they stand there.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jobprov.provenance.capture import options
from jobprov.provenance.capture.running import background
from tests.library.hook import Runner, only_entry
from tests.library.servers.hook_service import Service

JOB = "0f8b0000-0000-4000-8000-000000000001"
DOCUMENT = "".join(
    (Path(__file__).resolve().parents[3] / "docs" / page).read_text(encoding="utf-8")
    for page in ("how-to/record-jobs.md", "reference/hook.md")
)


def run_recipe(runner: Runner, service: Service, name: str) -> dict:
    (recipe,) = re.findall(rf"```sh {name}\n(.*?)```", DOCUMENT, re.DOTALL)
    shutil.copy(runner.hook, runner.folder / "job-end-hook.pyz")
    environment = dict(runner.environment, JOBPROV_URL=service.url)
    recipe = recipe.replace("http://127.0.0.1:8095", service.url)
    done = subprocess.run(
        ["sh", "-e", "-c", recipe],
        cwd=runner.folder,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return service.only_record()


def test_option_table_is_that_of_the_hook() -> None:
    rows = re.findall(r"^\| `--([\w-]+)` \| `(JOBPROV_\w+)` \| (\w+) \| \S", DOCUMENT, re.MULTILINE)

    kinds = {"one": options.ONE, "several": options.MANY, "flag": options.FLAGS}
    wanted = [(name, kind) for kind, names in kinds.items() for name in names]
    assert [(name, kind) for name, _, kind in rows] == wanted
    for name, variable, kind in rows:
        value = "sam" if name == "sidecar" else "1"
        if name in ("job-id", "rerun-of", "retry-of"):
            value = JOB
        read = options.Options([], {variable: value})
        assert read.values[name] == {"one": value, "several": [value], "flag": True}[kind]


def test_defaults_in_the_table_are_those_of_the_hook() -> None:
    nothing = options.Options([], {})
    assert f"spooling and sending; {background.budget(nothing):.0f} |" in DOCUMENT
    assert f"hashing; {background.hash_seconds(nothing):.0f} |" in DOCUMENT


@pytest.mark.slow
def test_plain_shell_recipe_works_as_written(runner: Runner, service: Service) -> None:
    (runner.folder / "make.sh").write_text('echo event > "$1"\n')

    record = run_recipe(runner, service, "plain-shell")

    assert record["task"]["task_id"] == "my-first-task"
    assert [script["name"] for script in record["scripts"]] == ["make.sh"]


@pytest.mark.slow
def test_two_step_recipe_works_as_written(runner: Runner, service: Service) -> None:
    record = run_recipe(runner, service, "two-steps")

    assert [step["name"] for step in record["command"]["steps"]] == ["gen", "ana"]
    assert [output["name"] for output in record["outputs"]] == ["a.txt", "b.txt"]
    assert record["state"] == "succeeded"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TERM", "KILL", "INT", "HUP", "XCPU", "USR1"])
def test_command_killed_by_a_signal_is_told_as_the_table_says(runner: Runner, name: str) -> None:
    (row,) = [
        line
        for line in DOCUMENT.splitlines()
        if f"SIG{name}" in line and "to the command |" in line
    ]

    runner("run", "--", "sh", "-c", f"kill -{name} $$")

    record, _ = only_entry(runner)
    assert f"| {record['state']} |" in row
    assert record["exit"]["code"] == 128 + record["exit"]["signal"]


@pytest.mark.slow
def test_hook_that_is_killed_itself_leaves_no_record(runner: Runner) -> None:
    process = subprocess.Popen(
        [runner.python, runner.hook, "run", "--", "sh", "-c", "echo ready; sleep 0.5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=runner.folder,
        env=runner.environment,
    )
    process.stdout.readline()

    process.kill()
    process.communicate(timeout=20)

    assert runner.entries() == []


def run_script(runner: Runner, script: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", script, "job", runner.python, runner.hook],
        cwd=runner.folder,
        env=runner.environment,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_steps_at_once_are_all_recorded(runner: Runner) -> None:
    script = """
"$@" start
for i in 1 2 3 4 5; do
    "$@" step --name "s$i" --output "o$i.root" -- sh -c "sleep 0.2; echo $i; echo $i > o$i.root" &
done
wait
"$@" end
"""

    done = run_script(runner, script)

    assert b"not recorded" not in done.stderr
    record, _ = only_entry(runner)
    assert sorted(step["name"] for step in record["command"]["steps"]) == [
        "s1",
        "s2",
        "s3",
        "s4",
        "s5",
    ]
    assert sorted(entry["name"] for entry in record["outputs"]) == [
        f"o{number}.root" for number in range(1, 6)
    ]
    assert sorted(log["name"] for log in record["logs"]) == [
        f"s{number}.stdout" for number in range(1, 6)
    ]


@pytest.mark.slow
def test_job_script_may_end_by_exec(runner: Runner) -> None:
    done = run_script(runner, '"$@" start; "$@" step --name a -- sh -c "exit 3"; exec "$@" end')

    assert done.returncode == 3
    assert only_entry(runner)[0]["exit"]["code"] == 3
