"""Proves recipes in the idle time of an agent, one after the other.

It reaches the service over HTTP alone: it asks which recipe is next, fetches the bundle, reruns it
here, and posts the verdict. When an order comes, the rerun is ended and not reported.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobprov.provenance.answers.reruns.proofs import JobToProve
from jobprov.provenance.client import Client
from jobprov.provenance.errors import NotFoundError, ProvenanceError
from jobprov.provenance.records.proofs import STATES, UNPROVEN, proof_of
from jobprov.provenance.services.reruns.isolation import Isolation, check_offline
from jobprov.provenance.services.reruns.proof_budgets import ProofBudget
from jobprov.provenance.services.reruns.trial import (
    PackedJob,
    Workplace,
    locked,
    try_job,
    verdict_of,
)

_WINDOW_SECONDS = 3600.0
_AT_ONCE = 20
_NOTHING_SECONDS = 300.0
"""After so long it is asked again which recipe is next, where none was."""


@dataclass
class IdleProver:
    """Proves recipes of an experiment in a thread of its own, which `look` starts and ends.

    Attributes:
        client: of the service; no other thread uses it.
        folder: for the reruns.
        budget: `jobs`, `seconds` and `cpu_seconds` of it are for an hour.
        report: is called with a line for each rerun.
    """

    client: Client
    experiment: str
    folder: Path
    budget: ProofBudget
    isolation: Isolation
    report: Callable[[str], None]
    _gives_way: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _window_at: float = float("-inf")
    _nothing_until: float = float("-inf")
    _jobs: int = 0
    _seconds: float = 0.0
    _cpu_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Check that reruns have no network.

        Raises:
            BundleError: they have one.
        """
        check_offline(self.isolation)

    def look(self, *, is_idle: bool) -> None:
        """Prove recipes while there is nothing else to do; end a rerun when there is."""
        if not is_idle:
            self.stop()
        elif self._is_due() and (self._thread is None or not self._thread.is_alive()):
            self._gives_way.clear()
            self._thread = threading.Thread(target=self.prove, name="proofs", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End a rerun that is going on, and wait until it is over."""
        self._gives_way.set()
        if self._thread is not None:
            self._thread.join()

    def prove(self) -> None:
        """Prove recipes until the budget is used up, no recipe is left, or other work is due."""
        try:
            with locked(self.folder) as is_mine:
                if is_mine:
                    self._prove_all()
        except (ProvenanceError, OSError) as problem:
            self._nothing_until = time.monotonic() + _NOTHING_SECONDS
            self.report(f"proofs: {problem}")

    def _prove_all(self) -> None:
        jobs = self.client.next_to_prove(self.experiment, limit=_AT_ONCE)
        if not jobs:
            self._nothing_until = time.monotonic() + _NOTHING_SECONDS
        for job in jobs:
            if self._gives_way.is_set() or not self._is_due():
                return
            self._prove_one(job)

    def _prove_one(self, job: JobToProve) -> None:
        """Rerun one job and send its verdict, unless the rerun had to give way."""
        isolation = self.isolation._replace(gives_way=self._gives_way)
        place = Workplace(
            self.folder, isolation, self.budget.of_rerun(), "prove", self.budget.input_dirs
        )
        trial = try_job(place, lambda: self._fetch(job))
        self._jobs += 1
        self._seconds += trial.seconds
        self._cpu_seconds += trial.cpu_seconds
        if self._gives_way.is_set():
            return
        verdict = verdict_of(trial, place.by).document()
        self.client.post_verdict(job.job_id, verdict, experiment=job.experiment)
        proof = proof_of(verdict)
        state = STATES[UNPROVEN if proof is None else proof.state]
        message = f": {proof.message}" if proof is not None and proof.message else ""
        self.report(f"proof of job {job.job_id}: {state}{message}")

    def _fetch(self, job: JobToProve) -> PackedJob:
        """Return the bundle of a job, fetched."""
        fetched = self.folder / "fetched.tar"
        fetched.unlink(missing_ok=True)
        etag = self.client.save_bundle(job.job_id, fetched, experiment=job.experiment)

        def save(tar: Path) -> None:
            fetched.replace(tar)

        def keep(sha256: str, file: Path) -> bool:
            try:
                file.write_bytes(self.client.get_blob(sha256))
            except NotFoundError:
                return False
            return True

        return PackedJob(etag, fetched.stat().st_size, save, keep)

    def _is_due(self) -> bool:
        """Return whether the budget of this hour allows one more rerun."""
        now = time.monotonic()
        if now - self._window_at > _WINDOW_SECONDS:
            self._window_at = now
            self._jobs, self._seconds, self._cpu_seconds = 0, 0.0, 0.0
        return (
            now >= self._nothing_until
            and self._jobs < self.budget.jobs
            and self._seconds < self.budget.seconds
            and self._cpu_seconds < self.budget.cpu_seconds
        )
