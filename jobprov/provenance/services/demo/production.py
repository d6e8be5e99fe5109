"""Runs and records the demo production.

It runs real programs, from a real git repository, under the hook, against a running service.

Nothing is written to the database from here: every record arrives over HTTP, as from any worker
node.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from jobprov.provenance.client.transport import reason_of
from jobprov.provenance.errors import NotFoundError, ProvenanceError, UnreachableError
from jobprov.provenance.launchers.job import JobEnd, Runner
from jobprov.provenance.launchers.local.runner import LocalRunner
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.demo.jobs import (
    CAMPAIGN,
    EVENTS,
    STREAMS,
    UNITS,
    PlannedJob,
    Production,
    Stage,
)
from jobprov.provenance.services.demo.release import NAME as EXPERIMENT
from jobprov.provenance.services.demo.release import VERSION, make_release

_PACKAGES = ("awkward", "numpy", "pythia8mc", "uproot")
_SECONDS_A_CALL = 30
_SECONDS_TO_SEND_AN_ENTRY = 300


@dataclass(frozen=True)
class RecordedJob:
    """One job of the demo, as it ended.

    Attributes:
        stage, unit, job_id: which one.
        exit_code, signal: as the batch system saw it.
        outputs: names of the files that were kept; empty where it failed.
        is_retry: whether an earlier job of the same unit had failed.
    """

    stage: str
    unit: str
    job_id: str
    exit_code: int | None
    signal: int | None
    outputs: tuple[str, ...]
    is_retry: bool

    @property
    def is_success(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.exit_code == 0


@dataclass
class DemoReport:
    """What a run of the demo did.

    Attributes:
        number: counts the runs in this data folder, from 1.
        commit, version: the release that ran.
        jobs: all of them, in the order that they ended.
        unrecorded: ids of jobs that the service does not know, although they ran.
        unsent: entries in the hook's spool that did not arrive in whole.
        merged_file: the name to look up first.
        bytes_kept: size of all kept files together.
        seconds: from start to end.
    """

    number: int
    version: str
    commit: str
    merged_file: str
    jobs: list[RecordedJob] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    unsent: int = 0
    bytes_kept: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> list[RecordedJob]:
        """The jobs that failed, in the order that they ended."""
        return [job for job in self.jobs if not job.is_success]


def run_demo(
    *,
    url: str,
    token: str | None,
    data: Path,
    hook: Path,
    report: Callable[[str], None],
    register_repository: Callable[[str, str], None],
    slots: int = 2,
    events: int = EVENTS,
    units: int = UNITS,
    command: str = "jobprov",
) -> DemoReport:
    """Run the demo production and return what happened.

    Every job's record is sent to the service by the hook.

    Args:
        url: the running service.
        token: a write token of the experiment `toyexp`, or None where the service takes writes from
            this machine.
        data: the service's data folder; everything of the demo lies in its subfolder `demo`.
        hook: the built hook file.
        report: takes one line at a time for the person who watches.
        register_repository: called once with name and local path of the demo's git repository; an
            operator's act.
        slots: jobs at a time.
        events: events a generation job.
        units: files that a merge joins.
        command: what people type for `jobprov`.

    Raises:
        NotFoundError: packages of the `demo` extra, the hook file or the demo's programs are
            missing.
        SoftwareError: git is missing or refuses.
        UnreachableError: the service does not answer.
        ProvenanceError: a job that should succeed did not, so that the production cannot go on.
    """
    started = time.monotonic()
    _check_needs(hook)
    service = _Service(url, token)
    service.check()
    folder = data.resolve() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    release = make_release(folder)
    register_repository(EXPERIMENT, str(release.repository))
    report(
        f"release {release.version} of {EXPERIMENT} is at {release.repository}, commit "
        f"{release.commit[:12]}"
    )
    number, run_folder = _new_run(folder)
    with _scratch(run_folder, token) as (scratch, settings):
        settings["JOBPROV_URL"] = url
        production = Production(
            number, release, run_folder / "files", hook.resolve(), settings, events, units
        )
        result = DemoReport(
            number, release.version, release.commit, production.merged_name(STREAMS[0])
        )
        with LocalRunner(scratch, slots) as runner:
            for stage in _stages(production):
                service.declare(stage, report)
                _run_stage(stage, runner, production.storage, result, report)
        result.unsent = _send_rest(production.hook, settings)
    result.bytes_kept = sum(path.stat().st_size for path in production.storage.iterdir())
    result.unrecorded = [job.job_id for job in result.jobs if not service.knows(job.job_id)]
    result.seconds = time.monotonic() - started
    _report_end(result, url, command, run_folder / "spool", report)
    return result


def _check_needs(hook: Path) -> None:
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise NotFoundError(
            f"the demo needs packages that are not installed ({', '.join(missing)}); type: "
            "./scripts/setup demo"
        )
    if not hook.is_file():
        raise NotFoundError(
            f"the hook file {hook} is not there; build it: python scripts/build_hook.py"
        )


def _new_run(folder: Path) -> tuple[int, Path]:
    """Return number and folder of a new run; earlier ones are left alone."""
    number = 1 + max((int(path.name[4:]) for path in folder.glob("run-[0-9]*")), default=0)
    run_folder = folder / f"run-{number:04d}"
    (run_folder / "files").mkdir(parents=True)
    (run_folder / "spool").mkdir(mode=0o700)
    return number, run_folder


@contextmanager
def _scratch(run_folder: Path, token: str | None) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield a scratch folder outside of every git checkout, and the hook's settings.

    Both are gone afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="jobprov-demo-") as name:
        settings = {"JOBPROV_SPOOL": str(run_folder / "spool")}
        if token:
            token_file = Path(name) / "token"
            token_file.touch(mode=0o600)
            token_file.write_text(token, encoding="ascii")
            settings["JOBPROV_TOKEN_FILE"] = str(token_file)
        yield Path(name).resolve() / "jobs", settings


def _stages(production: Production) -> Iterator[Stage]:
    """Yield the stages one by one: each is planned when the one before has ended."""
    yield production.generation()
    yield production.reconstruction()
    yield production.merge()
    yield production.histograms()


def _run_stage(
    stage: Stage, runner: Runner, storage: Path, result: DemoReport, report: Callable[[str], None]
) -> None:
    """Run the jobs of a stage; submit the corrected job of one that fails as planned."""
    planned = {job.job.name: job for job in stage.jobs}
    retries: set[str] = set()
    for job in stage.jobs:
        runner.submit(job.job)
    for end in runner.ends():
        job = planned[end.job.name]
        result.jobs.append(_keep(stage, job, end, storage, is_retry=end.job.name in retries))
        report(_sentence(job, end))
        if not end.is_success and job.correction is not None:
            planned[job.correction.job.name] = job.correction
            retries.add(job.correction.job.name)
            runner.submit(job.correction.job)
    _check_stage(stage, result)


def _keep(
    stage: Stage, planned: PlannedJob, end: JobEnd, storage: Path, *, is_retry: bool
) -> RecordedJob:
    """Copy a good job's outputs, with their declarations, to where the next stage finds them."""
    kept = planned.outputs if end.is_success else ()
    for name in kept:
        for path in (end.folder / name, end.folder / f"{name}.json"):
            if path.is_file():
                shutil.copyfile(path, storage / path.name)
    return RecordedJob(
        stage.name, planned.unit, planned.job_id, end.exit_code, end.signal, kept, is_retry
    )


def _sentence(planned: PlannedJob, end: JobEnd) -> str:
    if end.is_success:
        outcome = f"done in {end.wall_seconds:.1f} s"
    elif end.signal is not None:
        outcome = f"killed by signal {end.signal} after {end.wall_seconds:.1f} s"
    else:
        outcome = end.problem or f"failed with exit code {end.exit_code}"
    if planned.correction:
        outcome += ", is corrected and started again"
    return f"{end.job.name}: {outcome}"


def _check_stage(stage: Stage, result: DemoReport) -> None:
    """Make sure that the next stage has its inputs; the demo's own failures do not stop it."""
    jobs = [job for job in result.jobs if job.stage == stage.name]
    done = {job.unit for job in jobs if job.is_success}
    wanted = {job.unit for job in stage.jobs if not job.is_doomed}
    if not done >= wanted:
        failed = ", ".join(job.job_id for job in jobs if job.unit in wanted - done)
        raise ProvenanceError(
            f"stage {stage.name} of the demo made {len(done)} of {len(wanted)} units, so the next "
            f"cannot start; see {failed}"
        )


def _send_rest(hook: Path, settings: dict[str, str]) -> int:
    """Send what the jobs' hooks left in the spool, as a site does by cron; return what is left.

    A hook gives up after some seconds, so that it never holds up its job; on a slow machine the
    first jobs, which have the files of their Python to send, leave some of them.
    """
    words = [sys.executable, str(hook), "flush", "--budget-seconds", str(_SECONDS_TO_SEND_AN_ENTRY)]
    subprocess.run(words, env={**os.environ, **settings}, capture_output=True, check=False)
    return sum(1 for _ in Path(settings["JOBPROV_SPOOL"], "ready").glob("*"))


def _report_end(
    result: DemoReport, url: str, command: str, spool: Path, report: Callable[[str], None]
) -> None:
    """Print what was made, and what to try next; each line can be typed or opened as it stands."""
    base = url.rstrip("/")
    retried = sum(job.is_retry for job in result.jobs)
    report(
        f"{len(result.jobs)} jobs in {result.seconds:.0f} s: {len(result.failed)} failed, "
        f"{retried} retried; {result.bytes_kept / 1e6:.1f} MB of files"
    )
    if missing := max(len(result.unrecorded), result.unsent):
        report(
            f"{counted(missing, 'record')} did not arrive in whole; send again: {command} record "
            f"--url {base} {shlex.quote(str(spool))}"
        )
    report("What to try next:")
    report(
        "  what made this merged file?       "
        f"{base}/files/{result.merged_file}?experiment={EXPERIMENT}"
    )
    for job in result.failed:
        report(f"  why did this {job.stage} job fail?".ljust(36) + f"{base}/jobs/{job.job_id}")
    [merge] = [job for job in result.jobs if result.merged_file in job.outputs]
    rerun = f"{command} rerun {merge.job_id} --into again --url {base}"
    report(f"  make the merged file again:       {rerun}")


class _Service:
    """The calls to the service that the hook does not make."""

    def __init__(self, url: str, token: str | None) -> None:
        self._base = f"{url.rstrip('/')}/api/v1"
        self._session = requests.Session()
        # Neither proxies nor .netrc come between this machine and itself
        self._session.trust_env = False
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def check(self) -> None:
        """Raise UnreachableError unless the service answers."""
        status = self._call("GET", "/health").status_code
        if status >= requests.codes.bad_request:
            raise UnreachableError(
                f"{self._base}/health answers {status}; is jobprov serving there?"
            )

    def declare(self, stage: Stage, report: Callable[[str], None]) -> None:
        """Declare a task with its units; report it if the service refuses, as the jobs run on."""
        body = {
            "experiment": EXPERIMENT,
            "campaign": CAMPAIGN,
            "stage": stage.name,
            "units": [job.unit for job in stage.jobs],
            "outputs_per_unit": len(stage.jobs[0].outputs),
            "dependencies": list(stage.after),
            "software": [{"name": EXPERIMENT, "requested_ref": VERSION}],
        }
        status = self._call("PUT", f"/tasks/{stage.task_id}", body).status_code
        if status >= requests.codes.bad_request:
            report(f"task {stage.task_id} was not declared: the service answered {status}")

    def knows(self, job_id: str) -> bool:
        """Return whether the record of a job has arrived; only the status 404 denies it."""
        status = self._call("GET", f"/jobs/{job_id}?experiment={EXPERIMENT}").status_code
        return bool(status != requests.codes.not_found)

    def _call(self, method: str, path: str, body: Any = None) -> requests.Response:
        try:
            return self._session.request(
                method, self._base + path, json=body, timeout=_SECONDS_A_CALL
            )
        except requests.RequestException as error:
            raise UnreachableError(
                f"No jobprov answers at {self._base}: {reason_of(error)}. Start it: jobprov serve"
            ) from error
