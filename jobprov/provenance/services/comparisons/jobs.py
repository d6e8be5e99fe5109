"""Two jobs side by side, over every facet: what differs, and which jobs one would compare.

What decides the outcome stands first, what came out next, what differs in any two runs last. The
two records are compared as their witnesses merged; configurations as their recorded files evaluate.
"""

from collections.abc import Iterator, Mapping

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
    job_before = JobSide.read(connection, store, before, experiment)
    job_after = JobSide.read(connection, store, after, experiment)
    a, b = job_before.head, job_after.head
    sources = _sources(connection, store, job_before, job_after)
    facets = [
        *record_facets(job_before.record, job_after.record, deciding=deciding, patches=sources),
        *_file_facets(job_before, job_after, sources),
    ]
    facets.sort(key=lambda each: _ORDER.index(each.name))
    # Of all differences: those that are cut off below count too
    sentence = comparison_sentence(a, b, facets)
    for compared_facet in facets:
        compared_facet.omitted = max(0, compared_facet.count - limit)
        compared_facet.differences = compared_facet.differences[:limit]
    has_same_recipe = _is_same(a.recipe_id, b.recipe_id, facets, RECIPE)
    has_same_result = _is_same(a.result_id, b.result_id, facets, RESULT)
    return JobComparison(
        a=a,
        b=b,
        first_line=sentence,
        is_same=has_same_recipe and has_same_result,
        facets=facets,
    )


def _is_same(before: str | None, after: str | None, facets: list[Facet], matters: str) -> bool:
    """Return whether both jobs have the same id, or nothing that was compared differs."""
    deciding = [facet for facet in facets if facet.matters == matters]
    if before is not None and before == after:
        # A recipe leaves out variables, as most of them decide nothing
        deciding = [facet for facet in deciding if facet.name == "variables"]
    return not any(facet.count or facet.problems for facet in deciding)


def _sources(
    connection: Connection, store: Store, before: JobSide, after: JobSide
) -> dict[str, bytes]:
    """Return the bytes of fcl files, scripts and patches that are not all the same in both jobs.

    Those that are not here are left out.
    """
    # Scripts and patches that both jobs have are the same
    wanted = set(before.scripts().values()) ^ set(after.scripts().values())
    wanted |= patches_of([before.record]) ^ patches_of([after.record])
    # All fcl files are read to evaluate what differs
    fcl_before, fcl_after = before.fcl_files(), after.fcl_files()
    if fcl_before != fcl_after or _runs(before) != _runs(after):
        wanted.update(fcl_before.values(), fcl_after.values())
    possessed: set[str] = set()
    for experiment in {before.head.experiment, after.head.experiment}:
        possessed |= possessed_blobs(connection, experiment, wanted - {""})
    return {digest: store.get(digest) for digest in sorted(possessed)}


def _runs(job: JobSide) -> list[ArtRun | None]:
    """Return the runs of art of a job, without the names that each job has."""
    return [unnamed(run_of(job, entry)) for entry in job.configurations]


def _file_facets(before: JobSide, after: JobSide, sources: Mapping[str, bytes]) -> Iterator[Facet]:
    """Yield configuration, fcl files and scripts.

    Files that evaluate to the same are the same, however they are written.
    """
    evaluated = configuration_facet(before, after, sources)
    yield evaluated
    fcl_before, fcl_after = before.fcl_files(), after.fcl_files()
    rows = _differing_files(fcl_before, fcl_after, sources)
    # The text decides only where the parameters cannot be compared
    matters = RECIPE if evaluated.problems else CIRCUMSTANCE
    yield facet("fcl", "fcl files", matters, rows, len(fcl_before | fcl_after))
    scripts_before, scripts_after = before.scripts(), after.scripts()
    rows = _differing_files(scripts_before, scripts_after, sources)
    yield facet("scripts", "Scripts", RECIPE, rows, len(scripts_before | scripts_after))


def _differing_files(
    before: Mapping[str, str], after: Mapping[str, str], sources: Mapping[str, bytes]
) -> list[Difference]:
    """Return how files differ, given by their digests, with the lines that differ.

    For a file that only one job has, its name is enough.
    """
    rows: list[Difference] = []
    texts = 0
    for row in compared(before, after):
        old_text = sources.get(before.get(row.key, ""))
        new_text = sources.get(after.get(row.key, ""))
        if old_text is None or new_text is None or texts == _MOST_TEXTS:
            rows.append(row)
            continue
        texts += 1
        lines, omitted = unified(old_text, new_text)
        rows.append(msgspec.structs.replace(row, lines=lines, lines_omitted=omitted))
    return rows


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
