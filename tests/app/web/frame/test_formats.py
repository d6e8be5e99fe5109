"""Values as people read them."""

from typing import Any

import pytest

from jobprov.app.web.frame.formats import (
    MISSING,
    amount,
    asked_minute,
    duration,
    exit_code,
    number,
    period,
    shown_state,
    signal_name,
    size,
    text,
    with_full_stop,
)
from jobprov.app.web.frame.markup import (
    command,
    cut,
    digest,
    mark,
    narrowed,
    ticked,
    time_tag,
    whole_dates,
)
from jobprov.provenance.records.reading.times import read_time


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, MISSING),
        (0, "0 s"),
        (0.000041, "41 \N{MICRO SIGN}s"),
        (1e-9, "1 \N{MICRO SIGN}s"),
        (0.035, "35 ms"),
        (12.5, "12.5 s"),
        (59.97, "60 s"),
        (243, "4 min 3 s"),
        (4320, "1 h 12 min"),
        (3600, "1 h"),
        (200000, "2 d 7 h"),
        (-1, "-1"),
        ("soon", "soon"),
    ],
)
def test_durations_have_two_units_at_most(seconds: Any, words: str) -> None:
    assert duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == words
    assert " " not in duration(seconds), "a line would break there"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, MISSING),
        (0, "0"),
        (1234567, "1\u202f234\u202f567"),
        (0.5, "0.5"),
        (1234.5, "1\u202f234"),
        (True, "yes"),
        (10**400, "an integer of 1329 bits"),
    ],
)
def test_numbers_have_thin_spaces_and_missing_ones_a_dash(value: Any, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, MISSING),
        (0.0, "0"),
        (0.000095, "under 0.0001"),
        (0.0064, "0.0064"),
        (0.2008, "0.2"),
        (4.381, "4.4"),
    ],
)
def test_small_amounts_are_not_rounded_to_nothing(value: float | None, words: str) -> None:
    assert amount(value, 1) == words


def test_sizes_are_in_powers_of_ten() -> None:
    assert [size(value) for value in (0, 999, 5_100_000, None, -3, "big")] == [
        "0\xa0B",
        "999\xa0B",
        "5.1\xa0MB",
        MISSING,
        "-3",
        "big",
    ]


def test_text_replaces_what_could_deceive() -> None:
    assert text("a\x1b[31m\u202eb\0") == "a\ufffd[31m\ufffdb\ufffd"


def test_signals_have_their_names() -> None:
    assert [signal_name(value) for value in (9, 99999, None)] == ["9 (SIGKILL)", "99999", MISSING]


@pytest.mark.parametrize(
    ("code", "words"),
    [(152, "152 (SIGXCPU)"), (137, "137 (SIGKILL)"), (1, "1"), (255, "255"), (None, MISSING)],
)
def test_exit_codes_of_signals_have_their_names(code: int | None, words: str) -> None:
    assert exit_code(code) == words


def test_only_running_jobs_fall_silent() -> None:
    assert shown_state("running", "2020-01-01T00:00:00Z") == "silent"
    assert shown_state("succeeded", "2020-01-01T00:00:00Z") == "succeeded"
    assert shown_state("running", None) == "running"


def test_small_pieces_escape_what_they_show() -> None:
    hostile = "<script>" * 20

    pieces = [
        time_tag(hostile),
        mark(hostile, label=True),
        digest(hostile),
        cut(hostile, 20),
        command([hostile]),
    ]

    assert not any("<script" in piece for piece in pieces)


def test_what_names_the_kind_of_a_digest_leaves_room_for_the_digest() -> None:
    assert digest("root-masked-1:0123456789abcdef").startswith(
        '<code class="digest" title="root-masked-1:0123456789abcdef">root-masked-1:01234567<span'
    )


def test_a_digest_is_short_to_see_and_whole_to_copy() -> None:
    assert digest("0123456789abcdef") == (
        '<code class="digest" title="0123456789abcdef">0123456789ab<span '
        'class="rest">cdef</span></code>'
    )


def test_commands_are_quoted_as_a_shell_needs() -> None:
    assert command(["art", "-c", "a b.fcl", "it's"]).unescape() == "art -c 'a b.fcl' 'it'\\''s'"


def test_backticks_become_code() -> None:
    assert (
        ticked("Run `jobprov repository add` <now>.")
        == "Run <code>jobprov repository add</code> &lt;now&gt;."
    )


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x", "", None, 1]
)
def test_time_that_no_calendar_names_in_utc_is_none(value: object) -> None:
    assert read_time(value) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(60, "minute"), (3600, "hour"), (86400, "day"), (21600, "6\xa0h")]
)
def test_periods_follow_every(seconds: int, words: str) -> None:
    assert period(seconds) == words


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("2026-12-01T03:00:00Z", "2026-12-01 03:00 UTC"),
        ("2026-12-01", "2026-12-01"),
        ("yesterday", "yesterday"),
    ],
)
def test_times_of_an_address_are_read_as_people_do(typed: str, words: str) -> None:
    assert asked_minute(typed) == words


def test_lines_are_not_broken_within_dates_and_tags_are_left_alone() -> None:
    sentence = whole_dates(cut(f"Write 2026-11-24, not <b>. {'x' * 90}", 70))
    unbroken = '<span class="unbroken">2026-11-24</span>'

    assert sentence.count(unbroken) == 1
    assert f">Write {unbroken}, n" in sentence
    assert 'title="Write 2026-11-24, not &lt;b&gt;.' in sentence


def test_title_tells_times_after_what_a_list_is_of() -> None:
    times = {"started_after": "2026-12-01T03:00:00Z", "started_before": "2026-12-02"}

    assert narrowed({**times, "experiment": "sbnd", "state": "failed,killed"}) == (
        " of sbnd, failed, killed, since 2026-12-01 03:00 UTC, before 2026-12-02"
    )
    assert narrowed(times) == " since 2026-12-01 03:00 UTC, before 2026-12-02"
    assert narrowed({"experiment": ""}) == ""


def test_sentence_that_quotes_a_question_has_one_end() -> None:
    assert with_full_stop("art: did you mean efficiency?") == "art: did you mean efficiency?"
    assert with_full_stop("the disk was full") == "the disk was full."
    assert with_full_stop("cannot open run N in …") == "cannot open run N in …"
