"""Replays sealed ledger entries into the tables: what each kind of entry means, in one place.

The rows are written by the same use cases that wrote them first; they are given the place of the
entry. What the chain holds about blobs and code is read in advance, so that each record gets its
final grade and gaps at once.
"""

from collections.abc import Callable, Iterable, Sequence

from jobprov.provenance.db.changes.erasures import NewExpiredLog, remove_possessions
from jobprov.provenance.db.changes.failures import NewReclassification, add_reclassification
from jobprov.provenance.db.changes.intake import set_private
from jobprov.provenance.db.changes.ledger import NewEntry, append_entries
from jobprov.provenance.db.changes.tasks import intern_task
from jobprov.provenance.db.changes.upkeep import add_entered
from jobprov.provenance.db.queries.upkeep import keys_by_position
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.alerts.events import write_event
from jobprov.provenance.services.bundles.comparators import write_comparator_row
from jobprov.provenance.services.catalogs.sightings import write_sighting_row
from jobprov.provenance.services.code.ambiguous_code import TagObservations
from jobprov.provenance.services.code.ref_observations import write_observation_row
from jobprov.provenance.services.code.resolutions import write_resolution_row
from jobprov.provenance.services.erasures.log_expiry import Owner, write_expiry_rows
from jobprov.provenance.services.erasures.rows import ErasedRow, Erasure, write_erasure_rows
from jobprov.provenance.services.failures.rules import write_rules_row
from jobprov.provenance.services.ledger.chain_erasures import (
    KIND,
    ChainErasures,
    ErasedItem,
    ErasuresRead,
    items_of,
)
from jobprov.provenance.services.ledger.documents import (
    CapsuleDocument,
    ComparatorsDocument,
    EntryDocument,
    ErasureDocument,
    ExpiryDocument,
    ObservationDocument,
    PoliciesDocument,
    PossessionDocument,
    PrivacyDocument,
    ReclassificationDocument,
    ResolutionDocument,
    RevisionDocument,
    SightingDocument,
    TaskDocument,
    WaiverDocument,
    WorkflowDocument,
    read_document,
)
from jobprov.provenance.services.ledger.entry_bytes import RECORDS
from jobprov.provenance.services.ledger.segments import SealedEntry, SegmentReader
from jobprov.provenance.services.orders.orders import write_order_rows, write_report
from jobprov.provenance.services.orders.retry_policies import write_policy_rows
from jobprov.provenance.services.orders.workflows import write_state, write_workflow_row
from jobprov.provenance.services.read_ahead import ReadAhead
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.resolved_code import note_resolution
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.reruns.capsules import uses_in, write_capsule_rows
from jobprov.provenance.services.tasks.declarations import write_task_row
from jobprov.provenance.services.tasks.waivers import write_waiver_rows
from jobprov.provenance.services.upkeep.waiting_entries import WaitingEntries, waiting_entry
from jobprov.provenance.services.writing import Writing

_AT_ONCE = 500


class Replay:
    """One replay of one experiment's entries, in a transaction of the caller."""

    def __init__(self, writing: Writing, experiment: str) -> None:
        self._writing = writing
        self._connection = writing.connection
        self._name = experiment
        self._chain: ChainErasures | None = None
        self._read_ahead = writing.remembered(ReadAhead)
        self.experiment = intern_experiments(writing, {experiment})[experiment]
        self._owner = Owner(experiment, self.experiment)
        self._waiting = WaitingEntries(writing, (experiment, self.experiment))

    def prepare(self, reader: SegmentReader) -> None:
        """Read in advance what decides grades: possession, resolutions, tags and capsules."""
        for position in reader.positions("capsule"):
            capsule = read_document(reader.body(position), CapsuleDocument).capsule
            self._read_ahead.served.update((self._name, use) for use in uses_in(capsule))
        self._prepare_blobs(reader)
        for position in reader.positions("resolution"):
            code = read_document(reader.body(position), ResolutionDocument)
            note_resolution(self._writing.memory, code.software, code.match_key, code.document)
        for position in reader.positions("ref_observation"):
            entry = reader.entry(position)
            seen = read_document(entry.body, ObservationDocument)
            tag = seen.match_key, seen.ref
            self._writing.remembered(TagObservations).note(tag, seen.oid, entry.received_at)

    def _prepare_blobs(self, reader: SegmentReader) -> None:
        """Read in advance what is possessed, expired and erased."""
        # In the order of the chain: a log may have been sent again after it expired
        for position in reader.positions("possession", "expiry"):
            entry = reader.entry(position)
            if entry.kind == "expiry":
                self._note_expired(read_document(entry.body, ExpiryDocument).digests)
            else:
                digests = read_document(entry.body, PossessionDocument).sha256
                self._expired().difference_update(digests)
                self._possess(digests)
        for position in reader.positions(KIND):
            erasure = read_document(reader.body(position), ErasureDocument)
            self._erased().update(erasure.digests)
            self._forget(erasure.sha256)

    def forbid(self, digests: Iterable[str]) -> None:
        """Treat these blobs as erased, even if the replayed entries bring them."""
        self._erased().update(digests)

    def replay(self, segment: int, numbered: Iterable[tuple[int, SealedEntry]]) -> None:
        """Write the rows of these entries of a segment, in order.

        Successive records are written together, some hundred at once; an entry of another kind
        first has the records before it written, because it may be about one of their jobs.
        """
        records: list[Submission] = []
        places: list[tuple[int, SealedEntry]] = []
        for position, entry in numbered:
            places.append((position, entry))
            if entry.erased is not None and not self._erasures().counts_for_job(entry.leaf):
                # The entry that erased it says what it was; its rows are written with that one
                self._append(entry, (segment, position))
                continue
            if entry.kind in RECORDS:
                records.append(self._submission(entry, (segment, position)))
                if len(records) == _AT_ONCE:
                    self._record(records)
                continue
            self._record(records)
            self._write(entry, (segment, position))
        self._record(records)
        self._fill(segment, places)

    def write_again(self, kind: str, document: EntryDocument) -> None:
        """Write the rows of an entry again. Its own row in the ledger stays."""
        _WRITERS[kind](self, document)

    def place_among_records(self, entry: SealedEntry) -> tuple[str, str, int] | None:
        """Return job id, witness and revision of a record that a job is made from.

        Return None for any other entry.
        """
        if entry.erased is not None:
            item = self._erasures().items.get(entry.leaf)
            if item is None or item.revision is None:
                return None
            return item.job_id, item.witness, item.revision
        if entry.kind not in ("record", "revision"):
            return None
        submission = self._submission(entry, (0, 0))
        return submission.decoded.job_id, submission.witness, submission.revision or 0

    def finish(self, reader: SegmentReader) -> None:
        """Point software entries at their resolutions.

        Not done in `replay`: a resolution may come before the job whose code it is.
        """
        positions = reader.positions("resolution")
        if not positions:
            return
        keys = keys_by_position(self._connection, self.experiment, reader.head.segment)
        for position in positions:
            entry = reader.entry(position)
            self._resolution(EntryDocument(keys[position], entry.body, entry.received_at))

    def _record(self, records: list[Submission]) -> None:
        if records:
            # Before the jobs are written: it leaves out entries of jobs that are recorded
            waiting = self._waiting.by_job()
            record_jobs(self._writing, records)
            self._waiting.write_of(waiting, {record.decoded.job_id for record in records})
            records.clear()

    def _write(self, entry: SealedEntry, place: tuple[int, int]) -> None:
        writer = _WRITERS.get(entry.kind)
        if writer is None:
            return  # written by a later version: `_fill` keeps the entry, without its meaning
        key = self._append(entry, place)
        writer(self, EntryDocument(key, entry.body, entry.received_at))

    def _append(self, entry: SealedEntry, place: tuple[int, int]) -> int:
        return append_entries(self._connection, [self._new_entry(entry, place)])[0]

    def _new_entry(self, entry: SealedEntry, place: tuple[int, int]) -> NewEntry:
        return NewEntry(self.experiment, entry.kind, entry.received_at, entry.submitter, b"", place)

    def _fill(self, segment: int, places: Sequence[tuple[int, SealedEntry]]) -> None:
        """Write ledger rows for the entries that have none yet.

        They are of kinds unknown to this version, or records that changed nothing.
        """
        written = keys_by_position(self._connection, self.experiment, segment)
        lacking: list[NewEntry] = []
        for position, entry in places:
            if position not in written:
                lacking.append(self._new_entry(entry, (segment, position)))
        append_entries(self._connection, lacking)

    def _submission(self, entry: SealedEntry, place: tuple[int, int]) -> Submission:
        """Return a record as it was submitted; for an erased one, the record that corrected it."""
        if entry.erased is not None:
            return self._stand_in(entry, place)
        sent = (entry.received_at, entry.submitter)
        if entry.kind == "revision":
            document = read_document(entry.body, RevisionDocument)
            decoded = decode_record(document.record.encode())
            return Submission(decoded, *sent, document.reason, place, revision=document.revision)
        decoded = decode_record(entry.body)
        if entry.kind == "record":
            return Submission(decoded, *sent, place=place, revision=0)
        if entry.kind == "conflict":
            return Submission(decoded, *sent, place=place, is_conflict=True)
        # `unread`: this version could not read the record when it came, and perhaps now can. With
        # the witness's record erased, it must not take that place: it stays evidence
        is_conflict = self._erasures().has_erased(decoded.job_id, decoded.witness)
        return Submission(decoded, *sent, place=place, kind=entry.kind, is_conflict=is_conflict)

    def _stand_in(self, entry: SealedEntry, place: tuple[int, int]) -> Submission:
        """Return what corrected an erased record, in its place."""
        decoded = decode_record(
            self._erasures().stand_in(self._writing.store, self._name, entry.leaf)
        )
        revision = self._erasures().items[entry.leaf].revision
        sent = (entry.received_at, entry.submitter)
        if entry.kind == "unread":
            return Submission(
                decoded, *sent, place=place, kind=entry.kind, revision=revision or None
            )
        reason = "erased" if entry.kind == "revision" else None
        return Submission(decoded, *sent, reason, place, revision=revision)

    def _erasures(self) -> ChainErasures:
        """Return all erasures of the chain, including those further on than this segment.

        They are read only once something erased is met, and again after the chain has grown.
        """
        if self._chain is None:
            self._chain = self._writing.remembered(ErasuresRead).of(self._writing.store, self._name)
        return self._chain

    def _erased(self) -> set[str]:
        """Return the digests that are erased by the end of the chain.

        Records are graded by that, even those from before the erasure.
        """
        return self._read_ahead.erased[self._name]

    def _erasure(self, document: EntryDocument) -> None:
        """Write the rows of an erasure, for those of its entries that are in the ledger's table."""
        erasure = document.read(ErasureDocument)
        items: dict[int, dict[int, ErasedItem]] = {}
        for leaf, item in items_of(erasure).items():
            place = self._erasures().place_of(leaf)
            if place is not None:
                segment, position = place
                items.setdefault(segment, {})[position] = item
        rows: list[ErasedRow] = []
        for segment, by_position in items.items():
            keys = keys_by_position(self._connection, self.experiment, segment, by_position)
            for position, key in keys.items():
                rows.append(ErasedRow(key, by_position[position]))
        write_erasure_rows(self._writing, self._owner, Erasure(document.entry, erasure, rows))

    def _expired(self) -> set[str]:
        """Return the digests of logs that are expired by the end of the chain.

        Records are graded by that, even those from before the expiry.
        """
        return self._read_ahead.expired[self._name]

    def _note_expired(self, digests: Sequence[str]) -> None:
        self._expired().update(digests)
        self._forget(digests)

    def _forget(self, digests: Sequence[str]) -> None:
        remove_possessions(self._writing, self._name, self.experiment, digests)

    def _possess(self, digests: Sequence[str]) -> None:
        gone = self._expired() | self._erased()
        digests = [sha256 for sha256 in digests if sha256 not in gone]
        add_entered(self._connection, self.experiment, digests)

    def _verdict(self, document: EntryDocument) -> None:
        self._waiting.write_or_hold(waiting_entry("verdict", document))

    def _comparators(self, document: EntryDocument) -> None:
        comparators = document.read(ComparatorsDocument).comparators
        write_comparator_row(self._connection, self.experiment, document.entry, comparators)

    def _capsule(self, document: EntryDocument) -> None:
        capsule = document.read(CapsuleDocument).capsule
        write_capsule_rows(self._connection, self.experiment, document.entry, capsule)

    def _plan(self, document: EntryDocument) -> None:
        self._waiting.write_or_hold(waiting_entry("plan", document))

    def _resolution(self, document: EntryDocument) -> None:
        write_resolution_row(self._connection, document.entry, document.json())

    def _observation(self, document: EntryDocument) -> None:
        write_observation_row(
            self._connection, document.entry, document.json(), document.received_at
        )

    def _task(self, document: EntryDocument) -> None:
        declared = document.read(TaskDocument)
        write_task_row(
            self._writing,
            declared.task_id,
            declared.task,
            entry=document.entry,
            experiment=self.experiment,
        )

    def _waiver(self, document: EntryDocument) -> None:
        waived = document.read(WaiverDocument)
        task = intern_task(self._writing, self.experiment, waived.task_id)
        write_waiver_rows(self._connection, task, document.entry, waived.waiver)

    def _privacy(self, document: EntryDocument) -> None:
        is_private = document.read(PrivacyDocument).is_private
        set_private(self._connection, self.experiment, is_private=is_private)

    def _sighting(self, document: EntryDocument) -> None:
        file = document.read(SightingDocument).file
        write_sighting_row(
            self._writing, file, entry=document.entry, received_at=document.received_at
        )

    def _rules(self, document: EntryDocument) -> None:
        write_rules_row(
            self._connection,
            self.experiment,
            document.entry,
            document.json(),
            document.received_at,
        )

    def _reclassification(self, document: EntryDocument) -> None:
        reclassification = document.read(ReclassificationDocument)
        task = None
        if reclassification.task_id:
            task = intern_task(self._writing, self.experiment, reclassification.task_id)
        version, received_at = reclassification.version, document.received_at
        row = NewReclassification(document.entry, self.experiment, task, version, received_at)
        add_reclassification(self._connection, row)

    def _workflow(self, document: EntryDocument) -> None:
        name = document.read(WorkflowDocument).name
        write_workflow_row(self._connection, self.experiment, document.entry, name)

    def _workflow_state(self, document: EntryDocument) -> None:
        write_state(self._connection, self.experiment, document.entry, document.json())

    def _orders(self, document: EntryDocument) -> None:
        write_order_rows(self._writing, self.experiment, document.entry, document.json())

    def _order_report(self, document: EntryDocument) -> None:
        write_report(self._connection, document.json(), document.received_at)

    def _retry_policies(self, document: EntryDocument) -> None:
        policies = document.read(PoliciesDocument).policies
        write_policy_rows(self._connection, self.experiment, document.entry, policies)

    def _expiry(self, document: EntryDocument) -> None:
        logs = document.read(ExpiryDocument).logs
        rows = [NewExpiredLog(log.sha256, log.kept_sha256, log.size_bytes) for log in logs]
        write_expiry_rows(self._writing, self._owner, document.entry, rows)
        # A log that was sent again later is not expired by the end of the chain
        expired = self._expired()
        self._possess([log.sha256 for log in logs if log.sha256 not in expired])

    def _alert(self, document: EntryDocument) -> None:
        write_event(self._writing, self.experiment, document.json(), document.received_at)

    def _token(self, _: EntryDocument) -> None:
        """Write nothing: a token is in no ledger. The entry has its place among the others."""

    def _possession(self, document: EntryDocument) -> None:
        self._possess(document.read(PossessionDocument).sha256)


_WRITERS: dict[str, Callable[[Replay, EntryDocument], None]] = {
    "verdict": Replay._verdict,  # noqa: SLF001
    "comparators": Replay._comparators,  # noqa: SLF001
    "capsule": Replay._capsule,  # noqa: SLF001
    "plan": Replay._plan,  # noqa: SLF001
    "resolution": Replay._resolution,  # noqa: SLF001
    "ref_observation": Replay._observation,  # noqa: SLF001
    "alert": Replay._alert,  # noqa: SLF001
    "token": Replay._token,  # noqa: SLF001
    "task": Replay._task,  # noqa: SLF001
    "waiver": Replay._waiver,  # noqa: SLF001
    "privacy": Replay._privacy,  # noqa: SLF001
    "sighting": Replay._sighting,  # noqa: SLF001
    "rules": Replay._rules,  # noqa: SLF001
    "reclassification": Replay._reclassification,  # noqa: SLF001
    "workflow": Replay._workflow,  # noqa: SLF001
    "workflow_state": Replay._workflow_state,  # noqa: SLF001
    "orders": Replay._orders,  # noqa: SLF001
    "order_report": Replay._order_report,  # noqa: SLF001
    "retry_policies": Replay._retry_policies,  # noqa: SLF001
    "expiry": Replay._expiry,  # noqa: SLF001
    KIND: Replay._erasure,  # noqa: SLF001
    "possession": Replay._possession,  # noqa: SLF001
}
