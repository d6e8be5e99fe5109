"""Printing as `fhicl-dump` and `--config-out` do: three blanks a level, one element a line.

One oddity is the reference's and kept: the closing brace of a table loses its indentation where the
table visited last before it is empty. Source: fhicl-cpp `Prettifier`.
"""

from jobprov.provenance.fhicl.values import TABLE, TableBody
from jobprov.provenance.fhicl.walk import ATOM, ENTER, walk

_INDENT = "   "


def indented_form(root: TableBody) -> str:
    """Return `to_indented_string()`."""
    lines: list[str] = []
    depth, last_table_size = 0, 0
    sizes: list[int] = []
    for action, key, index, value in walk(root):
        prefix = f"{key}: " if index < 0 else ""
        if action == ATOM:
            lines.append(f"{_INDENT * depth}{prefix}{value.text}{_comma(index, sizes)}\n")
        elif action == ENTER:
            size = len(value.body)
            opening = "{" if value.kind == TABLE else "["
            lines.append(f"{_INDENT * depth}{prefix}{opening}" + ("\n" if size else ""))
            depth += 1
            if value.kind == TABLE:
                last_table_size = size
            else:
                sizes.append(size)
        else:
            depth -= 1
            if value.kind == TABLE:
                is_indented, closing = last_table_size > 0, "}"
            else:
                is_indented, closing = sizes.pop() > 0, "]"
            lines.append(
                f"{_INDENT * depth if is_indented else ''}{closing}{_comma(index, sizes)}\n"
            )
    return "".join(lines)


def _comma(index: int, sizes: list[int]) -> str:
    """Return what follows an element: a comma for all but the last of its sequence."""
    return "," if index >= 0 and index != sizes[-1] - 1 else ""
