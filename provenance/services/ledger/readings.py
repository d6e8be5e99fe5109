"""A job as all its witnesses say it."""

from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from jobprov.provenance.records.job_record import JobRecord


class Reading(msgspec.Struct, frozen=True):
    """A job as all its witnesses say it.

    Attributes:
        record: the typed reading.
        repairs: field paths of values out of range.
        contradictions: fields of which witnesses say different things.
        references: the blobs that the record refers to.
        columns: what the table of jobs says of the record, where that was found out already.
    """

    record: JobRecord
    repairs: tuple[str, ...]
    contradictions: tuple[str, ...]
    references: AbstractSet[str]
    columns: dict[str, Any] | None = None
