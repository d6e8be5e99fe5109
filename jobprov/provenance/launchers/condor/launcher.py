"""Launches jobs through HTCondor's own tools, from the account that this runs under.

Each job's ad has its name (`JobprovJob`), by which it is found in the queue and the history:
nothing is submitted twice, even if the submitter was killed before it could note the id.
condor_submit queues all jobs of a call or none.

Source: HTCondor manual, condor_submit, condor_q, condor_history (`-since`), "Job ClassAd
Attributes".
"""

import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.launchers.condor.ads import Ad
from jobprov.provenance.launchers.condor.attempts import COMPLETED, HELD, REMOVED
from jobprov.provenance.launchers.condor.tools import ads_of, last_line
from jobprov.provenance.launchers.job import BatchJob, LaunchEnd
from jobprov.provenance.launchers.job_folder import SCRIPT, make_folder

_NAMED = "JobprovJob =!= undefined"
_ATTRIBUTES = (
    "JobprovJob,ClusterId,ProcId,GlobalJobId,JobStatus,ExitCode,ExitBySignal,ExitSignal,"
    "HoldReason,RemoveReason,LastHoldReason,Iwd"
)
_SELECTION = ["-constraint", _NAMED, "-attributes", _ATTRIBUTES]
_SHORT_HELD_SECONDS = 5
_MIB = 1 << 20
_LEAST_MEMORY_MIB = 256
_VARIABLES_IN_AD = frozenset(
    {
        "JOBPROV_EXPERIMENT",
        "JOBPROV_TASK_ID",
        "JOBPROV_CAMPAIGN",
        "JOBPROV_STAGE",
        "JOBPROV_UNIT",
        "JOBPROV_RETRY_OF",
    }
)
"""Variables that are in the ad too, where exit hooks and the batch history find them."""


class CondorLauncher:
    """Submits jobs to a schedd, each with a folder of its own, where its new files return to.

    The folders are below `folder`.

    Args:
        folder: of the account that submits.
        schedd: its name, if it is not this machine's own.
        since: seconds since 1970; the batch history is not searched for jobs from before.
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
            UnreachableError: condor_submit is missing, or refuses, with its message.
        """
        if not jobs:
            return {}
        folders = [make_folder(self._folder, job) for job in jobs]
        file = self._folder / f"{jobs[0].name}.sub"
        file.write_text(describe(jobs, folders, self._lines), encoding="utf-8")
        command = ["condor_submit", "-terse", *self._place, str(file)]
        try:
            done = subprocess.run(
                command,
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
            reason = last_line(done.stderr or done.stdout)
            raise UnreachableError(f"condor_submit refuses {file}: {reason}.")
        ids = self.find([job.name for job in jobs])
        if len(ids) < len(jobs):
            raise UnreachableError(
                f"condor_submit took {file}, but condor_q does not show its jobs yet; "
                "they are there."
            )
        return ids

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return `cluster.process@schedd` of those of the jobs that the queue or the history has.

        Raises:
            UnreachableError: HTCondor does not answer.
        """
        return {name: _batch_id(ad) for name, ad in self._ads(names)}

    def ended(self, names: Collection[str]) -> list[LaunchEnd]:
        """Return how the jobs ended that are over.

        A held job is over, because it does not go on by itself.

        Raises:
            UnreachableError: HTCondor does not answer.
        """
        ends: list[LaunchEnd] = []
        missing = set(names)
        for name, ad in self._ads(names):
            missing.discard(name)
            if ad.get("JobStatus") in (REMOVED, COMPLETED, HELD):
                ends.append(self._end(name, ad))
        for name in names:
            if name in missing:
                problem = "lost: HTCondor knows nothing of it"
                ends.append(LaunchEnd(name, self._folder / name, problem=problem))
        return ends

    def remove(self, names: Collection[str]) -> None:
        """Remove these jobs from the queue.

        Raises:
            UnreachableError: condor_rm is missing.
        """
        queued = [ad for ad in self._queue() if ad.get("JobprovJob") in set(names)]
        ids = [f"{ad['ClusterId']}.{ad['ProcId']}" for ad in queued]
        if ids:
            try:
                subprocess.run(["condor_rm", *self._place, *ids], capture_output=True, check=False)
            except FileNotFoundError:
                raise UnreachableError(
                    "condor_rm is not on the PATH: run this on a submit node."
                ) from None

    def _ads(self, names: Collection[str]) -> Iterator[tuple[str, Ad]]:
        """Yield name and ad of each job that HTCondor knows, from the queue or the history."""
        missing = set(names)
        # The history comes second, for a job may leave the queue between the two questions
        for ads in (self._queue, self._history):
            if not missing:
                return
            for ad in ads():
                name = ad.get("JobprovJob")
                if name in missing:
                    missing.discard(name)
                    yield name, ad

    def _queue(self) -> Iterator[Ad]:
        # Without -allusers condor_q shows the asker's own jobs alone, even to root
        return ads_of(["condor_q", *self._place, "-allusers", "-json", *_SELECTION])

    def _history(self) -> Iterator[Ad]:
        since = ["-since", f"EnteredCurrentStatus < {self._since}"] if self._since else []
        return ads_of(["condor_history", *self._place, "-json", *since, *_SELECTION])

    def _end(self, name: str, ad: Ad) -> LaunchEnd:
        """Return the end of a job by its last ad."""
        folder = Path(str(ad.get("Iwd") or self._folder / name))
        status = ad.get("JobStatus")
        if status == COMPLETED:
            return _own_end(name, folder, ad)
        if status == HELD:
            reason = ad.get("HoldReason") or "no reason given"
            return LaunchEnd(name, folder, problem=f"held: {reason}")
        reason = ad.get("LastHoldReason") or ad.get("RemoveReason") or "no reason given"
        return LaunchEnd(name, folder, problem=f"removed: {reason}")


def _own_end(name: str, folder: Path, ad: Ad) -> LaunchEnd:
    """Return the end of a job that ended by itself, with an exit code or by a signal."""
    signal = ad.get("ExitSignal")
    if ad.get("ExitBySignal") is True and isinstance(signal, int):
        return LaunchEnd(name, folder, signal=signal)
    code = ad.get("ExitCode")
    if not isinstance(code, int):
        code = None
    return LaunchEnd(name, folder, code)


def describe(jobs: Sequence[BatchJob], folders: Sequence[Path], lines: Sequence[str] = ()) -> str:
    """Return a submit description of jobs whose folders are filled, one cluster.

    A job that goes on hold leaves the queue after a few seconds; whether and how it is retried is
    decided elsewhere.

    Raises:
        BadInputError: a value that a submit file cannot hold.
    """
    lines_of_file = [
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
        (
            "periodic_remove = JobStatus == 5 && (time() - EnteredCurrentStatus) > "
            f"{_SHORT_HELD_SECONDS}"
        ),
        *lines,
    ]
    for job, folder in zip(jobs, folders, strict=True):
        lines_of_file += ["", *_lines_of_job(job, folder)]
    return "\n".join([*lines_of_file, ""])


def _lines_of_job(job: BatchJob, folder: Path) -> list[str]:
    """Return the lines of a submit file for one job."""
    variables = []
    for name, value in sorted(job.environment.items()):
        if name in _VARIABLES_IN_AD:
            variables.append(f"{name}={quoted(value)}")
    files = [SCRIPT, *(path.name for path in job.inputs), *job.contents]
    sites = [f'(GLIDEIN_Site =!= "{checked(site)}")' for site in job.avoided_sites]
    memory_mib = -(-job.memory_bytes // _MIB) if job.memory_bytes else _LEAST_MEMORY_MIB
    lines = [
        f"initialdir = {checked(str(folder))}",
        f'MY.JobprovJob = "{job.name}"',
        f'environment = "{" ".join(variables)}"',
        f"transfer_input_files = {', '.join(map(listed, files))}",
        f"request_memory = {memory_mib}M",
    ]
    if job.returned:
        lines.append(f"transfer_output_files = {', '.join(map(listed, job.returned))}")
    if job.wall_limit_seconds:
        lines.append(f"allowed_job_duration = {job.wall_limit_seconds:.0f}")
    return [*lines, f"requirements = {' && '.join(sites) or 'True'}", "queue"]


def quoted(value: str) -> str:
    """Return a value in the new form of `environment`: in single quotes, all quotes doubled."""
    doubled = checked(value, quotes=True).replace("'", "''").replace('"', '""')
    return f"'{doubled}'"


def listed(name: str) -> str:
    """Return the name of a file as one of a list of a submit file.

    Raises:
        BadInputError: it cannot stand there.
    """
    if "," in name:
        message = "a comma separates the files of a submit file; give it another name"
        raise BadInputError(f"{name[:100]!r}: {message}.")
    return checked(name)


def checked(value: str, *, quotes: bool = False) -> str:
    """Return a value that stays within its line, and within its quotes unless `quotes` are allowed.

    Raises:
        BadInputError: it does not, or it has `$(…)`, which is a macro in a submit file.
    """
    forbidden = {
        "\n": "a line ends there",
        "\r": "a line ends there",
        "\0": "a line ends there",
        "$(": "HTCondor reads $(…) in it as a macro",
    }
    if not quotes:
        forbidden['"'] = "a value ends at a double quote"
    for text, reason in forbidden.items():
        if text in value:
            raise BadInputError(f"{value[:100]!r} cannot stand in a submit file: {reason}.")
    return value


def _batch_id(ad: Ad) -> str:
    schedd = str(ad.get("GlobalJobId") or "").partition("#")[0]
    number = f"{ad.get('ClusterId')}.{ad.get('ProcId')}"
    return f"{number}@{schedd}" if schedd else number
