"""The picture of what is left of a campaign: where its lines begin and end, and its numbers."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, render_template_string

from jobprov.app.web.tasks.backlogs import HEIGHT, WIDTH, backlog_section, draw_backlog
from jobprov.provenance.answers.tasks.backlogs import Backlog, BurnDown

NOW = datetime(2026, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
BURN_DOWN = BurnDown(
    "2026-01-07T00:00:00Z", 6 * 3600, 20, [20, 16, 12, 10], is_whole=True, done=[0, 4, 4, 2]
)
"""Four steps until now."""


def backlog(*hours: int, stays: int = 0) -> Backlog:
    ends = [(NOW + number * HOUR).isoformat() for number in hours] or [None] * 3
    return Backlog(BURN_DOWN, stays, *ends)


def test_band_begins_at_what_is_left_now_and_ends_at_the_ends() -> None:
    drawn = draw_backlog(backlog(12, 6, 24), NOW)

    assert drawn is not None
    assert drawn.now == WIDTH // 2, "a day lies on either side"
    assert drawn.line.endswith(f"L{WIDTH // 2} 61")
    assert drawn.expected == f"M300 61L450 {HEIGHT}", "half of them are left now"
    assert drawn.band == f"M300 61L375 {HEIGHT}L600 {HEIGHT}L600 {HEIGHT}z"


def test_end_outside_of_the_picture_is_on_its_way_at_the_edge() -> None:
    drawn = draw_backlog(backlog(48, 24, 28 * 24), NOW)

    assert drawn is not None
    assert drawn.end == (NOW + timedelta(days=14)).isoformat()
    assert drawn.band.endswith("L600 90z"), "half of the way is done there: a quarter is left"


def test_units_that_wait_for_somebody_stay() -> None:
    drawn = draw_backlog(backlog(12, 6, 24, stays=10), NOW)

    assert drawn is not None
    assert drawn.expected == "M300 61L450 61"
    assert [(row.left, row.what) for row in drawn.rows] == [
        (10, "latest"),
        (10, "expected"),
        (10, "earliest"),
        (10, "now"),
        (12, ""),
        (16, ""),
        (20, ""),
    ], "moments at which as much was left as before are not told"


def test_without_an_estimate_there_is_no_band() -> None:
    drawn = draw_backlog(backlog(), NOW)

    assert drawn is not None
    assert (drawn.band, drawn.expected) == ("", "")
    assert [row.what for row in drawn.rows] == ["now", "", "", ""]


def test_picture_of_a_young_task_begins_with_it() -> None:
    """The days before it was declared are not shown, and what it had to do at first is."""
    young = BurnDown(
        "2026-01-07T00:00:00Z", 6 * 3600, 20, [0, 0, 12, 10], is_whole=True, done=[0, 0, 8, 2]
    )
    drawn = draw_backlog(Backlog(young, 0, None, None, None), NOW)

    assert drawn is not None
    assert drawn.start == (NOW - 12 * HOUR).isoformat()
    assert drawn.line.startswith("M0 2L")
    assert [row.left for row in drawn.rows] == [10, 12, 20]


def test_picture_of_a_task_of_minutes_spans_minutes() -> None:
    start = NOW - timedelta(minutes=4)
    minutes = BurnDown(start.isoformat(), 60, 20, [0, 0, 12, 10], is_whole=True, done=[0, 0, 8, 2])

    drawn = draw_backlog(Backlog(minutes, 0, None, None, None), NOW)

    assert drawn is not None
    assert drawn.start == (NOW - timedelta(minutes=2)).isoformat()
    assert drawn.end == (NOW + timedelta(minutes=4)).isoformat()


def test_nothing_is_drawn_where_nothing_was_left() -> None:
    done = BurnDown("2026-01-07T00:00:00Z", 6 * 3600, 20, [0, 0, 0, 0], is_whole=True)

    assert draw_backlog(None, NOW) is None
    assert draw_backlog(Backlog(done, 0, None, None, None), NOW) is None


@pytest.mark.parametrize(("left", "is_over"), [([4, 2, 2, 0], True), ([4, 2, 2, 1], False)])
def test_section_says_whether_anything_is_left(
    pages_app: Flask, left: list[int], *, is_over: bool
) -> None:
    done = BurnDown("2026-01-07T00:00:00Z", 6 * 3600, 20, left, is_whole=True)
    backlog = Backlog(done, 0, None, None, None)
    section = (
        '{% from "tasks/_backlog.html" import backlog_section with context %}'
        "{{ backlog_section(backlog, drawn.backlog, drawn.backlog_rows, drawn.backlog_size) }}"
    )

    with pages_app.test_request_context("/"):
        text = render_template_string(section, backlog=backlog, drawn=backlog_section(backlog, NOW))

    assert ("Nothing is left." in text) is is_over
    assert ("There is no estimate of the end" in text) is not is_over
