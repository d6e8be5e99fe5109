"""Replays sealed ledger entries into the tables: what each kind of entry means, in one place.

Rows are written by the use cases that wrote them first, told where the entry lies. What is known of
blobs and code goes first, so that grades and gaps come out as they are in the end.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from jobprov.provenance.db.changes.tasks import intern_task
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import LedgerEntry, Possession
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.bundles.comparators import write_comparator_row
from jobprov.provenance.services.catalogs.sightings import write_sighting_row
from jobprov.provenance.services.code.ambiguous_code import TagObservations
from jobprov.provenance.services.code.ref_observations import write_observation_row
from jobprov.provenance.services.code.resolutions import write_resolution_row
from jobprov.provenance.services.erasures.log_expiry import (
    Owner,
    forget_possession,
    write_expiry_rows,
)
from jobprov.provenance.services.erasures.rows import ErasedRow, Erasure, write_erasure_rows
from jobprov.provenance.services.failures.rules import write_reclassification_row, write_rules_row
from jobprov.provenance.services.ledger.chain_erasures import (
    KIND,
    ChainErasures,
    ErasedItem,
    ErasuresRead,
    digests_in,
    items_of,
)
from jobprov.provenance.services.ledger.entries import NewEntry, append_entries
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
from jobprov.provenance.services.upkeep.waiting_entries import WaitingEntries, WaitingEntry
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
        self._waiting = WaitingEntries(writing, (experiment, self.experiment))

    def prepare(self, reader: SegmentReader) -> None:
        """Learn what is possessed and resolved before any record is read.

        That includes what was seen of tags, and what a capsule serves.
        """
        for position in reader.positions("capsule"):
            uses = uses_in(json.loads(reader.body(position))["capsule"])
            self._read_ahead.served.update((self._name, use) for use in uses)
        for position in reader.positions("possession", "expiry"):
            body = json.loads(reader.body(position))
            if "logs" in body:
                self._note_expired([log["sha256"] for log in body["logs"]])
            else:
                self._expired().difference_update(body["sha256"])  # sent again since
                self._possess(body["sha256"])
        for position in reader.positions(KIND):
            body = json.loads(reader.body(position))
            self._erased().update(digests_in(body))
            forget_possession(self._writing, Owner(self._name, self.experiment), body["sha256"])
        for position in reader.positions("resolution"):
            body = json.loads(reader.body(position))
            note_resolution(
                self._writing.memory, body["software"], body["match_key"], body["document"]
            )
        for position in reader.positions("ref_observation"):
            entry = reader.entry(position)
            observed = json.loads(entry.body)
            tag = observed["match_key"], observed["ref"]
            self._writing.remembered(TagObservations).note(tag, observed["oid"], entry.received_at)

    def forbid(self, digests: Iterable[str]) -> None:
        """Learn of blobs that are erased, whatever the entries say that are replayed."""
        self._erased().update(digests)

    def replay(self, segment: int, numbered: Iterable[tuple[int, SealedEntry]]) -> None:
        """Write what these entries of a segment say, in order."""
        records: list[Submission] = []
        places: list[tuple[int, SealedEntry]] = []
        for position, entry in numbered:
            places.append((position, entry))
            if entry.erased is not None and not self._erasures().is_taken(entry.leaf):
                # What it was says the entry that erased it
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

    def write_again(
        self, kind: str, entry: int, body: dict[str, Any], received_at: datetime
    ) -> None:
        """Write once more what an entry says that has its row in the ledger."""
        _WRITERS[kind](self, entry, body, received_at)

    def place_among_records(self, entry: SealedEntry) -> tuple[str, str, int] | None:
        """Return job id, witness and number of what a job is made of; None of any other entry."""
        if entry.erased is not None:
            item = self._erasures().items.get(entry.leaf)
            return (
                None
                if item is None or item.revision is None
                else (item.job_id, item.witness, item.revision)
            )
        if entry.kind not in ("record", "revision"):
            return None
        submission = self._submission(entry, (0, 0))
        return submission.decoded.job_id, submission.witness, submission.revision or 0

    def finish(self, reader: SegmentReader) -> None:
        """Point software entries at their resolutions.

        In a chain, the job whose code it is may come later.
        """
        if positions := reader.positions("resolution"):
            keys = self._keys(reader.head["segment"])
            for position in positions:
                write_resolution_row(
                    self._connection, keys[position], json.loads(reader.body(position))
                )

    def _record(self, records: list[Submission]) -> None:
        if records:
            # Read while the jobs are not there: of those that are, nothing waits
            waiting = self._waiting.by_job()
            record_jobs(self._writing, records)
            self._waiting.write_of(waiting, {record.decoded.job_id for record in records})
            records.clear()

    def _write(self, entry: SealedEntry, place: tuple[int, int]) -> None:
        writer = _WRITERS.get(entry.kind)
        if writer is None:
            return  # of a later version: the entry is kept, its meaning is not known here
        writer(self, self._append(entry, place), json.loads(entry.body), entry.received_at)

    def _append(self, entry: SealedEntry, place: tuple[int, int]) -> int:
        new = NewEntry(self.experiment, entry.kind, entry.received_at, entry.submitter, b"", place)
        return append_entries(self._connection, [new])[0]

    def _fill(self, segment: int, places: Sequence[tuple[int, SealedEntry]]) -> None:
        """Write rows for entries that have none yet.

        They are entries of kinds not known here, and records that changed nothing.
        """
        held = self._keys(segment)
        lacking = [
            NewEntry(
                self.experiment,
                entry.kind,
                entry.received_at,
                entry.submitter,
                b"",
                (segment, position),
            )
            for position, entry in places
            if position not in held
        ]
        append_entries(self._connection, lacking)

    def _keys(self, segment: int, only: Collection[int] | None = None) -> dict[int, int]:
        """Return the keys of a segment's entries by position, all at once.

        No index finds a single one.
        """
        here = (LedgerEntry.experiment_id == self.experiment) & (LedgerEntry.segment == segment)
        query = select(LedgerEntry.position, LedgerEntry.id).where(here)
        if only is not None:
            query = query.where(LedgerEntry.position.in_(only))
        return {row.position: row.id for row in self._connection.execute(query)}

    def _submission(self, entry: SealedEntry, place: tuple[int, int]) -> Submission:
        """Return a record as it came; of one that was erased, what corrected it."""
        if entry.erased is not None:
            return self._stand_in(entry, place)
        sent = (entry.received_at, entry.submitter)
        if entry.kind == "revision":
            document = json.loads(entry.body)
            decoded = decode_record(document["record"].encode())
            return Submission(
                decoded, *sent, document["reason"], place, revision=document["revision"]
            )
        decoded = decode_record(entry.body)
        if entry.kind == "record":
            return Submission(decoded, *sent, place=place, revision=0)
        if entry.kind == "conflict":
            return Submission(decoded, *sent, place=place, is_conflict=True)
        # unread: it was of a later version then
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
        """Return what the whole chain says was erased, also further on.

        It is read where something was erased, and again where the chain grew.
        """
        if self._chain is None:
            self._chain = self._writing.remembered(ErasuresRead).of(self._writing.store, self._name)
        return self._chain

    def _erased(self) -> set[str]:
        """Return the digests that are erased in the end.

        Records are graded by that, whenever they came.
        """
        return self._read_ahead.erased[self._name]

    def _erasure(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        items: dict[int, dict[int, ErasedItem]] = {}
        for leaf, item in items_of(body).items():
            if (place := self._erasures().place_of(leaf)) is not None:
                items.setdefault(place[0], {})[place[1]] = item
        rows: list[ErasedRow] = []
        for segment, by_position in items.items():
            keys = self._keys(segment, by_position)
            rows.extend(
                ErasedRow(number, by_position[position]) for position, number in keys.items()
            )
        write_erasure_rows(
            self._writing, Owner(self._name, self.experiment), Erasure(entry, body, rows)
        )

    def _expired(self) -> set[str]:
        """Return the logs that are expired in the end.

        Records are graded by that, whenever they came.
        """
        return self._read_ahead.expired[self._name]

    def _note_expired(self, digests: Sequence[str]) -> None:
        self._expired().update(digests)
        forget_possession(self._writing, Owner(self._name, self.experiment), digests)

    def _possess(self, digests: Sequence[str]) -> None:
        table = table_of(Possession)
        digests = [sha256 for sha256 in digests if sha256 not in self._expired() | self._erased()]
        for part in chunks(digests):
            mine = (table.c.experiment_id == self.experiment) & table.c.sha256.in_(part)
            held = {row[0] for row in self._connection.execute(select(table.c.sha256).where(mine))}
            self._connection.execute(table.update().where(mine).values(is_entered=True))
            entered = {"experiment_id": self.experiment, "is_entered": True}
            rows = [{"sha256": sha256, **entered} for sha256 in part if sha256 not in held]
            if rows:
                self._connection.execute(table.insert(), rows)

    def _verdict(self, entry: int, body: dict[str, Any], received_at: datetime) -> None:
        self._waiting.write_or_hold(WaitingEntry(entry, "verdict", body, received_at))

    def _comparators(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        write_comparator_row(self._connection, self.experiment, entry, body["comparators"])

    def _capsule(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        write_capsule_rows(self._connection, self.experiment, entry, body["capsule"])

    def _plan(self, entry: int, body: dict[str, Any], received_at: datetime) -> None:
        self._waiting.write_or_hold(WaitingEntry(entry, "plan", body, received_at))

    def _resolution(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        write_resolution_row(self._connection, entry, body)

    def _observation(self, entry: int, body: dict[str, Any], received_at: datetime) -> None:
        write_observation_row(self._connection, entry, body, received_at)

    def _task(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        write_task_row(
            self._writing, body["task_id"], body["task"], entry=entry, experiment=self.experiment
        )

    def _waiver(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        task = intern_task(self._writing, self.experiment, body["task_id"])
        write_waiver_rows(self._connection, task, entry, body["waiver"])

    def _sighting(self, entry: int, body: dict[str, Any], received_at: datetime) -> None:
        write_sighting_row(self._writing, body["file"], entry=entry, received_at=received_at)

    def _rules(self, entry: int, body: dict[str, Any], received_at: datetime) -> None:
        write_rules_row(self._connection, self.experiment, entry, body, received_at)

    def _reclassification(self, entry: int, body: dict[str, Any], received_at: datetime) -> None:
        name = body["task_id"]
        task = intern_task(self._writing, self.experiment, name) if name else None
        write_reclassification_row(
            self._connection,
            self.experiment,
            entry,
            version=body["version"],
            task=task,
            received_at=received_at,
        )

    def _workflow(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        write_workflow_row(self._connection, self.experiment, entry, body["name"])

    def _workflow_state(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        write_state(self._connection, self.experiment, entry, body)

    def _orders(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        write_order_rows(self._writing, self.experiment, entry, body)

    def _order_report(self, _entry: int, body: dict[str, Any], received_at: datetime) -> None:
        write_report(self._connection, body, received_at)

    def _retry_policies(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        write_policy_rows(self._connection, self.experiment, entry, body["policies"])

    def _expiry(self, entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        again = [log["sha256"] for log in body["logs"] if log["sha256"] not in self._expired()]
        write_expiry_rows(self._writing, Owner(self._name, self.experiment), entry, body["logs"])
        self._possess(again)

    def _possession(self, _entry: int, body: dict[str, Any], _received_at: datetime) -> None:
        self._possess(body["sha256"])


_WRITERS: dict[str, Callable[[Replay, int, dict[str, Any], datetime], None]] = {
    "verdict": Replay._verdict,  # noqa: SLF001
    "comparators": Replay._comparators,  # noqa: SLF001
    "capsule": Replay._capsule,  # noqa: SLF001
    "plan": Replay._plan,  # noqa: SLF001
    "resolution": Replay._resolution,  # noqa: SLF001
    "ref_observation": Replay._observation,  # noqa: SLF001
    "task": Replay._task,  # noqa: SLF001
    "waiver": Replay._waiver,  # noqa: SLF001
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
