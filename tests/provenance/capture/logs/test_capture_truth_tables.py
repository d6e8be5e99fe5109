"""Every cell of the truth tables of real art jobs, as the record has it.

The tables were written from how each job was made. What no log and no database of a job holds is
left out by name: a crash in event 7 of a job that prints every hundredth event.
"""

import csv
import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobprov.provenance.capture.logs import failure, findings
from jobprov.provenance.capture.logs.clues import Clues
from jobprov.provenance.capture.logs.findings import _numbered
from tests.library.hook import Runner, entry_of

FLOOR = 0.95
COLUMNS = (
    "exit_code",
    "closing_line_status",
    "phase",
    "category",
    "module_label",
    "module_type",
    "run/subrun/event",
)
SAME_CATEGORY = {
    "(dynamic linker)": "symbol lookup error",
    "(std::exception)": "std::exception",
    "(bad_alloc)": "std::bad_alloc",
    "(bad option)": "bad option",
    "(abort) Configuration": "Configuration",
    "(SIGINT, status 0)": "SIGINT",
    "(success)": "",
}
IN_NO_LOG = {  # job: its module and event are in nothing that it left
    "36-segv-event": ("module_label", "module_type", "run/subrun/event"),
    "37-segv-construct": ("module_label", "module_type"),
    "38-abort-event": ("module_label", "module_type", "run/subrun/event"),
    "44-hang-term-kill": ("module_label", "module_type", "run/subrun/event"),
    "82-segv-with-trace": ("module_label", "module_type", "run/subrun/event"),
}


def truth(shared_data: Path) -> list[dict[str, str]]:
    text = (shared_data / "art-jobs" / "expected.tsv").read_text()
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def wanted_cells(job: dict[str, str]) -> dict[str, str]:
    """Return the cells of a job that its logs, databases and configuration hold."""
    cells = {name: job[name] for name in COLUMNS if job[name]}
    for name in IN_NO_LOG.get(job["job"], ()):
        del cells[name]
    category = cells["category"]
    cells["category"] = SAME_CATEGORY.get(category, category.strip("()"))
    return cells


def told_cells(record: dict[str, Any]) -> dict[str, str]:
    """Return the same cells as a record has them."""
    extra = record.get("extra", {})
    found = extra.get("failure", {}).get("art", {})
    suffix = ""
    if not found and extra.get("warnings"):
        (found,) = extra["warnings"]["art"]
        suffix = {"warning": " (warning)", "error": " (log error)"}[found["severity"]]
        suffix = "" if found["category"] == "SIGINT" else suffix
    numbers = [str(found[name]) for name in ("run", "subrun", "event") if name in found]
    return {
        "exit_code": str(record["exit"]["code"]),
        "closing_line_status": str(extra.get("closing_status", {}).get("art", "")),
        "phase": (found.get("phase") or "") + suffix,
        "category": found.get("category", ""),
        "module_label": found.get("module_label", ""),
        "module_type": found.get("module_type", found.get("service", "")),
        "run/subrun/event": "/".join(numbers),
    }


def is_told(name: str, wanted: str, found: str) -> bool:
    """Whether a cell is right.

    Where a signal ended art between two lines of its log, that tells the event loop, not the event.
    """
    if name == "phase" and wanted == "event" and found == "event loop":
        return True
    return wanted == found


def compare(jobs: list[tuple[dict[str, str], dict[str, Any]]]) -> None:
    """Print how many cells of (truth, record) are right, and fail below the floor."""
    count, misses = 0, []
    for job, record in jobs:
        found = told_cells(record)
        for name, wanted in wanted_cells(job).items():
            count += 1
            if not is_told(name, wanted, found[name]):
                misses.append((job["job"], name, wanted, found[name]))
    share = (count - len(misses)) / count
    print(f"\n{count - len(misses)} of {count} cells, {share:.1%}", *misses, sep="\n")
    assert count > 200
    assert share >= FLOOR, misses


def record_of(folder: Path, release: Path) -> dict[str, Any]:
    """Return the parts of a record that a job's own files give, without running anything."""
    job = json.loads((folder / "job.json").read_text())
    logs = [
        (name, (folder / file).read_bytes(), False)
        for file, name in (("stdout.txt", "stdout"), ("stderr.txt", "stderr"), ("job.log", "j.log"))
        if (folder / file).exists()
    ]
    final = folder / "config-out.fcl"
    fcl = [final, folder / "job.fcl"] if final.exists() else [folder / "job.fcl"]
    contents = [path.read_bytes() for path in [*fcl, *sorted(release.rglob("*.fcl"))]]
    databases = [str(path) for path in folder.glob("timing.db")]
    outcome = SimpleNamespace(code=job["exit_code"], signal=job["signal"], error=None, logs=logs)
    record: dict[str, Any] = {"exit": {"code": job["exit_code"]}, "extra": {}}
    if outcome.code:
        found = failure.find(outcome, Clues(contents, databases, job["command"]))
        record["extra"]["failure"] = {"art": _numbered(found)}
    else:
        record["extra"]["warnings"] = {"art": found} if (found := suppressed(outcome)) else {}
    status = findings.closing_status(outcome)
    if status is not None:
        record["extra"]["closing_status"] = {"art": status}
    return record


def suppressed(outcome: SimpleNamespace) -> list[dict[str, Any]]:
    return [_numbered(finding) for finding in failure.find_suppressed(outcome)]


def test_cells_of_the_truth_tables_are_read_from_what_jobs_left(shared_data: Path) -> None:
    jobs = shared_data / "art-jobs"

    compare(
        [(job, record_of(jobs / job["job"], jobs / "00-release")) for job in truth(shared_data)]
    )


@pytest.mark.slow
def test_cells_of_the_truth_tables_are_in_the_records_of_the_hook(
    compiled_hook: str, shared_data: Path, tmp_path: Path
) -> None:
    """Each job that failed or warned is run again by a stand-in that prints, leaves and returns what art did."""
    jobs = shared_data / "art-jobs"
    told = []
    for job in truth(shared_data):
        if job["category"] == "(success)":
            continue
        folder = tmp_path / job["job"]
        folder.mkdir()
        told.append((job, replay(Runner(compiled_hook, folder), jobs / job["job"])))

    compare(told)


def replay(runner: Runner, job: Path) -> dict[str, Any]:
    facts = json.loads((job / "job.json").read_text())
    left = [name for name in ("timing.db", "job.log", "config-out.fcl") if (job / name).exists()]
    end = f"exit {facts['exit_code']}"
    if facts["signal"]:
        end = f"kill -{signal.Signals(facts['signal']).name[3:]} $$"
    copies = "".join(f"cp {job / name} .\n" for name in left)
    program = runner.folder / "art"
    program.write_text(
        f"#!/bin/sh\n{copies}cat {job}/stdout.txt\ncat {job}/stderr.txt >&2\n{end}\n"
    )
    program.chmod(0o755)
    release = job.parent / "00-release"
    path = {"FHICL_FILE_PATH": f"{job}:{release}/toyexp:{release}/toycore"}
    runner("run", "--", "./art", *facts["command"][1:], environment=path)
    record, _ = entry_of(runner)
    return record
