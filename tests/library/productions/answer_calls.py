"""The calls whose answers are kept.

First come those that write a small production of two experiments, then those that read it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parents[2] / "data" / "answers"

LOG = b"begun\nE: cannot find the map\nended\n"
FCL = b"process_name: Reco\nphysics: { producers: { fit: { steps: [ 1, 2 ] seed: 7 } } }\n"
RAN = (
    b'process_name: "Reco" physics: { producers: { '
    b'fit: { steps: [ 1, 2 ] seed: 8 module_label: "fit" } } }\n'
)
BAD_FCL = b"a: 1\nb: [ 1, 2\nc: 3\n"
SCRIPT = b"echo $1 > $2\n"
UNKNOWN_JOB = "0f8b0000-0000-4000-8000-0000000000ff"
RUN = "0f8b0000-0000-4000-8000-0000000000aa"
WORKFLOW = """
name = "toy"
experiment = "nova"
campaign = "spring"
[[stage]]
name = "gen"
count = 3
command = ["sh", "gen.sh", "{unit}", "{output}"]
outputs = ["g{unit}.root"]
ships = ["gen.sh"]
[[stage]]
name = "reco"
after = "gen"
command = ["reco", "{input}"]
outputs = ["{stem}.reco"]
"""

MERGE = "1a5d1e10-85a9-5168-9798-72b0e5d18412"
HISTOGRAM = "98efe614-0ce4-57dd-bbcb-17b67214c733"
SILENT = "7ec83ae7-a537-5107-8454-bb4780b9b5da"
LOST = "cd9d921e-a3c4-58d9-9505-1d2debb067bb"
FAILED_RECO = "8eec002f-c479-5628-a08f-58239bb2381c"
RECO = "65dbd8e0-8761-5eeb-a09b-f941d20c8293"
RECO_AGAIN = "ea0a870c-ba36-5985-bb20-3b4600b0caea"
KILLED_GEN = "c0cebb10-ed43-548d-9c87-27ec48b0e839"
GEN = "004e0784-ba53-59cf-bae9-3af6d52b9b48"
HOSTILE = "d4d438f5-f02d-58ea-86db-0d5cd33393b4"

MERGED = "toyexp_demo-2026_0001_merge_dimuon.root"
RECO_FILE = "toyexp_demo-2026_0001_reco_0000_dimuon.root"
SIDEBAND_FILE = "toyexp_demo-2026_0001_reco_0000_sideband.root"
GEN_FILE = "toyexp_demo-2026_0001_gen_0000.root"


class Call(NamedTuple):
    """One call below /api/v1.

    Attributes:
        body: JSON, or the bytes themselves.
        label: says which body it is where an address is called with several.
    """

    method: str
    address: str
    body: Any = None
    label: str = ""

    @property
    def title(self) -> str:
        """Return what the call is found by in the file of its answers."""
        return f"{self.method} {self.address}" + (f"  # {self.label}" if self.label else "")


def job_id(number: int) -> str:
    """Return the id of a job of nova."""
    return f"0f8b0000-0000-4000-8000-{number:012x}"


def sha256(content: bytes) -> str:
    """Return the digest of bytes."""
    return hashlib.sha256(content).hexdigest()


def nova_job(number: int, **fields: Any) -> dict[str, Any]:
    """Return the record of a job of nova that succeeded, unless `fields` say otherwise."""
    return {
        "schema_version": 1,
        "job_id": job_id(number),
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": f"2026-01-01T00:{number:02}:00Z",
        **fields,
    }


def file_entry(name: str, content: int = 1, **fields: Any) -> dict[str, Any]:
    """Return an input or output, with a checksum that stands for its content."""
    checksum = f"adler32:{content:08x}"
    return {"name": name, "size_bytes": 100 + content, "checksums": [checksum], **fields}


def production() -> list[dict[str, Any]]:
    """Return the records of toyexp and of one job of a third experiment."""
    lines = (DATA / "production.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def nova_jobs() -> list[dict[str, Any]]:
    """Return the records of nova.

    They have a recipe with two results, a lineage with a shared input, tasks, a configuration and
    failures.
    """
    return [*_divergent_jobs(), *_lineage_jobs(), *_task_jobs(), *_odd_jobs()]


def _divergent_jobs() -> list[dict[str, Any]]:
    return [
        nova_job(
            number,
            command={"argv": ["gen", "-o", f"out{number}.root"]},
            seeds=[{"seed": 1}],
            software=[{"name": "gen", "revision": "1" * 40}],
            host={"hostname": f"wn{number}"},
            outputs=[
                {"name": f"out{number}.root", "content_digest": f"root-content-2:{digit * 64}"}
            ],
        )
        for number, digit in ((1, "1"), (2, "1"), (3, "2"))
    ]


def _lineage_jobs() -> list[dict[str, Any]]:
    """Return jobs that make a.root, then b.root and c.root from it, then d.root from both.

    All read flux.root.
    """
    flux = file_entry("flux.root", 9, role="shared")
    reco = {"task_id": "chain", "campaign": "c1", "stage": "reco", "unit": "u1"}
    merge = {"task_id": "chain-merge", "campaign": "c1", "stage": "merge", "unit": "u1"}
    code = [{"name": "novasoft", "revision": "2" * 40, "requested_ref": "v2"}]
    resources = {"wall_seconds": 60.0, "cpu_user_seconds": 50.5, "max_rss_bytes": 1_000_000}
    a, b, c = file_entry("a.root", 1), file_entry("b.root", 2), file_entry("c.root", 3)
    return [
        nova_job(10, inputs=[flux], outputs=[a], resources=resources),
        nova_job(11, inputs=[a, flux], outputs=[b], task=reco, software=code),
        nova_job(12, inputs=[a, flux], outputs=[c], task={**reco, "unit": "u2"}),
        nova_job(13, inputs=[b, c], outputs=[file_entry("d.root", 4)], task=merge),
        nova_job(14, outputs=[file_entry("twice.root", 5)]),
        nova_job(15, outputs=[file_entry("twice.root", 6)]),
        nova_job(16, outputs=[file_entry(MERGED, 7, namespace="nova")]),
    ]


def _task_jobs() -> list[dict[str, Any]]:
    """Return jobs of task t1, whose units are declared: two done, one failed, one runs."""
    task = {"task_id": "t1", "campaign": "c", "stage": "reco"}
    log = {"name": "out", "sha256": sha256(LOG), "size_bytes": len(LOG)}
    exit_of_tool = {"code": 12, "failed_step": "tool", "message": "cannot find the map"}
    running = nova_job(23, state="running", task={**task, "unit": "a3.root"})
    del running["ended_at"]
    return [
        nova_job(
            20,
            task={**task, "unit": "a0.root"},
            inputs=[file_entry("a0.root")],
            outputs=[file_entry("b0.root", 1, event_count=5, data_tier="reco")],
        ),
        nova_job(
            21,
            task={**task, "unit": "a1.root"},
            inputs=[file_entry("a1.root")],
            outputs=[file_entry("b1.root", 2)],
        ),
        nova_job(
            22, task={**task, "unit": "a2.root"}, state="failed", exit=exit_of_tool, logs=[log]
        ),
        running,
    ]


def _odd_jobs() -> list[dict[str, Any]]:
    """Return a job with configurations, one whose variable is erased later, and one more.

    A rerun repeats the last one.
    """
    steps = [
        {
            "step": "reco",
            "main": "reco.fcl",
            "search_path": ["job", "/cvmfs/nova/fcl"],
            "files": [{"name": "reco.fcl", "sha256": sha256(FCL)}],
            "final_sha256": sha256(RAN),
        },
        {
            "step": "bad",
            "main": "bad.fcl",
            "files": [{"name": "bad.fcl", "sha256": sha256(BAD_FCL)}],
        },
        {"step": "gone", "main": "gone.fcl", "files": [{"name": "gone.fcl", "sha256": "e" * 64}]},
    ]
    variables = {"DOOR": "opens-by-a-word", "LANG": "C"}
    return [
        nova_job(30, configurations=steps),
        nova_job(31, environment={"variables": variables}),
        nova_job(32, rerun_of=job_id(10), outputs=[file_entry("a.root", 1)]),
    ]


ERASED_JOB = job_id(31)
ERASED_FIELD = "environment.variables.DOOR"


def writing_calls() -> list[Call]:
    """Return the calls that write, in order; none needs a token yet."""
    records = production()
    return [
        *_blob_calls(),
        *_declaring_calls(),
        Call("POST", "/jobs/batch", {"jobs": records[:20]}),
        *(Call("PUT", f"/jobs/{record['job_id']}", record) for record in records[20:]),
        *(Call("PUT", f"/jobs/{record['job_id']}", record) for record in nova_jobs()),
        *_odd_recording_calls(),
        *_task_calls(),
        *_file_calls(),
        *_event_calls(),
        *_rule_calls(),
    ]


def _blob_calls() -> list[Call]:
    texts = json.loads((DATA / "blobs.json").read_text(encoding="utf-8"))
    blobs = [*(text.encode() for text in texts), LOG, FCL, RAN, BAD_FCL, SCRIPT]
    asked = [sha256(LOG), "f" * 64]
    half = b"a blob in two parts"
    return [
        Call("POST", "/blobs/missing", {"sha256": asked}, "before"),
        *(Call("PUT", f"/blobs/{sha256(blob)}", blob) for blob in blobs),
        Call("PUT", f"/blobs/{sha256(LOG)}", LOG, "again"),
        Call("PUT", f"/blobs/{'f' * 64}", half, "another digest"),
        Call("PUT", "/blobs/none", half),
        Call("POST", "/blobs/missing", {"sha256": asked}, "after"),
        Call("POST", "/blobs/missing", {"sha256": [], "excerpts": ["f" * 64]}, "excerpts"),
        Call("POST", "/blobs/missing", {"sha256": ["x"]}, "no digest"),
    ]


def _declaring_calls() -> list[Call]:
    t1 = {
        "experiment": "nova",
        "campaign": "c",
        "stage": "reco",
        "units": [f"a{number}.root" for number in range(6)],
        "outputs_per_unit": 1,
        "events_per_unit": 5,
        "project": "p1",
        "sample": "FD",
        "definition": "fd_v1",
        "data_tier": "reco",
    }
    gen = {"experiment": "toyexp", "campaign": "demo-2026", "stage": "gen", "units": 12}
    obsolete = {"experiment": "nova", "units": 2, "sample": "FD", "is_obsolete": True}
    shared = {"experiment": "nova", "stage": "reco"}
    return [
        Call("PUT", "/tasks/t1", t1, "new"),
        Call("PUT", "/tasks/t1", t1, "again"),
        Call("PUT", "/tasks/t0", {**obsolete, "units": ["other.root"]}, "new"),
        Call("PUT", "/tasks/t0", obsolete, "other units"),
        Call("PUT", "/tasks/toyexp-demo-gen-0001", gen),
        Call("PUT", "/tasks/shared", shared, "of nova"),
        Call("PUT", "/tasks/shared", {**shared, "experiment": "toyexp"}, "of toyexp"),
        Call("PUT", "/tasks/t2", {**t1, "events_per_unit": -1}),
        Call("PUT", "/tasks/t3", {"experiment": "nova", "units": {"definition": "raw"}}),
    ]


def _odd_recording_calls() -> list[Call]:
    first = nova_job(10, outputs=[])
    fresh = nova_job(40)
    other_witness = nova_job(40, witness="history", state="failed", exit={"code": 1})
    return [
        Call("PUT", f"/jobs/{job_id(1)}", nova_jobs()[0], "the same again"),
        Call("PUT", f"/jobs/{job_id(10)}", first, "another final record"),
        Call("PUT", f"/jobs/{job_id(40)}", fresh),
        Call("PUT", f"/jobs/{job_id(40)}", other_witness, "another witness"),
        Call("PUT", f"/jobs/{job_id(41)}", fresh, "another address"),
        Call("PUT", f"/jobs/{job_id(42)}", {**nova_job(42), "schema_version": 99}),
        Call("PUT", f"/jobs/{job_id(43)}", {**nova_job(43), "state": "odd", "outputs": [{}]}),
        Call("PUT", f"/jobs/{job_id(44)}", b"{", "no JSON"),
        Call("PUT", f"/jobs/{job_id(45)}", nova_job(45, logs=[{"name": "o", "sha256": "d" * 64}])),
        Call(
            "POST", "/jobs/batch", {"jobs": [nova_job(46), {"job_id": job_id(47)}, first]}, "mixed"
        ),
        Call("POST", "/jobs/batch", {"jobs": []}, "empty"),
        Call("POST", "/jobs/batch", {}, "no jobs"),
        Call(
            "POST",
            f"/jobs/{job_id(14)}/revisions",
            {
                "record": nova_job(14, outputs=[file_entry("twice.root", 8)]),
                "reason": "wrong output",
            },
        ),
        Call(
            "POST",
            f"/jobs/{job_id(14)}/revisions",
            {"record": nova_job(14), "reason": " "},
            "no reason",
        ),
        Call("PUT", f"/jobs/{job_id(23)}/logs/stdout?offset=0", b"begins\n"),
        Call("PUT", f"/jobs/{job_id(23)}/logs/stdout?offset=7", b"second line\n"),
        Call("PUT", f"/jobs/{job_id(22)}/logs/out?offset=0", b"begins\n", "came with the record"),
        Call("PUT", f"/jobs/{UNKNOWN_JOB}/logs/out?offset=0", b"begins\n"),
        Call("POST", f"/jobs/{MERGE}/verdicts", _verdict("R5")),
        Call("POST", f"/jobs/{MERGE}/verdicts", {"level": "R0", "reason": "gone"}, "R0"),
        Call("POST", f"/jobs/{job_id(1)}/verdicts", {**_verdict("R7"), "by": "drill"}),
        Call("POST", f"/jobs/{MERGE}/verdicts", {"level": "R99"}, "no level"),
        Call("POST", f"/jobs/{UNKNOWN_JOB}/verdicts", {"level": "R5"}),
    ]


def _verdict(level: str) -> dict[str, Any]:
    comparison = {"output": MERGED, "level": level, "comparator": "root-content-2"}
    return {
        "level": level,
        "host": "rerun01.fnal.gov",
        "when": "2026-11-24T20:00:00Z",
        "environment_grade": "container",
        "comparisons": [comparison],
    }


def _task_calls() -> list[Call]:
    waiver = {"units": ["a4.root", "a5.root"], "who": "Ada", "why": "the tape is broken"}
    back = {**waiver, "units": ["a5.root"], "withdrawn": True}
    return [
        Call("POST", "/tasks/t1/waivers", waiver),
        Call("POST", "/tasks/t1/waivers?experiment=nova", back, "withdrawn"),
        Call("POST", "/tasks/t1/waivers", {**waiver, "units": ["none.root"]}, "unknown unit"),
        Call("POST", "/tasks/t1/waivers", {"units": []}, "wrong"),
        Call("POST", "/tasks/none/waivers", waiver),
        Call("POST", "/tasks/shared/waivers", waiver, "of which experiment?"),
    ]


def _file_calls() -> list[Call]:
    renamed = {
        "experiment": "nova",
        "name": "renamed.root",
        "namespace": "nova",
        "size_bytes": 104,
        "checksums": ["adler32:00000004"],
        "locations": ["root://dcache.example.org//pnfs/renamed.root"],
        "metadata": {"prov.job_id": job_id(13), "prov.output": "d.root", "owner": "novapro"},
    }
    orphan = {"experiment": "nova", "name": "orphan.root"}
    return [
        Call("POST", "/files", renamed, "renamed"),
        Call("POST", "/files", renamed, "renamed, again"),
        Call("POST", "/files", orphan, "nobody made it"),
        Call("POST", "/files", {"name": "x"}, "no experiment"),
    ]


def _event_calls() -> list[Call]:
    event = {
        "eventType": "START",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "p",
        "run": {"runId": RUN},
        "job": {"namespace": "airflow", "name": "prod.plots"},
        "inputs": [{"namespace": "nova", "name": "d.root"}],
        "outputs": [{"namespace": "s3://plots", "name": "a/plots.parquet"}],
    }
    alone = {key: event[key] for key in ("eventTime", "producer", "job", "inputs")}
    dataset = {"eventTime": "2026-01-01T00:00:00Z", "producer": "p"}
    dataset_of = {"namespace": "s3://plots", "name": "b/other.parquet"}
    address = "/lineage?experiment=nova"
    return [
        Call("POST", address, event, "start"),
        Call("POST", address, {**event, "eventType": "COMPLETE"}, "complete"),
        Call("POST", address, {**event, "eventType": "COMPLETE"}, "complete, again"),
        Call("POST", address, alone, "a job alone"),
        Call("POST", address, {**dataset, "dataset": dataset_of}, "a dataset alone"),
        Call("POST", address, {**event, "run": {"runId": 5}}, "wrong"),
        Call("POST", "/lineage", event, "whose?"),
    ]


def _rule_calls() -> list[Call]:
    rule = {
        "name": "map",
        "class": "data",
        "words": "The map is not there",
        "advice": "Leave the file out",
        "transient": True,
        "exit_code": [12],
    }
    table = {"rules": [rule], "who": "Ada", "why": "the map was moved"}
    second = {"rules": [rule, {**rule, "name": "tape"}], "who": "Bob", "why": "the tape broke"}
    comparators = {"output": [{"pattern": "*.root", "comparator": "content"}]}
    policies = {"stages": {"reco": {"times": 3, "memory_factor": 1.5, "other_site": True}}}
    return [
        Call("PUT", "/rules/nova", table, "new"),
        Call("PUT", "/rules/nova", table, "again"),
        Call("PUT", "/rules/nova?after=0", {**table, "rules": []}, "made from none"),
        Call("PUT", "/rules/nova?after=1", second, "second version"),
        Call("PUT", "/rules/nova", {"rules": [{}], "who": "a", "why": "b"}, "wrong"),
        Call("POST", "/rules/nova/reclassifications", {}),
        Call("POST", "/rules/nova/reclassifications", {"task_id": "t1"}, "one task"),
        Call("POST", "/rules/nobody/reclassifications", {}),
        Call("PUT", "/comparators/nova", comparators, "new"),
        Call("PUT", "/comparators/nova", comparators, "again"),
        Call("PUT", "/comparators/nova", {"output": [{"comparator": "none"}]}, "wrong"),
        Call("PUT", "/retry-policies/nova", policies),
        Call("PUT", "/retry-policies/nova", {"stages": {"reco": {"times": 99}}}, "wrong"),
    ]


def ordering_calls() -> list[Call]:
    """Return the calls that order jobs, made after failures have been read."""
    workflow = {"text": WORKFLOW, "files": {"gen.sh": sha256(SCRIPT)}}
    retry = {"experiment": "nova", "jobs": [job_id(22)], "who": "Ada", "why": "the map is back"}
    take = {"experiment": "nova", "holder": "agent"}
    state = {"state": "stopped", "who": "Ada", "why": "lunch"}
    return [
        Call("PUT", "/workflows/toy", workflow, "new"),
        Call("PUT", "/workflows/toy", workflow, "again"),
        Call("PUT", "/workflows/other", workflow, "another name"),
        Call("PUT", "/workflows/toy", {"text": "name =", "files": {}}, "no TOML"),
        Call("GET", "/workflows/toy", label="before anything is ordered"),
        Call("POST", "/workflows/toy/advance", label="first"),
        Call("POST", "/workflows/toy/advance?experiment=nova", label="again"),
        Call("POST", "/workflows/none/advance"),
        Call("POST", "/retries", retry),
        Call("POST", "/retries", retry, "again"),
        Call("POST", "/retries", {**retry, "jobs": [UNKNOWN_JOB]}, "unknown job"),
        Call("POST", "/retries", {"experiment": "nova"}, "of nothing"),
        Call("POST", "/orders/take", {**take, "limit": 3}, "some"),
        Call("POST", "/orders/take", {**take, "holder": "other"}, "the rest"),
        Call("POST", "/orders/take", {**take, "holder": "third"}, "nothing left"),
        Call("POST", "/orders/take", {"experiment": "nova"}, "wrong"),
        Call("POST", "/orders/report", _report(), "placed and ended"),
        Call("POST", "/orders/report", _report(), "again"),
        Call("POST", "/orders/report", {"experiment": "none", "placed": []}),
        Call("POST", "/workflows/toy/state", state),
        Call("POST", "/workflows/toy/state", {**state, "state": "complete"}, "not ours to say"),
        Call("POST", "/workflows/toy/advance", label="stopped"),
    ]


ORDERS = (
    "55bf513b-0932-5e30-bd71-cf730bc792a8",
    "10288d51-6462-5776-a553-04cbb13c8500",
)
"""Those of units 0 and 1 of the workflow's first stage."""


def _report() -> dict[str, Any]:
    """Return a report: both orders were placed, one failed for good."""
    placed = [
        {"order_id": order, "batch_id": f"1.{number}@s"} for number, order in enumerate(ORDERS)
    ]
    ended = [{"order_id": ORDERS[1], "exit_code": 77, "problem": "held by the batch system"}]
    return {"experiment": "nova", "placed": placed, "ended": ended}


_NOON = "ended_after=2026-11-25T11:30:00Z&ended_before=2026-11-25T12:30:00Z&step=30m"
"""Around the moment at which the clock of tests stands."""


def closing_calls() -> list[Call]:
    """Return the calls after an erasure, those that make a ticket, and those about other things.

    These are queues, traces, and blobs together.
    """
    listed = [[sha256(LOG), len(LOG), None], ["f" * 64, len(SCRIPT), None]]
    together = json.dumps(listed).encode() + b"\n" + LOG + SCRIPT
    ticket = {"experiment": "nova", "days": 2}
    erased = next(record for record in nova_jobs() if record["job_id"] == ERASED_JOB)
    return [
        Call("PUT", f"/jobs/{ERASED_JOB}", erased, "erased meanwhile"),
        Call("POST", "/jobs/batch", {"jobs": [erased]}, "erased meanwhile"),
        Call("GET", f"/jobs/{ERASED_JOB}"),
        Call("POST", "/tasks/t1/tickets", {"experiment": "nova", "days": 0}, "wrong"),
        Call("POST", "/tasks/t1/tickets", ticket),
        Call("GET", "/queue", label="before any report"),
        Call("PUT", "/queue/sched01", _queue(), "new"),
        Call("PUT", "/queue/sched01", _queue(), "again"),
        Call("PUT", "/queue/sched01", {"experiment": "nova", "jobs": [{}]}, "wrong"),
        Call("GET", "/queue?experiment=nova&campaign=c"),
        Call("GET", "/tasks/t1/queue?limit=2"),
        Call("GET", "/tasks/t1/queue?limit=2&cursor={next}"),
        Call("GET", "/tasks/none/queue"),
        Call("GET", f"/statistics/throughput?{_NOON}&measure=queue&by=stage"),
        Call("GET", f"/statistics/throughput?{_NOON}&measure=idle&experiment=nova&campaign=c"),
        Call("GET", "/tasks/t1/timeline?by=job"),
        Call("GET", "/tasks/none/timeline"),
        Call("POST", "/traces/turns", {"experiment": "nova", "key": "a" * 64}, "the first"),
        Call("POST", "/traces/turns", {"experiment": "nova", "key": "a" * 64}, "the second"),
        Call("POST", "/blobs/batch", together),
        Call("POST", "/blobs/batch", together[:-1], "cut"),
    ]


def _queue() -> dict[str, Any]:
    """Return what a queue has of task t1."""
    held = {"state": "held", "since": "2026-11-25T12:30:00Z", "hold_reason": "no such file"}
    running = {
        "state": "running",
        "started_at": "2026-11-25T12:40:00Z",
        "host": "wn1",
        "site": "FNAL",
        "memory_bytes": 1_500_000_000,
        "requested_memory_bytes": 2_000_000_000,
        "cpu_seconds": 900.5,
        "measured_seconds": 1000.0,
    }
    jobs = []
    for number, fields in ((501, held), (502, running), (503, {"state": "idle"})):
        job = {"batch_id": f"{number}.0@sched01", "job_id": job_id(number), "task_id": "t1"}
        jobs.append({**job, "unit": f"a{number}.root", **fields})
    return {"experiment": "nova", "age_seconds": 1.5, "jobs": jobs}


CAMPAIGN = "experiment=toyexp&campaign=demo-2026"
WINDOW = "ended_after=2026-11-20&ended_before=2026-11-27"
READS = {
    "operations": ["/health", "/ready", "/reproduction", "/none"],
    "trail": [
        "/trail?experiment=nova&limit=4",
        "/trail?experiment=nova&limit=4&cursor={next}",
        "/trail?experiment=nova&kind=waiver",
        "/trail?experiment=nova&kind=none",
        "/trail",
    ],
    "attention": [
        "/attention",
        "/attention?since=3000w",
        "/attention?since=soon",
    ],
    "alerts": [
        "/alerts",
        "/alerts?experiment=nova&state=open&limit=1",
        "/alerts?experiment=none",
        "/alerts?state=none",
        "/alerts?cursor=none",
    ],
    "names": [
        "/names/experiments",
        "/names/campaigns?experiment=toyexp",
        f"/names/stages?{CAMPAIGN}",
        f"/names/tasks?{CAMPAIGN}&limit=1",
        f"/names/tasks?{CAMPAIGN}&limit=2&cursor={{next}}",
        f"/names/sites?{CAMPAIGN}",
        "/names/campaigns?name=nosuch",
        "/names/people",
    ],
    "jobs": [
        "/jobs",
        "/jobs?limit=3",
        "/jobs?limit=3&cursor={next}",
        "/jobs?experiment=toyexp&state=failed",
        f"/jobs?{CAMPAIGN}&stage=reco&limit=2",
        "/jobs?task_id=toyexp-demo-gen-0001&limit=1",
        "/jobs?host=wn120.fnal.gov",
        "/jobs?site=FNAL&limit=1",
        f"/jobs?revision={'2' * 40}",
        "/jobs?started_after=2026-11-24T16:00:00Z&limit=2",
        "/jobs?started_before=2026-01-01T12:00:00Z&limit=2",
        "/jobs?received_after=2027-01-01T00:00:00Z",
        f"/jobs?file={GEN_FILE}",
        f"/jobs?file={GEN_FILE}&file_experiment=toyexp",
        f"/jobs?reads={GEN_FILE}&file_experiment=toyexp",
        "/jobs?exit_code=9",
        "/jobs?failed_step=smear",
        "/jobs?error_class=ConfigurationError",
        "/jobs?failure_class=data",
        "/jobs?unit=0003",
        "/jobs?batch_id=81239.0@sched01.fnal.gov",
        "/jobs?parameter=physics.producers.fit.seed",
        "/jobs?parameter=physics.producers.fit.seed&value=%3E100",
        "/jobs?recipe_id=r1:00000000000000000000000000000000",
        "/jobs?recipe_id=none",
        "/jobs?state=odd",
        "/jobs?limit=0",
        "/jobs?cursor=x",
        "/jobs?odd=1",
        "/jobs?state=failed,killed&limit=2",
        "/jobs?sort=-wall_seconds&task_id=toyexp-demo-gen-0001&limit=1",
        "/jobs?sort=started_at&limit=1",
        "/jobs?sort=odd",
        "/jobs/facets?experiment=toyexp",
        "/jobs/facets?by=state,site&state=failed&limit=2",
        "/jobs/facets?by=odd",
        *(f"/jobs/{job}" for job in (GEN, KILLED_GEN, RECO, FAILED_RECO, RECO_AGAIN, MERGE)),
        *(f"/jobs/{job}" for job in (HISTOGRAM, SILENT, LOST, HOSTILE, RUN)),
        *(f"/jobs/{job_id(number)}" for number in (1, 13, 14, 22, 23, 30, 31, 32, 40, 42, 45)),
        f"/jobs/{job_id(40)}?witness=history",
        f"/jobs/{job_id(40)}?witness=none",
        f"/jobs/{GEN}?experiment=nova",
        f"/jobs/{UNKNOWN_JOB}",
        "/jobs/none",
    ],
    "configurations": [
        f"/jobs/{RECO}/configurations/smear",
        f"/jobs/{RECO}/configurations/smear?form=files",
        f"/jobs/{FAILED_RECO}/configurations/smear",
        f"/jobs/{job_id(30)}/configurations/reco",
        f"/jobs/{job_id(30)}/configurations/reco?form=files",
        f"/jobs/{job_id(30)}/configurations/bad",
        f"/jobs/{job_id(30)}/configurations/bad?form=files",
        f"/jobs/{job_id(30)}/configurations/gone",
        f"/jobs/{job_id(30)}/configurations/gone?form=files",
        f"/jobs/{job_id(30)}/configurations/none",
        f"/jobs/{job_id(30)}/configurations/reco?form=odd",
    ],
    "logs": [
        f"/jobs/{job_id(22)}/logs/out?tail=2",
        f"/jobs/{job_id(23)}/logs/stdout",
        f"/jobs/{job_id(22)}/logs/none",
        f"/blobs/{'f' * 64}",
    ],
    "comparisons": [
        f"/jobs/{FAILED_RECO}/diff/{RECO_AGAIN}",
        f"/jobs/{FAILED_RECO}/diff/{RECO_AGAIN}?limit=2",
        f"/jobs/{job_id(1)}/diff/{job_id(3)}",
        f"/jobs/{job_id(1)}/diff/{job_id(1)}",
        f"/jobs/{job_id(1)}/diff/{UNKNOWN_JOB}",
        f"/jobs/{FAILED_RECO}/diff",
        f"/jobs/{job_id(1)}/diff",
        f"/jobs/{UNKNOWN_JOB}/diff",
        "/diff?a=demo-2026&b=demo-2026&experiment=toyexp",
        "/diff?by=release&a=gen&b=gen",
        "/diff?by=release&a=111111111111&b=222222222222",
        "/diff?a=demo-2026",
        "/lineage/diverge?a=out1.root&b=out3.root",
        (
            f"/lineage/diverge?a={MERGED}"
            "&b=toyexp_demo-2026_0001_merge_sideband.root&experiment=toyexp"
        ),
        "/lineage/diverge?a=b.root&b=c.root",
        "/lineage/diverge?a=b.root&b=none.root",
        "/lineage/diverge?a=b.root",
        "/recipes",
        "/recipes/{recipe_id}",
        "/recipes?experiment=toyexp",
        "/recipes?limit=1",
        "/recipes?limit=501",
        "/recipes/r1:00000000000000000000000000000000",
        "/recipes/none",
        "/gaps",
        "/gaps?experiment=nova&task_id=t1",
        f"/gaps?{CAMPAIGN}&stage=merge",
        "/gaps?experiment=none",
        "/proofs",
        "/proofs?experiment=nova",
        "/proofs/next?experiment=nova&limit=2",
        "/proofs/next?experiment=none",
        "/proofs/next",
        "/comparators/nova",
        "/comparators/nova?version=1",
        "/comparators/nova?version=9",
        "/comparators/toyexp",
        "/comparators/none",
    ],
    "files": [
        "/files",
        "/files?limit=2",
        "/files?limit=2&cursor={next}",
        "/files?experiment=nova&name=?.root",
        "/files?task_id=t1",
        "/files?data_tier=merged",
        "/files?namespace=nova",
        "/files?name=none*",
        "/files?limit=0",
        f"/files/{MERGED}",
        f"/files/{MERGED}?experiment=toyexp",
        f"/files/{MERGED}?experiment=nova&namespace=nova",
        f"/files/{RECO_FILE}",
        f"/files/{GEN_FILE}?experiment=toyexp",
        "/files/twice.root",
        "/files/d.root",
        "/files/renamed.root",
        "/files/flux.root",
        "/files/orphan.root",
        "/files/plots.parquet",
        "/files/none.root",
        "/files/merge_dimuon.root",
        "/search?q=toyexp_demo",
        "/search?q=nova",
        f"/search?q={job_id(22)}",
        "/search?q=81239.0@sched01.fnal.gov",
        "/search?q=wn120.fnal.gov",
        "/search?q=3fa1c2d97be0",
        "/search?q=spring",
        "/search?q=zzz",
        "/search",
    ],
    "lineage": [
        "/files/d.root/lineage",
        "/files/d.root/lineage?format=prov-json",
        "/files/d.root/lineage?format=openlineage",
        f"/files/{MERGED}/lineage?experiment=toyexp&limit=5",
        f"/files/{MERGED}/lineage?experiment=toyexp&direction=ancestors&depth=1",
        f"/files/{GEN_FILE}/lineage?experiment=toyexp&direction=descendants&kind=file",
        f"/files/{RECO_FILE}/lineage?kind=job",
        "/files/d.root/lineage?role=shared",
        "/files/d.root/lineage?stage=reco",
        "/files/d.root/lineage?state=failed",
        f"/files/d.root/lineage?software=novasoft&revision={'2' * 40}",
        (
            "/files/d.root/lineage?started_after=2026-01-01T00:00:00Z"
            "&started_before=2026-01-02T00:00:00Z"
        ),
        "/files/d.root/lineage?as_of=2026-01-01T00:00:00Z",
        "/files/twice.root/lineage?version=2",
        "/files/twice.root/lineage?version=9",
        "/files/orphan.root/lineage",
        f"/files/{MERGED}/lineage",
        "/files/none.root/lineage",
        "/files/d.root/lineage?depth=0",
        "/files/d.root/ancestors",
        "/files/twice.root/ancestors?version=1",
        "/files/flux.root/ancestors",
        "/files/none.root/ancestors",
        "/files/a.root/descendants",
        f"/files/{GEN_FILE}/descendants?experiment=toyexp",
        "/files/d.root/descendants",
        "/files/none.root/descendants",
        f"/files/{MERGED}/descendants",
    ],
    "histories": [
        "/files/d.root/rebuild",
        "/files/d.root/rebuild?from_scratch=true",
        f"/files/{MERGED}/rebuild?experiment=toyexp&lost={RECO_FILE},{GEN_FILE}",
        "/files/orphan.root/rebuild",
        "/files/none.root/rebuild",
        "/files/d.root/rebuild?lost=none.root",
        "/files/d.root/replicas",
        "/files/none.root/replicas",
        "/files/d.root/rebuild/replicas",
        f"/lineage/impact?revision={'2' * 40}",
        "/lineage/impact?software=novasoft&limit=1",
        "/lineage/impact?software=novasoft&limit=1&cursor={next}",
        "/lineage/impact?software=novasoft&format=ndjson",
        "/lineage/impact?software=novasoft&format=csv",
        "/lineage/impact?task_id=toyexp-demo-gen-0001&direct=true&limit=2",
        "/lineage/impact?reads=flux.root",
        "/lineage/impact?parameter=physics.producers.fit.seed",
        "/lineage/impact?revision=none",
        "/lineage/impact",
        "/files/d.root/roots",
        f"/files/{MERGED}/roots?experiment=toyexp&limit=2",
        f"/files/{MERGED}/roots?experiment=toyexp&limit=2&cursor={{next}}",
        "/files/none.root/roots",
        "/files/flux.root/leaves",
        "/files/flux.root/leaves?limit=1",
        "/files/flux.root/leaves?as_of=2026-01-01T00:00:00Z",
        "/files/none.root/leaves",
        "/files/d.root/cost",
        f"/files/{MERGED}/cost?experiment=toyexp",
        "/files/orphan.root/cost",
        "/files/none.root/cost",
        "/lineage/orphans",
        "/lineage/orphans?limit=1",
        "/lineage/orphans?limit=1&cursor={next}",
        "/lineage/orphans?experiment=nova&isolated=true",
        "/lineage/orphans?experiment=nova&unread=true",
        "/lineage/orphans?limit=0",
        "/lineage/paths?a=flux.root&b=d.root",
        "/lineage/paths?a=d.root&b=a.root&limit=1",
        "/lineage/paths?a=b.root&b=c.root",
        "/lineage/paths?a=b.root&b=none.root",
        "/lineage/paths?a=b.root",
        "/lineage/common?a=b.root&b=c.root",
        "/lineage/common?a=b.root&b=c.root&hub=1",
        "/lineage/common?a=b.root&b=c.root&limit=1",
        "/lineage/common?a=b.root&b=out1.root",
        "/lineage/common?a=b.root&b=none.root",
    ],
    "tasks": [
        "/tasks/t1",
        "/tasks/t0",
        "/tasks/toyexp-demo-gen-0001",
        "/tasks/toyexp-demo-reco-0001?experiment=toyexp",
        "/tasks/toyexp-demo-histogram-0001",
        "/tasks/toy-v1-gen",
        "/tasks/airflow:prod.plots",
        "/tasks/shared",
        "/tasks/shared?experiment=nova",
        "/tasks/t1?experiment=toyexp",
        "/tasks/none",
        "/tasks/t1/missing",
        "/tasks/t1/missing?format=plain",
        "/tasks/toyexp-demo-gen-0001/missing",
        "/tasks/shared/missing?experiment=nova",
        "/tasks/none/missing",
        "/tasks/t1/ready",
        "/tasks/toyexp-demo-merge-0001/ready",
        "/tasks/t1/ready?limit=1",
        "/tasks/t1/ready?limit=1&cursor={next}",
        "/tasks/t1/ready?format=plain",
        "/tasks/none/ready",
        "/tasks/t1/catalog",
        "/tasks/t0/catalog",
        "/tasks/shared/catalog",
        "/tasks/none/catalog",
        "/tasks/t1/draining",
        "/tasks/t1/draining?format=sam",
        "/tasks/t0/draining",
        "/tasks/none/draining",
        "/tasks/t1/draining?format=mql",
        "/arrivals?experiment=nova&until=2026-01-02T18:00:00Z&days=3&limit=2",
        "/arrivals?experiment=toyexp&until=2026-11-25T18:00:00Z&days=1&hours=1&limit=1",
        "/arrivals?experiment=none",
        "/arrivals",
        "/campaigns/demo-2026?experiment=toyexp",
        "/campaigns/c?experiment=nova",
        "/campaigns/-?experiment=nova&campaign=c1",
        "/campaigns/none?experiment=nova",
        "/campaigns/c",
        "/campaigns/demo-2026/report?experiment=toyexp",
        "/campaigns/c/report?experiment=nova",
        "/campaigns/none/report?experiment=nova",
        "/campaigns/demo-2026/graph?experiment=toyexp",
        "/campaigns/demo-2026/graph?experiment=toyexp&task_id=toyexp-demo-gen-0001",
        "/campaigns/c1/graph?experiment=nova",
        "/campaigns/none/graph?experiment=nova",
        "/lineage/folded?campaign=demo-2026",
        "/lineage/folded?campaign=c&experiment=nova",
        "/lineage/folded?campaign=none",
        "/lineage/folded",
        "/samples?experiment=nova",
        "/samples?experiment=toyexp",
        "/samples?experiment=none",
        "/samples",
    ],
    "statistics": [
        "/statistics/errors",
        "/statistics/errors?experiment=toyexp&by=site&sort=newest",
        *(f"/statistics/errors?by={by}" for by in ("stage", "host", "version", "day")),
        *(f"/statistics/errors?by={by}" for by in ("class", "step", "code")),
        "/statistics/errors?experiment=nova&sort=growing",
        "/statistics/errors?experiment=none",
        "/statistics/errors?by=odd",
        *(
            f"/statistics/throughput?{WINDOW}&by={by}&step=1d"
            for by in ("state", "stage", "site", "class")
        ),
        *(
            f"/statistics/throughput?{WINDOW}&{CAMPAIGN}&steps=3&measure={measure}"
            for measure in ("files", "events", "cpu_hours", "running", "wall_seconds")
        ),
        "/statistics/throughput?experiment=nova&ended_before=2026-01-02&since=2d&step=12h",
        "/statistics/throughput?experiment=none&ended_before=2026-11-27&since=2d&step=12h",
        "/statistics/throughput?since=soon",
        f"/statistics/throughput?{WINDOW}&step=1m",
        "/statistics/throughput?by=odd",
        f"/statistics/throughput?{_NOON}&measure=queue&by=stage",
        "/statistics/throughput?measure=idle&by=site",
        "/statistics/resources",
        *(f"/statistics/resources?by={by}" for by in ("site", "host", "version")),
        f"/statistics/resources?{CAMPAIGN}&stage=reco",
        "/statistics/resources?experiment=none",
        "/statistics/resources?by=odd",
        "/statistics/modules",
        "/statistics/modules?by=site",
        "/statistics/modules?by=host&first=wn120.fnal.gov&second=wn121.fnal.gov",
        "/statistics/modules?experiment=nova",
        "/statistics/modules?by=host&first=none",
        f"/estimate?{CAMPAIGN}",
        f"/estimate?{CAMPAIGN}&files=1000&slots=10",
        "/estimate?experiment=nova&task_id=chain&files=10",
        "/estimate?experiment=none&files=10",
        f"/estimate?{CAMPAIGN}&events=1000000",
        "/estimate?files=0",
    ],
    "orders": [
        "/rules/nova",
        "/rules/nova?version=1",
        "/rules/nova?version=9",
        "/rules/toyexp",
        "/rules/none",
        "/workflows",
        "/workflows?experiment=nova",
        "/workflows?experiment=toyexp",
        "/workflows/toy",
        "/workflows/toy?version=1",
        "/workflows/toy?version=2",
        "/workflows/none",
        "/orders?experiment=nova",
        "/orders?experiment=toyexp",
        "/orders?experiment=none",
        "/orders",
        "/retries?experiment=nova&task_id=t1",
        f"/retries?experiment=nova&jobs={job_id(22)}&memory_factor=2&other_site=true",
        f"/retries?experiment=toyexp&jobs={FAILED_RECO},{KILLED_GEN},{GEN}",
        f"/retries?experiment=nova&jobs={job_id(32)}",
        f"/retries?experiment=nova&jobs={UNKNOWN_JOB}",
        "/retries?experiment=nova",
        "/retries?experiment=none&task_id=t1",
        f"/retries/inputs?experiment=toyexp&jobs={FAILED_RECO},{GEN}",
        f"/retries/inputs?experiment=nova&jobs={job_id(22)},{job_id(32)}",
        "/retries/inputs?experiment=nova",
        f"/retries/submissions?experiment=nova&jobs={job_id(22)},{job_id(32)}",
        f"/retries/submissions?experiment=nova&jobs={UNKNOWN_JOB}",
        "/retry-policies/nova",
        "/retry-policies/toyexp",
        "/retry-policies/none",
    ],
    "exports": [
        *(f"/jobs/{MERGE}/exports/{form}" for form in ("prov-json", "openlineage", "in-toto")),
        f"/jobs/{job_id(13)}/exports/openlineage",
        f"/jobs/{MERGE}/exports/none",
        f"/jobs/{UNKNOWN_JOB}/exports/prov-json",
        f"/jobs/{UNKNOWN_JOB}/bundle",
        "/tasks/none/bundle",
        "/campaigns/none/bundle?experiment=nova",
    ],
}
"""Addresses by the file that their answers are in.

`{next}` and `{recipe_id}` are taken from the answer before.
"""
