"""Runs jobs on this machine, K at a time.

Each runs in a folder of its own, with exactly the environment it was given.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Self

from jobprov.provenance.errors import BadInputError, ConflictError
from jobprov.provenance.launchers.job import BatchJob, JobEnd

# The soft limit gives SIGXCPU, which a job may handle; the hard one, a little later, SIGKILL. A
# shell sets them, because code between fork and exec is unsafe in a process with threads. No core
# files: they would fill the folder.
_LIMITED = 'ulimit -S -c 0; ulimit -S -t "$0" && ulimit -H -t "$(($0 + 5))" && exec "$@"'
_UNLIMITED = 'ulimit -S -c 0; exec "$@"'

_GRACE_SECONDS = 5.0


class LocalRunner:
    """Runs at most `slots` jobs at once under `folder`.

    A context manager: leaving it stops what still runs.
    """

    def __init__(self, folder: Path, slots: int = 1) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="slot")
        self._lock = threading.Lock()
        self._pending: dict[Future[JobEnd], str] = {}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._names: set[str] = set()
        self._is_cancelled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.cancel()

    def submit(self, job: BatchJob) -> str:
        """Queue a job and return its id, which is its name.

        Raises:
            BadInputError: the name is no plain file name, or there is no program to run.
            ConflictError: a job of this name was submitted before, or its scratch folder exists.
        """
        if not job.argv or job.name in {"", ".", ".."} or "/" in job.name or "\0" in job.name:
            raise BadInputError(
                f"job {job.name!r} cannot be run here: it needs a plain name and a program"
            )
        if job.name in self._names or (self._folder / job.name).exists():
            raise ConflictError(
                f"job {job.name!r} was submitted before: give another attempt another name"
            )
        self._names.add(job.name)
        self._pending[self._pool.submit(self._run, job)] = job.name
        return job.name

    def ends(self) -> Iterator[JobEnd]:
        """Yield the end of each submitted job that was not reported yet, as they end.

        Stop when none is left.

        Jobs submitted meanwhile are waited for too.
        """
        while self._pending:
            done = next(as_completed(self._pending))
            del self._pending[done]
            yield done.result()

    def cancel(self) -> None:
        """Drop what is queued, stop what runs, and return when all is gone.

        The runner takes no more jobs.
        """
        with self._lock:
            self._is_cancelled = True
            for process in self._running:
                _signal(process, signal.SIGTERM)
        self._kill_leftovers()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()

    def _kill_leftovers(self) -> None:
        end = time.monotonic() + _GRACE_SECONDS
        while self._running and time.monotonic() < end:
            time.sleep(0.02)
        with self._lock:
            for process in self._running:
                _signal(process, signal.SIGKILL)

    def _run(self, job: BatchJob) -> JobEnd:
        """Run one job in its folder; return how it ended, or why it could not start."""
        folder = self._folder / job.name
        stdout, stderr = folder.with_name(f"{job.name}.out"), folder.with_name(f"{job.name}.err")
        started = time.monotonic()
        try:
            _fill(folder, job)
            code = self._execute(job, folder, stdout, stderr)
        except OSError as error:
            return JobEnd(
                job,
                folder,
                stdout,
                stderr,
                None,
                None,
                time.monotonic() - started,
                problem=str(error),
            )
        wall = time.monotonic() - started
        exit_code, number = (code, None) if code >= 0 else (None, -code)
        return JobEnd(job, folder, stdout, stderr, exit_code, number, wall)

    def _execute(self, job: BatchJob, folder: Path, stdout: Path, stderr: Path) -> int:
        """Run the job to its end and return its exit code.

        The code is the negative number of the signal where one ended the job.
        """
        with stdout.open("wb") as out, stderr.open("wb") as err:
            with self._lock:
                if self._is_cancelled:
                    raise InterruptedError(f"job {job.name} was cancelled before it started")
                process = subprocess.Popen(
                    _limited(job),
                    cwd=folder,
                    env=dict(job.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
                self._running.add(process)
            try:
                return process.wait(timeout=job.wall_limit_seconds)
            except subprocess.TimeoutExpired:
                return _stop(process)
            finally:
                with self._lock:
                    self._running.discard(process)


def _fill(folder: Path, job: BatchJob) -> None:
    folder.mkdir(parents=True)
    for source in job.inputs:
        shutil.copyfile(source, folder / source.name)
    for name, text in job.contents.items():
        (folder / name).write_text(text, encoding="utf-8")


def _limited(job: BatchJob) -> list[str]:
    if job.cpu_limit_seconds is None:
        return ["/bin/sh", "-c", _UNLIMITED, "sh", *job.argv]
    return ["/bin/sh", "-c", _LIMITED, str(job.cpu_limit_seconds), *job.argv]


def _stop(process: subprocess.Popen[bytes]) -> int:
    """Ask the job to end, as batch systems do, so that it can still report what it was doing.

    Kill it after a while.
    """
    _signal(process, signal.SIGTERM)
    try:
        return process.wait(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        return process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to all that the job started in its own process group.

    Nothing where it is gone already.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
