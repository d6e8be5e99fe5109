"""Launches jobs on this machine, for trials.

A few run at a time, each in a session of its own that outlives this process.

Files beside its folder show how far a job is, so that the successor of a launcher that was killed
sees the same: `NAME/` waits, `NAME.pid` began, `NAME.end` is over.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.launchers.job import BatchJob, LaunchEnd
from jobprov.provenance.launchers.job_folder import SCRIPT, make_folder

# Only one shell can link the .pid file, so that a job starts once, whoever starts it. `timeout` is
# of coreutils.
_START = """echo $$ "$(cut -d' ' -f22 /proc/$$/stat)" > "../.$1.$$"
ln "../.$1.$$" "../$1.pid" 2> /dev/null; is_taken=$?
rm "../.$1.$$"
[ "$is_taken" = 0 ] || exit 0
if [ "$2" = - ]; then sh "$3" > "../$1.out" 2> "../$1.err" < /dev/null
else timeout --kill-after=5 "$2" sh "$3" > "../$1.out" 2> "../$1.err" < /dev/null; fi
echo $? > "../$1.end.part"
mv "../$1.end.part" "../$1.end"
"""
_SIGNALLED = 128
_START_SECONDS = 5.0
_UNSIGNALLED = 192  # codes beyond 128 and the last signal are the program's own


class LocalLauncher:
    """Runs at most `slots` jobs at once under `folder`.

    Jobs that wait are started by whoever asks next.
    """

    def __init__(self, folder: Path, slots: int = 1) -> None:
        self._folder = folder.resolve()
        self._slots = slots

    def submit(self, jobs: Sequence[BatchJob]) -> dict[str, str]:
        """Queue jobs; their ids are their names.

        Raises:
            BadInputError: a job that cannot be run here.
            UnreachableError: the folder cannot be written.
        """
        try:
            for job in jobs:
                folder = make_folder(self._folder, job)
                limit = "-" if job.wall_limit_seconds is None else f"{job.wall_limit_seconds:g}"
                folder.with_name(f"{job.name}.limit").write_text(limit, encoding="ascii")
            self._fill_slots()
        except OSError as problem:
            raise UnreachableError(
                f"Jobs cannot be put into {self._folder}: {problem}."
            ) from problem
        return {job.name: job.name for job in jobs}

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return the ids of those of the jobs that were submitted here before."""
        return {name: name for name in names if (self._folder / f"{name}.limit").is_file()}

    def ended(self, names: Collection[str]) -> list[LaunchEnd]:
        """Return how the jobs ended that are over; start others that wait."""
        self._fill_slots()
        ends = [self._end(name) for name in names]
        return [end for end in ends if end is not None]

    def remove(self, names: Collection[str]) -> None:
        """Stop jobs with all processes that they started; never start those that wait."""
        for name in names:
            with contextlib.suppress(FileExistsError):
                # Whoever would start it finds it started
                (self._folder / f"{name}.pid").touch(exist_ok=False)
            process = self._process(name)
            if process is not None:
                _kill_session(process)
            with (
                contextlib.suppress(FileExistsError),
                (self._folder / f"{name}.end").open("x") as end,
            ):
                end.write(str(_SIGNALLED + signal.SIGKILL))

    def _fill_slots(self) -> None:
        running = 0
        for pid_file in self._folder.glob("*.pid"):
            if self._is_running(pid_file.stem):
                running += 1
        waiting = []
        for limit_file in self._folder.glob("*.limit"):
            if not limit_file.with_suffix(".pid").exists():
                waiting.append(limit_file.name.removesuffix(".limit"))
        free_slots = max(0, self._slots - running)
        for name in sorted(waiting)[:free_slots]:
            self._start(name)

    def _start(self, name: str) -> None:
        """Start a job as a session of its own, and wait until its file shows that it runs."""
        limit = (self._folder / f"{name}.limit").read_text(encoding="ascii")
        # A shell between them leaves at once: the job is nobody's child, and nobody has to wait for it
        subprocess.run(
            [
                "/bin/sh",
                "-c",
                'setsid /bin/sh -c "$@" > /dev/null 2>&1 < /dev/null &',
                "sh",
                _START,
                "sh",
                name,
                limit,
                SCRIPT,
            ],
            cwd=self._folder / name,
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
            check=True,
        )
        end = time.monotonic() + _START_SECONDS
        # Without the file it does not count as running, and more jobs than slots would start
        while not (self._folder / f"{name}.pid").exists() and time.monotonic() < end:
            time.sleep(0.005)

    def _end(self, name: str) -> LaunchEnd | None:
        folder = self._folder / name
        try:
            code = int(folder.with_name(f"{name}.end").read_text(encoding="ascii"))
        except FileNotFoundError:
            if not folder.with_name(f"{name}.pid").exists() or self._is_running(name):
                return None
            # It ended between the two looks
            if folder.with_name(f"{name}.end").exists():
                return self._end(name)
            return LaunchEnd(name, folder, problem="lost: it is gone and left no exit code")
        except ValueError:
            raise BadInputError(f"{folder}.end holds no exit code; was it changed?") from None
        if _SIGNALLED < code < _UNSIGNALLED:
            return LaunchEnd(name, folder, signal=code - _SIGNALLED)
        return LaunchEnd(name, folder, code)

    def _is_running(self, name: str) -> bool:
        return not (self._folder / f"{name}.end").exists() and self._process(name) is not None

    def _process(self, name: str) -> int | None:
        """Return the process of a job that runs.

        A number that went to another process since is told by its start.
        """
        try:
            number, _, started = (
                (self._folder / f"{name}.pid").read_text(encoding="ascii").partition(" ")
            )
            if not started.strip():
                return None
            stat = Path(f"/proc/{int(number)}/stat").read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return None
        return int(number) if stat.rpartition(")")[2].split()[19] == started.strip() else None


def _kill_session(leader: int) -> None:
    """Kill every process of a session: all that a job started, unless it left on purpose."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                if int(stat.rpartition(")")[2].split()[3]) == leader:
                    os.kill(int(entry.name), signal.SIGKILL)
