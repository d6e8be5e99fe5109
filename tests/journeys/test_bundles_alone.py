"""When everything else is gone, bundles are enough.

Every job of the demo production runs again from its bundle, and is verified.

The demo was recorded over real HTTP; its repository, checkout and files are gone. All bundles are
built; then database, archive and code mirror are deleted. What is left is a shell, coreutils, the Python that the
jobs ran with (its packages belong to it), in a network namespace in which nothing can be reached,
with an empty environment but PATH.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.reruns.execution import unpack
from tests.library.productions.demo import recorded_demo

# In the process of the tutorials, which need the same production
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

COREUTILS = (
    "cat",
    "chmod",
    "cp",
    "date",
    "env",
    "head",
    "ln",
    "ls",
    "mkdir",
    "readlink",
    "rm",
    "sha256sum",
    "sha512sum",
    "sort",
    "tr",
    "uname",
    "uniq",
    "wc",
)
REPRODUCED = {"R5", "R6", "R7"}


class Kept(NamedTuple):
    """What somebody kept: the bundles.

    Everything else of the service and of the production is gone.

    Attributes:
        bundles: root of every unpacked bundle by job id.
        succeeded: ids of the jobs that did.
        merge: id of a merge job.
        gone: the folders in which the production and the service were.
    """

    bundles: dict[str, Path]
    succeeded: set[str]
    merge: str
    gone: list[Path]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Build the bundles of the demo production, keep them, delete all the rest."""
    demo = recorded_demo()
    data = tmp_path_factory.mktemp("service") / "var"
    folder = tmp_path_factory.mktemp("kept")
    demo.copy_to(data)
    app = create_app({"JOBPROV_DATA": str(data)})
    service: Service = app.extensions["jobprov"]
    jobs = app.test_client().get("/api/v1/jobs?experiment=toyexp&limit=100").get_json()["jobs"]
    bundles = {job["job_id"]: _keep_bundle(service, job["job_id"], folder) for job in jobs}
    service.close()
    shutil.rmtree(data)
    succeeded = {job["job_id"] for job in jobs if job["state"] == "succeeded"}
    merge = next(job["job_id"] for job in jobs if job["task"]["stage"] == "merge")
    return Kept(bundles, succeeded, merge, [data, demo.ran_in])


def _keep_bundle(service: Service, job_id: str, folder: Path) -> Path:
    bundle = build_bundle(service.database, service.writer, service.store, job_id)
    file = folder / f"{job_id}.tar"
    with file.open("wb") as stream:
        stream.writelines(bundle.stream())
    root = unpack(file, folder / job_id)
    # the needs of the lowest level come first; all of them are hundreds of lines
    needs = (root / "data/NEEDS.tsv").read_text().splitlines()[:8]
    assert bundle.level == "L2", "\n".join(needs)
    return root


@pytest.fixture(scope="module")
def without_routes() -> list[str]:
    """Return the words that start a program in a network namespace.

    Nothing can be reached from there.
    """
    unshare = shutil.which("unshare") or "unshare"
    for words in ([unshare, "-n"], [unshare, "-rn"]):
        try:
            subprocess.run([*words, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
        tried = subprocess.run(
            [*words, sys.executable, "-c", probe], capture_output=True, text=True, check=False
        )
        assert "Network is unreachable" in tried.stderr
        return words
    pytest.fail(
        "NO NETWORK NAMESPACE CAN BE MADE HERE (unshare -n, unshare -rn): "
        "that bundles need no network is not shown"
    )


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the shell, coreutils and the jobs' Python, and no other program."""
    folder = tmp_path_factory.mktemp("programs")
    for name in COREUTILS:
        (folder / name).symlink_to(
            shutil.which(name, path="/usr/bin:/bin") or pytest.fail(f"{name} is not here")
        )
    (folder / "sh").symlink_to(shutil.which("dash") or pytest.fail("dash is not here"))
    # not a link: a Python finds its packages by the path that it was started by
    (folder / "python3").write_text(f'#!/bin/sh\nexec {recorded_demo().python} "$@"\n')
    (folder / "python3").chmod(0o755)
    return folder


def alone(words: list[str], programs: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with nothing in its environment but PATH."""
    command = ["/usr/bin/env", "-i", f"PATH={programs}", *words]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_job_runs_again_from_its_bundle_alone(
    kept: Kept, without_routes: list[str], programs: Path, tmp_path: Path
) -> None:
    """Level R5 or better where the job succeeded; where it failed, it fails in the same way."""
    assert not any(folder.exists() for folder in kept.gone)
    levels = {}

    for job_id, root in kept.bundles.items():
        out, report = tmp_path / job_id, tmp_path / f"{job_id}.json"
        run = alone(
            [*without_routes, "sh", str(root / "data/run.sh"), str(out)], programs, tmp_path
        )
        words = ["sh", str(root / "data/verify.sh"), "--report", str(report), str(out)]
        verified = alone([*without_routes, *words], programs, tmp_path)
        assert verified.returncode == 0, f"{job_id}: {run.stderr}{verified.stdout}{verified.stderr}"
        assert (run.returncode == 0) == (job_id in kept.succeeded)
        levels[job_id] = json.loads(report.read_text())["level"]

    assert len(levels) == len(kept.bundles) >= 26
    assert {levels[job_id] for job_id in kept.succeeded} <= REPRODUCED
    assert {level for job_id, level in levels.items() if job_id not in kept.succeeded} == {"R1="}


@pytest.mark.parametrize("shell", ["dash", "busybox sh"])
def test_merge_opens_nothing_but_bundle_rerun_and_needs(
    kept: Kept, shell: str, programs: Path, tmp_path: Path
) -> None:
    """What may be opened, and why, is in `_allowed`."""
    strace = shutil.which("strace") or pytest.fail("strace is not here")
    root, out, trace = kept.bundles[kept.merge], tmp_path / "out", tmp_path / "trace"
    program, *more = shell.split()
    words = [strace, "-f", "-qq", "-y", "-e", "trace=open,openat,execve", "-o", str(trace)]
    words += [
        shutil.which(program) or pytest.fail(f"{program} is not here"),
        *more,
        str(root / "data/run.sh"),
        str(out),
    ]

    ended = alone(words, programs, tmp_path)

    assert ended.returncode == 0, ended.stderr
    opened = set(_opened(trace.read_text(errors="replace")))
    allowed = _allowed(root, out, programs)
    strange = {
        path
        for path in opened
        if not path.startswith(allowed.below) and path not in allowed.folders
    }
    assert any(path.startswith(f"{out}/work/") for path in opened)
    assert strange == set()


class Allowed(NamedTuple):
    """What a rerun may open.

    Attributes:
        below: whatever lies below these.
        folders: these folders themselves, to be listed; no file in them.
    """

    below: tuple[str, ...]
    folders: set[str]


def _opened(trace: str) -> Iterator[str]:
    """Yield the real path of what was opened or started.

    What was looked for and not found is left out.
    """
    for found in re.finditer(
        r'(?:open|openat)\(.*= \d+<(/[^>]*)>|execve\("([^"]*)".* = 0$', trace, re.MULTILINE
    ):
        path = found.group(1) or found.group(2)
        yield os.path.normpath(path)


def _allowed(root: Path, out: Path, programs: Path) -> Allowed:
    """Return where a rerun may open files.

    That is in bundle, OUT, what NEEDS.tsv names, and the parts of the system that those stand on.
    """
    needs = [line.split("\t") for line in (root / "data/NEEDS.tsv").read_text().splitlines()[1:]]
    interpreters = [Path(cells[5]) for cells in needs if cells[0] == "interpreter"]
    assert interpreters, "NEEDS.tsv names no interpreter"
    sites = {cells[5] for cells in needs if cells[0] == "pip"}  # where the distributions lie
    prefixes = {str(path.parent.parent) for path in interpreters}  # bin, lib, pyvenv.cfg
    # Of the Python that a virtual environment is made of
    prefixes |= {str(path.resolve().parent.parent) for path in interpreters}
    below = {f"{folder}/" for folder in (root, out, programs, *sites, *prefixes)} | {str(out)}
    below |= {"/usr/bin/", "/bin/"}  # shell and coreutils
    # The libraries that all of them are linked with
    below |= {
        "/lib/",
        "/lib64/",
        "/usr/lib/",
        "/etc/ld.so.cache",
    }
    # Of those
    below |= {
        "/etc/localtime",
        "/etc/locale.alias",
        "/etc/ssl/openssl.cnf",
        "/usr/share/locale/",
        "/usr/share/zoneinfo/",
    }
    # The kernel's own
    below |= {
        "/dev/null",
        "/dev/urandom",
        "/proc/",
        "/sys/devices/system/cpu",
        "/sys/fs/cgroup",
        "/sys/kernel/mm/transparent_hugepage",  # an allocator asks
    }
    # Python lists the folders that .pth files add to its import path, whether or not it imports
    # from them
    added = {
        line
        for site in sites
        for file in Path(site).glob("*.pth")
        for line in file.read_text().splitlines()
    }
    return Allowed(tuple(sorted(below)), {line for line in added if line.startswith("/")})
