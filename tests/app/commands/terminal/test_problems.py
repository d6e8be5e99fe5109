"""What a tired person reads where something is not there."""

import os
import shlex
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import DatabaseError, OperationalError

from jobprov.app.cli import exit_code, jobprov, sentence
from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.lineage.words import units_of
from tests.library.commands import clean_environment


@pytest.mark.parametrize("words", ["archive stats", "token list", "trail --experiment nova"])
def test_a_folder_without_a_database_is_named_and_stays_as_it_is(
    tmp_path: Path, words: str
) -> None:
    folder = tmp_path / "mistyped"

    with pytest.raises(
        UnreachableError, match=r"There is no database .*mistyped/jobprov\.db: name"
    ):
        CliRunner().invoke(jobprov, [*words.split(), "--data", str(folder)], catch_exceptions=False)

    assert not folder.exists()


def test_a_file_that_cannot_be_written_is_named_before_the_reason() -> None:
    problem = PermissionError(13, "Permission denied", "/srv/again/verify.sh")

    assert sentence(problem) == "jobprov: /srv/again/verify.sh: Permission denied."
    assert exit_code(problem) == 3


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [(1, None, "1 unit"), (2, None, "2 units"), (0, 1, "0 of 1 unit"), (1, 12, "1 of 12 units")],
)
def test_the_plural_is_that_of_the_total(count: int, total: int | None, text: str) -> None:
    assert units_of(count, total) == text


@pytest.mark.slow
def test_the_demo_says_in_words_that_no_service_is_there(tmp_path: Path) -> None:
    place = ["--url", "http://127.0.0.1:1", "--data", str(tmp_path)]
    CliRunner().invoke(jobprov, ["migrate", "--data", str(tmp_path)], catch_exceptions=False)

    with pytest.raises(UnreachableError, match=r"it refuses connections\. Start it: jobprov serve"):
        CliRunner().invoke(jobprov, ["demo", *place], catch_exceptions=False)


@pytest.mark.parametrize(
    "words",
    ["bundle 81238.4@sched01 --output", "register --experiment nova --task t --ticket-file"],
)
def test_a_pipe_or_device_is_not_replaced_by_what_a_command_writes(
    tmp_path: Path, words: str
) -> None:
    """`--output /dev/null`, given by root, would leave a plain file in place of the device."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    answer = CliRunner().invoke(jobprov, [*words.split(), str(pipe), "--url", "http://127.0.0.1:1"])

    assert answer.exit_code == 2
    assert f"{pipe} is no plain file, and would be replaced by one" in answer.output
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("words", ["rerun FILE", "verify FILE ."])
def test_a_file_that_is_no_tar_is_named_and_not_quoted(tmp_path: Path, words: str) -> None:
    log = tmp_path / "job.log"
    log.write_text("a line of a log\n" * 1000)

    with pytest.raises(BadInputError, match=r"job\.log is no tar\. Name the file that"):
        CliRunner().invoke(jobprov, words.replace("FILE", str(log)).split(), catch_exceptions=False)


def test_a_site_of_a_service_that_is_down_names_the_service_alone(tmp_path: Path) -> None:
    words = ["export-site", str(tmp_path / "site"), "--experiment", "nova", "--campaign", "c"]

    with pytest.raises(UnreachableError, match=r"^No jobprov answers at \S+: it refuses"):
        CliRunner().invoke(jobprov, [*words, "--url", "http://127.0.0.1:1"], catch_exceptions=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--help >/dev/full", 3, "jobprov: Standard output: No space left on device.\n"),
        ("fhicl --help >/dev/full", 3, "jobprov: Standard output: No space left on device.\n"),
        ("--help | true", 0, ""),
        ("fhicl --help >&-", 0, ""),
        ("job x --url http://127.0.0.1:1 2>&-", 3, ""),
    ],
)
def test_output_that_cannot_be_written_is_named_and_a_gone_reader_is_no_failure(
    words: str, code: int, said: str
) -> None:
    line = f"set -o pipefail; {sys.executable} -m jobprov {words}"

    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (code, said)


@pytest.mark.slow
def test_a_name_that_is_not_utf_8_is_printed_all_the_same() -> None:
    words: list[str | bytes] = [sys.executable, "-m", "jobprov", "sidecar", "check", b"\xff"]
    terminal = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}

    ended = subprocess.run(words, capture_output=True, text=True, check=False, env=terminal)

    assert ended.returncode == 1
    assert ended.stdout == ("\\udcff: the sidecar cannot be read: No such file or directory\n")


@pytest.mark.parametrize(
    "words", ["declare t --experiment nova --units FILE", "waive t --who A --why b --from FILE"]
)
def test_a_list_that_is_no_text_is_named(tmp_path: Path, words: str) -> None:
    file = tmp_path / "list"
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(BadInputError, match=r"/list cannot be read: it is not text in UTF-8; name"):
        CliRunner().invoke(
            jobprov, words.replace("FILE", str(file)).split(), catch_exceptions=False
        )


@pytest.mark.parametrize("command", ["bundle", "export", "lineage", "waive t u --who A --why b"])
def test_a_word_that_is_not_utf_8_reaches_the_service_as_the_hook_writes_it(command: str) -> None:
    words = [*command.split(), "--experiment", "\udcff", "--url", "http://127.0.0.1:1"]
    if " " not in command:
        words.append("x")

    with pytest.raises(UnreachableError, match="it refuses connections"):
        CliRunner().invoke(jobprov, words, catch_exceptions=False)


def test_a_word_that_no_database_can_hold_is_shown_to_who_typed_it() -> None:
    with pytest.raises(UnicodeEncodeError) as refused:
        "nova\udcff".encode()

    assert exit_code(refused.value) == 2
    assert sentence(refused.value) == (
        "jobprov: What was typed is not UTF-8 near 'nova\\udcff'; type it anew."
    )


def test_database_that_another_program_keeps_locked_is_told_without_statements() -> None:
    locked = OperationalError("BEGIN IMMEDIATE", {}, sqlite3.OperationalError("database is locked"))

    assert exit_code(locked) == 3
    assert sentence(locked) == (
        "jobprov: The database does not answer: database is locked by another program; `fuser` and "
        "the file's path show which."
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [("man --into FOLDER", "/jobprov.1"), ("serve --port 0 --data FOLDER", "The database ")],
)
def test_disk_without_room_is_told_with_what_does_not_fit(
    tmp_path: Path, words: str, named: str
) -> None:
    typed = words.replace("FOLDER", shlex.quote(str(tmp_path)))
    # No file may get a byte, which needs no full disk and fails at the same calls
    script = f"ulimit -f 0; exec {shlex.quote(sys.executable)} -m jobprov {typed}"
    done = subprocess.run(
        ["sh", "-c", script], env=clean_environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 3
    assert named in done.stderr.splitlines()[-1]


def test_a_sidecar_without_a_name_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"^\. is a folder; name an output or its sidecar"):
        CliRunner().invoke(jobprov, ["sidecar", "check", "."], catch_exceptions=False)


@pytest.mark.parametrize(
    "words", ["archive check --bundles N", "archive expire --experiment nova --days N"]
)
def test_a_number_that_nothing_can_hold_is_refused_by_its_option(words: str) -> None:
    answer = CliRunner().invoke(jobprov, words.replace("N", "9" * 20).split())

    assert answer.exit_code == 2
    assert "is not in the range" in answer.output


def test_a_file_that_is_no_database_is_told_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "jobprov.db").write_bytes(b"no database, but long enough" * 200)
    ended = CliRunner().invoke(jobprov, ["token", "list", "--data", str(tmp_path)])

    assert isinstance(ended.exception, DatabaseError)
    assert exit_code(ended.exception) == 3
    assert sentence(ended.exception) == (
        "jobprov: The database cannot be read: file is not a database. "
        "Is this the service's folder?"
    )
