"""A personal HTCondor pool: its own folder, port and daemons, without systemd.

It runs beside any other pool of the machine. As root the daemons run as an unprivileged user, since
HTCondor starts no jobs of root; else as whoever runs the tests. Source: HTCondor manual,
"Configuration Templates" and "Shared Port Daemon".
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest


def need_condor() -> None:
    """Skip without HTCondor, loudly; on CI that is an error."""
    if shutil.which("condor_submit", path="/usr/bin:/usr/sbin") is None:
        words = (
            "NO HTCONDOR (Debian package minicondor): no real job runs under a real batch system"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)


PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
DOOMED = "doomed"

_CONFIG = """
LOCAL_DIR = {folder}
ETC = $(LOCAL_DIR)/etc
RUN = $(LOCAL_DIR)/run
LOG = $(LOCAL_DIR)/log
LOCK = $(LOCAL_DIR)/lock
SPOOL = $(LOCAL_DIR)/spool
EXECUTE = $(LOCAL_DIR)/execute
RELEASE_DIR = /usr
LIB = /usr/lib/condor
BIN = /usr/bin
SBIN = /usr/sbin
LIBEXEC = /usr/libexec/condor
SHARE = /usr/share/condor
MAIL = /bin/true
PROCD_ADDRESS = $(RUN)/procd_pipe
use security:recommended_v9_0
use ROLE: CentralManager
use ROLE: Submit
use ROLE: Execute
use FEATURE: PartitionableSlot
CONDOR_HOST = 127.0.0.1
NETWORK_INTERFACE = 127.0.0.1
BIND_ALL_INTERFACES = False
ENABLE_IPV6 = False
COLLECTOR_HOST = 127.0.0.1:{port}
SHARED_PORT_PORT = {port}
SCHEDD_NAME = pool@
UID_DOMAIN = jobprov.test
FILESYSTEM_DOMAIN = jobprov.test
TRUST_UID_DOMAIN = True
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = FS
SEC_DEFAULT_ENCRYPTION = OPTIONAL
ALLOW_DAEMON = {user}@$(UID_DOMAIN)
ALLOW_NEGOTIATOR = {user}@$(UID_DOMAIN)
ALLOW_ADMINISTRATOR = {user}@$(UID_DOMAIN)
ALLOW_WRITE = *
ALLOW_READ = *
SCHEDD_INTERVAL = 2
SCHEDD_MIN_INTERVAL = 1
NEGOTIATOR_INTERVAL = 1
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
STARTER_UPDATE_INTERVAL = 2
SHADOW_QUEUE_UPDATE_INTERVAL = 2
PERIODIC_EXPR_INTERVAL = 2
UPDATE_INTERVAL = 2
JOB_START_COUNT = 100
JOB_EPOCH_HISTORY = $(SPOOL)/epoch_history
STARTER_JOB_ENVIRONMENT = "PATH=/usr/bin:/bin"
RUNBENCHMARKS = 0
START = True
SUSPEND = False
PREEMPT = False
KILL = False
NUM_CPUS = 100
MEMORY = 100000
NUM_CLAIMS = 100
# a second node, to be lost
DAEMON_LIST = $(DAEMON_LIST) DOOMED
DOOMED = $(STARTD)
DOOMED_ARGS = -local-name {doomed} -name {doomed}
MASTER_DOOMED_BACKOFF_CONSTANT = 600
DOOMED.STARTD_LOG = $(LOG)/StartLog.{doomed}
DOOMED.STARTD_ADDRESS_FILE = $(LOG)/.startd_address.{doomed}
DOOMED.EXECUTE = $(LOCAL_DIR)/{doomed}
DOOMED.IsDoomed = True
DOOMED.STARTD_ATTRS = $(STARTD_ATTRS) IsDoomed
{more}
"""


class Pool:
    """A running pool. `folder` is readable by its jobs.

    What is put there by `put` belongs to their owner.

    Raises:
        AssertionError: it does not start; with the ends of its logs.
    """

    def __init__(
        self, more: Callable[[Path], str] = lambda _folder: "", seconds: float = 120
    ) -> None:
        self.account = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        # Short: sockets need it
        self.folder = Path(tempfile.mkdtemp(prefix="jobprov-pool-", dir="/tmp"))
        self.folder.chmod(0o755)
        for name in ("etc", "run", "log", "lock", "spool", "execute", DOOMED, "jobs", "marks"):
            self.make_folder(name)
        os.chown(self.folder, *self._ids())
        for name in ("execute", DOOMED):
            (self.folder / name).chmod(0o1777)
        self.config = self.folder / "condor_config"
        self.environment = {
            "PATH": PATH,
            "CONDOR_CONFIG": str(self.config),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
        }
        self._more, self._master = more, None
        try:
            self._start(seconds)
        except BaseException:
            self.stop()
            raise

    def _ids(self) -> tuple[int, int]:
        return self.account.pw_uid, self.account.pw_gid

    def make_folder(self, name: str) -> Path:
        made = self.folder / name
        made.mkdir(exist_ok=True)
        os.chown(made, *self._ids())
        return made

    def give(self, folder: Path) -> None:
        """Let the files in a folder belong to the jobs' owner."""
        for file in folder.iterdir():
            os.chown(file, *self._ids())

    def put(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        """Write a file for the jobs, below the pool's folder."""
        file = self.folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        os.chown(file, *self._ids())
        return file

    def run(
        self, *words: str, check: bool = True, **more: Any
    ) -> "subprocess.CompletedProcess[str]":
        """Run a tool of HTCondor as the jobs' owner."""
        done = subprocess.run(
            words,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            **{"timeout": 60, **self._as_owner(), **more},
        )
        assert not check or done.returncode == 0, (
            f"{' '.join(words)}: {done.stderr or done.stdout}\n{self.diagnosis()}"
        )
        return done

    def _as_owner(self) -> dict[str, Any]:
        if os.getuid() != 0:
            return {"cwd": self.folder}
        return {
            "user": self.account.pw_uid,
            "group": self.account.pw_gid,
            "extra_groups": [],
            "cwd": self.folder,
        }

    def _start(self, seconds: float) -> None:
        """Start the daemons; again with another port where somebody was quicker to take it."""
        end = time.monotonic() + seconds
        while True:
            settings = {
                "folder": self.folder,
                "port": _free_port(),
                "user": self.account.pw_name,
                "doomed": DOOMED,
            }
            self.put("condor_config", _CONFIG.format(**settings, more=self._more(self.folder)))
            with (self.folder / "log" / "master.out").open("ab") as output:
                # Minutes: should the tests be killed, it ends by itself
                self._master = subprocess.Popen(
                    [
                        "condor_master",
                        "-f",
                        "-r",
                        "30",
                    ],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    **self._as_owner(),
                )
            if self._gets_ready(min(end, time.monotonic() + seconds / 2)):
                return
            assert time.monotonic() < end, (
                f"the pool did not start in {seconds} seconds\n{self.diagnosis()}"
            )
            self._stop_daemons()

    def _gets_ready(self, end: float) -> bool:
        while time.monotonic() < end and self._master is not None and self._master.poll() is None:
            slots = self.run("condor_status", "-af", "Name", check=False).stdout.split()
            if len(slots) >= 2 and self.run("condor_q", "-totals", check=False).returncode == 0:
                return True
            time.sleep(0.2)
        return False

    def submit(self, name: str, lines: Mapping[str, str] | str) -> str:
        """Submit one job, described by lines; return `cluster.0`."""
        file = self.put(
            f"jobs/{name}.sub", lines if isinstance(lines, str) else _description(lines)
        )
        done = self.run("condor_submit", "-terse", str(file), cwd=self.folder / "jobs")
        return done.stdout.split()[0]

    def epochs(self) -> int:
        """Return how many attempts are over."""
        file = self.folder / "spool" / "epoch_history"
        return (
            sum(line.startswith(b"*** EPOCH") for line in file.read_bytes().splitlines())
            if file.exists()
            else 0
        )

    def attempts(self) -> dict[str, int]:
        """Return which attempt each job is in or had last, by `cluster.0`."""
        return {job: int(starts) for job, starts, _ in self._jobs()}

    def settled(self) -> set[str]:
        """Return the jobs whose last attempt is over, and of which the schedd knows that it is.

        Its epoch comes first. Then the schedd lets its machine go, and notes the end in the queue
        or the history.
        """
        told = self._last_epochs()
        return {
            job
            for job, starts, has_machine in self._jobs()
            if not has_machine and told.get(job) == int(starts) > 0
        }

    def _jobs(self) -> list[tuple[str, str, bool]]:
        """Return (job, attempts that began, whether it has a machine) of each job there is."""
        shown = [
            "-af",
            "ClusterId",
            "ifThenElse(NumShadowStarts =?= undefined, 0, NumShadowStarts)",
        ]
        # Queue first: a job that leaves it meanwhile is in both, and the later answer counts
        queued = self.run("condor_q", "-allusers", *shown, "RemoteHost =!= undefined").stdout
        ended = self.run("condor_history", *shown, "false").stdout
        jobs = {}
        for line in [*queued.splitlines(), *ended.splitlines()]:
            cluster, starts, has_machine = line.split()
            jobs[f"{cluster}.0"] = (f"{cluster}.0", starts, has_machine == "true")
        return list(jobs.values())

    def _last_epochs(self) -> dict[str, int]:
        """Return the last attempt of each job that has an epoch, by `cluster.0`."""
        shown = ["-af", "ClusterId", "NumShadowStarts"]
        done = self.run("condor_history", "-epochs", *shown, check=False)
        last: dict[str, int] = {}
        for line in done.stdout.splitlines():
            cluster, number = line.split()
            last[f"{cluster}.0"] = max(int(number), last.get(f"{cluster}.0", 0))
        return last

    def kill_starter(self, job_process: int) -> None:
        """Kill the starter of a job's process, as the out-of-memory killer does; by SIGKILL."""
        os.kill(_parent_named("condor_starter", job_process), signal.SIGKILL)

    def stop_shadow_at_epoch(self, job: str) -> int | None:
        """Stop the shadow of a job once it wrote the epoch of its attempt; return its process.

        The schedd does not hear of the end until the shadow goes on, by SIGCONT. None where it was
        gone before it could be stopped.
        """
        shadows: list[int] = []
        before = self.epochs()

        def is_there() -> bool:
            shadows[:] = [found for found in _processes() if _is_shadow(found, job, self.folder)]
            return bool(shadows)

        self.wait_for(f"job {job} runs", is_there, 120)
        [shadow] = shadows
        end = time.monotonic() + 60
        while self.epochs() == before:
            assert time.monotonic() < end, f"no epoch\n{self.diagnosis()}"
            time.sleep(0.001)
        try:
            os.kill(shadow, signal.SIGSTOP)
        except ProcessLookupError:
            return None
        return shadow

    def lose_node(self) -> None:
        """Lose the doomed node: all its processes stop at once, without a word to anyone."""
        [startd] = [process for process in _processes() if _is_doomed_startd(process, self.folder)]
        lost = [startd, *_descendants(startd)]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in lost:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)

    def wait_for(self, what: str, is_there: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds.

        Raises:
            AssertionError: it did not in so many seconds; with the ends of the pool's logs.
        """
        end = time.monotonic() + seconds
        while not is_there():
            assert time.monotonic() < end, f"not in {seconds} seconds: {what}\n{self.diagnosis()}"
            time.sleep(0.2)

    def diagnosis(self) -> str:
        """Return the queue and the ends of the daemons' logs."""
        parts = []
        for words in (["condor_q", "-nobatch"], ["condor_q", "-hold"], ["condor_status"]):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                done = subprocess.run(
                    words,
                    env=self.environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=20,
                    **self._as_owner(),
                )
                parts.append(f"$ {' '.join(words)}\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        for file in [
            *sorted((self.folder / "log").glob("[MSN]*Log*")),
            self.folder / "log" / "master.out",
        ]:
            if file.is_file():
                count = 4 if file.name.startswith("StarterLog") else 15
                lines = [
                    line[:240] for line in file.read_text(errors="replace").splitlines()[-count:]
                ]
                parts.append("\n".join([f"== {file.name}", *lines]))
        return "\n".join(parts)

    def stop(self) -> None:
        """Stop the daemons and every process that they started, and remove the folder."""
        self._stop_daemons()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop_daemons(self) -> None:
        if self._master is not None:
            self._master.send_signal(signal.SIGQUIT)  # fast shutdown
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._master.wait(10)
            self._master.kill()
            self._master.wait()
        for process in _processes():
            if _mentions(process, self.folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)


def _description(lines: Mapping[str, str]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in lines.items()) + "queue\n"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(process: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/{name}").read_bytes()
    return b""


def _mentions(process: int, folder: Path) -> bool:
    """Return whether a process belongs to the pool: its environment names the pool's folder.

    Not this very process.
    """
    return process != os.getpid() and f"{folder}/".encode() in _read(process, "environ")


def _is_doomed_startd(process: int, folder: Path) -> bool:
    words = _read(process, "cmdline").split(b"\0")
    return b"condor_startd" in words[0] and DOOMED.encode() in words and _mentions(process, folder)


def _is_shadow(process: int, job: str, folder: Path) -> bool:
    """Return whether a process is the shadow of a job of the pool, such as `1.0`."""
    words = _read(process, "cmdline").split(b"\0")
    is_shadow = words[0].endswith(b"condor_shadow")
    return is_shadow and job.encode() in words and _mentions(process, folder)


def _status(process: int) -> dict[str, str]:
    lines = _read(process, "status").decode(errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _parent_named(name: str, process: int) -> int:
    while process > 1:
        status = _status(process)
        if status.get("Name") == name:
            return process
        process = int(status.get("PPid", "0"))
    raise AssertionError(f"no {name} above the job")


def _descendants(process: int) -> list[int]:
    parents = {child: int(_status(child).get("PPid", "0")) for child in _processes()}
    found, waiting = [], [process]
    while waiting:
        above = waiting.pop()
        below = [child for child, parent in parents.items() if parent == above]
        found += below
        waiting += below
    return found
