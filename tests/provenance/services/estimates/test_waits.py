"""What single records say of waiting, and which jobs are read."""

import uuid
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from jobprov.provenance.db.tables import Job
from jobprov.provenance.services.estimates.waits import MOST_JOBS, RUNS, Wait, choose, read_waits
from tests.library.production import Production
from tests.library.records import job_id, record_of

QUEUED = {"queued_at": "2025-12-31T23:59:00Z"}


def waits_of(production: Production, *numbers: int) -> list[Wait]:
    with production.database.reading.connect() as connection:
        keys = {uuid.UUID(row[1]): row[0] for row in connection.execute(select(Job.id, Job.uuid))}
        return read_waits(
            connection, production.store, [keys[uuid.UUID(job_id(number))] for number in numbers]
        )


def step(role: str, start: int, end: int | None) -> dict[str, Any]:
    """Return a step from one second after midnight to another."""
    ended = f"2026-01-01T00:00:{end:02}Z" if end is not None else None
    return {
        "name": role,
        "role": role,
        "started_at": f"2026-01-01T00:00:{start:02}Z",
        "ended_at": ended,
    }


@pytest.mark.parametrize("count", [0, 1, MOST_JOBS])
def test_few_jobs_are_all_read(count: int) -> None:
    assert list(choose(count)) == list(range(count))


@pytest.mark.parametrize("count", [MOST_JOBS + 1, 1000, 50_000])
def test_of_many_jobs_runs_of_neighbours_are_read_from_first_to_last(count: int) -> None:
    chosen = list(choose(count))

    assert len(chosen) == len(set(chosen)) == MOST_JOBS
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert sum(after - before > 1 for before, after in pairwise(chosen)) <= RUNS - 1


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        ([step("stage_in", 1, 4), step("stage_in", 10, 12), step("payload", 12, 20)], 5.0),
        ([step("stage-in", 1, 4)], 3.0),
        ([step("payload", 1, 4)], 0.0),
        ([step("stage_in", 1, 4), step("stage_in", 10, None)], None),
        ([step("stage_in", 4, 1)], None),
        ([], None),
    ],
)
def test_stage_in_is_the_sum_of_its_steps_where_all_say_how_long(
    production: Production, steps: list[dict[str, Any]], seconds: float | None
) -> None:
    production.record(record_of(1, command={"steps": steps}))

    assert waits_of(production, 1) == [Wait(None, seconds)]


def test_a_clock_that_is_behind_makes_no_negative_queue(production: Production) -> None:
    production.record(
        record_of(1, batch={"queued_at": "2026-01-01T00:00:01Z"}), record_of(2, batch=QUEUED)
    )

    assert waits_of(production, 2, 1) == [Wait(60.0, None), Wait(0.0, None)]


def test_witnesses_tell_together(production: Production) -> None:
    told = record_of(1, command={"steps": [step("stage_in", 1, 4)]})
    production.record(
        told, record_of(1, witness="history", batch=QUEUED, started_at="2026-01-01T00:10:00Z")
    )

    assert waits_of(production, 1) == [Wait(60.0, 3.0)]


def test_the_newest_revision_counts(production: Production) -> None:
    production.record(record_of(1, batch=QUEUED))
    production.record(
        record_of(1, batch={"queued_at": "2025-12-31T23:58:00Z"}), reason="the clock was wrong"
    )

    assert waits_of(production, 1) == [Wait(120.0, None)]
