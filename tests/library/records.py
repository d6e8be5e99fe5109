"""Job records, by keyword."""

import hashlib
from datetime import UTC, datetime
from typing import Any

FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def job_id(number: int) -> str:
    """Return the id of the job with this number."""
    return f"0f8b0000-0000-4000-8000-{number:012x}"


JOB = job_id(1)


def sha256(content: bytes) -> str:
    """Return the digest of bytes, as records name blobs."""
    return hashlib.sha256(content).hexdigest()


def digest(number: int) -> str:
    """Return a digest, another for each number."""
    return f"{number:064x}"


def a_record(number: int = 1, **fields: Any) -> dict[str, Any]:
    """Return the record of a job that succeeded, unless `fields` say otherwise.

    Job `number` ended at second `number`.
    """
    return {
        "schema_version": 1,
        "job_id": job_id(number),
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        **fields,
    }


def record_of(number: int, **changes: Any) -> dict[str, Any]:
    """Return the record of one job of a chain: each reads what the one before it wrote."""
    fields = {
        "ended_at": "2026-01-01T01:00:00Z",
        "task": {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": f"f{number}.root"},
        "command": {"argv": ["art", "-c", "reco.fcl"]},
        "exit": {"code": 0},
        "configurations": [
            {"step": "art", "main": "reco.fcl", "files": [{"name": "reco.fcl", "sha256": "f" * 64}]}
        ],
        "software": [
            {"name": "x", "repository": "https://git.example.org/x.git", "requested_ref": "v1"}
        ],
        "environment": {"variables": {"SHARED": "same", "OWN": f"{number}"}},
        "host": {"hostname": f"wn{number % 3}", "site": "FNAL"},
        "inputs": [
            {
                "name": f"f{number - 1}.root",
                "size_bytes": number,
                "checksums": [f"adler32:{number:08x}"],
            }
        ],
        "outputs": [
            {
                "name": f"f{number}.root",
                "size_bytes": number + 1,
                "checksums": [f"adler32:{number + 1:08x}"],
            }
        ],
        "modules": [
            {
                "path": "p",
                "label": "slicer",
                "type": "Slicer",
                "events": 5,
                "seconds_total": number / 8,
            }
        ],
        "logs": [{"name": "out", "sha256": f"{number:064x}"}],
    }
    return a_record(number, **{**fields, **changes})


def catalogued_chain(count: int, *, run: int) -> list[dict[str, Any]]:
    """Return jobs of a chain whose outputs have what a catalog knows of its files."""
    records = []
    for number in range(1, count + 1):
        record = record_of(number)
        record["outputs"][0].update(
            data_tier="reco" if number % 2 else "raw",
            event_count=10 * number,
            file_format="artroot",
            runs=[[run, number, "physics"]],
            metadata={"DUNE.requestid": 4711},
        )
        records.append(record)
    return records


def file_entry(
    name: str, checksum: int | None = None, size: int | None = None, **more: Any
) -> dict[str, Any]:
    """Return an input or output."""
    entry: dict[str, Any] = {"name": name, **more}
    if checksum is not None:
        entry["checksums"] = [f"adler32:{checksum:08x}"]
    if size is not None:
        entry["size_bytes"] = size
    return entry


def chain(*names: str) -> list[dict[str, Any]]:
    """Return jobs that make each file from the one before; the first is made of nothing."""
    return [
        a_record(
            number,
            inputs=[file_entry(names[number - 2], number - 1)] if number > 1 else [],
            outputs=[file_entry(name, number)],
        )
        for number, name in enumerate(names, 1)
    ]
