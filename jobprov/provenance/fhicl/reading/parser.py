"""Second stage, first half: from text to the items of a document and their expressions.

If possible, a segment is parsed on its own, once for each file (`segment_items`). A document with
items that cross an include is parsed as one joined text (`document_items`). Both follow the grammar
of the reference, a PEG with points of no return, and accept the same oddities (`[,1]`,
`a:@eraseb: 2`, `BEGIN_PROLOGa: 1`).

There are three classes, one on top of the other: for atoms, references and names, which need no
stack; for tables and sequences, with an explicit stack; and for items. Constant values are built
here, once, and shared. A table or sequence with a reference in it becomes a list of steps.
"""

from collections.abc import Iterator
from sys import intern
from typing import NoReturn

from jobprov.provenance.fhicl.canonical_atoms import (
    NotCanonicalError,
    as_c_index,
    canonical_based,
    canonical_double,
    canonical_number,
    canonical_single,
)
from jobprov.provenance.fhicl.errors import (
    BAD_STRING,
    DATABASE,
    LIMIT,
    PROLOG_PLACEMENT,
    SYNTAX,
    FragmentError,
    TextError,
)
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.positions import JoinedText, PositionedText, Segment
from jobprov.provenance.fhicl.reading import lexer
from jobprov.provenance.fhicl.reading.syntax import (
    AddElement,
    AddReference,
    Assign,
    Close,
    Erase,
    EraseMember,
    Expression,
    Item,
    Open,
    Path,
    PrologMark,
    Reference,
    SetMember,
    SetReference,
    Splice,
    SpliceSequence,
    SpliceTable,
    Step,
    Structure,
)
from jobprov.provenance.fhicl.values import (
    BOOL,
    COMPLEX,
    IDENTIFIER,
    IGNORING,
    NIL,
    NUMBER,
    REFUSING,
    SEQUENCE,
    STRING,
    TABLE,
    SequenceBody,
    TableBody,
    Value,
)

MISPLACED_PROLOG = "prologs must all stand before the first other item, and not inside each other"

_BOOLEANS = ("true", "false")
_SHOWN = 24
_GROUPS_BEFORE_VALUE = 2  # of lexer.MEMBER: name and binding
_BEGIN = "BEGIN_PROLOG"
_END = "END_PROLOG"


def segment_items(segment: Segment, limits: Limits) -> list[Item]:
    """Return the items of a segment that stands alone.

    Raises:
        FragmentError: it does not stand alone, because an item crosses its ends, because the
            meaning of a prolog word depends on the text around it, or because it has an error.
    """
    parser = _ItemParser(segment, limits)
    items: list[Item] = []
    try:
        parser.check_ascii()
        position = parser.skip(0)
        while position < len(segment.text):
            item, position = parser.mark(position) or parser.item_here(position)
            items.append(item)
            position = parser.skip(position)
    except TextError as fault:
        raise FragmentError from fault
    return items


def document_items(text: JoinedText, limits: Limits) -> Iterator[Item]:
    """Yield the items of a whole document.

    Raises:
        TextError: the text is not FHiCL. The items before the error have been yielded by then.
    """
    parser = _ItemParser(text, limits)
    parser.check_ascii()
    position = parser.skip(0)
    while text.text.startswith(_BEGIN, position):
        yield PrologMark(begins=True, offset=position)
        position = parser.skip(position + len(_BEGIN))
        while item_and_end := parser.item(position):
            item, position = item_and_end
            yield item
            position = parser.skip(position)
        if not text.text.startswith(_END, position):
            parser.unexpected(position, "an item of the prolog or END_PROLOG")
        yield PrologMark(begins=False, offset=position)
        position = parser.skip(position + len(_END))
    while position < len(text.text):
        item, position = parser.item_here(position)
        yield item
        position = parser.skip(position)


class _AtomParser:
    """Parses atoms of one text.

    Args:
        place: the text, with the files of its characters.
        limits: when to stop.
    """

    def __init__(self, place: PositionedText, limits: Limits) -> None:
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
        canonical = canonical_double if group == lexer.DOUBLE_QUOTED else canonical_single
        try:
            text = canonical(token)
        except NotCanonicalError as error:
            raise TextError(BAD_STRING, str(error), start - 1) from error
        return Value(STRING, text, None, self.place, start - 1)

    def special(self, position: int) -> "tuple[Value | Reference, int] | None":
        """Return the value or reference that begins with `@` or `(` here, and where it ends.

        Return None for other words with `@`.
        """
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
            message = "@db:: references are not supported by the reference implementation either"
            self.fail(DATABASE, message, position)
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
                limit = f"{self.limits.nesting} (nesting)"
                self.fail(LIMIT, f"a name has more parts than the limit of {limit}", position)
            if part[1] == ".":
                match = lexer.DOTTED.match(self.text, part.end())
                if match is None:
                    self.unexpected(self.skip(part.end()), "a name behind `.`")
                parts.append(intern(match[1]))
                position = match.end()
            else:
                index, position = self._index(part.end())
                parts.append(index)
        if parts:
            path = (*path, *parts)
        return path, position

    def protection(self, binding: str) -> int:
        """Return the protection that a binding other than `:` gives."""
        return IGNORING if binding == "@protect_ignore:" else REFUSING

    def unexpected(self, position: int, expected: str) -> NoReturn:
        """Raise an error, because the grammar does not allow the text here."""
        if self.text.startswith("BEGIN_PROLOG", position):
            self.fail(PROLOG_PLACEMENT, MISPLACED_PROLOG, position)
        if position < len(self.text):
            following = self.text[position : position + _SHOWN].split("\n", 1)[0]
            self.fail(SYNTAX, f"expected {expected}, found {following!r}", position)
        self.fail(SYNTAX, f"expected {expected}, found the end", position)

    def fail(self, kind: str, message: str, position: int) -> NoReturn:
        """Raise an error at a character."""
        raise TextError(kind, message, position)

    def _word(self, word: str, start: int, end: int) -> Value:
        if word in _BOOLEANS and lexer.ends_boolean(self.text, end):
            return Value(BOOL, word, None, self.place, start)
        if word == "infinity" and lexer.ends_infinity(self.text, end):
            return Value(NUMBER, "+infinity", None, self.place, start)
        return Value(STRING, f'"{word}"', None, self.place, start)

    def _number(self, token: str, start: int) -> str:
        if len(token) > self.limits.number_length:
            limit = f"{self.limits.number_length:,} characters (number_length)"
            self.fail(LIMIT, f"a number is longer than the limit of {limit}", start)
        if token[-1] == "y":  # infinity
            return token
        if token[1:2] in ("x", "X", "b", "B"):
            return canonical_based(token)
        return canonical_number(token)

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


class _Frame:
    """A table or sequence that is still open.

    It holds constant values, or a list of steps as soon as one of its values is not constant.
    """

    __slots__ = ("items", "kind", "members", "name", "name_offset", "offset", "protection", "steps")

    def __init__(
        self, kind: int, offset: int, name: str | None, name_offset: int, protection: int
    ) -> None:
        self.kind = kind
        self.offset = offset
        self.name = name
        self.name_offset = name_offset
        self.protection = protection
        self.members: dict[str, Value] = {}
        self.items: list[Value] = []
        self.steps: list[Step] | None = None

    def put(self, name: str, value: Value, offset: int, protection: int) -> None:
        """Bind a constant member; the last of a name wins."""
        if self.steps is None and not protection:
            self.members[name] = value
        else:
            self.dynamic().append(SetMember(name, value, offset, protection))

    def add(self, value: Value) -> None:
        """Add a constant element."""
        if self.steps is None:
            self.items.append(value)
        else:
            self.steps.append(AddElement(value))

    def dynamic(self) -> list[Step]:
        """Return the steps; from now on, they hold everything in the frame."""
        if self.steps is None:
            if self.kind == TABLE:
                self.steps = [
                    SetMember(name, value, value.offset) for name, value in self.members.items()
                ]
            else:
                self.steps = [AddElement(value) for value in self.items]
        return self.steps


class _ValueParser(_AtomParser):
    """Parses values of one text."""

    def expression(self, position: int) -> tuple[Expression, int] | None:
        """Return the value that begins here (blanks and comments skipped) and where it ends.

        None if none does.

        Raises:
            TextError: a value begins but does not end well.
        """
        match = lexer.VALUE.match(self.text, position)
        if match is None:
            return None
        group = match.lastindex or 0
        if group != lexer.OPENER:
            return self.atom(group, match[group], match.start(group), match.end()), match.end()
        return self.opened(match.start(group))

    def opened(self, position: int) -> tuple[Expression, int] | None:
        """Return the value that begins with the bracket or `@` here and where it ends.

        None if none does.
        """
        if self.text[position] in "[{":
            return self._structure(position)
        return self.special(position)

    def _structure(self, position: int) -> tuple[Expression, int]:
        """Return the table or sequence that begins here and where it ends."""
        stack: list[_Frame] = []
        frame = _Frame(_kind_of(self.text[position]), position, None, position, 0)
        position += 1
        while True:
            read = self._members if frame.kind == TABLE else self._elements
            position, inner = read(frame, position)
            if inner is not None:
                if len(stack) >= self.limits.nesting:
                    limit = f"{self.limits.nesting} (nesting)"
                    message = f"tables and sequences nest deeper than the limit of {limit}"
                    self.fail(LIMIT, message, position)
                stack.append(frame)
                frame = inner
                continue
            if not stack:
                return self._closed(frame), position
            outer = stack.pop()
            self._put_inside(outer, frame)
            frame = outer

    def _members(self, frame: _Frame, position: int) -> tuple[int, _Frame | None]:
        """Read members up to the end of the table, or to the start of a table or sequence in it.

        Return where it stopped, and the table or sequence that begins there.
        """
        text, matches = self.text, lexer.MEMBER.match
        while match := matches(text, position):
            name, binding, name_offset = intern(match[1]), match[2], match.start(1)
            protection = 0 if binding == ":" else self.protection(binding)
            group = (match.lastindex or 0) - _GROUPS_BEFORE_VALUE
            position = match.end()
            if group == lexer.OPENER:
                start = position - 1
                if text[start] in "[{":
                    kind = _kind_of(text[start])
                    return position, _Frame(kind, start, name, name_offset, protection)
                position = self._special_member(frame, name, name_offset, protection, start)
            elif group:
                member_group = group + _GROUPS_BEFORE_VALUE
                token, start = match[member_group], match.start(member_group)
                frame.put(name, self.atom(group, token, start, position), name_offset, protection)
            else:
                self.unexpected(position, f'a value of "{name}" or @erase')
        return self._between_members(frame, position)

    def _special_member(
        self, frame: _Frame, name: str, name_offset: int, protection: int, start: int
    ) -> int:
        """Read the value of a member that begins with `@` or `(`; return where it ends."""
        special = self.special(start)
        if special is None:
            if protection or not self.text.startswith("@erase", start):
                self.unexpected(start, f'a value of "{name}" or @erase')
            frame.dynamic().append(EraseMember(name, name_offset))
            return start + len("@erase")
        value, end = special
        if isinstance(value, Reference):
            frame.dynamic().append(SetReference(name, value, name_offset, protection))
        else:
            frame.put(name, value, name_offset, protection)
        return end

    def _between_members(self, frame: _Frame, position: int) -> tuple[int, _Frame | None]:
        """Read `}` or `@table::`, where no member begins."""
        position = self.skip(position)
        if self.text.startswith("}", position):
            return position + 1, None
        if not self.text.startswith("@table::", position):
            self.unexpected(position, "a member `name: value`, @table:: or }")
        path, end = self.path(position + len("@table::"))
        frame.dynamic().append(SpliceTable(path, position))
        return self._members(frame, end)

    def _elements(self, frame: _Frame, position: int) -> tuple[int, _Frame | None]:
        """Read elements up to the end of the sequence, or to a table or sequence that starts in it.

        Return where it stopped, and the table or sequence that begins there.
        """
        text, values, delimiters = self.text, lexer.VALUE.match, lexer.DELIMITER.match
        # Directly after `[`, the grammar does not require a value: `[]`, but also `[,1]`
        awaits_value = may_lack = text[position - 1] == "["
        while True:
            if awaits_value:
                match = values(text, position)
                if match is None:
                    position = self._special_element(frame, self.skip(position), may_lack=may_lack)
                elif match.lastindex != lexer.OPENER:
                    group = match.lastindex or 0
                    position = match.end()
                    frame.add(self.atom(group, match[group], match.start(group), position))
                elif text[match.end() - 1] in "[{":
                    start = match.end() - 1
                    return start + 1, _Frame(_kind_of(text[start]), start, None, start, 0)
                else:
                    position = self._special_element(frame, self.skip(position), may_lack=may_lack)
            delimiter = delimiters(text, position)
            if delimiter is None:
                self.unexpected(self.skip(position), "`,` or ]")
            position = delimiter.end()
            if delimiter[1] == "]":
                return position, None
            awaits_value, may_lack = True, False

    def _special_element(self, frame: _Frame, start: int, *, may_lack: bool) -> int:
        """Read an element that begins with `@` or `(`; return where it ends.

        With `may_lack`, directly after `[`, there may be none.
        """
        special = self.special(start) if self.text[start : start + 1] in ("@", "(") else None
        if special is not None:
            value, end = special
            if isinstance(value, Reference):
                frame.dynamic().append(AddReference(value))
            else:
                frame.add(value)
            return end
        if self.text.startswith("@sequence::", start):
            path, end = self.path(start + len("@sequence::"))
            frame.dynamic().append(SpliceSequence(path, start))
            return end
        if not may_lack:
            self.unexpected(start, "an element")
        return start

    def _closed(self, frame: _Frame) -> Value | Structure:
        """Return the value of a finished frame, or its steps if it is not constant."""
        if frame.steps is not None:
            return Structure(frame.kind, frame.offset, frame.steps)
        if frame.kind == TABLE:
            table = TableBody(frame.members, shared=True)
            return Value(TABLE, "", table, self.place, frame.offset)
        sequence = SequenceBody(frame.items, shared=True)
        return Value(SEQUENCE, "", sequence, self.place, frame.offset)

    def _put_inside(self, outer: _Frame, frame: _Frame) -> None:
        """Make a finished frame a member or element of the one around it."""
        closed = self._closed(frame)
        if isinstance(closed, Structure):
            steps = outer.dynamic()
            steps.append(Open(frame.kind))
            steps += closed.steps
            steps.append(Close(frame.name, frame.offset, frame.name_offset, frame.protection))
        elif frame.name is None:
            outer.add(closed)
        else:
            outer.put(frame.name, closed, frame.name_offset, frame.protection)


class _ItemParser(_ValueParser):
    """Parses items of one text."""

    def check_ascii(self) -> None:
        """Raise if any byte, even in a comment, is not ASCII."""
        if not self.text.isascii():
            match = lexer.NOT_ASCII.search(self.text)
            position = match.start() if match else 0
            byte = f"0x{ord(self.text[position]):02x}"
            message = f"FHiCL is ASCII, also in comments; found the byte {byte}"
            self.fail(SYNTAX, message, position)

    def mark(self, position: int) -> tuple[Item, int] | None:
        """Return the prolog word here, if it is one whatever follows; else None."""
        if not self.text.startswith((_BEGIN, _END), position):
            return None
        match = lexer.PROLOG_MARK.match(self.text, position)
        if match is None:
            raise FragmentError
        return PrologMark(begins=match[1] == "BEGIN", offset=position), match.end()

    def item_here(self, position: int) -> tuple[Item, int]:
        """Return the item that begins here and where it ends."""
        item_and_end = self.item(position)
        if item_and_end is None:
            self.unexpected(position, "an item `name: value` or @table::")
        return item_and_end

    def item(self, position: int) -> tuple[Item, int] | None:
        """Return the item that begins here and where it ends; None if none does."""
        if self.text.startswith("@table::", position):
            path, end = self.path(position + len("@table::"))
            return Splice(path, position), end
        name = lexer.NAME.match(self.text, position)
        if name is None:
            return None
        path, end = self.path_from((intern(name[1]),), name.end())
        binding = lexer.BINDING.match(self.text, end)
        if binding is None:
            return None
        protection = 0 if binding[1] == ":" else self.protection(binding[1])
        expression_and_end = self.expression(binding.end())
        if expression_and_end is not None:
            expression, end = expression_and_end
            return Assign(path, expression, position, protection), end
        if protection:
            return None
        end = self.skip(binding.end())
        if not self.text.startswith("@erase", end):
            self.unexpected(end, "a value or @erase")
        return Erase(path, position), end + len("@erase")


def _kind_of(bracket: str) -> int:
    return TABLE if bracket == "{" else SEQUENCE
