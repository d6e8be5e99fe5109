"""First stage: from files to one sequence of segments, by following `#include` lines.

A file may be included any number of times, and its text appears each time. Only a file that is
still open, because it leads to the present one, may not be included. Each file is split once, so
the memory of an expansion grows with the number of inclusions, not with the length of the text.

Lines end at a newline or a carriage return; each is passed on with a newline. A line that begins
with `#include` in its first column is a directive anywhere, even inside a table or a quoted string.

Source: facts of the reference's includer (cetlib).
"""

import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from jobprov.provenance.fhicl.errors import (
    INCLUDE_MALFORMED,
    INCLUDE_NOT_FOUND,
    INCLUDE_RECURSIVE,
    LIMIT,
    FhiclError,
    Inclusion,
)
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.positions import Segment
from jobprov.provenance.fhicl.reading.lookup import FileSource, FoundFile, UnreadableFileError

_DIRECTIVE = re.compile(r"^#include[^\n]*\n", re.MULTILINE)
_SHORTEST_DIRECTIVE = len('#include "a"')
# Once parsed, a character takes 7 bytes of memory in real files, and 50 in the densest ones
_MOST_MEMOISED_CHARACTERS = 8 << 20
_LARGEST_MEMOISED = 1 << 20
_WIDEST_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class Directive:
    """An `#include` line: the name in it (None if malformed), its line number and text."""

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
    matches: Iterable[re.Match[str]] = ()
    if "#include" in text:
        # Most files include nothing, and a search for a word is much faster than the pattern
        matches = _DIRECTIVE.finditer(text)
    position, line = 0, 1
    text_lines = 0  # lines of the file so far, without those of directives
    for match in matches:
        piece = text[position : match.start()]
        segments.append(Segment(path, piece, line, text_lines))
        text_lines += piece.count("\n")
        line = text_lines + len(directives) + 1
        directives.append(Directive(_included_name(match[0]), line, match[0].rstrip("\n")))
        line += 1
        position = match.end()
    segments.append(Segment(path, text[position:], line, text_lines))
    size = sum(len(segment.text) for segment in segments)
    return SourceText(path, sha256, tuple(segments), tuple(directives), size)


class SourceMemory:
    """Remembers split and parsed files by path and digest; safe for threads.

    The least recently used are dropped, and huge ones are not remembered.
    """

    def __init__(self, most_characters: int = _MOST_MEMOISED_CHARACTERS) -> None:
        self._most_characters = most_characters
        self._characters = 0
        self._sources: OrderedDict[tuple[str, str], SourceText] = OrderedDict()
        self._lock = threading.Lock()

    def split(self, path: str, sha256: str, content: bytes) -> SourceText:
        """Return the file cut at its directives, from memory if it had the same bytes before."""
        key = (path, sha256)
        with self._lock:
            remembered = self._sources.get(key)
            if remembered is not None:
                self._sources.move_to_end(key)
                return remembered
        source = split_source(path, sha256, content)
        if source.size > _LARGEST_MEMOISED:
            return source
        with self._lock:
            if key not in self._sources:
                self._sources[key] = source
                self._characters += source.size
            while self._characters > self._most_characters and len(self._sources) > 1:
                _, oldest = self._sources.popitem(last=False)
                self._characters -= oldest.size
        return source

    def clear(self) -> None:
        """Forget all; for measuring."""
        with self._lock:
            self._sources.clear()
            self._characters = 0


def _normalised(text: str) -> str:
    """Return the text with a newline at the end of every line; a carriage return ends one, too."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text and not text.endswith("\n"):
        text += "\n"
    return text


def _included_name(line: str) -> str | None:
    """Return the text between the first and last quote of a well-formed directive, else None."""
    line = line.rstrip(" \t\r\n")
    if len(line) < _SHORTEST_DIRECTIVE or line[8:10] != ' "' or line[-1] != '"':
        return None
    return os.fsdecode(line[10:-1].encode("latin-1"))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was opened.

    Attributes:
        name: what was asked for.
        path: where it was found.
        sha256: digest of its bytes.
        found_in: index of the search path element, None if the name was taken as it is or found in
            "./".
    """

    name: str
    path: str
    sha256: str
    found_in: int | None


@dataclass(frozen=True, slots=True)
class Chain:
    """One step of an include chain, linked to the step outside it."""

    file: str
    line: int
    outer: "Chain | None"

    def steps(self) -> Iterator[Inclusion]:
        """Yield the steps, innermost first."""
        step: Chain | None = self
        while step is not None:
            yield Inclusion(step.file, step.line)
            step = step.outer


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment at a place of the expansion, and the includes that led there (None: main file)."""

    segment: Segment
    chain: Chain | None


@dataclass(frozen=True, slots=True)
class Expansion:
    """The result of the first stage.

    Attributes:
        pieces: the text in order.
        files: the files that were opened, each path once, in the order of the first time.
        opened: paths in the order in which they were opened, with repeats and folders.
        size: characters of the expanded text.
    """

    pieces: list[Piece]
    files: list[SourceFile]
    opened: list[str]
    size: int

    def text(self) -> bytes:
        """Return the expanded text."""
        return "".join(piece.segment.text for piece in self.pieces).encode("latin-1")


class _Open:
    """A file on the include stack, with the index of its next segment."""

    __slots__ = ("chain", "next", "source")

    def __init__(self, source: SourceText, chain: Chain | None) -> None:
        self.source = source
        self.chain = chain
        self.next = 0


class Includer:
    """Expands one document.

    Args:
        files: the source of the files.
        memory: splits files and remembers them.
        limits: when to stop.
    """

    def __init__(self, files: FileSource, memory: SourceMemory, limits: Limits) -> None:
        self._source = files
        self._memory = memory
        self._limits = limits
        self._known: dict[str, SourceText] = {}
        self._stack: list[_Open] = []
        self._paths: set[str] = set()
        self._listed: set[str] = set()
        self._result = Expansion([], [], [], 0)
        self._size = 0

    def expand(self, main: str) -> Expansion:
        """Return the expansion of a document.

        Raises:
            FhiclError: a file is missing, unreadable or includes itself, a directive is malformed,
                or a limit is passed.
        """
        self._push(self._load_first(main), None)
        while self._stack:
            self._advance(self._stack[-1])
        return Expansion(self._result.pieces, self._result.files, self._result.opened, self._size)

    def _advance(self, top: _Open) -> None:
        segment = top.source.segments[top.next]
        if segment.text:
            self._result.pieces.append(Piece(segment, top.chain))
            self._size += len(segment.text)
        if self._size > self._limits.expanded_bytes:
            limit = f"{self._limits.expanded_bytes:,} bytes (expanded_bytes)"
            self._fail(LIMIT, f"the text with its includes passes the limit of {limit}")
        if top.next == len(top.source.directives):
            self._paths.discard(self._stack.pop().source.path)
            return
        directive = top.source.directives[top.next]
        top.next += 1
        self._follow(top, directive)

    def _follow(self, top: _Open, directive: Directive) -> None:
        if directive.name is None:
            form = '`#include "NAME"` with one blank and nothing behind'
            self._fail(INCLUDE_MALFORMED, f"malformed #include; it must read {form}")
        source = self._known.get(directive.name) or self._load_included(directive.name)
        if source.path in self._paths:
            message = f'"{directive.name}" includes itself ({source.path} is still open)'
            self._fail(INCLUDE_RECURSIVE, message)
        if len(self._stack) >= self._limits.include_depth:
            limit = f"{self._limits.include_depth} (include_depth)"
            self._fail(LIMIT, f"includes nest deeper than the limit of {limit}")
        self._push(source, Chain(top.source.path, directive.line, top.chain))

    def _push(self, source: SourceText, chain: Chain | None) -> None:
        if len(self._result.opened) > self._limits.inclusions:
            limit = f"{self._limits.inclusions:,} (inclusions)"
            self._fail(LIMIT, f"more includes than the limit of {limit}")
        self._result.opened.append(source.path)
        self._paths.add(source.path)
        self._stack.append(_Open(source, chain))

    def _load_first(self, name: str) -> SourceText:
        try:
            file = self._source.first(name)
        except UnreadableFileError as error:
            raise FhiclError(error.kind, str(error), file=name) from error
        if file is None:
            advice = "give its path or a search path that holds it"
            raise FhiclError(INCLUDE_NOT_FOUND, f'cannot find the file "{name}"; {advice}')
        return self._open(file)

    def _load_included(self, name: str) -> SourceText:
        try:
            file = self._source.included(name)
        except UnreadableFileError as error:
            self._fail(error.kind, str(error))
        if file is None:
            message = f'cannot find "{name}"; no folder of the search path holds it'
            self._fail(INCLUDE_NOT_FOUND, message)
        source = self._known[name] = self._open(file)
        return source

    def _open(self, file: FoundFile) -> SourceText:
        sha256 = hashlib.sha256(file.content).hexdigest()
        if not file.is_folder and file.path not in self._listed:
            self._listed.add(file.path)
            self._result.files.append(SourceFile(file.name, file.path, sha256, file.found_in))
        return self._memory.split(file.path, sha256, file.content)

    def _fail(self, kind: str, message: str) -> NoReturn:
        """Raise an error at the last directive."""
        top = self._stack[-1]
        line, excerpt = 1, ""
        if top.source.directives:
            directive = top.source.directives[max(0, top.next - 1)]
            line, excerpt = directive.line, directive.text[:_WIDEST_EXCERPT]
        chain = tuple(top.chain.steps()) if top.chain else ()
        raise FhiclError(
            kind, message, file=top.source.path, line=line, column=1, chain=chain, excerpt=excerpt
        )
