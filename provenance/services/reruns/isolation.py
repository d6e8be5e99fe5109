"""Isolates a rerun from its machine: empty environment, no network, limits of time and disk space.

To take the network away, the kernel must allow user namespaces (`unshare`, util-linux). If it does
not, `is_offline` is False, and the caller warns.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

# In a namespace of process numbers, the kernel ends all processes once the first one ends: nothing
# that the job started survives it
_ALONE = ("--net", "--pid", "--fork", "--kill-child", "--mount-proc")
# The best one first: kernels and container runtimes refuse some of them
_WAYS = (
    ("unshare", "--map-current-user", *_ALONE),
    ("unshare", "--map-root-user", *_ALONE),
    ("unshare", "--map-current-user", "--net"),
    ("unshare", "--map-root-user", "--net"),
)
_POLL_SECONDS = 0.5


class Watch:
    """Tells which limit ended a process: `stopped` is None until one did."""

    def __init__(self) -> None:
        self.stopped: str | None = None


class Isolation(NamedTuple):
    """How the programs of a rerun are started.

    Attributes:
        prefix: words before each command.
        tracer: words after these, before run.sh only: the comparison is not traced.
        environment: all variables; None for those of the caller.
        seconds: how long a program may run.
        disk_bytes: by how much the free space of `folder` may shrink meanwhile.
    """

    prefix: Sequence[str] = ()
    tracer: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    seconds: float | None = None
    disk_bytes: int | None = None
    folder: Path | None = None

    def within(self, seconds: float, disk_bytes: int, folder: Path) -> "Isolation":
        """Return the same with limits."""
        return self._replace(seconds=seconds, disk_bytes=disk_bytes, folder=folder)

    @property
    def is_offline(self) -> bool:
        """Whether programs have no network."""
        return bool(self.prefix)

    @contextmanager
    def watching(self, process: "subprocess.Popen[bytes]") -> Iterator[Watch]:
        """End the process, and everything it started, when it passes a limit."""
        watch, ended = Watch(), threading.Event()
        if self.seconds is None:
            yield watch
            return
        watcher = threading.Thread(target=self._guard, args=(process, watch, ended), daemon=True)
        watcher.start()
        try:
            yield watch
        finally:
            ended.set()
            watcher.join()

    def _guard(
        self, process: "subprocess.Popen[bytes]", watch: Watch, ended: threading.Event
    ) -> None:
        # By the free space of the whole disk: other programs count too, but the job's folders,
        # which may hold millions of files, need not be added up twice a second
        floor = self._free() - (self.disk_bytes or 0)
        waited = 0.0
        while not ended.wait(_POLL_SECONDS):
            waited += _POLL_SECONDS
            if self.seconds is not None and waited >= self.seconds:
                watch.stopped = f"stopped after {self.seconds:g} s"
            elif self.disk_bytes is not None and self._free() < floor:
                watch.stopped = f"stopped when it had taken {self.disk_bytes} bytes of disk"
            if watch.stopped is not None:
                end_group(process)
                return

    def _free(self) -> int:
        return shutil.disk_usage(self.folder or Path.cwd()).free


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process that leads a group, and the group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def apart(*, network: bool = False) -> Isolation:
    """Return the best isolation that this machine offers.

    The environment is empty, and there is no network unless it is asked for.
    """
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "JOBPROV_PYTHON": sys.executable}
    prefix = () if network else _offline_prefix()
    return Isolation(prefix=prefix, environment=environment)


@cache
def _offline_prefix() -> tuple[str, ...]:
    """Return the words that start a command without a network; none if the kernel refuses all."""
    for way in _WAYS:
        try:
            trial = subprocess.run([*way, "true"], capture_output=True, check=False, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if trial.returncode == 0:
            return way
    return ()
