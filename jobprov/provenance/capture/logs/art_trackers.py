"""art's time and memory of each module, from its trackers' databases, or from what they print.

Sources: the tables of art's services (TimeModule, TimeSource; ModuleInfo, PeakUsage); seconds of
wall time, and memory in units of 10^6 bytes. A database may hold earlier runs as well, where art
was told to append: all rows count.
"""

import os
import re
import time
from typing import Any, Dict, Optional, Sequence, Tuple

from jobprov.provenance.capture.record.json_objects import Entry

_SECONDS = 5.0
_STEPS = 100000  # SQLite instructions between two looks at the clock
_MEGABYTE = 1000000
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
_TIMES = """
    SELECT Path, ModuleLabel, ModuleType, count(*), sum(Time), max(Time)
    FROM TimeModule GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_SOURCES = """
    SELECT 'source', NULL, Source, count(*), sum(Time), max(Time)
    FROM TimeSource GROUP BY 3 ORDER BY 3
"""
_DELTAS = """
    SELECT after.Path, after.ModuleLabel, after.ModuleType,
           max(after.Vsize - before.Vsize), max(after.RSS - before.RSS)
    FROM ModuleInfo AS before CROSS JOIN ModuleInfo AS after ON after.rowid = before.rowid + 1
    WHERE before.Step LIKE 'Pre%' AND after.Step LIKE 'Post%'
        AND after.ModuleLabel = before.ModuleLabel
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_PEAKS = "SELECT Name, Value FROM PeakUsage WHERE Name IN ('VmPeak', 'VmHWM')"
_EVENT_TABLES = ("TimeSource", "TimeModule", "TimeEvent", "EventInfo", "ModuleInfo")
_LAST = "SELECT Run, SubRun, Event FROM {} ORDER BY rowid DESC LIMIT 1"
_PEAK_NAMES = {"VmPeak": "vsize", "VmHWM": "rss"}
_PRINTED = re.compile(r"^TimeTracker printout \(sec\) ")
_ROW = re.compile(r"^(\S+(?: \S+)*?)((?:\s+[-+\d.e]+){5})\s+(\d+)\s*$")
_PRINTED_PEAKS = re.compile(r"\((VmPeak|VmHWM)\)\s*:\s*([\d.e+]+) MB|\b(VmPeak|VmHWM) = ([\d.e+]+)")


def read(path: str, modules: Dict[Any, Entry], peaks: Dict[str, int]) -> None:
    """Add what a database holds to modules and peak memory.

    Modules are by (path, label, type), peak memory in bytes by `vsize` and `rss`.

    A module is {path, label, type, events, seconds_total, seconds_max, vsize_delta_bytes_max,
    rss_delta_bytes_max}, as far as it is known. Raises OSError and sqlite3.Error where the file is
    no database or takes too long.
    """
    connection = _open(path)
    try:
        tables = {name for (name,) in connection.execute(_TABLES)}
        if "TimeModule" in tables:
            _add_times(connection.execute(_TIMES), modules)
        if "TimeSource" in tables:
            _add_times(connection.execute(_SOURCES), modules)
        if "ModuleInfo" in tables:
            for row in connection.execute(_DELTAS):
                module = _module(modules, row[:3])
                module["vsize_delta_bytes_max"] = _bytes(row[3])
                module["rss_delta_bytes_max"] = _bytes(row[4])
        if "PeakUsage" in tables:
            for name, megabytes in connection.execute(_PEAKS):
                peaks[_PEAK_NAMES[name]] = _bytes(megabytes)
    finally:
        connection.close()


def last_event(path: str) -> Optional[Tuple[int, int, int]]:
    """Return (run, subRun, event) of the event that a database saw last; None where it saw none.

    Its tables are written a thousand rows at a time, each by itself. Raises as `read` does.
    """
    last = None
    connection = _open(path)
    try:
        tables = {name for (name,) in connection.execute(_TABLES)}
        for table in _EVENT_TABLES:
            if table in tables:
                for row in connection.execute(_LAST.format(table)):
                    last = max(last or row, row)
    finally:
        connection.close()
    return last


def _open(path: str) -> Any:
    """Return a connection that reads, for some seconds at most."""
    import sqlite3  # noqa: PLC0415 - not every Python has it

    connection = sqlite3.connect("file:{}?mode=ro".format(_quoted(path)), uri=True, timeout=1.0)
    end = time.monotonic() + _SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    return connection


def read_printed(text: str, modules: Dict[Any, Entry], peaks: Dict[str, int]) -> None:
    """Add what the summaries at the end of a log print, to the digits that they print.

    Only what no database holds is set.
    """
    is_table = False
    for line in text.split("\n"):
        if _PRINTED.match(line):
            is_table = True
        elif is_table and line.strip() == "":
            is_table = False
        row = _ROW.match(line) if is_table else None
        if row and ":" in row.group(1):
            figures = [float(word) for word in row.group(2).split()]
            _add_printed(modules, row.group(1), figures, int(row.group(3)))
        # A quick look before the pattern: most lines of a log have neither
        if "VmPeak" in line or "VmHWM" in line:
            _add_printed_peaks(line, peaks)


def _add_printed_peaks(line: str, peaks: Dict[str, int]) -> None:
    for match in _PRINTED_PEAKS.finditer(line):
        name = match.group(1) or match.group(3)
        megabytes = match.group(2) or match.group(4)
        peaks.setdefault(_PEAK_NAMES[name], _bytes(float(megabytes)))


def _add_times(rows: Any, modules: Dict[Any, Entry]) -> None:
    for path, label, kind, events, total, longest in rows:
        module = _module(modules, (path, label, kind))
        module.update(events=events, seconds_total=round(total, 6), seconds_max=longest)


def _add_printed(
    modules: Dict[Any, Entry], name: str, figures: Sequence[float], events: int
) -> None:
    """Add a row `path:label:type`, or `source:type(read)`: minimum, mean, maximum, median, RMS."""
    path, _, rest = name.partition(":")
    label, _, kind = rest.rpartition(":")
    if path == "source" and not label:
        kind = kind.rsplit("(", 1)[0]
    key = (path, label or None, kind)
    if key not in modules:
        _, mean, longest = figures[:3]
        module = _module(modules, key)
        module.update(events=events, seconds_total=round(mean * events, 6), seconds_max=longest)


def _module(modules: Dict[Any, Entry], key: Tuple[Any, ...]) -> Entry:
    """Return the entry of a module, (path, label, type); a new one where there is none."""
    module = modules.setdefault(key, {})
    for field, value in zip(("path", "label", "type"), key):  # noqa: B905 - Python 3.6
        if value is not None:
            module[field] = str(value)
    return module


def _bytes(megabytes: float) -> int:
    return round(megabytes * _MEGABYTE)


def _quoted(path: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415

    return quote(os.path.abspath(path))
