"""`python -m benchmarks.stacks.proving`: what `jobprov prove` takes beside the jobs' own time.

Each job sleeps for a second, and is the first of its recipe. Mark: 2 s beside the job's own time.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.stacks.service import running_service
from jobprov.provenance.capture.packing import build
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.work.queue import Parts, drain

_JOB_SECONDS = 1


def main() -> None:
    """Record jobs, prove their recipes, print seconds a recipe."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stacks.proving", description=__doc__
    )
    parser.add_argument("--recipes", type=int, default=4)
    recipes = parser.parse_args().recipes
    with TemporaryDirectory(prefix="jobprov-proving-") as folder:
        data, hook = Path(folder) / "data", Path(folder) / "job-end-hook.pyz"
        data.mkdir()
        build(str(hook))
        with running_service(data) as (url, service):
            for number in range(recipes):
                _record(Path(folder) / f"job-{number}", hook, url)
            drain(Parts(service.database, service.writer, service.store, data / "git"), HANDLERS)
            proving = _seconds_to_prove(data)
            start = _seconds_to_prove(data)  # nothing is due
    beside = (proving - start) / recipes - _JOB_SECONDS
    load = os.getloadavg()[0]
    print(f"{recipes} recipes in {proving:.1f} s, of which the command's start is {start:.1f} s")
    print(f"a recipe: {beside:.1f} s beside the job's own time (mark 2 s; load {load:.1f})")


def _record(folder: Path, hook: Path, url: str) -> None:
    folder.mkdir()
    (folder / "job.sh").write_text(f"sleep {_JOB_SECONDS}; echo {folder.name} > out.txt\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "JOBPROV_SPOOL": f"{folder}-spool",
    }
    command = [sys.executable, str(hook), "run", "--url", url, "--experiment", "toy"]
    subprocess.run([*command, "--", "sh", "job.sh"], cwd=folder, env=environment, check=True)


def _seconds_to_prove(data: Path) -> float:
    program = "from jobprov.app.cli import main; main()"
    words = ["prove", "--jobs", "100000", "--seconds", "3600", "--data", str(data)]
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", program, *words], check=True, stdout=sys.stderr)
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
