"""How long tasks still take, against sums by hand.

Six units in an hour are known to the square root of six: the band of a pace p is from p / (1 + 0.41)
to p / (1 - 0.41).
"""

from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

import pytest

from jobprov.provenance.answers.tasks.tasks import TaskProgress
from jobprov.provenance.services.tasks.campaigns import show_campaign
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from tests.library.production import Production
from tests.library.records import record_of

HOUR = 3600.0


def shown(production: Production) -> TaskProgress:
    with production.database.reading.connect() as connection:
        return show_task(connection, production.store, find_task(connection, "t1"))


def job(number: int, *, started: float, ended: float | None, **more: Any) -> dict[str, Any]:
    """Return the record of a job that started and ended so many minutes ago."""
    now = datetime.now(UTC)
    moments = {"started_at": (now - timedelta(minutes=started)).isoformat()}
    if ended is not None:
        moments["ended_at"] = (now - timedelta(minutes=ended)).isoformat()
    task = {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": f"f{number}.root"}
    fields: dict[str, Any] = {
        "task": task,
        "configurations": [],
        "inputs": [],
        "resources": {},
        **moments,
        **more,
    }
    record = record_of(number, **fields)
    if ended is None:
        record = {**record, "state": "running"}
        for of_the_end in ("ended_at", "exit", "outputs"):
            record.pop(of_the_end)
    return record


def record(production: Production, *records: dict[str, Any]) -> None:
    """Record jobs just now: what runs was heard of."""
    production.record(*records, received_at=datetime.now(UTC))


def declare(production: Production, units: int) -> None:
    production.declare("t1", campaign="c", stage="reco", units=units)


def test_pace_of_a_young_task_is_over_its_own_age(production: Production) -> None:
    """Ten units in ten minutes: the fifty minutes before did not exist."""
    declare(production, 70)
    record(
        production,
        *[job(number, started=11 - number, ended=10 - number) for number in range(1, 11)],
    )

    left = shown(production)

    assert left.seconds_left == pytest.approx(60 * 60, rel=0.01)
    assert left.seconds_left_low == pytest.approx(60 * 60 / (1 + 1 / sqrt(10)), rel=0.01)
    assert left.seconds_left_high == pytest.approx(60 * 60 / (1 - 1 / sqrt(10)), rel=0.01)


def test_pace_of_an_older_task_is_that_of_its_last_hour(production: Production) -> None:
    """What it did two hours ago, ten times as fast, no longer counts."""
    declare(production, 100)
    record(
        production,
        *[job(number, started=130 - number, ended=129 - number) for number in range(1, 61)],
        *[job(number, started=70, ended=10 * (number - 60) - 8) for number in range(61, 67)],
    )

    assert shown(production).seconds_left == pytest.approx(34 * HOUR / 6, rel=0.01)


def test_pauses_do_not_count(production: Production) -> None:
    """Half an hour before a night without jobs, and half an hour after it."""
    declare(production, 100)
    record(
        production,
        *[job(number, started=630 - 5 * number, ended=625 - 5 * number) for number in range(1, 7)],
        *[job(number, started=60 - 5 * number, ended=55 - 5 * number) for number in range(7, 12)],
    )

    left = shown(production)

    # Eleven units in 30 minutes and the last 25, as a night of ten hours does not count
    assert left.seconds_left == pytest.approx(89 * 55 * 60 / 11, rel=0.04)


def test_task_that_is_paused_now_keeps_its_pace(production: Production) -> None:
    declare(production, 20)
    record(
        production,
        *[job(number, started=400 - 6 * number, ended=394 - 6 * number) for number in range(1, 11)],
    )

    assert shown(production).seconds_left == pytest.approx(10 * 6 * 60, rel=0.02)


def test_short_gaps_between_jobs_are_part_of_the_pace(production: Production) -> None:
    """One job after the other, each five minutes long and five in the queue."""
    declare(production, 16)
    record(
        production,
        *[job(number, started=65 - 10 * number, ended=60 - 10 * number) for number in range(1, 7)],
    )

    assert shown(production).seconds_left == pytest.approx(10 * 55 * 60 / 6, rel=0.04)


def test_last_units_that_run_end_as_others_did(production: Production) -> None:
    """Nothing waits: the pace of the hour says nothing about one job that began a minute ago."""
    declare(production, 11)
    record(
        production,
        *[job(number, started=50, ended=20) for number in range(1, 10)],
        job(10, started=60, ended=20),
        job(11, started=10, ended=None),
    )

    left = shown(production)

    assert left.running == 1
    assert left.seconds_left == pytest.approx(20 * 60, rel=0.01)
    assert left.seconds_left_low == pytest.approx(20 * 60, rel=0.01)
    # One of ten took ten minutes longer
    assert left.seconds_left_high == pytest.approx(20 * 60, rel=0.01)


def test_more_jobs_end_later_than_one(production: Production) -> None:
    declare(production, 50)
    took = [10 + number / 2 for number in range(1, 41)]
    record(
        production,
        *[job(number, started=30 + took[number - 1], ended=30) for number in range(1, 41)],
        *[job(number, started=5, ended=None) for number in range(41, 51)],
    )

    left = shown(production)

    assert left.seconds_left is not None
    assert left.seconds_left_low is not None
    assert left.seconds_left_high is not None
    # One alone would take 15 minutes more, half of those that took 10 to 30
    assert 20 * 60 < left.seconds_left < 25 * 60
    assert left.seconds_left_low < left.seconds_left < left.seconds_left_high


def test_job_that_runs_longer_than_any_before_says_nothing(production: Production) -> None:
    declare(production, 11)
    record(
        production,
        *[job(number, started=90, ended=80) for number in range(1, 11)],
        job(11, started=70, ended=None),
    )

    left = shown(production)

    assert (left.running, left.seconds_left) == (1, None)


def test_end_beyond_the_calendar_is_left_out(production: Production) -> None:
    """Jobs that recorded nanoseconds as seconds: no year has five digits."""
    declare(production, 11)
    resources = {"wall_seconds": 3.6e12}
    record(
        production,
        *[job(number, started=90, ended=30, resources=resources) for number in range(1, 11)],
        job(11, started=20, ended=None),
    )

    left = shown(production)

    assert left.seconds_left == pytest.approx(3.6e12)
    assert left.backlog is not None
    assert left.backlog.ends_at is None


def test_task_takes_no_less_than_what_runs(production: Production) -> None:
    """Two units wait for a short time, but a job that takes two hours has just begun."""
    declare(production, 13)
    record(
        production,
        *[job(number, started=150, ended=30 - number) for number in range(1, 11)],
        job(11, started=1, ended=None),
    )

    left = shown(production)

    assert left.running == 1
    assert left.seconds_left is not None
    assert left.seconds_left > 2 * HOUR


def test_too_few_units_give_no_pace(production: Production) -> None:
    declare(production, 50)
    record(production, *[job(number, started=30, ended=10) for number in range(1, 5)])

    left = shown(production)

    assert (left.seconds_left, left.seconds_left_low, left.seconds_left_high) == (None, None, None)


def test_campaign_has_the_same_band(production: Production) -> None:
    declare(production, 70)
    record(
        production,
        *[job(number, started=11 - number, ended=10 - number) for number in range(1, 11)],
    )

    with production.database.reading.connect() as connection:
        campaign = show_campaign(connection, production.store, "nova", "c")

    assert campaign.seconds_left == pytest.approx(60 * 60, rel=0.01)
    assert campaign.seconds_left_low is not None
    assert campaign.seconds_left_high is not None
    assert campaign.seconds_left_low < campaign.seconds_left < campaign.seconds_left_high
