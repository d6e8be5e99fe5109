"""Every form in which the reference prints a configuration.

Plain: as `fhicl-dump` and `--config-out` do, three blanks a level, one element a line. With the
place of each item: as `--annotate` and `--prefix-annotate` do. Oddities of the reference are kept,
and marked below; its places are odd too (line numbers: positions.py; equal tables: identity.py),
while `Configuration.origin` tells the true ones.

Source: fhicl-cpp `Prettifier`, `PrettifierAnnotated`.
"""

from jobprov.provenance.fhicl.tree import ATOM, ENTER, walk
from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, TableBody, Value

_INDENT = "   "
_UNKNOWN = "-:1"


def indented_form(root: TableBody) -> str:
    """Return `to_indented_string()`."""
    lines: list[str] = []
    depth, indent, last_table_size = 0, "", 0
    sizes: list[int] = []  # of the sequences that are open
    for action, key, index, value in walk(root):
        # elements of a sequence have no name
        name = f"{key}: " if index < 0 else ""
        if action == ATOM:
            lines.append(f"{indent}{name}{value.text}{_comma(index, sizes)}\n")
        elif action == ENTER:
            size = len(value.body)
            line_end = "\n" if size else ""
            lines.append(f"{indent}{name}{_opening(value)}{line_end}")
            depth += 1
            indent = _INDENT * depth
            if value.kind == TABLE:
                last_table_size = size
            else:
                sizes.append(size)
        else:
            depth -= 1
            indent = _INDENT * depth
            # the reference looks at the table visited last, not at this one, so a brace may lose
            # its indentation
            is_indented = last_table_size > 0 if value.kind == TABLE else sizes.pop() > 0
            closing_indent = indent if is_indented else ""
            lines.append(f"{closing_indent}{_closing(value)}{_comma(index, sizes)}\n")
    return "".join(lines)


def annotated_form(root: TableBody, registry: dict[str, TableBody]) -> str:
    """Return the indented form with `  # file:line` behind each item.

    Where the place is that of the item before, `""` stands instead.
    """
    lines: list[str] = []
    depth, indent, place, place_before = 0, "", "", ""
    sizes: list[int] = []
    for action, key, index, value in walk(root, registry):
        name = f"{key}: " if index < 0 else ""
        if action == ATOM:
            place = reference_place(value)
            note = _note(place, place_before)
            lines.append(f"{indent}{name}{value.text}{_comma(index, sizes)}{note}\n")
            place_before = place
        elif action == ENTER:
            place = reference_place(value)
            note = _note(place, place_before)
            lines.append(f"{indent}{name}{_opening(value)}{note}\n")
            depth += 1
            indent = _INDENT * depth
            if value.kind == SEQUENCE:
                sizes.append(len(value.body))
        else:
            depth -= 1
            indent = _INDENT * depth
            lines.append(f"{indent}{_closing_with_comma(value, index, sizes)}\n")
            place_before = place
    return "".join(lines)


def prefix_annotated_form(root: TableBody, registry: dict[str, TableBody]) -> str:
    """Return the indented form with two lines before each item.

    `#KEY|path|` and `#SRC|file:line|`.
    """
    lines: list[str] = []
    depth, indent = 0, ""
    sizes: list[int] = []
    outer_names: list[str] = []
    for action, key, index, value in walk(root, registry):
        if action in (ATOM, ENTER):
            lines.append(f"#KEY|{''.join(outer_names)}{key}|\n#SRC|{_known_place(value)}|\n")
        name = f"{key}: " if index < 0 else ""
        if action == ATOM:
            lines.append(f"{indent}{name}{value.text}{_comma(index, sizes)}\n")
        elif action == ENTER:
            lines.append(f"{indent}{name}{_opening(value)}\n")
            depth += 1
            indent = _INDENT * depth
            if value.kind == TABLE:
                outer_names.append(f"{key}.")
            else:
                sizes.append(len(value.body))
        else:
            depth -= 1
            indent = _INDENT * depth
            if value.kind == TABLE:
                outer_names.pop()
            lines.append(f"{indent}{_closing_with_comma(value, index, sizes)}\n")
    return "".join(lines)


def reference_place(value: Value) -> str:
    """Return `file:line` as the reference gives it, "" where nothing wrote the value."""
    if value.place is None:
        return ""
    segment, offset = value.place.resolve(value.offset)
    return f"{segment.path}:{segment.reference_line(offset)}"


def _known_place(value: Value) -> str:
    place = reference_place(value)
    return "" if place == _UNKNOWN else place


def _note(place: str, place_before: str) -> str:
    if place in ("", _UNKNOWN):
        return ""
    return '  # ""' if place == place_before else f"  # {place}"


def _opening(value: Value) -> str:
    return "{" if value.kind == TABLE else "["


def _closing(value: Value) -> str:
    return "}" if value.kind == TABLE else "]"


def _closing_with_comma(value: Value, index: int, sizes: list[int]) -> str:
    """Return the closing bracket and its comma."""
    # the comma goes by the sequence that was opened last, even if it is the one that closes here
    text = _closing(value) + _comma(index, sizes)
    if value.kind == SEQUENCE:
        sizes.pop()
    return text


def _comma(index: int, sizes: list[int]) -> str:
    """Return what follows an element: a comma for all but the last of its sequence."""
    return "," if index >= 0 and index != sizes[-1] - 1 else ""
