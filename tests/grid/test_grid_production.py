"""A production of scripts that know nothing of jobprov, with the hook in the submit file alone.

Three stages with habits of real experiments: one works in its scratch folder, has a background
process, two outputs and packed logs, and copies by another name first, as ifdh does; one stages in
under another name and ends in `echo done` whatever happened; one is a program of Python that writes
right into the group's folder. Every other job fails, dies, is held, is removed before it begins,
makes nothing or half of it, or loses what it made on the way to its storage.
JOBPROV_TRIAL_UNITS sets the number of units of each stage.
"""

import csv
import hashlib
import json
import os
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.library.commands import JOBPROV
from tests.library.grid.scene import Scene, opened_scene
from tests.library.servers.catalogs import SamServer, Shelf

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_production")]

UNITS = int(os.environ.get("JOBPROV_TRIAL_UNITS", "10"))
STAGES = ("gen", "sim", "ana")
MU2E = """#!/usr/bin/python3
# Takes mu2e's options, writes mu2e's words; fails for the units whose mark is not mended yet.
import os, sys, time
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
time.sleep(0.5)
for folder in os.environ["FHICL_FILE_PATH"].split(":"):
    path = os.path.join(folder, words["-c"])
    if os.path.exists(path):
        text = open(path).read()
        break
read = open(words["-s"]).read() if "-s" in words else ""
if os.path.exists(words.get("--fails", "/nowhere")):
    print("---- OtherArt BEGIN")
    print("  ---- BadTable BEGIN")
    print("    no such table")
    print("  ---- BadTable END")
    print("---- OtherArt END")
    print("Art has completed and will exit with status 1.")
    sys.exit(1)
open(words["-o"], "w").write(words["-o"] + text + read)
if "-T" in words:
    open(words["-T"], "w").write("histograms of " + words["-o"])
print("TrigReport Events total = 10 passed = 10 failed = 0")
print("Art has completed and will exit with status 0.")
"""
SCRIPTS = {
    "gen": """#!/bin/bash
set -e
export PATH=$RELEASE/bin:$PATH FHICL_FILE_PATH=.:$RELEASE/fcl
ifdh_cp() { cp $1 $2/$1.tmp.$$ && mv $2/$1.tmp.$$ $2/$1; }
cd $_CONDOR_SCRATCH_DIR
(while sleep 0.2; do cut -d' ' -f1 /proc/loadavg >> load_$1.txt; done) &
watching=$!
trap 'kill $watching; tar czf logs_gen_$1.tgz *.log *.txt && cp logs_gen_$1.tgz $STORE/logs/' EXIT
[ ! -f $MARKS/kill-gen-$1 ] || kill -9 $$
echo '#include "gen.fcl"' > my.fcl
mu2e -c my.fcl -o gen_$1.art -T hist_$1.art --fails $MARKS/fail-gen-$1 > mu2e.log 2>&1
ifdh_cp gen_$1.art $STORE/gen
[ -f $MARKS/half-gen-$1 ] || ifdh_cp hist_$1.art $STORE/hist
rm gen_$1.art hist_$1.art
""",
    "sim": """#!/bin/bash
export PATH=$RELEASE/bin:$PATH FHICL_FILE_PATH=$RELEASE/fcl
cp $STORE/gen/gen_$1.art in.art
mu2e -c sim.fcl -s in.art -o sim_$1.art --fails $MARKS/fail-sim-$1 2>&1 | tee sim_$1.log
[ ! -f $MARKS/lost-sim-$1 ] || STORE=$STORE/tape
mv sim_$1.art $STORE/sim/
tar czf sim_logs_$1.tgz sim_$1.log
echo done
""",
    "ana": """#!/usr/bin/python3
import os, shutil, subprocess, sys
unit, store, marks = sys.argv[1], os.environ["STORE"], os.environ["MARKS"]
if os.path.exists("%s/nothing-ana-%s" % (marks, unit)):
    sys.exit(0)
words = ["%s/sim/sim_%s.art" % (store, unit), "%s/ana/sel_%s.csv" % (store, unit)]
subprocess.check_call(["/usr/bin/python3", os.environ["RELEASE"] + "/bin/count.py"] + words)
open("summary.json", "w").write('{"unit": "%s"}' % unit)
shutil.copyfile("summary.json", "%s/ana/sel_%s.json" % (store, unit))
with open(store + "/ALL.txt", "a") as together:
    together.write(unit)
""",
}
COUNT = """
import sys, time
time.sleep(0.3)
text = str(len(open(sys.argv[1]).read()))
open(sys.argv[2], "w").write(text)
"""
PATTERNS = {
    "gen": ["gen_*.art", "hist_*.art"],
    "sim": ["sim_*.art"],
    "ana": ["sel_*.csv", "sel_*.json"],
}
SUBMIT = """
executable = /bin/sh
transfer_executable = False
arguments = "-c 'exec /usr/bin/python3 job-end-hook.pyz run --url {url} -- ./{stage}.sh {unit}'"
environment = "JOBPROV_EXPERIMENT='mu2e' JOBPROV_TASK_ID='{stage}' JOBPROV_UNIT='{unit}' \\
 RELEASE='{folder}/release' STORE='{folder}/store' MARKS='{folder}/marks'"
should_transfer_files = YES
when_to_transfer_output = ON_EXIT
transfer_input_files = {hook}, {stage}.sh{more}
transfer_output_files = ""
requirements = {requirements}
output = {stage}-{unit}.out
error = {stage}-{unit}.err
log = {stage}.log
request_memory = 64M
request_disk = 10M
queue
"""


class Production(Scene):
    """A pool, a service that was told of the units, and all jobs of three stages over.

    Attributes:
        store: the storage folder of the production.
        bad: what goes wrong at first: {(stage, unit): how}.
        tried: (stage, unit) of the jobs that were submitted.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "mu2e")
        folders = ("release", "release/bin", "release/fcl", "store", "store/hist", "store/logs")
        for name in (*folders, "marks"):
            self.pool.make_folder(name)
        self.pool.put("release/bin/mu2e", MU2E, 0o755)
        self.pool.put("release/bin/count.py", COUNT)
        for stage in STAGES:
            self.pool.make_folder(f"store/{stage}")
            self.pool.put(f"jobs/{stage}.sh", SCRIPTS[stage], 0o755)
            self.pool.put(
                f"release/fcl/{stage}.fcl", f'#include "base.fcl"\nprocess_name: {stage}\n'
            )
        self.pool.put("release/fcl/base.fcl", "tune: 1\n")
        self.store = self.pool.folder / "store"
        self.tried: set[tuple[str, str]] = set()
        self.bad: dict[tuple[str, str], str] = {}
        for number in range(UNITS):
            unit = str(number)
            ways = {3: ("gen", "fail"), 7: ("gen", "kill"), 9: ("gen", "held")}
            ways |= {8: ("gen", "half"), 1: ("sim", "fail"), 5: ("ana", "nothing")}
            ways |= {2: ("sim", "lost"), 6: ("gen", "never")}
            if number % 10 in ways:
                stage, way = ways[number % 10]
                self.bad[stage, unit] = way
                self.pool.put(f"marks/{way}-{stage}-{unit}", "")

    def run(self) -> None:
        """Declare the stages, submit each for the files that are there, and wait for its end."""
        for stage in STAGES:
            body = {"experiment": "mu2e", "campaign": "c1", "stage": stage, "units": self.units()}
            body["output_patterns"] = PATTERNS[stage]
            address = f"{self.service.url}/api/v1/tasks/{stage}"
            assert requests.put(address, json=body, timeout=30).ok
            before = STAGES[STAGES.index(stage) - 1] if stage != STAGES[0] else None
            for unit in self.units():
                if before is None or self.file(before, unit).exists():
                    job = self.submit(stage, unit)
                    if self.bad.get((stage, unit)) == "never":
                        self.pool.run("condor_rm", job)
            self.wait_for_jobs()

    def units(self) -> list[str]:
        return [str(number) for number in range(UNITS)]

    def file(self, stage: str, unit: str) -> Path:
        """Return the first file of a unit."""
        return self.files_of(stage, unit)[0]

    def files_of(self, stage: str, unit: str) -> list[Path]:
        """Return where the files of a unit are to be."""
        found = []
        for pattern in PATTERNS[stage]:
            folder = "hist" if pattern.startswith("hist") else stage
            found.append(self.store / folder / pattern.replace("*", unit))
        return found

    def done(self, stage: str) -> list[str]:
        """Return the units of which all files are there."""
        units = self.units()
        return [unit for unit in units if all(map(Path.exists, self.files_of(stage, unit)))]

    def submit(self, stage: str, unit: str) -> str:
        """Submit the job of a unit; return its `cluster.0`."""
        way = self.bad.get((stage, unit))
        words = {"url": self.service.url, "hook": self.hook, "folder": self.pool.folder}
        words["more"] = ", /nonexistent/table" if way == "held" else ""
        words["requirements"] = "(time() - QDate) > 15" if way == "never" else "True"
        self.tried.add((stage, unit))
        text = SUBMIT.format(stage=stage, unit=unit, **words)
        return self.pool.submit(f"{stage}-{unit}", text)

    def job_of(self, stage: str, unit: str) -> str:
        """Return the id of the only job of a unit."""
        [job] = [job for job in self.jobs(task_id=stage) if job["task"]["unit"] == unit]
        return str(job["job_id"])

    def order_by_page(self, stage: str, jobs: list[str]) -> None:
        """Order retries of a task's jobs by the form of its retry page."""
        form = {"experiment": "mu2e", "task_id": stage, "job": jobs, "do": "order"}
        form |= {"who": "shift", "why": "the storage is back"}
        answer = requests.post(f"{self.service.url}/retry", data=form, timeout=60)
        assert f"{len(jobs)} job" in answer.text.split('role="status">')[1], answer.text

    def run_agent_until(self, is_over: Callable[[], bool]) -> None:
        """Let `jobprov agent` submit what is ordered, as the jobs' owner, until something holds."""
        folder = self.pool.make_folder("agent")
        words = ["agent", "--experiment", "mu2e", "--folder", str(folder), "--interval", "1"]
        with (self.folder / "agent.log").open("wb") as log:
            agent = subprocess.Popen(
                [*self.as_owner(), *JOBPROV, *words],
                env=self.agent_environment(),
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        try:
            self.pool.wait_for("the retries to end", is_over, 120 + 3 * UNITS)
        finally:
            agent.kill()
            agent.wait()

    def wait_for_jobs(self) -> None:
        """Wait until no job runs or waits but those that are held."""

        def is_over() -> bool:
            asked = self.pool.run("condor_q", "-af", "JobStatus").stdout.split()
            return all(status == "5" for status in asked)

        self.pool.wait_for("the jobs of a stage to end", is_over, 60 + 3 * UNITS)

    def jobs(self, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.ask("/jobs", limit="200", **query, **cursor)
            found += page["jobs"]
            if not page["next"]:
                return found
            cursor = {"cursor": page["next"]}


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    with opened_scene(lambda: Production(tmp_path_factory.mktemp("production"))) as made:
        made.run()
        made.witness("--experiment", "mu2e")
        yield made


def test_units_counted_done_are_the_files_that_exist(production: Production) -> None:
    for stage in STAGES:
        progress = production.ask(f"/tasks/{stage}")
        assert progress["produced"] == len(production.done(stage)), stage
        assert progress["produced_files"] == len(production.done(stage)) * len(PATTERNS[stage])
        assert progress["expected"] == UNITS
    campaign = production.ask("/campaigns/c1")
    counts = {stage["stage"]: stage["units"]["produced"] for stage in campaign["stages"]}
    assert counts == {stage: len(production.done(stage)) for stage in STAGES}
    page = production.page("/campaigns/mu2e/c1")
    lead = page.split('<p class="lead">')[1].split("</p>")[0]
    assert f"{sum(counts.values())} of {UNITS * len(STAGES)} units done" in lead


def test_every_output_has_a_producer(production: Production) -> None:
    for stage in STAGES:
        files = [
            file for unit in production.done(stage) for file in production.files_of(stage, unit)
        ]
        for file in files:
            answer = production.ask(f"/files/{file.name}")
            assert answer["producer"]["task"]["task_id"] == stage
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            assert f"sha256:{digest}" in json.dumps(answer["versions"][0]), answer["versions"]


def test_every_art_program_has_its_fcl(production: Production) -> None:
    seen = 0
    for stage in ("gen", "sim"):
        for job in production.jobs(task_id=stage):
            record = production.ask(f"/jobs/{job['job_id']}")["merged"]
            programs = [
                step for step in record["command"].get("steps", ()) if step["role"] == "program"
            ]
            configured = {entry["step"] for entry in record.get("configurations", ())}
            assert {step["name"] for step in programs} == configured
            seen += len(programs)
    assert seen >= UNITS  # of gen all but those that were killed or held, and of sim the rest


def test_each_unit_that_went_wrong_says_how(production: Production) -> None:
    words = {"fail": "failed", "kill": "killed", "held": "held"}
    words |= {"nothing": "no_output", "half": "no_output", "lost": "no_output", "never": "killed"}
    for (stage, unit), way in production.bad.items():
        if (stage, unit) not in production.tried:
            continue
        units = production.ask(f"/tasks/{stage}/missing")["missing"]
        states = {missing["unit"]: missing["state"] for missing in units}
        assert states[unit] == words[way], (stage, unit)


def test_streams_and_exit_codes_are_those_of_the_scripts(production: Production) -> None:
    for unit in production.units():
        file = production.pool.folder / "jobs" / f"sim-{unit}.out"
        if file.exists():
            assert file.read_text().endswith("done\n")
            errors = (production.pool.folder / "jobs" / f"sim-{unit}.err").read_text()
            assert "jobprov: not recorded" not in errors


def test_every_page_call_command_and_export_counts_the_same(production: Production) -> None:
    done = {stage: len(production.done(stage)) for stage in STAGES}
    files = {stage: done[stage] * len(PATTERNS[stage]) for stage in STAGES}
    whole = f"{sum(done.values())} of {UNITS * len(STAGES)} units done"
    for stage in STAGES:
        of_stage = f"{done[stage]} of {UNITS} units done"
        assert of_stage in production.page(f"/tasks/{stage}?experiment=mu2e")
        said = production.service.run("task", stage, "--experiment", "mu2e")
        assert said.stdout.startswith(of_stage)
        missing = ("missing", stage, "--experiment", "mu2e", "--format", "plain")
        assert len(production.service.run(*missing).stdout.split()) == UNITS - done[stage]
        retry = production.page(f"/retry?experiment=mu2e&task_id={stage}")
        undone = f'Units that are not done <span class="count">{UNITS - done[stage]}</span>'
        assert undone in retry
    assert whole in production.page("/reports/mu2e/c1")
    assert whole in production.service.run("report", "c1", "--experiment", "mu2e").stdout
    [sample] = production.ask("/samples")["samples"]
    assert {cell["data_tier"]: cell["files"] for cell in sample["cells"]} == files
    lines = production.page("/samples/mu2e?format=csv").splitlines()
    rows = csv.DictReader(lines)
    assert {row["data_tier"]: int(row["files"]) for row in rows} == files
    site = production.folder / "site"
    words = ("export-site", str(site), "--experiment", "mu2e", "--campaign", "c1")
    assert production.service.run(*words).returncode == 0
    assert whole in (site / "index.html").read_text()


def test_catalog_names_jobs_without_output_and_files_that_never_arrived(
    production: Production, tmp_path: Path
) -> None:
    """SAM has what the jobs of `sim` stored, but for the first file."""
    shelf = Shelf()
    for unit in production.units():
        shelf.add(unit)
    late, *arrived = production.done("sim")
    for unit in arrived:
        file = production.file("sim", unit)
        content = file.read_bytes()
        shelf.add(
            file.name,
            size_bytes=len(content),
            checksums={"adler32": f"{zlib.adler32(content):08x}"},
            parents=[unit],
            metadata={"prov.task_id": "sim"},
        )
    server = SamServer(shelf)
    named = tmp_path / "catalogs.toml"
    named.write_text(f'[mu2e]\nkind = "sam"\nurl = "{server.url}"\n')
    try:
        words = ("catalog", "sync", "--experiment", "mu2e", "--task", "sim")
        synced = production.service.run(*words, JOBPROV_CATALOGS=str(named))
        assert synced.returncode == 0, synced.stdout + synced.stderr
    finally:
        server.close()

    words = ("catalog", "differences", "sim", "--experiment", "mu2e", "--late-after-hours", "0")
    told = production.service.run(*words, "--json")

    assert told.returncode == 1, told.stderr
    found = {
        difference["kind"]: [file["name"] for file in difference["files"]]
        for difference in json.loads(told.stdout)["differences"]
    }
    ways = production.bad.items()
    assert found == {
        "no-output": [unit for (stage, unit), way in ways if (stage, way) == ("sim", "lost")],
        "never-arrived": [production.file("sim", late).name],
    }
    text = production.service.run(*words).stdout
    assert "succeeded, and fewer of its files than declared were seen or are left" in text
    assert "it never arrived in the catalog" in text


def test_what_failed_is_retried_by_the_page_and_lies_at_its_place(production: Production) -> None:
    """It mends what went wrong; orders are submitted by the agent, as on a site."""
    for mark in (production.pool.folder / "marks").iterdir():
        mark.unlink()
    retried = {}
    for (stage, unit), way in production.bad.items():
        if way in ("fail", "kill", "nothing", "lost") and (stage, unit) in production.tried:
            retried[stage, unit] = production.job_of(stage, unit)
    for stage in STAGES:
        jobs = [job for (of_stage, _), job in retried.items() if of_stage == stage]
        if jobs:
            production.order_by_page(stage, jobs)

    def are_done() -> bool:
        return all(unit in production.done(stage) for stage, unit in retried)

    def are_counted() -> bool:
        answers = {stage: production.ask(f"/tasks/{stage}") for stage in STAGES}
        return all(answers[stage]["produced"] == len(production.done(stage)) for stage in STAGES)

    production.run_agent_until(lambda: are_done() and are_counted())

    for (stage, unit), job in retried.items():
        for file in production.files_of(stage, unit):
            answer = production.ask(f"/files/{file.name}")
            assert answer["producer"]["retry_of"] == job
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            assert f"sha256:{digest}" in json.dumps(answer["versions"][0])


def test_job_that_never_began_is_submitted_as_it_was(production: Production) -> None:
    """Its unit has no bundle: nothing of it ever ran. The retry is its first try."""
    never = [unit for (_, unit), way in production.bad.items() if way == "never"]
    unit = never[0]
    job = production.job_of("gen", unit)
    folder = production.pool.make_folder("as-submitted")
    words = ["retry", job, "--experiment", "mu2e", "--as-submitted", "-o", str(folder)]
    written = production.service.run(*words, **production.condor)
    assert written.returncode == 0, written.stdout + written.stderr

    production.pool.give(folder)
    production.pool.run("./as-submitted.sh", cwd=folder)
    production.wait_for_jobs()

    assert unit in production.done("gen")
    progress = production.ask("/tasks/gen")
    assert progress["produced"] == len(production.done("gen"))
    [first, again] = sorted(
        (job for job in production.jobs(task_id="gen") if job["task"]["unit"] == unit),
        key=lambda job: job["state"],
    )
    assert (first["state"], again["state"]) == ("killed", "succeeded")
    assert first["job_id"] == job
