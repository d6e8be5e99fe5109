"""Data beside installed software, and software that a job unpacks, are told apart."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.library.hook import Runner, only_entry

pytestmark = pytest.mark.slow


def record_of(runner: Runner, script: str, **environment: str) -> dict[str, Any]:
    path = runner.folder / "job.sh"
    path.write_text("#!/bin/bash\n" + script)
    path.chmod(0o755)
    runner("run", "--", "./job.sh", environment=environment)
    return only_entry(runner)[0]


def roles(record: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["role"] for file in record["inputs"]}


def test_job_that_runs_within_a_python_environment_has_inputs_and_scripts(runner: Runner) -> None:
    """As where somebody made a folder for their jobs in the environment that they work with."""
    around = runner.folder.parent
    (around / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (around / "data").mkdir()
    far = around / "data/far.root"
    table = around / "share/table.root"
    table.parent.mkdir()
    for path in (far, table, runner.folder / "in.root"):
        path.write_bytes(path.name.encode())
    (runner.folder / "reco.py").write_text("import time; time.sleep(0.3); open('out.root', 'w')")

    record = record_of(runner, f"{sys.executable} reco.py in.root {far} {table}\n")

    assert roles(record) == {"in.root": "primary", str(far): "primary"}
    assert {"./job.sh", "reco.py"} <= {script["path"] for script in record["scripts"]}
    assert [file["path"] for file in record["outputs"]] == ["out.root"]


@pytest.mark.parametrize("options", ["xf", "xmf"])
def test_what_a_job_unpacks_is_no_output_whatever_times_it_gets(
    runner: Runner, options: str
) -> None:
    (runner.folder / "code").mkdir()
    (runner.folder / "code/flux.root").write_text("flux")
    (runner.folder / "code/seed.txt").write_text("1")
    with tarfile.open(runner.folder / "code.tgz", "w:gz") as archive:
        archive.add(runner.folder / "code", "code")
    subprocess.run(["rm", "-r", "code"], cwd=runner.folder, check=True)

    record = record_of(
        runner, f"tar {options} code.tgz\necho 7 > code/seed.txt\necho > code/out.root\n"
    )

    paths = {file["path"] for file in record["outputs"]}
    assert paths == {"code/seed.txt", "code/out.root"}


@pytest.mark.parametrize("kind", ["zip", "gztar"])
@pytest.mark.parametrize("is_fetched", [True, False])
def test_what_a_job_unpacks_anew_is_no_output(
    runner: Runner, kind: str, *, is_fetched: bool
) -> None:
    """Python's zipfile gives all files the time of now, and a script removes what it fetched."""
    code = runner.folder.parent / "code"
    code.mkdir()
    (code / "flux.root").write_text("flux")
    (code / "seed.txt").write_text("1")
    archive = Path(shutil.make_archive(str(code), kind, code))
    copy = runner.folder / archive.name
    shutil.copy(archive, copy)
    ifdh = runner.folder.parent / "ifdh"
    ifdh.write_text('#!/bin/sh\ncp "$2" "$3"; sleep 0.4\n')
    ifdh.chmod(0o755)
    fetch = f"rm {copy.name}; {ifdh} cp $(ls {archive}) {copy.name}\n" if is_fetched else ""
    unpack = f"import shutil; shutil.unpack_archive('{copy.name}', 'c')"

    record = record_of(
        runner,
        f'{fetch}{sys.executable} -c "{unpack}"\nfind c -type f -exec touch {{}} +\n'
        f"echo 7 > c/seed.txt; echo > out.root{'; rm ' + copy.name if is_fetched else ''}\n",
    )

    assert {file["path"] for file in record["outputs"]} == {"c/seed.txt", "out.root"}


def test_archive_that_breaks_off_costs_no_output(runner: Runner) -> None:
    (runner.folder / "code.tgz").write_bytes(b"\x1f\x8b\x08\x00 no archive")

    record = record_of(runner, "tar xmf code.tgz\necho > out.root\n")

    assert [file["path"] for file in record["outputs"]] == ["out.root"]


def test_data_that_a_script_names_are_kept_though_nobody_saw_that_they_are_read(
    runner: Runner,
) -> None:
    """Whether they were, the script does not tell: an earlier line may have ended the job."""
    (runner.folder / "raw.dat").write_text("raw")
    (runner.folder / "cards.mac").write_text("/run/beamOn 3")

    record = record_of(
        runner,
        "read event < raw.dat; read card < cards.mac; echo $event > processed.dat\n",
        JOBPROV_TASK_ID="prod",
        PROCESS="7",
    )

    assert roles(record) == {"raw.dat": "configuration", "cards.mac": "configuration"}
    assert record["task"]["unit"] == "7"
