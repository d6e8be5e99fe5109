"""Logs as harmless text."""

import io

from hypothesis import given
from hypothesis import strategies as st

from jobprov.app.web.lookup.log_text import (
    SHOWN_BYTES,
    excerpt,
    find_line,
    find_next,
    fitting_window,
    lines_of,
    window,
    window_around,
)


def test_colours_and_cursor_movements_are_left_out() -> None:
    data = b"\x1b[31mred\x1b[0m and \x1b]0;title\x07plain\x1b[2K\n"

    assert lines_of(data) == ["red and plain"]


def test_of_a_line_written_over_and_over_the_last_state_is_shown() -> None:
    assert lines_of(b"10 %\r50 %\r100 %\r\ndone\r\n") == ["100 %", "done"]


def test_odd_bytes_become_replacement_marks() -> None:
    assert lines_of(b"a\xff\0\x08b\tc\n\n") == ["a\ufffd\ufffd\ufffdb\tc", ""]


def test_an_excerpt_is_around_the_line_that_holds_the_message() -> None:
    data = (
        b"".join(b"line %d\n" % number for number in range(100))
        + b"fatal: no such parameter\nbye\n"
    )

    found = excerpt(io.BytesIO(data), len(data), "fatal: no such parameter\nmore of it")

    assert found.mark is not None
    assert found.lines[found.mark] == "fatal: no such parameter"
    assert found.is_end


def test_without_the_message_an_excerpt_is_the_end() -> None:
    found = excerpt(io.BytesIO(b"a\nb\n"), 4, None)

    assert found == (["a", "b"], None, True)


def test_a_message_too_short_to_mean_anything_is_not_looked_for() -> None:
    assert find_line(["error", "exit"], "exit") is None


@given(st.binary(max_size=4000), st.integers(1, 500))
def test_windows_one_after_the_other_lose_no_line(data: bytes, length: int) -> None:
    stream, at, pieces = io.BytesIO(data), 0, []
    while at < len(data):
        part = window(stream, len(data), at, length)
        assert part.start == at
        assert part.end > at
        pieces.append(data[part.start : part.end])
        at = part.end

    assert b"".join(pieces) == data


@given(
    st.lists(st.sampled_from([b"\xff" * 50, b'"' * 3000, b"<" * 700, b"plain", b""]), max_size=200)
)
def test_a_window_fits_a_page_whatever_the_log_holds(rows: list[bytes]) -> None:
    data = b"\n".join(rows * 20)

    part = fitting_window(io.BytesIO(data), len(data), None)

    assert sum(len(line.encode()) for line in part.lines) <= SHOWN_BYTES
    assert part.end == len(data)


@given(
    st.lists(
        st.sampled_from([b"plain", b"\xff" * 90, b"<" * 700, b"", b"Needle here"]),
        min_size=1,
        max_size=300,
    ),
    st.data(),
)
def test_line_that_is_asked_for_is_shown_and_marked(
    rows: list[bytes], choice: st.DataObject
) -> None:
    content = b"\n".join(rows) + b"\n"
    place = choice.draw(st.integers(0, len(rows) - 1))
    at = sum(len(row) + 1 for row in rows[:place])

    found = window_around(io.BytesIO(content), len(content), at)

    assert found.mark is not None
    assert found.lines[found.mark] == (lines_of(rows[place]) or [""])[0]


@given(
    st.lists(st.sampled_from([b"plain", b"x" * 900, b"", b"the NEEDLE here"]), max_size=200),
    st.integers(0, 3000),
)
def test_text_is_found_from_a_byte_on_in_any_case(rows: list[bytes], start: int) -> None:
    content = b"\n".join(rows)
    at = min(start, len(content))

    found = find_next(io.BytesIO(content), len(content), "needle", at)

    expected = content.lower().find(b"needle", at)
    assert (found.at if found else -1) == expected
    assert found is None or content[found.line_at : found.at] == b"the "


def test_text_across_the_pieces_that_are_read_is_found() -> None:
    content = b"x" * ((1 << 20) - 3) + b"needle\n" + b"y" * 100

    found = find_next(io.BytesIO(content), len(content), "needle", 0)

    assert found is not None
    assert found.at == (1 << 20) - 3
