"""The story that the tests of the grid read.

A service, a pool, real jobs that die in every way, and the witness.
"""

import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from jobprov.provenance.records.identity import JOB_NAMESPACE
from tests.library.grid import deaths
from tests.library.grid.scene import HOOK, Scene

PAIRS = [(death, way) for death in deaths.DEATHS for way in deaths.WAYS]


class Story(Scene):
    """What is told: `jobs` is what the service says of each job, by (death, way).

    Attributes:
        attempts: the last attempt of each job: a scheduler may begin a job again, by `cluster.0`.
        over: how many attempts there were when all jobs were over.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "toy", self._configuration)
        self.ids: dict[tuple[str, str], str] = {}
        self.jobs: dict[tuple[str, str], dict[str, Any]] = {}
        self.attempts: dict[str, int] = {}
        self.over = 0

    @staticmethod
    def _configuration(folder: Path) -> str:
        return deaths.recipe("pool-config").replace("/opt/jobprov", str(folder / "etc"))

    def tell(self) -> None:
        """Submit all jobs, let each die in its way, let the witness look, and read the answers.

        The answers are what the service says.
        """
        self._lay_out()
        with ThreadPoolExecutor(4) as threads:
            found = threads.map(
                lambda pair: deaths.submit(self.pool, self.service.url, *pair), PAIRS
            )
            self.ids = dict(zip(PAIRS, found, strict=True))
        nowhere = "http://127.0.0.1:9 --budget-seconds 5"  # where no service is
        self.ids["ok", "unsent"] = deaths.submit(self.pool, nowhere, "ok", "unsent")
        self.ids["late", "tail"] = deaths.submit(self.pool, self.service.url, "late", "tail")
        for death in deaths.DEATHS:
            if deaths.DEATHS[death].waits:
                self._let_die(death)
        self._let_die_late(("late", "tail"))
        jobs = set(self.ids.values())
        self.pool.wait_for("every job is over", lambda: jobs <= self.pool.settled(), 300)
        self.attempts = self.pool.attempts()
        self.over = self.pool.epochs()
        self.first = self.witness_by_cron()
        self.second = self.witness()
        self.third = self.witness()
        self.jobs = {pair: self.read(self.job_id(pair)) for pair in PAIRS}

    def _lay_out(self) -> None:
        for name in ("jobs", "etc"):
            self.pool.put(f"{name}/{HOOK}", self.hook.read_bytes(), 0o755)
        self.pool.put("jobs/runreco.py", deaths.PAYLOAD, 0o755)
        self.pool.put("etc/job-exit", self._placed(deaths.recipe("job-exit", "sh")), 0o755)

    def _placed(self, recipe: str) -> str:
        """Return a recipe with the places of this story."""
        placed = recipe.replace("https://jobprov.example.org", self.service.url)
        return placed.replace("/opt/jobprov", str(self.pool.folder / "etc"))

    def _let_die(self, death: str) -> None:
        processes = [deaths.job_process(self.pool, f"{death}-{way}") for way in deaths.WAYS]
        if death == "starter":
            for process in processes:
                self.pool.kill_starter(process)
        else:
            deaths.kill(self.pool, death, [self.ids[death, way] for way in deaths.WAYS])

    def _let_die_late(self, pair: tuple[str, str]) -> None:
        """Let a job die with its hook once the hook has sent what it printed until then."""

        def is_sent() -> bool:
            self.attempts = self.pool.attempts()
            return self.attempts[self.ids[pair]] > 0 and "works on 5\n" in self.log(pair, "stdout")

        self.pool.wait_for("the hook sends what the job prints", is_sent, 180)
        self.pool.put(f"marks/{'-'.join(pair)}.sent", "")

    def witness_by_cron(self) -> str:
        """Let the witness look as the document's cron line does; return what it says."""
        line = self._placed(deaths.recipe("witness-cron", "sh")).replace(
            "/var/lib/jobprov/witness.db", str(self.state)
        )
        done = subprocess.run(
            ["sh", "-c", line],
            env={**self.service.environment, **self.condor},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def flush_what_came_home(self) -> str:
        """Send what came home with the jobs' output, as the submit node's cron does.

        Return what the hook says.
        """
        hook, folder = self.folder / HOOK, self.pool.folder / "jobs"
        words = [sys.executable, str(hook), "flush", str(folder), "--url", self.service.url]
        return subprocess.run(words, capture_output=True, text=True, check=False).stderr

    def job_id(self, pair: tuple[str, str]) -> str:
        """Return the job id of the last attempt, made from what the event log says of the job."""
        log = (self.pool.folder / "jobs" / f"{'-'.join(pair)}.log").read_text()
        identity = log.split('GlobalJobId = "')[1].split('"')[0]
        attempt = self.attempts[self.ids[pair]]
        return str(uuid.uuid5(JOB_NAMESPACE, f"{identity}|{attempt}|0"))

    def read(self, job_id: str) -> dict[str, Any]:
        """Return what the service says of a job."""
        job: dict[str, Any] = self.ask(f"/jobs/{job_id}")
        return job

    def log(self, pair: tuple[str, str], name: str) -> str:
        """Return a log of a job, as the service kept it."""
        answer = requests.get(
            f"{self.service.url}/api/v1/jobs/{self.job_id(pair)}/logs/{name}", timeout=30
        )
        return answer.text if answer.status_code == requests.codes.ok else ""
