"""What run.sh and verify.sh say to somebody who makes a mistake, or whose bundle is not whole."""

import shutil
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
