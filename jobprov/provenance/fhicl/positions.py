"""The place of a character of the expanded text: file, line and column.

There are two line numbers. `line` is the true one. `reference_line` is the one that the reference
prints in annotations: after an `#include`, it counts the file's lines before that include a second
time, except for the first character after the include. (If line 1 of a file is a comment, line 2 an
include and line 3 `a: 1`, the annotation is `:4`.) Annotated forms use it; everything else uses the
true line.

Source: observed in `art --config-out --annotate`, and in cetlib's includer (`get_posinfo`).
"""

from bisect import bisect_right
from typing import Any, NamedTuple, Protocol

_WIDEST_EXCERPT = 160


class Origin(NamedTuple):
    """Where a value was written: the file as it was looked up, and the line, from 1."""

    file: str
    line: int


class PositionedText(Protocol):
    """A text that knows where its characters came from."""

    text: str

    def resolve(self, offset: int) -> "tuple[Segment, int]":
        """Return the segment that holds the character, and the offset inside it."""
        ...


class Segment:
    """The lines of a file between two `#include` lines, or between one and an end of the file.

    Attributes:
        path: the file.
        text: the lines, each with a newline, and one character for each byte.
        first_line: number of the first of these lines in the file.
        text_lines_before: number of lines in earlier segments of the same file.
        items: the items that it is parsed to; None if not tried yet, () if it does not stand alone.
    """

    __slots__ = ("_starts", "first_line", "items", "path", "text", "text_lines_before")

    def __init__(self, path: str, text: str, first_line: int, text_lines_before: int) -> None:
        self.path = path
        self.text = text
        self.first_line = first_line
        self.text_lines_before = text_lines_before
        self.items: Any = None
        self._starts: list[int] | None = None

    def resolve(self, offset: int) -> "tuple[Segment, int]":
        """Return itself: a segment is the smallest place."""
        return self, offset

    def line(self, offset: int) -> int:
        """Return the line number in the file, from 1."""
        return self.first_line + self._lines_up_to(offset)

    def reference_line(self, offset: int) -> int:
        """Return the line number that the reference prints (see the module)."""
        if offset == 0:
            return self.first_line
        return self.first_line + self.text_lines_before + self._lines_up_to(offset)

    def column(self, offset: int) -> int:
        """Return the column in bytes, from 1."""
        return offset - self.text.rfind("\n", 0, offset)

    def excerpt(self, offset: int) -> tuple[str, int]:
        """Return the line around the character, cut to a terminal's width, and the place in it."""
        start = max(self.text.rfind("\n", 0, offset) + 1, offset - _WIDEST_EXCERPT // 2)
        end = self.text.find("\n", offset)
        if end < 0:
            end = len(self.text)
        return self.text[start : min(end, start + _WIDEST_EXCERPT)], offset - start

    def _lines_up_to(self, offset: int) -> int:
        if self._starts is None:
            self._starts = _line_starts(self.text)
        return bisect_right(self._starts, offset)


class JoinedText:
    """All segments of an expansion as one text, for documents with items that cross includes."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = [segment for segment in segments if segment.text]
        self._starts: list[int] = []
        position = 0
        for segment in self._segments:
            self._starts.append(position)
            position += len(segment.text)
        self.text = "".join(segment.text for segment in self._segments)

    def index(self, offset: int) -> int:
        """Return which of the non-empty segments holds the character."""
        return max(0, bisect_right(self._starts, offset) - 1)

    def resolve(self, offset: int) -> tuple[Segment, int]:
        """Return the segment that holds the character, and the offset inside it."""
        index = self.index(offset)
        return self._segments[index], offset - self._starts[index]


def _line_starts(text: str) -> list[int]:
    """Return the offset of each line except the first: the one after each newline."""
    starts = []
    position = text.find("\n") + 1
    while position:
        starts.append(position)
        position = text.find("\n", position) + 1
    return starts
