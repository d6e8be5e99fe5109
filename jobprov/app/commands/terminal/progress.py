"""How far a command is, while it works: a line that grows on a terminal, lines in a log, or JSON.

It goes to standard error, so that the answer on standard output stays whole. Work that is done
within a second prints nothing; in a log and for programs, within half a minute.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

import click

from jobprov.provenance.lineage.words import duration, number
from jobprov.provenance.progress import Progress, watching

_BAR = 24
_LEAST_SECONDS = 3.0
"""Before that, there is no estimate of how long it will take."""


class Display(Protocol):
    """Shows how far the work is."""

    first_seconds: float
    """When to begin."""
    seconds: float
    """How often at most, from then on."""

    def show(self, progress: Progress, left: float | None) -> None:
        """Show it; `left` is how many seconds more it will take, None without an estimate."""

    def end(self) -> None:
        """Make room for the answer."""


class Bar:
    """A line of the terminal that is written again and again."""

    first_seconds: float = 1
    seconds: float = 0.2

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._width = 0

    def show(self, progress: Progress, left: float | None) -> None:
        """Write the line over the one before."""
        text = sentence(progress, left)
        if progress.total:
            filled = min(_BAR, _BAR * progress.done // progress.total)
            text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {text}"
        text = text[: shutil.get_terminal_size().columns - 1]
        self._out.write(f"\r{text.ljust(self._width)}")
        self._out.flush()
        self._width = len(text)

    def end(self) -> None:
        """Remove the line."""
        if self._width:
            self._out.write(f"\r{' ' * self._width}\r")
            self._out.flush()


class Lines:
    """Plain lines, for a log."""

    first_seconds: float = 30
    seconds: float = 30

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, progress: Progress, left: float | None) -> None:
        """Write a line."""
        click.echo(sentence(progress, left), file=self._out)

    def end(self) -> None:
        """Do nothing: what was written stays."""


class JsonLines:
    """An object in each line, for programs."""

    first_seconds: float = 30
    seconds: float = 5

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, progress: Progress, left: float | None) -> None:
        """Write an object."""
        document = {
            "progress": progress.what,
            "done": progress.done,
            "total": progress.total,
            "seconds_left": None if left is None else round(left),
        }
        click.echo(json.dumps(document), file=self._out)

    def end(self) -> None:
        """Do nothing: what was written stays."""


class Pacer:
    """Shows progress, seldom enough to be read, and estimates how long the work will take."""

    def __init__(self, display: Display, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._clock = clock
        self._next = clock() + display.first_seconds
        self._what = ""
        self._began = clock()

    def __call__(self, progress: Progress) -> None:
        """Show how far the work is, if it is time to."""
        now = self._clock()
        if progress.what != self._what:
            self._what, self._began = progress.what, now
        if now >= self._next:
            self._next = now + self._display.seconds
            self._display.show(progress, self._left(progress, now - self._began))

    @staticmethod
    def _left(progress: Progress, seconds: float) -> float | None:
        if not progress.total or not progress.done or seconds < _LEAST_SECONDS:
            return None
        return seconds * max(0, progress.total - progress.done) / progress.done


@contextmanager
def shown_progress(*, as_json: bool) -> Iterator[None]:
    """Show how far the work in this block is."""
    display: Display
    if as_json:
        display = JsonLines(sys.stderr)
    elif sys.stderr.isatty():
        display = Bar(sys.stderr)
    else:
        display = Lines(sys.stderr)
    try:
        with watching(Pacer(display)):
            yield
    finally:
        display.end()


def sentence(progress: Progress, left: float | None) -> str:
    """Return how far the work is: `blobs copied: 3 of 12, 40 s left`."""
    text = progress.what
    if progress.total:
        text += f": {number(progress.done)} of {number(progress.total)}"
    elif progress.done:
        text += f": {number(progress.done)}"
    if left is not None:
        text += f", {duration(round(left))} left"
    return text
