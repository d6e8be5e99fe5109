"""Jobs as recorded so far: the current record of each witness, and the job they make together."""

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.ledger import (
    FinalEntry,
    final_entries,
    provisional_bodies,
    recorded_jobs,
)
from jobprov.provenance.db.recording.job_rows import JobColumns
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.turns import LostTurnError, take_jobs
from jobprov.provenance.errors import NotFoundError, RecordError
from jobprov.provenance.records.job_record import JobRecord, JsonObject
from jobprov.provenance.records.merging import Disagreement, fill, merge_witnesses
from jobprov.provenance.records.reading.decoding import DecodedRecord, decode_record
from jobprov.provenance.records.reading.references import referenced_blobs
from jobprov.provenance.records.reading.repairing import read_plain, without_unfit
from jobprov.provenance.services.ledger.entries import read_entries


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


class FinalRecord(NamedTuple):
    """The current final record of one witness: its newest revision.

    Attributes:
        revision: 0 as first sent.
        entry: key of its ledger entry.
        body: the record's exact bytes.
        earlier: bytes of the older revisions, in no order: a client may send one of them again.
        before: numbers of the older revisions.
    """

    revision: int
    entry: int
    body: bytes
    earlier: tuple[bytes, ...] = ()
    before: tuple[int, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of all revisions of the witness."""
        return self.revision, *self.before


class WitnessRecords(msgspec.Struct, frozen=True):
    """The records of one job, by witness.

    Attributes:
        finals: final records by witness.
        provisional: records of the running or lost job, by witness.
        gone: witness and number of records whose bytes were erased.
    """

    finals: dict[str, FinalRecord] = {}
    provisional: dict[str, bytes] = {}
    gone: set[tuple[str, int]] = set()

    def reading(self) -> Reading:
        """Return the job that all its witnesses make together.

        Raises:
            NotFoundError: there are no records: see `read_together`.
        """
        bodies = list(self.bodies().values())
        alone = _read_alone(bodies[0]) if len(bodies) == 1 else None
        return alone or self.merged()

    def merged(self) -> "MergedReading":
        """Return the same with the plain values, merged one by one.

        Raises:
            NotFoundError: there are no records: see `read_together`.
        """
        return read_together(self.records_but(None))

    def records_but(self, witness: str | None) -> dict[str, JsonObject]:
        """Return the plain record of every witness except this one.

        A final record goes before a provisional one of the same witness.
        """
        bodies = self.bodies()
        return {name: json.loads(body) for name, body in bodies.items() if name != witness}

    def bodies(self) -> dict[str, bytes]:
        """Return the bytes of each witness's record: the final one, else the provisional one."""
        final = {witness: record.body for witness, record in self.finals.items()}
        return {**self.provisional, **final}

    def next_revision(self, witness: str) -> int:
        """Return the number that a correction of this witness's record gets."""
        return self.last_revision(witness) + 1

    def last_revision(self, witness: str) -> int:
        """Return the number of this witness's newest record, 0 where there is none."""
        return self.finals[witness].revision if witness in self.finals else 0

    def check_free(self, witness: str, revision: int) -> None:
        """Refuse a revision number that is taken.

        The number may have been chosen before another process committed the same one.

        Raises:
            LostTurnError: a record of this witness has this number.
        """
        final = self.finals.get(witness)
        if (witness, revision) in self.gone or (final is not None and revision in final.numbers):
            raise LostTurnError(
                f"Witness {witness} has a record {revision} of this job: another process took it "
                "at this moment, or it was erased after the state of this database, and the next "
                "`jobprov archive seal` brings what is left. Send this one again then."
            )


class WitnessedJob(WitnessRecords, frozen=True, kw_only=True):
    """A job as recorded so far, whose rows are written next.

    Attributes:
        received_at: when its first record came.
    """

    key: int
    received_at: datetime


def read_witnesses(
    connection: Connection, store: Store, jobs: Iterable[int]
) -> dict[int, WitnessRecords]:
    """Return the records of jobs, by the keys of the jobs; two statements a few thousand jobs."""
    records = {job: WitnessRecords() for job in jobs}
    fill_records(connection, store, records)
    return records


def read_records(connection: Connection, store: Store, jobs: Iterable[int]) -> dict[int, JobRecord]:
    """Return the record of each job, its witnesses together, by the keys of the jobs.

    Raises:
        NotFoundError: the records of one were erased: see `read_together`.
    """
    witnesses_by_job = read_witnesses(connection, store, jobs)
    return {job: witnesses.reading().record for job, witnesses in witnesses_by_job.items()}


def read_records_left(
    connection: Connection, store: Store, jobs: Iterable[int]
) -> dict[int, JobRecord]:
    """Return the records as `read_records` does, without the jobs whose records were erased."""
    records = {}
    for job, witnesses in read_witnesses(connection, store, jobs).items():
        try:
            records[job] = witnesses.reading().record
        except NotFoundError:
            continue
    return records


def load_witnessed(
    connection: Connection, store: Store, wanted: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], WitnessedJob]:
    """Return what is recorded of the jobs in `wanted`, by (job_id, experiment key).

    Jobs that are not recorded are left out. From here until this transaction ends, other writers of
    these jobs wait.
    """
    jobs: dict[tuple[str, int], WitnessedJob] = {}
    for name, job in recorded_jobs(connection, wanted).items():
        jobs[name] = WitnessedJob(key=job.key, received_at=job.received_at)
    if jobs:
        fill_taken(connection, store, {job.key: job for job in jobs.values()})
    return jobs


def fill_taken(connection: Connection, store: Store, jobs: Mapping[int, WitnessedJob]) -> None:
    """Read the records of these jobs, whose rows are written next.

    Other writers of the jobs wait until this transaction ends, so no witness is added in between.
    """
    # First: what is read before the turn may be out of date by the time it is written
    take_jobs(connection, jobs)
    fill_records(connection, store, jobs)


def fill_records(connection: Connection, store: Store, jobs: Mapping[int, WitnessRecords]) -> None:
    """Read the records of each witness of these jobs into them."""
    finals: list[FinalEntry] = []
    for part in chunks(list(jobs)):
        finals += final_entries(connection, part)
        for provisional in provisional_bodies(connection, part):
            jobs[provisional.job].provisional[provisional.witness] = provisional.body
    bodies = read_entries(connection, store, [final.entry for final in finals])
    for job, witness, revision, entry in finals:
        if entry in bodies:
            body = record_bytes(bodies[entry], revision)
            _add_final(jobs[job], witness, FinalRecord(revision, entry, body))
        else:
            jobs[job].gone.add((witness, revision))


def _add_final(job: WitnessRecords, witness: str, record: FinalRecord) -> None:
    """Add a record of a witness. The newest one stands and remembers the older ones."""
    other = job.finals.get(witness)
    if other is None:
        job.finals[witness] = record
        return
    newest, older = (record, other) if record.revision > other.revision else (other, record)
    job.finals[witness] = newest._replace(
        earlier=(*newest.earlier, *older.earlier, older.body),
        before=(*newest.before, *older.numbers),
    )


def record_bytes(body: bytes, revision: int) -> bytes:
    """Return the record's exact bytes: the body of the entry, or a member of a revision's body."""
    return body if revision == 0 else str(json.loads(body)["record"]).encode()


class MergedReading(Reading, frozen=True, kw_only=True):
    """A job merged from the plain records of its witnesses.

    Attributes:
        raw: the merged record as plain JSON values, unknown fields included.
    """

    raw: JsonObject


def _read_alone(body: bytes) -> Reading | None:
    """Return the job that one witness alone reports, read as when the record came.

    That takes two fifths of what merging takes. None for one that today would be refused.
    """
    try:
        return Reading.of_one(decode_record(body))
    except RecordError:
        return None


def read_together(records: dict[str, JsonObject]) -> MergedReading:
    """Return the job that the plain records of its witnesses make together.

    Raises:
        NotFoundError: there are no records. They were erased after this copy of the database was
            made, and their corrections have not been adopted from the archive yet.
    """
    if not records:
        raise NotFoundError(
            "The records of this job were erased after the state of this database; the next "
            "`jobprov archive seal` brings what is left."
        )
    merged = _merge_fitting(records)
    record, repairs = read_plain(merged.raw)
    repairs = tuple(dict.fromkeys((*merged.unfit, *repairs)))
    serious = tuple(entry.field for entry in merged.contradictions if entry.is_serious)
    return MergedReading(record, repairs, serious, referenced_blobs(merged.raw), raw=merged.raw)


class _Merged(NamedTuple):
    """A record merged from several.

    Attributes:
        contradictions: where the witnesses contradict each other.
        unfit: the paths of values out of range.
    """

    raw: JsonObject
    contradictions: list[Disagreement]
    unfit: list[str]


def _merge_fitting(records: dict[str, JsonObject]) -> _Merged:
    """Merge records; a value out of range gives way to that of another witness."""
    unfit: list[str] = []
    if len(records) > 1:
        fitting = {name: without_unfit(record, unfit) for name, record in records.items()}
    if not unfit:
        return _Merged(*merge_witnesses(records), unfit)
    raw, contradictions = merge_witnesses(fitting)
    # Where no witness has a better value, the unfit one stays as it was sent
    as_sent, _ = merge_witnesses(records)
    fill(raw, as_sent)
    return _Merged(raw, contradictions, unfit)
