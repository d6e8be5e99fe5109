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
        is_end: whether they end with the log's last line.
    """

    lines: list[str]
    mark: int | None
    is_end: bool


def lines_of(data: bytes) -> list[str]:
    """Return the lines in these bytes as text that can be shown.

    A line that was written over and over is shown in its last state only.
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
    if len(row) <= LONGEST_LINE:
        return row
    return f"{row[:LONGEST_LINE]}… {len(row) - LONGEST_LINE} characters more"


def excerpt(stream: BinaryIO, size_bytes: int, message: str | None) -> Excerpt:
    """Return the lines around the exit message, or the last lines if it is not in the log.

    Only the last 64 kB of a log are looked at.
    """
    start = max(0, size_bytes - TAIL_BYTES)
    stream.seek(start)
    lines = lines_of(stream.read(TAIL_BYTES))
    if start:
        lines = lines[1:]  # the first is only the end of a line
    message_at = find_line(lines, message)
    if message_at is None:
        first, last = max(0, len(lines) - 1 - _LINES_BEFORE), len(lines)
        mark = None
    else:
        first = max(0, message_at - _LINES_BEFORE)
        last = min(len(lines), message_at + _LINES_AFTER + 1)
        mark = message_at - first
    return Excerpt(lines[first:last], mark, is_end=last == len(lines))


def find_line(lines: list[str], message: str | None) -> int | None:
    """Return the place of the last line that holds the beginning of a message."""
    wanted = _line((message or "").strip().split("\n")[0])[:80].strip()
    if len(wanted) < _LEAST_MATCH:
        return None
    for place in reversed(range(len(lines))):
        if wanted in lines[place]:
            return place
    return None


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
    first_break = data.find(b"\n")
    if not is_line_start and 0 <= first_break < len(data) - 1:
        at += first_break + 1
        data = data[first_break + 1 :]
    last_break = data.rfind(b"\n")
    if end < size_bytes and last_break >= 0:
        end = at + last_break + 1
        data = data[: last_break + 1]
    return Window(lines_of(data), at, end)


def window_around(stream: BinaryIO, size_bytes: int, line_at: int) -> Window:
    """Return a page of lines around a byte, with the line of the byte marked."""
    line_at = min(max(0, line_at), size_bytes)
    start = max(0, line_at - WINDOW_BYTES // 3)
    stream.seek(start)
    before = stream.read(line_at - start)
    first = 0 if start == 0 else before.find(b"\n") + 1
    before = before[first:]
    begin = start + first
    around = fitting_window(stream, size_bytes, begin)
    if around.end <= line_at:
        # the lines before it take all the room of the page: begin with the line itself
        around = fitting_window(stream, size_bytes, begin + before.rfind(b"\n") + 1)
        before = b""
    last_line = max(0, len(around.lines) - 1)
    return around._replace(mark=min(before.count(b"\n"), last_line))


class Match(NamedTuple):
    """Where a text stands in a log, and where the line begins that holds it, in bytes."""

    at: int
    line_at: int


def find_next(stream: BinaryIO, size_bytes: int, text: str, at: int) -> Match | None:
    """Return where a text stands next from a byte on, whatever its case.

    It is None where the text is not in the next 256 MB.
    """
    wanted = text.encode().lower()
    start = max(0, at - LONGEST_SEARCHED_LINE)  # so that the beginning of the line is seen
    stream.seek(start)
    data = stream.read(at - start)
    place, until = at, min(size_bytes, at + SEARCHED_BYTES)
    while place < until:
        piece = stream.read(min(_SEARCHED_AT_ONCE, until - place))
        if not piece:
            return None
        begin = len(data)
        if place > at:  # the text may begin in the piece before
            begin = max(0, len(data) - len(wanted) + 1)
        offset = place - len(data)
        data += piece
        match_at = data.lower().find(wanted, begin)
        if match_at >= 0:
            line_at = data.rfind(b"\n", 0, match_at) + 1
            return Match(offset + match_at, offset + line_at)
        data = data[-LONGEST_SEARCHED_LINE:]
        place += len(piece)
    return None


def _byte_before(stream: BinaryIO, at: int) -> bytes:
    stream.seek(at - 1)
    return stream.read(1)


def fitting_window(stream: BinaryIO, size_bytes: int, at: int | None) -> Window:
    """Return as many lines as fit on a page, from `at` on, or the last ones if that is None."""
    length = WINDOW_BYTES
    while True:
        start = max(0, size_bytes - length) if at is None else at
        fitting = window(stream, size_bytes, start, length)
        if length <= LEAST_WINDOW_BYTES or _shown_bytes(fitting.lines) <= SHOWN_BYTES:
            return fitting
        length //= 2


def _shown_bytes(lines: list[str]) -> int:
    """Return the bytes of the lines in a page: what is escaped or not ASCII takes more of them."""
    return sum(len(str(escape(line)).encode()) + 1 for line in lines)
