"""One fcl file as the includer sees it: runs of ordinary lines with `#include` lines between them.

Lines end at a newline or a carriage return, and every line is passed on with a newline. A line that
begins with `#include` in its first column is a directive wherever it stands, even inside a table or
a quoted string. Source: facts of the reference's includer (cetlib).
"""

import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

from jobprov.provenance.fhicl.positions import Segment

_DIRECTIVE = re.compile(r"^#include[^\n]*\n", re.MULTILINE)
_SHORTEST_DIRECTIVE = len('#include "a"')
_MOST_MEMOISED_CHARACTERS = (
    8 << 20
)  # parsed, a character costs 7 bytes in real files and 50 in the densest
_LARGEST_MEMOISED = 1 << 20


@dataclass(frozen=True, slots=True)
class Directive:
    """An `#include` line: what it names (None if it is malformed), its line number and text."""

    name: str | None
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file cut at its directives: `segments[i]`, `directives[i]`, `segments[i + 1]`, ...

    Attributes:
        path: the file as looked up.
        sha256: digest of its bytes.
        size: characters of all segments together.
    """

    path: str
    sha256: str
    segments: tuple[Segment, ...]
    directives: tuple[Directive, ...]
    size: int


def split_source(path: str, sha256: str, content: bytes) -> SourceText:
    """Return the file cut at its directives."""
    text = _normalised(content.decode("latin-1"))
    segments: list[Segment] = []
    directives: list[Directive] = []
    position, line, counted = 0, 1, 0
    for match in _DIRECTIVE.finditer(text) if "#include" in text else ():
        piece = text[position : match.start()]
        segments.append(Segment(path, piece, line, counted))
        counted += piece.count("\n")
        line = counted + len(directives) + 1
        directives.append(Directive(_included_name(match[0]), line, match[0].rstrip("\n")))
        position, line = match.end(), line + 1
    segments.append(Segment(path, text[position:] if position else text, line, counted))
    return SourceText(
        path, sha256, tuple(segments), tuple(directives), sum(len(each.text) for each in segments)
    )


class SourceMemory:
    """Split and parsed files by path and digest.

    The least recently used drop out, huge ones are not kept. Safe for threads.
    """

    def __init__(self, most_characters: int = _MOST_MEMOISED_CHARACTERS) -> None:
        self._most_characters = most_characters
        self._characters = 0
        self._sources: OrderedDict[tuple[str, str], SourceText] = OrderedDict()
        self._lock = threading.Lock()

    def split(self, path: str, sha256: str, content: bytes) -> SourceText:
        """Return the file cut at its directives, from memory if the same bytes were met under the same path."""
        key = (path, sha256)
        with self._lock:
            known = self._sources.get(key)
            if known is not None:
                self._sources.move_to_end(key)
                return known
        source = split_source(path, sha256, content)
        if source.size > _LARGEST_MEMOISED:
            return source
        with self._lock:
            if key not in self._sources:
                self._sources[key] = source
                self._characters += source.size
            while self._characters > self._most_characters and len(self._sources) > 1:
                self._characters -= self._sources.popitem(last=False)[1].size
        return source

    def clear(self) -> None:
        """Forget all; for measuring."""
        with self._lock:
            self._sources.clear()
            self._characters = 0


def _normalised(text: str) -> str:
    """Return the text with every line ended by a newline.

    A carriage return ends a line, before a newline it adds none.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if not text or text.endswith("\n") else f"{text}\n"


def _included_name(line: str) -> str | None:
    """Return what stands between the first and the last quote of a well-formed directive."""
    line = line.rstrip(" \t\r\n")
    if len(line) < _SHORTEST_DIRECTIVE or line[8:10] != ' "' or line[-1] != '"':
        return None
    return os.fsdecode(line[10:-1].encode("latin-1"))
