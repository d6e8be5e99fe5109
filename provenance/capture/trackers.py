"""art's time and memory of each module, out of the SQLite databases that TimeTracker and MemoryTracker leave behind, or what they print.

Sources: the tables of art's services (TimeModule, TimeSource; ModuleInfo, PeakUsage); seconds of
wall time, and memory in units of 10^6 bytes. A database may hold earlier runs as well, where art
was told to append: all rows count.
"""

import os
import re
import time

_SECONDS = 5.0
_STEPS = 100000  # SQLite instructions between two looks at the clock
_MEGABYTE = 1000000
_TIMES = """
    SELECT Path, ModuleLabel, ModuleType, count(*), sum(Time), max(Time) FROM TimeModule GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_SOURCES = "SELECT 'source', NULL, Source, count(*), sum(Time), max(Time) FROM TimeSource GROUP BY 3 ORDER BY 3"
_DELTAS = """
    SELECT after.Path, after.ModuleLabel, after.ModuleType, max(after.Vsize - before.Vsize), max(after.RSS - before.RSS)
    FROM ModuleInfo AS before CROSS JOIN ModuleInfo AS after ON after.rowid = before.rowid + 1
    WHERE before.Step LIKE 'Pre%' AND after.Step LIKE 'Post%' AND after.ModuleLabel = before.ModuleLabel
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_PEAKS = "SELECT Name, Value FROM PeakUsage WHERE Name IN ('VmPeak', 'VmHWM')"
_PRINTED = re.compile(r"^TimeTracker printout \(sec\) ")
_ROW = re.compile(r"^(\S+(?: \S+)*?)((?:\s+[-+\d.e]+){5})\s+(\d+)\s*$")
_PRINTED_PEAKS = re.compile(r"\((VmPeak|VmHWM)\)\s*:\s*([\d.e+]+) MB|\b(VmPeak|VmHWM) = ([\d.e+]+)")


def read(path, modules, peaks):
    """Add what a database tells to modules, by (path, label, type), and to peak memory, by `vsize` and `rss`, in bytes.

    A module is {path, label, type, events, seconds_total, seconds_max, vsize_delta_bytes_max,
    rss_delta_bytes_max}, as far as it is told. Raises OSError and sqlite3.Error where the file is
    no database or takes too long.
    """
    import sqlite3  # noqa: PLC0415 - not every Python has it

    connection = sqlite3.connect("file:{}?mode=ro".format(_quoted(path)), uri=True, timeout=1.0)
    end = time.monotonic() + _SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        tables = {
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        for table, query in (("TimeModule", _TIMES), ("TimeSource", _SOURCES)):
            for row in connection.execute(query) if table in tables else ():
                _module(modules, row).update(
                    events=row[3], seconds_total=round(row[4], 6), seconds_max=row[5]
                )
        for row in connection.execute(_DELTAS) if "ModuleInfo" in tables else ():
            _module(modules, row).update(
                vsize_delta_bytes_max=_bytes(row[3]), rss_delta_bytes_max=_bytes(row[4])
            )
        for name, value in connection.execute(_PEAKS) if "PeakUsage" in tables else ():
            peaks["vsize" if name == "VmPeak" else "rss"] = _bytes(value)
    finally:
        connection.close()


def read_printed(text, modules, peaks):
    """Add what the summaries at the end of a log tell, to the digits that they print.

    Only what no database told is set.
    """
    is_table = False
    for line in text.split("\n"):
        if _PRINTED.match(line):
            is_table = True
        elif is_table and line.strip() == "":
            is_table = False
        row = _ROW.match(line) if is_table else None
        if row and ":" in row.group(1):
            _add_printed(
                modules,
                row.group(1),
                [float(word) for word in row.group(2).split()],
                int(row.group(3)),
            )
        for match in _PRINTED_PEAKS.finditer(line) if "VmPeak" in line or "VmHWM" in line else ():
            name, value = match.groups()[:2] if match.group(1) else match.groups()[2:]
            peaks.setdefault("vsize" if name == "VmPeak" else "rss", _bytes(float(value)))


def _add_printed(modules, name, figures, events):
    """Add a row `path:label:type`, or `source:type(read)`, of minimum, mean, maximum, median and RMS."""
    path, _, rest = name.partition(":")
    label, _, kind = rest.rpartition(":")
    if path == "source" and not label:
        kind = kind.rsplit("(", 1)[0]
    row = (path, label or None, kind)
    if row not in modules:
        _module(modules, row).update(
            events=events, seconds_total=round(figures[1] * events, 6), seconds_max=figures[2]
        )


def _module(modules, row):
    found = modules.setdefault(tuple(row[:3]), {})
    found.update(
        {
            name: str(value)
            for name, value in zip(("path", "label", "type"), row)  # noqa: B905
            if value is not None
        }
    )
    return found


def _bytes(megabytes):
    return round(megabytes * _MEGABYTE)


def _quoted(path):
    from urllib.parse import quote  # noqa: PLC0415

    return quote(os.path.abspath(path))
