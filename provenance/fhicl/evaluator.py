"""Stage two, second half: items to the set of evaluated names.

Items run in the order of the text. Where every segment stands alone its items come parsed from
memory; where one does not, the whole document is read again as one text, which also places the
error if there is one.
"""

from collections.abc import Callable
from typing import Any

from jobprov.provenance.fhicl.errors import PROLOG_PLACEMENT, SYNTAX, FhiclError
from jobprov.provenance.fhicl.faults import FragmentError, TextError
from jobprov.provenance.fhicl.includer import Expansion, Piece
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.parser import document_items, segment_items
from jobprov.provenance.fhicl.positions import JoinedText, Place
from jobprov.provenance.fhicl.structures import StructureBuilder, protected
from jobprov.provenance.fhicl.symbols import Symbols, dotted
from jobprov.provenance.fhicl.syntax import (
    Assign,
    Erase,
    Item,
    PrologMark,
    Reference,
    Splice,
    Structure,
)
from jobprov.provenance.fhicl.values import Value


def evaluate(expansion: Expansion, limits: Limits) -> dict[str, Value]:
    """Return the top-level names of a document, prologs left out.

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
        if segment.items == ():
            raise FragmentError
        try:
            run.execute(segment.items, segment)
        except TextError as fault:
            if fault.kind in (PROLOG_PLACEMENT, SYNTAX):
                # a prolog word may be a name if `:` stands behind the include
                raise FragmentError from fault
            raise _placed(fault, piece, fault.offset) from fault
    if run.in_prolog:
        raise FragmentError  # the reading as one text says where the prolog should have ended
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
        raise _placed(fault, pieces[text.index(offset)], text.resolve(offset)[1]) from fault
    return run.result()


def _placed(fault: TextError, piece: Piece, offset: int) -> FhiclError:
    """Return the error with its file, line, column, chain and line of text."""
    segment = piece.segment
    excerpt, caret = segment.excerpt(offset)
    return FhiclError(
        fault.kind,
        fault.message,
        file=segment.path,
        line=segment.line(offset),
        column=segment.column(offset),
        chain=tuple(piece.chain.steps()) if piece.chain else (),
        excerpt=excerpt,
        caret=caret,
    )


class _Run:
    """One evaluation."""

    def __init__(self, limits: Limits) -> None:
        self.symbols = Symbols(limits)
        self.in_prolog = False
        self._in_body = False

    def execute(self, items: "list[Item] | tuple[Item, ...]", place: Place) -> None:
        """Run items of one text in order."""
        builder = StructureBuilder(self.symbols, place)
        for item in items:
            _ACTIONS[type(item)](self, item, builder)

    def result(self) -> dict[str, Value]:
        """Return the names that the body defines."""
        prolog = self.symbols.prolog
        return {name: value for name, value in self.symbols.members.items() if name not in prolog}

    def _assign(self, item: Assign, builder: StructureBuilder) -> None:
        self._note_item()
        value = item.value
        if isinstance(value, Reference):
            value = builder.look_up(value)
        elif isinstance(value, Structure):
            value = builder.build(value)
        if item.protection:
            value = protected(value, item.protection, dotted(item.path), item.offset, self.symbols)
        self.symbols.insert(item.path, value, item.offset, in_prolog=self.in_prolog)

    def _erase(self, item: Erase, _builder: StructureBuilder) -> None:
        self._note_item()
        self.symbols.erase(item.path, item.offset, in_prolog=self.in_prolog)

    def _splice(self, item: Splice, builder: StructureBuilder) -> None:
        self._note_item()
        for name, value in builder.members_of(item.path, item.offset):
            self.symbols.insert((name,), value, item.offset, in_prolog=self.in_prolog)

    def _mark(self, item: PrologMark, _builder: StructureBuilder) -> None:
        if item.begins:
            if self.in_prolog or self._in_body:
                message = (
                    "prologs must all stand before the first other item, and not inside each other"
                )
                raise TextError(PROLOG_PLACEMENT, message, item.offset)
            self.in_prolog = True
        elif not self.in_prolog:
            raise TextError(SYNTAX, "END_PROLOG without BEGIN_PROLOG", item.offset)
        else:
            self.in_prolog = False

    def _note_item(self) -> None:
        if not self.in_prolog:
            self._in_body = True


_ACTIONS: dict[type, Callable[[_Run, Any, StructureBuilder], None]] = {
    Assign: _Run._assign,  # noqa: SLF001 - the table of its own methods
    Erase: _Run._erase,  # noqa: SLF001
    Splice: _Run._splice,  # noqa: SLF001
    PrologMark: _Run._mark,  # noqa: SLF001
}
