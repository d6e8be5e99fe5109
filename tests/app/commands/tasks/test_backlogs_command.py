"""`jobprov backlog` as a production manager types it, or cron."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.provenance.answers.tasks.backlogs import Backlog, BurnDown
from jobprov.provenance.client import Client
from jobprov.provenance.errors import NotFoundError

ENDS = ("2026-01-09T12:00:00Z", "2026-01-09T06:00:00Z", "2026-01-10T00:00:00Z")


def backlog(*left: int, stays: int = 0, ends: tuple[str | None, ...] = ENDS) -> Backlog:
    burn_down = BurnDown("2026-01-07T00:00:00Z", 6 * 3600, 20, list(left), is_whole=True)
    return Backlog(burn_down, stays, *ends)


def run(monkeypatch: pytest.MonkeyPatch, answer: Backlog | None, *words: str) -> Result:
    def ask(_self: Client, _name: str, **query: Any) -> SimpleNamespace:
        assert set(query) == {"experiment"}
        return SimpleNamespace(backlog=answer)

    monkeypatch.setattr(Client, "task", ask)
    monkeypatch.setattr(Client, "campaign", ask)
    return CliRunner().invoke(jobprov, ["backlog", "--url", "http://127.0.0.1:1", *words])


def test_what_is_left_of_a_task_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, backlog(20, 15, 10, stays=1), "t1")

    left, end, heads, first, _second, last = done.output.splitlines()
    assert done.exit_code == 1
    assert left == "10 of 20 units of task t1 left."
    assert end == (
        "Expected end 2026-01-09 12:00 UTC, between 2026-01-09 06:00 UTC and 2026-01-10 00:00 UTC. "
        "1 unit of these needs a decision."
    )
    assert heads.split() == ["UNTIL", "LEFT"]
    assert first.split() == ["2026-01-07", "06:00", "UTC", "#" * 30, "20"]
    assert last.split() == ["now", "#" * 15, "10"]


def test_steps_in_which_nothing_changed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, backlog(20, 20, 20, 20, 15, 15), "t1")

    rows = [line.split() for line in done.output.splitlines()[3:]]
    assert [(" ".join(row[:-2]), row[-1]) for row in rows] == [
        ("2026-01-07 06:00 UTC", "20"),
        ("2026-01-08 00:00 UTC", "20"),
        ("2026-01-08 06:00 UTC", "15"),
        ("now", "15"),
    ]


def test_without_an_estimate_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    no_ends = (None, None, None)

    slow = run(monkeypatch, backlog(20, 20, ends=no_ends), "t1")
    stuck = run(monkeypatch, backlog(20, 5, stays=5, ends=no_ends), "t1")

    assert "No estimate of the end: too little was done lately." in slow.output
    assert "No estimate of the end: what is left needs a decision." in stuck.output


def test_nothing_left_of_a_campaign_is_exit_code_0(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--campaign", "c", "--experiment", "nova")
    done = run(monkeypatch, backlog(3, 0, ends=(None, None, None)), *words)

    assert done.exit_code == 0
    assert done.output.splitlines()[0] == "0 of 20 units of campaign c left."
    assert done.output.splitlines()[-1].split() == ["now", "0"]


def test_what_nobody_declared_is_a_wrong_question(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, None, "t1")

    assert isinstance(done.exception, NotFoundError), "exit code 2"
    assert "Nobody declared how many units task t1 has" in str(done.exception)


@pytest.mark.parametrize(
    "words", [(), ("t1", "--campaign", "c"), ("--campaign", "c")], ids=["none", "both", "nowhere"]
)
def test_it_is_of_one_task_or_one_campaign(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    assert run(monkeypatch, backlog(3), *words).exit_code == 2


def test_programs_get_the_backlog_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, backlog(20, 10), "t1", "--json")

    found = json.loads(done.output)
    assert found["burn_down"]["left"] == [20, 10]
    assert found["ends_at_low"] == ENDS[1]
