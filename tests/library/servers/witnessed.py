"""A service that remembers what a witness told it, and the ads of jobs to tell of."""

import json
import os
import pwd
from collections.abc import Sequence
from typing import Any

from jobprov.provenance.answers.recording import BatchResult
from jobprov.provenance.db.witness_state import WitnessState
from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.launchers.condor.attempts import Collection
from jobprov.provenance.services.agents.witness import Report, WitnessRun, witness_batch

ME = pwd.getpwuid(os.getuid()).pw_name
NOW = 1_800_000_000


class Service:
    """Stands for the client of a service: takes records and blobs as a service does."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.calls: list[int] = []
        self.forbidden: set[str] = set()
        self.unusable: set[str] = set()
        self.fails_after: int | None = None
        self.finds_secrets = False

    def missing_blobs(self, digests: Sequence[str]) -> list[str]:
        return [digest for digest in digests if digest not in self.blobs]

    def put_blob(self, sha256: str, data: bytes) -> None:
        if self.finds_secrets:
            raise BadInputError("secret-found")
        self.blobs[sha256] = data

    def record_batch(self, bodies: Sequence[bytes]) -> list[BatchResult]:
        if self.fails_after is not None and len(self.calls) >= self.fails_after:
            raise UnreachableError("nobody answers")
        self.calls.append(len(bodies))
        return [self._take(json.loads(body), body) for body in bodies]

    def _take(self, record: dict[str, Any], body: bytes) -> BatchResult:
        return BatchResult(record["job_id"], self._status(record, body))

    def _status(self, record: dict[str, Any], body: bytes) -> int:
        if record["experiment"] in self.forbidden:
            return 403
        if record["experiment"] in self.unusable:
            return 422
        held = self.records.setdefault(record["job_id"], body)
        return 201 if held is body else 200 if held == body else 409


def attempt(number: int, *, ended: int = NOW - 1000, **more: Any) -> dict[str, Any]:
    ended_by = {"HowCode": 0, "When": ended, "ExitBySignal": False, "ExitCode": 0}
    ad = {
        "GlobalJobId": f"s#{number}.0#1",
        "NumShadowStarts": 1,
        "ClusterId": number,
        "ProcId": 0,
        "Owner": ME,
        "ToE": ended_by,
    }
    return {**ad, "JobCurrentStartDate": ended - 10, "Jobsub_Group": "nova", **more}


def tell(service: Any, state: WitnessState, ads: list[dict[str, Any]], **more: Any) -> Report:
    collection = Collection()
    collection.add(ads, "epochs")
    return witness_batch(service, collection, state, WitnessRun(NOW, **more))
