"""A job of a bare node, recorded once with `--trace`.

Its capsule comes from the archive alone, and its rerun lives in it.
"""

import subprocess
from pathlib import Path

import pytest

from tests.library.git import git
from tests.library.hook import Runner, can_trace, find_python
from tests.library.servers.live_service import LiveService

pytestmark = pytest.mark.slow

JOB = "00000000-0000-0000-0000-00000000000a"
OTHER_JOB = "00000000-0000-0000-0000-00000000000b"
SCRIPT = """#!/bin/sh
set -e
awk '{print $1 + $2}' "$1" | sort -n > "$2"
"""


def can_enter() -> bool:
    return (
        subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
    )


def prepare(runner: Runner) -> Path:
    """Put a script of a repository and an input into the job's folder; return the repository."""
    upstream, code = runner.folder.parent / "code.git", runner.folder / "code"
    git(runner.folder, "init", "-q", "--bare", "-b", "main", upstream)
    git(runner.folder, "init", "-q", "-b", "main", code)
    (code / "add.sh").write_text(SCRIPT)
    (code / "add.sh").chmod(0o755)
    git(code, "add", ".")
    git(code, "commit", "-qm", "add")
    git(code, "push", "-q", upstream, "main")
    git(code, "remote", "add", "origin", upstream)
    (runner.folder / "in.txt").write_text("1 2\n30 4\n")
    return upstream


def run_apart(bundle: Path, capsule: Path, out: Path) -> tuple[int, str]:
    """Run a bundle's scripts inside a capsule with an empty environment.

    Return run.sh's code and what verify.sh says.
    """
    words = ["env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "sh"]
    code, said = 0, ""
    for script in (["data/run.sh", "--capsule", str(capsule)], ["data/verify.sh"]):
        line = [*words, str(bundle / script[0]), *script[1:], str(out)]
        ended = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
        code, said = code or ended.returncode, ended.stdout + ended.stderr
    return code, said


@pytest.mark.skipif(
    not (can_trace() and can_enter()),
    reason="NO STRACE OR NO NAMESPACES HERE: no capsule of a trace",
)
def test_traced_job_reaches_level_3_without_a_rerun_and_runs_in_what_it_touched(
    runner: Runner, live: LiveService, tmp_path: Path
) -> None:
    upstream = prepare(runner)
    live.run("repository", "add", "code", str(upstream))
    words = ["--url", live.url, "--stage", "add", "--task-id", "traced", "--job-id", JOB]
    traced = ["run", "--trace", "--verbose", *words]
    done = runner(*traced, "--", "./code/add.sh", "in.txt", "out.txt")
    assert b"recorded" in done.stderr, done.stderr
    live.run("work")
    tar = tmp_path / "job.tar"
    live.run("bundle", JOB, "-o", str(tar))

    made = live.run("capsule", "make", str(tmp_path / "capsule"), str(tar), "--from-trace", JOB)
    added = live.run("capsule", "add", str(tmp_path / "capsule"), "--job", JOB)
    live.run("work")
    after = live.run("bundle", JOB, "-o", str(tmp_path / "after.tar"))

    assert made.returncode == 0, made.stdout + made.stderr
    assert "job.tar: R7 inside the capsule" in made.stdout
    assert "are not held" not in made.stdout
    assert "is registered" in added.stdout, added.stderr
    assert "-L2-" not in after.stdout
    assert "-L4-" in after.stdout, after.stdout  # its one input is small

    capsule = tmp_path / "capsule/data/root"
    subprocess.run(["tar", "-xf", str(tmp_path / "after.tar"), "-C", str(tmp_path)], check=True)
    [bundle] = [
        path.parent for path in tmp_path.glob("*/bagit.txt") if path.parent.name != "capsule"
    ]
    code, said = run_apart(bundle, capsule, tmp_path / "out")
    assert (code, "R7" in said) == (0, True), said
    (capsule / "usr/bin/sort").unlink()
    code, _ = run_apart(bundle, capsule, tmp_path / "without")
    assert code != 0  # it was the capsule's own


@pytest.mark.skipif(not can_trace(), reason="NO STRACE HERE: nothing is traced")
def test_python_that_reads_a_made_up_password_has_a_whole_capsule(
    runner: Runner, live: LiveService, tmp_path: Path
) -> None:
    job, python = JOB[:-1] + "d", find_python("3.12") or find_python("3.11")
    words = ["--url", live.url, "--job-id", job, "--trace-bytes", "1000000000"]
    script = "import urllib.request as u; u.Request"

    done = runner("run", "--trace", *words, "--", str(python), "-c", script)
    made = live.run("capsule", "make", str(tmp_path / "capsule"), "--from-trace", job)

    assert done.returncode == 0, done.stderr
    assert made.returncode == 0, made.stdout + made.stderr
    assert "missing" not in made.stdout
    assert list((tmp_path / "capsule/data/root").rglob("urllib/request.py"))


def test_command_wants_bundles_or_traces(live: LiveService, tmp_path: Path) -> None:
    refused = live.run("capsule", "make", str(tmp_path / "capsule"))

    assert refused.returncode == 2
    assert "--from-trace" in refused.stderr


@pytest.mark.skipif(
    not (can_trace() and can_enter()),
    reason="NO STRACE OR NO NAMESPACES HERE: no rerun of what only a trace found",
)
def test_traced_job_reruns_when_all_that_only_the_trace_found_is_gone(
    runner: Runner, live: LiveService, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    (odd / "listed").mkdir(parents=True)
    for name, text in (
        ("table.txt", "5\n"),
        ("own.sh", "n=2\n"),
        ("listed/a", ""),
        ("listed/b", ""),
    ):
        (odd / name).write_text(text)
    (runner.folder / "data.txt").write_text("7\n")
    script = f". {odd}/own.sh; cat data.txt {odd}/table.txt > out.txt; ls {odd}/listed | wc -l >> out.txt"
    words = ["--url", live.url, "--task-id", "found", "--job-id", OTHER_JOB]
    done = runner(
        "run", "--trace", "--trace-bytes", "100000", "--verbose", *words, "--", "sh", "-c", script
    )
    assert b"grade L2" in done.stderr, done.stderr
    live.run("bundle", OTHER_JOB, "-o", str(tmp_path / "job.tar"))
    subprocess.run(["tar", "-xf", str(tmp_path / "job.tar"), "-C", str(tmp_path)], check=True)
    odd.rename(tmp_path / "away")
    runner.folder.rename(tmp_path / "job-away")

    [bundle] = [path.parent for path in tmp_path.glob("*/bagit.txt")]
    out, said = tmp_path / "out", ""
    for part in ("run.sh", "verify.sh"):
        ended = subprocess.run(
            ["sh", str(bundle / "data" / part), str(out)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        said += ended.stdout + ended.stderr
    assert "level R7" in said, said
