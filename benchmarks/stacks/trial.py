"""The whole trial: record all cases, build their bundles, move all away, rerun, judge."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import requests

from benchmarks.stacks.cases import Case
from benchmarks.stacks.judging import Class, Outcome, judge, with_proof
from benchmarks.stacks.recording import Recorded, Site, missing_needs, record
from benchmarks.stacks.rerunning import run_again
from jobprov.app.wiring import Service
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.work.queue import Parts, drain


@dataclass(frozen=True)
class Plan:
    """How a trial is done.

    Attributes:
        mode: a word for the table.
        workers: how many cases run at a time.
        user: who runs the jobs again; root may name somebody else.
        is_proving: whether `jobprov prove` runs while all is still there.
        has_capsules: whether each job also runs inside a capsule of its own.
        say: takes lines about the progress.
    """

    mode: str = "usual"
    workers: int = 2
    user: str | None = None
    is_proving: bool = False
    has_capsules: bool = False
    say: Callable[[str], None] = lambda _line: None


def try_cases(
    cases: Sequence[Case], site: Site, service: Service, data: Path, plan: Plan
) -> list[Outcome]:
    """Record the cases, move away all that they brought, rerun them from their bundles, judge.

    Args:
        cases: what to try; those whose programs are missing are skipped, and said to be.
        site: where they run.
        service: the service at `site.url`.
        data: its folder.
        plan: how it is done.
    """
    outcomes, ready = [], []
    for case in cases:
        missing = missing_needs(case, site.venv)
        if missing:
            why = f"this machine lacks {', '.join(missing)}"
            outcomes.append(_not_tried(case, plan.mode, Class.SKIPPED, why))
        else:
            ready.append(case)
    with ThreadPoolExecutor(plan.workers) as pool:
        plan.say(f"recording {len(ready)} cases")
        recorded = list(pool.map(lambda case: record(case, site), ready))
        for one in recorded:
            _register(service, one)
        _do_what_is_due(service, data)
        plan.say("building their bundles")
        jobs = [_keep(service, site, one) for one in recorded]
        proven = jobs
        if plan.is_proving:
            plan.say("proving them")
            _run_jobprov(data, "prove", "--jobs", "100000", "--seconds", "3600", "--json")
            _do_what_is_due(service, data)
            proven = [_shown(site, one) for one in recorded]
        plan.say("moving away all that they brought, and running them again")
        _move_away(site, recorded)
        outcomes += pool.map(partial(_try_again, site, plan), recorded, jobs, proven)
        if plan.has_capsules:
            plan.say("\nrunning them in capsules")
            outcomes += pool.map(partial(_try_in_capsule, site, data, plan), recorded, jobs)
    return outcomes


def record_cases(cases: Sequence[Case], site: Site, workers: int) -> None:
    """Record the cases and nothing else, as the first jobs of their kinds."""
    ready = [case for case in cases if not missing_needs(case, site.venv)]
    with ThreadPoolExecutor(workers) as pool:
        for one in pool.map(lambda case: record(case, site), ready):
            shutil.rmtree(one.var_tmp, ignore_errors=True)
    shutil.rmtree(site.jobs)
    site.jobs.mkdir()


def _not_tried(case: Case, mode: str, verdict: Class, why: str) -> Outcome:
    return Outcome(case.name, mode, case.nasty, case.is_deterministic, verdict, why)


def _do_what_is_due(service: Service, data: Path) -> None:
    drain(Parts(service.database, service.writer, service.store, data / "git"), HANDLERS)


def _run_jobprov(data: Path, *words: str) -> int:
    """Run a command of jobprov as an operator would; return its exit code."""
    program = "from jobprov.app.cli import main; main()"
    command = [sys.executable, "-c", program, *words, "--data", str(data)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    (data.parent / "operator.log").open("a").write(f"{words}\n{ended.stdout}{ended.stderr}\n")
    return ended.returncode


def _register(service: Service, recorded: Recorded) -> None:
    for number, folder in enumerate(recorded.case.repositories):
        name = f"{recorded.case.name}-{number}-{recorded.job_id[:8]}"
        path = str(recorded.root / folder)
        service.write(partial(register_repository, name=name, url=path))


def _keep(service: Service, site: Site, recorded: Recorded) -> dict[str, Any]:
    """Keep the job's bundle in a file; return the job as the service shows it."""
    job = _shown(site, recorded)
    if "grade" in job:
        bundle = build_bundle(service.database, service.writer, service.store, recorded.job_id)
        file = _bundle_file(site, recorded)
        file.parent.mkdir(exist_ok=True)
        with file.open("wb") as stream:
            stream.writelines(bundle.stream())
    return job


def _shown(site: Site, recorded: Recorded) -> dict[str, Any]:
    if recorded.broken:
        return {}
    answer = requests.get(f"{site.url}/api/v1/jobs/{recorded.job_id}", timeout=60)
    if answer.status_code != requests.codes.ok:
        return {"lost": answer.text}
    job: dict[str, Any] = answer.json()
    return job


def _bundle_file(site: Site, recorded: Recorded) -> Path:
    return site.jobs.parent / "bundles" / f"{recorded.case.name}.tar"


def _move_away(site: Site, recorded: Sequence[Recorded]) -> None:
    """Move the folders to a place where no rerun looks; people may want to see them."""
    site.jobs.rename(site.jobs.parent / "moved-away")
    for one in recorded:
        if one.var_tmp.exists():
            shutil.move(one.var_tmp, site.jobs.parent / "moved-away" / one.case.name / "var-tmp")


def _try_again(
    site: Site, plan: Plan, recorded: Recorded, job: dict[str, Any], proven: dict[str, Any]
) -> Outcome:
    case = recorded.case
    if recorded.broken:
        return _not_tried(case, plan.mode, Class.BROKEN, recorded.broken)
    if "lost" in job:
        why = f"no record: {recorded.printed[-300:]}"
        return _not_tried(case, plan.mode, Class.SILENT, why)
    folder = site.jobs.parent / "again" / case.name
    folder.mkdir(parents=True)
    rerun = run_again(recorded, _bundle_file(site, recorded), folder, plan.user)
    outcome = judge(recorded, job, rerun, plan.mode)
    if plan.is_proving:
        outcome = with_proof(outcome, judge(recorded, proven, rerun, plan.mode), proven)
    print(".", end="", file=sys.stderr, flush=True)
    return outcome


def _try_in_capsule(
    site: Site, data: Path, plan: Plan, recorded: Recorded, job: dict[str, Any]
) -> Outcome:
    """Make a capsule of the job's trace, completed from this machine, and run the job in it."""
    case, mode = recorded.case, f"{plan.mode}+capsule"
    if "grade" not in job:
        return _not_tried(case, mode, Class.BROKEN, "see above")
    folder = site.jobs.parent / "capsules" / case.name
    folder.mkdir(parents=True)
    bundle = _bundle_file(site, recorded)
    trace = ("--from-trace", recorded.job_id)
    code = _run_jobprov(data, "capsule", "make", str(folder / "made"), str(bundle), *trace)
    capsule = folder / "made/data/root"
    if not capsule.is_dir():
        why = f"no capsule: exit code {code}"
        return _not_tried(case, mode, Class.FORETOLD if code else Class.SILENT, why)
    rerun = run_again(recorded, bundle, folder, capsule=capsule)
    outcome = judge(recorded, job, rerun, mode)
    if outcome.verdict is Class.SILENT and code:
        outcome = replace(outcome, verdict=Class.FORETOLD, why=f"capsule make: exit code {code}")
    shutil.rmtree(folder)
    print(".", end="", file=sys.stderr, flush=True)
    return outcome
