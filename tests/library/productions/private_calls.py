"""The production of `answer_calls`, and beside it one of private experiments that shares its names.

`hidden_calls` writes the same again for experiments of other names: the same jobs, files, tasks,
blobs and commits. `canary_calls` writes what the private experiments alone have; every name of it
holds CANARY. `READS` of `answer_calls` and `PAGES` ask every route that reads.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.library.productions.answer_calls import (
    FAILED_RECO,
    FCL,
    LOG,
    MERGE,
    MERGED,
    READS,
    RECO,
    RECO_AGAIN,
    UNKNOWN_JOB,
    Call,
    closing_calls,
    file_entry,
    job_id,
    nova_job,
    nova_jobs,
    ordering_calls,
    sha256,
    writing_calls,
)

HIDDEN = {"nova": "CANARY-nova", "toyexp": "CANARY-toyexp", "other": "CANARY-other"}
"""The private experiment that shares the names of each open one."""
CANARY = "canary"
DERIVING_JOB = job_id(50)
CANARY_COMMIT = "ca4a" * 10
CANARY_LOG = b"begun\nCANARY log\nended\n"
CANARY_FCL = (
    b'process_name: CANARY\nphysics: { producers: { CANARYfit: { CANARYkey: "CANARYvalue" } } }\n'
)
CANARY_JOB = "ca4a0000-0000-4000-8000-{:012x}"
_OWN_NAME = re.compile(r"(?<![\w.-])(nova|toyexp|other)(?![\w.-])")
_PREFIXED = {
    "batch_id", "campaign", "data_tier", "failed_step", "hostname", "message", "name", "namespace",
    "requested_ref", "site", "stage", "task_id", "unit",
}  # fmt: skip


def open_calls() -> list[Call]:
    """Return the calls that write the open experiments.

    One job of nova reads a file that is of a private experiment.
    """
    read = {**file_entry("d.root", 4), "experiment": HIDDEN["nova"]}
    outputs = [file_entry("derived.root", 8)]
    task = {"task_id": "derive", "campaign": "c1", "stage": "derive", "unit": "u1"}
    deriving = nova_job(50, inputs=[read], outputs=outputs, task=task)
    deriving_call = Call("PUT", f"/jobs/{DERIVING_JOB}", deriving)
    return [*writing_calls(), *ordering_calls(), *_writes(closing_calls()), deriving_call]


def hidden_calls() -> list[Call]:
    """Return the calls that write the same of the private experiments."""
    return [_hidden(call) for call in open_calls()]


def _writes(calls: Iterable[Call]) -> list[Call]:
    return [call for call in calls if call.method != "GET"]


def _hidden(call: Call) -> Call:
    address = _OWN_NAME.sub(lambda match: HIDDEN[match[1]], call.address)
    if call.body is None or isinstance(call.body, bytes):
        return call._replace(address=address)
    text = _OWN_NAME.sub(lambda match: HIDDEN[match[1]], json.dumps(call.body))
    return call._replace(address=address, body=json.loads(text))


def canary_calls() -> list[Call]:
    """Return the calls that write what the first private experiment alone has.

    One of its jobs reads a file of nova.
    """
    jobs = [*map(_canaried, nova_jobs()), *_canary_jobs()]
    blobs = [CANARY_LOG, CANARY_FCL]
    task = {"experiment": HIDDEN["nova"], "campaign": "CANARYcampaign", "stage": "CANARYstage"}
    rule = {
        "name": "CANARYrule",
        "class": "CANARYclass",
        "words": "CANARY words",
        "advice": "CANARY advice",
        "exit_code": [12],
    }
    table = {"rules": [rule], "who": "CANARY", "why": "CANARY"}
    orphan = {"experiment": HIDDEN["nova"], "name": "CANARYorphan.root"}
    seen = {"locations": ["root://CANARY/x"], "metadata": {"CANARY.key": "CANARY"}}
    waiver = {"units": ["CANARYu1"], "who": "CANARY", "why": "CANARY"}
    return [
        *(Call("PUT", f"/blobs/{sha256(blob)}", blob) for blob in blobs),
        Call(
            "PUT",
            "/tasks/CANARYtask",
            {**task, "units": ["CANARYu1", "CANARYu2"], "sample": "CANARY"},
        ),
        Call("POST", "/jobs/batch", {"jobs": jobs}),
        Call("POST", "/files", {**orphan, **seen}),
        Call("POST", "/tasks/CANARYtask/waivers", waiver),
        Call("PUT", f"/rules/{HIDDEN['nova']}", table),
    ]


def _canaried(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with names of its own."""
    number = int(record["job_id"][-12:], 16)
    renamed: dict[str, Any] = _prefixed(record)
    renamed["job_id"] = CANARY_JOB.format(number)
    renamed["experiment"] = HIDDEN["nova"]
    for software in renamed.get("software", ()):
        software["revision"] = CANARY_COMMIT
    if "rerun_of" in renamed:
        renamed["rerun_of"] = CANARY_JOB.format(int(record["rerun_of"][-12:], 16))
    return renamed


def _prefixed(value: Any) -> Any:
    if isinstance(value, list):
        return [_prefixed(part) for part in value]
    if not isinstance(value, dict):
        return value
    renamed = {}
    for key, part in value.items():
        is_name = key in _PREFIXED and isinstance(part, str)
        renamed[key] = f"CANARY{part}" if is_name else _prefixed(part)
    return renamed


def _canary_jobs() -> list[dict[str, Any]]:
    """Return jobs that read files of nova, one that was recorded and one that nobody recorded.

    And one with a configuration and a log.
    """
    host = {"hostname": "CANARYhost", "site": "CANARYsite"}
    read = {**file_entry("d.root", 4), "experiment": "nova"}
    never_made = {**file_entry("CANARYread.root", 5), "experiment": "nova"}
    steps = [
        {
            "step": "reco",
            "main": "CANARY.fcl",
            "search_path": ["job"],
            "files": [{"name": "CANARY.fcl", "sha256": sha256(CANARY_FCL)}],
        }
    ]
    log = {"name": "CANARYlog", "sha256": sha256(CANARY_LOG), "size_bytes": len(CANARY_LOG)}
    fields = {"experiment": HIDDEN["nova"], "host": host}
    return [
        {
            **nova_job(1, inputs=[read, never_made], outputs=[file_entry("CANARYplot.root", 9)]),
            **fields,
            "job_id": CANARY_JOB.format(0x101),
        },
        {
            **nova_job(2, configurations=steps, logs=[log], state="failed", exit={"code": 12}),
            **fields,
            "job_id": CANARY_JOB.format(0x102),
            "environment": {"variables": {"CANARY": "CANARY"}},
        },
    ]


_CAMPAIGN = "experiment=toyexp&campaign=demo-2026"
_CHAIN = ("d.root", "derived.root", "flux.root", "none.root", MERGED)
_OF_FILES = ("files", "lineage", "roots", "leaves", "rebuild", "cost", "replicas")
PAGES = [
    "/",
    "/?experiment=nova",
    "/search?q=CANARY",
    "/search?q=canary",
    "/search?q=ca4aca4a",
    "/search?q=d.root",
    "/search?q=wn1&all=1",
    "/search?q=CANARYhost",
    *(f"/{page}/{name}" for page in _OF_FILES for name in _CHAIN),
    "/lineage/d.root?direction=descendants",
    "/lineage/derived.root?direction=both",
    f"/jobs/{DERIVING_JOB}",
    "/lineage/a.root?direction=both&picture=svg",
    "/jobs",
    "/jobs?format=csv",
    "/jobs?sort=-started_at",
    f"/jobs/selection?do=ids&job_id={UNKNOWN_JOB}",
    *(f"/jobs/selection?do={do}&job_id={FAILED_RECO}" for do in ("list", "retry", "waive")),
    f"/jobs/selection?do=retry&job_id={CANARY_JOB.format(13)}",
    "/waive?experiment=nova&task_id=t1&unit=u1",
    f"/waive?experiment={HIDDEN['nova']}&task_id=CANARYtask&unit=CANARYu1",
    "/jobs?experiment=nova&state=failed",
    "/jobs?host=CANARYhost",
    "/jobs?parameter=*CANARY*",
    f"/jobs?revision={CANARY_COMMIT}",
    *(f"/jobs/{job}" for job in (RECO, MERGE, FAILED_RECO, UNKNOWN_JOB, job_id(13), job_id(22))),
    f"/jobs/{job_id(1)}/diff",
    f"/jobs/{job_id(1)}/diff/{job_id(3)}",
    f"/jobs/{FAILED_RECO}/diff/{RECO_AGAIN}",
    "/diff",
    "/diff?a=demo-2026&b=demo-2026&experiment=toyexp",
    "/diff?by=release",
    "/recipes",
    "/recipes/{recipe_id}",
    "/diverge?a=out1.root&b=out3.root",
    "/diverge",
    f"/jobs/{job_id(30)}/configurations/reco",
    f"/jobs/{job_id(30)}/configurations/reco?form=files",
    f"/jobs/{RECO}/configurations/smear",
    f"/jobs/{job_id(22)}/logs/out",
    f"/jobs/{job_id(23)}/logs/stdout",
    "/tasks/t1",
    "/tasks/shared",
    "/tasks/toyexp-demo-gen-0001",
    "/queue",
    "/queue?experiment=nova",
    "/timeline?task_id=t1",
    "/timeline?task_id=t1&by=host",
    "/timeline?task_id=t1&unit=a501.root",
    "/timeline?task_id=shared&by=site",
    "/timeline?task_id=CANARYtask",
    "/workflows",
    "/workflows/nova/toy",
    "/retry",
    "/retry?experiment=nova&task_id=t1",
    "/campaigns/toyexp/demo-2026",
    "/campaigns/nova/c",
    "/reports/toyexp/demo-2026",
    "/campaigns/toyexp/demo-2026/lineage",
    "/errors",
    "/errors?by=site",
    "/errors?format=csv",
    "/rules",
    "/rules?experiment=nova",
    "/catalog",
    "/catalog?task_id=t1",
    "/arrivals",
    "/arrivals?experiment=nova",
    "/impact?software=novasoft",
    "/impact?reads=flux.root",
    f"/impact?revision={CANARY_COMMIT}",
    "/orphans",
    "/orphans?experiment=nova",
    "/relation?a=flux.root&b=d.root",
    "/relation",
    "/resources",
    "/resources?by=host",
    "/resources?format=csv",
    f"/resources?{_CAMPAIGN}",
    "/throughput",
    "/throughput?by=site",
    "/throughput?by=site&measure=running&since=520w",
    "/throughput?by=stage&measure=wall_seconds&since=520w",
    "/throughput?measure=queue",
    "/throughput?by=stage&measure=idle&since=2h",
    "/modules",
    "/modules?by=host",
    f"/estimate?{_CAMPAIGN}",
    "/estimate",
    "/proofs",
    "/proofs?experiment=nova",
    "/samples/nova",
    "/samples/toyexp",
    "/alerts",
    "/alerts?experiment=nova",
    "/trail",
    "/trail?experiment=nova",
    "/login",
    "/login/done",
    "/logout/done",
    "/static/jobprov.css",
    "/docs/",
    "/docs/reference/gaps",
    "/docs/search?q=CANARY",
    "/docs/api",
    "/docs/api/jobs",
    "/docs/api/types/Gap",
]
"""Addresses of pages; `{recipe_id}` is taken from the answer before."""
MORE_CALLS = [
    "/alerts?state=open",
    "/attention",
    "/attention?since=3000w",
    *(f"/blobs/{sha256(blob)}" for blob in (LOG, FCL, CANARY_LOG, CANARY_FCL)),
    f"/jobs/{MERGE}/bundle",
    f"/jobs/{job_id(30)}/bundle",
    f"/jobs/{DERIVING_JOB}/bundle",
    f"/jobs/{DERIVING_JOB}/exports/openlineage",
    f"/jobs/{DERIVING_JOB}",
    *(
        f"/files/derived.root/{what}"
        for what in ("ancestors", "lineage", "roots", "rebuild", "cost")
    ),
    "/campaigns/c1/graph?experiment=nova",
    "/campaigns/c1/bundle?experiment=nova",
    "/tasks/t1/bundle",
    "/tasks/shared/bundle",
    "/campaigns/demo-2026/bundle?experiment=toyexp",
    "/names/experiments?limit=500",
    *(f"/names/{kind}" for kind in ("campaigns", "stages", "tasks", "sites")),
    f"/jobs?revision={CANARY_COMMIT}",
    "/jobs?host=CANARYhost",
    "/jobs/facets",
    "/jobs/facets?host=CANARYhost",
    "/jobs?sort=-started_at&limit=3",
    "/jobs?site=CANARYsite",
    "/jobs?parameter=*CANARY*",
    "/jobs?failure_class=CANARYclass",
    "/search?q=CANARY",
    "/search?q=ca4aca4a",
    "/search?q=ca4a0000",
    "/files?name=CANARY*",
    "/files/CANARYread.root",
    "/files/CANARYa.root",
    "/files/CANARYplot.root/lineage",
    "/files/d.root/lineage?direction=descendants",
    f"/lineage/impact?revision={CANARY_COMMIT}",
    "/lineage/impact?reads=d.root",
    "/lineage/impact?parameter=*CANARY*",
    "/tasks/CANARYtask",
    "/campaigns/CANARYcampaign?experiment=nova",
    f"/jobs/{CANARY_JOB.format(0x101)}",
    f"/jobs/{CANARY_JOB.format(0x102)}/logs/CANARYlog",
    "/retries?experiment=nova&task_id=CANARYtask",
    "/queue?experiment=nova",
    "/tasks/t1/queue",
    "/tasks/CANARYtask/queue",
    "/tasks/CANARYtask/timeline",
    "/tasks/t1/timeline?by=host",
    "/tasks/t1/timeline?unit=CANARYu1",
]
"""Addresses below /api/v1 besides `READS`."""
FORMS: list[tuple[str, dict[str, str]]] = [
    ("/waive", {"experiment": "nova", "task_id": "CANARYtask", "unit": "CANARYu1"}),
    ("/waive", {"experiment": HIDDEN["nova"], "task_id": "CANARYtask", "unit": "CANARYu1"}),
    ("/waive", {"experiment": "nova", "task_id": "t1", "unit": "a4.root"}),
    ("/retry", {"experiment": "nova", "task_id": "CANARYtask"}),
    ("/retry", {"experiment": "nova", "job": CANARY_JOB.format(0x102)}),
    ("/retry", {"experiment": HIDDEN["nova"], "job": CANARY_JOB.format(0x102)}),
    ("/rules", {"experiment": HIDDEN["nova"]}),
    ("/rules", {"experiment": "nova"}),
    ("/rules/reclassify", {"experiment": HIDDEN["nova"]}),
    ("/rules/reclassify", {"experiment": "nova"}),
    ("/logout", {}),
    ("/starred", {"page": f"/campaigns/{HIDDEN['nova']}/c", "do": "star"}),
]
"""Forms of pages, with what is sent."""
CANARY_WRITES = [
    Call("POST", "/tasks/CANARYtask/waivers", {"units": ["CANARYu1"], "who": "Ada", "why": "w"}),
    Call("POST", "/tasks/CANARYtask/tickets", {"experiment": "nova", "days": 1}),
    Call("POST", "/retries", {"experiment": "nova", "jobs": [CANARY_JOB.format(0x102)], "who": "A", "why": "b"}),
    Call("POST", "/retries", {"experiment": "nova", "task_id": "CANARYtask", "who": "A", "why": "b"}),
    Call("POST", f"/jobs/{CANARY_JOB.format(0x101)}/verdicts", {"level": "R5"}),
    Call("PUT", f"/jobs/{CANARY_JOB.format(0x101)}/logs/out?offset=0", b"x"),
    Call(
        "POST",
        f"/jobs/{CANARY_JOB.format(0x101)}/revisions",
        {"record": {**nova_job(1), "job_id": CANARY_JOB.format(0x101)}, "reason": "why not"},
    ),
    Call("PUT", f"/jobs/{CANARY_JOB.format(0x101)}", {**nova_job(1), "job_id": CANARY_JOB.format(0x101)}),
    Call("POST", "/blobs/missing", {"sha256": [sha256(CANARY_LOG), sha256(LOG)]}),
    Call("PUT", f"/blobs/{sha256(CANARY_LOG)}", CANARY_LOG),
    Call("POST", "/rules/nova/reclassifications", {"task_id": "CANARYtask"}),
    Call("POST", "/traces/turns", {"experiment": "nova", "key": "b" * 64}),
]  # fmt: skip
"""Calls of nova that name what the private experiment has."""
_SAM = "/sam/nova/api"
_METACAT = "/metacat/nova/data"
CATALOGS = [
    _SAM,
    f"{_SAM}/",
    f"{_SAM}/files/list?dims=file_name+%25",
    f"{_SAM}/files/count?dims=file_name+%25",
    f"{_SAM}/files/summary?dims=file_name+%25",
    f"{_SAM}/files/expand_query?dims=file_name+%25",
    f"{_SAM}/files/list/dimensions",
    f"{_SAM}/files/metadata?file_name=d.root&file_name=CANARYa.root",
    f"{_SAM}/files/locations?file_name=renamed.root",
    *(f"{_SAM}/files/name/d.root/{what}" for what in ("metadata", "locations")),
    *(f"{_SAM}/files/name/d.root/lineage/{kind}" for kind in ("parents", "children")),
    *(f"{_SAM}/files/id/4/{what}" for what in ("metadata", "locations", "lineage/children")),
    f"{_SAM}/definitions/list",
    f"{_SAM}/definitions/name/t1/describe",
    *(f"{_SAM}/definitions/name/t1/files/{what}" for what in ("list", "count", "summary")),
    f"{_SAM}/definitions/name/CANARYtask/describe",
    f"{_SAM}/projects",
    f"{_SAM}/projects/name/t1/summary",
    f"{_SAM}/projects/name/t1/recovery_dimensions",
    f"{_SAM}/elsewhere",
    f"{_METACAT}/version",
    f"{_METACAT}/file?did=nova:d.root",
    f"{_METACAT}/query?query=files+where+name+~+'.'",
    f"{_METACAT}/datasets",
    f"{_METACAT}/dataset?dataset=nova:t1",
    f"{_METACAT}/dataset_count?dataset=nova:t1",
    f"{_METACAT}/dataset_counts?dataset=nova:t1",
    f"{_METACAT}/dataset_files?dataset=nova:t1",
    f"{_METACAT}/namespaces",
    f"{_METACAT}/namespace?name=nova",
    "/metacat/nova/elsewhere",
]
"""Addresses that clients of catalogs ask."""
POSTED_QUESTIONS: list[tuple[str, Any]] = [
    (f"{_METACAT}/files", [{"did": "nova:d.root"}, {"did": "nova:CANARYa.root"}]),
    (f"{_METACAT}/namespaces", ["nova", "CANARYnova"]),
    (f"/metacat/{HIDDEN['nova']}/data/files", [{"did": "nova:d.root"}]),
    (f"/metacat/{HIDDEN['nova']}/data/namespaces", [HIDDEN["nova"]]),
    (f"/sam/{HIDDEN['nova']}/api/files/metadata", {"file_name": ["d.root"]}),
]
"""What they ask by POST, as JSON."""


def open_reads() -> list[str]:
    """Return the addresses that read, by open names and by names that both kinds have."""
    calls = [address for listed in READS.values() for address in listed]
    return [f"/api/v1{address}" for address in calls] + own_reads()


def own_reads() -> list[str]:
    """Return those of the addresses that are not asked by the tests of answers that are kept."""
    return [f"/api/v1{address}" for address in MORE_CALLS] + PAGES + CATALOGS


def hidden_reads() -> list[str]:
    """Return the same addresses where they name an experiment, with a private one instead."""
    hidden = []
    for address in open_reads():
        named = _OWN_NAME.sub(lambda match: HIDDEN[match[1]], address)
        if named != address:
            hidden.append(named)
    return hidden
