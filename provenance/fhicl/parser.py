"""Stage two, first half: text to the items of a document.

A segment is parsed on its own where it can be, once a file (`segment_items`); a document whose
items run across an include is parsed as one joined text (`document_items`). Both follow the
reference's grammar, a PEG with points of no return, including what that lets through (`[,1]`,
`a:@eraseb: 2`, `BEGIN_PROLOGa: 1`).
"""

from collections.abc import Iterator
from sys import intern

from jobprov.provenance.fhicl import lexer
from jobprov.provenance.fhicl.errors import SYNTAX
from jobprov.provenance.fhicl.faults import FragmentError, TextError
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.positions import JoinedText, Segment
from jobprov.provenance.fhicl.syntax import Assign, Erase, Item, PrologMark, Splice
from jobprov.provenance.fhicl.value_parser import ValueParser

_BEGIN = "BEGIN_PROLOG"
_END = "END_PROLOG"


def segment_items(segment: Segment, limits: Limits) -> list[Item]:
    """Return the items of a segment that stands alone.

    Raises:
        FragmentError: it does not: an item runs across its ends, what a prolog word means depends
            on what is around it, or it is in error.
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
        TextError: the text is not FHiCL; what was yielded before is.
    """
    parser = _ItemParser(text, limits)
    parser.check_ascii()
    position = parser.skip(0)
    while text.text.startswith(_BEGIN, position):
        yield PrologMark(begins=True, offset=position)
        position = parser.skip(position + len(_BEGIN))
        while found := parser.item(position):
            yield found[0]
            position = parser.skip(found[1])
        if not text.text.startswith(_END, position):
            parser.unexpected(position, "an item of the prolog or END_PROLOG")
        yield PrologMark(begins=False, offset=position)
        position = parser.skip(position + len(_END))
    while position < len(text.text):
        item, position = parser.item_here(position)
        yield item
        position = parser.skip(position)


class _ItemParser(ValueParser):
    """Parses items of one text."""

    def check_ascii(self) -> None:
        """Raise if any byte, even in a comment, is not ASCII."""
        if not self.text.isascii():
            match = lexer.NOT_ASCII.search(self.text)
            position = match.start() if match else 0
            self.fail(
                SYNTAX,
                f"FHiCL is ASCII, also in comments; found the byte 0x{ord(self.text[position]):02x}",
                position,
            )

    def mark(self, position: int) -> tuple[Item, int] | None:
        """Return the prolog word here if it is one wherever it stands."""
        if not self.text.startswith((_BEGIN, _END), position):
            return None
        match = lexer.PROLOG_MARK.match(self.text, position)
        if match is None:
            raise FragmentError
        return PrologMark(begins=match[1] == "BEGIN", offset=position), match.end()

    def item_here(self, position: int) -> tuple[Item, int]:
        """Return the item that begins here and where it ends."""
        found = self.item(position)
        if found is None:
            self.unexpected(position, "an item `name: value` or @table::")
        return found

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
        found = self.expression(binding.end())
        if found is not None:
            return Assign(path, found[0], position, protection), found[1]
        if protection:
            return None
        end = self.skip(binding.end())
        if not self.text.startswith("@erase", end):
            self.unexpected(end, "a value or @erase")
        return Erase(path, position), end + len("@erase")
