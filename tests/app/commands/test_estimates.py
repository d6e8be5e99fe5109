"""`jobprov estimate` as an operator types it."""

from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.provenance.answers.estimates import Estimate
from jobprov.provenance.client import Client

HOURS = {"expected": 10.0, "low": 8.0, "high": 12.0}
HOURS_OF_ONE = {"p10_hours": 0.1, "median_hours": 0.5, "p90_hours": 2.0}
SPREAD = {**HOURS_OF_ONE, "learnt_from": {"jobs": 4, "read": 5}}
OF_CHAIN = {**HOURS_OF_ONE, "learnt_from": {"stages": 1}}
STAGE = {
    "stage": "reco",
    "units": 100,
    "cpu_hours": HOURS,
    "slot_hours": HOURS,
    "wall_hours": HOURS,
    "unit_times": {
        "median_hours": 1.5,
        "p90_hours": 2.5,
        "p99_hours": 4.0,
        "hung": 2,
        "hung_hours": 24.0,
    },
    "queue": SPREAD,
    "stage_in": SPREAD,
    "stage_in_hours": HOURS,
    "output_bytes": 1000,
    "attempts_a_unit": 1.25,
    "learnt_from": {"units": 4, "succeeded": 3, "hours": 2},
}


def typed(monkeypatch: pytest.MonkeyPatch, **more: Any) -> Result:
    """Return what the command says of an answer."""
    stage = {**STAGE, **more}
    total = dict(stage)
    if stage["queue"]:
        total.update(queue=OF_CHAIN, stage_in=OF_CHAIN)
    document = {"files": 100, "events": None, "slots": 5, "stages": [stage], "total": total}
    answer = msgspec.convert(document, Estimate)
    monkeypatch.setattr(Client, "estimate", lambda _self, **_query: answer)
    return CliRunner().invoke(
        jobprov, ["estimate", "--files", "100", "--url", "http://127.0.0.1:1"]
    )


def test_what_jobs_wait_stands_beside_the_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    said = typed(monkeypatch).output

    assert "IN THE QUEUE" in said.splitlines()[0]
    assert said.splitlines()[1].count("30 min (6 min to 2 h)") == 2
    assert "10.0 (8.0 to 12.0)" in said


def test_hours_of_short_jobs_keep_two_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"expected": 0.000123, "low": 0.0000456, "high": 0.001}
    none = {"expected": 0.0, "low": 0.0, "high": 0.0}

    said = typed(monkeypatch, cpu_hours=short, slot_hours=none).output

    assert "0.00012 (0.00005 to 0.00100)" in said
    assert "0 (0 to 0)" in said


def test_one_unit_and_those_that_hung_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    said = typed(monkeypatch).output

    assert "1 h 30 min  4 h" in said.splitlines()[1]
    assert "2 units of reco hung, for 1 d or longer:" in said
    quiet = {
        "median_hours": 1.5,
        "p90_hours": 2.5,
        "p99_hours": None,
        "hung": 0,
        "hung_hours": None,
    }
    assert "hung" not in typed(monkeypatch, unit_times=quiet).output


def test_what_no_job_says_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    said = typed(monkeypatch, queue=None, stage_in=None, stage_in_hours=None).output

    assert said.splitlines()[1].split("1 kB")[0].count("\N{EN DASH}") == 3


@pytest.mark.parametrize("words", [[], ["--files", "1", "--events", "1"]])
def test_files_or_events_must_be_given(words: list[str]) -> None:
    ended = CliRunner().invoke(jobprov, ["estimate", *words])

    assert ended.exit_code == 2
    assert "one of them" in ended.output
