"""How far art is, from the lines of real logs."""

import pytest

from jobprov.provenance.art.event_lines import events_in, join_spans

LINE = "Begin processing the {nth} record. run: 5001 subRun: 3 event: {n} at {at}\n"


def lines(*events: tuple[int, str]) -> bytes:
    text = "%MSG-i Something:  before\n"
    for number, at in events:
        suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
        text += LINE.format(nth=f"{number}{suffix}", n=number, at=at) + "other words\n"
    return text.encode()


def test_first_and_last_event_and_their_rate() -> None:
    span = events_in(lines((1, "24-Nov-2026 23:59:50 UTC"), (101, "25-Nov-2026 00:00:10 UTC")))

    assert span is not None
    assert (span.first, span.last, span.events_per_second) == (1, 101, 5.0)


def test_rate_needs_time_to_pass() -> None:
    span = events_in(lines((7, "24-Nov-2026 14:50:50 CST")))

    assert span is not None
    assert (span.last, span.events_per_second) == (7, None)


def test_second_run_of_art_begins_anew() -> None:
    at = "24-Nov-2026 14:50:{:02} UTC"
    content = lines((1, at.format(0)), (901, at.format(9)), (1, at.format(20)), (11, at.format(30)))

    span = events_in(content)

    assert span is not None
    assert (span.first, span.last, span.events_per_second) == (1, 11, 1.0)


def test_threads_may_begin_events_out_of_order() -> None:
    at = "24-Nov-2026 14:50:50 UTC"

    span = events_in(lines((4, at), (6, at), (5, at)))

    assert span is not None
    assert (span.first, span.last) == (4, 6)


def test_parts_of_a_log_join() -> None:
    at = "24-Nov-2026 14:50:{:02} UTC"
    parts = [lines((1, at.format(0)), (5, at.format(4))), b"nothing\n", lines((9, at.format(8)))]

    whole = join_spans(span for part in parts if (span := events_in(part)))

    assert whole is not None
    assert (whole.first, whole.last, whole.events_per_second) == (1, 9, 1.0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"it said: Begin processing the 1st record. run: 1 subRun: 0 event: 1 at noon\n",
        b"Begin processing the 1st record. run: 1 subRun: 0 event: 1 at noon\n",
        b"\xff\xfe\n",
    ],
)
def test_other_lines_tell_nothing(content: bytes) -> None:
    assert events_in(content) is None


def test_impossible_date_leaves_the_number() -> None:
    span = events_in(lines((3, "31-Feb-2026 14:50:50 UTC")))

    assert span is not None
    assert (span.last, span.last_clock) == (3, None)
