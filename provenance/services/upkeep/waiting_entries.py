"""What a ledger says of a job before it has a record of it.

A verdict, or a plan, of a job that still ran. It waits for the record.

Where the record is replayed, what waits is written with it; where it comes as records do, with the
next sealing. Where no final record ever comes, it stays an entry alone.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.db.queries.upkeep.waiting_entries import keys_of_jobs, unwritten_entries
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
    """Write what adopted segments of an experiment say of jobs that were recorded since.

    The one sealer uses it.

    It is looked for apart from the writer: that reads the whole ledger of the experiment.
    """
    with database.reading.connect() as connection:
        key = experiment_key(connection, experiment)
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
        job_id = entry.job_id
        waiting, jobs = self.by_job(), self._jobs([job_id])
        for job in jobs.values():
            self._write(job, entry)
        others = waiting.setdefault(job_id, []) if not jobs else []
        # Else it was read just now, with its own entry
        if all(other.document.entry != entry.document.entry for other in others):
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
            self._held.get(self._name, {}).pop(entry.job_id, None)

    def _read(self) -> dict[str, list[WaitingEntry]]:
        """Return those of segments that were replayed before, perhaps by another process."""
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
    """Return what waited for jobs that have come, other than by a replay, with the jobs' keys."""
    unwritten = _unwritten(connection, store, experiment)
    ready: list[tuple[int, WaitingEntry]] = []
    for job_id, job in keys_of_jobs(connection, experiment, unwritten).items():
        ready.extend((job, entry) for entry in unwritten[job_id])
    return ready


def _unwritten(
    connection: Connection, store: Store, experiment: int
) -> dict[str, list[WaitingEntry]]:
    """Return what sealed entries say of jobs and no row does, by job id, in order."""
    entries = unwritten_entries(connection, experiment)
    bodies = read_entries(connection, store, [entry.key for entry in entries])
    unwritten: dict[str, list[WaitingEntry]] = {}
    for entry in entries:
        if entry.key in bodies:  # else it was erased
            document = EntryDocument(entry.key, bodies[entry.key], entry.received_at)
            waiting = waiting_entry(entry.kind, document)
            unwritten.setdefault(waiting.job_id, []).append(waiting)
    return unwritten
