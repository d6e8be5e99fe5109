"""Prints figures, each beside its mark and beside what raw SQL on the same schema does."""

from typing import NamedTuple


class Figure(NamedTuple):
    """One measured value.

    Attributes:
        name: what was measured.
        value: in `unit`.
        is_rate: whether more is better.
        mark: the value to reach, None where none is set.
        limit: what raw SQL on the same schema does, None where that means nothing.
        note: what else there is to know, client and server CPU for instance.
    """

    name: str
    value: float
    unit: str
    is_rate: bool = False
    mark: float | None = None
    limit: float | None = None
    note: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Whether the mark is reached; None where there is none."""
        if self.mark is None:
            return None
        return self.value >= self.mark if self.is_rate else self.value <= self.mark

    @property
    def ratio(self) -> float | None:
        """Return how many times slower or larger than the limit."""
        if not self.limit or not self.value:
            return None
        return self.limit / self.value if self.is_rate else self.value / self.limit


_WIDTHS = (44, 10, 12, 10, 4, 10, 7)
_HEADS = ("", "value", "unit", "mark", "", "raw SQL", "ratio", "")


def print_heading(title: str) -> None:
    """Print the head of a table."""
    print(f"\n{title}")
    print(_line(_HEADS))


def print_figure(figure: Figure) -> Figure:
    """Print one line of a table; return the figure."""
    word = {True: "ok", False: "MISS", None: ""}[figure.is_reached]
    ratio = f"{figure.ratio:.1f} x" if figure.ratio else ""
    mark, limit = _number(figure.mark), _number(figure.limit)
    print(
        _line(
            (figure.name, _number(figure.value), figure.unit, mark, word, limit, ratio, figure.note)
        ),
        flush=True,
    )
    return figure


def _line(words: tuple[str, ...]) -> str:
    first, *numbers, note = words
    columns = [
        word.ljust(w) if place == 1 else word.rjust(w)
        for place, (word, w) in enumerate(zip(numbers, _WIDTHS[1:], strict=True))
    ]
    return f"{first.ljust(_WIDTHS[0])}{' '.join(columns)}  {note}".rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"  # noqa: PLR2004
