"""A production that leaves an entry of every kind in the ledger.

For tests of sealing, rebuilding and checking.
"""

import hashlib
from typing import Any

from sqlalchemy import select

from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.db.tables import Order
from jobprov.provenance.services.alerts.events import Found, begin_alerts
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.orders.orders import (
    EndedOrder,
    PlacedOrder,
    ReportBody,
    TakeBody,
    report_orders,
    take_orders,
)
from jobprov.provenance.services.orders.retries import order_retries
from jobprov.provenance.services.orders.retry_policies import declare_policies
from jobprov.provenance.services.orders.workflow_steps import advance_workflow
from jobprov.provenance.services.orders.workflows import (
    WorkflowState,
    declare_workflow,
    find_workflow,
    set_state,
)
from jobprov.provenance.services.writing import Writing
from tests.library.git import make_repository, move_tag
from tests.library.production import Production
from tests.library.productions.attempts import attempt, in_dag
from tests.library.records import job_id, record_of


def play(production: Production) -> None:
    """Play everything: records, witnesses, a conflict, a revision, blobs, a moved tag and more.

    There are also verdicts, and a record that is not understood.
    """
    repository = make_repository(production.folder / "upstream")
    code = [{"name": "x", "repository": str(repository), "requested_ref": "v1"}]
    production.writer.run(lambda writing: register_repository(writing, "x", str(repository)))
    production.see(
        "f3.root", size_bytes=4, checksums=["adler32:00000004"], metadata={"prov.task_id": "t1"}
    )
    production.record(*[record_of(number) for number in range(1, 6)])
    production.record(record_of(6, state="running", ended_at=None, exit=None, outputs=None))
    seeds = [{"step": "art", "module": "generator", "seed": 42}]
    production.record(
        record_of(6, software=code),
        record_of(7, software=code, seeds=seeds, state="failed", exit={"code": 65}),
    )
    production.record(record_of(2, witness="history", host={"hostname": "other"}))
    production.record(record_of(3, exit={"code": 1}))
    production.record(record_of(4, host={"hostname": "mended"}), reason="wrong host")
    production.record(
        {
            "schema_version": 99,
            "job_id": job_id(8),
            "experiment": "nova",
            "state": "new",
            "extra": {},
        }
    )
    production.record(
        record_of(
            9,
            experiment="dune",
            inputs=[{"name": "f3.root", "experiment": "nova"}],
            trace={"waits_for": [_digest(b"a kind of jobs")]},
        )
    )
    # The first try of a node of a DAG, which died before it read its input
    production.record(attempt(30, "reco_7", batch=in_dag(81), task_id="t3"))
    production.record(
        attempt(31, "raw_7.root", reads=("raw_7.root",), batch=in_dag(82), task_id="t3")
    )
    production.tell("START", 12, inputs=[{"namespace": "nova", "name": "f4.root"}])
    production.tell("COMPLETE", 12, outputs=[{"namespace": "nova", "name": "plots.parquet"}])
    production.tell("OTHER", 12, inputs=[{"namespace": "s3://bucket", "name": "deep/late.parquet"}])
    log = production.upload(b"a log")
    production.upload(b"other", "dune")
    production.record(
        record_of(
            10, logs=[{"name": "out", "sha256": log}, {"name": "err", "sha256": _digest(b"late")}]
        )
    )
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
    tell_of_failures(production)
    production.verdict(6, "R5")
    production.verdict(6, "R1", by="prove", missing="The file x is missing.")
    production.compare_by({"pattern": "*.root", "comparator": "numeric", "relative": 1e-9})
    production.compare_by({"pattern": "*.root", "comparator": "content"})
    production.verdict(6, "R1")
    production.see("renamed.root", metadata={"prov.job_id": job_id(5), "prov.output": "f5.root"})
    production.bundle(6)
    production.keep_capsule(b"image", 1, 6)
    production.record(
        record_of(6, software=code, exit={"code": 0, "message": "corrected"}), reason="a message"
    )
    production.bundle(6)
    production.work()
    expire(production)
    erase(production)


def tell_of_failures(production: Production) -> None:
    """Have a rule find that jobs fail; a receiver waits to be told."""

    def begin(writing: Writing) -> None:
        nova = experiment_key(writing.connection, "nova")
        assert nova is not None
        found = Found("nova", "3 of 9 jobs failed.", "/jobs?state=failed")
        begin_alerts(
            writing, nova, [found], rule="many fail", condition="failure_share", receivers=["chat"]
        )

    production.writer.run(begin)


def erase(production: Production) -> None:
    """Have a variable erased, and a script that two jobs ran; a verdict comes in between.

    Another record contradicts the one that the variable is erased from.
    """
    script = production.upload(b"echo hunter2")
    scripts = [{"name": "run.sh", "sha256": script}]
    secret = {"variables": {"SHARED": "same", "DOOR": "hunter2-of-Ada"}}
    production.record(
        *(record_of(number, environment=secret, scripts=scripts) for number in (90, 91))
    )
    production.seal()
    production.record(record_of(90, environment=secret, exit={"code": 1}))
    production.bundle(90)
    production.verdict(90, "R5")
    production.erase_record(90, fields=("environment.variables.DOOR",))
    production.erase_blob(script)
    production.record(record_of(92, scripts=scripts))
    production.work()


def expire(production: Production) -> None:
    """Let logs expire: one that two jobs name, one that is sent again afterwards.

    A failed job's stays.
    """
    shared, again, bad = (production.upload(letter * 5000) for letter in (b"s", b"a", b"b"))
    for number, sha256 in ((60, shared), (61, shared), (62, again)):
        production.record(record_of(number, logs=[{"name": "out", "sha256": sha256}]))
    production.record(
        record_of(63, state="failed", exit={"code": 1}, logs=[{"name": "out", "sha256": bad}])
    )
    production.expire()
    production.record(record_of(64, logs=[{"name": "out", "sha256": shared}]))
    production.upload(b"a" * 5000)
    production.work()


def triage(production: Production) -> None:
    """Let jobs fail before, between and after two versions of the rules.

    Have those of one task read again.
    """
    production.declare_rules(
        {"name": "code", "class": "data", "words": "the file is bad", "exit_code": [65]}
    )
    log = production.upload(b"begun\n\x1b[31mdb down\x1b[0m\nended\n")
    late = [{"name": "err", "sha256": _digest(b"db down later\n")}]
    production.record(
        record_of(50, state="failed", exit={"code": 65}, logs=[{"name": "out", "sha256": log}])
    )
    production.declare_rules(
        {
            "name": "db",
            "class": "database",
            "words": "the database is down",
            "transient": True,
            "pattern": "db down",
        }
    )
    production.record(record_of(51, state="failed", exit={"code": 65}, logs=late))
    other = {"task_id": "t9", "campaign": "c", "stage": "reco"}
    production.record(
        record_of(
            52, state="failed", exit={"code": 65}, logs=[{"name": "out", "sha256": log}], task=other
        )
    )
    production.record(
        record_of(
            53, state="failed", exit={"code": 12}, command={"argv": ["tool"]}, configurations=[]
        )
    )
    production.record(record_of(54, state="killed", exit={"signal": 9}, witness="history"))
    production.record(record_of(54))
    production.work()
    production.upload(b"db down later\n")
    production.reclassify("t1")
    production.work()


def configured(production: Production) -> list[dict[str, Any]]:
    """Return jobs whose fcl files are here.

    One evaluates, one does not, one ran with other values than were sent, and one was given a file.
    """
    good = production.upload(
        b'#include "base.fcl"\nphysics.producers.slicer.threshold: 3\nphysics.reco: [ slicer ]\n'
    )
    base = production.upload(b"physics: { producers: { slicer: { threshold: 5 mode: fast } } }\n")
    bad = production.upload(b"a: @local::nowhere\n")
    ran = production.upload(
        b"physics: { producers: { slicer: { threshold: 4 mode: fast module_label: slicer } } "
        b"reco: [slicer] }\n"
    )
    files = [
        {"name": "good.fcl", "sha256": good},
        {"name": "base.fcl", "sha256": base, "found_in": 0},
    ]
    closures: list[dict[str, Any]] = [
        {"step": "art", "main": "good.fcl", "files": files},
        {"step": "art", "main": "bad.fcl", "files": [{"name": "bad.fcl", "sha256": bad}]},
        {"step": "art", "main": "good.fcl", "files": files, "final_sha256": ran},
    ]
    records = [
        record_of(30 + place, configurations=[closure]) for place, closure in enumerate(closures)
    ]
    argv = ["art", "-c", "good.fcl", "-s", "f3.root"]
    step = {"name": "art", "role": "payload", "argv": argv, "exit_code": 0}
    command = {"argv": argv, "steps": [step]}
    art = {"name": "art", "product": {"manager": "ups", "name": "art", "version": "v3_09_04"}}
    records.append(record_of(33, configurations=[closures[0]], command=command, software=[art]))
    return records


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
    """Launch two versions of a workflow, have one of its jobs done, one failed, one out; stop it.

    Order retries by a policy.
    """
    shipped = {"gen.sh": production.upload(b"a script")}
    for text in (WORKFLOW, WORKFLOW.replace("count = 3", "count = 4")):
        declared = production.write_now(declare_workflow, {"text": text, "files": shipped})
    experiment = declared.experiment
    with production.database.reading.connect() as connection:
        version = find_workflow(connection, declared.name, experiment=experiment)
    production.write_now(advance_workflow, version)
    body = TakeBody(experiment=experiment, holder="agent", limit=3)
    with production.database.reading.connect() as connection:
        assert len(connection.execute(select(Order.id)).all()) == 4
    taken = production.writer.run(
        lambda writing: take_orders(writing, body), received_at=production.tick()
    )
    ids = [order.order_id for order in taken]
    placed = [PlacedOrder(each, f"1.{number}@sched") for number, each in enumerate(ids)]
    ended = [EndedOrder(ids[0], exit_code=0), EndedOrder(ids[1], exit_code=1, problem="odd")]
    task = {"task_id": "launched-v2-gen", "campaign": "c", "stage": "gen"}
    outputs = [{"name": "g0.root", "size_bytes": 5, "checksums": ["adler32:00000005"]}]
    production.record(record_of(70, task={**task, "unit": "0"}, inputs=[], outputs=outputs))
    production.record(
        record_of(
            71, task={**task, "unit": "1"}, inputs=[], outputs=[], state="failed", exit={"code": 1}
        )
    )
    report = ReportBody(experiment=experiment, placed=placed, ended=ended)
    now = production.tick()
    production.writer.run(lambda writing: report_orders(writing, report), received_at=now)
    production.write_now(advance_workflow, version)
    production.write_now(
        declare_policies, experiment, {"stages": {"gen": {"times": 3, "transient_only": False}}}
    )
    ordered = production.write_now(
        order_retries, {"experiment": experiment, "jobs": [job_id(71)], "who": "me"}
    )
    assert [retry.unit for retry in ordered.tries] == ["1"]
    said, now = WorkflowState(state="stopped", who="shifter", why="enough"), production.tick()
    production.writer.run(lambda writing: set_state(writing, version, said), received_at=now)
