"""What a ledger says of a job before it has a record of it.

A verdict, or a plan, of a job that still ran. It waits for the record.

Where the record is replayed, what waits is written with it; where it comes as records do, with the
next sealing. Where no final record ever comes, it stays an entry alone.
"""

import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.archive.store import Store
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.tables import BundlePlan, Experiment, Job, LedgerEntry, Verdict
from jobprov.provenance.services.bundles.plans import write_plan_row
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.reruns.verdicts import write_verdict_row
from jobprov.provenance.services.writing import Writer, Writing

_KINDS = ("verdict", "plan")


class WaitingEntry(NamedTuple):
    """An entry about a job."""

    id: int
    kind: str
    body: dict[str, Any]
    received_at: datetime


class HeldEntries:
    """Remembers which entries wait for their job's record, by experiment and job id, in order."""

    def __init__(self) -> None:
        self.by_experiment: dict[str, dict[str, list[WaitingEntry]]] = {}


def settle_waiting(database: Database, writer: Writer, store: Store, experiment: str) -> None:
    """Write what adopted segments of an experiment say of jobs that were recorded since.

    The one sealer uses it.

    It is looked for apart from the writer: that reads the whole ledger of the experiment.
    """
    with database.reading.connect() as connection:
        key = connection.execute(
            select(Experiment.id).where(Experiment.name == experiment)
        ).scalar()
        if key is None:
            return
        ready = _ready(connection, store, key)
    if ready:
        writer.run(lambda writing: WaitingEntries(writing, (experiment, key)).write(ready))


class WaitingEntries:
    """Those of one experiment, in a transaction of the caller."""

    def __init__(self, writing: Writing, experiment: tuple[str, int]) -> None:
        self._writing = writing
        self._held = writing.remembered(HeldEntries).by_experiment
        self._name, self._experiment = experiment

    def by_job(self) -> dict[str, list[WaitingEntry]]:
        """Return those that wait, by job id, in order."""
        if self._name not in self._held:
            self._held[self._name] = self._read()
        return self._held[self._name]

    def write_or_hold(self, entry: WaitingEntry) -> None:
        """Write what an entry says where its job is recorded, or have it wait."""
        job_id = entry.body["job_id"]
        waiting, jobs = self.by_job(), self._jobs([job_id])
        for job in jobs.values():
            self._write(job, entry)
        others = waiting.setdefault(job_id, []) if not jobs else []
        # Else it was read just now, with its own entry
        if all(other.id != entry.id for other in others):
            others.append(entry)

    def write_of(self, waiting: dict[str, list[WaitingEntry]], job_ids: AbstractSet[str]) -> None:
        """Write what was said of these jobs before their first record came."""
        for job_id, job in self._jobs(waiting.keys() & job_ids).items():
            for entry in waiting.pop(job_id):
                self._write(job, entry)

    def write(self, ready: Iterable[tuple[int, WaitingEntry]]) -> None:
        """Write what is ready."""
        for job, entry in ready:
            self._write(job, entry)
            self._held.get(self._name, {}).pop(entry.body["job_id"], None)

    def _read(self) -> dict[str, list[WaitingEntry]]:
        """Return those of segments that were replayed before, perhaps by another process."""
        unwritten = _unwritten(self._writing.connection, self._writing.store, self._experiment)
        for job_id in self._jobs(unwritten):
            del unwritten[job_id]
        return unwritten

    def _jobs(self, job_ids: Iterable[str]) -> dict[str, int]:
        return _recorded_jobs(self._writing.connection, self._experiment, job_ids)

    def _write(self, job: int, entry: WaitingEntry) -> None:
        if entry.kind == "verdict":
            write_verdict_row(
                self._writing.connection, job, entry.id, entry.body["verdict"], entry.received_at
            )
        else:
            write_plan_row(self._writing, job, entry.id, entry.body)


def _ready(connection: Connection, store: Store, experiment: int) -> list[tuple[int, WaitingEntry]]:
    """Return what waited for jobs that have come, other than by a replay, with the jobs' keys."""
    unwritten = _unwritten(connection, store, experiment)
    ready: list[tuple[int, WaitingEntry]] = []
    for job_id, job in _recorded_jobs(connection, experiment, unwritten).items():
        ready.extend((job, entry) for entry in unwritten[job_id])
    return ready


def _unwritten(
    connection: Connection, store: Store, experiment: int
) -> dict[str, list[WaitingEntry]]:
    """Return what sealed entries say of jobs and no row does, by job id, in order."""
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.received_at)
        .join(Verdict, Verdict.entry_id == LedgerEntry.id, isouter=True)
        .join(BundlePlan, BundlePlan.entry_id == LedgerEntry.id, isouter=True)
        .where(LedgerEntry.experiment_id == experiment, LedgerEntry.kind.in_(_KINDS))
        .where(
            LedgerEntry.segment.is_not(None), Verdict.entry_id.is_(None), BundlePlan.id.is_(None)
        )
        .order_by(LedgerEntry.segment, LedgerEntry.position)
    )
    rows = connection.execute(query).all()
    bodies = read_entries(connection, store, [row.id for row in rows])
    unwritten: dict[str, list[WaitingEntry]] = {}
    for row in rows:
        if row.id in bodies:  # else it was erased
            entry = WaitingEntry(row.id, row.kind, json.loads(bodies[row.id]), row.received_at)
            unwritten.setdefault(entry.body["job_id"], []).append(entry)
    return unwritten


def _recorded_jobs(
    connection: Connection, experiment: int, job_ids: Iterable[str]
) -> dict[str, int]:
    """Return the keys of those of the jobs that are recorded, by job id."""
    keys: dict[str, int] = {}
    for part in chunks(sorted(job_ids)):
        query = select(Job.uuid, Job.id).where(Job.uuid.in_(part), Job.experiment_id == experiment)
        keys.update((row.uuid, row.id) for row in connection.execute(query))
    return keys
