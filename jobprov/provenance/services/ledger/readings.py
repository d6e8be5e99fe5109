"""A job as all its witnesses together report it."""

from collections.abc import Set as AbstractSet

import msgspec

from jobprov.provenance.db.recording.job_rows import JobColumns
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.decoding import DecodedRecord


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

    @classmethod
    def of_one(cls, decoded: DecodedRecord, columns: JobColumns | None = None) -> "Reading | None":
        """Return a job that one witness alone reports; None where the record is of a later version.

        `columns` are those of the record, where they were computed already.
        """
        if decoded.record is None:
            return None
        return Reading(decoded.record, decoded.repairs, (), decoded.references, columns)
