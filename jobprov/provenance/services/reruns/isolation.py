"""Isolates a rerun from its machine: empty environment, no network, and limits.

To take the network away, the kernel must allow user namespaces (`unshare`, util-linux). If it does
not, `is_offline` is False, and the caller warns.

Time, disk, memory and processes are watched from outside, and the first limit that is passed ends
the rerun with a reason. That takes a moment, in which a job could start thousands of processes: the
kernel bounds these, and the memory of each process, a little above.
"""

import os
import re
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

from jobprov.provenance.errors import BundleError

# In a namespace of process numbers, the kernel ends all processes once the first one ends: nothing
# that the job started survives it
_ALONE = ("--net", "--pid", "--fork", "--kill-child", "--mount-proc")
# The best one first: kernels and container runtimes refuse some of them
_WAYS: tuple[tuple[str, ...], ...] = (
    ("unshare", "--map-current-user", "--keep-caps", *_ALONE),
    ("unshare", "--map-current-user", *_ALONE),
    ("unshare", "--map-root-user", *_ALONE),
    ("unshare", "--map-current-user", "--net"),
    ("unshare", "--map-root-user", "--net"),
)
_LOOPBACK_UP = """
import fcntl, socket, struct
device = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(device, 0x8914, struct.pack("16sh14x", b"lo", 0x49))  # SIOCSIFFLAGS: up, loopback, running
"""
_WITH_LOOPBACK = (
    'ip link set lo up 2>/dev/null || "$1" -I -S -c "$2" 2>/dev/null; shift 2; exec "$@"'
)
_POLL_SECONDS = 0.25
_END_WITH_CALLER = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""Has the kernel end a rerun if whoever watches it is killed."""
_BEYOND = 300
"""The kernel allows so many more processes, so that the watch sees too many and says so."""
_OWN_PID_MAX = (6, 14)
"""From this Linux on, the highest process number is one of each namespace of process numbers."""
_SET_PID_MAX = 'echo "$1" >/proc/sys/kernel/pid_max; shift; exec "$@"'
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARENT, _THREADS = 1, 17
"""Places in /proc/PID/stat, of the fields behind the name. Source: proc_pid_stat(5)."""


class RerunLimits(NamedTuple):
    """What one rerun may take; None for no limit. See `Isolation`."""

    seconds: float
    disk_bytes: int
    memory_bytes: int | None = None
    processes: int | None = None


class _Usage(NamedTuple):
    """What processes take: how many they are, with their threads, and memory of their own."""

    processes: int
    memory_bytes: int


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
        memory_bytes: what all processes together may hold.
        processes: how many processes and threads there may be at once.
        gives_way: ends the rerun when it is set.
    """

    prefix: Sequence[str] = ()
    tracer: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    seconds: float | None = None
    disk_bytes: int | None = None
    folder: Path | None = None
    memory_bytes: int | None = None
    processes: int | None = None
    gives_way: threading.Event | None = None

    def within(self, limits: "RerunLimits", folder: Path) -> "Isolation":
        """Return this isolation with limits, for a rerun in a folder."""
        bounded = (*_END_WITH_CALLER, *self.prefix, *_kernel_bounds(limits, self.prefix))
        return self._replace(**limits._asdict(), prefix=bounded, folder=folder)

    @property
    def is_offline(self) -> bool:
        """Whether programs have no network."""
        return "--net" in self.prefix

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
            elif self.gives_way is not None and self.gives_way.is_set():
                watch.stopped = "stopped to make way for something else"
            elif self.disk_bytes is not None and self._free() < floor:
                watch.stopped = f"stopped when it had taken {self.disk_bytes} bytes of disk"
            else:
                watch.stopped = self._excess(process.pid)
            if watch.stopped is not None:
                end_group(process)
                return

    def _excess(self, pid: int) -> str | None:
        """Return which limit on processes or memory is passed, if any."""
        if self.processes is None and self.memory_bytes is None:
            return None
        usage = _usage(pid)
        if self.processes is not None and usage.processes > self.processes:
            return f"stopped when it had more than {self.processes} processes"
        if self.memory_bytes is not None and usage.memory_bytes > self.memory_bytes:
            return f"stopped when it had taken more than {self.memory_bytes} bytes of memory"
        return None

    def _free(self) -> int:
        return shutil.disk_usage(self.folder or Path.cwd()).free


def _kernel_bounds(limits: RerunLimits, prefix: Sequence[str]) -> list[str]:
    """Return words before a command that have the kernel bound its processes and their memory."""
    words: list[str] = []
    if limits.processes is not None and "--pid" in prefix and _has_own_pid_max():
        # The limit on a user's processes does not hold for root
        words += ["sh", "-c", _SET_PID_MAX, "sh", str(limits.processes + _BEYOND)]
    bounds = []
    if limits.processes is not None and "--pid" in prefix:
        # Without a namespace, all other processes of the account would count
        bounds.append(f"--nproc={limits.processes + _BEYOND}")
    if limits.memory_bytes is not None:
        # Of data alone: programs may reserve far more addresses than they ever use
        bounds.append(f"--data={limits.memory_bytes}")
    if bounds and shutil.which("prlimit"):
        words += ["prlimit", *bounds, "--"]
    return words


@cache
def _has_own_pid_max() -> bool:
    """Return whether root can bound the processes of a namespace without touching the machine's."""
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    is_new = version is not None and (int(version[1]), int(version[2])) >= _OWN_PID_MAX
    return is_new and os.geteuid() == 0


def _usage(pid: int) -> _Usage:
    """Return what a process and everything below it take."""
    parents: dict[int, int] = {}
    threads_of: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        stat = _read(f"/proc/{entry.name}/stat")
        if not stat:
            continue
        # What comes before the last bracket is the name, which may hold anything
        _, _, behind_name = stat.rpartition(")")
        fields = behind_name.split()
        process = int(entry.name)
        parents[process] = int(fields[_PARENT])
        threads_of[process] = int(fields[_THREADS])
    threads = 0
    pages = 0
    for member in _family(pid, parents):
        threads += threads_of.get(member, 0)
        statm = _read(f"/proc/{member}/statm").split()
        if statm:
            resident, shared = int(statm[1]), int(statm[2])
            pages += resident - shared
    return _Usage(threads, pages * _PAGE)


def _family(pid: int, parents: Mapping[int, int]) -> set[int]:
    """Return a process and everything below it."""
    children: dict[int, list[int]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    family, waiting = set[int](), [pid]
    while waiting:
        member = waiting.pop()
        family.add(member)
        waiting += children.get(member, ())
    return family


def _read(path: str) -> str:
    """Return a file of /proc; empty if its process is over."""
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


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


def check_offline(isolation: Isolation) -> None:
    """Check that reruns have no network: what passes only with one is not proven.

    Raises:
        BundleError: they have one.
    """
    if not isolation.is_offline:
        raise BundleError(
            "Nothing can be proven here: the kernel allows no namespace, and reruns would have "
            "the network. Allow user namespaces, or prove on another machine (`jobprov agent "
            "--prove`); `jobprov drill` runs without them."
        )


@cache
def _offline_prefix() -> tuple[str, ...]:
    """Return the words that start a command without a network; none if the kernel refuses all."""
    for way in _WAYS:
        words = (*way, *_loopback(way))
        try:
            trial = subprocess.run([*words, "true"], capture_output=True, check=False, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if trial.returncode == 0:
            return words
    return ()


def _loopback(way: Sequence[str]) -> tuple[str, ...]:
    """Return words that bring up loopback, where the kernel lets: a job may have its own server.

    The rights that this takes end with it.
    """
    words = ("sh", "-c", _WITH_LOOPBACK, "sh", sys.executable, _LOOPBACK_UP)
    if "--keep-caps" in way:
        return (*words, "setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--")
    return words
