"""`jobprov timeline` as a shifter types it."""

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.provenance.answers.tasks.timelines import Stretch, Timeline, TimelineRow
from jobprov.provenance.client import Client


def run(monkeypatch: pytest.MonkeyPatch, answer: Timeline, *words: str) -> Result:
    monkeypatch.setattr(Client, "timeline", lambda _self, _task, **_query: answer)
    return CliRunner().invoke(jobprov, ["timeline", "t1", "--url", "http://127.0.0.1:1", *words])


def timeline(*rows: TimelineRow, **more: object) -> Timeline:
    fields = {
        "task_id": "t1",
        "experiment": "nova",
        "campaign": None,
        "stage": None,
        "unit": "u1",
        "by": "attempt",
        "jobs": len(rows),
        "start": "2026-11-24T12:00:00Z",
        "end": "2026-11-24T16:00:00Z",
        "step_seconds": None,
        "rows": list(rows),
        "left_out": 0,
        **more,
    }
    return Timeline(**fields)


def test_an_attempt_is_a_line_of_queue_and_run(monkeypatch: pytest.MonkeyPatch) -> None:
    noon, two, three = (f"2026-11-24T{hour}:00:00Z" for hour in (12, 14, 15))
    attempt = TimelineRow(
        batch_id="7.0@sched01",
        state="failed",
        reason="bad input",
        stretches=[
            Stretch("idle", None, "idle", noon, two, 7200.0),
            Stretch("run", None, "failed", two, three, 3600.0),
            Stretch("step", "art", "failed", two, three, 3600.0),
        ],
    )

    done = run(monkeypatch, timeline(attempt), "--unit", "u1")

    first, heads, row = done.output.splitlines()
    assert first == "1 attempt from 2026-11-24 12:00:00 UTC to 2026-11-24 16:00:00 UTC:"
    assert heads.split() == [
        "STATE",
        "JOB",
        "WHEN",
        "QUEUED",
        "START",
        "TO",
        "END",
        "STEPS",
        "REASON",
    ]
    assert row.split("  ")[2] == "-" * 20 + "#" * 11
    assert "art 1 h (failed)" in row


def test_sites_are_lines_that_grow_denser(monkeypatch: pytest.MonkeyPatch) -> None:
    fnal = TimelineRow(name="FNAL", jobs=9, running=[9.0, 0.0, 0.1])
    nowhere = TimelineRow(name=None, jobs=4, running=[0.0, 4.5, 4.5])

    answer = timeline(fnal, nowhere, unit=None, by="site", step_seconds=60, jobs=13)
    rows = run(monkeypatch, answer).output.splitlines()[2:]

    assert rows[0].split() == ["FNAL", "@", ".", "9", "9.0"]
    assert rows[1].split() == ["no", "site", "==", "4", "4.5"]


def test_a_unit_is_not_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, timeline(), "--unit", "u1", "--by", "site")

    assert done.exit_code == 2
    assert "leave out --by" in done.output
