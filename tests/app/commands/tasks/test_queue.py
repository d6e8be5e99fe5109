"""`jobprov queue` as text: counts first, then what is held, stuck or slow."""

from typing import Any

import msgspec
from click.testing import CliRunner

from jobprov.app.commands.tasks.queue import queue, queue_text
from jobprov.provenance.answers.tasks.queue import Queue


def a_job(unit: str, state: str, **fields: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(
        (
            "job_id", "url", "step", "host", "site", "since", "seconds", "usual_seconds",
            "hold_reason", "memory_bytes", "requested_memory_bytes", "cpu_seconds", "progress",
        )
    )  # fmt: skip
    return {
        **nothing,
        "batch_id": "1.2@s",
        "task_id": "t1",
        "experiment": "nova",
        "unit": unit,
        "state": state,
        "source": "queue",
        "is_slow": False,
        "is_stuck": False,
        **fields,
    }


def an_answer(*jobs: dict[str, Any], **fields: Any) -> Queue:
    counts = {"idle": 3, "held": 1, "running": 120, "slow": 2, "stuck": 1, "announced": 0}
    document = {
        "task_id": "t1",
        "campaign": None,
        "experiment": "nova",
        "counts": counts,
        "sources": [
            {"schedd": "s", "as_of": "2026-11-28T18:00:00Z", "is_old": False, "left_out": 0}
        ],
        "warning": None,
        "jobs": list(jobs),
        "next": None,
        **fields,
    }
    return msgspec.convert(document, Queue)


def test_counts_stand_first_and_each_job_has_a_line() -> None:
    progress = {"events": 57, "events_per_second": 0.5, "log": "stdout", "heard_at": "x"}
    memory = {"memory_bytes": 2_100_000_000, "requested_memory_bytes": 2_000_000_000}
    place = {"site": "FNAL", "host": "wn1", "seconds": 7200.0}
    running = a_job("b", "running", is_stuck=True, progress=progress, **memory, **place)

    lines = queue_text(an_answer(a_job("a", "held", hold_reason="no map"), running)).splitlines()

    assert lines[0] == "120 running (2 slow, 1 stuck), 3 idle, 1 held."
    assert lines[1] == "As of 2026-11-28 18:00 UTC: queue of s"
    assert lines[3].split()[:2] == ["a", "held"]
    assert lines[3].endswith("no map")
    assert lines[4].startswith("b     running (stuck)  2 h")
    assert "FNAL/wn1" in lines[4]
    assert "2.1 GB of 2.0 GB" in lines[4]
    assert "57, 0.5 a second" in lines[4]


def test_reasons_stand_before_the_jobs() -> None:
    reasons = [{"words": "no map", "jobs": 12}, {"words": "", "jobs": 1}]

    lines = queue_text(an_answer(a_job("a", "held"), held_reasons=reasons)).splitlines()

    assert lines[2:4] == ["12 jobs held: no map", "1 job held: no reason given"]


def test_columns_that_no_job_fills_are_left_out() -> None:
    [title, _] = queue_text(an_answer(a_job("a", "idle"), sources=[])).splitlines()[1:]

    assert title.split() == ["UNIT", "STATE", "BATCH", "JOB"]


def test_warning_and_what_is_left_are_told() -> None:
    text = queue_text(an_answer(a_job("a", "idle"), warning="It is old.", next="5.1"))

    assert "Warning: It is old." in text
    assert "123 more jobs" in text


def test_task_and_campaign_together_are_refused() -> None:
    done = CliRunner().invoke(queue, ["t1", "--campaign", "c"])

    assert done.exit_code == 2
    assert "name TASK or --campaign, not both" in done.output
