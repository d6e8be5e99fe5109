"""Real reruns of the toy job under dash, busybox sh and bash."""

import hashlib
import os
import posixpath
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobprov.provenance.bundle.campaign import make_campaign
from jobprov.provenance.bundle.ingredients import Resolution
from tests.library.productions.toy_job import CHECKOUT, PROGRAM, WORK, Run, Toy, packed


def _lock(folder: Path) -> None:
    """Take every write and execute bit away, as a read-only medium or a careless copy does."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _unlock(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)


@pytest.mark.slow
def test_job_runs_again_from_a_read_only_bundle_in_a_folder_with_blanks(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    bag, out = toy.unpack(tmp_path / "a bundle 'of' $HOME"), tmp_path / "the rerun" / "of it"
    _lock(bag)

    try:
        outcome = shell(bag / "data/run.sh", out)
        verdict = shell(bag / "data/verify.sh", out)
    finally:
        _unlock(bag)

    assert outcome.returncode == 0, outcome.stderr
    assert (out / "work/out/result.txt").read_bytes() == toy.expected
    assert "made out/result.txt" in (out / "run.log").read_text()
    assert (verdict.returncode, verdict.stdout) == (0, "IDENTICAL result.txt\n")
    assert "level R7" in verdict.stderr


@pytest.mark.slow
def test_shell_and_coreutils_are_enough(toy: Toy, tmp_path: Path, bare: Path) -> None:
    """The recorded PATH is a folder of a shell and coreutils, and so is the caller's.

    No find, sed, awk or Python.
    """
    toy.record["environment"]["variables"]["PATH"] = str(bare)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(bare / "sh"), str(bag / "data" / script), *map(str, arguments)]
        return subprocess.run(
            words, env={"PATH": str(bare)}, capture_output=True, text=True, check=False, timeout=60
        )

    for outcome in (
        run("run.sh", "--check"),
        run("run.sh", out),
        run("verify.sh", out),
        run("verify.sh", "--bundle"),
    ):
        assert outcome.returncode == 0, outcome.stderr
        assert "not found" not in outcome.stderr


@pytest.mark.slow
def test_shell_without_any_environment_is_enough(toy: Toy, tmp_path: Path) -> None:
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = subprocess.run(
        ["sh", "run.sh", str(out)],
        cwd=bag / "data",
        env={},
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == 0, outcome.stderr
    assert (out / "work/out/result.txt").read_bytes() == toy.expected


@pytest.fixture
def trap() -> Iterator[Path]:
    """A file that must never appear.

    Its path is short, as it stands three times in one file name.
    """
    with tempfile.TemporaryDirectory(prefix="trap") as folder:
        yield Path(folder) / "t"


@pytest.mark.slow
def test_recorded_text_is_never_evaluated(toy: Toy, tmp_path: Path, shell: Run, trap: Path) -> None:
    evil = f"$(touch '{trap}')`touch '{trap}'`'; touch '{trap}'; '\n\\\""
    toy.record["environment"]["variables"]["EVIL"] = evil
    toy.record["environment"]["umask"] = f"022; touch '{trap}'"
    toy.record["job_id"] = "id"
    toy.record["state"] = f"succeeded'; touch '{trap}'; '"
    toy.record["command"]["steps"][1] |= {
        "name": evil,
        "argv": [
            "sh",
            "-c",
            'printf %s "$EVIL|$1" >"$2"',
            "x",
            evil,
            f"file {evil}".replace("/", "_"),
        ],
    }
    name = f"file {evil}".replace("/", "_")
    toy.record["outputs"] = [
        {
            "name": name,
            "status": "written",
            "sha256": hashlib.sha256(f"{evil}|{evil}".encode()).hexdigest(),
        }
    ]
    toy.record["inputs"][0]["path"] = f"in/{evil}".replace(str(trap.parent), "")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome, verdict = (
        shell(bag / "data/run.sh", out),
        shell(bag / "data/verify.sh", "--report", tmp_path / "report", out),
    )

    assert outcome.returncode == 0, outcome.stderr
    assert not trap.exists()
    assert (out / "work" / name).read_text() == f"{evil}|{evil}"
    assert verdict.stdout.startswith("IDENTICAL file ")


def test_environment_is_the_recorded_one_and_nothing_else(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    toy.record["environment"]["variables"]["JOBPROV_HOOK"] = "/x/hook.pyz"
    toy.record["command"]["steps"][1]["argv"] = ["sh", "-c", "env >seen.txt; pwd; umask >>seen.txt"]
    toy.record["environment"]["umask"] = "0027"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    shell(bag / "data/run.sh", "--no-own-root", out)

    seen = dict(
        re.findall(r"^([A-Z_a-z]+)=(.*)$", (out / "work/seen.txt").read_text(), re.MULTILINE)
    )
    assert seen["TOY_TABLE"] == f"{out}/src/toy-code/data/link"
    assert seen["FHICL_FILE_PATH"] == f"{out}/work/job:{out}/elsewhere/opt/release/fcl"
    assert seen["HOME"] == f"{out}/home"
    assert seen["TMPDIR"] == f"{out}/tmp"  # noqa: S108 - below OUT
    # in front of it are stand-ins, if this machine has storage clients
    path = seen["PATH"].removeprefix(f"{out}/elsewhere/programs-of-rerun:")
    assert path == "/usr/bin:/bin:/usr/bin:/bin"
    assert set(seen) - {"_", "SHLVL", "OLDPWD"} == {
        "FHICL_FILE_PATH",
        "HOME",
        "HOSTILE",
        "PATH",
        "PWD",
        "TMPDIR",
        "TOY_TABLE",
    }
    assert (out / "work/seen.txt").read_text().endswith("0027\n")


def test_non_empty_folder_is_refused_and_left_alone(toy: Toy, tmp_path: Path, shell: Run) -> None:
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    out.mkdir()
    (out / ".precious").write_text("mine")

    outcome = shell(bag / "data/run.sh", out)

    assert outcome.returncode == 125
    assert "is not empty" in outcome.stderr
    assert [path.name for path in out.iterdir()] == [".precious"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "sentence"), [(3, "exit code: 3, as recorded"), (4, "exit code: 3, recorded was 4")]
)
def test_exit_code_is_the_job_s_own(
    toy: Toy, tmp_path: Path, shell: Run, code: int, sentence: str
) -> None:
    toy.record["state"] = "failed"
    toy.record["command"] = {"argv": ["./wrapper.sh"], "working_directory": "/scratch/job 17"}
    toy.record["exit"] = {"code": code}
    toy.record["outputs"] = []
    bag, out, report = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "report.json"

    outcome, verdict = (
        shell(bag / "data/run.sh", out),
        shell(bag / "data/verify.sh", "--report", report, out),
    )

    assert outcome.returncode == 3
    assert verdict.returncode == (0 if code == 3 else 1)
    assert sentence in verdict.stderr
    assert ('"level": "R1="' if code == 3 else '"level": "R1"') in report.read_text()


@pytest.mark.slow
def test_recorded_signal_is_compared_as_the_shell_tells_it(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    toy.record["state"] = "failed"
    toy.record["command"]["steps"][1] |= {
        "argv": ["sh", "-c", "kill -s ABRT $$"],
        "exit_code": None,
        "signal": 6,
    }
    toy.record["outputs"] = []
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    assert dash(bag / "data/run.sh", out).returncode == 134
    assert dash(bag / "data/verify.sh", out).returncode == 0


@pytest.mark.slow
def test_steps_run_in_order_and_stop_where_the_job_did_not(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    steps = [
        {
            "name": "one",
            "role": "payload",
            "argv": ["sh", "-c", "echo one >>log; exit 2"],
            "exit_code": 2,
        },
        {
            "name": "two",
            "role": "payload",
            "argv": ["sh", "-c", "echo two >>log; exit 5"],
            "exit_code": 0,
        },
        {
            "name": "three",
            "role": "payload",
            "argv": ["sh", "-c", "echo three >>log"],
            "exit_code": 0,
        },
    ]
    toy.record["command"]["steps"] = steps
    toy.record["outputs"] = []
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", out)

    assert outcome.returncode == 2
    assert (out / "work/log").read_text() == "one\ntwo\n"
    assert shell(bag / "data/verify.sh", out).returncode == 1


def test_steps_run_in_the_folder_and_with_the_variables_that_the_script_had_set(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    written = 'echo "$COLOUR ${SIZE-none} $PWD" >>"$OUT_OF_JOB"'
    toy.record["environment"]["variables"] |= {"SIZE": "3", "OUT_OF_JOB": "log"}
    folder = toy.record["command"]["working_directory"] + "/sub"
    steps = [
        {"variables": {"COLOUR": "it's red"}},
        {"role": "setup", "variables_unset": ["SIZE"], "variables": {"OUT_OF_JOB": "../log"}},
        {"working_directory": folder, "variables": {"COLOUR": "blue"}},
    ]
    toy.record["command"]["steps"] = []
    for number, other in enumerate(steps):
        step = {"name": f"s{number}", "role": "payload", "argv": ["sh", "-c", written]}
        toy.record["command"]["steps"].append({**step, "exit_code": 0, **other})
    toy.record["outputs"] = []
    out = tmp_path / "out"

    outcome = shell(toy.unpack(tmp_path / "bag") / "data/run.sh", "--no-own-root", out)

    assert outcome.returncode == 0, outcome.stderr
    assert (out / "work/log").read_text().splitlines() == [
        f"it's red 3 {out}/work",
        f"blue none {out}/work/sub",
    ]


@pytest.mark.slow
def test_cpu_limit_that_ended_the_job_ends_it_again(toy: Toy, tmp_path: Path, shell: Run) -> None:
    toy.record["environment"]["limits"] = {"cpu_seconds": 1}
    toy.record["command"]["steps"][1] |= {
        "argv": ["sh", "-c", "while :; do :; done"],
        "exit_code": None,
        "signal": 9,
    }
    toy.record["outputs"] = []
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    assert shell(bag / "data/run.sh", out).returncode == 137


@pytest.mark.slow
def test_missing_input_is_named_and_found_by_digest(toy: Toy, tmp_path: Path, shell: Run) -> None:
    sha256 = toy.record["inputs"][0]["sha256"]
    data = toy.blobs.stored.pop(sha256)
    bag, shelf = toy.unpack(tmp_path / "bag"), tmp_path / "a shelf"
    (shelf / "deep").mkdir(parents=True)
    (shelf / "a.txt").write_bytes(b"3 2 1\n")
    run = bag / "data/run.sh"

    refused = shell(run, tmp_path / "out")
    wrong = shell(run, "--input-dir", shelf, "--check")
    (shelf / "deep/renamed").write_bytes(data)
    found = shell(run, "--input-dir", shelf, "--check")
    outcome = shell(run, "--input-dir", shelf, tmp_path / "out2")

    assert (refused.returncode, wrong.returncode, found.returncode, outcome.returncode) == (
        125,
        1,
        0,
        0,
    )
    assert f"missing: input a.txt (sha256 {sha256}, 6 bytes)" in refused.stderr
    assert (tmp_path / "out2/work/out/result.txt").read_bytes() == toy.expected
    assert shell(bag / "data/verify.sh", tmp_path / "out2").stdout == "IDENTICAL result.txt\n"


def test_missing_program_is_named_before_anything_is_made(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    toy.record["command"]["steps"][1]["argv"][0] = "no-such-program"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", out)

    assert outcome.returncode == 125
    assert "missing: program no-such-program" in outcome.stderr
    assert "program\tno-such-program\t" in (bag / "data/NEEDS.tsv").read_text()


def test_dry_run_tells_and_makes_nothing(toy: Toy, tmp_path: Path, shell: Run) -> None:
    bag = toy.unpack(tmp_path / "bag")

    outcome = shell(bag / "data/run.sh", "--no-own-root", "--dry-run", "NOWHERE", cwd=tmp_path)

    assert outcome.returncode == 0
    assert "run join in NOWHERE/work: NOWHERE/src/toy-code/bin/join.sh top.fcl" in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_shell_has_the_job_s_environment(toy: Toy, tmp_path: Path) -> None:
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    words = ["sh", str(bag / "data/run.sh"), "--shell", str(out)]
    outcome = subprocess.run(
        words,
        input='cat "$TOY_TABLE"\n',
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )

    assert "forty-two" in outcome.stdout
    assert not (out / "exit-codes.txt").exists()


@pytest.mark.parametrize("folder", ["", "/deep/run"])
def test_job_that_ran_inside_a_checkout_finds_what_lay_around_it(
    toy: Toy, tmp_path: Path, shell: Run, folder: str
) -> None:
    checkout = "/data/toy"
    up = "/".join([".."] * folder.count("/"))
    join = f"{up}/bin/join.sh" if up else "bin/join.sh"
    toy.record["software"][0]["checkout"] = checkout
    toy.record["command"]["working_directory"] = checkout + folder
    toy.record["command"]["steps"][1]["argv"] = [join, "top.fcl", "in/a.txt", "--name=x"]
    toy.record["environment"]["variables"]["TOY_TABLE"] = f"{checkout}/data/link"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (out / "work/out/result.txt").read_bytes().endswith(b"<--name=x>\n")


@pytest.mark.parametrize(
    "link", ["/home/nova/code", "/scratch/job 17/code", "/scratch/job 17/deep/code"]
)
@pytest.mark.parametrize("checkout", ["/data/toy", "/scratch/job 17/toy"])
def test_checkout_that_was_reached_by_a_link_is_found_with_all_that_lies_in_it(
    toy: Toy, tmp_path: Path, shell: Run, link: str, checkout: str
) -> None:
    work = "/scratch/job 17"
    toy.record["software"][0]["checkout"] = checkout
    toy.record["folder_links"] = [{"path": link, "target": checkout}]
    toy.record["environment"]["variables"]["TOY_TABLE"] = f"{link}/data/link"
    toy.record["command"]["working_directory"] = work
    ways = [link, posixpath.relpath(link, work)] if link.startswith(work) else [link]
    script = {
        "name": "join.sh",
        "path": f"{link}/bin/join.sh",
        "mode": "0755",
        "sha256": toy.blobs.write(PROGRAM),
    }
    toy.record["scripts"] = [script]
    toy.record["command"]["steps"][1]["argv"] = [
        f"{ways[-1]}/bin/join.sh",
        "top.fcl",
        "in/a.txt",
        "--name=x",
    ]
    looks = [
        {"name": f"look-{way}", "argv": ["cat", f"{way}/data/link"], "exit_code": 0} for way in ways
    ]
    toy.record["command"]["steps"] += looks
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (out / "work/out/result.txt").read_bytes().endswith(b"<--name=x>\n")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    "folder", ["/scratch/job 17", "/data/toy", "/data/toy/ext", "/data/toy/ext/deep"]
)
def test_changed_submodule_lies_in_the_checkout_around_it(
    toy: Toy, tmp_path: Path, shell: Run, folder: str, order: tuple[int, int]
) -> None:
    """It has an entry of its own.

    What was removed from it is not laid out, though the submodule's commit has it.
    """
    named, clean = packed([("gone.txt", 0o100644, b"1"), ("kept.txt", 0o100644, b"1")])
    changed, own = packed([("kept.txt", 0o100644, b"2"), ("deep/new.txt", 0o100644, b"3")])
    inner = Resolution(name="ext", path="ext", commit=named, pack_sha256=toy.blobs.write(clean))
    commit, pack = packed([("ext", 0o160000, named.encode()), ("a.txt", 0o100644, b"0")])
    outer = Resolution(
        name="toy-code", commit=commit, pack_sha256=toy.blobs.write(pack), submodules=[inner]
    )
    entries = [
        {"name": "toy-code", "checkout": "/data/toy"},
        {"name": "ext", "checkout": "/data/toy/ext"},
    ]
    found = [outer, Resolution(name="ext", commit=changed, pack_sha256=toy.blobs.write(own))]
    toy.record["software"] = [entries[place] for place in order]
    toy.resolutions = [replace(found[place], index=index) for index, place in enumerate(order)]
    line = (
        "cd /data/toy && cat a.txt ext/kept.txt ext/deep/new.txt && ls ext && cd ext/.. && ls a.txt"
    )
    toy.record["command"] |= {"working_directory": folder, "argv": ["sh", "-c", line], "steps": []}
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", out)

    log = (out / "run.log").read_text()
    assert outcome.returncode == 0, outcome.stderr + log
    assert "023deep\n" in log
    assert "gone.txt" not in log


@pytest.mark.slow
def test_files_used_by_absolute_path_are_served_from_the_bundle(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    toy.record["inputs"][0]["path"] = "/pnfs/toy/raw/a.txt"
    toy.record["outputs"][0]["path"] = "/pnfs/toy/out/result.txt"
    line = 'read x <"$1"; echo "$x" >/dev/null; echo "$x" >"${2#--out=}"'
    toy.record["command"]["steps"][1]["argv"] = [
        "sh",
        "-c",
        line,
        "x",
        "/pnfs/toy/raw/a.txt",
        "--out=/pnfs/toy/out/result.txt",
    ]
    toy.record["outputs"][0] |= {"sha256": toy.record["inputs"][0]["sha256"], "size_bytes": 6}
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    assert shell(bag / "data/run.sh", out).returncode == 0
    assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL result.txt\n"


@pytest.mark.slow
def test_link_in_a_repository_cannot_lead_writes_out_of_the_rerun(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    toy.files.append(("escape", 0o120000, str(outside).encode()))
    sha256 = toy.blobs.write(b"#!/bin/sh\n")
    toy.record["scripts"].append(
        {"name": "x", "path": "/cvmfs/toy.example.org/toy-code/escape/x", "sha256": sha256}
    )
    toy.record["inputs"].append(
        {"name": "y", "path": "/cvmfs/toy.example.org/toy-code/escape/y", "sha256": sha256}
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    assert dash(bag / "data/run.sh", out).returncode == 0
    assert list(outside.iterdir()) == []


@pytest.mark.slow
def test_no_file_outside_bundle_rerun_and_needs_is_opened(toy: Toy, tmp_path: Path) -> None:
    strace = shutil.which("strace") or pytest.fail("strace is not installed")
    bag, out, trace = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "trace"
    words = [
        strace,
        "-f",
        "-qq",
        "-e",
        "trace=open,openat,execve",
        "-o",
        str(trace),
        "/bin/sh",
        str(bag / "data/run.sh"),
        "--no-own-root",
        str(out),
    ]

    subprocess.run(words, env={}, check=True, capture_output=True, timeout=60)

    opened = re.findall(
        r'(?:open|openat|execve)\((?:AT_FDCWD, )?"([^"]*)".* = \d', trace.read_text()
    )
    system = ("/bin/", "/usr/", "/lib", "/etc/ld.so", "/dev/", "/proc/")
    absolute = {os.path.normpath(path) for path in opened if path.startswith("/")}
    strange = {path for path in absolute if not path.startswith((str(bag), str(out), *system))}
    assert f"{out}/src/toy-code/data/link" in absolute
    assert strange == set()


def test_copies_can_be_written_and_programs_run(toy: Toy, tmp_path: Path, dash: Run) -> None:
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    dash(bag / "data/run.sh", out)

    modes = {
        path: stat.S_IMODE((out / path).stat().st_mode)
        for path in ("src/toy-code/bin/join.sh", "work/wrapper.sh", "work/in/a.txt")
    }
    assert modes == {
        "src/toy-code/bin/join.sh": 0o755,
        "work/wrapper.sh": 0o755,
        "work/in/a.txt": 0o644,
    }


@pytest.mark.parametrize(
    "arguments",
    [(), ("--no-such",), ("a", "b"), ("--input-dir",), ("--input-dir", "/no/such", "out")],
)
def test_wrong_call_is_told_with_the_usage(
    toy: Toy, tmp_path: Path, dash: Run, arguments: tuple[str, ...]
) -> None:
    bag = toy.unpack(tmp_path / "bag")

    outcome = dash(bag / "data/run.sh", *arguments, cwd=tmp_path)

    assert outcome.returncode == 125
    assert outcome.stderr.strip().endswith(".")


@pytest.mark.slow
def test_scripts_are_clean_for_shellcheck(toy: Toy, tmp_path: Path) -> None:
    shellcheck = shutil.which("shellcheck") or pytest.fail("shellcheck is not installed")
    folder = toy.unpack(tmp_path) / "data"
    scripts = ["run.sh", "verify.sh", "lib.sh"]

    outcome = subprocess.run(
        [shellcheck, "-s", "sh", "-x", *scripts],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.stdout == ""


@pytest.mark.parametrize("program", ["python", "link", "cd"])
@pytest.mark.parametrize("words", ["dash", "busybox sh", "bash"])
def test_program_is_no_word_of_the_shell(
    toy: Toy, tmp_path: Path, bare: Path, program: str, words: str
) -> None:
    """A shell finds its own commands and the words of the lists, `python` among them.

    A job finds files alone.
    """
    toy.record["environment"]["variables"]["PATH"] = ""
    toy.record["command"] |= {"argv": [program, "-c", "pass"], "steps": []}
    name, *more = words.split()
    check = [
        shutil.which(name) or name,
        *more,
        str(toy.unpack(tmp_path / "bag") / "data/run.sh"),
        "--check",
    ]

    without = subprocess.run(
        check, env={"PATH": str(bare)}, capture_output=True, text=True, check=False
    )
    (bare / program).symlink_to(bare / "cat")
    found = subprocess.run(
        check, env={"PATH": str(bare)}, capture_output=True, text=True, check=False
    )

    assert (without.returncode, found.returncode) == (1, 0)
    assert f"missing: program {program} " in without.stderr


@pytest.mark.slow
@pytest.mark.parametrize("folder", [f"{CHECKOUT}/bin", f"{WORK}/own bin", ""])
def test_program_that_the_bundle_lays_out_is_found_by_the_path(
    toy: Toy, tmp_path: Path, dash: Run, folder: str
) -> None:
    """The program is started by `PATH=$checkout/bin:$PATH join.sh`.

    Before anything is laid out it is nowhere, and it is no need all the same.
    """
    toy.record["environment"]["variables"]["PATH"] = f"{folder}:/usr/bin:/bin"
    toy.record["command"]["steps"][1]["argv"][0] = "join.sh"
    if folder != f"{CHECKOUT}/bin":
        script = {"name": "join.sh", "path": f"{folder or WORK}/join.sh", "mode": "0755"}
        toy.record["scripts"].append(script | {"sha256": toy.blobs.write(PROGRAM)})
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcomes = [dash(bag / "data" / script, out) for script in ("run.sh", "verify.sh")]

    assert [outcome.returncode for outcome in outcomes] == [0, 0], outcomes
    assert "join.sh" not in re.findall(
        r"^program\t(\S+)", (bag / "data/NEEDS.tsv").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_program_of_a_folder_of_the_recorded_path_is_found_where_the_bundle_lays_it_out(
    toy: Toy, tmp_path: Path, dash: Run, way: str
) -> None:
    toy.record["environment"]["variables"]["PATH"] = "/opt/nowhere/bin:/usr/bin:/bin"
    toy.record["command"] |= {"argv": ["tool.sh"], "steps": []}
    script = {
        "name": "tool.sh",
        "path": "/opt/nowhere/bin/tool.sh",
        "sha256": toy.blobs.write(b"#!/bin/sh\necho found\n"),
    }
    toy.record["scripts"] = [script]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", way, out)

    assert outcome.returncode == 0, outcome.stderr
    assert "found" in (out / "run.log").read_text()


@pytest.mark.slow
def test_interpreter_that_the_bundle_lays_out_is_found_by_the_path(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    toy.record["environment"]["variables"]["PATH"] = f"{WORK}/bin:/usr/bin:/bin"
    toy.record["command"] |= {"argv": ["bin/run.toy"], "steps": []}
    texts = {
        "bin/run.toy": b"#!/usr/bin/env toy-shell\necho done\n",
        "bin/toy-shell": b'#!/bin/sh\nexec sh "$@"\n',
    }
    toy.record["scripts"] = [
        {"name": path, "path": path, "sha256": toy.blobs.write(texts[path])} for path in texts
    ]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", out)

    assert outcome.returncode == 0, outcome.stderr
    assert "done" in (out / "run.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_input_that_the_job_changes_is_left_alone_where_it_was(
    toy: Toy, tmp_path: Path, shell: Run, mode: int
) -> None:
    """It is an output too. A link to the recorded place would let the rerun write there."""
    kept = tmp_path / "kept.db"
    kept.write_text("before\n")
    kept.chmod(mode)
    before, after = (hashlib.sha256(text).hexdigest() for text in (b"before\n", b"before\nafter\n"))
    toy.record["command"] |= {"argv": ["sh", "-c", "echo after >>my.db"], "steps": []}
    toy.record["inputs"] = [
        {"name": "my.db", "sha256": before, "size_bytes": 7, "location": str(kept)},
        {"name": "read.db", "sha256": before, "size_bytes": 7, "location": str(kept)},
    ]
    toy.record["outputs"] = [{"name": "my.db", "status": "written", "sha256": after}]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome, verdict = shell(bag / "data/run.sh", out), shell(bag / "data/verify.sh", out)

    assert (outcome.returncode, verdict.stdout) == (0, "IDENTICAL my.db\n"), outcome.stderr
    assert kept.read_text() == "before\n"
    assert (out / "work/read.db").read_text() == "before\n"


@pytest.mark.slow
def test_folder_that_begins_with_a_dash_stands_behind_two(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    bag = toy.unpack(tmp_path / "bag")
    outcome, verdict = (
        shell(bag / "data" / name, "--", "-o", cwd=tmp_path) for name in ("run.sh", "verify.sh")
    )
    wrong = shell(bag / "data/run.sh", "--", "one", "two", cwd=tmp_path)

    assert (outcome.returncode, verdict.stdout) == (0, "IDENTICAL result.txt\n"), outcome.stderr
    assert (tmp_path / "-o" / "work/out/result.txt").is_file()
    assert (wrong.returncode, wrong.stderr) == (125, "run.sh: give one folder OUT behind --.\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        (8021, 85),
        (256, 1),
        (65280, 255),
        (-11, 139),
        (-9, 137),
        (-1, 255),
        (-256, None),
        (1 << 40, None),
    ],
)
def test_code_that_no_shell_shows_is_compared_with_what_it_sees_of_it(
    toy: Toy, tmp_path: Path, shell: Run, recorded: int, shown: int | None
) -> None:
    """The framework's own code was never equal to the rerun's.

    The rerun ended there, before the next step.
    """
    ending = f"exit {shown or 7}"
    toy.record["state"], toy.record["outputs"] = "failed", []
    toy.record["command"]["steps"] = [
        {"name": "one", "role": "payload", "argv": ["sh", "-c", ending], "exit_code": recorded},
        {"name": "two", "role": "payload", "argv": ["sh", "-c", "echo two >log"], "exit_code": 0},
    ]
    bag = toy.unpack(tmp_path / "bag")

    outcome = shell(bag / "data/run.sh", tmp_path / "out")
    verdict = shell(bag / "data/verify.sh", tmp_path / "out")

    assert outcome.returncode == (shown or 7), outcome.stderr
    assert (tmp_path / "out/work/log").exists() == (shown is not None)
    assert ("as recorded" in verdict.stderr) == (shown is not None)


@pytest.mark.slow
def test_scripts_find_and_write_files_beside_the_working_directory(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    """A script names `../calib/x.txt` in its text, where nothing is rewritten."""
    table, card = toy.blobs.write(b"constants\n"), toy.blobs.write(b"card\n")
    text = (
        "cat ../calib/x.txt ../card.txt > ../made.txt; cat ../calib/x.txt > ../made/y.txt; "
        "cat '../job 17/own.txt'"
    )
    toy.record["command"]["steps"] = [
        {"name": "one", "role": "payload", "argv": ["sh", "-c", text], "exit_code": 0},
    ]
    toy.record["inputs"] = [
        {"name": "x.txt", "path": "../calib/x.txt", "sha256": table, "size_bytes": 10},
        {"name": "card.txt", "path": "../card.txt", "sha256": card, "size_bytes": 5},
        {"name": "own.txt", "path": "../job 17/own.txt", "sha256": card, "size_bytes": 5},
        {"name": "up.txt", "path": "../../up.txt", "sha256": card, "size_bytes": 5},
    ]
    toy.record["outputs"] = [
        {
            "name": name,
            "path": f"../{path}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
        }
        for name, path, content in (
            ("made.txt", "made.txt", b"constants\ncard\n"),
            ("y.txt", "made/y.txt", b"constants\n"),
        )
    ]
    bag = toy.unpack(tmp_path / "bag")

    outcome = shell(bag / "data/run.sh", tmp_path / "out")
    verdict = shell(bag / "data/verify.sh", tmp_path / "out")

    assert outcome.returncode == 0, (outcome.stderr, (tmp_path / "out/run.log").read_text())
    assert (verdict.returncode, verdict.stdout) == (0, "IDENTICAL made.txt\nIDENTICAL y.txt\n"), (
        verdict.stderr
    )


@pytest.mark.slow
def test_arguments_and_names_that_are_no_utf_8_are_the_recorded_bytes(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    r"""The program got the letters `\xff`, as a record, which is text, writes a byte like that."""
    text = 'printf "%s\\n" "$1" >title.txt; cat "$2" >"${3#--out=}"; printf "%s" "$4" >literal.txt'
    argv = ["sh", "-c", text, "sh", "caf\\xe9 100%", "in-\\xff.dat", "--out=out-\\xfe.txt", "\\xe9"]
    encoded = {
        "4": "caf%E9 100%25",
        "5": "in-%FF.dat",
        "6": "--out=out-%FE.txt",
        "7": "secret",
        "x": "%FF",
        "99": "%FF",
    }
    toy.record["command"]["steps"] = [
        {"name": "one", "role": "payload", "argv": argv, "argv_encoded": encoded, "exit_code": 0}
    ]
    content = b"events\n"
    file = {"sha256": toy.blobs.write(content), "size_bytes": len(content)}
    toy.record["inputs"] = [{"name": "in-\\xff.dat", "path": "in-\\xff.dat", **file}]
    toy.record["outputs"] = [{"name": "out-\\xfe.txt", "path": "out-\\xfe.txt", **file}]
    bag = toy.unpack(tmp_path / "bag")

    outcome = shell(bag / "data/run.sh", tmp_path / "out")
    verdict = shell(bag / "data/verify.sh", tmp_path / "out")

    assert outcome.returncode == 0, (outcome.stderr, (tmp_path / "out/run.log").read_bytes())
    assert (tmp_path / "out/work/title.txt").read_bytes() == b"caf\xe9 100%\n"
    assert (tmp_path / "out/work/literal.txt").read_bytes() == b"\\xe9", (
        "what argv says otherwise is not taken"
    )
    assert {b"in-\xff.dat", b"out-\xfe.txt"} < {
        os.fsencode(path.name) for path in (tmp_path / "out/work").iterdir()
    }
    assert verdict.returncode == 0, verdict.stderr
    assert verdict.stdout.startswith("IDENTICAL out-\\xfe.txt\nEXTRA literal.txt\n")
    assert "caf%E9 100%25" in (bag / "data/command/argv.txt").read_text().splitlines()


def _reading_steps(toy: Toy) -> list[bytes]:
    """Give the job three steps that copy their standard input, two of them with one.

    Return what they read.
    """
    read = [b"1 first\n", b"2 second\n"]
    digests = [toy.blobs.write(content) for content in read]
    toy.record["outputs"] = []
    toy.record["command"]["steps"] = [
        {"name": name, "role": "payload", "argv": ["sh", "-c", f"cat > {name}.txt"], "exit_code": 0}
        | ({"stdin_sha256": sha256} if sha256 else {})
        for name, sha256 in (("one", digests[0]), ("none", None), ("two", digests[1]))
    ]
    return read


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["one", "many"])
def test_each_step_reads_its_own_standard_input(
    toy: Toy, tmp_path: Path, shell: Run, jobs: str
) -> None:
    read = _reading_steps(toy)
    plan, words = toy.plan(), []
    if jobs == "many":
        plan = make_campaign([toy.ingredients()], toy.blobs, toy.blobs.write, name=jobs)
        words = ["--job", toy.record["job_id"]]

    outcome = shell(toy.unpack(tmp_path / "bag", plan) / "data/run.sh", *words, tmp_path / "out")

    assert outcome.returncode == 0, outcome.stderr
    found = [
        (tmp_path / "out/work" / f"{name}.txt").read_bytes() for name in ("one", "none", "two")
    ]
    assert found == [read[0], b"", read[1]]


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["step", "job"])
def test_standard_input_that_is_not_here_is_asked_for_and_found_by_digest(
    toy: Toy, tmp_path: Path, shell: Run, whose: str
) -> None:
    large = b"3 large\n"
    _reading_steps(toy)
    steps, sha256 = toy.record["command"]["steps"], hashlib.sha256(large).hexdigest()
    for step in steps:
        step.pop("stdin_sha256", None)
    (steps[0] if whose == "step" else toy.record["command"])["stdin_sha256"] = sha256
    run, elsewhere = toy.unpack(tmp_path / "bag") / "data/run.sh", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "whatever").write_bytes(large)

    checked, refused = shell(run, "--check"), shell(run, tmp_path / "without")
    outcome = shell(run, "--input-dir", elsewhere, tmp_path / "out")

    assert (checked.returncode, refused.returncode) == (1, 125)
    assert f"missing: input standard input (sha256 {sha256}" in checked.stderr
    assert outcome.returncode == 0, outcome.stderr
    found = [(tmp_path / "out/work" / f"{name}.txt").read_bytes() for name in ("one", "two")]
    assert found == [large, b"" if whose == "step" else large]
