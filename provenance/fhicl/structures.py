"""Builds the tables and sequences that hold references, step by step, with the rules inside table literals."""

from collections.abc import Callable
from typing import Any

from jobprov.provenance.fhicl.errors import PROTECTION, TYPE_MISMATCH
from jobprov.provenance.fhicl.faults import TextError
from jobprov.provenance.fhicl.positions import Place
from jobprov.provenance.fhicl.symbols import Symbols, dotted, written_at
from jobprov.provenance.fhicl.syntax import (
    AddElement,
    AddReference,
    Close,
    EraseMember,
    Open,
    Path,
    Reference,
    SetMember,
    SetReference,
    SpliceSequence,
    SpliceTable,
    Structure,
)
from jobprov.provenance.fhicl.values import (
    IGNORING,
    REFUSING,
    SEQUENCE,
    TABLE,
    UNPROTECTED,
    SequenceBody,
    TableBody,
    Value,
)


class StructureBuilder:
    """Runs the steps of structures of one text.

    Args:
        symbols: what references look at.
        place: the text that the steps were parsed from.
    """

    def __init__(self, symbols: Symbols, place: Place) -> None:
        self._symbols = symbols
        self._place = place
        self._outer: list[Any] = []
        self._top: Any = None  # dict of a table or list of a sequence

    def build(self, structure: Structure) -> Value:
        """Return the evaluated structure.

        Raises:
            TextError: a reference leads nowhere, or a protection is violated.
        """
        self._top = {} if structure.kind == TABLE else []
        for step in structure.steps:
            _ACTIONS[type(step)](self, step)
        return self._value(self._top, structure.offset)

    def look_up(self, reference: Reference, protection: int = UNPROTECTED) -> Value:
        """Return a copy of what a reference names, as bound at the reference."""
        found = self._symbols.find(reference.path, reference.offset)
        return found.moved(self._place, reference.offset, protection)

    def members_of(self, path: Path, offset: int) -> list[tuple[str, Value]]:
        """Return the members of a table that `@table::` names, in byte order, as written at the reference but with their protection."""
        found = self._symbols.find(path, offset)
        if found.kind != TABLE:
            raise TextError(
                TYPE_MISMATCH, f"@table::{dotted(path)} does not refer to a table", offset
            )
        self._symbols.spend(len(found.body), offset)
        place = self._place
        return [
            (name, value.moved(place, offset, value.protection))
            for name, value in sorted(found.body.members.items())
        ]

    def _set_member(self, step: SetMember) -> None:
        value = step.value
        if step.protection:
            value = protected(value, step.protection, step.name, step.offset, self._symbols)
        self._put(step.name, value, step.offset)

    def _set_reference(self, step: SetReference) -> None:
        value = self.look_up(step.reference)
        if step.protection:
            value = protected(value, step.protection, step.name, step.offset, self._symbols)
        self._put(step.name, value, step.offset)

    def _erase_member(self, step: EraseMember) -> None:
        present = self._top.get(step.name)
        if present is None or present.protection == IGNORING:
            return
        if present.protection == REFUSING:
            raise TextError(
                PROTECTION, f'"{step.name}" is protected at {written_at(present)}', step.offset
            )
        del self._top[step.name]

    def _splice_table(self, step: SpliceTable) -> None:
        for name, value in self.members_of(step.path, step.offset):
            self._put(name, value, step.offset)

    def _add_element(self, step: AddElement) -> None:
        self._top.append(step.value)

    def _add_reference(self, step: AddReference) -> None:
        self._top.append(self.look_up(step.reference))

    def _splice_sequence(self, step: SpliceSequence) -> None:
        found = self._symbols.find(step.path, step.offset)
        if found.kind != SEQUENCE:
            raise TextError(
                TYPE_MISMATCH,
                f"@sequence::{dotted(step.path)} does not refer to a sequence",
                step.offset,
            )
        self._symbols.spend(len(found.body), step.offset)
        place, offset = self._place, step.offset
        self._top.extend([value.moved(place, offset, UNPROTECTED) for value in found.body.items])

    def _open(self, step: Open) -> None:
        self._outer.append(self._top)
        self._top = {} if step.kind == TABLE else []

    def _close(self, step: Close) -> None:
        value = self._value(self._top, step.value_offset)
        self._top = self._outer.pop()
        if step.name is None:
            self._top.append(value)
            return
        if step.protection:
            value = protected(value, step.protection, step.name, step.offset, self._symbols)
        self._put(step.name, value, step.offset)

    def _value(self, content: Any, offset: int) -> Value:
        if isinstance(content, dict):
            return Value(TABLE, "", TableBody(content), self._place, offset)
        return Value(SEQUENCE, "", SequenceBody(content), self._place, offset)

    def _put(self, name: str, value: Value, offset: int) -> None:
        """Bind a member of the open table; the last wins, unless an earlier one is protected."""
        present = self._top.get(name)
        if present is not None:
            if value.protection > present.protection:
                message = f'"{name}" cannot be given a stronger protection than it got at {written_at(present)}'
                raise TextError(PROTECTION, message, offset)
            if present.protection == REFUSING:
                raise TextError(
                    PROTECTION, f'"{name}" is protected at {written_at(present)}', offset
                )
            if present.protection == IGNORING:
                return
        self._top[name] = value


def protected(value: Value, protection: int, name: str, offset: int, symbols: Symbols) -> Value:
    """Return the value with the protection of its binding.

    Raises:
        TextError: something nested in it has a weaker one. (What is nested keeps its own: the
            reference marks copies of it only.)
    """
    if protection == REFUSING and value.kind >= SEQUENCE:
        _check_nested(value, name, offset, symbols)
    return Value(value.kind, value.text, value.body, value.place, value.offset, protection)


def _check_nested(value: Value, name: str, offset: int, symbols: Symbols) -> None:
    waiting = [value]
    while waiting:
        children = waiting.pop().body.children()
        symbols.spend(len(children), offset)
        for child in children:
            if child.protection == IGNORING:
                message = f'"{name}" holds an item with the weaker @protect_ignore, written at {written_at(child)}'
                raise TextError(PROTECTION, message, offset)
            if child.kind >= SEQUENCE:
                waiting.append(child)


_ACTIONS: dict[type, Callable[[StructureBuilder, Any], None]] = {
    SetMember: StructureBuilder._set_member,  # noqa: SLF001 - the table of its own methods
    SetReference: StructureBuilder._set_reference,  # noqa: SLF001
    EraseMember: StructureBuilder._erase_member,  # noqa: SLF001
    SpliceTable: StructureBuilder._splice_table,  # noqa: SLF001
    AddElement: StructureBuilder._add_element,  # noqa: SLF001
    AddReference: StructureBuilder._add_reference,  # noqa: SLF001
    SpliceSequence: StructureBuilder._splice_sequence,  # noqa: SLF001
    Open: StructureBuilder._open,  # noqa: SLF001
    Close: StructureBuilder._close,  # noqa: SLF001
}
