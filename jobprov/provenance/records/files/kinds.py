"""Which files of a task are of one kind: what its jobs made in the same step, by their names.

Names of one kind differ in what tells jobs apart: numbers, hashes, and the name of the unit.
"""

import re

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HASH = re.compile(r"(?<![0-9a-z])(?=[a-f]*[0-9])[0-9a-f]{7,}(?![0-9a-z])", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+")
_SEVERAL = re.compile(r"#(?:[-_.]?#)+")
_SHORTEST_STEM = 3


def kind_of(name: str, unit: str | None) -> str:
    """Return what a file's name has in common with others of its kind.

    Args:
        name: bare.
        unit: that its job did; None where it names none.
    """
    stem, _, _ = (unit or "").rpartition(":")[2].rpartition("/")[2].partition(".")
    if len(stem) >= _SHORTEST_STEM:
        name = name.replace(stem, "#")
    for pattern in (_UUID, _HASH, _NUMBER):
        name = pattern.sub("#", name)
    return _SEVERAL.sub("#", name)
