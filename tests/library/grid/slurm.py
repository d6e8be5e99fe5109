"""A Slurm of our own: munge, a controller and two nodes of this machine, in one folder.

It runs as whoever runs the tests, beside any other Slurm. Source: slurm.conf(5), munged(8).
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_NODES = ("n1", "n2")
_CONFIG = """
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
JobRequeue=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=2
SlurmdParameters=config_overrides
NodeName=n1 NodeAddr=127.0.0.1 NodeHostname={host} Port={ports[1]} CPUs=8
NodeName=n2 NodeAddr=127.0.0.1 NodeHostname={host} Port={ports[2]} CPUs=8
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=10 State=UP
"""


def need_slurm() -> None:
    """Skip without Slurm, loudly."""
    if shutil.which("slurmctld", path=_PATH) is None:
        pytest.skip("NO SLURM (Debian packages slurm-wlm, munge): no job runs under a real one")


class Slurm:
    """A running Slurm; `folder` is for its jobs.

    Raises:
        AssertionError: it does not start; with the ends of its logs.
    """

    def __init__(self) -> None:
        # Short: sockets need it
        self._own = Path(tempfile.mkdtemp(prefix="jobprov-slurm-", dir="/tmp"))
        self._own.chmod(0o755)
        self.folder = self._own / "jobs"
        self.folder.mkdir()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "PATH": _PATH,
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "SLURM_CONF": str(self._own / "slurm.conf"),
        }
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        settings = {
            "folder": self._own,
            "host": socket.gethostname().partition(".")[0],
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "ports": _free_ports(3),
        }
        (self._own / "slurm.conf").write_text(_CONFIG.format(**settings))
        (self._own / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        (self._own / "state").mkdir()
        (self._own / "key").write_bytes(os.urandom(128))
        (self._own / "key").chmod(0o400)
        places = {"key-file": "key", "socket": "munge.sock", "pid-file": "munge.pid"}
        places |= {"log-file": "munge.log", "seed-file": "seed"}
        words = [f"--{option}={self._own / name}" for option, name in places.items()]
        self._begin("munged", "--foreground", "--force", *words)
        self.wait_for("munge", (self._own / "munge.sock").exists)
        self._begin("slurmctld", "-D", "-i")
        for node in _NODES:
            self._begin("slurmd", "-D", "-N", node)
        self.wait_for("nodes", self._has_nodes)

    def _begin(self, *words: str) -> None:
        with (self._own / "daemons.log").open("ab") as log:
            process = subprocess.Popen(
                words, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._processes.append(process)

    def _has_nodes(self) -> bool:
        states = self.run("sinfo", "-hNo", "%t", check=False).stdout.split()
        return states == ["idle"] * len(_NODES)

    def wait_for(self, what: str, is_there: Callable[[], object]) -> None:
        """Wait until something holds, for a minute at most."""
        end = time.monotonic() + 60
        while not is_there():
            log = (self._own / "daemons.log").read_text(errors="replace")
            assert time.monotonic() < end, f"no {what}\n{log[-3000:]}"
            time.sleep(0.1)

    def run(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a tool of Slurm in its folder."""
        done = subprocess.run(
            words,
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done

    def stop(self) -> None:
        """End all jobs and daemons, and remove the folder."""
        if len(self._processes) > 1:
            self.run("scancel", "--me", check=False)
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._own, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
