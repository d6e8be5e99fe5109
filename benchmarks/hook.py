"""`python -m benchmarks.hook`: what the hook costs a job, and how many at once a service takes.

The job has 50 fcl files; another one has 150 in 484 folders of FHICL_FILE_PATH, as a LArSoft job.
*before* and *after* are without the start of Python and without a network. A replay sends spools as
real jobs fill them with the hook's own code, in threads of one process: 2,000 Pythons on one
machine would measure their start.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from benchmarks.report import print_heading
from benchmarks.running.command_line import KINDS
from benchmarks.running.places import Place, open_place
from benchmarks.running.processes import running_service
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.packing import build
from jobprov.provenance.capture.running.background import Speaker
from jobprov.provenance.capture.sending import delivery, flushing
from jobprov.provenance.client import Client

FCL_FILES = 50
SEARCHED_FOLDERS, FILES_A_FOLDER, SEARCHED_FILES = 484, 25, 150
SEARCH_MARK = 250
"""Milliseconds of CPU, with the start of Python."""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hook", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000, help="spools that are replayed")
    parser.add_argument("--at-once", type=int, default=64, help="of them at a time")
    parser.add_argument(
        "--runs", type=int, default=20, help="runs of the job whose overhead is measured"
    )
    parser.add_argument("--database", choices=(*KINDS, "both", "none"), default="both")
    chosen = parser.parse_args()
    with _job() as folder:
        print_heading("the hook around a job of 50 fcl files")
        measure_overhead(folder, chosen.runs)
        measure_search_path(folder, chosen.runs)
        for kind in (
            KINDS
            if chosen.database == "both"
            else [kind for kind in KINDS if kind == chosen.database]
        ):
            print_heading(f"{chosen.jobs} spools, {chosen.at_once} at a time, {kind}")
            with open_place(kind) as place:
                measure_replay(folder, place, chosen.jobs, chosen.at_once)


@contextmanager
def _job() -> Iterator[Path]:
    """Yield a folder with the hook and a job of 50 fcl files."""
    with TemporaryDirectory(prefix="jobprov-hook-") as name:
        folder = Path(name) / "job"
        (folder / "fcl").mkdir(parents=True)
        for number in range(FCL_FILES - 1):
            (folder / "fcl" / f"f{number}.fcl").write_text(f"a{number}: {number}\n" * 50)
        (folder / "main.fcl").write_text(
            "".join(f'#include "f{number}.fcl"\n' for number in range(FCL_FILES - 1))
        )
        build(str(folder / "hook.pyz"))
        yield folder


def measure_overhead(folder: Path, runs: int) -> None:
    """Print milliseconds before and after the command, and the hook's peak memory."""
    before, after, bare = [], [], []
    for _ in range(runs):
        begun = time.time()
        out = run_hook(folder, "run", "--", "sh", "-c", "date +%s.%N", "x", "-c", "main.fcl")
        ended, middle = time.time(), float(out)
        before.append(middle - begun)
        after.append(ended - middle)
        begun = time.time()
        subprocess.run([sys.executable, "-c", "1"], check=True)
        bare.append(time.time() - begun)
    # a small Python starts it: right after a fork, a child counts as large as its parent
    asked = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True)"
    asked += "; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [
        sys.executable,
        "-c",
        asked,
        sys.executable,
        "hook.pyz",
        "run",
        "--",
        "true",
        "-c",
        "main.fcl",
    ]
    peak = (
        int(
            subprocess.run(
                command, cwd=folder, env=_environment(folder), capture_output=True, check=True
            ).stdout
        )
        / 1024
    )
    python = min(bare)
    print(
        f"  before  best {1000 * (min(before) - python):5.0f} ms, "
        f"median {1000 * (statistics.median(before) - python):5.0f} ms   (mark 40)"
    )
    print(
        f"  after   best {1000 * min(after):5.0f} ms, "
        f"median {1000 * statistics.median(after):5.0f} ms   (mark 200)"
    )
    print(
        f"  memory  {peak:5.1f} MiB (mark 30), file "
        f"{(folder / 'hook.pyz').stat().st_size / 1000:.1f} kB (mark 150)"
    )
    shutil.rmtree(folder / "spool")


def measure_search_path(folder: Path, runs: int) -> None:
    """Print the CPU of the hook around a job whose files lie in many folders of its search path."""
    path = _fill_search_path(folder)
    environment = {**_environment(folder), "FHICL_FILE_PATH": path}
    command = [sys.executable, "hook.pyz", "run", "--", "true", "-c", "wide.fcl"]
    costs = []
    for _ in range(runs):
        before = _cpu_of_children()
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
        costs.append(1000 * (_cpu_of_children() - before))
    print(
        f"  {SEARCHED_FOLDERS} folders  best {min(costs):5.0f} ms of CPU, "
        f"median {statistics.median(costs):5.0f} ms   (mark {SEARCH_MARK})"
    )
    shutil.rmtree(folder / "spool")


def _fill_search_path(folder: Path) -> str:
    """Fill the folders of a search path, and a configuration that includes files of many of them.

    They lie outside of the job's folder, as on CVMFS.
    """
    folders, names = [], []
    release = folder.with_name(f"{folder.name}-release")
    for number in range(SEARCHED_FOLDERS):
        searched = release / f"product{number}"
        searched.mkdir(parents=True)
        folders.append(str(searched))
        for place in range(FILES_A_FOLDER):
            name = f"p{number}_{place}.fcl"
            text = f"BEGIN_PROLOG\np{number}_{place}: {{ x: {place} }}\nEND_PROLOG\n"
            (searched / name).write_text(text)
            names.append(name)
    chosen = names[:: len(names) // SEARCHED_FILES]
    (folder / "wide.fcl").write_text("".join(f'#include "{name}"\n' for name in chosen))
    return ":".join(folders)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_replay(folder: Path, place: Place, jobs: int, at_once: int) -> None:
    """Print how long the service takes for that many spools, and what a job sends.

    It also prints the longest that one spool waited.
    """
    (folder / "spool").mkdir(exist_ok=True)
    run_hook(folder, "run", "--task-id", "replay", "--", "sh", "-c", "true", "x", "-c", "main.fcl")
    [entry] = (folder / "spool" / "ready").glob("*.jobprov")
    sent = Sent()
    spools = [_spool_of(folder, entry, number) for number in range(jobs)]
    with running_service(place.settings) as (address, server):
        flush(spools.pop(), address)  # blobs that all share are there
        sent.requests = sent.size_bytes = 0
        begun = time.monotonic()
        with ThreadPoolExecutor(at_once) as pool:
            seconds = list(pool.map(lambda spool: flush(spool, address), spools))
        total = time.monotonic() - begun
        count = sum(1 for _ in Client(address).jobs(task_id="replay", limit=1000))
        memory = next(
            line
            for line in Path(f"/proc/{server}/status").read_text().splitlines()
            if "VmHWM" in line
        )
    print(
        f"  {len(spools)} in {total:.1f} s: {len(spools) / total:.0f} a second (mark 200); "
        f"longest {max(seconds):.1f} s (budget 20)"
    )
    print(f"  recorded {count} of {jobs}; the service's memory {memory.split(':')[1].strip()}")
    print(
        f"  a job: {sent.requests / len(spools):.2f} requests (mark 3), "
        f"{sent.size_bytes / len(spools):.0f} bytes (mark 3000)"
    )
    shutil.rmtree(folder / "spool")
    shutil.rmtree(folder / "spools")


def _spool_of(folder: Path, entry: Path, number: int) -> Path:
    """Return a spool of its own with the entry, as of another job."""
    ready = folder / "spools" / str(number) / "ready"
    ready.mkdir(parents=True)
    with (
        zipfile.ZipFile(entry) as source,
        zipfile.ZipFile(ready / f"{number}.0-x.jobprov", "w") as copy,
    ):
        record = source.read("record.json")
        at = record.index(b'"job_id":"') + 10
        for name in source.namelist():
            content = source.read(name)
            copy.writestr(
                name,
                content[:at] + str(uuid4()).encode() + content[at + 36 :]
                if name == "record.json"
                else content,
            )
    return ready.parent


class Sent:
    """Counts what the hook sends: requests, and bytes of their bodies."""

    def __init__(self) -> None:
        self.requests = self.size_bytes = 0
        self._call, self._lock = delivery.Service.call, threading.Lock()
        counter = self

        def call(service: Any, method: str, path: str, body: bytes, headers: Any) -> Any:
            return counter.count(service, method, path, body, headers)

        delivery.Service.call = call

    def count(self, service: Any, method: str, path: str, body: bytes, headers: Any) -> Any:
        """Count a request, and send it."""
        with self._lock:
            self.requests += 1
            self.size_bytes += len(body)
        return self._call(service, method, path, body, headers)


def flush(spool: Path, address: str) -> float:
    """Send a spool as `flush` does; return the seconds."""
    begun = time.monotonic()
    options = Options(["--url", address, str(spool)], {})
    speaker = Speaker(options)
    speaker.say = lambda sentence: None if sentence.startswith("sent 1,") else print(" ", sentence)
    flushing.flush(options, {}, speaker)
    return time.monotonic() - begun


def run_hook(folder: Path, *words: str) -> bytes:
    """Return what the hook's command wrote."""
    command = [sys.executable, "hook.pyz", *words]
    return subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, check=True
    ).stdout


def _environment(folder: Path) -> dict[str, str]:
    named = {"HOME": str(folder), "FHICL_FILE_PATH": "fcl", "JOBPROV_EXPERIMENT": "bench"}
    return {**named, "PATH": os.environ["PATH"], "JOBPROV_SPOOL": str(folder / "spool")}


if __name__ == "__main__":
    main()
