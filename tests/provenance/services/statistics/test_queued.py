"""How many jobs waited over time: samples of reports, their gaps, and what becomes of old ones."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from jobprov.provenance.answers.statistics.throughput import Throughput
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.tables import QueueSample, QueueSampleStage
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.statistics.throughput import count_throughput
from jobprov.provenance.services.tasks.queue_reports import (
    compare_report,
    read_report,
    take_queue_report,
)
from tests.library.production import Production
from tests.library.records import job_id

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def report(
    production: Production,
    at: datetime,
    *,
    schedd: str = "sched01",
    experiment: str = "nova",
    task: str = "t1",
    **states: int,
) -> None:
    """Have a queue reported that has so many jobs in each state."""
    jobs: list[dict[str, Any]] = []
    for state, count in states.items():
        for _ in range(count):
            number = len(jobs) + 1
            batch = f"{number}.0@{schedd}"
            jobs.append(
                {"batch_id": batch, "job_id": job_id(number), "task_id": task, "state": state}
            )
    report_jobs(production, at, jobs, schedd=schedd, experiment=experiment)


def report_jobs(
    production: Production,
    at: datetime,
    jobs: list[dict[str, Any]],
    *,
    schedd: str = "sched01",
    experiment: str = "nova",
) -> None:
    body = read_report(json.dumps({"experiment": experiment, "jobs": jobs}).encode())
    with production.database.reading.connect() as connection:
        compared = compare_report(connection, schedd, body, received_at=at)
    production.writer.run(
        lambda writing: take_queue_report(writing, schedd, body, compared), received_at=at
    )


def asked(
    production: Production,
    filters: JobFilters | None = None,
    *,
    hours: int = 3,
    now: datetime | None = None,
    **how: Any,
) -> Throughput:
    window = Window(NOON, NOON + hours * HOUR, HOUR)
    how = {"measure": "idle", **how}
    with production.database.reading.connect() as connection:
        return count_throughput(
            connection, filters or JobFilters(), window, now=now or window.end, **how
        )


def at_once(answer: Throughput) -> dict[str | None, list[float | None] | None]:
    return {group.name: group.at_once for group in answer.groups}


def samples(production: Production) -> list[tuple[int, float]]:
    """Return for how long each sample stands and how many jobs it has idle, the oldest first."""
    query = select(QueueSample.step_seconds, QueueSample.idle).order_by(QueueSample.start)
    with production.database.reading.connect() as connection:
        return [(seconds, idle) for seconds, idle in connection.execute(query)]


@pytest.mark.slow
def test_steps_without_a_report_are_not_known(production: Production) -> None:
    for minutes in range(0, 60, 5):
        report(production, NOON + minutes * MINUTE, idle=4 if minutes < 30 else 2, running=1)
    report(production, NOON + 2 * HOUR)

    answer = asked(production)

    assert at_once(answer) == {"idle": [3.0, pytest.approx(2.0), 0.0]}
    # The last report of the first hour holds until ten past; then nobody knows
    [group] = answer.groups
    assert group.amounts == [12, 1, 1]
    assert answer.jobs == 3
    report(production, NOON + 5 * HOUR, idle=1)
    later = asked(production, hours=6)
    assert at_once(later) == {"idle": [3.0, 2.0, 0.0, None, None, 1.0]}


def test_nothing_reported_is_no_group(production: Production) -> None:
    answer = asked(production)

    assert (answer.groups, answer.jobs) == ([], 0)


def test_a_report_holds_for_a_quarter_of_an_hour(production: Production) -> None:
    report(production, NOON - 10 * MINUTE, idle=6)
    report(production, NOON + 57 * MINUTE, idle=2)

    [group] = asked(production).groups

    # From noon until 12:05 there were 6, and from 12:55 on, where five minutes begin, 2
    assert group.at_once == [4.0, 2.0, None]


def test_of_five_minutes_the_first_report_is_kept(production: Production) -> None:
    report(production, NOON, idle=1)
    report(production, NOON + 4 * MINUTE, idle=9)
    report(production, NOON + 5 * MINUTE, idle=2)
    report(production, NOON + 5 * MINUTE, idle=2)

    assert samples(production) == [(0, 1.0), (0, 2.0)]


def test_all_that_waits_and_runs_is_told_by_state(production: Production) -> None:
    report(production, NOON, idle=3, held=2, running=1, removed=5)

    answer = asked(production, measure="queue", hours=1)

    assert at_once(answer) == {"running": [1.0], "idle": [3.0], "held": [2.0]}
    assert answer.jobs == 6
    assert at_once(asked(production, measure="held", hours=1)) == {"held": [2.0]}


def test_stages_are_told_apart_and_those_of_unknown_tasks_are_of_none(
    production: Production,
) -> None:
    production.declare("t1", units=["a"], campaign="c", stage="reco")
    production.declare("t2", units=["a"], campaign="d", stage="gen")
    jobs = []
    for number, task in enumerate(("t1", "t1", "t1", "t2", "t3"), 1):
        batch = f"{number}.0@sched01"
        jobs.append({"batch_id": batch, "job_id": job_id(number), "task_id": task, "state": "idle"})
    report_jobs(production, NOON, jobs)

    by_stage = asked(production, by="stage", hours=1)
    reco = asked(production, JobFilters(stage="reco"), hours=1)
    of_campaign = asked(production, JobFilters(experiment="nova", campaign="d"), hours=1)

    assert at_once(by_stage) == {"reco": [3.0], None: [1.0], "gen": [1.0]}
    assert by_stage.groups[0].name == "reco", "the largest first"
    assert at_once(reco) == {"idle": [3.0]}
    assert at_once(of_campaign) == {"idle": [1.0]}
    nothing = asked(production, JobFilters(stage="merge"), by="stage", hours=1)
    assert at_once(nothing) == {"merge": [0.0]}, "known to be none"


@pytest.mark.slow
def test_two_queues_are_known_together_only(production: Production) -> None:
    for minutes in range(0, 180, 5):
        report(production, NOON + minutes * MINUTE, idle=1)
        if minutes not in range(60, 120):
            report(production, NOON + minutes * MINUTE, schedd="other", idle=2)

    assert at_once(asked(production)) == {"idle": [3.0, pytest.approx(3.0), 3.0]}
    # the second hour is known for its first ten minutes alone
    window = Window(NOON + HOUR, NOON + 2 * HOUR, 10 * MINUTE)
    with production.database.reading.connect() as connection:
        found = count_throughput(connection, JobFilters(), window, measure="idle")
    assert at_once(found) == {"idle": [3.0, None, None, None, None, None]}


def test_a_queue_that_is_gone_for_a_day_is_missed_no_longer(production: Production) -> None:
    report(production, NOON - 2 * DAY, schedd="gone", idle=9)
    report(production, NOON, idle=1)

    assert at_once(asked(production, hours=1)) == {"idle": [1.0]}

    report(production, NOON - 20 * HOUR, schedd="gone", idle=9)
    assert asked(production, hours=1).groups == []


def test_what_queues_had_is_not_told_by_site_or_host(production: Production) -> None:
    with pytest.raises(BadInputError, match="by: of idle it is state or stage"):
        asked(production, by="site")
    with pytest.raises(BadInputError, match="host: idle is known of an experiment"):
        asked(production, JobFilters(host="wn1"))


@pytest.mark.slow
def test_old_samples_become_one_an_hour_then_one_a_day(production: Production) -> None:
    production.declare("t1", units=["a"], campaign="c", stage="reco")
    for minutes in range(0, 24 * 60, 30):
        report(production, NOON + minutes * MINUTE, idle=minutes // 30 % 2 * 4)
    before = asked(production, hours=24)

    report(production, NOON + 10 * DAY, idle=1)
    hours = samples(production)
    after = asked(production, hours=24, now=NOON + 10 * DAY)
    by_stage = asked(production, by="stage", hours=24, now=NOON + 10 * DAY)
    report(production, NOON + 100 * DAY, idle=1)
    days = samples(production)

    assert before.groups[0].at_once == [2.0] * 24
    assert hours == [(3600, 2.0)] * 24 + [(0, 1.0)]
    assert at_once(after) == {"idle": [2.0] * 24}
    assert at_once(by_stage) == {"reco": [2.0] * 24}
    assert days == [(86400, 2.0), (86400, 2.0), (86400, 1.0), (0, 1.0)]
    with production.database.reading.connect() as connection:
        rows = connection.execute(select(func.count()).select_from(QueueSampleStage)).scalar_one()
    assert rows == 4, "what was joined is gone"


def test_samples_outlive_the_reports_that_they_are_of(production: Production) -> None:
    report(production, NOON, idle=3)
    report(production, NOON + 30 * DAY, schedd="other", idle=1)

    assert at_once(asked(production, hours=1, now=NOON + 30 * DAY)) == {"idle": [3.0]}
