"""Logs as harmless text: any bytes become lines; colours and cursor movements of terminals are left out."""

import re
from typing import BinaryIO, NamedTuple

from markupsafe import escape

from provenance.lineage.words import shown

LONGEST_LINE = 600
TAIL_BYTES = 64 * 1024
WINDOW_BYTES = 48_000
LEAST_WINDOW_BYTES = 4_000
SHOWN_BYTES = 60_000
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
        mark: place in `lines` of the line that tells why the job failed, None where it was not found.
        is_start: whether they begin with the log's first line.
        is_end: whether they end with its last.
    """

    lines: list[str]
    mark: int | None
    is_start: bool
    is_end: bool


def lines_of(data: bytes) -> list[str]:
    """Return the lines in these bytes as text that can be shown; of a line written over and over only the last state."""
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
    return row if len(row) <= LONGEST_LINE else f"{row[:LONGEST_LINE]}… {len(row) - LONGEST_LINE} characters more"


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
    """A piece of a log, whole lines, and where it lies in the log, in bytes."""

    lines: list[str]
    start: int
    end: int


def window(stream: BinaryIO, size_bytes: int, at: int, length: int) -> Window:
    """Return the lines that begin in the `length` bytes from `at`; a line longer than that is cut into pieces."""
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
