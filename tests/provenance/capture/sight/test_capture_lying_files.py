"""Small files that lie in a job's folder before its command, and that a script changes in place."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.sight import lying_files
from tests.library.hook import Runner, entry_of, only_entry, said, with_strace
from tests.provenance.capture.recording.test_capture_between_steps import record_of
from tests.provenance.capture.sight.test_capture_sight import Site, by_path

pytestmark = pytest.mark.slow

BEFORE = "/run/seed @SEED@\n"


@pytest.fixture
def site(runner: Runner) -> Site:
    (runner.folder / "gen.mac").write_text(BEFORE)
    (runner.folder / "other.mac").write_text("/run/beamOn 10\n")
    return Site(runner)


def inputs_of(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return by_path(record.get("inputs", []))


@pytest.mark.parametrize(
    "change",
    [
        "sed -i s/@SEED@/7/ gen.mac",
        "echo /run/beamOn 1 >> gen.mac",
        "mv gen.mac used.mac",
        "rm gen.mac",
        "tar cf code.tar gen.mac; tar xf code.tar",
    ],
)
def test_file_that_a_script_changes_is_an_input_as_it_was(site: Site, change: str) -> None:
    """It was an output alone: the rerun had no `gen.mac` to read, and no gap said so."""
    site.run(f"cat gen.mac > out.txt; {change}\n")

    record, blobs = only_entry(site.runner)
    template = inputs_of(record)["gen.mac"]
    assert template["sha256"] == hashlib.sha256(BEFORE.encode()).hexdigest()
    assert blobs[template["sha256"]] == BEFORE.encode()
    assert (template["role"], template["evidence"]) == ("configuration", "seen")
    assert "other.mac" not in inputs_of(record)
    assert not said(record)


def test_what_is_written_anew_where_it_lay_is_no_input(site: Site) -> None:
    site.run("echo 7 > gen.mac\n")

    record, _ = only_entry(site.runner)
    assert inputs_of(record) == {}
    assert [output["name"] for output in record["outputs"]] == ["gen.mac"]


def test_file_that_a_tarball_brings_once_more_is_no_output(site: Site) -> None:
    """A bundle lays no file out that the job itself writes, and the script reads it before."""
    site.run("cat gen.mac > out.txt; tar cf code.tar gen.mac; tar xmf code.tar\n")

    record, _ = only_entry(site.runner)
    assert list(inputs_of(record)) == ["gen.mac"]
    assert sorted(output["name"] for output in record["outputs"]) == ["code.tar", "out.txt"]


def test_what_an_earlier_step_made_is_no_input(site: Site) -> None:
    record = record_of(
        site.runner,
        """
        $HOOK start
        $HOOK step --name one -- sh -c 'echo 1 > sum.txt'
        $HOOK step --name two -- sh -c 'echo 2 >> sum.txt; sed -i s/@SEED@/7/ gen.mac'
        $HOOK end
        """,
    )

    assert list(inputs_of(record)) == ["gen.mac"]


@pytest.mark.parametrize("seconds", [0, pytest.param(0.4, marks=pytest.mark.slow)])
def test_secret_in_a_file_that_is_changed_is_taken_out(site: Site, seconds: float) -> None:
    """Whether the program that changes it is seen or not."""
    (site.job / "gen.mac").write_text("password = hunter2hunter2\n")
    editor = site.job.parent / "programs" / "edit"
    editor.write_text(f"#!/bin/sh\nsleep {seconds}; sed -i s/=/:/ $1\n")
    editor.chmod(0o755)

    site.run("edit gen.mac\n")

    record, blobs = only_entry(site.runner)
    assert not any(b"hunter2" in content for content in blobs.values())
    assert [sentence for sentence in said(record) if "secret-removed" in sentence]


def test_no_folder_delays_a_command_for_long(tmp_path: Path) -> None:
    (tmp_path / "0000.empty").touch()
    for number in range(3000):
        (tmp_path / f"{number:04}.txt").write_text("x" * 40_000 if number < 40 else "x")
    (tmp_path / ".hidden").write_text("x")

    held = lying_files.hold([str(tmp_path), str(tmp_path / "none")])

    assert 0 < len(held) <= 100
    assert not {str(tmp_path / name) for name in (".hidden", "0000.empty")} & held.keys()
    assert sum(len(content) for _, content in held.values()) <= 1 << 20


@pytest.mark.parametrize(
    "script",
    [
        "echo done; echo x > x.dat",
        "echo x > x.dat; ls * > /dev/null",
        "echo x > x.dat; timeout 0.6 tail -f report > /dev/null; true",
    ],
)
@pytest.mark.parametrize("option", ["--no-trace", pytest.param("--trace", marks=with_strace)])
def test_file_that_the_output_is_appended_to_is_no_input(
    runner: Runner, script: str, option: str
) -> None:
    """As `snakemake > report`, whose jobs all print there."""
    report = runner.folder / "report"
    report.write_text("of an earlier job\n")
    words = [runner.python, runner.hook, "run", option, "--", "sh", "-c", script]
    with report.open("a") as stream:
        subprocess.run(words, cwd=runner.folder, env=runner.environment, stdout=stream, check=True)

    record, _ = entry_of(runner)
    assert [output["name"] for output in record["outputs"]] == ["x.dat"]
    assert "inputs" not in record
