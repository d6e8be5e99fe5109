"""What a tired person reads where something is not there."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from jobprov.app.cli import exit_code, jobprov, sentence
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.lineage.words import counted_of


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
    assert counted_of(count, total, "unit") == text


@pytest.mark.slow
def test_the_demo_says_in_words_that_no_service_is_there(tmp_path: Path) -> None:
    place = ["--url", "http://127.0.0.1:1", "--data", str(tmp_path)]
    CliRunner().invoke(jobprov, ["migrate", "--data", str(tmp_path)], catch_exceptions=False)

    with pytest.raises(UnreachableError, match=r"it refuses connections\. Start it: jobprov serve"):
        CliRunner().invoke(jobprov, ["demo", *place], catch_exceptions=False)
