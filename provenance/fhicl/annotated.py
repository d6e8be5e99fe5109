"""Printing with the place of each item, as `--annotate` and `--prefix-annotate` do.

The places are the reference's, oddities included (its line numbers: positions.py; equal tables:
registry.py; the comma behind a nested sequence goes by the sequence's own length).
`Configuration.origin` tells the true ones. Source: fhicl-cpp `PrettifierAnnotated`.
"""

from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, TableBody, Value
from jobprov.provenance.fhicl.walk import ATOM, ENTER, walk

_INDENT = "   "
_UNKNOWN = "-:1"


def annotated_form(root: TableBody, registry: dict[str, TableBody]) -> str:
    """Return the indented form with `  # file:line` behind each item, `""` where it is that of the item before."""
    lines: list[str] = []
    depth, here, before = 0, "", ""
    sizes: list[int] = []
    for action, key, index, value in walk(root, registry):
        prefix = f"{key}: " if index < 0 else ""
        if action == ATOM:
            here = reference_place(value)
            lines.append(
                f"{_INDENT * depth}{prefix}{value.text}{_comma(index, sizes)}{_note(here, before)}\n"
            )
            before = here
        elif action == ENTER:
            here = reference_place(value)
            lines.append(
                f"{_INDENT * depth}{prefix}{'{' if value.kind == TABLE else '['}{_note(here, before)}\n"
            )
            depth += 1
            if value.kind == SEQUENCE:
                sizes.append(len(value.body))
        else:
            depth -= 1
            lines.append(f"{_INDENT * depth}{_closing(value, index, sizes)}\n")
            before = here
    return "".join(lines)


def prefix_annotated_form(root: TableBody, registry: dict[str, TableBody]) -> str:
    """Return the indented form with two lines before each item.

    `#KEY|path|` and `#SRC|file:line|`.
    """
    lines: list[str] = []
    depth = 0
    sizes: list[int] = []
    names: list[str] = []
    for action, key, index, value in walk(root, registry):
        if action in (ATOM, ENTER):
            place = reference_place(value)
            lines.append(
                f"#KEY|{''.join(names)}{key}|\n#SRC|{'' if place == _UNKNOWN else place}|\n"
            )
        prefix = f"{key}: " if index < 0 else ""
        if action == ATOM:
            lines.append(f"{_INDENT * depth}{prefix}{value.text}{_comma(index, sizes)}\n")
        elif action == ENTER:
            lines.append(f"{_INDENT * depth}{prefix}{'{' if value.kind == TABLE else '['}\n")
            depth += 1
            if value.kind == TABLE:
                names.append(f"{key}.")
            else:
                sizes.append(len(value.body))
        else:
            depth -= 1
            if value.kind == TABLE:
                names.pop()
            lines.append(f"{_INDENT * depth}{_closing(value, index, sizes)}\n")
    return "".join(lines)


def reference_place(value: Value) -> str:
    """Return `file:line` as the reference gives it, "" where nothing wrote the value."""
    if value.place is None:
        return ""
    segment, offset = value.place.resolve(value.offset)
    return f"{segment.path}:{segment.reference_line(offset)}"


def _note(here: str, before: str) -> str:
    if here in ("", _UNKNOWN):
        return ""
    return '  # ""' if here == before else f"  # {here}"


def _closing(value: Value, index: int, sizes: list[int]) -> str:
    """Return the closing bracket and its comma, which goes by the sequence that is open last, be it the one that closes."""
    text = ("}" if value.kind == TABLE else "]") + _comma(index, sizes)
    if value.kind == SEQUENCE:
        sizes.pop()
    return text


def _comma(index: int, sizes: list[int]) -> str:
    return "," if index >= 0 and index != sizes[-1] - 1 else ""
