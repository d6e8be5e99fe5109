"""Tables in the terminal: fitted to it for people, whole for files and programs.

What is wider than the terminal is fitted in three steps. Sentences are broken into several lines;
names lose their middle, and a line below says so; and where columns would be too narrow to be read,
each row becomes a block of lines. Where standard output is no terminal, nothing is changed.
"""

import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TypeVar

from jobprov.provenance.lineage.words import columns as columns_of
from jobprov.provenance.lineage.words import duration, elided, shown
from jobprov.provenance.times import minute_text

Row = TypeVar("Row")
Columns = Mapping[str, Callable[[Row], object]]
"""The titles of columns, each with what its column shows of a row."""

_GAP = "  "
_LEAST = ((30, 20), (14, 10))
"""How narrow a column of sentences becomes, and one of names: first, and if that is not enough."""
_ID_WIDTH = 9
"""Commands take the beginning of an id."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CUT = "…"
_MISSING = "–"  # noqa: RUF001 - an en dash


def table(rows: Iterable[Row], columns: Columns[Row], *, drawings: Collection[str] = ()) -> str:
    """Return rows as aligned text, under the columns' titles; an en dash for what is missing.

    Args:
        rows: what is listed, a row each.
        columns: what is shown of it.
        drawings: titles of columns that stay as they are, since each character has its place.
    """
    cells = []
    for row in rows:
        cells.append([show(row) for show in columns.values()])
    return cell_table(list(columns), cells, drawings=drawings)


def cell_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    drawings: Collection[str] = (),
    is_whole: bool = False,
) -> str:
    """Return rows of cells as `table` does; `is_whole` if they do not go to standard output."""
    lines = [list(titles)]
    for row in rows:
        lines.append([_cell(value) for value in row])
    if is_whole or not sys.stdout.isatty():
        return _aligned(lines, _widths(lines))
    fixed = [title in drawings for title in titles]
    return fitted(lines, shutil.get_terminal_size().columns, fixed)


def duration_cell(seconds: float | None) -> str | None:
    """Return the cell of a time that not every row has."""
    return None if seconds is None else duration(seconds)


def fitted(lines: Sequence[Sequence[str]], room: int, fixed: Sequence[bool]) -> str:
    """Return a table that is at most `room` characters wide.

    Args:
        lines: the titles, then each row.
        room: characters of a line.
        fixed: for each column, whether it stays as it is.
    """
    widths = _widths(lines)
    has_rows = len(lines) > 1
    if not has_rows or _total(widths) <= room:
        return _aligned(lines, widths)
    for place, cell in enumerate(lines[1]):
        if _UUID.fullmatch(cell):
            widths[place] = _ID_WIDTH
    has_sentences = []
    for place in range(len(widths)):
        has_sentences.append(any(" " in line[place] for line in lines[1:]))
    for of_sentences, of_names in _LEAST:
        least = []
        for width, stays, is_of_sentences in zip(widths, fixed, has_sentences, strict=True):
            limit = of_sentences if is_of_sentences and width > of_sentences else of_names
            least.append(width if stays else min(width, limit))
        if _total(least) <= room:
            return _narrowed(lines, widths, least, room)
    return _blocks(lines, room)


def _narrowed(
    lines: Sequence[Sequence[str]], widths: Sequence[int], least: Sequence[int], room: int
) -> str:
    """Return a table whose widest columns gave way, none of them to less than its least width."""
    cap = max(widths)
    fitting = widths
    while _total(fitting) > room:
        cap -= 1
        fitting = [max(low, min(width, cap)) for low, width in zip(least, widths, strict=True)]
    broken = []
    is_cut = False
    for line in lines:
        cells = []
        for cell, width in zip(line, fitting, strict=True):
            is_cut = is_cut or any(columns_of(word) > width for word in cell.split(" "))
            cells.append(_broken(cell, width))
        broken += [list(parts) for parts in zip_longest(*cells, fillvalue="")]
    text = _aligned(broken, fitting)
    if is_cut:
        text += (
            f"\nNames with {_CUT} are shortened to fit {room} columns; `| cat` or --json shows all."
        )
    return text


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    widths = []
    for cells in zip(*lines, strict=True):
        widths.append(max(columns_of(cell) for cell in cells))
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _broken(cell: str, width: int) -> list[str]:
    """Return the lines of a cell in a column: several of a sentence, one of a name.

    A name in a sentence loses its middle, too: in two lines nobody would know it again.
    """
    if columns_of(cell) <= width:
        return [cell]
    if " " in cell:
        words = [elided(word, width) for word in cell.split(" ")]
        return textwrap.wrap(" ".join(words), width, break_on_hyphens=False)
    if _UUID.fullmatch(cell):
        return [cell[: width - 1] + _CUT]
    return [elided(cell, width)]


def _blocks(lines: Sequence[Sequence[str]], room: int) -> str:
    """Return a block of lines for each row: each cell that is not missing, behind its title."""
    titles, *rows = lines
    indent = max(map(len, titles)) + len(_GAP)
    width = max(_LEAST[1][0], room - indent)
    blocks = []
    for row in rows:
        block = []
        for title, cell in zip(titles, row, strict=True):
            if cell == _MISSING:
                continue
            parts = [cell]
            if " " in cell:
                parts = textwrap.wrap(
                    cell, width, break_long_words=False, break_on_hyphens=False
                ) or [cell]
            block.append(f"{title.ljust(indent)}{parts[0]}")
            block += [" " * indent + part for part in parts[1:]]
        blocks.append("\n".join(block))
    return "\n\n".join(blocks) + "\n"  # what follows belongs to no row


def _aligned(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    aligned = []
    for cells in lines:
        padded = []
        for cell, width in zip(cells, widths, strict=True):
            padded.append(cell + " " * (width - columns_of(cell)))
        aligned.append(_GAP.join(padded).rstrip())
    return "\n".join(aligned)


def _cell(value: object) -> str:
    if value is None or value == "":
        return _MISSING
    if isinstance(value, datetime):
        return minute_text(value)
    return shown(str(value).replace("\n", " "))
