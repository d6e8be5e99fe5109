"""`jobprov throughput` as a shifter types it."""

import json
import re

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.provenance.answers.statistics.marks import Mark
from jobprov.provenance.answers.statistics.throughput import Spread, Throughput, ThroughputGroup
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import MISSING

STARTS = [f"2026-11-24T{hour}:00:00Z" for hour in (12, 13, 14)]


def run(monkeypatch: pytest.MonkeyPatch, answer: Throughput, *words: str) -> Result:
    monkeypatch.setattr(Client, "throughput", lambda _self, **_query: answer)
    return CliRunner().invoke(jobprov, ["throughput", "--url", "http://127.0.0.1:1", *words])


def three_hours(*groups: ThroughputGroup, **more: object) -> Throughput:
    fields = {
        "jobs": sum(group.jobs for group in groups),
        "by": "site",
        "measure": "jobs",
        "start": STARTS[0],
        "end": "2026-11-24T15:00:00Z",
        "step_seconds": 3600,
        "starts": STARTS,
        "groups": list(groups),
        "others": None,
        "newest_end": "2026-11-24T14:10:00Z",
        **more,
    }
    return Throughput(**fields)


def test_steps_in_which_something_ended_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    fnal = ThroughputGroup("FNAL", 12, 12.0, [10.0, 0.0, 2.0])
    cern = ThroughputGroup("CERN", 2, 2.0, [2.0, 0.0, 0.0])

    done = run(monkeypatch, three_hours(fnal, cern))

    first, heads, *rows = done.output.splitlines()
    assert done.exit_code == 0
    assert first == (
        "14 jobs ended from 2026-11-24 12:00 UTC to 2026-11-24 15:00 UTC; jobs every hour:"
    )
    assert heads.split() == ["FROM", "ALL", "FNAL", "CERN"]
    assert [row.split() for row in rows] == [
        ["2026-11-24", "12:00", "UTC", "#" * 24, "12", "10", "2"],
        ["2026-11-24", "14:00", "UTC", "#" * 4, "2", "2", MISSING],
    ]


def test_many_groups_leave_room_for_the_rest_in_one_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = [ThroughputGroup(f"s{place}", 2, 2.5, [2.5, 0.0, 0.0]) for place in range(9)]

    done = run(monkeypatch, three_hours(*groups, measure="cpu_hours"))

    heads, row = done.output.splitlines()[1:]
    assert heads.split()[-2:] == ["S5", "OTHERS"]
    assert row.split()[-1] == "7.50", "of three groups"
    assert row.split()[4] == "22.50", "of all"


def test_nothing_is_told_with_when_the_newest_job_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, three_hours())

    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "No job ended from 2026-11-24 12:00 UTC to 2026-11-24 15:00 UTC.",
        "The newest job ended 2026-11-24 14:10 UTC.",
    ]


def test_distributions_are_lines_of_a_step_and_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    spread = Spread([60.0, None, 5.0], [90.0, None, 5.0], [120.0, None, 5.0], [600.0, None, 5.0])
    fnal = ThroughputGroup("FNAL", 6, 5.0, [4.0, 0.0, 1.0], spread)

    done = run(monkeypatch, three_hours(fnal, measure="wall_seconds"))

    heads, *rows = done.output.splitlines()[1:]
    assert heads.split() == [
        "FROM",
        "SITE",
        "JOBS",
        "10",
        "%",
        "MEDIAN",
        "90",
        "%",
        "LARGEST",
    ]
    assert [row.split()[3:5] for row in rows] == [["FNAL", "4"], ["FNAL", "1"]]
    assert "1 min 30 s" in rows[0]


def test_the_answer_is_there_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = three_hours(ThroughputGroup(None, 1, 1.0, [1.0, 0.0, 0.0]))

    done = run(monkeypatch, answer, "--json")

    assert json.loads(done.output)["groups"] == [
        {"name": None, "jobs": 1, "total": 1.0, "amounts": [1.0, 0.0, 0.0]}
    ]
    assert not re.search("#", done.output)


def test_what_changed_follows_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = Mark(
        letter="A",
        at="2026-11-24T12:30:00Z",
        kind="release",
        experiment="nova",
        name="novasoft v2",
        words="first job of novasoft v2",
        jobs=12,
        url="/jobs",
    )
    group = ThroughputGroup("FNAL", 2, 2.0, [2.0, 0.0, 0.0])

    done = run(monkeypatch, three_hours(group, marks=[mark], marks_left_out=3))

    blank, heads, row, more = done.output.splitlines()[-4:]
    assert (blank, heads.split()) == (
        "",
        ["WHEN", "WHAT", "CHANGED", "EXPERIMENT", "JOBS"],
    )
    assert row.split() == [
        *("A", "2026-11-24", "12:30", "UTC", "first", "job", "of", "novasoft", "v2", "nova", "12")
    ]
    assert more == "3 less important changes are left out."


def test_what_queues_had_is_told_with_steps_that_are_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reco = ThroughputGroup("reco", 40, 24.0, [12.0, 0.0, 12.0], at_once=[40.0, None, 0.0])
    gen = ThroughputGroup("gen", 8, 24.0, [12.0, 0.0, 12.0], at_once=[8.0, None, 0.0])

    done = run(monkeypatch, three_hours(reco, gen, by="stage", measure="idle", jobs=48))

    first, heads, *rows, last = done.output.splitlines()
    assert done.exit_code == 0
    assert last == "None since 2026-11-24 14:00 UTC."
    assert first == (
        "48 idle jobs at once at most from 2026-11-24 12:00 UTC to 2026-11-24 15:00 UTC; "
        "on average over 1 h:"
    )
    assert heads.split() == ["FROM", "ALL", "RECO", "GEN"]
    assert [row.split()[3:] for row in rows] == [
        ["#" * 24, "48", "40", "8"],
        ["not", "known", MISSING, MISSING, MISSING],
        ["0", "0", "0"],
    ]


def test_no_queue_reported_is_exit_code_1_and_an_empty_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = ThroughputGroup("idle", 0, 36.0, [12.0, 12.0, 12.0], at_once=[0.0, 0.0, 0.0])

    nothing = run(monkeypatch, three_hours(by="state", measure="idle", jobs=0))
    starved = run(monkeypatch, three_hours(empty, by="state", measure="idle", jobs=0))

    assert nothing.exit_code == 1
    assert "No queue was reported from 2026-11-24 12:00" in nothing.output
    assert starved.exit_code == 0
    assert starved.output.startswith("0 idle jobs at once at most from")
