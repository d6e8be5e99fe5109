"""Keys of the nodes of a history: `c7` is a claim, `f9` a file that nobody claims, `j3` a job.

The number is the key of the row in the database. Claims and unclaimed files are the graph's files.
"""

from collections.abc import Iterable


def is_job(key: str) -> bool:
    """Whether a key is that of a job, or of a part of one (`j3.1`). All others are files."""
    return key[0] == "j"


def row_numbers(keys: Iterable[str], letter: str) -> list[int]:
    """Return the row numbers of the keys of one kind (`c`, `f` or `j`), in the same order."""
    return [int(key[1:]) for key in keys if key[0] == letter]
