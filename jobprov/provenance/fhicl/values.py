"""Evaluated values: small immutable heads over shared bodies.

A `Value` is what one name or element is bound to: kind, text or body, where it was written, and the
protection of the binding. Bodies (`TableBody`, `SequenceBody`) are shared between copies: FHiCL
copies by value, but this reader copies a body only when one of its holders changes it while another
still uses it. So `@local::` costs the same for a number and for a table of 10,000 entries.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jobprov.provenance.fhicl.positions import PositionedText

NIL = 0
BOOL = 1
NUMBER = 2
STRING = 3
COMPLEX = 4
IDENTIFIER = 5  # @id::, a table by its ParameterSetID
SEQUENCE = 6
TABLE = 7

UNPROTECTED = 0
IGNORING = 1
REFUSING = 2


class Written(NamedTuple):
    """How large a set is once everything that is shared in it is written out at each of its places.

    Attributes:
        values: atoms, tables and sequences.
        size_bytes: of their paths, indentation and texts, each sequence's once more in full: what
            printed forms, the index of parameters and JSON are made of.
    """

    values: int
    size_bytes: int


WRITTEN_NOT = Written(0, 0)


class TableBody:
    """Members of a table, in the order of appearance.

    Attributes:
        members: values by name.
        shared: whether more than one value uses this body, so that a change must copy it first.
        canonical: `{...}` once it is known.
        identity: ParameterSetID of the table once it is known.
    """

    __slots__ = ("canonical", "identity", "members", "shared", "written")

    def __init__(self, members: "dict[str, Value]", *, shared: bool = False) -> None:
        self.members = members
        self.shared = shared
        self.canonical: str | None = None
        self.written = WRITTEN_NOT
        self.identity: str | None = None

    def copy(self) -> "TableBody":
        """Return an unshared body with the same members, whose own bodies become shared."""
        for value in self.members.values():
            if value.kind >= SEQUENCE:
                value.body.shared = True
        return TableBody(self.members.copy())

    def __len__(self) -> int:
        return len(self.members)

    def children(self) -> "list[Value]":
        """Return the values inside."""
        return list(self.members.values())


class SequenceBody:
    """Elements of a sequence; attributes as in `TableBody`."""

    __slots__ = ("canonical", "items", "shared", "written")

    def __init__(self, items: "list[Value]", *, shared: bool = False) -> None:
        self.items = items
        self.shared = shared
        self.canonical: str | None = None
        self.written = WRITTEN_NOT

    def copy(self) -> "SequenceBody":
        """Return an unshared body with the same elements, whose own bodies become shared."""
        for value in self.items:
            if value.kind >= SEQUENCE:
                value.body.shared = True
        return SequenceBody(self.items.copy())

    def __len__(self) -> int:
        return len(self.items)

    def children(self) -> "list[Value]":
        """Return the values inside."""
        return self.items


class Value:
    """One bound value.

    Attributes:
        kind: NIL ... TABLE of this module.
        text: canonical text of an atom, the 40 hex of an IDENTIFIER, "" of tables and sequences.
        body: TableBody or SequenceBody, None of atoms.
        place: the text that `offset` is in; None for padding, which nobody wrote.
        offset: position of its first character in that text.
        protection: of the binding, not of the value.
    """

    __slots__ = ("body", "kind", "offset", "place", "protection", "text")

    def __init__(  # noqa: PLR0917 - made by the hundred thousand, and keywords cost
        self,
        kind: int,
        text: str,
        body: Any,
        place: "PositionedText | None",
        offset: int,
        protection: int = UNPROTECTED,
    ) -> None:
        self.kind = kind
        self.text = text
        self.body = body
        self.place = place
        self.offset = offset
        self.protection = protection

    def moved(self, place: "PositionedText | None", offset: int, protection: int) -> "Value":
        """Return the same value for another binding; its body becomes shared."""
        if self.kind >= SEQUENCE:
            self.body.shared = True
        return Value(self.kind, self.text, self.body, place, offset, protection)

    def with_body(self, body: TableBody | SequenceBody) -> "Value":
        """Return the same binding over another body."""
        return Value(self.kind, "", body, self.place, self.offset, self.protection)


NOTHING = Value(NIL, "@nil", None, None, 0)
