"""The whole trial: record all cases, build their bundles, move all away, rerun, judge."""

import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import requests

from benchmarks.stacks.cases import Case
from benchmarks.stacks.judging import Class, Outcome, judge
from benchmarks.stacks.recording import Recorded, Site, missing_needs, record
from benchmarks.stacks.rerunning import run_again
from jobprov.app.wiring import Service
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.work.queue import Parts, drain


def try_cases(
    cases: Sequence[Case],
    site: Site,
    service: Service,
    data: Path,
    *,
    mode: str = "usual",
    workers: int = 2,
    user: str | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> list[Outcome]:
    """Record the cases, move away all that they brought, rerun them from their bundles, judge.

    Args:
        cases: what to try; those whose programs are missing are skipped, and said to be.
        site: where they run.
        service: the service at `site.url`.
        data: its folder.
        mode: a word for the table.
        workers: how many run at a time.
        user: who runs them again; root may name somebody else.
        say: takes lines about the progress.
    """
    outcomes, ready = [], []
    for case in cases:
        missing = missing_needs(case, site.venv)
        if missing:
            why = f"this machine lacks {', '.join(missing)}"
            outcomes.append(
                Outcome(case.name, mode, case.nasty, case.is_deterministic, Class.SKIPPED, why)
            )
        else:
            ready.append(case)
    with ThreadPoolExecutor(workers) as pool:
        say(f"recording {len(ready)} cases")
        recorded = list(pool.map(lambda case: record(case, site), ready))
        for one in recorded:
            _register(service, one)
        drain(Parts(service.database, service.writer, service.store, data / "git"), HANDLERS)
        say("building their bundles")
        kept = [_keep(service, site, one) for one in recorded]
        say("moving away all that they brought, and running them again")
        _move_away(site, recorded)
        outcomes += pool.map(partial(_try_again, site, mode, user), recorded, kept)
    return outcomes


def _register(service: Service, recorded: Recorded) -> None:
    for number, folder in enumerate(recorded.case.repositories):
        name = f"{recorded.case.name}-{number}-{recorded.job_id[:8]}"
        path = str(recorded.root / folder)
        service.write(partial(register_repository, name=name, url=path))


def _keep(service: Service, site: Site, recorded: Recorded) -> dict[str, Any]:
    """Keep the job's bundle in a file; return the job as the service shows it."""
    if recorded.broken:
        return {}
    answer = requests.get(f"{site.url}/api/v1/jobs/{recorded.job_id}", timeout=60)
    if answer.status_code != requests.codes.ok:
        return {"lost": answer.text}
    bundle = build_bundle(service.database, service.writer, service.store, recorded.job_id)
    file = _bundle_file(site, recorded)
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as stream:
        stream.writelines(bundle.stream())
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
    site: Site, mode: str, user: str | None, recorded: Recorded, job: dict[str, Any]
) -> Outcome:
    case = recorded.case
    if recorded.broken:
        return Outcome(
            case.name, mode, case.nasty, case.is_deterministic, Class.BROKEN, recorded.broken
        )
    if "lost" in job:
        why = f"no record: {recorded.printed[-300:]}"
        return Outcome(case.name, mode, case.nasty, case.is_deterministic, Class.SILENT, why)
    folder = site.jobs.parent / "again" / case.name
    folder.mkdir(parents=True)
    rerun = run_again(recorded, _bundle_file(site, recorded), folder, user)
    outcome = judge(recorded, job, rerun, mode)
    print(".", end="", file=sys.stderr, flush=True)
    return outcome
