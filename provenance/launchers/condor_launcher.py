"""Launches jobs through HTCondor's own tools, from the account that this runs under.

The engine is HTCondor's.

Each job's ad carries its name (`JobprovJob`), so that whoever asks the queue and the history finds
it: nothing that was submitted is submitted again, even where the submitter was killed before it
could note the id. condor_submit queues all jobs of a call or none.

Source: HTCondor manual, condor_submit, condor_q, condor_history (`-since`), "Job ClassAd
Attributes".
"""

import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.launchers.condor_ads import Ad
from jobprov.provenance.launchers.condor_attempts import COMPLETED, HELD, REMOVED
from jobprov.provenance.launchers.condor_tools import ads_of, last_line
from jobprov.provenance.launchers.job import BatchJob, LaunchEnd
from jobprov.provenance.launchers.job_folder import SCRIPT, make_folder

_NAMED = "JobprovJob =!= undefined"
_WANTED = "JobprovJob,ClusterId,ProcId,GlobalJobId,JobStatus,ExitCode,ExitBySignal,ExitSignal,HoldReason,RemoveReason,LastHoldReason,Iwd"
_SHORT_HELD_SECONDS = 5
_MIB = 1 << 20
_TOLD = frozenset(
    f"JOBPROV_{word}" for word in ("EXPERIMENT", "TASK_ID", "CAMPAIGN", "STAGE", "UNIT", "RETRY_OF")
)
"""Variables that are put into the ad too, where exit hooks and the batch history find them."""


class CondorLauncher:
    """Submits jobs to a schedd, each in a folder of its own below `folder`, which its new files come home to.

    Args:
        folder: of the account that submits.
        schedd: its name, where it is not this machine's own.
        since: seconds since 1970; what was submitted before is not looked for in the batch history.
        lines: more lines for every submit file, such as an accounting group.
    """

    def __init__(
        self,
        folder: Path,
        *,
        schedd: str | None = None,
        since: float = 0.0,
        lines: Sequence[str] = (),
    ) -> None:
        self._folder = folder.resolve()
        self._place = ["-name", schedd] if schedd else []
        self._since = int(since)
        self._lines = list(lines)

    def submit(self, jobs: Sequence[BatchJob]) -> dict[str, str]:
        """Submit jobs in one call of condor_submit; return each one's `cluster.process@schedd`.

        Raises:
            BadInputError: a job that cannot be run here.
            UnreachableError: condor_submit is not there, or refuses; with what it said.
        """
        if not jobs:
            return {}
        folders = [make_folder(self._folder, job) for job in jobs]
        file = self._folder / f"{jobs[0].name}.sub"
        file.write_text(describe(jobs, folders, self._lines), encoding="utf-8")
        words = ["condor_submit", "-terse", *self._place, str(file)]
        try:
            done = subprocess.run(
                words,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise UnreachableError(
                "condor_submit is not on the PATH: run this on a submit node."
            ) from None
        if done.returncode != 0:
            raise UnreachableError(
                f"condor_submit refuses {file}: {last_line(done.stderr or done.stdout)}."
            )
        ids = self.find([job.name for job in jobs])
        if len(ids) < len(jobs):
            raise UnreachableError(
                f"condor_submit took {file}, but condor_q does not show its jobs yet; they are there."
            )
        return ids

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return `cluster.process@schedd` of those of the jobs that the queue or the history has.

        Raises:
            UnreachableError: HTCondor does not answer.
        """
        return {name: _batch_id(ad) for name, ad in self._ads(names)}

    def ended(self, names: Collection[str]) -> list[LaunchEnd]:
        """Return how those of the jobs ended that are over.

        One that is held is over, for it does not go on by itself.

        Raises:
            UnreachableError: HTCondor does not answer.
        """
        ads = dict(self._ads(names))
        over = [
            self._end(name, ad)
            for name, ad in ads.items()
            if ad.get("JobStatus") in (REMOVED, COMPLETED, HELD)
        ]
        gone = [
            LaunchEnd(name, self._folder / name, problem="lost: HTCondor knows nothing of it")
            for name in names
        ]
        return over + [end for end in gone if end.name not in ads]

    def remove(self, names: Collection[str]) -> None:
        """Take those of the jobs out of the queue.

        Raises:
            UnreachableError: condor_rm is not there.
        """
        wanted = set(names)
        ids = [
            f"{ad['ClusterId']}.{ad['ProcId']}"
            for ad in self._queue()
            if ad.get("JobprovJob") in wanted
        ]
        if ids:
            try:
                subprocess.run(["condor_rm", *self._place, *ids], capture_output=True, check=False)
            except FileNotFoundError:
                raise UnreachableError(
                    "condor_rm is not on the PATH: run this on a submit node."
                ) from None

    def _ads(self, names: Collection[str]) -> Iterator[tuple[str, Ad]]:
        """Yield the ad of each of the jobs that HTCondor knows.

        Of the queue, else of the history.
        """
        wanted = set(names)
        # A job that leaves the queue between the two questions is in the history: it is asked
        # second.
        for ads in (self._queue, self._history):
            if not wanted:
                return
            for ad in ads():
                if ad.get("JobprovJob") in wanted:
                    wanted.discard(ad["JobprovJob"])
                    yield ad["JobprovJob"], ad

    def _queue(self) -> Iterator[Ad]:
        return ads_of(
            ["condor_q", *self._place, "-json", "-constraint", _NAMED, "-attributes", _WANTED]
        )

    def _history(self) -> Iterator[Ad]:
        since = ["-since", f"EnteredCurrentStatus < {self._since}"] if self._since else []
        return ads_of(
            [
                "condor_history",
                *self._place,
                "-json",
                *since,
                "-constraint",
                _NAMED,
                "-attributes",
                _WANTED,
            ]
        )

    def _end(self, name: str, ad: Ad) -> LaunchEnd:
        folder = Path(str(ad.get("Iwd") or self._folder / name))
        if ad.get("JobStatus") == COMPLETED:
            number = ad.get("ExitSignal") if ad.get("ExitBySignal") is True else None
            code = ad.get("ExitCode") if number is None else None
            return LaunchEnd(name, folder, code, number)
        if ad.get("JobStatus") == HELD:
            return LaunchEnd(
                name, folder, problem=f"held: {ad.get('HoldReason') or 'no reason given'}"
            )
        reason = ad.get("LastHoldReason") or ad.get("RemoveReason") or "no reason given"
        return LaunchEnd(name, folder, problem=f"removed: {reason}")


def describe(jobs: Sequence[BatchJob], folders: Sequence[Path], lines: Sequence[str] = ()) -> str:
    """Return a submit description of jobs whose folders are filled, one cluster.

    `condor_submit` takes it.

    A job that goes on hold leaves the queue after a few seconds: whether it is tried again, and
    how, is decided elsewhere.

    Raises:
        BadInputError: a value that a submit file cannot hold.
    """
    common = [
        "universe = vanilla",
        "executable = /bin/sh",
        "transfer_executable = False",
        f"arguments = {SCRIPT}",
        "should_transfer_files = YES",
        "when_to_transfer_output = ON_EXIT",
        "output = job.out",
        "error = job.err",
        "log = job.log",
        "job_ad_information_attrs = GlobalJobId, NumShadowStarts",
        f"periodic_remove = JobStatus == 5 && (time() - EnteredCurrentStatus) > {_SHORT_HELD_SECONDS}",
        *lines,
    ]
    parts = [_describe_one(job, folder) for job, folder in zip(jobs, folders, strict=True)]
    return "\n".join([*common, *(line for part in parts for line in part), ""])


def _describe_one(job: BatchJob, folder: Path) -> list[str]:
    told = {name: value for name, value in job.environment.items() if name in _TOLD}
    variables = " ".join(f"{name}={quoted(value)}" for name, value in sorted(told.items()))
    files = [SCRIPT, *(path.name for path in job.inputs), *job.contents]
    sites = [f'(GLIDEIN_Site =!= "{checked(site)}")' for site in job.avoided_sites]
    memory = (
        f"request_memory = {-(-job.memory_bytes // _MIB)}M"
        if job.memory_bytes
        else "request_memory = 256M"
    )
    limit = (
        f"allowed_job_duration = {job.wall_limit_seconds:.0f}" if job.wall_limit_seconds else None
    )
    return [
        "",
        f"initialdir = {checked(str(folder))}",
        f'MY.JobprovJob = "{job.name}"',
        f'environment = "{variables}"',
        f"transfer_input_files = {', '.join(map(_listed, files))}",
        memory,
        *([limit] if limit else []),
        f"requirements = {' && '.join(sites) or 'True'}",
        "queue",
    ]


def quoted(value: str) -> str:
    """Return a value in the new form of `environment`.

    Within single quotes, quotes of both kinds doubled.
    """
    doubled = checked(value, quotes=True).replace("'", "''").replace('"', '""')
    return f"'{doubled}'"


def _listed(name: str) -> str:
    if "," in name:
        raise BadInputError(
            f"{name[:100]!r}: a comma parts the files of a submit file; give it another name."
        )
    return checked(name)


def checked(value: str, *, quotes: bool = False) -> str:
    """Return a value that stays within its line, and within its quotes where it may not hold any.

    `$(…)` is a macro there.
    """
    if (
        any(mark in value for mark in ("\n", "\r", "\0"))
        or "$(" in value
        or (not quotes and '"' in value)
    ):
        raise BadInputError(f"{value[:100]!r} cannot stand in a submit file.")
    return value


def _batch_id(ad: Ad) -> str:
    identity: Any = str(ad.get("GlobalJobId") or "").partition("#")[0]
    number = f"{ad.get('ClusterId')}.{ad.get('ProcId')}"
    return f"{number}@{identity}" if identity else number
