"""Keys of the nodes of a history: `c7` is a claim, `f9` a file that nobody claims, `j3` a job.

The number is the key of the row in the database. Claims and unclaimed files are the graph's files.
"""

from collections.abc import Iterable


def key_of_claim(claim: int) -> str:
    """Return the node of a file as one job claims it."""
    return f"c{claim}"


def key_of_file(file: int) -> str:
    """Return the node of a file that no job claims."""
    return f"f{file}"


def key_of_job(job: int) -> str:
    """Return the node of a job."""
    return f"j{job}"


def row_number(key: str) -> int:
    """Return the row number of a key."""
    return int(key[1:])


def is_job(key: str) -> bool:
    """Whether a key is that of a job, or of a part of one (`j3.1`). All others are files."""
    return key[0] == "j"


def row_numbers(keys: Iterable[str], letter: str) -> list[int]:
    """Return the row numbers of the keys of one kind (`c`, `f` or `j`), in the same order."""
    return [row_number(key) for key in keys if key[0] == letter]
