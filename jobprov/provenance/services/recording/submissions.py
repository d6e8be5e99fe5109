"""A record on its way in, and what became of it.

Source: record.md, "Identity and finality".
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from jobprov.provenance.db.recording.job_rows import JobColumns, job_columns
from jobprov.provenance.db.recording.packing import pack_all
from jobprov.provenance.records.gaps.gaps import Gap
from jobprov.provenance.records.job_record import PROVISIONAL
from jobprov.provenance.records.reading.decoding import DecodedRecord

Change = Literal["created", "same", "replaced", "ignored", "conflict", "unread", "erased"]
STATUS: dict[Change, int] = {
    "created": 201,
    "same": 200,
    "replaced": 200,
    "ignored": 200,
    "conflict": 409,
    "unread": 202,
    "erased": 200,
}


class Submission(NamedTuple):
    """A decoded record with who sent it and when.

    Attributes:
        reason: why this corrects the record; makes it a revision.
        place: where it is sealed already, when the ledger is replayed.
        packed: the record's bytes as they are stored, and
        columns: what the table of jobs says of it, where these were found out before the writer's
            turn.
        kind: of the ledger entry that holds it already, where that is not what it would be entered
            as today.
        entry: key of that entry, where it is in this database.
        revision: the number that it had among the records of its witness, when the ledger is
            replayed.
        is_conflict: whether it was one, when the ledger is replayed; what it contradicted may be
            erased.
    """

    decoded: DecodedRecord
    received_at: datetime
    submitter: str | None = None
    reason: str | None = None
    place: tuple[int, int] | None = None
    packed: bytes | None = None
    kind: str | None = None
    entry: int | None = None
    columns: JobColumns | None = None
    revision: int | None = None
    is_conflict: bool = False

    @classmethod
    def ready(
        cls, decoded: DecodedRecord, received_at: datetime, submitter: str | None
    ) -> "Submission":
        """Return a submission that is made ready here, in the thread of the request.

        All wait for that of the writer.
        """
        columns = job_columns(decoded.record) if decoded.record is not None else None
        return cls(decoded, received_at, submitter, columns=columns)

    @classmethod
    def packed_together(
        cls, decoded: Sequence[DecodedRecord], received_at: datetime, submitter: str | None
    ) -> list["Submission"]:
        """Return one of each, packed as well.

        Records that come alone are packed by the writer, with those of others.
        """
        submissions = []
        for record, packed in zip(
            decoded, pack_all([record.body for record in decoded]), strict=True
        ):
            submissions.append(cls.ready(record, received_at, submitter)._replace(packed=packed))
        return submissions

    @property
    def witness(self) -> str:
        """Return who saw the job."""
        return self.decoded.witness

    @property
    def is_provisional(self) -> bool:
        """Whether a later record may replace this one."""
        return self.decoded.state in PROVISIONAL


class Outcome(NamedTuple):
    """What became of one record."""

    job_id: str
    change: Change
    level: int = 0
    gaps: list[Gap] = []  # noqa: RUF012 - never changed
    missing_blobs: list[str] = []  # noqa: RUF012
