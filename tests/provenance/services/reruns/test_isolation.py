"""Reruns have no network but loopback, and no rights that it took to bring that up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobprov.provenance.services.reruns.isolation import apart

_JOB = """
import os, socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname(), timeout=5)
print("asked its own server")
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print("elsewhere:", error.strerror)
[rights] = [line for line in open("/proc/self/status") if line.startswith("CapAmb")]
print("ambient:", int(rights.split()[1], 16))
"""


@pytest.mark.skipif(not apart().is_offline, reason="NO NAMESPACES HERE: loopback is not tested")
@pytest.mark.parametrize("programs", [("ip",), ()], ids=["by ip", "by Python"])
def test_job_without_network_may_ask_a_server_of_its_own(
    programs: tuple[str, ...], tmp_path: Path
) -> None:
    isolation = apart()
    for name in ("sh", "unshare", "setpriv", *programs):
        if found := shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            (tmp_path / name).symlink_to(found)

    answer = subprocess.run(
        [*isolation.prefix, sys.executable, "-c", _JOB],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    lines = ["asked its own server", "elsewhere: Network is unreachable", "ambient: 0"]
    assert answer.stdout.splitlines() == lines, answer.stderr
