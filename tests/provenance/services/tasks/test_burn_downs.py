"""How many units of a campaign were left over the last week: it ends at what is missing now."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobprov.provenance.db.queries.tasks.tasks import tasks_of_campaigns
from jobprov.provenance.services.tasks.burn_downs import STEP, STEPS, DoneLately, ExpectedUnits
from jobprov.provenance.services.tasks.campaigns import list_campaigns, show_campaign
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from tests.library.production import Production
from tests.library.records import a_record
from tests.library.standing_clock import START, standing_clock

NOW = datetime(2026, 1, 20, 13, tzinfo=UTC)
NAME = ("nova", "c")


@pytest.fixture(autouse=True)
def at_rest() -> Iterator[None]:
    """Have no full hour strike within a test, as steps begin with it."""
    with standing_clock():
        yield


def done(number: int, unit: str, before: timedelta, **more: Any) -> dict[str, Any]:
    ended = (NOW - before).isoformat().replace("+00:00", "Z")
    task = {"task_id": "t1", "unit": unit}
    files = [{"name": f"{number}.root", "size_bytes": 7}]
    return a_record(number, ended_at=ended, task=task, outputs=files, **more)


def test_burn_down_steps_where_units_were_done(production: Production) -> None:
    units = ["a", "b", "c", "d", "e"]
    production.declare("t1", units=units, campaign="c", stage="reco")
    production.declare("t2", campaign="c", stage="merge")
    production.record(
        done(1, "a", timedelta(days=30)),
        done(2, "b", 2 * STEP),
        # Twice in one step: one unit
        done(3, "c", timedelta(hours=1)),
        done(4, "c", timedelta(hours=1)),
        done(5, "d", timedelta(hours=1), state="failed", exit={"code": 1}),
    )

    with production.database.reading.connect() as connection:
        [campaign] = list_campaigns(connection, production.store).campaigns
        tasks = tasks_of_campaigns(connection, [NAME])
        expected = [ExpectedUnits(tasks[0], 5), ExpectedUnits(tasks[1], None)]
        lately = DoneLately(connection, NOW, expected)
        burn_down = lately.burn_down(NAME, campaign.stages)
        last_ends = lately.last_ends(NAME)

    assert burn_down is not None
    assert burn_down.left == [4] * (STEPS - 3) + [3, 3, 2]
    assert burn_down.done == [0] * (STEPS - 3) + [1, 0, 1]
    assert (burn_down.expected, burn_down.is_whole) == (5, False)
    assert burn_down.start == "2026-01-13T18:00:00Z"
    assert last_ends == {"reco": "2026-01-20T12:00:00Z"}


def test_units_count_from_when_their_task_was_declared_or_began(production: Production) -> None:
    """A stage that is declared later makes the line rise, and nothing is left before the first."""
    now = START
    production.now = now - 10 * STEP
    production.declare("t1", units=["a", "b"], campaign="c", stage="reco")
    production.now = now - 4 * STEP
    production.declare("t2", units=["d", "e", "f"], campaign="c", stage="merge")
    production.now = now
    production.declare("t3", units=["g"], campaign="c", stage="plot")
    began = {"started_at": (now - 7 * STEP).isoformat(), "ended_at": (now - 6 * STEP).isoformat()}
    task = {"task_id": "t1", "unit": "a"}
    outputs = [{"name": "1.root", "size_bytes": 7}]
    production.record(
        a_record(1, task=task, outputs=outputs, **began),
        # Declared today, at work since a week
        a_record(2, task={"task_id": "t3", "unit": "g"}, outputs=[{"name": "2.root"}], **began),
    )

    with production.database.reading.connect() as connection:
        backlog = show_campaign(connection, production.store, *NAME).backlog
        [listed] = list_campaigns(connection, production.store).campaigns
        of_task = show_task(connection, production.store, find_task(connection, "t2")).backlog

    assert backlog is not None
    assert of_task is not None
    burn_down = backlog.burn_down
    assert listed.burn_down == burn_down
    place = STEPS - 11
    assert burn_down.left == [0] * place + [2] * 3 + [3] + [1] * 2 + [4] * 5
    assert burn_down.first_step() == place
    assert (sum(burn_down.done), burn_down.done[STEPS - 7]) == (2, 2)
    assert of_task.burn_down.step_seconds == 3600
    assert of_task.burn_down.left == [0] * 3 + [3] * 25, "of a day"
    assert of_task.burn_down.first_step() == 3


def test_steps_of_a_task_that_began_a_minute_ago_are_minutes(production: Production) -> None:
    now = START
    production.now = now - timedelta(minutes=1)
    production.declare("t1", units=["a", "b"], campaign="c", stage="reco")
    began = (now - timedelta(seconds=40)).isoformat()
    task = {"task_id": "t1", "unit": "a"}
    times = {"started_at": began, "ended_at": now.isoformat()}
    production.record(a_record(1, task=task, outputs=[{"name": "1", "size_bytes": 7}], **times))

    with production.database.reading.connect() as connection:
        of_task = show_task(connection, production.store, find_task(connection, "t1")).backlog
        of_campaign = show_campaign(connection, production.store, *NAME).backlog

    for backlog in (of_task, of_campaign):
        assert backlog is not None
        burn_down = backlog.burn_down
        assert burn_down.step_seconds == 60
        assert (burn_down.left[-1], sum(burn_down.done)) == (1, 1)
        assert burn_down.first_step() >= STEPS - 3


def test_task_that_is_declared_anew_counts_from_its_first_job(production: Production) -> None:
    now = START
    production.declare("t1", units=["a", "b"], campaign="c", stage="reco")
    long_ago = (now - timedelta(days=30)).isoformat()
    task = {"task_id": "t1", "unit": "a"}
    times = {"started_at": long_ago, "ended_at": long_ago}
    production.record(a_record(1, task=task, outputs=[{"name": "1", "size_bytes": 7}], **times))
    production.now = now
    production.declare("t1", units=["a", "b", "c"], campaign="c", stage="reco")

    with production.database.reading.connect() as connection:
        backlog = show_task(connection, production.store, find_task(connection, "t1")).backlog

    assert backlog is not None
    assert backlog.burn_down.left == [2] * STEPS


def test_campaign_of_which_nobody_said_how_many_has_none(production: Production) -> None:
    production.record(done(1, "a", timedelta(hours=1)))

    with production.database.reading.connect() as connection:
        listed = list_campaigns(connection, production.store)

    assert [campaign.burn_down for campaign in listed.campaigns] in ([], [None])


def test_backlog_of_a_campaign_is_its_burn_down_and_the_ends_of_its_estimate(
    production: Production,
) -> None:
    now = START
    production.declare("t1", units=[f"u{number}" for number in range(20)], campaign="c", stage="r")
    production.declare("other", units=["a", "b"], campaign="d", stage="r")
    records = []
    for number in range(10):
        ended = now - timedelta(minutes=50 - 5 * number)
        files = [{"name": f"{number}.root", "size_bytes": 7}]
        times = {"started_at": (ended - timedelta(minutes=1)).isoformat()}
        task = {"task_id": "t1", "unit": f"u{number}"}
        records.append(
            a_record(number + 1, ended_at=ended.isoformat(), task=task, outputs=files, **times)
        )
    failed = {"state": "failed", "exit": {"code": 1}, "ended_at": now.isoformat()}
    records.append(a_record(20, task={"task_id": "t1", "unit": "u19"}, **failed))
    records.append(a_record(21, ended_at=now.isoformat(), task={"task_id": "other", "unit": "a"}))
    production.record(*records)

    with production.database.reading.connect() as connection:
        progress = show_campaign(connection, production.store, *NAME)

    backlog = progress.backlog
    assert backlog is not None
    assert progress.seconds_left is not None
    assert backlog.burn_down.left[-1] == 10, "of this campaign alone"
    assert backlog.burn_down.left[0] == 20
    assert backlog.stays == 1, "what failed"
    ends = [backlog.ends_at_low, backlog.ends_at, backlog.ends_at_high]
    moments = [datetime.fromisoformat(end or "") for end in ends]
    assert moments == sorted(moments)
    expected = now + timedelta(seconds=progress.seconds_left)
    assert abs(moments[1] - expected) < timedelta(minutes=2)


def test_backlog_of_a_task_is_of_this_task_alone(production: Production) -> None:
    now = START
    production.declare("t1", units=["a", "b", "c", "d"], campaign="c", stage="reco")
    production.declare("t2", units=["e", "f"], campaign="c", stage="reco")
    records = [
        a_record(1, task={"task_id": "t1", "unit": "a"}, outputs=[{"name": "1", "size_bytes": 7}]),
        a_record(2, task={"task_id": "t1", "unit": "b"}, outputs=[{"name": "2", "size_bytes": 7}]),
        a_record(3, task={"task_id": "t1", "unit": "c"}, state="failed", exit={"code": 1}),
        a_record(4, task={"task_id": "t2", "unit": "e"}, outputs=[{"name": "4", "size_bytes": 7}]),
    ]
    # The first was done before the week that is looked at
    ends = [now - timedelta(days=30), now - 2 * STEP, now, now]
    for record, ended in zip(records, ends, strict=True):
        record["ended_at"] = ended.isoformat()
    production.record(*records)

    with production.database.reading.connect() as connection:
        task = find_task(connection, "t1")
        backlog = show_task(connection, production.store, task).backlog

    assert backlog is not None
    assert backlog.burn_down.left == [3] * (STEPS - 3) + [2, 2, 2]
    assert (backlog.burn_down.expected, backlog.burn_down.is_whole) == (4, True)
    assert backlog.stays == 1, "what failed"


def test_task_of_which_nobody_said_how_many_has_no_backlog(production: Production) -> None:
    production.record(a_record(1, task={"task_id": "t1", "unit": "a"}))

    with production.database.reading.connect() as connection:
        task = find_task(connection, "t1")
        assert show_task(connection, production.store, task).backlog is None


def test_campaign_of_which_nobody_said_how_many_has_no_backlog(production: Production) -> None:
    task = {"task_id": "t1", "campaign": "c", "unit": "a"}
    production.record(a_record(1, task=task))

    with production.database.reading.connect() as connection:
        assert show_campaign(connection, production.store, *NAME).backlog is None
