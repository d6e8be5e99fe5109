"""Two jobs side by side, over every facet: what differs, and on which line of which file.

What decides the outcome stands first, what came out next, what differs in any two runs last. The
two records are compared as their witnesses merged; configurations as their recorded files evaluate.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.comparisons import ComparedJob, Difference, Facet, JobComparison
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.recording.art_runs import ArtRun, without_names
from jobprov.provenance.records.job_record import UNTOLD
from jobprov.provenance.services.comparisons.code import patches_of
from jobprov.provenance.services.comparisons.configurations import (
    configuration_facet,
    run_of,
)
from jobprov.provenance.services.comparisons.differences import (
    CIRCUMSTANCE,
    RECIPE,
    RESULT,
    compared,
    facet,
    keyed,
)
from jobprov.provenance.services.comparisons.facets import record_facets
from jobprov.provenance.services.comparisons.sentences import comparison_sentence
from jobprov.provenance.services.comparisons.text_differences import unified
from jobprov.provenance.services.histories.divergence import full_name
from jobprov.provenance.services.lookup.job import read_job, show_job

DIFFERENCES_A_FACET = 1000
_MOST_TEXTS = 40  # files whose lines are compared; the others are named
_ORDER = (
    "configuration", "fcl", "code", "scripts", "command", "inputs", "products", "seeds", "exit",
    "outputs", "logs", "environment", "host", "resources", "modules", "task", "others",
)  # fmt: skip
_KEPT = (None, "written")


def compare_jobs(
    connection: Connection,
    store: Store,
    before: str,
    after: str,
    *,
    experiment: str | None = None,
    limit: int = DIFFERENCES_A_FACET,
) -> JobComparison:
    """Return what differs from the first job to the second, at most `limit` differences a facet.

    Raises:
        NotFoundError: one of them is not recorded.
        AmbiguousError: several experiments have it.
    """
    jobs = [_shown(connection, store, name, experiment) for name in (before, after)]
    sources = _sources(connection, store, jobs)
    before_record, after_record = map(_as_compared, jobs)
    facets = [
        *record_facets(before_record, after_record, sources),
        *_file_facets(jobs, sources),
    ]
    facets.sort(key=lambda side: _ORDER.index(side.name))
    # Of all differences: those that are cut off below count too
    sentence = comparison_sentence(jobs[0], jobs[1], facets)
    for side in facets:
        side.omitted = max(0, side.count - limit)
        side.differences = side.differences[:limit]
    has_same_recipe = _is_same(jobs, facets, "recipe_id", RECIPE)
    has_same_result = _is_same(jobs, facets, "result_id", RESULT)
    return JobComparison(
        a=_compared_job(jobs[0]),
        b=_compared_job(jobs[1]),
        first_line=sentence,
        is_same=has_same_recipe and has_same_result,
        facets=facets,
    )


def _shown(
    connection: Connection, store: Store, job_id: str, experiment: str | None
) -> dict[str, Any]:
    """Return everything recorded of a job, as plain values that facets compare."""
    job = read_job(connection, store, job_id, experiment=experiment)
    shown: dict[str, Any] = msgspec.to_builtins(show_job(connection, job))
    return shown


def _is_same(jobs: list[dict[str, Any]], facets: list[Facet], identity: str, matters: str) -> bool:
    """Return whether both jobs have the same id, or nothing that was compared differs."""
    before, after = (job[identity] for job in jobs)
    if before is not None and before == after:
        return True
    return not any(side.count or side.problems for side in facets if side.matters == matters)


def _compared_job(job: dict[str, Any]) -> ComparedJob:
    """Return a job as the head of a comparison shows it."""
    kept_outputs = [file for file in job["outputs"] if file.get("status") in _KEPT]
    facts = {
        **job["summary"],
        "recipe_id": job["recipe_id"],
        "result_id": job["result_id"],
        "output": full_name(kept_outputs[0]) if kept_outputs else None,
    }
    return msgspec.convert(facts, ComparedJob)


def _as_compared(job: dict[str, Any]) -> dict[str, Any]:
    """Return the merged record with what the service found out.

    That is resolved commits, and pages of files.
    """
    return {
        **job["merged"],
        "software": job["software"],
        "inputs": job["inputs"],
        "outputs": job["outputs"],
    }


def _sources(connection: Connection, store: Store, jobs: list[dict[str, Any]]) -> dict[str, bytes]:
    """Return the bytes of fcl files, scripts and patches that are not all the same in both jobs.

    Those that are not here are left out.
    """
    files = [_fcl_files(job) for job in jobs]
    scripts = [_scripts(job) for job in jobs]
    # Scripts that both jobs ran are the same; fcl files are all read to evaluate what differs
    wanted = set(scripts[0].values()) ^ set(scripts[1].values())
    if files[0] != files[1] or _runs(jobs[0]) != _runs(jobs[1]):
        wanted |= {*files[0].values(), *files[1].values()}
    patches = [patches_of([job]) for job in jobs]
    wanted |= patches[0] ^ patches[1]
    possessed: set[str] = set()
    for experiment in {job["summary"]["experiment"] for job in jobs}:
        possessed |= possessed_blobs(connection, experiment, wanted - {""})
    return {digest: store.get(digest) for digest in sorted(possessed)}


def _runs(job: Mapping[str, Any]) -> list[ArtRun | None]:
    """Return the runs of art of a job, without the names that each job has."""
    runs = [run_of(job, entry) for entry in job["configurations"]]
    return [None if run is None else without_names(run) for run in runs]


def _fcl_files(job: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the fcl files by name.

    Where steps read a name from different places, the step is added to the name.
    """
    digests: dict[str, str] = {}
    for entry in job["configurations"]:
        for file in entry.get("files") or ():
            name, digest = file["name"], file.get("sha256") or ""
            if digests.get(name, digest) != digest:
                name = f"{name} ({entry.get('step')})"
            digests[name] = digest
    return digests


def _scripts(job: Mapping[str, Any]) -> dict[str, str]:
    # what was only seen may be missed of an equal job
    told = [
        each for each in job["merged"].get("scripts") or () if each.get("evidence") not in UNTOLD
    ]
    scripts = keyed(told, lambda script: script["name"])
    return {name: script.get("sha256") or "" for name, script in scripts.items()}


def _file_facets(jobs: list[dict[str, Any]], sources: Mapping[str, bytes]) -> Iterator[Facet]:
    """Yield configuration, fcl files and scripts.

    Files that evaluate to the same are the same, however they are written.
    """
    evaluated = configuration_facet(jobs, sources)
    yield evaluated
    files = [_fcl_files(job) for job in jobs]
    rows = _with_lines(compared(*files), files, sources)
    # The text decides only where the parameters cannot be compared
    matters = RECIPE if evaluated.problems else CIRCUMSTANCE
    yield facet("fcl", "fcl files", matters, rows, len(files[0] | files[1]))
    scripts = [_scripts(job) for job in jobs]
    rows = _with_lines(compared(*scripts), scripts, sources)
    yield facet("scripts", "Scripts", RECIPE, rows, len(scripts[0] | scripts[1]))


def _with_lines(
    rows: list[Difference], files: list[dict[str, str]], sources: Mapping[str, bytes]
) -> list[Difference]:
    """Return the differences of files with those of their lines.

    Of a file that only one job has, its name is enough.
    """
    with_lines: list[Difference] = []
    for row in rows:
        old, new = (sources.get(digests.get(row.key, "")) for digests in files)
        if old is None or new is None or len(with_lines) >= _MOST_TEXTS:
            with_lines.append(row)
            continue
        lines, omitted = unified(old, new)
        with_lines.append(msgspec.structs.replace(row, lines=lines, lines_omitted=omitted))
    return with_lines
