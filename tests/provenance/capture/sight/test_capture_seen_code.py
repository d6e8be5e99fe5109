"""Programs and libraries that a job runs and that nobody named: kept where they are small, else named."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobprov.provenance.capture.checkouts.repositories import Repositories
from jobprov.provenance.capture.command.arguments import is_system
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.sight.seen_code import SeenCode
from tests.library.hook import Runner, only_entry

pytestmark = pytest.mark.slow  # each job runs long enough to be seen

LIBRARY = "int answer(void) { return 42; }\n"
PROGRAM = (
    "#include <time.h>\nint answer(void);\n"
    "int main(void) { struct timespec t = {6, 0}; nanosleep(&t, 0); return answer() != 42; }\n"
)
"""It runs beyond 5 s, when libraries are looked for: the look at 0.2 s may come before it starts."""


@pytest.fixture
def home(runner: Runner) -> Path:
    """Return a folder of programs that lies neither in the job's folder nor in one of the system."""
    folder = runner.folder.parent / "home"
    folder.mkdir()
    return folder


def tool_in(folder: Path, size: int = 0) -> Path:
    tool = folder / "mytool"
    shutil.copy("/bin/sleep", tool)
    if size:
        with tool.open("ab") as stream:
            stream.truncate(size)
    return tool


def record_of(
    runner: Runner, script: str, *options: str
) -> tuple[dict[str, Any], dict[str, bytes]]:
    path = runner.folder / "job.sh"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    runner("run", *options, "--", "./job.sh")
    return only_entry(runner)


def seen_scripts(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in record["scripts"] if entry.get("evidence") == "seen"}


def test_program_that_a_wrapper_runs_is_kept(runner: Runner, home: Path) -> None:
    tool = tool_in(home)

    record, blobs = record_of(runner, f"{tool} 0.4\n")

    entry = seen_scripts(record)[str(tool)]
    assert blobs[entry["sha256"]] == tool.read_bytes()
    assert "unknown_programs" not in record["command"]["processes"]
    assert record.get("weaknesses", []) == []


def test_files_that_a_script_names_are_kept_however_short_they_run(
    runner: Runner, home: Path
) -> None:
    """No look at /proc sees a program of a few milliseconds, and what `.` reads is no program."""
    tool = tool_in(home)
    (home / "settings.sh").write_text("EVENTS=3\n")
    (home / "cards.dat").write_text("mass 125\n")
    (runner.folder / "helpers.py").write_text("import more\n")
    (runner.folder / "more.py").write_text("")
    (runner.folder / "old.txt").write_text("from an earlier run")

    record, blobs = record_of(
        runner,
        f". {home}/settings.sh\n{tool} 0\ncat {home}/cards.dat > out.txt\n"
        "python3 -c 'import helpers'\npython3 helpers.py; echo 1 > old.txt; ls /etc/passwd\n",
    )

    assert set(seen_scripts(record)) >= {str(tool), f"{home}/settings.sh", "helpers.py", "more.py"}
    inputs = {entry["path"]: entry for entry in record["inputs"]}
    cards = inputs[f"{home}/cards.dat"]
    assert (cards["role"], cards["evidence"]) == ("configuration", "seen")
    assert blobs[cards["sha256"]] == b"mass 125\n"
    assert "old.txt" not in inputs


def test_program_too_large_to_be_kept_is_named(runner: Runner, home: Path) -> None:
    tool = tool_in(home, 17 << 20)

    record, _ = record_of(runner, f"{tool} 0.4\n")

    assert record["command"]["processes"]["unknown_programs"] == [str(tool)]


def test_program_that_the_job_builds_is_neither_kept_nor_unknown(runner: Runner) -> None:
    (runner.folder / "main.c").write_text(
        "#include <unistd.h>\nint main(void) { usleep(300000); return 0; }\n"
    )

    record, _ = record_of(runner, "gcc main.c -o prog && ./prog\n")

    assert "unknown_programs" not in record["command"]["processes"]
    assert "prog" not in seen_scripts(record)
    assert "prog" in [entry["name"] for entry in record["outputs"]]


def test_library_beside_a_program_is_kept(runner: Runner, home: Path) -> None:
    (home / "answer.c").write_text(LIBRARY)
    (home / "main.c").write_text(PROGRAM)
    build = "gcc -shared -fPIC answer.c -o libanswer.so && gcc main.c -o prog -L. -lanswer -Wl,-rpath,'$ORIGIN'"
    subprocess.run(["sh", "-c", build], cwd=home, check=True)

    record, blobs = record_of(runner, f"{home}/prog\n")

    kept = seen_scripts(record)
    assert set(kept) == {f"{home}/prog", f"{home}/libanswer.so"}
    library = (home / "libanswer.so").read_bytes()
    assert kept[f"{home}/libanswer.so"]["sha256"] == hashlib.sha256(library).hexdigest()
    assert library in blobs.values()


def test_library_too_large_to_be_kept_is_named(runner: Runner, home: Path) -> None:
    (home / "answer.c").write_text(LIBRARY)
    (home / "main.c").write_text(PROGRAM)
    build = "gcc -shared -fPIC answer.c -o libanswer.so && gcc main.c -o prog -L. -lanswer -Wl,-rpath,'$ORIGIN'"
    subprocess.run(["sh", "-c", build], cwd=home, check=True)
    with (home / "libanswer.so").open("ab") as stream:
        stream.truncate(17 << 20)

    record, _ = record_of(runner, f"{home}/prog\n")

    assert record["weaknesses"] == [
        {
            "kind": "code-unknown",
            "name": f"{home}/libanswer.so",
            "detail": "it was loaded, and is not kept",
        }
    ]


def test_program_built_in_a_checkout_that_git_ignores_is_kept(runner: Runner, home: Path) -> None:
    git = ["git", "-C", str(home), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (home / ".gitignore").write_text("mytool\n")
    subprocess.run([*git, "add", ".gitignore"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    tool = tool_in(home)

    record, _ = record_of(runner, f"{tool} 0.4\n", "--repository", str(home))

    entry = seen_scripts(record)[str(tool)]
    assert (entry["software"], entry["path_in_repository"]) == ("home", "mytool")


@pytest.mark.slow
def test_interpreter_in_a_home_is_installed_software(runner: Runner, home: Path) -> None:
    shutil.copy("/bin/dash", home / "perl5")

    record, _ = record_of(runner, f"{home}/perl5 -c 'sleep 3; exit 0'\n")

    assert [(weakness["kind"], weakness["name"]) for weakness in record["weaknesses"]] == [
        ("software-installed", f"{home}/perl5")
    ]


def test_interpreter_that_only_its_maps_showed_is_one(home: Path) -> None:
    """`env python3` had just become it, and it was over before the next look."""
    mapped = {f"{home}/bin/perl5.38", f"{home}/lib/libperl.so.5.38", f"{home}/libmine.so"}
    draft = Draft({"job_id": "0f8b0000-0000-4000-8000-000000000001"})
    sight: Any = SimpleNamespace(programs=[], is_hurried=False, began=0.0, is_own=lambda _: False)
    watch: Any = SimpleNamespace(libraries=mapped)

    SeenCode(draft, sight, Repositories(draft)).add(watch)

    assert [(weakness["kind"], weakness["name"]) for weakness in draft.record["weaknesses"]] == [
        ("software-installed", f"{home}/bin/perl5.38"),
        ("code-unknown", f"{home}/libmine.so"),
    ]


def test_repository_that_a_step_names_is_recorded(runner: Runner, home: Path) -> None:
    git = ["git", "-C", str(home), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    job = f"$HOOK start; $HOOK step --repository {home} -- true; $HOOK end\n"
    environment = {**runner.environment, "HOOK": f"{runner.python} {runner.hook}"}
    (runner.folder / "job.sh").write_text(job)

    subprocess.run(["sh", "job.sh"], cwd=runner.folder, env=environment, check=True)

    record, _ = only_entry(runner)
    assert [entry["checkout"] for entry in record["software"]] == [str(home)]
    assert record["software"][0]["revision"]


def test_files_of_the_kernel_and_the_machine_that_a_script_names_are_no_inputs(
    runner: Runner,
) -> None:
    """A rerun has those of its own machine; it refused to start without the recorded ones."""
    files = "/proc/cpuinfo /proc/sys/kernel/ostype /etc/hostname"
    record, _ = record_of(runner, f"cat {files}\ntimeout 0.4 tail -f {files}\n[ $? = 124 ]\n")

    assert record.get("inputs", []) == []


@pytest.mark.parametrize(
    ("path", "is_lasting"),
    [
        ("/cvmfs/nova.opensciencegrid.org/novasoft/bin/nova", True),
        ("/cvmfs/fifeuser3.opensciencegrid.org/sw/nova/0123abcd/bin/nova", False),
    ],
)
def test_what_jobsub_unpacks_on_cvmfs_for_a_submission_is_code_of_the_job(
    path: str, *, is_lasting: bool
) -> None:
    """It is removed some weeks later; nobody kept it, and no gap said so."""
    assert is_system(path) is is_lasting
