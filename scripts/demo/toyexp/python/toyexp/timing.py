"""How long source, modules and outputs took, in the tables that art's TimeTracker leaves behind.

A module that works event by event says how long each took, in `event_seconds`. Most work on whole
columns: their time is spread evenly over the events, so that totals and means are as measured, and
the slowest event says nothing more than the mean.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toyexp import events, fcl

_TABLES = """
CREATE TABLE TimeSource(Run integer, SubRun integer, Event integer, Source text, Time numeric);
CREATE TABLE TimeEvent(Run integer, SubRun integer, Event integer, Time numeric);
CREATE TABLE TimeModule(
    Run integer, SubRun integer, Event integer, Path text, ModuleLabel text, ModuleType text, Time numeric
);
"""
_NUMBERS = ("run", "subrun", "event")


class TimeTracker:
    """Collects times while the program runs, and writes them at its end."""

    def __init__(self) -> None:
        self._modules: list[tuple[Any, ...]] = []
        self._source: list[tuple[Any, ...]] = []
        self._sums: dict[tuple[int, ...], float] = {}

    def source(self, kind: str, columns: events.Columns, seconds: float) -> None:
        """Take how long the source took to bring these events."""
        self._source += [(*at, f"{kind}:source", each) for at, each in _spread(columns, seconds)]

    @contextmanager
    def module(
        self, path: str, label: str, kind: str, columns: events.Columns, module: Any = None
    ) -> Iterator[None]:
        """Measure what a module does with these events in the body."""
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        for at, each in _spread(columns, seconds, getattr(module, "event_seconds", ())):
            self._modules.append((*at, path, label, kind, each))
            if not kind.endswith("(write)"):  # as art counts: writing comes after the event
                self._sums[at] = self._sums.get(at, 0.0) + each

    def write(self, path: str) -> None:
        """Write the database, anew."""
        for left_over in (path, f"{path}-journal"):
            Path(left_over).unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        with connection:
            connection.executescript(_TABLES)
            connection.executemany("INSERT INTO TimeSource VALUES (?, ?, ?, ?, ?)", self._source)
            connection.executemany(
                "INSERT INTO TimeModule VALUES (?, ?, ?, ?, ?, ?, ?)", self._modules
            )
            sums = [(*at, seconds) for at, seconds in self._sums.items()]
            connection.executemany("INSERT INTO TimeEvent VALUES (?, ?, ?, ?)", sums)
        connection.close()


def database(services: fcl.Table) -> str:
    """Return the name of the database that the configuration wants; empty where it wants none."""
    output = services.get("TimeTracker", fcl.Table()).get("dbOutput", fcl.Table())
    return str(output.get("filename", ""))


def _spread(
    columns: events.Columns, seconds: float, each_seconds: Sequence[float] = ()
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield run, subrun and event number of each event with its own seconds, or its share of all."""
    count = events.length(columns)
    for index in range(count):
        share = each_seconds[index] if len(each_seconds) == count else seconds / count
        yield tuple(int(columns[name][index]) for name in _NUMBERS), share
