"""What the text of scripts names, and what reading it takes: a job's script may be of any form."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.sight import named_files, named_folders
from tests.library.hook import Runner, only_entry

LONG = 400_000


@contextmanager
def little_time() -> Iterator[None]:
    """Fail where more CPU time was used than anything linear needs; quadratic takes minutes."""
    began = time.process_time()
    yield
    assert time.process_time() - began < 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "A" * LONG,  # a file in base64 on one line
        "payload=" + "QUJD" * (LONG // 4),
        "-" * LONG,
        "$" * LONG,
        "${" * (LONG // 2),
        "$" + "a" * LONG,
        "a/" * (LONG // 2),
        "../" * (LONG // 3),
        "a" * LONG + "/",
        "." * LONG + " ",
        "\n" * LONG,
        " \n" * (LONG // 2),
        " " * LONG,
        "import" + " " * LONG,
        "export " * (LONG // 7),
        "export" + " " * LONG,
        "a=" * (LONG // 2),
        "cat " + "a/" * (LONG // 2) + " | kinit",
        "cat a | kinit\n" * (LONG // 14),
        "kinit < ",
    ],
    ids=lambda text: repr(text[:9]),
)
def test_script_is_searched_in_a_time_that_grows_with_its_length_alone(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private, "_withheld", set())
    monkeypatch.chdir(tmp_path)
    draft = Draft({})
    draft.blobs["digest"] = text.encode()

    with little_time():
        named_folders.words_of_script(text.encode(), {})
        list(named_files._named_by({"path": "job.sh", "sha256": "digest"}, draft))


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        "A=/xxxxxxxx\n" + "A=$A$A\n" * 40 + "cp a $A/",
        "A=/\n" + "A=$A/x\n" * 50_000 + "cp a $A/",
        "A=/" + "x" * 50_000 + "\n" + "cp a $A/b\n" * 20_000,
        "A=/" + "x" * 900 + "\n" + "".join(f"cp a $A/{number}\n" for number in range(50_000)),
        "A=/" + "x" * 900 + "\ncp a " + "$A" * 200_000,
        "A=/" + "x" * 900 + "\nB=" + "$A" * 400 + "\n" + "cp a $B/\n" * 20_000,
    ],
    ids=["doubled", "grown", "long", "used-often", "used-in-one-word", "used-twice"],
)
def test_variables_of_a_script_do_not_grow(script: str) -> None:
    with little_time():
        words = named_folders.words_of_script(script.encode(), {})

    assert sum(map(len, words)) < 20 << 20
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert memory < 2 << 30


@pytest.mark.slow
def test_each_word_of_a_command_line_may_be_a_script_in_a_large_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = {f"VARIABLE_{number}": "value" for number in range(50_000)}
    monkeypatch.setattr(os, "environ", {**variables, "STORE": "/data"})

    with little_time():
        words = named_folders.words_of_command(["a $STORE/b"] * 50_000)

    assert words[50_000:] == ["/data/b"]


def test_words_of_a_script_are_read_with_its_variables() -> None:
    script = "\n".join(
        [
            "STORE=/data/$CAMPAIGN",
            "export TOP='/data'",
            "cp a.root $STORE/b.root ${TOP}/c.root $UNKNOWN/d.root",
            "tar xzf $CODE",
            "cat -n plain",
            "LONG=/" + "x" * 2000,
            "cp a $LONG/b",
            "LONG=/short",
            "cp a $LONG/b",
        ]
    )

    words = named_folders.words_of_script(script.encode(), {"CAMPAIGN": "p5", "CODE": "code.tgz"})

    expected = ["/data/p5", "/data", "/data/p5/b.root", "/data/c.root", "code.tgz", "/short/b"]
    assert [word for word in words if word != "/short"] == expected


@pytest.mark.slow
def test_data_that_jobsub_made_executable_is_no_script(runner: Runner) -> None:
    """It does so with every file that it brings: what a list names were scripts of the job."""
    for name in ("raw_1.root", "raw_2.root"):
        (runner.folder / name).write_text("data of " + name)
    (runner.folder / "files.txt").write_text("raw_1.root\nraw_2.root\n")
    (runner.folder / "helper.exe").write_text("#!/bin/sh\ntrue\n")
    (runner.folder / "tool").write_text("true\n")
    for file in runner.folder.iterdir():
        file.chmod(0o755)
    (runner.folder / "job.sh").write_text("cat $(head -1 files.txt) > out; ./helper.exe; . ./tool")

    runner("run", "--", "sh", "job.sh")

    record = only_entry(runner)[0]
    names = [script["name"] for script in record["scripts"]]
    assert sorted(names) == ["helper.exe", "job.sh", "tool"]
    roles = {file["name"]: file["role"] for file in record["inputs"]}
    assert roles == {"files.txt": "configuration"}
