"""What a job gives the hook, in variables, arguments, scripts or files, is read in linear time.

Each of these took minutes to hours when the time grew with the square of the length.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.command import arguments, code
from jobprov.provenance.capture.files import private, sidecar
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.recording import job
from jobprov.provenance.capture.running.made_files import Made
from jobprov.provenance.capture.secrets import arguments as secret_arguments
from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.sight.child_programs import FileReader
from jobprov.provenance.capture.sight.places import Places
from jobprov.provenance.capture.surroundings import compilers, condor_ads, container, products


def read_variables(value: str) -> None:
    products.list_spack(Draft({}), {"PATH": value})


def read_script(text: str) -> None:
    compilers.list_compilers(["sh", "x.sh"], [text.encode()], b"", b"")


def read_arguments(words: list[str]) -> None:
    redact_arguments(words)
    job._weaken_by_words(Draft({}), words)


def read_options(words: list[str]) -> None:
    Options(words, {})


def name_secrets(count: int) -> None:
    draft = Draft({"scripts": [{"sha256": "digest"}]})
    draft.blobs["digest"] = b"echo $PATH some other words\n" * 30_000
    assert code.named_in_code(draft, [f"TOKEN_{number}" for number in range(count)]) == []


def list_parents(count: int) -> None:
    inputs = [{"name": f"in{number}.root", "role": "primary"} for number in range(count)]
    made_from = sidecar.MadeFrom({"inputs": inputs}, inputs, [], [])
    assert len(made_from.parents({"name": "out.root"})) >= count


def find_stored(count: int) -> None:
    """Ask where files went that all came under another name."""
    made = {f"/job/{number}": Made() for number in range(count)}
    for file in made.values():
        file.move(None)
    places = Places([], [], made, ["/job"], [], began=0.0, written={})
    for path in made:
        assert places.find(path).place is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("read", "given"),
    [
        (read_variables, "=/" * 60_000),
        (read_variables, "/a-" * 40_000),
        (read_script, "gcc " * 120_000),
        (read_script, "/gcc " * 100_000),
        (read_script, "\n" * 1_000_000),
        (read_script, "a-" * 500_000),
        (condor_ads.parse_ad, "A = x" + " " * 100_000 + "y"),
        (condor_ads.parse_ad, " " * 1_000_000),
        (condor_ads.parse_ad, "A" + " " * 1_000_000),
        (arguments.without_prefix, ["env"] * 200_000),
        (container._started, ["apptainer"] * 400_000),
        (secret_arguments._without_passwords, ["rucio", "-pwd", "hunter22"] * 30_000),
        (read_arguments, ["--password", "hunter22", *["<redacted:" * 10_000] * 10]),
        (read_arguments, ["-" * 100_000] * 4),
        (read_arguments, ["a/" * 60_000] * 4),
        (read_options, ["--input", "a"] * 150_000),
        (name_secrets, 5_000),
        (list_parents, 300_000),
        (find_stored, 10_000),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)[:24]),
)
def test_hostile_text_is_read_in_a_time_that_grows_with_its_length_alone(
    read: Callable[[Any], None], given: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    began = time.process_time()

    read(given)

    assert time.process_time() - began < 10


def test_long_word_is_no_path_of_the_system() -> None:
    """To follow its links would take a look at each of its parts, and all that are before it."""
    began = time.process_time()

    assert not arguments.is_system("a/" * 60_000)
    assert arguments.is_system("/usr/" + "a/" * 60_000)

    assert time.process_time() - began < 1
    assert arguments.is_system(os.path.realpath("/usr/bin/env"))


def test_each_secret_of_a_command_line_is_taken_out_by_itself() -> None:
    argv = ["rucio", "-pwd", "hunter22", "x", "redis-cli", "-a", "hunter33", "y", "twine", "z"]

    assert redact_arguments(argv) == [
        "rucio", "-pwd", "<redacted:user-password>", "x",
        "redis-cli", "-a", "<redacted:user-password>", "y", "twine", "z",
    ]  # fmt: skip


def test_words_before_a_program_are_left_out() -> None:
    argv = ["env", "A=b", "-u", "nice", "-n", "10", "timeout", "9s", "lar", "-c", "a.fcl"]

    assert arguments.without_prefix(argv) == ["lar", "-c", "a.fcl"]
    assert arguments.without_prefix(["env", "A=b"]) == []
    assert arguments.without_prefix(["lar", "env"]) == ["lar", "env"]


@pytest.mark.slow
def test_folders_may_lie_thousands_deep(tmp_path: Path) -> None:
    path = str(tmp_path) + "/a" * 5000
    reader = FileReader(0.0, str(tmp_path), 1.0)

    assert not private.is_in_environment(path)
    assert reader.read_input(path) is None
    assert not private.is_software(path)
    environment = tmp_path / "env"
    environment.mkdir()
    (environment / "pyvenv.cfg").touch()
    assert private.is_in_environment(str(environment / "lib") + "/a" * 5000)
