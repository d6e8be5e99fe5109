"""When a step opened and closed its inputs, from the best of three sources.

And inputs that only its log names.

1. `log`: art's dated lines, `24-Nov-2026 14:50:50 UTC  Opened input file "a.root"`. They also name files that SAM delivered, which no
   argument names. To the second, in the time zone that the line says, where that is UTC or this
   machine's own.
2. `sam`: calls of ifdh or samweb that tell SAM of a delivery or release.
3. `proc`: files seen open in the process tree.

Sources: art's `logFileAction` (strftime `%d-%b-%Y %H:%M:%S %Z`); provenance.capture.opened.
"""

import calendar
import os
import re
import time

from jobprov.provenance.capture import files, opened
from jobprov.provenance.capture.draft import moment
from jobprov.provenance.capture.hashing import Clock

_LINE = re.compile(
    rb"^(\d\d)-([A-Z][a-z][a-z])-(\d{4}) (\d\d):(\d\d):(\d\d) (\S{1,10})\s+(Opened|Closed) (secondary )?input file \"(.{1,4000})\"\s*$",
    re.MULTILINE,
)
_MONTHS = [
    b"Jan",
    b"Feb",
    b"Mar",
    b"Apr",
    b"May",
    b"Jun",
    b"Jul",
    b"Aug",
    b"Sep",
    b"Oct",
    b"Nov",
    b"Dec",
]
_UTC = frozenset(["UTC", "GMT"])
_MOST_INPUTS = 10000
_LOG_SECONDS = 1.0


def add(draft, step, outcome, seen, seconds):
    """Add times to the step's inputs, and inputs that its logs name.

    `seen` is what the watch saw, or None.

    `seconds` is the budget for hashing inputs that are named for the first time.
    """
    told = read_log(outcome.logs)
    taken = _add_told(step, told)
    unknown = [path for path in told if path not in taken][:_MOST_INPUTS]
    new = []
    for role in ("primary", "secondary"):
        named = [(path, role) for path in unknown if told[path][0] == role]
        new += files.describe_inputs(step.name, named)
    if new:
        files.hash_inputs(draft, new, Clock(seconds))
        step.inputs.extend(new)
        _add_told(step, told)
    if seen is not None:
        _add_calls(step, seen.calls, seen.late)
        _add_sightings(step, seen.files, outcome.ended)


def read_log(logs):
    """Return {file as art names it: [role, opened, closed]} of logs, [(name, bytes, …)].

    Times in seconds since 1970, or None.
    """
    found = {}
    for log in logs:
        if b' input file "' not in log[1]:
            continue
        for match in _LINE.finditer(log[1]):
            path = os.fsdecode(match.group(10))
            entry = found.setdefault(
                path, ["secondary" if match.group(9) else "primary", None, None]
            )
            when = _seconds(match)
            if match.group(8) == b"Closed":
                entry[2] = when
            elif entry[1] is None:
                entry[1] = when
    return found


def _seconds(match):
    """Return a line's time; None where its zone says nothing here."""
    day, month, year, hour, minute, second = match.groups()[:6]
    if month not in _MONTHS:
        return None
    fields = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
    zone = match.group(7).decode("ascii", "replace")
    if zone in _UTC:
        return float(calendar.timegm(fields))
    if zone in time.tzname:
        try:
            return time.mktime((*fields, 0, 0, time.tzname.index(zone)))
        except (OverflowError, ValueError):
            return None
    return None


def _add_told(step, told):
    """Give inputs the times of the log; return the names that were found among them."""
    names, found = {}, set()
    for path in told:
        names.setdefault(path.rsplit("/", 1)[-1], []).append(path)
    for entry in step.inputs:
        path = entry.get("path") or entry.get("location")
        same = names.get(entry["name"], ())
        if path not in told and len(same) == 1:
            path = same[0]  # one file, by another path
        if path in told:
            _set(entry, told[path][1], told[path][2], "log", _LOG_SECONDS)
            found.add(path)
    return found


def _add_calls(step, calls, late):
    """Give inputs the times at which SAM was told of them, and the status that it was told last."""
    by_name = {
        entry["name"]: entry
        for entry in step.inputs
        if entry.get("role") in ("primary", "secondary")
    }
    for name, status, when in calls:
        entry = by_name.get(name)
        if entry is None:
            continue
        is_delivery = opened.is_delivery(status)
        if not is_delivery:
            entry["status"] = status
        if entry.get("times_from") in (None, "sam"):
            _set(entry, when if is_delivery else None, None if is_delivery else when, "sam", late)


def _add_sightings(step, sightings, ended):
    for entry in step.inputs:
        if entry.get("path") is None or entry.get("times_from"):
            continue
        seen = sightings.get(os.path.realpath(entry["path"]))
        if seen is not None:
            _set(
                entry, seen.opened, ended if seen.closed is None else seen.closed, "proc", seen.late
            )


def _set(entry, began, closed, source, late):
    for field, when in (("opened_at", began), ("closed_at", closed)):
        if when is not None:
            entry[field] = moment(when)
            entry["times_from"], entry["times_within_seconds"] = source, round(late, 3)
