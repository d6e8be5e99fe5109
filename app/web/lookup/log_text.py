"""Logs as harmless text: any bytes become lines.

Colours and cursor movements of terminals are left out.
"""

import re
from typing import BinaryIO, NamedTuple

from markupsafe import escape

from jobprov.provenance.lineage.words import shown

LONGEST_LINE = 600
TAIL_BYTES = 64 * 1024
WINDOW_BYTES = 48_000
LEAST_WINDOW_BYTES = 4_000
SHOWN_BYTES = 60_000
SEARCHED_BYTES = 256 << 20
LONGEST_SEARCHED_LINE = 64 * 1024
_SEARCHED_AT_ONCE = 1 << 20
_LINES_BEFORE, _LINES_AFTER = 14, 8
_LEAST_MATCH = 8
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor
    r"|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"  # OSC, DCS and other strings
    r"|[ -/]{0,4}[0-~])?"  # the shorter ones, and what is broken
)


class Excerpt(NamedTuple):
    """Some lines of a log.

    Attributes:
        lines: of text, without their ends.
        mark: place in `lines` of the line that tells why the job failed, None where it was not
            found.
        is_start: whether they begin with the log's first line.
        is_end: whether they end with its last.
    """

    lines: list[str]
    mark: int | None
    is_start: bool
    is_end: bool


def lines_of(data: bytes) -> list[str]:
    """Return the lines in these bytes as text that can be shown.

    Of a line written over and over only the last state.
    """
    text = _ESCAPES.sub("", data.decode("utf-8", "replace"))
    rows = text.replace("\r\n", "\n").split("\n")
    if rows and not rows[-1]:
        rows.pop()
    return [_line(row) for row in rows]


def _line(row: str) -> str:
    if "\r" in row:
        states = [state for state in row.split("\r") if state]
        row = states[-1] if states else ""
    row = "\t".join(shown(part) for part in row.split("\t"))
    return (
        row
        if len(row) <= LONGEST_LINE
        else f"{row[:LONGEST_LINE]}… {len(row) - LONGEST_LINE} characters more"
    )


def excerpt(stream: BinaryIO, size_bytes: int, message: str | None) -> Excerpt:
    """Return the lines around the one that holds the exit message, else the last ones, from a log's last 64 kB."""
    start = max(0, size_bytes - TAIL_BYTES)
    stream.seek(start)
    lines = lines_of(stream.read(TAIL_BYTES))
    if start:
        lines = lines[1:]
    found = find_line(lines, message)
    last = len(lines) if found is None else min(len(lines), found + _LINES_AFTER + 1)
    first = max(0, (last - 1 if found is None else found) - _LINES_BEFORE)
    mark = None if found is None else found - first
    return Excerpt(lines[first:last], mark, first == 0 and start == 0, last == len(lines))


def find_line(lines: list[str], message: str | None) -> int | None:
    """Return the place of the last line that holds the beginning of a message."""
    wanted = _line((message or "").strip().split("\n")[0])[:80].strip()
    if len(wanted) < _LEAST_MATCH:
        return None
    return next((place for place in range(len(lines) - 1, -1, -1) if wanted in lines[place]), None)


class Window(NamedTuple):
    """A piece of a log, whole lines, and where it lies in the log, in bytes.

    `mark` is the place of a line that was asked for.
    """

    lines: list[str]
    start: int
    end: int
    mark: int | None = None


def window(stream: BinaryIO, size_bytes: int, at: int, length: int) -> Window:
    """Return the lines that begin in the `length` bytes from `at`.

    A line longer than that is cut into pieces.
    """
    at = min(max(0, at), size_bytes)
    is_line_start = at == 0 or _byte_before(stream, at) == b"\n"
    stream.seek(at)
    data = stream.read(length)
    end = at + len(data)
    if not is_line_start and 0 <= (cut := data.find(b"\n")) < len(data) - 1:
        at, data = at + cut + 1, data[cut + 1 :]
    if end < size_bytes and (cut := data.rfind(b"\n")) >= 0:
        end, data = at + cut + 1, data[: cut + 1]
    return Window(lines_of(data), at, end)


def window_around(stream: BinaryIO, size_bytes: int, line_at: int) -> Window:
    """Return as many lines as a page bears around the one that holds a byte, that one marked."""
    line_at = min(max(0, line_at), size_bytes)
    start = max(0, line_at - WINDOW_BYTES // 3)
    stream.seek(start)
    before = stream.read(line_at - start)
    first = 0 if start == 0 else before.find(b"\n") + 1
    found = fitting_window(stream, size_bytes, start + first)
    before = before[first:]
    if found.end <= line_at:  # the lines before it show longer than they are
        found, before = (
            fitting_window(stream, size_bytes, start + first + before.rfind(b"\n") + 1),
            b"",
        )
    return found._replace(mark=min(before.count(b"\n"), max(0, len(found.lines) - 1)))


class Hit(NamedTuple):
    """Where a text stands in a log, and where the line begins that holds it, in bytes."""

    at: int
    line_at: int


def find_next(stream: BinaryIO, size_bytes: int, text: str, at: int) -> Hit | None:
    """Return where a text stands next from a byte on, whatever its case.

    None where it does not in the next 256 MB.
    """
    wanted = text.encode().lower()
    start = max(0, at - LONGEST_SEARCHED_LINE)  # so that the beginning of the line is seen
    stream.seek(start)
    data, place, until = stream.read(at - start), at, min(size_bytes, at + SEARCHED_BYTES)
    while place < until and (piece := stream.read(min(_SEARCHED_AT_ONCE, until - place))):
        begin = max(0, len(data) - len(wanted) + 1) if place > at else len(data)
        data, offset = data + piece, place - len(data)
        if (found := data.lower().find(wanted, begin)) >= 0:
            return Hit(offset + found, offset + data.rfind(b"\n", 0, found) + 1)
        data = data[-LONGEST_SEARCHED_LINE:]
        place += len(piece)
    return None


def _byte_before(stream: BinaryIO, at: int) -> bytes:
    stream.seek(at - 1)
    return stream.read(1)


def fitting_window(stream: BinaryIO, size_bytes: int, at: int | None) -> Window:
    """Return as many lines as a page bears, from `at`, or the last ones where that is None."""
    length = WINDOW_BYTES
    while True:
        start = max(0, size_bytes - length) if at is None else at
        found = window(stream, size_bytes, start, length)
        if length <= LEAST_WINDOW_BYTES or _shown_bytes(found.lines) <= SHOWN_BYTES:
            return found
        length //= 2


def _shown_bytes(lines: list[str]) -> int:
    """Return the bytes of the lines in a page: what is escaped, and what is not ASCII, takes more of them."""
    return sum(len(str(escape(line)).encode()) + 1 for line in lines)
