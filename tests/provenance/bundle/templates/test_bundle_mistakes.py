"""What run.sh and verify.sh say to somebody who makes a mistake, or whose bundle is not whole."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.library.productions.toy_job import Run, Toy


def data_of(toy: Toy, tmp_path: Path) -> Path:
    """Return the folder with the programs of an unpacked bundle."""
    return toy.unpack(tmp_path / "bag") / "data"


@pytest.mark.slow
@pytest.mark.parametrize("script", ["run.sh", "verify.sh", "lib.sh"])
def test_script_that_was_cut_off_neither_runs_nor_confirms_anything(
    toy: Toy, tmp_path: Path, shell: Run, script: str
) -> None:
    """The code 0 of verify.sh says that everything is equal."""
    data, out = data_of(toy, tmp_path), tmp_path / "out"
    shell(data / "run.sh", out)
    (out / "work/out/result.txt").write_text("another\n")
    whole = (data / script).read_bytes()
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        (data / script).unlink()
        (data / script).write_bytes(whole[: int(share * len(whole))])
        if script != "verify.sh":
            assert shell(data / "run.sh", tmp_path / "again").returncode != 0, share
            assert not (tmp_path / "again").exists()
        if script != "run.sh":
            assert shell(data / "verify.sh", "--bundle").returncode == 2, share
            assert shell(data / "verify.sh", out).returncode == 2, share


@pytest.mark.parametrize(
    "name", ["lib.sh", "own-root.sh", "command/layout.sh", "env/environment.sh", "outputs/job.sh"]
)
def test_own_file_that_is_missing_is_named_before_the_job_is_started(
    toy: Toy, tmp_path: Path, shell: Run, name: str
) -> None:
    data, out = data_of(toy, tmp_path), tmp_path / "out"
    (data / name).unlink()

    outcome = shell(data / "run.sh", out)

    assert outcome.returncode == 125
    assert f"{name} is not here" in outcome.stderr
    assert not out.exists()


@pytest.mark.slow
def test_changed_bundle_is_run_only_if_told_so_and_gets_no_level(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    data, out = data_of(toy, tmp_path), tmp_path / "out"
    table = data / "inputs/files/a.txt"
    table.chmod(0o644)
    table.write_text("another\n")

    refused = shell(data / "run.sh", out)
    checked = shell(data / "run.sh", "--check")
    ran = shell(data / "run.sh", "--changed", out)
    compared = shell(data / "verify.sh", out)

    assert refused.returncode == 125
    assert "data/inputs/files/a.txt" in refused.stderr
    assert checked.returncode == 1
    assert "changed since the bundle was made: data/inputs/files/a.txt" in checked.stderr
    assert ran.returncode == 0
    assert compared.returncode == 2
    assert "from a bundle that was changed (data/inputs/files/a.txt)" in compared.stderr


def test_bundle_that_lost_a_file_is_run_only_if_told_so(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    """Code that is not here would fail in a way of its own, or make another result."""
    data, out = data_of(toy, tmp_path), tmp_path / "out"
    lost = next(iter(sorted((data / "src").rglob("join.sh"))))
    lost.unlink()

    refused = shell(data / "run.sh", out)
    checked = shell(data / "run.sh", "--check")

    assert refused.returncode == 125
    assert f"{lost.relative_to(data.parent)} is gone" in refused.stderr
    assert checked.returncode == 1
    assert not out.exists()


@pytest.mark.slow
def test_kept_input_that_is_gone_may_lie_elsewhere(toy: Toy, tmp_path: Path, shell: Run) -> None:
    data, out, inputs = data_of(toy, tmp_path), tmp_path / "out", tmp_path / "inputs"
    inputs.mkdir()
    (data / "inputs/files/a.txt").rename(inputs / "other-name.txt")

    ran = shell(data / "run.sh", "--input-dir", inputs, out)
    compared = shell(data / "verify.sh", out)

    assert ran.returncode == 0, ran.stderr
    assert compared.returncode == 0, compared.stderr


@pytest.mark.slow
def test_rerun_of_another_job_is_not_compared(toy: Toy, tmp_path: Path, shell: Run) -> None:
    data, out = data_of(toy, tmp_path), tmp_path / "out"
    shell(data / "run.sh", out)
    (out / "rerun-of.txt").write_text("another-job\n")

    outcome = shell(data / "verify.sh", out)

    assert outcome.returncode == 2
    assert "has a rerun of job another-job" in outcome.stderr


@pytest.mark.slow
def test_difference_ends_in_a_verdict(toy: Toy, tmp_path: Path, shell: Run) -> None:
    data, out = data_of(toy, tmp_path), tmp_path / "out"
    shell(data / "run.sh", out)
    (out / "work/out/result.txt").write_text("another\n")

    differs = shell(data / "verify.sh", out)
    (out / "exit-codes.txt").write_text("3\n")
    failed = shell(data / "verify.sh", out)

    job_id = toy.record["job_id"]
    assert differs.stderr.splitlines()[-1] == (
        f"verify.sh: job {job_id} was not reproduced, level R2: 1 of 1 outputs are missing or "
        "differ."
    )
    assert failed.stderr.splitlines()[-1] == (
        f"verify.sh: job {job_id} was not reproduced, level R1: it ended in another way than "
        "recorded."
    )


def test_folder_data_alone_is_told_to_be_no_whole_bundle(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    """Else everything beside it would be named."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/mine.txt").write_text("mine\n")
    data = shutil.copytree(data_of(toy, tmp_path), tmp_path / "home/data")

    outcome = shell(data / "verify.sh", "--bundle")

    assert outcome.returncode == 2
    assert "Unpack the whole bundle." in outcome.stderr
    assert "mine.txt" not in outcome.stderr


def test_check_says_what_is_here_and_what_nobody_looked_for(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    data = data_of(toy, tmp_path)
    needs = data / "NEEDS.tsv"
    needs.chmod(0o644)
    rows = [
        ("program", "sh", "step job", "/usr/bin:/bin"),
        ("interpreter", "cpython 3.13.5", "what ran the scripts", "/opt/gone/bin/python3"),
        ("pip", "numpy 2.1", "installed", "/opt/gone/lib"),
        ("pip", "scipy 1.14", "installed", "/opt/gone/lib"),
    ]
    lines = [f"{kind}\t{name}\t-\t-\t{why}\t{place}" for kind, name, why, place in rows]
    needs.write_text("\n".join([needs.read_text().splitlines()[0], *lines]) + "\n")

    outcome = shell(data / "run.sh", "--check")

    assert outcome.returncode == 1
    told = outcome.stderr.splitlines()
    assert any(line.startswith("found: program sh at /") for line in told)
    assert "not found: interpreter cpython 3.13.5 (it was at /opt/gone/bin/python3)" in told
    assert "not looked for, see NEEDS.tsv: 2 of pip" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["outputs/expected.sh", "outputs/job.sh", "command/programs.sh", "verify.py"]
)
def test_changed_list_confirms_nothing(toy: Toy, tmp_path: Path, shell: Run, name: str) -> None:
    """A list that lost a line has less compared than was recorded, and all of that equal."""
    data, out, report = data_of(toy, tmp_path), tmp_path / "out", tmp_path / "report.json"
    shell(data / "run.sh", out)
    file = data / name
    file.chmod(0o644)
    file.write_text(file.read_text() + "# one line more\n")

    outcome = shell(data / "verify.sh", "--report", report, out)

    assert outcome.returncode == 2
    assert f"(data/{name}): no level" in outcome.stderr
    assert not report.exists()


@pytest.mark.slow
@pytest.mark.parametrize("lost", [("tagmanifest-sha256.txt",), ("manifest-sha256.txt",)])
def test_bundle_that_lost_its_lists_neither_runs_nor_confirms_anything(
    toy: Toy, tmp_path: Path, shell: Run, lost: tuple[str, ...]
) -> None:
    """They come last in the tar, so that one that was cut off has none."""
    data, out = data_of(toy, tmp_path), tmp_path / "out"
    shell(data / "run.sh", out)
    for name in lost:
        (data.parent / name).unlink()

    refused = shell(data / "run.sh", tmp_path / "again")
    compared = shell(data / "verify.sh", out)

    assert refused.returncode == 125
    assert f"{lost[0]} is gone" in refused.stderr
    assert compared.returncode == 2
    assert f"({lost[0]} is gone): no level" in compared.stderr


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_interrupted_rerun_has_no_verdict(toy: Toy, tmp_path: Path, dash: Run, way: str) -> None:
    """The job did not end in another way: somebody ended it."""
    toy.record["command"]["steps"] = [
        {"name": "fast", "role": "payload", "argv": ["true"], "exit_code": 0},
        {"name": "slow", "role": "payload", "argv": ["sleep", "60"], "exit_code": 0},
    ]
    data, out, report = data_of(toy, tmp_path), tmp_path / "out", tmp_path / "report.json"
    rerun = subprocess.Popen(
        ["sh", str(data / "run.sh"), way, str(out)],
        env={"PATH": "/usr/bin:/bin"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    codes, deadline = out / "exit-codes.txt", time.monotonic() + 30
    while not (codes.is_file() and codes.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(rerun.pid, signal.SIGKILL)
    rerun.wait()

    outcome = dash(data / "verify.sh", "--report", report, out)

    assert codes.read_text() == "0\n"
    assert outcome.returncode == 2
    assert "did not come to its end" in outcome.stderr
    assert not report.exists()


@pytest.mark.slow
def test_second_rerun_that_begins_in_a_folder_at_the_same_time_is_refused(
    toy: Toy, tmp_path: Path, bare: Path
) -> None:
    data, out = data_of(toy, tmp_path), tmp_path / "out"
    # the other has begun since this one saw the folder empty
    (out / "src").mkdir(parents=True)
    (bare / "ls").unlink()
    (bare / "ls").symlink_to("/usr/bin/true")

    outcome = subprocess.run(
        ["/bin/sh", str(data / "run.sh"), "--no-own-root", str(out)],
        env={"PATH": str(bare)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert outcome.returncode == 125
    assert "another run.sh runs in it" in outcome.stderr
    assert [file.name for file in out.iterdir()] == ["src"]


@pytest.mark.slow
def test_withheld_variable_is_given_by_hand(toy: Toy, tmp_path: Path, shell: Run) -> None:
    value = "it's $(touch pwned) `id`\nend\n"
    script = 'printf %s "$DB_PASSWORD" >a.txt; echo $HOSTILE >b.txt'
    toy.record["command"]["steps"] = [
        {"name": "a", "role": "payload", "argv": ["sh", "-c", script]}
    ]
    data, out = data_of(toy, tmp_path), tmp_path / "out"

    shell(data / "run.sh", "--variable", f"DB_PASSWORD={value}", "--variable", "HOSTILE=mine", out)

    assert (out / "work/a.txt").read_text() == value
    assert (out / "work/b.txt").read_text() == "mine\n"
    log = (out / "run.log").read_text()
    assert "with --variable for DB_PASSWORD HOSTILE\n" in log
    assert "touch pwned" not in log


@pytest.mark.parametrize("wrong", ["X", "=x", "A B=x", "1A=x", "PATH=/x", "HOME=/x"])
def test_variable_that_cannot_be_given_is_told_without_its_value(
    toy: Toy, tmp_path: Path, shell: Run, wrong: str
) -> None:
    outcome = shell(data_of(toy, tmp_path) / "run.sh", "--variable", wrong, tmp_path / "out")

    assert outcome.returncode == 125
    assert "--variable" in outcome.stderr
    assert wrong not in outcome.stderr
    assert not (tmp_path / "out").exists()


def _add_lines(table: Path, lines: list[str]) -> None:
    """Add lines to a table of a bundle, which is read-only."""
    table.chmod(0o644)
    table.write_text(table.read_text() + "".join(line + "\n" for line in lines))


def test_check_says_what_the_record_lacks(toy: Toy, tmp_path: Path, shell: Run) -> None:
    toy.record["environment"] |= {"withheld": ["DB_PASSWORD"], "withheld_read": ["DB_PASSWORD"]}

    outcome = shell(data_of(toy, tmp_path) / "run.sh", "--check")

    told = outcome.stderr
    assert "- withheld-variable-read: What ran names variables that are withheld: DB_PASSW" in told
    assert "--variable NAME=VALUE gives the job such a variable" in told
    assert "run.sh: nothing is missing" not in told


@pytest.mark.slow
def test_failed_step_names_the_interpreter_that_is_not_here(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    toy.record["command"]["steps"] = [
        {"name": "a", "role": "payload", "argv": ["sh", "-c", "exit 3"], "exit_code": 0}
    ]
    data = data_of(toy, tmp_path)
    place = "/opt/gone/bin/python"
    _add_lines(data / "NEEDS.tsv", [f"interpreter\tcpython 3.11.7\t-\t-\twhat ran\t{place}"])

    outcome = shell(data / "run.sh", "--changed", tmp_path / "out")

    assert f"- not found: interpreter cpython 3.11.7 (it was at {place}); " in outcome.stderr
    assert "--program PLACE=FILE names another" in outcome.stderr
