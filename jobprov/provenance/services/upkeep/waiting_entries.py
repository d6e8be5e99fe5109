"""Verdicts and plans of jobs whose record has not come yet: they wait for it.

A bundle can be built and rerun while its job still runs, and so its verdict or plan may be sealed
before the job's final record. If the record is replayed, what waits is written with it; if it comes
from a client, the next sealing writes it. If no final record ever comes, only the entry stays.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.db.queries.upkeep import keys_of_jobs, unwritten_entries
from jobprov.provenance.services.bundles.plans import write_plan_row
from jobprov.provenance.services.ledger.documents import (
    EntryDocument,
    OfJobDocument,
    VerdictDocument,
)
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.reruns.verdicts import write_verdict_row
from jobprov.provenance.services.writing import Writer, Writing


class WaitingEntry(NamedTuple):
    """A verdict or plan of a job."""

    kind: str
    job_id: str
    document: EntryDocument


def waiting_entry(kind: str, document: EntryDocument) -> WaitingEntry:
    """Return a verdict or plan with the id of its job."""
    return WaitingEntry(kind, document.read(OfJobDocument).job_id, document)


class HeldEntries:
    """Remembers which entries wait for their job's record, by experiment and job id, in order."""

    def __init__(self) -> None:
        self.by_experiment: dict[str, dict[str, list[WaitingEntry]]] = {}


def settle_waiting(database: Database, writer: Writer, store: Store, experiment: str) -> None:
    """Write what adopted segments of an experiment hold for jobs that were recorded since.

    To find it, sealed entries are read. That is done before the writer is asked, so that records do
    not wait for it. Only the one sealer calls this.
    """
    with database.reading.connect() as connection:
        key = experiment_key(connection, experiment)
        if key is None:
            return
        ready = _ready(connection, store, key)
    if ready:
        writer.run(lambda writing: WaitingEntries(writing, (experiment, key)).write(ready))


class WaitingEntries:
    """The waiting entries of one experiment, in a transaction of the caller."""

    def __init__(self, writing: Writing, experiment: tuple[str, int]) -> None:
        self._writing = writing
        self._held = writing.remembered(HeldEntries).by_experiment
        self._name, self._experiment = experiment

    def by_job(self) -> dict[str, list[WaitingEntry]]:
        """Return the waiting entries by job id, in order."""
        if self._name not in self._held:
            self._held[self._name] = self._read()
        return self._held[self._name]

    def write_or_hold(self, entry: WaitingEntry) -> None:
        """Write the row of an entry if its job is recorded, else keep the entry waiting."""
        waiting = self.by_job()
        jobs = self._jobs([entry.job_id])
        if jobs:
            self._write(jobs[entry.job_id], entry)
            return
        others = waiting.setdefault(entry.job_id, [])
        # `by_job` may have read it from the ledger just now, since its entry is there already
        if all(other.document.entry != entry.document.entry for other in others):
            others.append(entry)

    def write_of(self, waiting: dict[str, list[WaitingEntry]], job_ids: AbstractSet[str]) -> None:
        """Write the entries that waited for these jobs, which have been recorded now."""
        for job_id, job in self._jobs(waiting.keys() & job_ids).items():
            for entry in waiting.pop(job_id):
                self._write(job, entry)

    def write(self, ready: Iterable[tuple[int, WaitingEntry]]) -> None:
        """Write the rows of entries whose jobs have these keys, and stop waiting with them."""
        for job, entry in ready:
            self._write(job, entry)
            self._held.get(self._name, {}).pop(entry.job_id, None)

    def _read(self) -> dict[str, list[WaitingEntry]]:
        """Return the waiting entries of segments replayed before, perhaps by another process."""
        unwritten = _unwritten(self._writing.connection, self._writing.store, self._experiment)
        for job_id in self._jobs(unwritten):
            del unwritten[job_id]
        return unwritten

    def _jobs(self, job_ids: Iterable[str]) -> dict[str, int]:
        return keys_of_jobs(self._writing.connection, self._experiment, job_ids)

    def _write(self, job: int, entry: WaitingEntry) -> None:
        document = entry.document
        if entry.kind == "verdict":
            verdict = document.read(VerdictDocument).verdict
            write_verdict_row(
                self._writing.connection, job, document.entry, verdict, document.received_at
            )
        else:
            write_plan_row(self._writing, job, document.entry, document.json())


def _ready(connection: Connection, store: Store, experiment: int) -> list[tuple[int, WaitingEntry]]:
    """Return the waiting entries whose jobs clients have recorded, with the keys of the jobs."""
    unwritten = _unwritten(connection, store, experiment)
    ready: list[tuple[int, WaitingEntry]] = []
    for job_id, job in keys_of_jobs(connection, experiment, unwritten).items():
        ready.extend((job, entry) for entry in unwritten[job_id])
    return ready


def _unwritten(
    connection: Connection, store: Store, experiment: int
) -> dict[str, list[WaitingEntry]]:
    """Return the sealed verdicts and plans that have no row, by job id, in order."""
    entries = unwritten_entries(connection, experiment)
    bodies = read_entries(connection, store, [entry.key for entry in entries])
    unwritten: dict[str, list[WaitingEntry]] = {}
    for entry in entries:
        if entry.key in bodies:  # an erased entry has no body
            document = EntryDocument(entry.key, bodies[entry.key], entry.received_at)
            waiting = waiting_entry(entry.kind, document)
            unwritten.setdefault(waiting.job_id, []).append(waiting)
    return unwritten
