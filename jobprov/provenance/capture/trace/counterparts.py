"""Files of the traced job of a kind for which another job of the kind has others.

The traced one read `sim.001.art`, this one reads `sim.002.art`. The first is there for this job, too,
and would become a parent that it never read.
"""

import os
import re
from typing import Dict, Iterable, List, Set

from jobprov.provenance.capture.files.names import from_here
from jobprov.provenance.capture.record.json_objects import Record

_NUMBER = re.compile(r"\d+")


def set_apart(used: Dict[str, List[str]], record: Record, input_folder: str) -> None:
    """Count files among the traced job's own where this one has another of their name but numbers.

    Files that lay in the traced job's folder of transferred inputs, jobsub's `CONDOR_DIR_INPUT`, get
    the path that they have in this job's, `input_folder`.
    """
    for name in ("files", "code", "own"):
        if used.get(name) and input_folder:
            used[name] = [_from_folder(path, input_folder) for path in used[name]]
    others: Dict[str, Set[str]] = {}
    for name in _names(record):
        others.setdefault(_NUMBER.sub("0", name), set()).add(name)
    shared: List[str] = []
    for path in used.get("files", ()):
        name = os.path.basename(path)
        alike = others.get(_NUMBER.sub("0", name), ())
        if alike and name not in alike:
            used.setdefault("own", []).append(path)
        else:
            shared.append(path)
    if used.get("files"):
        used["files"] = shared


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
