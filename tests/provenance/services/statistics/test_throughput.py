"""What ended when, against numbers by hand, and which windows there are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from jobprov.provenance.answers.statistics.throughput import Throughput
from jobprov.provenance.db.queries.fragments.steps import within
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.tables import Job
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.statistics.resources import quantile
from jobprov.provenance.services.statistics.throughput import (
    MOST_GROUPS,
    MOST_STEPS,
    Window,
    count_throughput,
    read_window,
    words_of_length,
)
from tests.library.production import Production
from tests.library.records import job_id, record_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def job(number: int, ended: datetime, *, stage: str = "gen", **more: Any) -> dict[str, Any]:
    fields = {
        "task": {"task_id": stage, "stage": stage},
        "started_at": (ended - HOUR).isoformat(),
        "ended_at": ended.isoformat(),
        "outputs": [{"name": f"o{number}.root", "size_bytes": 9, "event_count": 100 * number}],
        "resources": {"wall_seconds": 60.0, "cpu_user_seconds": 1800.0},
        "inputs": [],
        "configurations": [],
        **more,
    }
    return record_of(number, **fields)


@pytest.fixture
def three_hours(production: Production) -> Production:
    """Return three jobs in the first hour of the window, none in the second, two in the third.

    One of them failed. Two more ended just outside.
    """
    failed = {"state": "failed", "exit": {"code": 1}, "outputs": []}
    production.record(
        job(1, NOON, host={"hostname": "n0"}),
        job(2, NOON + timedelta(minutes=59, seconds=59), host={"hostname": "n0"}),
        job(3, NOON + timedelta(minutes=30), host={"hostname": "n0"}, **failed),
        job(4, NOON + 2 * HOUR, stage="reco", host={"hostname": "n1", "site": "FNAL"}),
        job(5, NOON + 2.5 * HOUR, stage="reco", host={"hostname": "n2", "site": "CERN"}),
        job(6, NOON - timedelta(seconds=1)),
        job(7, NOON + 3 * HOUR),
    )
    return production


THREE_HOURS = Window(NOON, NOON + 3 * HOUR, HOUR)


def counted(production: Production, filters: JobFilters | None = None, **how: Any) -> Throughput:
    with production.database.reading.connect() as connection:
        return count_throughput(connection, filters or JobFilters(), THREE_HOURS, **how)


def amounts(throughput: Throughput) -> dict[str | None, list[float]]:
    return {group.name: group.amounts for group in throughput.groups}


def test_jobs_count_in_the_step_in_which_they_ended(three_hours: Production) -> None:
    answer = counted(three_hours)

    assert amounts(answer) == {"succeeded": [2, 0, 2], "failed": [1, 0, 0]}
    assert answer.jobs == 5
    assert answer.starts == [
        "2026-11-24T12:00:00Z",
        "2026-11-24T13:00:00Z",
        "2026-11-24T14:00:00Z",
    ]
    assert (answer.start, answer.end) == ("2026-11-24T12:00:00Z", "2026-11-24T15:00:00Z")
    assert answer.step_seconds == 3600
    assert answer.newest_end == "2026-11-24T15:00:00Z"


def test_job_that_ended_by_a_clock_that_is_ahead_is_not_the_newest(
    three_hours: Production,
) -> None:
    """The page offers the week before the newest end, where nothing is in a window."""
    answer = counted(three_hours, now=NOON + 2.9 * HOUR)

    assert answer.newest_end == "2026-11-24T14:30:00Z"


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("stage", {"gen": [3, 0, 0], "reco": [0, 0, 2]}),
        ("site", {None: [3, 0, 0], "CERN": [0, 0, 1], "FNAL": [0, 0, 1]}),
    ],
)
def test_jobs_are_told_apart_by_stage_or_site(
    three_hours: Production, by: str, groups: dict[str | None, list[float]]
) -> None:
    assert amounts(counted(three_hours, by=by)) == groups


@pytest.mark.parametrize(
    ("measure", "first_hour"),
    [("files", 2), ("events", 300), ("cpu_hours", 1.5)],
)
def test_other_measures_are_summed(
    three_hours: Production, measure: str, first_hour: float
) -> None:
    answer = counted(three_hours, measure=measure)

    assert sum(group.amounts[0] for group in answer.groups) == pytest.approx(first_hour)
    assert answer.jobs == 5, "a job with files counts once"


def test_two_outputs_of_a_job_are_one_job(production: Production) -> None:
    outputs = [{"name": f"{name}.root", "size_bytes": 9, "event_count": 10} for name in "ab"]
    production.record(job(1, NOON, outputs=outputs))

    answer = counted(production, measure="events")

    assert (answer.jobs, answer.groups[0].jobs, answer.groups[0].total) == (1, 1, 20)


def test_classes_of_failure_count_failed_jobs_alone(three_hours: Production) -> None:
    answer = counted(three_hours, by="class")

    assert answer.jobs == 1
    assert sum(map(sum, amounts(answer).values())) == 1


def test_filters_narrow_what_is_counted(three_hours: Production) -> None:
    answer = counted(three_hours, JobFilters(stage="reco", site="CERN"))

    assert amounts(answer) == {"succeeded": [0, 0, 1]}


def test_a_rerun_of_a_recorded_job_is_no_production(production: Production) -> None:
    first = job(1, NOON)
    production.record(first, job(2, NOON, rerun_of=first["job_id"]))

    assert counted(production).jobs == 1


def test_smaller_groups_are_one(production: Production) -> None:
    stages = MOST_GROUPS + 3
    jobs = [job(1 + place, NOON, stage=f"stage{place:02}") for place in range(stages)]
    production.record(*jobs, job(100, NOON, stage="stage14"))

    answer = counted(production, by="stage")

    assert answer.groups[0].name == "stage14"
    assert len(answer.groups) == MOST_GROUPS
    assert answer.others is not None
    assert (answer.others.jobs, answer.others.amounts) == (3, [3, 0, 0])


def test_a_late_record_counts_where_it_ended(three_hours: Production) -> None:
    three_hours.record(job(8, NOON + HOUR))

    assert amounts(counted(three_hours))["succeeded"] == [2, 1, 2]


def running(production: Production, window: Window = THREE_HOURS, **how: Any) -> Throughput:
    """Return how many jobs ran at once, a day later."""
    now = NOON + timedelta(days=1)
    with production.database.reading.connect() as connection:
        return count_throughput(connection, JobFilters(), window, measure="running", now=now, **how)


def test_jobs_count_as_running_for_the_part_of_a_step_in_which_they_ran(
    production: Production,
) -> None:
    """The first ran from before the window into its second hour, the second after its end."""
    production.record(
        job(1, NOON + 1.5 * HOUR, started_at=(NOON - 2 * HOUR).isoformat()),
        job(2, NOON + 9 * HOUR, started_at=(NOON + 2.25 * HOUR).isoformat(), stage="reco"),
        job(3, NOON + 0.5 * HOUR, started_at=(NOON + 0.25 * HOUR).isoformat()),
        job(4, NOON, started_at=(NOON - HOUR).isoformat()),
        job(5, NOON + HOUR, started_at=(NOON + 2 * HOUR).isoformat()),
        job(6, NOON + HOUR, started_at=NOON.isoformat(), rerun_of=job_id(1)),
    )

    answer = running(production, by="stage")

    assert amounts(answer) == {"gen": [1.25, 0.5, 0], "reco": [0, 0, 0.75]}
    assert answer.jobs == 4, "the fourth ended as the window began"


def test_what_still_runs_ran_until_now_and_what_is_silent_is_left_out(
    production: Production,
) -> None:
    now = NOON + 2.5 * HOUR
    for number, heard_at in ((1, now), (2, now - timedelta(days=2))):
        record = job(number, NOON + HOUR, state="running")
        for of_the_end in ("ended_at", "exit", "outputs"):
            record.pop(of_the_end)
        production.record(record, received_at=heard_at)

    with production.database.reading.connect() as connection:
        answer = count_throughput(connection, JobFilters(), THREE_HOURS, measure="running", now=now)

    assert amounts(answer) == {"running": [1, 1, 1]}, "of the last step the half that is over"


@pytest.mark.slow
def test_corrections_and_erasures_count_where_jobs_ran_and_what_they_took(
    production: Production,
) -> None:
    production.record(job(1, NOON + HOUR), job(2, NOON + HOUR))
    assert amounts(running(production)) == {"succeeded": [2, 0, 0]}

    longer = job(1, NOON + 2 * HOUR, resources={"wall_seconds": 7.0})
    production.record(longer, reason="the clock was wrong")
    production.erase_record(2, fields=("resources",))

    assert amounts(running(production)) == {"succeeded": [1, 1, 0]}
    [group] = counted(production, measure="wall_seconds").groups
    assert group.spread is not None
    assert group.spread.largest == [None, None, 7.0]


def test_distributions_are_those_of_the_values_of_each_step(production: Production) -> None:
    taken = [600.0, 60.0, 240.0, 120.0, 480.0]
    jobs = []
    for number, seconds in enumerate(taken, start=1):
        jobs.append(job(number, NOON, resources={"wall_seconds": seconds}))
    jobs.append(job(8, NOON, resources={}))
    jobs.append(job(9, NOON + HOUR, resources={"wall_seconds": 7.0}))
    production.record(*jobs)

    [group] = counted(production, measure="wall_seconds").groups

    assert group.amounts == [5, 1, 0], "one does not say it"
    assert group.jobs == 7
    assert group.spread is not None
    values = sorted(taken)
    for share, told in (
        (0.1, group.spread.p10),
        (0.5, group.spread.median),
        (0.9, group.spread.p90),
    ):
        assert told == [pytest.approx(quantile(values, share)), 7.0, None]
    assert group.spread.largest == [600.0, 7.0, None]


def test_distribution_of_smaller_groups_is_of_their_jobs_together(
    production: Production,
) -> None:
    jobs = []
    for place in range(MOST_GROUPS + 2):
        for number in range(2 if place < MOST_GROUPS else 1):
            memory = {"max_rss_bytes": 1000 * (place + 1)}
            name = f"stage{place:02}"
            jobs.append(job(1 + 10 * place + number, NOON, stage=name, resources=memory))
    production.record(*jobs)

    answer = counted(production, by="stage", measure="max_rss_bytes")

    assert answer.others is not None
    assert answer.others.spread is not None
    assert answer.others.spread.median[0] == 1000 * (MOST_GROUPS + 1.5)
    assert answer.groups[3].spread is not None
    assert answer.groups[3].spread.median == [4000.0, None, None]


def test_nothing_is_counted_where_no_job_is(production: Production) -> None:
    answer = counted(production)

    assert (answer.jobs, answer.groups, answer.others, answer.newest_end) == (0, [], None, None)


NOW = datetime(2026, 11, 29, 11, 35, 10, tzinfo=UTC)


def test_a_week_by_the_hour_is_the_window_of_who_names_none() -> None:
    window = read_window(NOW)

    assert window.step == HOUR
    assert window.end == datetime(2026, 11, 29, 12, tzinfo=UTC), "the last step still goes on"
    assert window.start == datetime(2026, 11, 22, 11, tzinfo=UTC)
    assert window.step_count == len(window.starts) == 169


@pytest.mark.parametrize(
    ("since", "step"),
    [("1h", "1m"), ("24h", "10m"), ("28d", "6h"), ("364d", "7d"), ("520w", "28d")],
)
def test_steps_become_longer_with_the_window(since: str, step: str) -> None:
    assert words_of_length(read_window(NOW, since=since).step) == step


def test_both_ends_can_be_given() -> None:
    window = read_window(NOW, start=NOON, end=NOON + 90 * timedelta(minutes=1), step="1h")

    assert (window.start, window.end, window.step_count) == (NOON, NOON + 2 * HOUR, 2)


def test_a_window_longer_than_time_begins_in_1970() -> None:
    assert read_window(NOW, since="9999w", step="364d").start.year in {1969, 1970}


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"since": "soon"}, "since", "'soon' is not a length of time such as 90m"),
        ({"since": "0d"}, "since", "not a length of time"),
        ({"step": "1s"}, "step", "not a length of time"),
        ({"since": "5200w", "step": "1m"}, "step", "28d or more would do"),
        ({"since": "1d", "start": NOON}, "since", "either this or ended_after"),
        ({"start": NOW + HOUR}, "ended_after", "ends before it starts"),
    ],
)
def test_windows_that_make_no_sense_name_the_field(
    asked: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        read_window(NOW, **asked)

    assert list(caught.value.fields) == [field]


def test_a_hundred_years_in_seconds_are_refused() -> None:
    with pytest.raises(BadInputError, match=f"more than {MOST_STEPS} steps"):
        read_window(NOW, start=NOW - timedelta(days=36525), step="1m")


@pytest.mark.parametrize("measure", ["jobs", "running", "wall_seconds", "events"])
def test_short_window_has_what_it_has_in_a_long_one(production: Production, measure: str) -> None:
    """A long one is read with the whole table, a short one by the index of times."""
    ended = [NOON + place * HOUR for place in range(20)]
    states: list[dict[str, Any]] = [{}, {"state": "failed", "exit": {"code": 1}, "outputs": []}]
    jobs = [job(place + 1, end, **states[place % 2]) for place, end in enumerate(ended)]
    production.record(*jobs)
    long = Window(NOON, NOON + 20 * HOUR, HOUR)

    with production.database.reading.connect() as connection:
        nova = JobFilters(experiment="nova")
        whole = count_throughput(connection, nova, long, measure=measure)
        for place in range(3, 17):
            short = Window(NOON + place * HOUR, NOON + (place + 2) * HOUR, HOUR)
            part = count_throughput(connection, JobFilters(), short, measure=measure)
            expected = {}
            for group in whole.groups:
                spread = group.spread and group.spread.median[place : place + 2]
                expected[group.name] = (group.amounts[place : place + 2], spread)
            shown = {}
            for group in part.groups:
                shown[group.name] = (group.amounts, group.spread and group.spread.median)
            assert shown == expected


@pytest.mark.parametrize("measure", ["jobs", "running", "wall_seconds", "events"])
def test_a_step_may_be_a_century(three_hours: Production, measure: str) -> None:
    """It has more seconds than an integer of PostgreSQL."""
    window = read_window(NOW, step="36500d")

    with three_hours.database.reading.connect() as connection:
        answer = count_throughput(connection, JobFilters(), window, measure=measure)

    assert len(answer.starts) == 1
    assert answer.step_seconds == 36500 * 86400
    assert answer.jobs > 0


def test_table_is_read_through_for_much_of_it_alone(production: Production) -> None:
    production.record(*[job(place, NOON + place * HOUR) for place in range(1, 21)])
    if not production.database.is_sqlite:
        pytest.skip("PostgreSQL knows by its statistics how much of a table a window has")

    plans = []
    with production.database.reading.connect() as connection:
        for hours in (2, 19):
            window = Window(NOON, NOON + hours * HOUR, HOUR)
            for is_of_all in (True, False):
                ended = within(connection, Job.ended_at, window, is_of_all=is_of_all)
                query = select(func.sum(Job.state)).where(*ended)
                text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
                plans.append(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()[0][3])

    assert [plan.split(" USING")[0] for plan in plans] == [
        "SEARCH jobs",
        "SEARCH jobs",
        "SCAN jobs",
        "SEARCH jobs",
    ]
