"""A small production that leaves an entry of every kind in the ledger: for tests of sealing, rebuilding and checking."""

import hashlib
import json
import os
import subprocess
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from provenance.db.comparing import LogicalTables, logical_tables
from provenance.db.engines import Database, open_database
from provenance.db.tables import Order
from provenance.records.decoding import decode_record
from provenance.records.openlineage import read_event
from provenance.services.advance_workflow import advance_workflow
from provenance.services.background import HANDLERS
from provenance.services.build_bundle import build_bundle
from provenance.services.capsules import StoredCapsule, register_capsule
from provenance.services.clear_erased import Cleared, clear_erased
from provenance.services.clear_erased import Parts as ErasingParts
from provenance.services.comparators import declare_comparators
from provenance.services.erase_blob import BlobErasure, erase_blob, plan_blob_erasure
from provenance.services.erase_record import erase_record
from provenance.services.expire_logs import Expiry, expire_logs
from provenance.services.orders import EndedOrder, PlacedOrder, ReportBody, TakeBody, report_orders, take_orders
from provenance.services.plan_erasure import RecordErasure, Wanted
from provenance.services.post_verdict import post_verdict
from provenance.services.record_events import record_event
from provenance.services.record_jobs import record_jobs
from provenance.services.record_sighting import record_sighting
from provenance.services.repositories import register_repository
from provenance.services.retry_jobs import order_retries
from provenance.services.retry_policies import declare_policies
from provenance.services.rule_tables import declare_rules, reclassify
from provenance.services.seal_ledger import MOST_ENTRIES, seal_ledger
from provenance.services.store_blobs import settle_blob
from provenance.services.submissions import Outcome, Submission
from provenance.services.task_declarations import declare_task
from provenance.services.tasks import find_task
from provenance.services.waivers import waive_units
from provenance.services.work import Parts, drain
from provenance.services.workflows import WorkflowState, declare_workflow, set_state
from provenance.services.writing import Writer

FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)


def job_id(number: int) -> str:
    """Return the id of a job by number."""
    return str(uuid.UUID(int=number))


def record_of(number: int, **changes: Any) -> dict[str, Any]:
    """Return the record of one job of a chain: each reads what the one before it wrote."""
    record = {
        "schema_version": 1,
        "job_id": job_id(number),
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z",
        "task": {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": f"f{number}.root"},
        "command": {"argv": ["art", "-c", "reco.fcl"]},
        "exit": {"code": 0},
        "configurations": [{"step": "art", "main": "reco.fcl", "files": [{"name": "reco.fcl", "sha256": "f" * 64}]}],
        "software": [{"name": "x", "repository": "https://git.example.org/x.git", "requested_ref": "v1"}],
        "environment": {"variables": {"SHARED": "same", "OWN": f"{number}"}},
        "host": {"hostname": f"wn{number % 3}", "site": "FNAL"},
        "inputs": [{"name": f"f{number - 1}.root", "size_bytes": number, "checksums": [f"adler32:{number:08x}"]}],
        "outputs": [{"name": f"f{number}.root", "size_bytes": number + 1, "checksums": [f"adler32:{number + 1:08x}"]}],
        "modules": [{"path": "p", "label": "slicer", "type": "Slicer", "events": 5, "seconds_total": number / 8}],
        "logs": [{"name": "out", "sha256": f"{number:064x}"}],
    }
    return {**record, **changes}


class Production:
    """A database, a writer and an archive, and what happens to them; times advance by a minute each."""

    def __init__(self, database: Database, store: Any, folder: Path) -> None:
        self.database = database
        self.store = store
        self.folder = folder
        self.writer = Writer(database, store)
        self.now = FIRST
        self.most_entries = MOST_ENTRIES  # a segment, where the story itself has to seal

    def tick(self) -> datetime:
        """Return the next moment."""
        self.now += timedelta(minutes=1)
        return self.now

    def record(self, *records: dict[str, Any], reason: str | None = None) -> list[Outcome]:
        """Record jobs at once."""
        submissions = [
            Submission(decode_record(json.dumps(record).encode()), self.tick(), "token 1 hook", reason)
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
        event = read_event(json.dumps({**told, "job": {"namespace": "dbt", "name": "plots"}, **more}).encode())
        self.writer.run(lambda writing: record_event(writing, event, experiment="nova"), received_at=now)

    def upload(self, data: bytes, experiment: str = "nova") -> str:
        """Send a blob."""
        sha256 = str(self.store.put(data).sha256)
        self.writer.run(lambda writing: settle_blob(writing, experiment, sha256))
        return sha256

    def verdict(self, number: int, level: str) -> None:
        """Post a verdict."""
        now = self.tick()
        self.writer.run(lambda writing: post_verdict(writing, job_id(number), {"level": level}), received_at=now)

    def compare_by(self, *rules: dict[str, Any]) -> None:
        """Declare comparators."""
        document, now = {"output": list(rules)}, self.tick()
        self.writer.run(lambda writing: declare_comparators(writing, "nova", document), received_at=now)

    def keep_capsule(self, data: bytes, *numbers: int) -> None:
        """Register a capsule for the releases of these jobs."""
        stored = StoredCapsule("image", str(self.store.put(data).sha256), len(data))
        jobs, now = [job_id(number) for number in numbers], self.tick()
        self.writer.run(lambda writing: register_capsule(writing, stored, name="release", jobs=jobs), received_at=now)

    def declare(self, task_id: str, **more: Any) -> None:
        """Declare a task."""
        document, now = {"experiment": "nova", **more}, self.tick()
        self.writer.run(lambda writing: declare_task(writing, task_id, document), received_at=now)

    def waive(self, task_id: str, *units: str, **more: Any) -> None:
        """Waive units of a task."""
        document, now = {"units": list(units), "who": "shifter", "why": "the disk is gone", **more}, self.tick()
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
        document, now = {"rules": list(rules), "who": "shifter", "why": "seen last night", **more}, self.tick()
        self.writer.run(lambda writing: declare_rules(writing, "nova", document), received_at=now)

    def reclassify(self, task_id: str | None = None) -> None:
        """Have failures read again by the rules of now."""
        now = self.tick()
        self.writer.run(
            lambda writing: reclassify(
                writing, "nova", task=find_task(writing.connection, task_id, experiment="nova") if task_id else None
            ),
            received_at=now,
        )

    def write(self, use_case: Any, *words: Any) -> Any:
        """Return what a use case returns that writes as of now."""
        now = self.tick()
        return self.writer.run(lambda writing: use_case(writing, *words), received_at=now)

    def expire(self, **how: Any) -> Expiry:
        """Let old logs of jobs that succeeded expire."""
        defaults = {"before": self.now + timedelta(days=1), "kept_bytes": 100}
        return expire_logs(self.database, self.writer, self.store, "nova", **{**defaults, **how})

    def erase_record(self, number: int, **how: Any) -> tuple[RecordErasure, Cleared]:
        """Erase the record of a job, or fields of it."""
        wanted = Wanted(job_id(number), "Eve", "a password slipped through", **how)
        done = self.write(erase_record, wanted)
        digests = [*done.plans, *sorted(done.digests)]
        entries = [entry.id for entry in done.entries]
        self.seal()
        return done, clear_erased(self.erasing(), done.job.found.experiment, entries=entries, digests=digests)

    def erase_blob(self, sha256: str, experiment: str = "nova", **words: str) -> BlobErasure:
        """Erase a blob of an experiment."""
        with self.database.reading.connect() as connection:
            planned = plan_blob_erasure(connection, self.store, sha256, experiment)
        said = {"who": "Eve", "why": "a password slipped through", **words}
        erase_blob(self.writer, planned, **said, received_at=self.tick())
        self.seal()
        clear_erased(self.erasing(), experiment, entries=[], digests=[*planned.plans, *planned.digests])
        return planned

    def seal(self) -> None:
        """Seal the ledger."""
        seal_ledger(self.database, self.writer, self.store, most_entries=self.most_entries)

    def erasing(self) -> ErasingParts:
        """Return where things are erased."""
        return ErasingParts(self.database, self.writer, self.store, self.folder / "half-sent")

    def see(self, name: str, **more: Any) -> None:
        """Take a sighting of a file."""
        document, now = {"experiment": "nova", "name": name, **more}, self.tick()
        self.writer.run(lambda writing: record_sighting(writing, document), received_at=now, submitter="catalog")

    def work(self) -> None:
        """Do all background work that is due."""
        drain(Parts(self.database, self.writer, self.store, self.folder / "git"), HANDLERS)

    def bundle(self, number: int) -> None:
        """Build a bundle, which plans it."""
        build_bundle(self.database, self.writer, self.store, job_id(number))

    def tables(self) -> LogicalTables:
        """Return what the database says."""
        return tables_of(self.database)

    def close(self) -> None:
        """End the writer."""
        self.writer.close()


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


def git(folder: Path, *arguments: str) -> str:
    """Run git as the owner of a repository would; return what it prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
           (("NAME", "Ada"), ("EMAIL", "ada@example.org"), ("DATE", "2024-01-02T03:04:05+00:00"))},
    }  # fmt: skip
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def make_repository(folder: Path) -> Path:
    """Make a repository with one commit and the annotated tag v1."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "reco.fcl").write_text("process_name: reco\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "tag", "-a", "v1", "-m", "release")
    return folder


def move_tag(folder: Path) -> None:
    """Commit once more and have v1 name the new commit."""
    (folder / "reco.fcl").write_text("process_name: reco2\n")
    git(folder, "commit", "-q", "-a", "-m", "second")
    git(folder, "tag", "-f", "-a", "v1", "-m", "release again")


def play(production: Production) -> None:
    """Play everything: records, witnesses, a conflict, a revision, one not understood, blobs, a moved tag, verdicts and more."""
    repository = make_repository(production.folder / "upstream")
    code = [{"name": "x", "repository": str(repository), "requested_ref": "v1"}]
    production.writer.run(lambda writing: register_repository(writing, "x", str(repository)))
    production.see("f3.root", size_bytes=4, checksums=["adler32:00000004"], metadata={"prov.task_id": "t1"})
    production.record(*[record_of(number) for number in range(1, 6)])
    production.record(record_of(6, state="running", ended_at=None, exit=None, outputs=None))
    production.record(record_of(6, software=code), record_of(7, software=code, state="failed", exit={"code": 65}))
    production.record(record_of(2, witness="history", host={"hostname": "other"}))
    production.record(record_of(3, exit={"code": 1}))
    production.record(record_of(4, host={"hostname": "mended"}), reason="wrong host")
    production.record({"schema_version": 99, "job_id": job_id(8), "experiment": "nova", "state": "new", "extra": {}})
    production.record(record_of(9, experiment="dune", inputs=[{"name": "f3.root", "experiment": "nova"}]))
    production.tell("START", 12, inputs=[{"namespace": "nova", "name": "f4.root"}])
    production.tell("COMPLETE", 12, outputs=[{"namespace": "nova", "name": "plots.parquet"}])
    production.tell("OTHER", 12, inputs=[{"namespace": "s3://bucket", "name": "deep/late.parquet"}])
    log = production.upload(b"a log")
    production.upload(b"other", "dune")
    production.record(record_of(10, logs=[{"name": "out", "sha256": log}, {"name": "err", "sha256": _digest(b"late")}]))
    production.upload(b"late")
    production.record(*configured(production))
    production.declare("t1", campaign="c", stage="declared", units=["a", "b", "c"])
    production.waive("t1", "a", "b")
    production.waive("t1", "b", withdrawn=True)
    production.waive("t1", "c", who="Eve")
    production.work()
    triage(production)
    launch(production)
    move_tag(repository)
    production.record(record_of(11, software=[{**code[0], "requested_ref": "main"}]))
    production.work()
    production.verdict(6, "R5")
    production.compare_by({"pattern": "*.root", "comparator": "numeric", "relative": 1e-9})
    production.compare_by({"pattern": "*.root", "comparator": "content"})
    production.verdict(6, "R1")
    production.see("renamed.root", metadata={"prov.job_id": job_id(5), "prov.output": "f5.root"})
    production.bundle(6)
    production.keep_capsule(b"image", 1, 6)
    production.record(record_of(6, software=code, exit={"code": 0, "message": "corrected"}), reason="a message")
    production.bundle(6)
    production.work()
    expire(production)
    erase(production)


def erase(production: Production) -> None:
    """Have a variable erased from a record that another one contradicts, and a script that two jobs ran; a verdict comes in between."""
    script = production.upload(b"echo hunter2")
    scripts = [{"name": "run.sh", "sha256": script}]
    secret = {"variables": {"SHARED": "same", "DOOR": "hunter2-of-Ada"}}
    production.record(*(record_of(number, environment=secret, scripts=scripts) for number in (90, 91)))
    production.seal()
    production.record(record_of(90, environment=secret, exit={"code": 1}))
    production.bundle(90)
    production.verdict(90, "R5")
    production.erase_record(90, fields=("environment.variables.DOOR",))
    production.erase_blob(script)
    production.record(record_of(92, scripts=scripts))
    production.work()


def expire(production: Production) -> None:
    """Let logs expire: one that two jobs name, one that is sent again afterwards; a failed job's stays."""
    shared, again, bad = (production.upload(letter * 5000) for letter in (b"s", b"a", b"b"))
    for number, sha256 in ((60, shared), (61, shared), (62, again)):
        production.record(record_of(number, logs=[{"name": "out", "sha256": sha256}]))
    production.record(record_of(63, state="failed", exit={"code": 1}, logs=[{"name": "out", "sha256": bad}]))
    production.expire()
    production.record(record_of(64, logs=[{"name": "out", "sha256": shared}]))
    production.upload(b"a" * 5000)
    production.work()


def triage(production: Production) -> None:
    """Let jobs fail before, between and after two versions of the rules; have those of one task read again."""
    production.declare_rules({"name": "code", "class": "data", "words": "the file is bad", "exit_code": [65]})
    log = production.upload(b"begun\n\x1b[31mdb down\x1b[0m\nended\n")
    late = [{"name": "err", "sha256": _digest(b"db down later\n")}]
    production.record(record_of(50, state="failed", exit={"code": 65}, logs=[{"name": "out", "sha256": log}]))
    production.declare_rules(
        {"name": "db", "class": "database", "words": "the database is down", "transient": True, "pattern": "db down"}
    )
    production.record(record_of(51, state="failed", exit={"code": 65}, logs=late))
    other = {"task_id": "t9", "campaign": "c", "stage": "reco"}
    production.record(
        record_of(52, state="failed", exit={"code": 65}, logs=[{"name": "out", "sha256": log}], task=other)
    )
    production.record(record_of(53, state="failed", exit={"code": 12}, command={"argv": ["tool"]}, configurations=[]))
    production.record(record_of(54, state="killed", exit={"signal": 9}, witness="history"))
    production.record(record_of(54))
    production.work()
    production.upload(b"db down later\n")
    production.reclassify("t1")
    production.work()


def configured(production: Production) -> list[dict[str, Any]]:
    """Return jobs whose fcl files are here: one that evaluates, one that does not, one that ran with other values than were sent."""
    good = production.upload(b'#include "base.fcl"\nphysics.producers.slicer.threshold: 3\nphysics.reco: [ slicer ]\n')
    base = production.upload(b"physics: { producers: { slicer: { threshold: 5 mode: fast } } }\n")
    bad = production.upload(b"a: @local::nowhere\n")
    ran = production.upload(
        b"physics: { producers: { slicer: { threshold: 4 mode: fast module_label: slicer } } reco: [slicer] }\n"
    )
    files = [{"name": "good.fcl", "sha256": good}, {"name": "base.fcl", "sha256": base, "found_in": 0}]
    closures: list[dict[str, Any]] = [
        {"step": "art", "main": "good.fcl", "files": files},
        {"step": "art", "main": "bad.fcl", "files": [{"name": "bad.fcl", "sha256": bad}]},
        {"step": "art", "main": "good.fcl", "files": files, "final_sha256": ran},
    ]
    return [record_of(30 + place, configurations=[closure]) for place, closure in enumerate(closures)]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


WORKFLOW = """
name = "launched"
experiment = "nova"
campaign = "c"
[[stage]]
name = "gen"
count = 3
command = ["gen.sh", "{unit}"]
outputs = ["g{unit}.root"]
ships = ["gen.sh"]
[[stage]]
name = "reco"
after = "gen"
command = ["reco.sh", "{input}"]
outputs = ["{stem}.reco"]
"""


def launch(production: Production) -> None:
    """Launch two versions of a workflow, have one of its jobs done, one failed, one out; stop it; order retries by a policy."""
    shipped = {"gen.sh": production.upload(b"a script")}
    for text in (WORKFLOW, WORKFLOW.replace("count = 3", "count = 4")):
        found, _ = production.write(declare_workflow, {"text": text, "files": shipped})
    production.write(advance_workflow, found)
    experiment = found.experiment
    body = TakeBody(experiment=experiment, holder="agent", limit=3)
    with production.database.reading.connect() as connection:
        assert len(connection.execute(select(Order.id)).all()) == 4
    taken = production.writer.run(lambda writing: take_orders(writing, body), received_at=production.tick())
    ids = [order["order_id"] for order in taken]
    placed = [PlacedOrder(each, f"1.{number}@sched") for number, each in enumerate(ids)]
    ended = [EndedOrder(ids[0], exit_code=0), EndedOrder(ids[1], exit_code=1, problem="odd")]
    task = {"task_id": "launched-v2-gen", "campaign": "c", "stage": "gen"}
    outputs = [{"name": "g0.root", "size_bytes": 5, "checksums": ["adler32:00000005"]}]
    production.record(record_of(70, task={**task, "unit": "0"}, inputs=[], outputs=outputs))
    production.record(
        record_of(71, task={**task, "unit": "1"}, inputs=[], outputs=[], state="failed", exit={"code": 1})
    )
    report = ReportBody(experiment=experiment, placed=placed, ended=ended)
    now = production.tick()
    production.writer.run(lambda writing: report_orders(writing, report), received_at=now)
    production.write(advance_workflow, found)
    production.write(declare_policies, experiment, {"stages": {"gen": {"times": 3, "transient_only": False}}})
    ordered = production.write(order_retries, {"experiment": experiment, "jobs": [job_id(71)], "who": "me"})
    assert [each["unit"] for each in ordered["tries"]] == ["1"]
    said, now = WorkflowState(state="stopped", who="shifter", why="enough"), production.tick()
    production.writer.run(lambda writing: set_state(writing, found, said), received_at=now)
