"""What the parser hands to the evaluator: the items of a document, and their expressions.

An expression is a `Value` if it is constant (built once for a file, and shared by all documents
that include it), a `Reference` if it is just an `@local::`, and otherwise a `Structure`: a flat
list of steps that the evaluator runs on a small stack, without recursion.
"""

from dataclasses import dataclass

from jobprov.provenance.fhicl.values import UNPROTECTED, Value

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """`@local::path`."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class SetMember:
    """`name: constant` in a table."""

    name: str
    value: Value
    offset: int
    protection: int = UNPROTECTED


@dataclass(frozen=True, slots=True)
class SetReference:
    """`name: @local::path` in a table."""

    name: str
    reference: Reference
    offset: int
    protection: int = UNPROTECTED


@dataclass(frozen=True, slots=True)
class EraseMember:
    """`name: @erase` in a table."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class SpliceTable:
    """`@table::path` in a table."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class AddElement:
    """A constant element of a sequence."""

    value: Value


@dataclass(frozen=True, slots=True)
class AddReference:
    """`@local::path` as an element."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class SpliceSequence:
    """`@sequence::path` as an element."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class Open:
    """`{` or `[`: a table or sequence begins (kind TABLE or SEQUENCE)."""

    kind: int


@dataclass(frozen=True, slots=True)
class Close:
    """Its end: it becomes member `name` of the table around it, or an element if `name` is None."""

    name: str | None
    value_offset: int
    offset: int
    protection: int = UNPROTECTED


Step = (
    SetMember
    | SetReference
    | EraseMember
    | SpliceTable
    | AddElement
    | AddReference
    | SpliceSequence
    | Open
    | Close
)


@dataclass(frozen=True, slots=True)
class Structure:
    """A table or sequence with references in it; `steps` build its inside."""

    kind: int
    offset: int
    steps: list[Step]


Expression = Value | Reference | Structure


@dataclass(frozen=True, slots=True)
class Assign:
    """`path [protection]: expression` at document level."""

    path: Path
    value: Expression
    offset: int
    protection: int = UNPROTECTED


@dataclass(frozen=True, slots=True)
class Erase:
    """`path: @erase` at document level."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class Splice:
    """`@table::path` at document level."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class PrologMark:
    """BEGIN_PROLOG or END_PROLOG."""

    begins: bool
    offset: int


Item = Assign | Erase | Splice | PrologMark
