"""What a record in the making says of the steps so far: their files and times."""

import os
from typing import Iterator, List, Tuple

from jobprov.provenance.capture.record.fields import seconds_of
from jobprov.provenance.capture.record.json_objects import Entry, Record


def files_of(record: Record) -> Iterator[Entry]:
    """Yield the entries of the files that a record names."""
    for name in ("inputs", "outputs", "outputs_not_there", "scripts"):
        yield from record.get(name, ())
    for configuration in record.get("configurations", ()):
        yield from configuration.get("files", ())


def name_from(folder: str, record: Record) -> None:
    """Make paths that count from a folder absolute: the step that comes has another one."""
    for entry in files_of(record):
        if entry.get("path") and not os.path.isabs(entry["path"]):
            entry["path"] = os.path.normpath(os.path.join(folder, entry["path"]))


def times_of_steps(record: Record) -> List[Tuple[float, float]]:
    """Return when the steps began and ended, in seconds since 1970."""
    times = []
    for step in record.get("command", {}).get("steps", ()):
        times.append((seconds_of(step["started_at"]), seconds_of(step["ended_at"])))
    return times
