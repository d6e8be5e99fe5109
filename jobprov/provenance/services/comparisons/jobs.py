"""Two jobs side by side, over every facet: what differs, and which jobs one would compare.

What decides the outcome stands first, what came out next, what differs in any two runs last. The
two records are compared as their witnesses merged; configurations as their recorded files evaluate.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.comparisons.companions import CompanionGroup, JobCompanions
from jobprov.provenance.answers.comparisons.jobs import Difference, Facet, JobComparison
from jobprov.provenance.db.queries.comparisons.companions import companions_of
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.recording.configurations.art_runs import ArtRun
from jobprov.provenance.db.recording.configurations.physics_variables import PhysicsVariables
from jobprov.provenance.services.comparisons.code import patches_of
from jobprov.provenance.services.comparisons.configurations import (
    configuration_facet,
    run_of,
    unnamed,
)
from jobprov.provenance.services.comparisons.differences import (
    CIRCUMSTANCE,
    RECIPE,
    RESULT,
    compared,
    facet,
)
from jobprov.provenance.services.comparisons.facets import record_facets
from jobprov.provenance.services.comparisons.sentences import comparison_sentence
from jobprov.provenance.services.comparisons.sides import JobSide
from jobprov.provenance.services.comparisons.text_differences import unified
from jobprov.provenance.services.lookup.job import find_job

DIFFERENCES_A_FACET = 1000
_MOST_TEXTS = 40  # files whose lines are compared; the others are named
_ORDER = (
    "configuration", "fcl", "code", "scripts", "command", "inputs", "products", "variables", "seeds",
    "exit", "outputs", "logs", "environment", "host", "resources", "modules", "task", "others",
)  # fmt: skip
WHY = {
    "attempt": "Other attempts at the same unit",
    "sibling": "Succeeded in the same task",
    "recipe": "The same recipe, run at another time",
    "stage": "Succeeded in the task before, at the same stage",
}


def compare_jobs(
    connection: Connection,
    store: Store,
    before: str,
    after: str,
    *,
    deciding: PhysicsVariables,
    experiment: str | None = None,
    limit: int = DIFFERENCES_A_FACET,
) -> JobComparison:
    """Return what differs from the first job to the second, at most `limit` differences a facet.

    `deciding` says which variables decide physics.

    Raises:
        NotFoundError: one of them is not recorded.
        AmbiguousError: several experiments have it.
    """
    jobs = [JobSide.read(connection, store, job_id, experiment) for job_id in (before, after)]
    sources = _sources(connection, store, jobs)
    facets = [
        *record_facets(jobs[0].record, jobs[1].record, deciding=deciding, patches=sources),
        *_file_facets(jobs, sources),
    ]
    facets.sort(key=lambda side: _ORDER.index(side.name))
    # Of all differences: those that are cut off below count too
    sentence = comparison_sentence(jobs[0].head, jobs[1].head, facets)
    for side in facets:
        side.omitted = max(0, side.count - limit)
        side.differences = side.differences[:limit]
    first, second = jobs[0].head, jobs[1].head
    has_same_recipe = _is_same(first.recipe_id, second.recipe_id, facets, RECIPE)
    has_same_result = _is_same(first.result_id, second.result_id, facets, RESULT)
    return JobComparison(
        a=first,
        b=second,
        first_line=sentence,
        is_same=has_same_recipe and has_same_result,
        facets=facets,
    )


def _is_same(before: str | None, after: str | None, facets: list[Facet], matters: str) -> bool:
    """Return whether both jobs have the same id, or nothing that was compared differs."""
    deciding = [side for side in facets if side.matters == matters]
    if before is not None and before == after:
        # A recipe leaves out variables, as most of them decide nothing
        deciding = [side for side in deciding if side.name == "variables"]
    return not any(side.count or side.problems for side in deciding)


def _sources(connection: Connection, store: Store, jobs: list[JobSide]) -> dict[str, bytes]:
    """Return the bytes of fcl files, scripts and patches that are not all the same in both jobs.

    Those that are not here are left out.
    """
    first, second = jobs
    # Scripts and patches that both jobs have are the same
    wanted = set(first.scripts().values()) ^ set(second.scripts().values())
    wanted |= patches_of([first.record]) ^ patches_of([second.record])
    # All fcl files are read to evaluate what differs
    first_files, second_files = first.fcl_files(), second.fcl_files()
    if first_files != second_files or _runs(first) != _runs(second):
        wanted.update(first_files.values(), second_files.values())
    possessed: set[str] = set()
    for experiment in {job.head.experiment for job in jobs}:
        possessed |= possessed_blobs(connection, experiment, wanted - {""})
    return {digest: store.get(digest) for digest in sorted(possessed)}


def _runs(job: JobSide) -> list[ArtRun | None]:
    """Return the runs of art of a job, without the names that each job has."""
    return [unnamed(run_of(job, entry)) for entry in job.configurations]


def _file_facets(jobs: list[JobSide], sources: Mapping[str, bytes]) -> Iterator[Facet]:
    """Yield configuration, fcl files and scripts.

    Files that evaluate to the same are the same, however they are written.
    """
    evaluated = configuration_facet(jobs, sources)
    yield evaluated
    files = [job.fcl_files() for job in jobs]
    rows = _with_lines(compared(*files), files, sources)
    # The text decides only where the parameters cannot be compared
    matters = RECIPE if evaluated.problems else CIRCUMSTANCE
    yield facet("fcl", "fcl files", matters, rows, len(files[0] | files[1]))
    scripts = [job.scripts() for job in jobs]
    rows = _with_lines(compared(*scripts), scripts, sources)
    yield facet("scripts", "Scripts", RECIPE, rows, len(scripts[0] | scripts[1]))


def _with_lines(
    rows: list[Difference], files: Sequence[Mapping[str, str]], sources: Mapping[str, bytes]
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


def find_companions(
    connection: Connection, job_id: str, *, experiment: str | None = None
) -> JobCompanions:
    """Return which jobs one would compare a job with, a few of each kind.

    Raises:
        NotFoundError: no such job is recorded.
        AmbiguousError: several experiments have it.
    """
    job = find_job(connection, job_id, experiment=experiment)
    companions = companions_of(connection, job.key)
    groups = []
    for why, title in WHY.items():
        if why in companions:
            groups.append(CompanionGroup(why, title, companions[why]))
    return JobCompanions(summaries_of(connection, [job.key])[job.key], groups)
