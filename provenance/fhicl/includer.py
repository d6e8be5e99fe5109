"""Stage one: files to one sequence of segments, by following `#include` lines.

A file may be included any number of times and its text stands there each time; only a file that is
still open may not be included again. The walk is iterative and each file is split once, so that an
expansion costs memory for its inclusions, not for its text.
"""

import hashlib
from collections.abc import Iterator
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
from jobprov.provenance.fhicl.lookup import FileSource, FoundFile, UnreadableFileError
from jobprov.provenance.fhicl.positions import Segment
from jobprov.provenance.fhicl.source_text import Directive, SourceMemory, SourceText

_WIDEST_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was opened.

    Attributes:
        name: what was asked for.
        path: where it was found.
        sha256: digest of its bytes.
        found_in: index of the search path element, None where the name was taken as it is or found
            in "./".
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
    """A segment at one place of the expansion, with the includes that led there (None in the main file)."""

    segment: Segment
    chain: Chain | None


@dataclass(frozen=True, slots=True)
class Expansion:
    """What the includer hands on.

    Attributes:
        pieces: the text in order.
        files: what was opened, in the order first opened, each path once.
        opened: paths in the order opened, repeats and folders included.
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
        files: where they come from.
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
            self._fail(
                LIMIT,
                f"the text with its includes passes the limit of {self._limits.expanded_bytes:,} bytes (expanded_bytes)",
            )
        if top.next == len(top.source.directives):
            self._paths.discard(self._stack.pop().source.path)
            return
        directive = top.source.directives[top.next]
        top.next += 1
        self._follow(top, directive)

    def _follow(self, top: _Open, directive: Directive) -> None:
        if directive.name is None:
            self._fail(
                INCLUDE_MALFORMED,
                'malformed #include; it must read `#include "NAME"` with one blank and nothing behind',
            )
        source = self._known.get(directive.name) or self._load_included(directive.name)
        if source.path in self._paths:
            self._fail(
                INCLUDE_RECURSIVE,
                f'"{directive.name}" includes itself ({source.path} is still open)',
            )
        if len(self._stack) >= self._limits.include_depth:
            self._fail(
                LIMIT,
                f"includes nest deeper than the limit of {self._limits.include_depth} (include_depth)",
            )
        self._push(source, Chain(top.source.path, directive.line, top.chain))

    def _push(self, source: SourceText, chain: Chain | None) -> None:
        if len(self._result.opened) > self._limits.inclusions:
            self._fail(
                LIMIT, f"more includes than the limit of {self._limits.inclusions:,} (inclusions)"
            )
        self._result.opened.append(source.path)
        self._paths.add(source.path)
        self._stack.append(_Open(source, chain))

    def _load_first(self, name: str) -> SourceText:
        try:
            found = self._source.first(name)
        except UnreadableFileError as error:
            raise FhiclError(error.kind, str(error), file=name) from error
        if found is None:
            raise FhiclError(
                INCLUDE_NOT_FOUND,
                f'cannot find the file "{name}"; give its path or a search path that holds it',
            )
        return self._open(found)

    def _load_included(self, name: str) -> SourceText:
        try:
            found = self._source.included(name)
        except UnreadableFileError as error:
            self._fail(error.kind, str(error))
        if found is None:
            self._fail(
                INCLUDE_NOT_FOUND, f'cannot find "{name}"; no folder of the search path holds it'
            )
        source = self._known[name] = self._open(found)
        return source

    def _open(self, found: FoundFile) -> SourceText:
        sha256 = hashlib.sha256(found.content).hexdigest()
        if not found.is_folder and found.path not in self._listed:
            self._listed.add(found.path)
            self._result.files.append(SourceFile(found.name, found.path, sha256, found.found_in))
        return self._memory.split(found.path, sha256, found.content)

    def _fail(self, kind: str, message: str) -> NoReturn:
        """Raise at the directive last met."""
        top = self._stack[-1]
        directive = top.source.directives[max(0, top.next - 1)] if top.source.directives else None
        raise FhiclError(
            kind,
            message,
            file=top.source.path,
            line=directive.line if directive else 1,
            column=1,
            chain=tuple(top.chain.steps()) if top.chain else (),
            excerpt=directive.text[:_WIDEST_EXCERPT] if directive else "",
        )
