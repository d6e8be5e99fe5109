"""What every launcher takes and gives back: a job to run, and its end.

Not a job record: a launcher starts programs and says how they ended; what happened inside is the hook's to tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class BatchJob:
    """One start of one program in a scratch folder of its own.

    Attributes:
        name: names the job among those of one launcher; also its scratch folder.
        argv: program and arguments; a relative program is looked up on the PATH of `environment`.
        environment: the whole environment, nothing is inherited.
        inputs: files to copy into the scratch folder, under their own names, before the program starts.
        contents: small files to write there, by name.
        cpu_limit_seconds: CPU time that each process of the job may use; past it the process gets SIGXCPU.
        wall_limit_seconds: time after which the job gets SIGTERM and, soon after, SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    inputs: tuple[Path, ...] = ()
    contents: Mapping[str, str] = field(default_factory=dict)
    cpu_limit_seconds: int | None = None
    wall_limit_seconds: float | None = None


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


class Launcher(Protocol):
    """A place that runs jobs, a few at a time."""

    def submit(self, job: BatchJob) -> str:
        """Queue a job and return the id that this place gave it.

        Raises:
            ProvenanceError: the job was refused, or a job of this name was submitted before.
        """
        ...

    def ends(self) -> Iterator[JobEnd]:
        """Yield the end of each submitted job that was not reported yet, as they end; stop when none is left."""
        ...

    def cancel(self) -> None:
        """Drop what is queued, stop what runs, and return when all is gone."""
        ...
