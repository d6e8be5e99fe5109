"""The tree that selections of files are parsed into, the same for all query languages.

Each node stands for a set of files of one experiment. Names of fields are those of `fields.py`.
Values are kept as they were written; the queries make numbers and times of them.
"""

from dataclasses import dataclass
from enum import StrEnum

MOST_TERMS = 400
"""Comparisons in one selection; SQLite takes a chain of a thousand."""
MOST_VALUES = 10_000
"""Values in all its lists together; a statement binds each."""


class Operator(StrEnum):
    """How a field is compared with values; `UNEQUAL` holds only for files that have the field."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    IS_THERE = "is there"


class Relation(StrEnum):
    """What files are to those of another selection."""

    PARENTS = "parents"
    CHILDREN = "children"
    ANCESTORS = "ancestors"
    DESCENDANTS = "descendants"


class SetOperator(StrEnum):
    """How two selections make one."""

    UNION = "union"
    INTERSECT = "intersect"
    MINUS = "minus"


@dataclass(frozen=True, slots=True)
class Value:
    """One value as it was written.

    Attributes:
        is_pattern: `*` in it stands for any characters, `?` for one.
    """

    text: str
    is_pattern: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """The values from `first` to `last`, both included."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Everything:
    """All files of the experiment."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Files of which a field is one of the values, or compares with the only one."""

    field: str
    operator: Operator
    values: tuple[Value | Between, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """Files of a definition (SAM) or dataset (MetaCat): what a task or campaign made."""

    name: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Files that were found already, by their keys."""

    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Files that are in every part."""

    parts: tuple["Selection", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """Files that are in at least one part."""

    parts: tuple["Selection", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Files that are not in the part."""

    part: "Selection"


@dataclass(frozen=True, slots=True)
class Related:
    """Files that are parents, children, ancestors or descendants of files of the part."""

    relation: Relation
    part: "Selection"


@dataclass(frozen=True, slots=True)
class Combined:
    """Two selections as one."""

    operator: SetOperator
    left: "Selection"
    right: "Selection"


@dataclass(frozen=True, slots=True)
class Portion:
    """Files of the part, ordered by id: from `offset` on each `stride`th, `limit` at most."""

    part: "Selection"
    limit: int | None = None
    offset: int = 0
    stride: int = 1


Selection = (
    Everything | Comparison | Definition | Keys | All | Some | Not | Related | Combined | Portion
)


def all_of(parts: list[Selection]) -> Selection:
    """Return the files that are in every part; a chain of them is one node."""
    flat: list[Selection] = []
    for part in parts:
        if isinstance(part, All):
            flat.extend(part.parts)
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def some_of(parts: list[Selection]) -> Selection:
    """Return the files that are in at least one part; equal values of one field are one list."""
    alternatives: list[Selection] = []
    for part in parts:
        if isinstance(part, Some):
            alternatives.extend(part.parts)
        else:
            alternatives.append(part)

    values_of: dict[str, list[Value | Between]] = {}
    others: list[Selection] = []
    for alternative in alternatives:
        if isinstance(alternative, Comparison) and alternative.operator is Operator.EQUAL:
            values_of.setdefault(alternative.field, []).extend(alternative.values)
        else:
            others.append(alternative)

    flat: list[Selection] = []
    for field, values in values_of.items():
        flat.append(Comparison(field, Operator.EQUAL, tuple(values)))
    flat += others
    return flat[0] if len(flat) == 1 else Some(tuple(flat))


def children_of(selection: Selection) -> tuple[Selection, ...]:
    """Return the selections that a node is made of."""
    if isinstance(selection, All | Some):
        return selection.parts
    if isinstance(selection, Not | Related | Portion):
        return (selection.part,)
    if isinstance(selection, Combined):
        return (selection.left, selection.right)
    return ()


def nodes_of(selection: Selection) -> list[Selection]:
    """Return the node and all below it."""
    nodes = [selection]
    for node in nodes:  # which grows as it goes
        nodes.extend(children_of(node))
    return nodes
