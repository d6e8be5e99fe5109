"""The errors of the FHiCL reader, each with file, line, column and the includes that led there.

The reference also prints a line and a caret, but sometimes it prints garbage from a copied buffer,
and for a missing include it names neither file nor line. Here, every error that leaves the package
(`FhiclError`) knows its place.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobprov.provenance.errors import ProvenanceError

SYNTAX = "syntax"
BAD_STRING = "bad_string"
PROLOG_PLACEMENT = "prolog_placement"
INCLUDE_MALFORMED = "include_malformed"
INCLUDE_NOT_FOUND = "include_not_found"
INCLUDE_RECURSIVE = "include_recursive"
UNREADABLE = "unreadable"
LOCAL_LOOKUP = "local_lookup"
TYPE_MISMATCH = "type_mismatch"
ASSIGNMENT = "assignment_error"
ERASE = "erase_error"
PROTECTION = "protection_violation"
DATABASE = "database_lookup"
UNKNOWN_ID = "unknown_parameter_set"
LIMIT = "limit"

_NOT_PRINTABLE = re.compile("[^ -~]")
_LONGEST_MESSAGE = 600  # a message quotes names, and a name may be as long as the file
_KEPT_AT_END = 200


@dataclass(frozen=True, slots=True)
class Inclusion:
    """One step of an include chain: `file` is included from `line` of it."""

    file: str
    line: int


class FhiclError(ProvenanceError):
    """A document is not FHiCL, or a limit of the reader stopped it.

    Attributes:
        kind: one of the words at the top of this module, stable, for programs.
        message: one sentence without its place.
        file: path of the file as it was looked up; "" if the place is not known.
        line: line in that file, from 1; 0 if not known.
        column: column in bytes, from 1; 0 if not known.
        chain: the includes that led to the file, innermost first.
        excerpt: the offending line, or part of a very long one.
        caret: the place in the excerpt, from 0.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        file: str = "",
        line: int = 0,
        column: int = 0,
        *,
        chain: Sequence[Inclusion] = (),
        excerpt: str = "",
        caret: int = 0,
    ) -> None:
        self.kind = kind
        self.message = _elided(message)
        self.file = file
        self.line = line
        self.column = column
        self.chain = tuple(chain)
        self.excerpt = excerpt
        self.caret = caret
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        if not self.file:
            return self.message
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"{place}: {self.message}"]
        if self.excerpt:
            lines += _pointed(self.excerpt, self.caret)
        lines += [f"   included from {step.file}:{step.line}" for step in self.chain]
        return "\n".join(lines)


def _elided(message: str) -> str:
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return f"{message[: _LONGEST_MESSAGE - _KEPT_AT_END]}…{message[-_KEPT_AT_END:]}"


def _pointed(excerpt: str, caret: int) -> list[str]:
    """Return the line, and a caret under the character. Unprintable characters become `?`."""
    visible = _NOT_PRINTABLE.sub("?", excerpt.replace("\t", " "))
    return [f"   {visible}", f"   {' ' * caret}^"]


class TextError(Exception):
    """An error inside one text, before its file and line are looked up. Never leaves the package.

    Attributes:
        kind: as `FhiclError` has it.
        message: one sentence without its place.
        offset: position in the text being read.
    """

    def __init__(self, kind: str, message: str, offset: int) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.offset = offset


class FragmentError(Exception):
    """A segment does not stand alone, because one of its items crosses an include.

    The document is then read as one text. This error never leaves the package.
    """
