"""Which Python ran a program and what was installed for it."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from jobprov.provenance.capture.surroundings import distributions
from tests.library.hook import (
    VERSIONS,
    Runner,
    entry_of,
    find_python,
    only_entry,
    with_strace,
)


def listing(runner: Runner) -> list[list[str]]:
    record, blobs = entry_of(runner)
    content = blobs[record["environment"]["packages_sha256"]].decode()
    assert content.endswith("\n")
    lines = content.splitlines()
    assert lines == sorted(lines)
    return [line.split("\t") for line in lines]


@pytest.mark.slow
def test_interpreter_and_distributions_of_a_python_program_are_listed_as_they_name_themselves(
    runner: Runner,
) -> None:
    (runner.folder / "gen.py").write_text("print(1)\n")

    runner("run", "--", "env", "X=1", sys.executable, "gen.py")

    rows = listing(runner)
    assert ["interpreter", "cpython", sys.version.split()[0], sys.executable] in rows
    told = {row[1].lower().replace("_", "-"): row[2] for row in rows if row[0] == "pip"}
    for name in ("numpy", "uproot", "pytest"):
        assert told[name] == metadata.version(name)
    assert {row[3] for row in rows if row[0] == "pip"} == {
        str(Path(sys.prefix, "lib", f"python3.{sys.version_info[1]}", "site-packages"))
    }


@pytest.mark.slow
def test_script_is_run_by_the_python_of_its_first_line_as_path_finds_it(
    runner: Runner, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True
    )
    site = next((tmp_path / "venv" / "lib").glob("python3*")) / "site-packages"
    for name in (
        "toy_tool-1.2.dist-info",
        "Old-3.4-py3.11.egg-info",
        "egg-0.1-py3.11.egg",
        "not_one-1.0.data",
    ):
        (site / name).mkdir()
    (site / "dev.egg-info").mkdir()
    (site / "dev.egg-info" / "PKG-INFO").write_text(
        "Metadata-Version: 2.1\nName: dev\nVersion: 0.7\n"
    )
    script = runner.folder / "reco.py"
    script.write_text("#!/usr/bin/env python3\nprint(1)\n")
    script.chmod(0o755)

    runner(
        "run", "--", "./reco.py", environment={"PATH": f"{tmp_path}/venv/bin:{os.environ['PATH']}"}
    )

    assert [row[1:3] for row in listing(runner) if row[0] == "pip"] == [
        ["Old", "3.4"],
        ["dev", "0.7"],
        ["egg", "0.1"],
        ["toy_tool", "1.2"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), pytest.param(("--trace",), marks=with_strace)])
def test_python_of_a_virtual_environment_that_a_script_activates_is_listed(
    runner: Runner, tmp_path: Path, words: tuple[str, ...]
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = next((venv / "lib").glob("python3*")) / "site-packages"
    (site / "toy_tool-1.2.dist-info").mkdir()
    pause = "import time; time.sleep(0.3)"
    script = f". {venv}/bin/activate\npython -c '{pause}'\n"
    (runner.folder / "job.sh").write_text(script)

    runner("run", *words, "--", "sh", "job.sh")

    rows = listing(runner)
    assert [row[3] for row in rows if row[0] == "interpreter"] == [str(venv / "bin/python")]
    assert ["pip", "toy_tool", "1.2", str(site), "-"] in rows


def test_program_that_no_python_runs_has_no_listing(runner: Runner) -> None:
    runner("run", "--", "sh", "-c", "true")

    assert "packages_sha256" not in only_entry(runner)[0]["environment"]


@pytest.mark.slow
def test_steps_of_one_job_share_one_listing(runner: Runner) -> None:
    (runner.folder / "other").mkdir()
    (runner.folder / "other" / "far-9.dist-info").mkdir(parents=True)
    (runner.folder / "job.sh").write_text(f"""
hook() {{ {runner.python} {runner.hook} "$@"; }}
hook start
hook step --name a -- {sys.executable} -c 1
hook step --name b -- {sys.executable} -c 1
PYTHONPATH=$PWD/other hook step --name c -- {sys.executable} -c 1
hook end
""")

    subprocess.run(
        ["sh", "job.sh"], cwd=runner.folder, env=runner.environment, capture_output=True, check=True
    )

    rows = listing(runner)
    assert len([row for row in rows if row[0] == "interpreter"]) == 1
    # it has no RECORD, whose digest would stand last
    assert ["pip", "far", "9", str(runner.folder / "other"), "-"] in rows
    assert {"numpy", "far"} <= {row[1] for row in rows}


@pytest.mark.slow
def test_every_python_found_here_tells_its_version() -> None:
    present = [python for python in map(find_python, VERSIONS) if python]

    for python in present:
        (interpreter,) = [
            line.split("\t")
            for line in distributions.list_packages([python, "x.py"], dict(os.environ))
            if line.startswith("interpreter")
        ]
        told = subprocess.run(
            [python, "-c", "import sys; print(sys.version.split()[0])"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert interpreter[2] == told.stdout.strip()


def test_wheel_has_one_digest_wherever_it_is_installed(tmp_path: Path) -> None:
    own = "numpy/core.py,sha256=AAA,12\nnumpy/__init__.py,sha256=BBB,3\n"
    added = (
        "numpy/__pycache__/core.cpython-311.pyc,,\nnumpy-2.dist-info/INSTALLER,sha256=CCC,4\n"
        "../../../bin/f2py,sha256=DDD,200\nnumpy-2.dist-info/RECORD,,\n"
    )
    other = "\n".join(reversed(own.splitlines())) + "\n"
    texts = {"wheel": own, "installed": added + other, "changed": own.replace("AAA", "AAB")}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, newline="\r\n" if name == "installed" else "\n")

    digests = {name: distributions.record_digest(str(tmp_path / name)) for name in texts}

    assert digests["wheel"] == digests["installed"]
    assert digests["wheel"] != digests["changed"]
    assert distributions.record_digest(str(tmp_path / "none")) == "-"
