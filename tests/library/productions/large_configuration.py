"""A job with a configuration of 30,000 parameters, and one that is no configuration.

The first ran with another value than was sent.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobprov.app.wiring import Service
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.work.queue import Parts, drain

JOB = "00000000-0000-0000-0000-0000000000aa"
PAGE = f"/jobs/{JOB}/configurations"
MODULES = 1500
LIBRARY = "BEGIN_PROLOG\n" + "".join(
    f"module{n}: {{\n"
    + "".join(f"  parameter{p}: {n * p}\n" for p in range(18))
    + "  fit: { steps: [ 1, 2 ] }\n}\n"
    for n in range(MODULES)
) + "END_PROLOG\n"  # fmt: skip
MAIN = (
    '#include "library.fcl"\nprocess_name: Reco # of the experiment\nphysics: { producers: {\n'
    + "".join(f"  m{n}: @local::module{n}\n" for n in range(MODULES))
    + '} }\nphysics.producers.m7.parameter3: 22\nsource.fileNames: [ "<a>.root" ]\n'
)
RAN = 'process_name: "Reco" physics: { producers: { m7: { parameter3: 23 module_label: "m7" } } }\n'


def fill(service: Service, folder: Path) -> None:
    """Record the job and evaluate its configurations; `folder` is for the background work."""
    main, library = _file(service, "reco.fcl", MAIN), _file(service, "library.fcl", LIBRARY)
    good = {"step": "reco", "main": "reco.fcl", "search_path": ["job", "/cvmfs/toyexp/fcl"]}
    good["files"] = [
        main,
        {**library, "path": "/cvmfs/toyexp/fcl/library.fcl", "found_in": 1, "software": "toy"},
    ]
    good["final_sha256"] = _file(service, "", RAN)["sha256"]
    bad = {
        "step": "bad",
        "main": "bad.fcl",
        "files": [_file(service, "bad.fcl", "a: 1\nb: [ 1, 2\nc: 3\n")],
    }
    record = {
        "schema_version": 1,
        "job_id": JOB,
        "experiment": "toyexp",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "software": [{"name": "toy", "revision": "3fa1c2d97be0417c0d2a3c1b5c8d1e2f4a6b7c8d"}],
        "configurations": [good, bad],
    }
    service.record(
        Submission(decode_record(json.dumps(record).encode()), datetime.now(UTC), "test")
    )
    drain(Parts(service.database, service.writer, service.store, folder / "git"), HANDLERS)


def _file(service: Service, name: str, text: str) -> dict[str, Any]:
    sha256 = str(service.store.put(text.encode()).sha256)
    service.write(lambda writing: grant_possession(writing, [Upload("toyexp", sha256)]))
    return {"name": name, "sha256": sha256}
