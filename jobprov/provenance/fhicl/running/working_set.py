"""A parameter set that art is changing: parameters are set, replaced and removed by path.

A set shares all that is not changed with the configuration that it began as. Setting and removing
keep FHiCL's rules of protection, which bind art as well.

Source: fhicl-cpp's `intermediate_table` (put, erase, exists), `detail::encode`.
"""

from collections.abc import Iterable

from jobprov.provenance.fhicl.canonical_atoms import (
    NotCanonicalError,
    canonical_double,
    canonical_single,
    decoded,
)
from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.errors import TextError
from jobprov.provenance.fhicl.reading.symbols import Symbols, dotted
from jobprov.provenance.fhicl.reading.syntax import Path
from jobprov.provenance.fhicl.running.errors import RefusedError
from jobprov.provenance.fhicl.values import (
    BOOL,
    NUMBER,
    SEQUENCE,
    STRING,
    TABLE,
    SequenceBody,
    TableBody,
    Value,
)

_LONGEST_PLAIN = 6


class WorkingSet:
    """The set; each path is a tuple of names and, last, an index."""

    def __init__(self, began_as: Configuration) -> None:
        self._began_as = began_as
        self._symbols = Symbols(began_as.limits)
        self._symbols.members = began_as.root.copy().members

    def configuration(self) -> Configuration:
        """Return the set as it is now. It is not to be changed afterwards."""
        return self._began_as.changed_to(TableBody(self._symbols.members))

    def find(self, *path: str) -> Value | None:
        """Return the value at a path; None where there is none."""
        value = self._symbols.members.get(path[0])
        for name in path[1:]:
            if value is None or value.kind != TABLE:
                return None
            value = value.body.members.get(name)
        return value

    def __contains__(self, path: Path) -> bool:
        return self.find(*map(str, path)) is not None

    def table(self, *path: str) -> dict[str, Value]:
        """Return the members of a table in the order of their names; none where it is not there.

        Raises:
            RefusedError: something else is there.
        """
        value = self.find(*path)
        if value is None:
            return {}
        if value.kind != TABLE:
            raise RefusedError(f"art refuses the configuration: {dotted(path)} is no table.")
        return dict(sorted(value.body.members.items()))

    def text(self, *path: str) -> str | None:
        """Return the text of a string, or the canonical text of another atom; None without one."""
        value = self.find(*path)
        if value is None or value.kind >= SEQUENCE:
            return None
        return text_of(value)

    def put_text(self, path: Path, text: str) -> None:
        """Set a string."""
        self.put(path, string_value(text))

    def put_switch(self, path: Path, *, is_on: bool) -> None:
        """Set true or false."""
        self.put(path, Value(BOOL, "true" if is_on else "false", None, None, 0))

    def put_number(self, path: Path, number: int) -> None:
        """Set a number.

        art itself writes one of seven digits and more as 1.234567e+6. FHiCL text would become
        1.234567e6, so such a set has another ParameterSetID once it is printed and read again.
        """
        digits = str(abs(number))
        if len(digits) > _LONGEST_PLAIN:
            digits = f"{digits[0]}.{digits[1:]}e+{len(digits) - 1}"
        self.put(path, Value(NUMBER, f"-{digits}" if number < 0 else digits, None, None, 0))

    def put_texts(self, path: Path, texts: Iterable[str]) -> None:
        """Set a sequence of strings."""
        self.put_sequence(path, [string_value(text) for text in texts])

    def put_sequence(self, path: Path, items: list[Value]) -> None:
        """Set a sequence."""
        self.put(path, Value(SEQUENCE, "", SequenceBody(items), None, 0))

    def put_empty_table(self, path: Path) -> None:
        """Set a table without members, in place of what is there."""
        self.put(path, Value(TABLE, "", TableBody({}), None, 0))

    def replace_sequence(self, path: Path, items: list[Value]) -> None:
        """Change the elements of a sequence, which art refuses where it is protected.

        Raises:
            RefusedError: it is, or a table around it.
        """
        self.check_changeable(path)
        self.put_sequence(path, items)

    def check_changeable(self, path: Path) -> None:
        """Check that nothing on a path is protected, as art does before it changes things in place.

        Raises:
            RefusedError: something is.
        """
        for length in range(1, len(path) + 1):
            value = self.find(*map(str, path[:length]))
            if value is not None and value.protection:
                name = dotted(path[:length])
                raise RefusedError(f"art refuses the configuration: {name} is protected.")

    def erase(self, *path: str) -> None:
        """Remove what is at a path, if it is there."""
        try:
            self._symbols.erase(path, 0, in_prolog=False)
        except TextError as problem:
            raise RefusedError(f"art refuses the configuration: {problem.message}.") from problem

    def put(self, path: Path, value: Value) -> None:
        """Set a value.

        Raises:
            RefusedError: the path leads through an atom, or is protected against being set.
        """
        if any(str(part)[:1].isdigit() for part in path if isinstance(part, str)):
            raise RefusedError(f"art refuses the name {dotted(path)}: it begins with a digit.")
        try:
            self._symbols.insert(path, value, 0, in_prolog=False)
        except TextError as problem:
            raise RefusedError(f"art refuses the configuration: {problem.message}.") from problem


def text_of(value: Value) -> str:
    """Return the text of a string, or the canonical text of another atom."""
    return decoded(value.text) if value.kind == STRING else value.text


def string_value(text: str) -> Value:
    """Return a string as art sets it.

    Raises:
        RefusedError: a parameter cannot have this text.
    """
    # art takes a text in quotation marks for one that FHiCL wrote
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    content = text[1:-1] if is_quoted else text
    is_double = is_quoted and text[0] == '"'
    if not is_double and "'" in content:
        raise RefusedError(f"art sets no parameter to a text with ' in it: {text[:60]}.")
    canonical = canonical_double if is_double else canonical_single
    try:
        return Value(STRING, canonical(content), None, None, 0)
    except NotCanonicalError as problem:
        raise RefusedError(f"art sets no parameter to this text: {problem}.") from problem
