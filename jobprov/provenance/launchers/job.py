"""What runners and launchers take and give back: a job to run, and its end.

A runner's jobs end with it; a launcher's outlive it, and a new launcher finds them again by name.
Neither makes records: they start programs and return how they ended; the hook records what happened
inside.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

NOT_SUBMITTED = "not submitted: "
"""How the problem begins of an order that could not become a job."""


@dataclass(frozen=True)
class BatchJob:
    """One start of one program in a scratch folder of its own.

    Attributes:
        name: names the job among those of one launcher; also its scratch folder.
        argv: program and arguments; a relative program is looked up on the PATH of `environment`.
        environment: the whole environment, nothing is inherited.
        inputs: files to copy into the scratch folder, under their own names, before the program
            starts.
        contents: small files to write there, by name.
        cpu_limit_seconds: CPU time that each process of the job may use; past it the process gets
            SIGXCPU.
        wall_limit_seconds: time after which the job gets SIGTERM and, soon after, SIGKILL.
        memory_bytes: what to ask a batch system for; None for its default.
        avoided_sites: sites that are not to run it, as the machines' `GLIDEIN_Site` names them.
        returned: folders that come back with all that is in them, and alone; the job makes them
            first of all. Without any, new files come back, and no folders.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    inputs: tuple[Path, ...] = ()
    contents: Mapping[str, str] = field(default_factory=dict)
    cpu_limit_seconds: int | None = None
    wall_limit_seconds: float | None = None
    memory_bytes: int | None = None
    avoided_sites: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobEnd:
    """How one start ended.

    Attributes:
        job: what was asked for.
        folder: its scratch folder; `stdout` and `stderr` beside it hold what the job printed.
        exit_code: None where a signal ended it.
        signal: the signal's number, or None.
        wall_seconds: from start to end.
        problem: why the job could not be started, or None.
    """

    job: BatchJob
    folder: Path
    stdout: Path
    stderr: Path
    exit_code: int | None
    signal: int | None
    wall_seconds: float
    problem: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the job ended by itself with exit code 0."""
        return self.exit_code == 0 and self.problem is None


class Runner(Protocol):
    """Runs jobs on this machine, a few at a time, as long as it lives itself."""

    def submit(self, job: BatchJob) -> str:
        """Queue a job and return the id that this place gave it.

        Raises:
            ProvenanceError: the job was refused, or a job of this name was submitted before.
        """
        ...

    def ends(self) -> Iterator[JobEnd]:
        """Yield the end of each submitted job that was not reported yet, as they end.

        Stop when none is left.
        """
        ...

    def cancel(self) -> None:
        """Drop what is queued, stop what runs, and return when all is gone."""
        ...


@dataclass(frozen=True)
class LaunchEnd:
    """How a launched job ended.

    Attributes:
        name: the job's.
        folder: where its files are; what it made lies there.
        exit_code: None where a signal ended it, or nobody knows.
        signal: the signal's number, or None.
        problem: what the place reports if the job did not end by itself: held, removed, lost.
    """

    name: str
    folder: Path
    exit_code: int | None = None
    signal: int | None = None
    problem: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the job ended by itself with exit code 0."""
        return self.exit_code == 0 and self.problem is None


class Launcher(Protocol):
    """A place that runs jobs, whatever becomes of this process.

    What was submitted is found again by the job's name.

    A name is given once, for ever. To submit nothing twice, look for it by `find` first.
    """

    def submit(self, jobs: Sequence[BatchJob]) -> dict[str, str]:
        """Submit jobs; return the id that this place gave each, by name.

        All of them, or an error and none.

        Raises:
            BadInputError: a job that cannot be run here.
            UnreachableError: the place does not answer, or refuses.
        """
        ...

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return the ids of those of the jobs that this place has or had, by name.

        It does not matter who submitted them, and when.

        Raises:
            UnreachableError: the place does not answer.
        """
        ...

    def ended(self, names: Collection[str]) -> list[LaunchEnd]:
        """Return how those of the submitted jobs ended that are over.

        Asking again gives the same answer.

        Raises:
            UnreachableError: the place does not answer.
        """
        ...

    def remove(self, names: Collection[str]) -> None:
        """Stop those of the jobs that wait or run."""
        ...
