"""Reruns in part: a few events, one input. Nothing of them is compared with the record."""

from pathlib import Path
from typing import Any

import pytest

from tests.library.productions.toy_job import CHECKOUT, WORK, Run, Toy

PRINTS_ARGUMENTS = b"#!/bin/sh\nfor word; do printf '%s\\n' \"$word\"; done > arguments.txt\n"
ART = [
    "-c",
    "job.fcl",
    "-n",
    "5",
    "-s",
    f"{WORK}/in/a.txt",
    "--nevts=7",
    "-o",
    "out.root",
    "in/a.txt",
]
PLAIN = ["-n", "5", "in/a.txt", f"{WORK}/in/a.txt", "rest"]


@pytest.fixture
def bag(toy: Toy, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The bundle of a job whose program writes down its arguments."""
    toy.files[1] = ("bin/join.sh", 0o100755, PRINTS_ARGUMENTS)
    toy.record["command"]["steps"][1]["argv"] = [f"{CHECKOUT}/bin/join.sh", *request.param]
    return toy.unpack(tmp_path / "a bag")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "another file.root"
    file.write_bytes(b"events")
    return file


def arguments(out: Path) -> list[str]:
    return (out / "work/arguments.txt").read_text().splitlines()


@pytest.mark.parametrize("bag", [ART], indirect=True)
def test_art_program_gets_few_events_of_one_input(
    bag: Path, file: Path, tmp_path: Path, shell: Run
) -> None:
    out = tmp_path / "out"

    ran = shell(bag / "data/run.sh", "--no-own-root", "--events", "3", "--input", file, out)
    compared = shell(bag / "data/verify.sh", out)

    assert ran.returncode == 0, ran.stderr
    assert arguments(out) == [
        "-c",
        "job.fcl",
        "-o",
        "out.root",
        "-s",
        f"{out}/input/{file.name}",
        "-n",
        "3",
    ]
    assert (compared.returncode, compared.stdout) == (2, "")
    assert "ran in part (--events 3 --input" in compared.stderr


@pytest.mark.parametrize("bag", [ART], indirect=True)
@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--events", ["-c", "job.fcl", "-s", "IN", "-o", "out.root", "in/a.txt", "-n", "3"]),
        ("--input", ["-c", "job.fcl", "-n", "5", "--nevts=7", "-o", "out.root", "-s", "FILE"]),
    ],
)
def test_option_alone_changes_nothing_else(
    bag: Path, file: Path, tmp_path: Path, dash: Run, option: str, wanted: list[str]
) -> None:
    out = tmp_path / "out"

    dash(bag / "data/run.sh", "--no-own-root", option, "3" if option == "--events" else file, out)

    words = {"IN": f"{out}/work/in/a.txt", "FILE": f"{out}/input/{file.name}"}
    assert arguments(out) == [words.get(word, word) for word in wanted]


@pytest.mark.parametrize("bag", [PLAIN], indirect=True)
def test_other_program_gets_the_input_where_its_first_one_was(
    bag: Path, file: Path, tmp_path: Path, shell: Run
) -> None:
    out = tmp_path / "out"

    ran = shell(bag / "data/run.sh", "--no-own-root", "--events", "3", "--input", file, out)

    assert arguments(out) == ["-n", "5", f"{out}/input/{file.name}", "rest"]
    assert "--events changes nothing in it" in ran.stderr


@pytest.mark.parametrize("bag", [PLAIN], indirect=True)
@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--events", "many"], "wants a number, not many"),
        (["--input", "none"], "there is no file none"),
    ],
)
def test_wrong_word_is_refused(
    bag: Path, tmp_path: Path, dash: Run, option: list[str], message: str
) -> None:
    ran = dash(bag / "data/run.sh", *option, tmp_path / "out")

    assert ran.returncode == 125
    assert message in ran.stderr


def test_input_that_is_not_here_is_no_need_where_another_one_is_given(
    toy: Toy, file: Path, tmp_path: Path, dash: Run
) -> None:
    entry: dict[str, Any] = toy.record["inputs"][0]
    toy.blobs.stored.pop(entry["sha256"])
    bag = toy.unpack(tmp_path / "bag")

    assert dash(bag / "data/run.sh", "--check").returncode == 1
    assert dash(bag / "data/run.sh", "--input", file, "--check").returncode == 0
