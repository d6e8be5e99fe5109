"""Text to atoms, references and qualified names: what needs no stack."""

from sys import intern
from typing import NoReturn

from jobprov.provenance.fhicl import lexer
from jobprov.provenance.fhicl.canonical_atoms import (
    NotCanonicalError,
    as_c_index,
    canonical_based,
    canonical_double,
    canonical_number,
    canonical_single,
)
from jobprov.provenance.fhicl.errors import BAD_STRING, DATABASE, LIMIT, PROLOG_PLACEMENT, SYNTAX
from jobprov.provenance.fhicl.faults import TextError
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.positions import Place
from jobprov.provenance.fhicl.syntax import Path, Reference
from jobprov.provenance.fhicl.values import (
    BOOL,
    COMPLEX,
    IDENTIFIER,
    IGNORING,
    NIL,
    NUMBER,
    REFUSING,
    STRING,
    Value,
)

_BOOLEANS = ("true", "false")
_SHOWN = 24


class AtomParser:
    """Parses atoms of one text.

    Args:
        place: the text, and what maps its characters to files.
        limits: when to stop.
    """

    def __init__(self, place: Place, limits: Limits) -> None:
        self.place = place
        self.text = place.text
        self.limits = limits

    def skip(self, position: int) -> int:
        """Return the next character that is neither blank nor comment."""
        match = lexer.SKIP.match(self.text, position)
        return match.end() if match else position

    def atom(self, group: int, token: str, start: int, end: int) -> Value:
        """Return the value of a token that `lexer.VALUE` found in that group."""
        if group == lexer.NAMED:
            return self._word(token, start, end)
        if group == lexer.NUMBERED:
            return Value(NUMBER, self._number(token, start), None, self.place, start)
        if group == lexer.DIGIT_WORD:
            return Value(STRING, f'"{token}"', None, self.place, start)
        try:
            text = (
                canonical_double(token) if group == lexer.DOUBLE_QUOTED else canonical_single(token)
            )
        except NotCanonicalError as error:
            raise TextError(BAD_STRING, str(error), start - 1) from error
        return Value(STRING, text, None, self.place, start - 1)

    def special(self, position: int) -> "tuple[Value | Reference, int] | None":
        """Return what begins with the `@` or `(` here and where it ends; None for other words with `@`."""
        text = self.text
        if text[position] == "(":
            return self._complex(position)
        if text.startswith("@local::", position):
            path, end = self.path(position + len("@local::"))
            return Reference(path, position), end
        if text.startswith("@nil", position) and lexer.ends_boolean(text, position + len("@nil")):
            return Value(NIL, "@nil", None, self.place, position), position + len("@nil")
        if text.startswith("@id::", position):
            match = lexer.PARAMETER_SET_ID.match(text, position + len("@id::"))
            if match is None:
                self.unexpected(position + len("@id::"), "40 hexadecimal digits")
            return Value(IDENTIFIER, match[1], None, self.place, position), match.end()
        if text.startswith("@db::", position):
            self.path(position + len("@db::"))
            self.fail(
                DATABASE,
                "@db:: references are not supported by the reference implementation either",
                position,
            )
        return None

    def path(self, position: int) -> tuple[Path, int]:
        """Return the qualified name that begins exactly here and where it ends."""
        match = lexer.NAME.match(self.text, position)
        if match is None:
            self.unexpected(position, "a name directly behind `::`")
        return self.path_from((intern(match[1]),), match.end())

    def path_from(self, path: Path, position: int) -> tuple[Path, int]:
        """Return the qualified name that begins with these parts and where it ends."""
        parts: list[str | int] = []
        while part := lexer.PART.match(self.text, position):
            if len(parts) >= self.limits.nesting:
                self.fail(
                    LIMIT,
                    f"a name has more parts than the limit of {self.limits.nesting} (nesting)",
                    position,
                )
            if part[1] == ".":
                match = lexer.DOTTED.match(self.text, part.end())
                if match is None:
                    self.unexpected(self.skip(part.end()), "a name behind `.`")
                parts.append(intern(match[1]))
                position = match.end()
            else:
                index, position = self._index(part.end())
                parts.append(index)
        return (*path, *parts) if parts else path, position

    def protection(self, binding: str) -> int:
        """Return the protection that a binding other than `:` gives."""
        return IGNORING if binding == "@protect_ignore:" else REFUSING

    def unexpected(self, position: int, expected: str) -> NoReturn:
        """Raise because something else stands here than the grammar lets."""
        if self.text.startswith("BEGIN_PROLOG", position):
            self.fail(
                PROLOG_PLACEMENT,
                "prologs must all stand before the first other item, and not inside each other",
                position,
            )
        found = self.text[position : position + _SHOWN].split("\n", 1)[0]
        self.fail(
            SYNTAX,
            f"expected {expected}, found {found!r}"
            if position < len(self.text)
            else f"expected {expected}, found the end",
            position,
        )

    def fail(self, kind: str, message: str, position: int) -> NoReturn:
        """Raise at a character."""
        raise TextError(kind, message, position)

    def _word(self, word: str, start: int, end: int) -> Value:
        if word in _BOOLEANS and lexer.ends_boolean(self.text, end):
            return Value(BOOL, word, None, self.place, start)
        if word == "infinity" and lexer.ends_infinity(self.text, end):
            return Value(NUMBER, "+infinity", None, self.place, start)
        return Value(STRING, f'"{word}"', None, self.place, start)

    def _number(self, token: str, start: int) -> str:
        if len(token) > self.limits.number_length:
            self.fail(
                LIMIT,
                f"a number is longer than the limit of {self.limits.number_length:,} characters (number_length)",
                start,
            )
        if token[-1] == "y":
            return token
        return (
            canonical_based(token)
            if token[1:2] in ("x", "X", "b", "B")
            else canonical_number(token)
        )

    def _complex(self, position: int) -> tuple[Value, int]:
        real, end = self._part_of_complex(position + 1)
        end = self._expect(",", end)
        imaginary, end = self._part_of_complex(end)
        end = self._expect(")", end)
        return Value(COMPLEX, f"({real},{imaginary})", None, self.place, position), end

    def _part_of_complex(self, position: int) -> tuple[str, int]:
        match = lexer.NUMBER_ONLY.match(self.text, position)
        if match:
            return self._number(match[1], match.start(1)), match.end()
        match = lexer.INFINITY.match(self.text, position)
        if match is None:
            self.unexpected(self.skip(position), "a number")
        return "+infinity", match.end()

    def _index(self, position: int) -> tuple[int, int]:
        match = lexer.INDEX.match(self.text, position)
        if match is None:
            self.unexpected(self.skip(position), "a decimal index behind `[`")
        return as_c_index(match[1]), self._expect("]", match.end())

    def _expect(self, character: str, position: int) -> int:
        position = self.skip(position)
        if not self.text.startswith(character, position):
            self.unexpected(position, f"`{character}`")
        return position + 1
