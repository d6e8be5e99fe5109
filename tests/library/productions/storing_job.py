"""The toy job as a script that fetches its input from a storage, and stores its output there."""

import hashlib

from tests.library.productions.toy_job import Toy

RAW = b"1 2 3\n"
DOOR = "root://door.example.org:1094//pnfs"


def let_job_run(toy: Toy, script: str, *, location: str = f"{DOOR}/raw.dat") -> None:
    """Make the toy's job a script that has one input, from a storage, and stores `made.dat`."""
    toy.files = []
    toy.record["configurations"] = toy.record["software"] = []
    text = b"#!/bin/sh\nset -e\n" + script.encode()
    toy.record["scripts"] = [
        {"name": "job.sh", "path": "job.sh", "sha256": toy.blobs.write(text), "mode": "0755"}
    ]
    step = {"name": "job", "role": "payload", "argv": ["./job.sh"], "exit_code": 0}
    toy.record["command"] |= {"argv": ["./job.sh"], "steps": [step]}
    toy.record["inputs"] = [input_from(toy, "raw.dat", location)]
    made = RAW * 2
    toy.record["outputs"] = [
        {
            "name": "made.dat",
            "path": "made.dat",
            "location": f"{DOOR}/out/made.dat",
            "status": "written",
            "sha256": hashlib.sha256(made).hexdigest(),
            "size_bytes": len(made),
        }
    ]


def input_from(toy: Toy, name: str, location: str, content: bytes = RAW) -> dict[str, object]:
    return {
        "name": name,
        "path": name,
        "location": location,
        "sha256": toy.blobs.write(content),
        "size_bytes": len(content),
        "role": "primary",
    }
