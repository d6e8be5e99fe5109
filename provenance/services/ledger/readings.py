"""A job as all its witnesses together report it."""

from collections.abc import Set as AbstractSet

import msgspec

from jobprov.provenance.db.recording.job_rows import JobColumns
from jobprov.provenance.records.job_record import JobRecord


class Reading(msgspec.Struct, frozen=True):
    """A job as all its witnesses together report it.

    Attributes:
        record: the typed reading.
        repairs: paths of fields whose values are out of range.
        contradictions: fields on which witnesses disagree.
        references: the blobs that the record names.
        columns: the record's values for the table of jobs, where they were computed already.
    """

    record: JobRecord
    repairs: tuple[str, ...]
    contradictions: tuple[str, ...]
    references: AbstractSet[str]
    columns: JobColumns | None = None
