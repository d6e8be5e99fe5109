"""Estimates of a recorded chain, against sums by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.estimates.estimates import estimate
from jobprov.provenance.services.statistics.resources import sum_resources
from jobprov.provenance.services.upkeep.sealing import seal_ledger
from tests.library.production import Production
from tests.library.records import record_of


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield ten files of stage gen, an hour each, one tried twice.

    Merged five to one in half an hour each.
    """
    made = Production(database, open_store("memory:"), tmp_path)

    def record(number: int, stage: str, unit: str, seconds: float, **more: Any) -> dict[str, Any]:
        hours = {
            "started_at": f"2026-01-01T{number % 6:02}:00:00Z",
            "ended_at": f"2026-01-01T{number % 6:02}:30:00Z",
        }
        resources = {
            "wall_seconds": seconds,
            "cpu_user_seconds": seconds * 0.8,
            "cpu_system_seconds": seconds * 0.1,
        }
        task = {"task_id": f"t-{stage}", "campaign": "c", "stage": stage, "unit": unit}
        return record_of(
            number, task=task, resources=resources, configurations=[], inputs=[], **hours, **more
        )

    def output(number: int, size: int, events: int) -> list[dict[str, Any]]:
        return [{"name": f"o{number}.root", "size_bytes": size, "event_count": events}]

    made.record(
        *[record(n, "gen", f"u{n}", 3600, outputs=output(n, 1000, 50)) for n in range(1, 11)],
        record(11, "gen", "u10", 1800, state="failed", exit={"code": 1}, outputs=[]),
        record(21, "merge", "m1", 1800, outputs=output(21, 5000, 250)),
        record(22, "merge", "m2", 1800, outputs=output(22, 5000, 250)),
    )
    yield made
    made.close()


def estimated(production: Production, **how: Any) -> dict[str, Any]:
    filters = {name: how.pop(name) for name in ("stage", "campaign", "host") if name in how}
    with production.database.reading.connect() as connection:
        answer = estimate(connection, production.store, JobFilters(**filters), **how)
    builtins: dict[str, Any] = msgspec.to_builtins(answer)
    return builtins


def test_chain_is_estimated_stage_by_stage(production: Production) -> None:
    found = estimated(production, campaign="c", files=100, slots=10)

    gen, merge = found["stages"]
    assert (gen["stage"], gen["units"], merge["stage"], merge["units"]) == ("gen", 100, "merge", 20)
    assert gen["slot_hours"]["expected"] == pytest.approx(100 * 10.5 / 10)
    assert gen["cpu_hours"]["expected"] == pytest.approx(0.9 * 105)
    assert gen["slot_hours"]["low"] < 105 < gen["slot_hours"]["high"]
    assert gen["attempts_a_unit"] == pytest.approx(1.1)
    assert (gen["output_bytes"], merge["output_bytes"]) == (100_000, 100_000)
    assert merge["slot_hours"]["expected"] == pytest.approx(10)
    assert found["total"]["slot_hours"]["expected"] == pytest.approx(115)
    assert 10.5 < gen["wall_hours"]["expected"] < 12


def test_time_keeps_its_spread_with_a_slot_for_each_unit(production: Production) -> None:
    for slots in (1, 10, 100, 10_000):
        [gen] = estimated(production, stage="gen", files=100, slots=slots)["stages"]

        assert gen["wall_hours"]["low"] < gen["wall_hours"]["expected"] < gen["wall_hours"]["high"]


def test_unit_that_hung_counts_in_the_hours_and_not_in_the_time(production: Production) -> None:
    before = estimated(production, stage="gen", files=100, slots=100)["stages"][0]
    task = {"task_id": "t-gen", "campaign": "c", "stage": "gen", "unit": "u11"}
    hung = {"wall_seconds": 86_400, "cpu_user_seconds": 1}
    production.record(record_of(31, task=task, resources=hung, configurations=[], outputs=[]))

    [gen] = estimated(production, stage="gen", files=100, slots=100)["stages"]

    assert gen["wall_hours"] == pytest.approx(before["wall_hours"], rel=0.01)
    assert gen["slot_hours"]["expected"] == pytest.approx(100 * (10.5 + 24) / 11)
    assert gen["unit_times"]["median_hours"] == 1
    assert gen["unit_times"]["p99_hours"] is None, "of fewer than a hundred units nobody knows"
    assert (gen["unit_times"]["hung"], gen["unit_times"]["hung_hours"]) == (1, 24)
    assert before["unit_times"]["hung"] == 0


def test_attempts_that_measured_nothing_count_from_start_to_end(production: Production) -> None:
    task = {"task_id": "t-gen", "campaign": "c", "stage": "gen", "unit": "u9"}
    production.record(
        record_of(31, task=task, state="killed", exit={"signal": 9}, outputs=[], configurations=[])
    )

    [gen] = estimated(production, stage="gen", files=10)["stages"]

    assert gen["attempts_a_unit"] == pytest.approx(1.2)
    assert gen["slot_hours"]["expected"] == pytest.approx(11.5), "an hour more"


def test_events_are_turned_into_units_of_the_first_stage(production: Production) -> None:
    assert [stage["units"] for stage in estimated(production, events=1000)["stages"]] == [20, 4]
    assert [
        stage["units"] for stage in estimated(production, stage="merge", events=1000)["stages"]
    ] == [4]


@pytest.mark.parametrize("how", [{}, {"files": 1, "events": 1}])
def test_files_or_events_are_asked_for(production: Production, how: dict[str, int]) -> None:
    with pytest.raises(BadInputError, match="one of them"):
        estimated(production, **how)


def test_jobs_that_wrote_nothing_count_and_unknown_numbers_of_events_are_not_zero(
    production: Production,
) -> None:
    def more(number: int, outputs: list[dict[str, Any]]) -> dict[str, Any]:
        task = {"task_id": "t-gen", "campaign": "c", "stage": "gen", "unit": f"u{number}"}
        return record_of(
            number, task=task, resources={"wall_seconds": 3600}, configurations=[], outputs=outputs
        )

    production.record(
        *[more(number, []) for number in range(31, 36)],
        *[
            more(number, [{"name": f"n{number}.root", "size_bytes": 1000}])
            for number in range(36, 41)
        ],
    )

    [by_files] = estimated(production, stage="gen", files=20)["stages"]
    [by_events] = estimated(production, stage="gen", events=500)["stages"]

    assert by_files["output_bytes"] == 15_000, "of twenty jobs, five wrote nothing"
    assert by_events["units"] == 10, "fifty events each of those that say it"


def test_files_that_claim_the_largest_size_there_is_are_summed(production: Production) -> None:
    """SQLite refuses a sum of integers past 64 bits."""
    task = {"task_id": "t-gen", "campaign": "c", "stage": "gen", "unit": "huge"}
    outputs = [
        {"name": f"{name}.root", "size_bytes": 2**63 - 1, "event_count": 2**63 - 1} for name in "ab"
    ]
    production.record(
        record_of(
            32, task=task, outputs=outputs, configurations=[], resources={"wall_seconds": 3600}
        )
    )

    [gen] = estimated(production, stage="gen", files=10)["stages"]

    assert gen["output_bytes"] > 2**63
    with production.database.reading.connect() as connection:
        sizes = sum_resources(connection, JobFilters(), by="stage").groups
    assert {group.name for group in sizes} >= {"gen"}


def test_nothing_is_learnt_from_no_job(production: Production) -> None:
    with pytest.raises(NotFoundError, match="Nothing to learn from"):
        estimated(production, host="none", files=1)


def waiting(
    number: int, unit: str, *, queued: int, staged: int | None, **more: Any
) -> dict[str, Any]:
    """Return the record of a job of stage `sim` that started at one o'clock.

    It was in the queue for so many seconds.
    """
    steps: list[dict[str, Any]] = [{"name": "art", "role": "payload"}]
    if staged is not None:
        ended = f"2026-01-01T01:{staged // 60:02}:{staged % 60:02}Z"
        steps.insert(
            0,
            {
                "name": "cp",
                "role": "stage_in",
                "started_at": "2026-01-01T01:00:00Z",
                "ended_at": ended,
            },
        )
    fields: dict[str, Any] = {
        "task": {"task_id": "t-sim", "campaign": "w", "stage": "sim", "unit": unit},
        "started_at": "2026-01-01T01:00:00Z",
        "ended_at": "2026-01-01T02:00:00Z",
        "batch": {"queued_at": f"2026-01-01T00:{59 - queued // 60:02}:{60 - queued % 60:02}Z"},
        "command": {"steps": steps},
        "configurations": [],
        "inputs": [],
        "outputs": [],
    }
    return record_of(number, **{**fields, **more})


def test_queue_and_stage_in_are_told_apart_from_the_hours(production: Production) -> None:
    production.record(
        *[waiting(40 + n, f"s{n}", queued=n * 10, staged=n * 20) for n in range(1, 6)]
    )

    found = estimated(production, campaign="w", files=100)

    [sim] = found["stages"]
    assert sim["queue"]["median_hours"] == pytest.approx(30 / 3600)
    assert sim["queue"]["p10_hours"] == pytest.approx(14 / 3600)
    assert sim["queue"]["p90_hours"] == pytest.approx(46 / 3600)
    assert sim["stage_in"]["median_hours"] == pytest.approx(60 / 3600)
    assert sim["stage_in"]["learnt_from"] == {"jobs": 5, "read": 5}
    assert sim["stage_in_hours"]["expected"] == pytest.approx(100 * 60 / 3600)
    assert sim["stage_in_hours"]["low"] < 100 * 60 / 3600 < sim["stage_in_hours"]["high"]
    assert sim["slot_hours"]["expected"] == pytest.approx(100), (
        "stage-in is part of it, and the queue is not"
    )
    assert found["total"]["queue"]["median_hours"] == pytest.approx(30 / 3600)


def test_what_jobs_do_not_say_of_waiting_is_unknown(production: Production) -> None:
    found = estimated(production, campaign="c", files=100)

    assert [
        (stage["queue"], stage["stage_in"], stage["stage_in_hours"]) for stage in found["stages"]
    ] == [(None,) * 3] * 2
    assert (
        found["total"]["queue"],
        found["total"]["stage_in"],
        found["total"]["stage_in_hours"],
    ) == (None,) * 3


def test_later_starts_of_a_batch_job_say_nothing_of_its_queue(production: Production) -> None:
    restarted = {"queued_at": "2026-01-01T00:00:00Z", "attempt": 2}
    production.record(
        waiting(41, "s1", queued=20, staged=None),
        waiting(42, "s2", queued=20, staged=None, batch=restarted),
    )

    [sim] = estimated(production, campaign="w", files=1)["stages"]

    assert sim["queue"]["learnt_from"] == {"jobs": 1, "read": 2}
    assert sim["queue"]["p90_hours"] == pytest.approx(20 / 3600)


def test_waits_of_a_chain_add_up_over_the_stages_that_say_them(production: Production) -> None:
    later = {"task": {"task_id": "t-hist", "campaign": "w", "stage": "hist", "unit": "h1"}}
    production.record(
        waiting(41, "s1", queued=30, staged=30),
        waiting(42, "h1", queued=12, staged=None, command=None, **later),
    )

    total = estimated(production, campaign="w", files=1)["total"]

    assert total["queue"]["median_hours"] == pytest.approx(42 / 3600)
    assert total["queue"]["learnt_from"] == {"stages": 2}
    assert total["stage_in"]["learnt_from"] == {"stages": 1}


@pytest.mark.slow
def test_sealed_records_say_the_same(production: Production) -> None:
    production.record(
        *[waiting(40 + n, f"s{n}", queued=n * 10, staged=n * 20) for n in range(1, 6)]
    )
    before = estimated(production, campaign="w", files=100)

    sealed = seal_ledger(production.database, production.writer, production.store)

    assert sealed.entries
    assert estimated(production, campaign="w", files=100) == before
