"""The one error of the FHiCL reader: what is wrong, in which file, line and column, reached through which includes.

The reference implementation prints one line and a caret too, but from a copied buffer it sometimes prints garbage, and a missing
include names neither file nor line. Here every error knows its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.errors import ProvenanceError

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

KINDS = (
    SYNTAX,
    BAD_STRING,
    PROLOG_PLACEMENT,
    INCLUDE_MALFORMED,
    INCLUDE_NOT_FOUND,
    INCLUDE_RECURSIVE,
    UNREADABLE,
    LOCAL_LOOKUP,
    TYPE_MISMATCH,
    ASSIGNMENT,
    ERASE,
    PROTECTION,
    DATABASE,
    UNKNOWN_ID,
    LIMIT,
)

_WIDEST_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class Inclusion:
    """One step of an include chain: `file` is included from `line` of it."""

    file: str
    line: int


class FhiclError(ProvenanceError):
    """A document is not FHiCL, or a limit of the reader stopped it.

    Attributes:
        kind: one of `KINDS`, stable, for programs.
        message: one sentence without its place.
        file: path of the file as it was looked up, "" where the place is unknown.
        line: line in that file, from 1; 0 where unknown.
        column: column in bytes, from 1; 0 where unknown.
        chain: the includes that lead to the file, innermost first.
        excerpt: the offending line.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        file: str = "",
        line: int = 0,
        column: int = 0,
        chain: Sequence[Inclusion] = (),
        excerpt: str = "",
    ) -> None:
        self.kind = kind
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.chain = tuple(chain)
        self.excerpt = excerpt
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        if not self.file:
            return self.message
        place = f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")
        lines = [f"{place}: {self.message}"]
        if self.excerpt:
            lines += _pointed(self.excerpt, self.column)
        lines += [f"   included from {step.file}:{step.line}" for step in self.chain]
        return "\n".join(lines)


def _pointed(excerpt: str, column: int) -> list[str]:
    """Return the line and a caret under its column, both cut to a width that a terminal shows."""
    start = max(0, column - _WIDEST_EXCERPT // 2) if column > _WIDEST_EXCERPT else 0
    shown = excerpt[start : start + _WIDEST_EXCERPT].replace("\t", " ")
    visible = "".join(letter if " " <= letter <= "~" else "?" for letter in shown)
    return [f"   {visible}", "   " + " " * (column - 1 - start) + "^"] if column else [f"   {visible}"]
