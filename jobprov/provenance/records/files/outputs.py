"""Which outputs of a record are files that somebody can use, and which of them count for a unit.

A file without bytes is none: a full disk, a broken copy or a redirect of the shell leaves it, and
no framework writes an empty file on purpose. Nor is one that was dropped, not kept or not copied.
`db/queries/fragments/versions.py` is the same rule for the claims in the database.

A job also leaves files that make no unit done: its logs, packed, and the configuration that it
wrote for itself. Which files do can be declared for a task, by patterns of their names.
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from jobprov.provenance.records.job_record import JobRecord, Output

WRITTEN = "written"
"""The status of an output that is there; so is one whose record names no status."""
_OF_LOGS = re.compile(r"(?:^|[^a-z])logs?(?![a-z])", re.IGNORECASE)
_PACKED = re.compile(r"\.(?:tar|tgz|zip|gz|bz2|xz|zst)$", re.IGNORECASE)
_CONFIGURATION = ".fcl"


def count_made(record: JobRecord, patterns: Sequence[str] = ()) -> int:
    """Return how many of its outputs a job left as files that count for its unit.

    Args:
        record: of the job.
        patterns: of names, as the task declares them; none where it does not.
    """
    names = [output.name for output in record.outputs or () if is_made(output)]
    return count_named(names, patterns)


def count_named(names: Iterable[str], patterns: Sequence[str]) -> int:
    """Return how many of these files count for a unit by their names."""
    return sum(counts_for_unit(name, patterns) for name in names)


def counts_for_unit(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a file counts for a unit by its name."""
    if patterns:
        return any(fnmatchcase(name, pattern) for pattern in patterns)
    return not (name.endswith(_CONFIGURATION) or _is_packed_logs(name))


def _is_packed_logs(name: str) -> bool:
    packed = _PACKED.search(name)
    return packed is not None and _OF_LOGS.search(name, 0, packed.start()) is not None


def is_made(output: Output) -> bool:
    """Return whether an output is there and has something in it."""
    return is_usable(output.status, output.size_bytes)


def is_usable(status: str | None, size_bytes: int | None) -> bool:
    """Return whether a file of such a status and size is there and has something in it."""
    return status in (None, WRITTEN) and size_bytes != 0
