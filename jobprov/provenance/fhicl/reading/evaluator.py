"""Second stage, second half: from items to evaluated names.

Items run in the order of the text. If every segment stands alone, the items come parsed from
memory. If one does not, the whole document is read again as one text, which also gives an error its
right place. Tables and sequences with references are built here, step by step, by FHiCL's rules for
table literals.
"""

from collections.abc import Callable
from typing import Any

from jobprov.provenance.fhicl.errors import (
    PROLOG_PLACEMENT,
    PROTECTION,
    SYNTAX,
    TYPE_MISMATCH,
    FhiclError,
    FragmentError,
    TextError,
)
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.positions import JoinedText, PositionedText
from jobprov.provenance.fhicl.reading.includer import Expansion, Piece
from jobprov.provenance.fhicl.reading.parser import MISPLACED_PROLOG, document_items, segment_items
from jobprov.provenance.fhicl.reading.symbols import Symbols, dotted, written_at
from jobprov.provenance.fhicl.reading.syntax import (
    AddElement,
    AddReference,
    Assign,
    Close,
    Erase,
    EraseMember,
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


def evaluate(expansion: Expansion, limits: Limits) -> dict[str, Value]:
    """Return the top-level names of a document, without those of its prologs.

    Raises:
        FhiclError: the text is not FHiCL, a reference leads nowhere, a protection is violated, or a
            limit is passed.
    """
    try:
        return _evaluate_segments(expansion, limits)
    except FragmentError:
        return _evaluate_joined(expansion, limits)


def _evaluate_segments(expansion: Expansion, limits: Limits) -> dict[str, Value]:
    run = _Run(limits)
    for piece in expansion.pieces:
        segment = piece.segment
        if segment.items is None:
            _parse(piece, limits)
        if segment.items == ():  # it does not stand alone
            raise FragmentError
        try:
            run.execute(segment.items, segment)
        except TextError as fault:
            if fault.kind in (PROLOG_PLACEMENT, SYNTAX):
                # A prolog word is a plain name if the text after the include begins with `:`, which
                # only the whole text shows
                raise FragmentError from fault
            raise _placed(fault, piece, fault.offset) from fault
    if run.in_prolog:
        # reading it as one text finds where the prolog should have ended
        raise FragmentError
    return run.result()


def _parse(piece: Piece, limits: Limits) -> None:
    try:
        piece.segment.items = segment_items(piece.segment, limits)
    except FragmentError:
        piece.segment.items = ()


def _evaluate_joined(expansion: Expansion, limits: Limits) -> dict[str, Value]:
    pieces = [piece for piece in expansion.pieces if piece.segment.text]
    text = JoinedText([piece.segment for piece in pieces])
    run = _Run(limits)
    try:
        for item in document_items(text, limits):
            run.execute((item,), text)
    except TextError as fault:
        if not pieces:
            raise FhiclError(fault.kind, fault.message) from fault
        offset = min(fault.offset, len(text.text) - 1)
        _, offset_in_segment = text.resolve(offset)
        raise _placed(fault, pieces[text.index(offset)], offset_in_segment) from fault
    return run.result()


def _placed(fault: TextError, piece: Piece, offset: int) -> FhiclError:
    """Return the error with its file, line, column, chain and line of text."""
    segment = piece.segment
    excerpt, caret = segment.excerpt(offset)
    chain = piece.chain.steps() if piece.chain else ()
    return FhiclError(
        fault.kind,
        fault.message,
        file=segment.path,
        line=segment.line(offset),
        column=segment.column(offset),
        chain=tuple(chain),
        excerpt=excerpt,
        caret=caret,
    )


class _StructureBuilder:
    """Runs the steps of structures of one text.

    Args:
        symbols: the names that references can mean.
        place: the text that the steps were parsed from.
    """

    def __init__(self, symbols: Symbols, place: PositionedText) -> None:
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
            _STEP_ACTIONS[type(step)](self, step)
        return self._value(self._top, structure.offset)

    def look_up(self, reference: Reference, protection: int = UNPROTECTED) -> Value:
        """Return a copy of what a reference names, as bound at the reference."""
        value = self._symbols.find(reference.path, reference.offset)
        return value.moved(self._place, reference.offset, protection)

    def members_of(self, path: Path, offset: int) -> list[tuple[str, Value]]:
        """Return the members of a table that `@table::` names, in byte order.

        Their place is that of the reference, but they keep their own protection.
        """
        table = self._symbols.find(path, offset)
        if table.kind != TABLE:
            raise TextError(
                TYPE_MISMATCH, f"@table::{dotted(path)} does not refer to a table", offset
            )
        self._symbols.spend(len(table.body), offset)
        # A comprehension, which is faster than a loop: there may be some hundred thousand members
        named_values = sorted(table.body.members.items())
        place = self._place
        return [
            (name, value.moved(place, offset, value.protection)) for name, value in named_values
        ]

    def _set_member(self, step: SetMember) -> None:
        value = step.value
        if step.protection:
            value = _protected(value, step.protection, step.name, step.offset, self._symbols)
        self._put(step.name, value, step.offset)

    def _set_reference(self, step: SetReference) -> None:
        value = self.look_up(step.reference)
        if step.protection:
            value = _protected(value, step.protection, step.name, step.offset, self._symbols)
        self._put(step.name, value, step.offset)

    def _erase_member(self, step: EraseMember) -> None:
        present = self._top.get(step.name)
        # As in the reference, a name that does not exist may be erased
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
        sequence = self._symbols.find(step.path, step.offset)
        if sequence.kind != SEQUENCE:
            message = f"@sequence::{dotted(step.path)} does not refer to a sequence"
            raise TextError(TYPE_MISMATCH, message, step.offset)
        self._symbols.spend(len(sequence.body), step.offset)
        for value in sequence.body.items:
            self._top.append(value.moved(self._place, step.offset, UNPROTECTED))

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
            value = _protected(value, step.protection, step.name, step.offset, self._symbols)
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
                message = (
                    f'"{name}" cannot be given a stronger protection than it got at '
                    f"{written_at(present)}"
                )
                raise TextError(PROTECTION, message, offset)
            if present.protection == REFUSING:
                raise TextError(
                    PROTECTION, f'"{name}" is protected at {written_at(present)}', offset
                )
            if present.protection == IGNORING:
                return
        self._top[name] = value


def _protected(value: Value, protection: int, name: str, offset: int, symbols: Symbols) -> Value:
    """Return the value with the protection of its binding.

    Raises:
        TextError: something inside it has a weaker protection. (What is inside keeps its own, since
            the reference marks only copies of it.)
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
                message = (
                    f'"{name}" holds an item with the weaker @protect_ignore, '
                    f"written at {written_at(child)}"
                )
                raise TextError(PROTECTION, message, offset)
            if child.kind >= SEQUENCE:
                waiting.append(child)


_STEP_ACTIONS: dict[type, Callable[[_StructureBuilder, Any], None]] = {
    SetMember: _StructureBuilder._set_member,  # noqa: SLF001 - the table of its own methods
    SetReference: _StructureBuilder._set_reference,  # noqa: SLF001
    EraseMember: _StructureBuilder._erase_member,  # noqa: SLF001
    SpliceTable: _StructureBuilder._splice_table,  # noqa: SLF001
    AddElement: _StructureBuilder._add_element,  # noqa: SLF001
    AddReference: _StructureBuilder._add_reference,  # noqa: SLF001
    SpliceSequence: _StructureBuilder._splice_sequence,  # noqa: SLF001
    Open: _StructureBuilder._open,  # noqa: SLF001
    Close: _StructureBuilder._close,  # noqa: SLF001
}


class _Run:
    """One evaluation."""

    def __init__(self, limits: Limits) -> None:
        self.symbols = Symbols(limits)
        self.in_prolog = False
        self._in_body = False

    def execute(self, items: "list[Item] | tuple[Item, ...]", place: PositionedText) -> None:
        """Run items of one text in order."""
        builder = _StructureBuilder(self.symbols, place)
        for item in items:
            _ITEM_ACTIONS[type(item)](self, item, builder)

    def result(self) -> dict[str, Value]:
        """Return the names that the body defines."""
        prolog = self.symbols.prolog
        return {name: value for name, value in self.symbols.members.items() if name not in prolog}

    def _assign(self, item: Assign, builder: _StructureBuilder) -> None:
        self._note_item()
        value = item.value
        if isinstance(value, Reference):
            value = builder.look_up(value)
        elif isinstance(value, Structure):
            value = builder.build(value)
        if item.protection:
            value = _protected(value, item.protection, dotted(item.path), item.offset, self.symbols)
        self.symbols.insert(item.path, value, item.offset, in_prolog=self.in_prolog)

    def _erase(self, item: Erase, _builder: _StructureBuilder) -> None:
        self._note_item()
        self.symbols.erase(item.path, item.offset, in_prolog=self.in_prolog)

    def _splice(self, item: Splice, builder: _StructureBuilder) -> None:
        self._note_item()
        for name, value in builder.members_of(item.path, item.offset):
            self.symbols.insert((name,), value, item.offset, in_prolog=self.in_prolog)

    def _mark(self, item: PrologMark, _builder: _StructureBuilder) -> None:
        if item.begins:
            if self.in_prolog or self._in_body:
                raise TextError(PROLOG_PLACEMENT, MISPLACED_PROLOG, item.offset)
            self.in_prolog = True
        elif not self.in_prolog:
            raise TextError(SYNTAX, "END_PROLOG without BEGIN_PROLOG", item.offset)
        else:
            self.in_prolog = False

    def _note_item(self) -> None:
        if not self.in_prolog:
            self._in_body = True


_ITEM_ACTIONS: dict[type, Callable[[_Run, Any, _StructureBuilder], None]] = {
    Assign: _Run._assign,  # noqa: SLF001 - the table of its own methods
    Erase: _Run._erase,  # noqa: SLF001
    Splice: _Run._splice,  # noqa: SLF001
    PrologMark: _Run._mark,  # noqa: SLF001
}
