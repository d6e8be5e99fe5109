"""`jobprov attention` as a shifter types it, or cron."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.provenance.answers.attention import Attention, Need
from jobprov.provenance.client import Client

HELD = Need(
    kind="held",
    experiment=None,
    count=3,
    words="3 jobs are held by the batch system",
    since="2026-11-24T12:30:00Z",
    url="/queue",
)


def run(
    monkeypatch: pytest.MonkeyPatch,
    needs: list[Need],
    *words: str,
    left_out: int = 0,
    problems: Sequence[str] = (),
) -> Result:
    def answer(_self: Client, **query: Any) -> Attention:
        assert set(query) == {"since"}
        return Attention(
            window=query["since"],
            needs=needs,
            left_out=left_out,
            since=None,
            unseen_experiments=0,
            problems=problems,
        )

    monkeypatch.setattr(Client, "attention", answer)
    return CliRunner().invoke(jobprov, ["attention", "--url", "http://127.0.0.1:1", *words])


def test_all_is_well_with_exit_code_0(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, [])

    assert (done.exit_code, done.output) == (0, "Nothing needs attention.\n")


def test_each_need_is_a_line_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, [HELD], left_out=2)

    heads, row, more = done.output.splitlines()
    assert done.exit_code == 1
    assert heads.split() == ["SINCE", "KIND", "EXPERIMENT", "WHAT"]
    assert row.split()[:4] == ["2026-11-24", "12:30", "UTC", "held"]
    assert HELD.words in row
    assert more == "There are 2 things more of these kinds."


def test_service_that_cannot_record_is_never_all_well(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, [], problems=["Nothing can be written: No space left on device."])

    assert done.exit_code == 1
    assert done.output == (
        "The service cannot record. Nothing can be written: No space left on device.\n"
    )


def test_programs_get_the_answer_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, [HELD], "--since", "7d", "--json")

    found = json.loads(done.output)
    assert (found["window"], found["needs"][0]["url"]) == ("7d", "/queue")
