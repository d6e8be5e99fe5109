"""A production in a database and an archive: what happens in it, by one method each."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.opening import open_store
from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.recording.configurations.physics_variables import PhysicsVariables
from jobprov.provenance.records.openlineage.runs import read_event
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.records.verdicts import OF_OUTPUTS
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.bundles.comparators import declare_comparators
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.catalogs.events import record_event
from jobprov.provenance.services.catalogs.sightings import record_sighting
from jobprov.provenance.services.erasures.blobs import (
    BlobErasure,
    erase_blob,
    plan_blob_erasure,
    refresh_named,
)
from jobprov.provenance.services.erasures.log_expiry import Expiry, expire_logs
from jobprov.provenance.services.erasures.records import ErasureRequest, RecordErasure, erase_record
from jobprov.provenance.services.failures.rules import declare_rules, reclassify
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.lookup.job import read_job, show_job
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Outcome, Submission
from jobprov.provenance.services.reruns.capsules import StoredCapsule, register_capsule
from jobprov.provenance.services.reruns.verdicts import post_verdict
from jobprov.provenance.services.tasks.declarations import declare_task
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.waivers import waive_units
from jobprov.provenance.services.upkeep.cleared_erasures import Cleared, ErasurePlaces, clear_erased
from jobprov.provenance.services.upkeep.sealing import MOST_ENTRIES, seal_ledger
from jobprov.provenance.services.work.queue import Parts, drain
from jobprov.provenance.services.writing import Writer
from tests.library.logical_tables import LogicalTables, logical_tables
from tests.library.records import FIRST, job_id


@contextmanager
def opened_parts(database: Database, folder: Path, archive: str = "memory:") -> Iterator[Parts]:
    """Yield what background work needs, on a database and an archive of its own."""
    store = open_store(archive)
    writer = Writer(database, store)
    try:
        yield Parts(database, writer, store, folder / "mirrors")
    finally:
        writer.close()


class Production:
    """A database, a writer and an archive, and what happens to them.

    Times advance by a minute each.

    Args:
        database: empty, or what an earlier production left.
        store: the archive, one in memory where none is given.
        folder: for git mirrors and halves of uploads, where there are some.
    """

    def __init__(
        self, database: Database, store: Any = None, folder: Path = Path("/nonexistent")
    ) -> None:
        self.database = database
        self.store = store or open_store("memory:")
        self.folder = folder
        self.physics_variables = PhysicsVariables("GENIE_XSEC_TUNE")
        self.writer = Writer(database, self.store, self.physics_variables)
        self.now = FIRST
        self.most_entries = MOST_ENTRIES  # a segment, where the story itself has to seal

    def tick(self) -> datetime:
        """Return the next moment."""
        self.now += timedelta(minutes=1)
        return self.now

    def decide_physics_by(self, setting: str) -> None:
        """Have other variables decide physics from now on, as a restart with that setting does."""
        self.writer.close()
        self.physics_variables = PhysicsVariables(setting)
        self.writer = Writer(self.database, self.store, self.physics_variables)

    def record(
        self,
        *records: dict[str, Any],
        reason: str | None = None,
        received_at: datetime | None = None,
    ) -> list[Outcome]:
        """Record jobs at once, each a minute after the other or all at one moment."""
        submissions = [
            Submission(
                decode_record(json.dumps(record).encode()),
                received_at or self.tick(),
                "token 1 hook",
                reason,
            )
            for record in records
        ]
        return self.writer.run(lambda writing: record_jobs(writing, submissions))

    def tell(self, kind: str, number: int, **more: Any) -> None:
        """Take an OpenLineage event of a run."""
        now = self.tick()
        told = {
            "eventType": kind,
            "eventTime": now.isoformat(),
            "producer": "urn:dbt",
            "run": {"runId": job_id(number)},
        }
        event = read_event(
            json.dumps({**told, "job": {"namespace": "dbt", "name": "plots"}, **more}).encode()
        )
        self.writer.run(
            lambda writing: record_event(writing, event, experiment="nova"), received_at=now
        )

    def upload(self, data: bytes, experiment: str = "nova") -> str:
        """Send a blob."""
        sha256 = str(self.store.put(data).sha256)
        self.writer.run(lambda writing: settle_blob(writing, experiment, sha256))
        return sha256

    def verdict(self, number: int, level: str, **more: Any) -> None:
        """Post a verdict; one on outputs has compared one."""
        now, verdict = self.tick(), {"level": level, **more}
        if level in OF_OUTPUTS:
            verdict.setdefault("comparisons", [{"output": "a.root", "level": level}])
        self.writer.run(
            lambda writing: post_verdict(writing, job_id(number), verdict), received_at=now
        )

    def compare_by(self, *rules: dict[str, Any]) -> None:
        """Declare comparators."""
        document, now = {"output": list(rules)}, self.tick()
        self.writer.run(
            lambda writing: declare_comparators(writing, "nova", document), received_at=now
        )

    def keep_capsule(self, data: bytes, *numbers: int) -> None:
        """Register a capsule for the releases of these jobs."""
        stored = StoredCapsule("image", str(self.store.put(data).sha256), len(data))
        jobs, now = [job_id(number) for number in numbers], self.tick()
        self.writer.run(
            lambda writing: register_capsule(writing, stored, name="release", jobs=jobs),
            received_at=now,
        )

    def declare(self, task_id: str, **more: Any) -> None:
        """Declare a task."""
        document, now = {"experiment": "nova", **more}, self.tick()
        self.writer.run(lambda writing: declare_task(writing, task_id, document), received_at=now)

    def waive(self, task_id: str, *units: str, **more: Any) -> None:
        """Waive units of a task."""
        document, now = (
            {"units": list(units), "who": "shifter", "why": "the disk is gone", **more},
            self.tick(),
        )
        self.writer.run(
            lambda writing: waive_units(
                writing,
                find_task(writing.connection, task_id, experiment="nova"),
                document,
            ),
            received_at=now,
        )

    def declare_rules(self, *rules: dict[str, Any], **more: Any) -> None:
        """Declare the experiment's rules of triage."""
        document, now = (
            {"rules": list(rules), "who": "shifter", "why": "seen last night", **more},
            self.tick(),
        )
        self.writer.run(lambda writing: declare_rules(writing, "nova", document), received_at=now)

    def reclassify(self, task_id: str | None = None) -> None:
        """Have failures read again by the rules of now."""
        now = self.tick()
        self.writer.run(
            lambda writing: reclassify(
                writing,
                "nova",
                task=find_task(writing.connection, task_id, experiment="nova") if task_id else None,
            ),
            received_at=now,
        )

    def write(self, use_case: Any, **sent: Any) -> Any:
        """Return what `use_case(writing)` returns, committed.

        `sent` says when it came and from whom.
        """
        return self.writer.run(use_case, **sent)

    def write_now(self, use_case: Any, *words: Any) -> Any:
        """Return what a use case returns that writes as of now."""
        return self.writer.run(lambda writing: use_case(writing, *words), received_at=self.tick())

    def expire(self, **how: Any) -> Expiry:
        """Let old logs of jobs that succeeded expire."""
        defaults = {"before": self.now + timedelta(days=1), "kept_bytes": 100}
        return expire_logs(self.database, self.writer, self.store, "nova", **{**defaults, **how})

    def erase_record(self, number: int, **how: Any) -> tuple[RecordErasure, Cleared]:
        """Erase the record of a job, or fields of it."""
        wanted = ErasureRequest(job_id(number), "Eve", "a password slipped through", **how)
        done = self.write_now(erase_record, wanted)
        digests = [*done.plans, *sorted(done.digests)]
        entries = [entry.id for entry in done.entries]
        self.seal()
        return done, clear_erased(
            self.erasing(), done.job.found.experiment, entries=entries, digests=digests
        )

    def erase_blob(self, sha256: str, experiment: str = "nova", **words: str) -> BlobErasure:
        """Erase a blob of an experiment."""
        with self.database.reading.connect() as connection:
            planned = plan_blob_erasure(connection, self.store, sha256, experiment)
        said = {"who": "Eve", "why": "a password slipped through", **words}
        erase_blob(self.writer, planned, **said, received_at=self.tick())
        self.finish_gaps()
        self.seal()
        clear_erased(
            self.erasing(), experiment, entries=[], digests=[*planned.plans, *planned.digests]
        )
        return planned

    def seal(self) -> None:
        """Seal the ledger."""
        seal_ledger(self.database, self.writer, self.store, most_entries=self.most_entries)

    def erasing(self) -> ErasurePlaces:
        """Return where things are erased."""
        return ErasurePlaces(self.database, self.writer, self.store, self.folder / "half-sent")

    def see(self, name: str, **more: Any) -> None:
        """Take a sighting of a file."""
        document, now = {"experiment": "nova", "name": name, **more}, self.tick()
        self.writer.run(
            lambda writing: record_sighting(writing, document), received_at=now, submitter="catalog"
        )

    def finish_gaps(self) -> None:
        """Bring the gaps of jobs that name erased blobs up to date."""
        refresh_named(self.parts())

    def work(self) -> None:
        """Do all background work that is due."""
        drain(self.parts(), HANDLERS)

    def parts(self) -> Parts:
        """Return what background work needs."""
        return Parts(self.database, self.writer, self.store, self.folder / "git")

    def bundle(self, number: int) -> None:
        """Build a bundle, which plans it."""
        build_bundle(self.database, self.writer, self.store, job_id(number))

    def tables(self) -> LogicalTables:
        """Return what the database says."""
        return tables_of(self.database)

    def copy_database(self, target: Path) -> Path:
        """Return a copy of the SQLite database as it is now."""
        with self.database.writing.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute("VACUUM INTO ?", (str(target),))
        return target

    def restored(self, copy: Path, folder: Path) -> "Production":
        """Return a production on a database as it was when the copy was made.

        The archive is that of today.
        """
        folder.mkdir()
        shutil.copy(copy, folder / "jobprov.db")
        production = Production(
            open_database(f"sqlite:///{folder / 'jobprov.db'}"), self.store, folder
        )
        production.now = self.now
        return production

    def close(self) -> None:
        """End the writer."""
        self.writer.close()

    def close_all(self) -> None:
        """End the writer and close the database, where it belongs to the production alone."""
        self.close()
        self.database.dispose()


def tables_of(database: Database) -> LogicalTables:
    """Return what a database says."""
    with database.reading.connect() as connection:
        return logical_tables(connection)


def tables_at(url: str) -> LogicalTables:
    """Return what the database at a URL says."""
    database = open_database(url)
    found = tables_of(database)
    database.dispose()
    return found


def shown_job(connection: Connection, store: Store, job_id: str) -> dict[str, Any]:
    """Return everything recorded of a job, in the words of the HTTP interface."""
    shown: dict[str, Any] = msgspec.to_builtins(
        show_job(connection, read_job(connection, store, job_id))
    )
    return shown
