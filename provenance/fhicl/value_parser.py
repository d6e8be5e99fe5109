"""Text to expressions: atoms, references, tables and sequences, on an explicit stack.

What is constant is built here, once, as shared values; a table or sequence that holds a reference
becomes a list of steps.
"""

from sys import intern

from jobprov.provenance.fhicl import lexer
from jobprov.provenance.fhicl.atom_parser import AtomParser
from jobprov.provenance.fhicl.errors import LIMIT
from jobprov.provenance.fhicl.syntax import (
    AddElement,
    AddReference,
    Close,
    EraseMember,
    Expression,
    Open,
    Reference,
    SetMember,
    SetReference,
    SpliceSequence,
    SpliceTable,
    Step,
    Structure,
)
from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, SequenceBody, TableBody, Value

_FIRST_VALUE_GROUP = 2  # of lexer.MEMBER: before it stand name and binding


class _Frame:
    """A table or sequence that is still open: constant content, or steps once something in it is not constant."""

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
        """Return the steps, which from now on hold all that is in the frame."""
        if self.steps is None:
            if self.kind == TABLE:
                self.steps = [
                    SetMember(name, value, value.offset) for name, value in self.members.items()
                ]
            else:
                self.steps = [AddElement(value) for value in self.items]
        return self.steps


class ValueParser(AtomParser):
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
            inner = None
            if frame.kind == TABLE:
                position, inner = self._members(frame, position)
            else:
                position, inner = self._elements(frame, position)
            if inner is not None:
                if len(stack) >= self.limits.nesting:
                    self.fail(
                        LIMIT,
                        f"tables and sequences nest deeper than the limit of {self.limits.nesting} (nesting)",
                        position,
                    )
                stack.append(frame)
                frame = inner
                continue
            if not stack:
                return self._closed(frame), position
            outer = stack.pop()
            self._put_inside(outer, frame)
            frame = outer

    def _members(self, frame: _Frame, position: int) -> tuple[int, _Frame | None]:
        """Read members up to the end of the table or to the start of a table or sequence in it, which is returned."""
        text, matches = self.text, lexer.MEMBER.match
        while match := matches(text, position):
            name, binding = intern(match[1]), match[2]
            protection = 0 if binding == ":" else self.protection(binding)
            group = (match.lastindex or 0) - _FIRST_VALUE_GROUP
            position = match.end()
            if group == lexer.OPENER:
                start = position - 1
                if text[start] in "[{":
                    return position, _Frame(
                        _kind_of(text[start]), start, name, match.start(1), protection
                    )
                position = self._special_member(frame, name, match.start(1), protection, start)
            elif group:
                inside = group + _FIRST_VALUE_GROUP
                frame.put(
                    name,
                    self.atom(group, match[inside], match.start(inside), position),
                    match.start(1),
                    protection,
                )
            else:
                self.unexpected(position, f'a value of "{name}" or @erase')
        return self._between_members(frame, position)

    def _special_member(
        self, frame: _Frame, name: str, name_offset: int, protection: int, start: int
    ) -> int:
        """Read the value of a member that begins with `@` or `(`; return where it ends."""
        found = self.special(start)
        if found is None:
            if protection or not self.text.startswith("@erase", start):
                self.unexpected(start, f'a value of "{name}" or @erase')
            frame.dynamic().append(EraseMember(name, name_offset))
            return start + len("@erase")
        value, end = found
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
        """Read elements up to the end of the sequence or to the start of a table or sequence in it, which is returned."""
        text, values, delimiters = self.text, lexer.VALUE.match, lexer.DELIMITER.match
        awaits_value = may_lack = text[position - 1] == "["
        while True:
            if awaits_value:
                match = values(text, position)
                group = (match.lastindex or 0) if match else 0
                if match and group != lexer.OPENER:
                    position = match.end()
                    frame.add(self.atom(group, match[group], match.start(group), position))
                elif match and text[match.end() - 1] in "[{":
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
        """Read an element that begins with `@` or `(`, or none right behind `[`; return where it ends."""
        found = self.special(start) if self.text[start : start + 1] in ("@", "(") else None
        if found is not None:
            value, end = found
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
        """Return what a finished frame stands for."""
        if frame.steps is not None:
            return Structure(frame.kind, frame.offset, frame.steps)
        body = (
            TableBody(frame.members, shared=True)
            if frame.kind == TABLE
            else SequenceBody(frame.items, shared=True)
        )
        return Value(frame.kind, "", body, self.place, frame.offset)

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


def _kind_of(bracket: str) -> int:
    return TABLE if bracket == "{" else SEQUENCE
