"""What a catalog did with a file that it knew.

Source: docs/decisions/0049-retired-files.md.
"""

from enum import IntEnum
from typing import NamedTuple


class Presence(IntEnum):
    """Whether a catalog still has a file that was an output of a task.

    Attributes:
        THERE: it has.
        SPENT: it retired the file, and something that was made from it is there.
        GONE: it retired the file, and nothing that is there was made from it.
    """

    THERE = 0
    SPENT = 1
    GONE = 2


class LostFiles(NamedTuple):
    """Names of the files that a job or unit lost: the catalog retired them, or never got them."""

    retired: list[str]
    unarrived: list[str]
