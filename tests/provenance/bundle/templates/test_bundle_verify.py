"""verify.sh: verdicts on reruns."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.library.productions.toy_job import Run, Toy


def _flip(path: Path, offset: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.slow
def test_changed_missing_and_extra_outputs_are_told_apart(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    toy.record["outputs"].append({"name": "gone.txt", "status": "written", "sha256": "0" * 64})
    toy.record["outputs"].append({"name": "dropped.txt", "status": "dropped", "sha256": "0" * 64})
    bag, out, report = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "report.json"
    shell(bag / "data/run.sh", out)
    _flip(out / "work/out/result.txt")
    (out / "work/more.log").write_text("x")

    outcome = shell(
        bag / "data/verify.sh", "--report", report, "--environment-grade", "same capsule", out
    )

    assert outcome.returncode == 1
    assert outcome.stdout == "DIFFERENT result.txt\nMISSING gone.txt\nEXTRA more.log\n"
    verdict = json.loads(report.read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", verdict.pop("when"))
    assert verdict.pop("host")
    assert verdict == {
        "revision": 0,
        "level": "R2",
        "environment_grade": "same capsule",
        "comparisons": [
            {"output": "result.txt", "level": "R2", "comparator": "sha256"},
            {"output": "gone.txt", "level": "R2", "comparator": "none"},
        ],
    }


@pytest.mark.slow
def test_extra_files_alone_do_not_fail(toy: Toy, tmp_path: Path, shell: Run) -> None:
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    shell(bag / "data/run.sh", out)
    (out / "work/.cache").mkdir()
    (out / "work/.cache/more").write_text("x")

    outcome = shell(bag / "data/verify.sh", out)

    assert outcome.returncode == 0
    assert outcome.stdout == "IDENTICAL result.txt\nEXTRA .cache/more\n"


def test_rerun_that_never_ran_is_undecided_and_told_so(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    bag, report = toy.unpack(tmp_path / "bag"), tmp_path / "report.json"
    (tmp_path / "out").mkdir()

    outcome = shell(bag / "data/verify.sh", "--report", report, tmp_path / "out")

    assert outcome.returncode == 2
    assert "no job ran in" in outcome.stderr
    assert json.loads(report.read_text())["level"] == "R0"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"checksums": ["adler32:{adler}"]},
            (
                "UNDECIDED result.txt: of its bytes only an adler32 was recorded, which agrees; "
                "different files may share one"
            ),
        ),
        ({"checksums": ["adler32:{adler}", "md5:{md5}"]}, "IDENTICAL result.txt"),
        ({"checksums": ["adler32:00000001"]}, "DIFFERENT result.txt"),
        ({"content_digest": "text-content-1:{text}"}, "EQUIVALENT result.txt"),
        ({"content_digest": "text-content-1:00"}, "DIFFERENT result.txt"),
        (
            {"content_digest": "future-9:00"},
            "UNDECIDED result.txt: the content digest future-9 is not known to this version",
        ),
        (
            {},
            (
                "UNDECIDED result.txt: the record has neither a checksum of this output nor a "
                "content digest to compare with"
            ),
        ),
    ],
)
def test_output_without_sha256_is_compared_by_what_was_recorded(
    toy: Toy, tmp_path: Path, fields: Any, line: str
) -> None:
    words = {
        "adler": f"{zlib.adler32(toy.expected):08x}",
        "md5": hashlib.md5(toy.expected, usedforsecurity=False).hexdigest(),
        "text": hashlib.sha256(toy.expected).hexdigest(),
    }
    written = json.dumps(fields)
    for mark, word in words.items():
        written = written.replace(f"{{{mark}}}", word)
    fields = json.loads(written)
    toy.record["outputs"] = [
        {"name": "result.txt", "path": "out/result.txt", "status": "written", **fields}
    ]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    environment = {"PATH": "/usr/bin:/bin", "JOBPROV_PYTHON": sys.executable}

    subprocess.run(
        ["sh", str(bag / "data/run.sh"), str(out)], env=environment, check=True, capture_output=True
    )
    outcome = subprocess.run(
        ["sh", str(bag / "data/verify.sh"), str(out)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.stdout == line + "\n"
    assert (
        outcome.returncode
        == {"IDENTICAL": 0, "EQUIVALENT": 0, "DIFFERENT": 1, "UNDECIDED": 2}[
            line.split(maxsplit=1)[0]
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["shasum", "openssl"])
def test_other_digest_tools_serve_where_sha256sum_is_not(
    toy: Toy, tmp_path: Path, tool: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in [
        "cat",
        "cp",
        "chmod",
        "date",
        "env",
        "ln",
        "ls",
        "mkdir",
        "rm",
        "sh",
        "sort",
        "tail",
        "touch",
        "uname",
        "uniq",
        "wc",
        tool,
        "perl",
    ]:
        (programs / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is not installed"))
    toy.record["environment"]["variables"]["PATH"] = str(programs)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    answers = [
        subprocess.run(
            [str(programs / "sh"), str(bag / "data" / name), *words],
            env={"PATH": str(programs)},
            capture_output=True,
            text=True,
            check=False,
        )
        for name, words in (
            ("run.sh", [str(out)]),
            ("verify.sh", [str(out)]),
            ("verify.sh", ["--bundle"]),
        )
    ]

    assert [answer.returncode for answer in answers] == [0, 0, 0], answers
    assert answers[1].stdout == "IDENTICAL result.txt\n"


@pytest.mark.parametrize(
    "arguments", [(), ("--no-such",), ("a", "b"), ("--report",), ("/no/such/folder",)]
)
def test_wrong_call_of_verify_is_told_with_exit_code_two(
    toy: Toy, tmp_path: Path, dash: Run, arguments: tuple[str, ...]
) -> None:
    outcome = dash(toy.unpack(tmp_path) / "data/verify.sh", *arguments, cwd=tmp_path)

    assert outcome.returncode == 2
    assert outcome.stderr.strip().endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "code", "level"),
    [
        ("succeeded", 0, "R7"),
        ("succeeded", 5, "R1"),
        ("failed", 0, "R1"),
        ("killed", 0, "R1"),
    ],
)
def test_job_whose_code_nobody_recorded_ends_as_its_state_says(
    toy: Toy, tmp_path: Path, shell: Run, state: str, code: int, level: str
) -> None:
    toy.record |= {"state": state, "exit": {}}
    toy.record["outputs"] = [{"name": "a.txt", "status": "empty", "size_bytes": 0}]
    toy.record["command"] |= {"argv": ["sh", "-c", f": >a.txt; exit {code}"], "steps": []}
    bag, out, report = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "report.json"

    shell(bag / "data/run.sh", out)
    outcome = shell(bag / "data/verify.sh", "--report", report, out)

    assert json.loads(report.read_text())["level"] == level
    assert outcome.returncode == (1 if level == "R1" else 0), outcome.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "answer"),
    [(2, "UNDECIDED a.txt: the record has neither a checksum"), (3, "DIFFERENT")],
)
def test_output_of_which_the_size_alone_was_recorded(
    toy: Toy, tmp_path: Path, dash: Run, size: int, answer: str
) -> None:
    toy.record["command"] |= {"argv": ["sh", "-c", "printf ab >a.txt"], "steps": []}
    toy.record["outputs"] = [{"name": "a.txt", "status": "written", "size_bytes": size}]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    dash(bag / "data/run.sh", out)
    outcome = dash(bag / "data/verify.sh", out)

    assert outcome.stdout.startswith(answer)
    assert outcome.returncode == (1 if size == 3 else 2)


@pytest.mark.slow
def test_python_without_uproot_compares_what_needs_none(
    toy: Toy, tmp_path: Path, dash: Run, bare: Path
) -> None:
    """There is no program `python`, whatever words the lists have."""
    (bare / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    (bare / "python3").chmod(0o755)
    toy.record["environment"]["variables"]["PATH"] = ""
    toy.record["command"] |= {"argv": ["sh", "-c", "printf 'a\\r\\n' >a.txt"], "steps": []}
    digest = f"text-content-1:{hashlib.sha256(b'a' + bytes([10])).hexdigest()}"
    toy.record["outputs"] = [{"name": "a.txt", "status": "written", "content_digest": digest}]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    dash(bag / "data/run.sh", out)

    words = [shutil.which("dash") or "dash", str(bag / "data/verify.sh"), str(out)]
    outcome = subprocess.run(
        words, env={"PATH": str(bare)}, capture_output=True, text=True, check=False
    )

    assert (outcome.returncode, outcome.stdout) == (0, "EQUIVALENT a.txt\n"), outcome.stderr


@pytest.mark.slow
def test_files_of_a_large_release_are_told_apart_in_linear_time(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    """What was laid out is compared line by line with what is there.

    The fixture ends a shell after a minute.
    """
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    shell(bag / "data/run.sh", out)
    (out / "work/here").touch()
    (out / "work/two\nlines").touch()
    (out / "work/more").touch()
    with (out / "laid-out.txt").open("a") as laid_out:
        laid_out.writelines(
            f"products/of/a/release/source/file-{number}.cxx\n" for number in range(60_000)
        )
        laid_out.write("here\n")

    outcome = shell(bag / "data/verify.sh", out)

    extra = ["EXTRA more", "EXTRA two... (a name of several lines, 1)"]
    assert outcome.stdout.splitlines() == ["IDENTICAL result.txt", *extra]
