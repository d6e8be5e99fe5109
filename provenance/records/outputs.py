"""Which outputs of a record are files that somebody can use.

A file without bytes is none: a full disk, a broken copy or a redirect of the shell leaves it, and
no framework writes an empty file on purpose. Nor is one that was dropped, not kept or not copied.

`db/queries/fragments/made_files.py` is the same rule for the claims in the database.
"""

from jobprov.provenance.records.job_record import JobRecord, Output

WRITTEN = "written"
"""The status of an output that is there; so is one whose record names no status."""


def count_made(record: JobRecord) -> int:
    """Return how many of its outputs a job left as files with something in them."""
    return sum(is_made(output) for output in record.outputs or ())


def is_made(output: Output) -> bool:
    """Return whether an output is there and has something in it."""
    return output.status in (None, WRITTEN) and output.size_bytes != 0
