"""All forms in which the reference prints a configuration.

The plain form is that of `fhicl-dump` and `--config-out`: three blanks for each level, one element
per line. The forms of `--annotate` and `--prefix-annotate` add the place of each item. Oddities of
the reference are kept, and marked below. Its places are odd, too (for line numbers see
positions.py, for equal tables identity.py); the true ones are in `Configuration.origin`.

Source: fhicl-cpp `Prettifier`, `PrettifierAnnotated`.
"""

from collections.abc import Iterator

from jobprov.provenance.fhicl.errors import LIMIT, FhiclError
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.tree import ATOM, ENTER, LEAVE, Visit, walk
from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, TableBody, Value

_INDENT = "   "
_UNKNOWN = "-:1"


class Lines:
    """The lines of a printed form, up to the limit of its length."""

    def __init__(self, limits: Limits) -> None:
        self._lines: list[str] = []
        self._left = self._limit = limits.printed_bytes

    def add(self, line: str) -> None:
        """Add a line, or several.

        Raises:
            FhiclError: the form is longer than the limit.
        """
        self._left -= len(line)
        if self._left < 0:
            raise past_printed_bytes(self._limit)
        self._lines.append(line)

    def text(self) -> str:
        """Return the whole form."""
        return "".join(self._lines)


def past_printed_bytes(limit: int) -> FhiclError:
    """Return the error of a form that is longer than `Limits.printed_bytes`."""
    message = f"the printed form is longer than the limit of {limit:,} bytes (printed_bytes)"
    return FhiclError(LIMIT, message)


def indented_form(root: TableBody, limits: Limits) -> str:
    """Return `to_indented_string()`.

    Raises:
        FhiclError: it is longer than the limits.
    """
    lines = Lines(limits)
    indent, last_table_size = "", 0
    sizes: list[int] = []  # of the sequences that are open
    for action, key, index, value in walk(root):
        name = _name(key, index)
        if action == ATOM:
            lines.add(f"{indent}{name}{value.text}{_comma(index, sizes)}\n")
        elif action == ENTER:
            size = len(value.body)
            line_end = "\n" if size else ""
            lines.add(f"{indent}{name}{_opening(value)}{line_end}")
            indent += _INDENT
            if value.kind == TABLE:
                last_table_size = size
            else:
                sizes.append(size)
        else:
            indent = indent.removesuffix(_INDENT)
            if value.kind == TABLE:
                # Oddity: the reference looks at the table visited last, not at this one, so that a
                # brace may lose its indentation
                size = last_table_size
            else:
                size = sizes.pop()
            closing_indent = indent if size else ""
            lines.add(f"{closing_indent}{_closing(value)}{_comma(index, sizes)}\n")
    return lines.text()


def annotated_form(root: TableBody, registry: dict[str, TableBody], limits: Limits) -> str:
    """Return the indented form with `  # file:line` after each item.

    It is `""` if the place is that of the item before.
    """
    lines = Lines(limits)
    place, place_before = "", ""
    for visit, line in _indented_lines(root, registry):
        note = ""
        if visit.action != LEAVE:
            place = reference_place(visit.value)
            note = _note(place, place_before)
        lines.add(f"{line}{note}\n")
        # Oddity: what opens a table or sequence does not count as the item before
        if visit.action != ENTER:
            place_before = place
    return lines.text()


def prefix_annotated_form(root: TableBody, registry: dict[str, TableBody], limits: Limits) -> str:
    """Return the indented form with `#KEY|path|` and `#SRC|file:line|` above each item."""
    lines = Lines(limits)
    outer_names: list[str] = []
    for visit, line in _indented_lines(root, registry):
        action, key, _, value = visit
        if action == LEAVE:
            if value.kind == TABLE:
                outer_names.pop()
        else:
            place = reference_place(value)
            if place == _UNKNOWN:
                place = ""
            lines.add(f"#KEY|{''.join(outer_names)}{key}|\n#SRC|{place}|\n")
            if action == ENTER and value.kind == TABLE:
                outer_names.append(f"{key}.")
        lines.add(f"{line}\n")
    return lines.text()


def _indented_lines(root: TableBody, registry: dict[str, TableBody]) -> Iterator[tuple[Visit, str]]:
    """Yield each visit of a set with its line in the annotated forms, without its end."""
    indent = ""
    sizes: list[int] = []  # of the sequences that are open
    for visit in walk(root, registry):
        action, key, index, value = visit
        name = _name(key, index)
        if action == ATOM:
            yield visit, f"{indent}{name}{value.text}{_comma(index, sizes)}"
        elif action == ENTER:
            yield visit, f"{indent}{name}{_opening(value)}"
            indent += _INDENT
            if value.kind == SEQUENCE:
                sizes.append(len(value.body))
        else:
            indent = indent.removesuffix(_INDENT)
            # Oddity: the comma depends on the sequence opened last, even if it closes here
            yield visit, f"{indent}{_closing(value)}{_comma(index, sizes)}"
            if value.kind == SEQUENCE:
                sizes.pop()


def reference_place(value: Value) -> str:
    """Return `file:line` as the reference prints it; "" for an `@nil` that nobody wrote."""
    if value.place is None:
        return ""
    segment, offset = value.place.resolve(value.offset)
    return f"{segment.path}:{segment.reference_line(offset)}"


def _note(place: str, place_before: str) -> str:
    if place in ("", _UNKNOWN):
        return ""
    return '  # ""' if place == place_before else f"  # {place}"


def _name(key: str, index: int) -> str:
    """Return what goes before a value: the name of a member; elements of a sequence have none."""
    return f"{key}: " if index < 0 else ""


def _opening(value: Value) -> str:
    return "{" if value.kind == TABLE else "["


def _closing(value: Value) -> str:
    return "}" if value.kind == TABLE else "]"


def _comma(index: int, sizes: list[int]) -> str:
    """Return what follows an element: a comma, except after the last one of its sequence."""
    return "," if index >= 0 and index != sizes[-1] - 1 else ""
