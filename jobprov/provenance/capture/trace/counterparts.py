"""Files of the traced job of a kind for which another job of the kind has others.

The traced one read `sim.001.art`, this one reads `sim.002.art`. The first is there for this job, too,
and would become a parent that it never read.
"""

import os
import re
from typing import Dict, Iterable, List, Optional, Set

from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.names import from_here
from jobprov.provenance.capture.record.json_objects import Record

_NUMBER = re.compile(r"\d+")
_MOST, _SECONDS = 100, 2.0


def set_apart(used: Dict[str, List[str]], record: Record, input_folder: str) -> None:
    """Count files among the traced job's own where this one has another of their name but numbers.

    Or where one lies beside with the number that this job's command has in place of that one's.
    What this one copied in from beside one of these takes its place.

    Files that lay in the traced job's folder of transferred inputs, jobsub's `CONDOR_DIR_INPUT`, get
    the path that they have in this job's, `input_folder`.
    """
    for name in ("files", "code", "own", "copies"):
        if used.get(name) and input_folder:
            used[name] = [_from_folder(path, input_folder) for path in used[name]]
    others: Dict[str, Set[str]] = {}
    for name in _names(record):
        others.setdefault(_NUMBER.sub("0", name), set()).add(name)
    shared: List[str] = []
    own = used.get("own", [])
    numbers = _other_numbers(used.get("numbers", []), record)
    for path in used.get("files", ()):
        name = os.path.basename(path)
        alike = others.get(_NUMBER.sub("0", name), ())
        if (alike and name not in alike) or _has_one_beside(path, numbers):
            own.append(path)
        else:
            shared.append(path)
    for path in (own + used.get("copies", []))[:_MOST]:
        place = _find_beside(path, record)
        if place is not None and place not in shared:
            shared.append(place)
            if path in own:
                own.remove(path)
    used.update(files=shared, own=own)


def _other_numbers(of_traced: List[str], record: Record) -> Dict[str, str]:
    """Return {number in the traced job's command: the one that this job's has in its place}.

    Without leading zeros.
    """
    of_this = _NUMBER.findall(" ".join(record.get("command", {}).get("argv", ())))
    if len(of_this) != len(of_traced):
        return {}
    pairs = zip(of_traced, of_this)  # noqa: B905 - Python 3.6
    return {_plain(old): _plain(new) for old, new in pairs}


def _has_one_beside(path: str, numbers: Dict[str, str]) -> bool:
    """Tell whether a file lies beside whose name has this job's numbers for the traced job's."""

    def swap(found: "re.Match[str]") -> str:
        digits = found.group()
        return numbers.get(_plain(digits), digits).zfill(len(digits))

    folder, name = os.path.split(path)
    beside = _NUMBER.sub(swap, name)
    return beside != name and os.path.exists(os.path.join(folder, beside))


def _plain(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _find_beside(path: str, record: Record) -> Optional[str]:
    """Return the file beside the traced job's of which this job has a copy as its input.

    The script copied it from there (`cp /pnfs/sim.002.art .`) before anybody saw it. A file of
    another kind stands for none: a raw file that lies beside a configuration.
    """
    for entry in record.get("inputs", ())[:_MOST]:
        place = os.path.join(os.path.dirname(path), entry["name"])
        if os.path.splitext(place)[1] != os.path.splitext(path)[1] or place == entry.get("path"):
            continue
        if "sha256" in entry and _digest(place) == entry["sha256"]:
            return place
    return None


def _digest(path: str) -> Optional[str]:
    """Return the SHA-256 of a small file; None of others, and where there is none."""
    try:
        is_small = os.path.getsize(path) <= SMALL_BYTES
        return hash_file(path, Clock(_SECONDS))[1] if is_small else None
    except (OSError, OutOfTimeError):
        return None


def _from_folder(path: str, input_folder: str) -> str:
    """Return a path with this job's folder of inputs for the traced one's."""
    if os.path.lexists(path):
        return path
    _, mark, name = path.rpartition("/" + os.path.basename(input_folder) + "/")
    place = os.path.join(input_folder, name)
    return from_here(place) if mark and os.path.lexists(place) else path


def _names(record: Record) -> Iterable[str]:
    """Yield the names of the inputs, outputs and configurations of a record."""
    for entry in [*record.get("inputs", ()), *record.get("outputs", ())]:
        yield entry["name"]
    for configuration in record.get("configurations", ()):
        yield os.path.basename(configuration["main"])
