"""A small recorded production that can be run again.

Real git, real blobs, records with fixed bytes, whatever the database.

Two jobs of one release: one that joined its fcl and its input, one that failed with exit code 3.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.git import git
from tests.library.production import opened_parts

EXPERIMENT = "toyexp"
GOOD = "0f8b6a4e-3c51-5a0e-9c3f-000000000001"
BAD = "0f8b6a4e-3c51-5a0e-9c3f-000000000002"
WORK = "/scratch/sample"
CHECKOUT = "/cvmfs/toy.example.org/joining"
PROGRAM = b"""#!/bin/sh
set -e
IFS=:
for folder in $FHICL_FILE_PATH; do
  [ -f "$folder/$1" ] && cat "$folder/$1" > joined.txt && break
done
[ "$3" = good ] || exit 3
cat "$2" >> joined.txt
"""
FCL = b'#include "words.fcl"\nprocess_name: Join\nphysics.producers.join: @local::words\n'
WORDS = b"BEGIN_PROLOG\nwords: { first: 1 }\nEND_PROLOG\n"
INPUT = b"1 2 3\n"


def joining_repository(folder: Path) -> Path:
    """Return a git repository with the program, its fcl, a link and a name that no bundle can hold.

    The same commit everywhere.
    """
    files = {
        "bin/join": PROGRAM,
        "fcl/join.fcl": FCL,
        "fcl/words.fcl": WORDS,
        "LICENSE": b"do as you like\n",
        "a file": b"odd\n",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "bin/join").chmod(0o755)
    (folder / "latest.fcl").symlink_to("fcl/join.fcl")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=Join words")
    git(folder, "tag", "--annotate", "--message=first", "v1")
    return folder


def record_body(job_id: str, commit: str, repository: Path) -> bytes:
    """Return the bytes of a job's record.

    Its checkout lay on the worker node, the repository is here.
    """
    state, word, exit_code = "failed", "bad", 3
    outputs = []
    if job_id == GOOD:
        state, word, exit_code = "succeeded", "good", 0
        joined = FCL + INPUT
        outputs = [
            {
                "name": "joined.txt",
                "path": "joined.txt",
                "status": "written",
                "sha256": _digest(joined),
                "size_bytes": len(joined),
            }
        ]
    fcl = {
        "step": "join",
        "main": "join.fcl",
        "search_path": [f"{CHECKOUT}/fcl"],
        "files": [_fcl_file("join.fcl", FCL), _fcl_file("words.fcl", WORDS)],
    }
    record = {
        "schema_version": 1,
        "job_id": job_id,
        "experiment": EXPERIMENT,
        "state": state,
        "started_at": "2026-03-01T10:00:00Z",
        "ended_at": "2026-03-01T10:00:05Z",
        "task": {"stage": "join", "task_id": "toyexp-join-0001"},
        "command": {
            "working_directory": WORK,
            "argv": [f"{CHECKOUT}/bin/join", "join.fcl", f"{WORK}/numbers.txt", word],
        },
        "exit": {"code": exit_code},
        "configurations": [fcl],
        "software": [
            {
                "name": "joining",
                "repository": str(repository),
                "revision": commit,
                "requested_ref": "v1",
                "checkout": CHECKOUT,
            }
        ],
        "environment": {
            "variables": {"PATH": "/usr/bin:/bin", "FHICL_FILE_PATH": f"{CHECKOUT}/fcl"},
            "umask": "0022",
        },
        "inputs": [
            {
                "name": "numbers.txt",
                "path": "numbers.txt",
                "sha256": _digest(INPUT),
                "size_bytes": len(INPUT),
            }
        ],
        "outputs": outputs,
    }
    return json.dumps(record).encode()


def _fcl_file(name: str, data: bytes) -> dict[str, object]:
    return {
        "name": name,
        "path": f"{CHECKOUT}/fcl/{name}",
        "sha256": _digest(data),
        "found_in": 0,
        "software": "joining",
    }


@contextmanager
def sample_parts(
    database: Database, folder: Path, archive: str = "memory:", checkout: Path | None = None
) -> Iterator[Parts]:
    """Yield what background work needs, on a service that holds both jobs of the sample."""
    with opened_parts(database, folder, archive) as parts:
        record_sample(parts, parts.store, checkout or joining_repository(folder / "joining"))
        yield parts


def record_sample(parts: Parts, store: Store, checkout: Path) -> None:
    """Record both jobs of this checkout, upload their blobs, and resolve their code.

    The repository is registered before that.
    """
    commit = git(checkout, "rev-parse", "HEAD")
    received_at = datetime(2026, 3, 2, tzinfo=UTC)
    submissions = []
    for job_id in (GOOD, BAD):
        record = decode_record(record_body(job_id, commit, checkout))
        submissions.append(Submission(record, received_at, "tester", None))
    uploads = [Upload(EXPERIMENT, store.put(data).sha256) for data in (FCL, WORDS, INPUT)]
    parts.writer.run(lambda writing: record_jobs(writing, submissions))
    parts.writer.run(lambda writing: grant_possession(writing, uploads))
    parts.writer.run(lambda writing: register_repository(writing, "joining", str(checkout)))
    assert drain(parts, HANDLERS) > 0


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
