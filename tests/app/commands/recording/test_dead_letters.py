"""An operator looks at records that could not be read, and removes what nobody will ever need."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.services.intake.tokens import Grant
from jobprov.provenance.services.recording.dead_letters import Undecoded, keep_letters
from tests.library.records import a_record, job_id

LETTERS = {"nova": 3, "mu2e": 1}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Return what runs a command of `dead-letter` where some letters of two experiments wait."""
    data = tmp_path / "var"

    def invoke(*words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(jobprov, [*words, "--data", str(data)], input=answer)

    assert invoke("migrate").exit_code == 0
    service = open_service(load_settings({"JOBPROV_DATA": str(data)}))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for experiment, count in LETTERS.items():
        letters = [Undecoded(job_id(n), "no JSON", moment, b"{") for n in range(count)]
        keep = partial(keep_letters, grant=Grant(experiment, "token"), letters=letters)
        service.write(keep)
    service.close()
    return partial(invoke, "dead-letter")


def numbers_left(run: Callable[..., Result]) -> list[int]:
    """Return the numbers of the letters that are there."""
    return [letter["number"] for letter in json.loads(run("list", "--json").stdout)]


@pytest.mark.slow
def test_list_says_where_it_ends(run: Callable[..., Result]) -> None:
    assert numbers_left(run) == [1, 2, 3, 4]
    assert "more" not in run("list").stdout
    cut = run("list", "--limit", "3").stdout.splitlines()

    assert len(cut) == 1 + 3 + 1
    assert cut[-1] == "... and more; --limit shows them."
    of_one = json.loads(run("list", "--experiment", "mu2e", "--json").stdout)
    assert [letter["experiment"] for letter in of_one] == ["mu2e"]


@pytest.mark.slow
def test_letters_are_removed_once_somebody_says_so(run: Callable[..., Result]) -> None:
    refused = run("remove", "--experiment", "nova", answer="n\n")

    assert refused.exit_code == 1
    assert "Remove 3 dead letters? This cannot be undone." in refused.output
    assert len(numbers_left(run)) == sum(LETTERS.values())

    assert "2 dead letters removed." in run("remove", "3", "1", answer="y\n").output
    assert json.loads(run("remove", "--experiment", "nova", "--yes", "--json").stdout) == {
        "removed": [2]
    }
    assert numbers_left(run) == [4]


@pytest.mark.slow
def test_number_that_is_not_there_removes_nothing(run: Callable[..., Result]) -> None:
    wrong = run("remove", "4", "9", "--yes")

    of_another = run("replay", "4", "--experiment", "nova")

    assert str(wrong.exception) == (
        "There is no dead letter 9; `jobprov dead-letter list` shows them."
    )
    assert "There is no dead letter 4 of nova" in str(of_another.exception)
    assert numbers_left(run) == [1, 2, 3, 4]


@pytest.mark.slow
def test_replay_of_a_record_that_is_wrong_itself_names_the_way_out(tmp_path: Path) -> None:
    data = tmp_path / "var"

    def run(*words: str) -> Result:
        return CliRunner().invoke(jobprov, [*words, "--data", str(data)])

    assert run("migrate").exit_code == 0
    service = open_service(load_settings({"JOBPROV_DATA": str(data)}))
    body = json.dumps(a_record(experiment="no va")).encode()
    letters = [Undecoded(job_id(1), "why it was refused", datetime(2026, 1, 1, tzinfo=UTC), body)]
    service.write(partial(keep_letters, grant=Grant(None, "local"), letters=letters))
    service.close()

    replayed = run("dead-letter", "replay")

    assert replayed.exit_code == 1
    assert replayed.stderr.startswith("1 stays: experiment 'no va': not 1 to 64 letters")
    assert "`jobprov dead-letter show 1 > record.json`, correct it there" in replayed.stderr
    assert run("dead-letter", "show", "1").stdout_bytes == body


@pytest.mark.slow
def test_way_out_is_not_named_where_nothing_can_be_corrected(run: Callable[..., Result]) -> None:
    assert "correct" not in run("replay", "9").output
