"""When a step opened and closed its inputs, from the best of three sources.

And inputs that only its log names.

1. `log`: art's dated lines, `24-Nov-2026 14:50:50 UTC  Opened input file "a.root"`. They also name files that SAM
   delivered, which no argument names. To the second, in the time zone that the line names, where
   that is UTC or this machine's own.
2. `sam`: calls of ifdh or samweb that tell SAM of a delivery or release (`_add_calls`).
3. `proc`: files seen open in the process tree.

Sources: art's `logFileAction` (strftime `%d-%b-%Y %H:%M:%S %Z`);
provenance.capture.running.open_files.
"""

import calendar
import os
import re
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.files import entries
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.files.names import from_here, is_url
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import moment
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.running import open_files
from jobprov.provenance.capture.running.execution import Outcome

_LINE = re.compile(
    rb"^(\d\d)-([A-Z][a-z][a-z])-(\d{4}) (\d\d):(\d\d):(\d\d) (\S{1,10})\s+"
    rb"(Opened|Closed) (secondary )?input file \"(.{1,4000})\"\s*$",
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
_ROLES = ("primary", "secondary")
_MOST_INPUTS = 10000
_LOG_SECONDS = 1.0  # the precision of a log's times


def add(  # noqa: PLR0917 - as everything that a command left is taken in
    draft: Draft,
    step: Step,
    outcome: Outcome,
    programs: Sequence[Tuple[str, Sequence[Entry]]],
    clock: Clock,
    name_running: Optional[Callable[[float, float], Optional[str]]] = None,
) -> None:
    """Add times to the step's inputs, and inputs that its logs name.

    `programs` are (folder, inputs) of those that the step started. The clock bounds the hashing of
    inputs that are named for the first time. `name_running` tells which of the programs ran at a
    moment, and so opened the file.
    """
    logged = _from_here(read_log(outcome.logs), [folder for folder, _ in programs])
    known = list(step.inputs)
    for _, inputs in programs:
        known += inputs
    matched = _add_logged(known, logged)
    unknown = [path for path in logged if path not in matched][:_MOST_INPUTS]
    new: List[Entry] = []
    for role in _ROLES:
        named = [(path, role) for path in unknown if logged[path][0] == role]
        new += entries.describe_inputs(step.name, named)
    if new:
        # ifdh removes what it fetched as soon as art has read it
        lying = [entry for entry in new if os.path.lexists(entry.get("path") or "")]
        entries.hash_inputs(draft, lying, clock)
        for entry in new:
            opened = logged[entry.get("path") or entry["location"]][1]
            if opened is not None and name_running is not None:
                entry["step"] = name_running(opened, _LOG_SECONDS) or step.name
        step.inputs.extend(new)
        _add_logged(new, logged)


def read_log(logs: Sequence[Tuple[str, bytes, bool]]) -> Dict[str, List[Any]]:
    """Return {file as art names it: [role, opened, closed]} of logs.

    Times in seconds since 1970, or None.
    """
    files: Dict[str, List[Any]] = {}
    for _, content, _ in logs:
        if b' input file "' not in content:
            continue
        for match in _LINE.finditer(content):
            path = os.fsdecode(match.group(10))
            role = "secondary" if match.group(9) else "primary"
            file = files.setdefault(path, [role, None, None])
            if match.group(8) == b"Closed":
                file[2] = _seconds(match)
            elif file[1] is None:
                file[1] = _seconds(match)
    return files


def _from_here(logged: Dict[str, List[Any]], folders: Sequence[str]) -> Dict[str, List[Any]]:
    """Return what logs name by paths from our folder: art names a file from where it runs."""
    found: Dict[str, List[Any]] = {}
    for path, told in logged.items():
        if not (os.path.isabs(path) or is_url(path) or os.path.exists(path)):
            places = [os.path.join(folder, path) for folder in folders]
            there = [place for place in places if os.path.exists(place)] or places
            found[from_here(there[-1]) if there else path] = told
        else:
            found[path] = told
    return found


def _seconds(match: Any) -> Optional[float]:
    """Return a line's time; None where its zone means nothing here."""
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


def _add_logged(inputs: Sequence[Entry], logged: Dict[str, List[Any]]) -> Set[str]:
    """Give inputs the times of the log; return the paths of the log that were found among them."""
    by_name: Dict[str, List[str]] = {}
    for path in logged:
        by_name.setdefault(path.rsplit("/", 1)[-1], []).append(path)
    matched = set()
    for entry in inputs:
        path = entry.get("path") or entry.get("location") or ""
        same_name = by_name.get(entry["name"], [])
        if path not in logged and len(same_name) == 1:
            path = same_name[0]  # one file, by another path
        if path in logged:
            _, opened, closed = logged[path]
            _set(entry, opened, closed, "log", _LOG_SECONDS)
            matched.add(path)
    return matched


def add_seen(step: Step, others: Sequence[Entry], seen: open_files.OpenFiles, ended: float) -> None:
    """Add what the watch saw of the step's inputs; `others` are those of programs in it."""
    _add_calls(step, others, seen)
    _add_sightings(step, seen.files, ended)


def _add_calls(step: Step, others: Sequence[Entry], seen: open_files.OpenFiles) -> None:
    """Give inputs what the job reported of them to SAM, the data dispatcher or justIN, and when.

    What only such a report names is an input too: `cp` may have been over before anybody looked.
    """
    by_name: Dict[str, Entry] = {}
    for entry in [*others, *step.inputs]:
        if entry.get("role") in _ROLES:
            by_name[entry["name"]] = entry
    calls = [*seen.calls, *open_files.justin_calls()]
    namespaces = {call.name: call.namespace for call in calls if call.namespace}
    for call in calls:
        is_delivery = open_files.is_delivery(call.status)
        if call.name not in by_name:
            if is_delivery:
                continue  # it may never have been read
            named: Entry = {"name": call.name, "step": step.name, "role": "primary"}
            named["evidence"] = "argument"
            by_name[call.name] = named
            step.inputs.append(named)
        entry = by_name[call.name]
        if call.name in namespaces:
            entry.setdefault("namespace", namespaces[call.name])
        if not is_delivery:
            entry["status"] = call.status
        is_of_sam = call.moment and not call.namespace
        if not is_of_sam or entry.get("times_from") not in (None, "sam"):
            continue
        if is_delivery:
            _set(entry, call.moment, None, "sam", seen.late)
        else:
            _set(entry, None, call.moment, "sam", seen.late)


def _add_sightings(step: Step, sightings: Dict[str, open_files.Sighting], ended: float) -> None:
    for entry in step.inputs:
        if entry.get("path") is None or entry.get("times_from"):
            continue
        sighting = sightings.get(os.path.realpath(entry["path"]))
        if sighting is not None:
            closed = ended if sighting.closed is None else sighting.closed
            _set(entry, sighting.opened, closed, "proc", sighting.late)


def _set(
    entry: Entry,
    opened: Optional[float],
    closed: Optional[float],
    source: str,
    late: float,
) -> None:
    for field, when in (("opened_at", opened), ("closed_at", closed)):
        if when is not None:
            entry[field] = moment(when)
            entry["times_from"], entry["times_within_seconds"] = source, round(late, 3)
