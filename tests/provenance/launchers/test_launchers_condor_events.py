"""User event logs that are not of one job, one year or one clock.

Late materialization, recurring numbers, UTC, requeued jobs.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor.attempts import Collection
from jobprov.provenance.launchers.condor.events import attempts_of, read_events
from jobprov.provenance.launchers.condor.record import record_of


@pytest.fixture
def chicago(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put this machine into a zone that has summer time."""
    monkeypatch.setenv("TZ", "America/Chicago")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def event(number: int, moment: str, *lines: str, job: str = "7.000") -> str:
    return f"{number:03d} ({job}.000) {moment} " + "\n\t".join(lines) + "\n...\n"


def records(*events: str) -> dict[tuple[str, int], dict[str, Any]]:
    collection = Collection()
    collection.add(
        attempts_of(read_events("".join(events).splitlines(keepends=True), "log"), schedd="s"),
        "events",
    )
    return {key: record_of(attempt, "toy") for key, attempt in collection.attempts.items()}


def ended(events: list[str]) -> list[tuple[str, dict[str, Any]]]:
    return [(record["state"], record["exit"]) for record in records(*events).values()]


DONE = ("Job terminated.", "(1) Normal termination (return value 0)")


def test_events_of_a_cluster_that_is_materialized_late_are_of_no_job() -> None:
    found = records(
        event(35, "2026-05-01 10:00:00", "Cluster submitted from host: <x>", job="7.-01"),
        event(0, "2026-05-01 10:00:01", "Job submitted from host: <x>"),
        event(1, "2026-05-01 10:01:00", "Job executing on host: <x>"),
        event(5, "2026-05-01 10:02:00", *DONE),
        event(
            36,
            "2026-05-01 10:02:01",
            "Cluster removed",
            "Materialized 1 jobs from 1 items.",
            job="7.-01",
        ),
    )

    assert [record["state"] for record in found.values()] == ["succeeded"]


def test_number_that_is_submitted_again_is_another_job() -> None:
    """A schedd that lost its queue counts from 1 again, into the same log."""
    lives = [
        (
            event(0, f"2026-05-0{day} 10:00:00", "Job submitted from host: <x>"),
            event(1, f"2026-05-0{day} 10:01:00", "Job executing on host: <x>"),
            event(
                5,
                f"2026-05-0{day} 10:02:00",
                "Job terminated.",
                f"(1) Normal termination (return value {day})",
            ),
        )
        for day in (1, 2)
    ]

    found = records(*lives[0], *lives[1])

    assert [(number, record["exit"]["code"]) for (_, number), record in found.items()] == [
        (1, 1),
        (1, 2),
    ]
    assert [record["batch"]["queued_at"][:10] for record in found.values()] == [
        "2026-05-01",
        "2026-05-02",
    ]


@pytest.mark.usefixtures("chicago")
@pytest.mark.parametrize(
    ("moment", "hour"),
    [("2026-05-01 10:00:00", 15), ("2026-05-01 10:00:00Z", 10), ("2026-05-01T10:00:00.123Z", 10)],
)
def test_time_in_utc_is_not_read_as_local(moment: str, hour: int) -> None:
    [seen] = read_events(event(1, moment, "Job executing").splitlines(), "log")

    assert seen.at == datetime(2026, 5, 1, hour, tzinfo=UTC).timestamp()


@pytest.mark.usefixtures("chicago")
def test_job_that_ends_when_clocks_are_put_back_keeps_its_end() -> None:
    """It ran from 1:50 summer time to 1:10 winter time."""
    [(state, end)] = ended(
        [
            event(0, "2025-11-02 01:40:00", "Job submitted from host: <x>"),
            event(1, "2025-11-02 01:50:00", "Job executing on host: <x>"),
            event(5, "2025-11-02 01:10:00", *DONE),
        ]
    )

    assert (state, end) == ("succeeded", {"code": 0})


@pytest.mark.parametrize(
    ("now", "year"),
    [((2026, 1, 2), 2025), ((2026, 12, 31), 2026), ((2026, 12, 30), 2026)],
    ids=["in January", "today", "a clock that is ahead"],
)
def test_december_without_a_year_is_not_to_come(
    monkeypatch: pytest.MonkeyPatch, now: tuple[int, int, int], year: int
) -> None:
    moment = datetime(*now, 23, 59, tzinfo=UTC).timestamp()
    monkeypatch.setattr(time, "time", lambda: moment)
    monkeypatch.setattr(time, "localtime", lambda: time.gmtime(moment))

    [seen] = read_events(event(1, "12/31 18:00:00", "Job executing").splitlines(), "log")

    assert datetime.fromtimestamp(seen.at, UTC).year == year


@pytest.mark.parametrize(
    "moment",
    ["2026-13-01 10:00:00", "2026-02-30 10:00:00", "0000-01-01 10:00:00", "02/30 10:00:00"],
)
def test_date_that_no_calendar_has_is_an_error_that_names_the_line(moment: str) -> None:
    with pytest.raises(BadInputError, match=r"log, line 1: .* has a date that no calendar has"):
        list(read_events(event(1, moment, "Job executing").splitlines(), "log"))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("(1) Normal termination (return value 3)", ("failed", {"code": 3})),
        ("(0) Abnormal termination (signal 11)", ("failed", {"code": 139, "signal": 11})),
    ],
)
def test_job_that_ended_and_is_to_run_again_was_not_evicted(
    how: str, told: tuple[str, dict[str, Any]]
) -> None:
    """Where on_exit_remove says that it stays, its end is logged as an eviction.

    A hold before the next start is not its end.
    """
    requeued = (
        "Job was evicted.",
        "(0) Job terminated and was requeued",
        how,
        "The OnExitRemove expression evaluated to False",
    )

    found = ended(
        [
            event(0, "2026-05-01 10:00:00", "Job submitted from host: <x>"),
            event(1, "2026-05-01 10:01:00", "Job executing on host: <x>"),
            event(4, "2026-05-01 10:02:00", *requeued),
            event(
                12,
                "2026-05-01 10:02:05",
                "Job was held.",
                "via condor_hold (by user me)",
                "Code 1 Subcode 0",
            ),
            event(13, "2026-05-01 10:03:00", "Job was released."),
            event(1, "2026-05-01 10:04:00", "Job executing on host: <x>"),
            event(5, "2026-05-01 10:05:00", *DONE),
        ]
    )

    assert found == [told, ("succeeded", {"code": 0})]
