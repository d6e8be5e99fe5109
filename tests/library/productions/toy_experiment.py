"""A small production of the toy experiment as records: what the pages are tried on.

Ten generation jobs (one killed), ten reconstructions of two steps and two streams (one failed and
retried), two merges of ten files, a histogram job that runs, one that is silent, one lost; with fcl
files, logs, and whatever a page may have to show.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobprov.app.wiring import Service
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.reruns.verdicts import post_verdict

EXPERIMENT = "toyexp"
CAMPAIGN = "demo-2026"
MERGED = "toyexp_demo-2026_0001_merge_dimuon.root"
FIRST_GEN = "toyexp_demo-2026_0001_gen_0000.root"
HOSTILE = "<img src=x onerror=alert(1)>\"'&<script>.root"
START = datetime(2026, 11, 24, 15, 2, 11, tzinfo=UTC)
COMMIT = "3fa1c2d97be0417c0d2a3c1b5c8d1e2f4a6b7c8d"

FCL = {
    "messages_toyexp.fcl": b"BEGIN_PROLOG\nquiet: { threshold: WARNING }\nEND_PROLOG\n",
    "detector_toyexp.fcl": b"BEGIN_PROLOG\ntracker: {\n  layers: 8\n  efficiency: 0.97\n"
    b"  resolution: 0.012 # of the momentum\n}\nEND_PROLOG\n",
    "smear.fcl": b'#include "messages_toyexp.fcl"\n#include "detector_toyexp.fcl"\n\n'
    b"process_name: Smear\nservices.message: @local::quiet\n"
    b"physics: {\n  producers: { smear: { @table::tracker seed: 1 } }\n  reco: [ smear ]\n}\n",
}
MISSPELT = FCL["smear.fcl"].replace(b"seed: 1 }", b"eficiency: 0.9 seed: 1 }")
FAILING_LOG = (
    b"%MSG-i toyexp: begin run 1004\n"
    + b"".join(
        b"Begin processing the %d. record. run: 1004 event: %d\n" % (n, n) for n in range(1, 60)
    )
    + b"\x1b[31m%MSG-s\x1b[0m ConfigurationError: physics.producers.smear "
    b"has no parameter eficiency; did you mean efficiency?\n"
    b"Art has completed and will exit with status 9.\n"
)


def job_id(word: str) -> str:
    """Return the id of a sample job."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, word))


def sha(data: bytes) -> str:
    """Return the digest of bytes, as records name blobs."""
    return hashlib.sha256(data).hexdigest()


def fill(service: Service) -> None:
    """Record the production and store what it refers to."""
    blobs = (*FCL.values(), MISSPELT, FAILING_LOG, _log("gen"), _log("reco"))
    uploads = [Upload(EXPERIMENT, service.store.put(data).sha256) for data in blobs]
    service.write(lambda writing: grant_possession(writing, uploads))
    now = datetime.now(UTC)
    for record in production(now):
        received = now - timedelta(days=3) if record["job_id"] == job_id("silent") else now
        outcome = service.record(
            Submission(decode_record(json.dumps(record).encode()), received, "hook")
        )
        assert outcome.change in ("created", "joined", "replaced", "same"), outcome
    verdict = {
        "level": "R5",
        "host": "rerun01.fnal.gov",
        "comparisons": [{"output": MERGED, "level": "R5", "comparator": "root-content-2"}],
    }
    service.write(
        lambda writing: post_verdict(writing, job_id("merge-dimuon"), verdict),
        received_at=now,
        submitter="rerun",
    )


def production(now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the records."""
    for unit in range(11):
        yield _generation(unit)
    for unit in range(10):
        yield from _reconstruction(unit)
    for place, stream in enumerate(("dimuon", "sideband")):
        yield _merge(place, stream)
    yield _record(
        "histogram", 0, MERGED, word="histogram", state="running", inputs=[_file(MERGED, 40)]
    ) | {"started_at": (now - timedelta(minutes=40)).isoformat()}
    yield _record("histogram", 1, "sideband", word="silent", state="running")
    yield _record("histogram", 2, "lost", word="lost", state="lost")
    yield _hostile()


def _log(stage: str) -> bytes:
    return f"{stage} begins\n100 events\n{stage} done\n".encode()


def _file(name: str, scale: int) -> dict[str, Any]:
    return {
        "name": name,
        "size_bytes": 123_457 * (scale + 1),
        "sha256": sha(name.encode()),
        "checksums": [f"adler32:{sha(name.encode())[:8]}"],
    }


def _output(name: str, scale: int, tier: str, **more: Any) -> dict[str, Any]:
    return (
        _file(name, scale)
        | {
            "status": "written",
            "data_tier": tier,
            "file_format": "root",
            "file_type": "mc",
            "event_count": 400,
            "runs": [[1000 + scale, 0]],
            "location": f"root://dcache.example.org:1094/pnfs/toyexp/{tier}/{name}",
            "metadata": {"prov.task_id": f"toyexp-demo-{tier}-0001", "dh.owner": "toyexppro"},
        }
        | more
    )


def _record(
    stage: str, place: int, unit: str, *, word: str, state: str = "succeeded", **more: Any
) -> dict[str, Any]:
    started = START + timedelta(
        minutes=20 * ("gen", "reco", "merge", "histogram").index(stage), seconds=37 * place
    )
    ended = started + timedelta(seconds=812 + 31 * place)
    batch_id = f"81234.{place}@sched01.fnal.gov"
    found: dict[str, Any] = {
        "schema_version": 1,
        "job_id": job_id(word),
        "experiment": EXPERIMENT,
        "state": state,
        "started_at": started.isoformat(),
        "task": {
            "task_id": f"toyexp-demo-{stage}-0001",
            "campaign": CAMPAIGN,
            "stage": stage,
            "unit": unit,
            "submitted_by": "toyexppro",
        },
        "batch": {
            "system": "htcondor",
            "id": batch_id.replace("81234", str(81234 + len(stage))),
            "attempt": 1,
        },
        "host": {
            "hostname": f"wn{120 + place}.fnal.gov",
            "site": "FNAL",
            "facility": "FermiGrid",
            "cpu_model": "AMD EPYC 7543 32-Core Processor",
            "cores": 2,
            "memory_bytes": 4_294_967_296,
        },
        "software": [
            {
                "name": "toyexp",
                "evidence": "observed",
                "vcs": "git",
                "repository": "https://git.example.org/toyexp.git",
                "requested_ref": "v1_4_0",
                "ref_kind": "tag",
                "revision": COMMIT,
            },
            {
                "name": "pythia8",
                "evidence": "declared",
                "product": {"manager": "pip", "version": "8.317.2"},
            },
        ],
        "environment": {
            "variables": _variables(stage, place),
            "withheld": ["BEARER_TOKEN", "JOBPROV_TOKEN"],
            "os": {
                "id": "almalinux",
                "version": "9.4",
                "kernel": "5.14.0-427",
                "libc": "glibc 2.34",
            },
            "container": {
                "image": "/cvmfs/singularity.opensciencegrid.org/fermilab/fnal-wn-el9:latest"
            },
            "locale": "C.UTF-8",
            "timezone": "UTC",
            "umask": "0022",
        },
        "hook": {"version": "0.1.0", "python": "3.9.18"},
        "threads": 1,
    }
    if state not in ("running", "lost"):
        found |= {
            "ended_at": ended.isoformat(),
            "exit": {"code": 0},
            "resources": {
                "wall_seconds": (ended - started).total_seconds(),
                "cpu_user_seconds": 700.5 + place,
                "cpu_system_seconds": 12.25,
                "max_rss_bytes": 812_000_000 + 10_000_000 * place,
                "read_bytes": 12_400_000,
                "write_bytes": 48_000_000,
                "requested_memory_bytes": 2_000_000_000,
                "cores_used": 1,
            },
        }
    return found | more


def _variables(stage: str, place: int) -> dict[str, str]:
    found = {
        "PATH": "/cvmfs/toyexp.example.org/v1_4_0/bin:/usr/local/bin:/usr/bin:/bin",
        "FHICL_FILE_PATH": "/cvmfs/toyexp.example.org/v1_4_0/fcl",
        "LD_LIBRARY_PATH": (
            "/cvmfs/toyexp.example.org/v1_4_0/lib"
            ":/cvmfs/larsoft.opensciencegrid.org/products/root/v6_28_12/lib"
        ),
        "EXPERIMENT": EXPERIMENT,
        "POMS_TASK_ID": f"toyexp-demo-{stage}-0001",
        "PROCESS": str(place),
        "GLIDEIN_Site": "FNAL",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
    }
    return found | {
        f"SETUP_PRODUCT_{n:02}": f"product{n:02} v1_{n} -f Linux64bit+3.10-2.17 -q e26:prof"
        for n in range(20)
    }


def _generation(unit: int) -> dict[str, Any]:
    name = f"toyexp_demo-2026_0001_gen_{unit:04}.root"
    log = _log("gen")
    if unit == 10:
        return _record(
            "gen",
            unit,
            "0010",
            word="gen-10",
            state="killed",
            exit={
                "signal": 24,
                "failed_step": "toy",
                "message": "CPU time limit exceeded: 3 s of 3 s used, 0 of 400 events",
            },
            logs=[{"name": "stdout", "step": "toy", "sha256": sha(log), "size_bytes": len(log)}],
        )
    return _record(
        "gen",
        unit,
        f"{unit:04}",
        word=f"gen-{unit}",
        command={
            "argv": ["toy", "-c", f"gen_{unit:04}.fcl", "-n", "400", "-o", name],
            "working_directory": "/scratch/toyexp/1",
        },
        seeds=[{"module": "generator", "seed": 2026000 + unit, "engine": "Pythia8"}],
        outputs=[_output(name, unit, "gen")],
        logs=[{"name": "stdout", "sha256": sha(log), "size_bytes": len(log)}],
    )


def _reconstruction(unit: int) -> Iterator[dict[str, Any]]:
    source = f"toyexp_demo-2026_0001_gen_{unit:04}.root"
    stem = f"toyexp_demo-2026_0001_reco_{unit:04}"
    if unit == 4:
        yield _failed_reconstruction(unit, source)
    started = START + timedelta(minutes=20, seconds=37 * unit)
    log = _log("reco")
    yield _record(
        "reco",
        unit,
        source,
        word=f"reco-{unit}",
        command={
            "argv": ["run_reco.sh", f"smear_{unit:04}.fcl", "select.fcl", source, stem],
            "working_directory": "/scratch/toyexp/2",
            "steps": _steps(unit, started, None),
        },
        configurations=[_configuration("smear"), _configuration("select")],
        scripts=[
            {
                "name": "run_reco.sh",
                "path": "bin/run_reco.sh",
                "sha256": sha(b"#!/bin/sh\n"),
                "mode": "0755",
                "software": "toyexp",
            }
        ],
        inputs=[
            _file(source, unit)
            | {
                "role": "primary",
                "events_read": 400,
                "opened_at": started.isoformat(),
                "closed_at": (started + timedelta(minutes=9)).isoformat(),
                "times_from": "proc",
                "times_within_seconds": 1.0,
            }
        ],
        outputs=[
            _output(f"{stem}_{stream}.root", unit, "reco", data_stream=stream)
            for stream in ("dimuon", "sideband")
        ],
        modules=[
            {
                "step": "smear",
                "path": "reco",
                "label": label,
                "type": f"Toy{label.title()}",
                "events": 400,
                "seconds_total": total,
                "seconds_max": total / 80,
            }
            for label, total in (
                ("source", 4.1),
                ("smear", 612.75),
                ("select", 88.2),
                ("out1", 21.9),
            )
        ],
        logs=[{"name": "smear.out", "step": "smear", "sha256": sha(log), "size_bytes": len(log)}],
    )


def _failed_reconstruction(unit: int, source: str) -> dict[str, Any]:
    started = START + timedelta(minutes=20, seconds=37 * unit) - timedelta(minutes=10)
    found = _record(
        "reco",
        unit,
        source,
        word="reco-4-first",
        state="failed",
        started_at=started.isoformat(),
        ended_at=(started + timedelta(seconds=93)).isoformat(),
        exit={
            "code": 9,
            "failed_step": "smear",
            "error_class": "ConfigurationError",
            "message": (
                "ConfigurationError: physics.producers.smear has no parameter eficiency; "
                "did you mean efficiency?"
            ),
        },
        command={
            "argv": ["run_reco.sh", "smear_0004.fcl", "select.fcl", source, "out"],
            "steps": _steps(unit, started, 9),
        },
        configurations=[_configuration("smear", MISSPELT)],
        inputs=[_file(source, unit) | {"role": "primary"}],
        logs=[
            {
                "name": "smear.err",
                "step": "smear",
                "sha256": sha(FAILING_LOG),
                "size_bytes": len(FAILING_LOG),
            },
            {"name": "setup.out", "step": "setup", "sha256": sha(b"never sent"), "size_bytes": 10},
        ],
    )
    return found | {
        "resources": {"wall_seconds": 93.2, "cpu_user_seconds": 3.3, "max_rss_bytes": 88_000_000}
    }


def _steps(unit: int, started: datetime, failing: int | None) -> list[dict[str, Any]]:
    shape = [
        ("setup", "setup", 0, 11, 0),
        ("copy_in", "stage_in", 11, 30, 0),
        ("smear", "payload", 41, 52 if failing else 600, failing or 0),
    ]
    if failing is None:
        shape += [("select", "payload", 641, 130, 0), ("copy_out", "stage_out", 771, 40, 0)]
    return [
        {
            "name": name,
            "role": role,
            "argv": ["toy", "-c", f"{name}_{unit:04}.fcl"]
            if role == "payload"
            else ["ifdh", "cp", "-D", name],
            "exit_code": code,
            "started_at": (started + timedelta(seconds=begin)).isoformat(),
            "ended_at": (started + timedelta(seconds=begin + length)).isoformat(),
        }
        for name, role, begin, length, code in shape
    ]


def _configuration(step: str, main: bytes = FCL["smear.fcl"]) -> dict[str, Any]:
    files = ("smear.fcl", "messages_toyexp.fcl", "detector_toyexp.fcl")
    return {
        "step": step,
        "main": "smear.fcl",
        "process_name": step.title(),
        "search_path": ["job", "/cvmfs/toyexp.example.org/v1_4_0/fcl"],
        "files": [
            {
                "name": name,
                "path": name,
                "sha256": sha(main if name == "smear.fcl" else FCL[name]),
                "found_in": 1,
                "software": "toyexp",
                "path_in_repository": f"fcl/{name}",
            }
            for name in files
        ],
        "overrides": ["-n", "400"],
    }


def _merge(place: int, stream: str) -> dict[str, Any]:
    inputs = [
        _file(f"toyexp_demo-2026_0001_reco_{unit:04}_{stream}.root", unit)
        | {"role": "primary", "events_read": 400}
        for unit in range(10)
    ]
    return _record(
        "merge",
        place,
        stream,
        word=f"merge-{stream}",
        command={
            "argv": ["toy", "-c", "merge.fcl", "-o", f"toyexp_demo-2026_0001_merge_{stream}.root"]
        },
        configurations=[_configuration("merge")],
        inputs=inputs,
        outputs=[
            _output(f"toyexp_demo-2026_0001_merge_{stream}.root", 40, "merged", event_count=4000)
        ],
    )


def _hostile() -> dict[str, Any]:
    return {
        "schema_version": 1,
        "job_id": job_id("hostile"),
        "experiment": "other",
        "state": "failed",
        "started_at": "2026-01-02T03:04:05Z",
        "task": {
            "task_id": "<b>task",
            "campaign": "<i>campaign",
            "stage": "\u202estage<u>",
            "unit": HOSTILE,
        },
        "exit": {
            "code": 1,
            "failed_step": "<s>step</s>",
            "error_class": "<em>",
            "message": "<script>alert(3)</script>",
        },
        "command": {
            "argv": ["sh", "-c", "<script>alert(4)</script>"],
            "steps": [{"name": "<s>step</s>", "argv": ["<b>"], "exit_code": 1}],
        },
        "environment": {
            "variables": {"<b>": "javascript:alert(5)", "X": "</dd></dl><script>alert(6)</script>"}
        },
        "inputs": [{"name": FIRST_GEN}],
        "outputs": [
            {"name": HOSTILE, "location": "javascript:alert(7)", "metadata": {"<b>x": "<script>"}}
        ],
        "software": [
            {
                "name": "<script>alert(8)</script>",
                "repository": "javascript:alert(9)",
                "revision": "x",
            }
        ],
        "extra": {"<script>": "</code><script>alert(10)</script>"},
        "unknown_field": ["<script>alert(11)</script>", 10**30],
    }


def open_folder(folder: Path) -> dict[str, str]:
    """Return the settings of a service whose data lie in a folder."""
    return {"JOBPROV_DATA": str(folder)}
