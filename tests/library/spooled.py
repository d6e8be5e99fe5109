"""A record with large blobs in the hook's spool, and what of it the service has afterwards."""

import hashlib
import os
import uuid

import requests

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.sending import spool as spools
from jobprov.provenance.records.reading.references import referenced_blobs
from tests.library.hook import Runner
from tests.library.servers.live_service import LiveService


def spool_of(runner: Runner, sizes: list[int]) -> str:
    """Keep a record with scripts of random bytes, of these sizes; return the job's id."""
    assert spools.find(Options(["--spool", str(runner.spool)], {}), {}) is not None
    draft = Draft({"schema_version": 1, "job_id": str(uuid.uuid4()), "witness": "wrapper"})
    draft.record.update({"state": "killed", "experiment": "toy", "scripts": []})
    for number, size in enumerate(sizes):
        digest = draft.add_bytes(os.urandom(size))
        draft.record["scripts"].append({"name": f"script{number}.sh", "sha256": digest})
    spools.keep(str(runner.spool), draft, {"url": None})
    return str(draft.record["job_id"])


def held(live: LiveService, job_id: str) -> dict:
    answer = requests.get(f"{live.url}/api/v1/jobs/{job_id}", timeout=30)
    answer.raise_for_status()
    return answer.json()


def assert_all_blobs_are_there(live: LiveService, job_id: str) -> int:
    """Fetch every blob of a job, and return how many they are."""
    job = held(live, job_id)
    digests = referenced_blobs(job["record"])
    assert job["missing_blobs"] == []
    for digest in digests:
        blob = requests.get(f"{live.url}/api/v1/blobs/{digest}", timeout=30)
        assert hashlib.sha256(blob.content).hexdigest() == digest
    return len(digests)
