"""The pages of two jobs or productions side by side, and of recipes with more than one result."""

import re
from string import ascii_uppercase
from typing import Any, NamedTuple

from flask import Response

from jobprov.app.command_lines import command_line
from jobprov.app.web.frame import formats
from jobprov.app.web.frame.cuts import Cut, address, asked_section, cut_rows
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked, experiment_asked, here, next_page, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import difference_page, productions_page
from jobprov.provenance.answers.comparisons.jobs import ComparedJob, Difference, Facet
from jobprov.provenance.answers.comparisons.recipes import RecipeAnswer
from jobprov.provenance.answers.comparisons.stages import (
    ComparedStage,
    ProductionComparison,
    StageFacet,
)
from jobprov.provenance.answers.names import is_job_id
from jobprov.provenance.services.comparisons.jobs import compare_jobs, find_companions
from jobprov.provenance.services.comparisons.recipes import list_divergent, show_recipe
from jobprov.provenance.services.comparisons.sentences import narrowed, readable
from jobprov.provenance.services.comparisons.stages import CAMPAIGN, RELEASE, compare_productions

# A digest is shown by its first digits, with the algorithm before them
_DIGEST = re.compile(r"((?:[\w-]+:)?[0-9a-f]{12})[0-9a-f]{28}(?:[0-9a-f]{24})?")
_MOST_DIFFERENCES = 10_000
_ROWS = {"recipe": 40, "result": 25, "circumstance": 15}
_LINES = 40
_WIDTH = 110
_FORMATS = {
    "_bytes": formats.size,
    "_bytes_max": formats.size,
    "_seconds": formats.duration,
    "seconds_total": formats.duration,
    "seconds_max": formats.duration,
    "signal": formats.signal_name,
    "_at": formats.second,
}
_FACETS_OF_FIELDS = frozenset(
    {"exit", "resources", "modules", "logs", "host", "products", "task", "others"}
)
"""Facets whose keys end with names of fields in the record."""
_FACETS_OF_FILES = frozenset({"inputs", "outputs"})
"""Facets whose keys are names of files, or of fields of one."""
_FIELD_WORDS = {
    "code": "exit code",
    "exit_code": "exit code",
    "failed_step": "failed step",
    "error_class": "error class",
    "decided_by.evidence": "decided by",
    "wall_seconds": "wall time",
    "cpu_user_seconds": "CPU time of the user",
    "cpu_system_seconds": "CPU time of the system",
    "max_rss_bytes": "largest memory (RSS)",
    "max_vsize_bytes": "largest address space",
    "read_bytes": "read",
    "write_bytes": "written",
    "requested_memory_bytes": "memory asked for",
    "cores_used": "cores used",
    "signal": "signal",
    "seconds_total": "time",
    "seconds_max": "longest event",
    "rss_delta_bytes_max": "largest memory growth",
    "size_bytes": "size",
    "is_truncated": "cut off",
    "cpu_model": "CPU",
    "memory_bytes": "memory",
    "is_onsite": "on site",
    "packages_sha256": "packages, SHA-256",
    "system_packages_sha256": "packages of the system, SHA-256",
    "libraries_sha256": "libraries, SHA-256",
    "cpu_flags_sha256": "features of the CPU, SHA-256",
    "sha256": "SHA-256",
    "task_id": "task",
    "snapshot_id": "snapshot",
    "sam_process_id": "SAM process",
    "submitted_by": "submitted by",
    "submit_command": "submit command",
    "batch.id": "batch id",
    "batch.system": "batch system",
    "batch.attempt": "attempt of the batch job",
    "batch.global_job_id": "global id of the batch job",
    "batch.dag_node": "node of the DAG",
    "batch.queued_at": "queued",
    "started_at": "started",
    "ended_at": "ended",
    "retry_of": "retry of",
    "rerun_of": "rerun of",
}
_STATE_WORDS = {
    "changed": "differs",
    "added": "only in the second",
    "removed": "only in the first",
    "renamed": "renamed",
}
_ROWS_OF_STAGE = 25
_RECIPE_ROWS = 50
_FACTS = 30


@pages.get("/jobs/<job_id>/diff", endpoint="ask_diff")
def ask_page(job_id: str) -> Response:
    """Ask with which job to compare, and offer some; an answer leads to the comparison."""
    experiment = experiment_asked()
    if other := asked("with"):
        target = difference_page(job_id, other.strip(), experiment=experiment)
        return Response(status=303, headers={"Location": target})
    with get_service().reading() as connection:
        answered = find_companions(connection, job_id, experiment=experiment)
    twin = address(f"/jobs/{answered.job.job_id}/diff", {"experiment": experiment or ""})
    return answer(
        "comparisons/compare.html",
        twin=twin,
        summary=answered.job,
        companions=answered.companions,
        experiment=experiment,
    )


@pages.get("/jobs/<before>/diff/<after>", endpoint="diff")
def show_comparison(before: str, after: str) -> Response:
    """Show two jobs side by side."""
    experiment = experiment_asked()
    service = get_service()
    with service.reading() as connection:
        comparison = compare_jobs(
            connection,
            service.store,
            before,
            after,
            deciding=service.physics_variables,
            experiment=experiment,
            limit=_MOST_DIFFERENCES,
        )
    first, second = comparison.a, comparison.b
    query = {"experiment": experiment or ""}
    chosen, wanted = asked("facet"), asked("q")
    swapped = difference_page(
        second.job_id, first.job_id, **query, facet=chosen or "", q=wanted or ""
    )
    shown_facets, same, silent = [], [], []
    for facet in comparison.facets:
        if _is_wanted(facet, chosen):
            shown_facets.append(_shown(facet, wanted))
        if not facet.said:
            silent.append(facet.title)
        elif not facet.count and not facet.problems:
            same.append(facet.title)
    return answer(
        "comparisons/diff.html",
        twin=address(f"/jobs/{first.job_id}/diff/{second.job_id}", query),
        a=first,
        b=second,
        first_line=comparison.first_line,
        swapped=swapped,
        other=address(f"/jobs/{first.job_id}/diff", query),
        diverge=_divergence(first, second),
        campaigns=_campaigns(first, second),
        shown_row=shown_row,
        facets=shown_facets,
        choices=_choices(comparison.facets, chosen),
        same=same,
        silent=silent,
        chosen=chosen,
        wanted=wanted,
        whole=asked_section(),
    )


def _campaigns(a: ComparedJob, b: ComparedJob) -> str | None:
    """Return the address of the comparison of two jobs' campaigns; None where it is one."""
    before, after = a.task.campaign, b.task.campaign
    if before is None or after is None or before == after or a.experiment != b.experiment:
        return None
    return productions_page(CAMPAIGN, before, after, a.experiment)


def _divergence(a: ComparedJob, b: ComparedJob) -> str | None:
    """Return the address of the page that shows where the outputs of two jobs diverge.

    It is None where they made nothing, or the same.
    """
    if a.output is None or b.output is None:
        return None
    outputs = {"a": a.output, "b": b.output}
    if a.experiment != b.experiment:
        experiments = {"experiment_a": a.experiment, "experiment_b": b.experiment}
        return address("/diverge", {**outputs, **experiments})
    if a.output == b.output:
        return None
    return address("/diverge", {**outputs, "experiment": a.experiment})


def _is_wanted(facet: Facet, chosen: str | None) -> bool:
    if not facet.count and not facet.problems and not facet.notes:
        return False
    return facet.name == (asked_section() or chosen or facet.name)


class FacetChoice(NamedTuple):
    """A facet that the page can be narrowed to, with its number of differences; or everything."""

    title: str
    differences: int | None
    url: str
    is_chosen: bool


def _choices(facets: list[Facet], chosen: str | None) -> list[FacetChoice]:
    """Return everything, then each facet that differs."""
    choices = [FacetChoice("Everything", None, _facet_url(None), chosen is None)]
    for facet in facets:
        if facet.count or facet.problems or facet.notes:
            url = _facet_url(facet.name)
            choices.append(FacetChoice(facet.title, facet.count, url, chosen == facet.name))
    return choices


def _facet_url(name: str | None) -> str:
    """Return the address of this page with one facet, or with all of them."""
    return here(facet=name, whole=None, **{"from": None})


class ShownFacet(NamedTuple):
    """A facet as the page shows it.

    Attributes:
        cut: its differences that hold what the reader looks for.
        is_open: they show at once; else the reader unfolds them.
    """

    facet: Facet
    cut: Cut
    is_open: bool


def _shown(facet: Facet, wanted: str | None) -> ShownFacet:
    differences = facet.differences
    if wanted is not None:
        searched = wanted.lower()
        differences = [
            row for row in differences if _holds(row, _key_words(facet.name, row.key), searched)
        ]
    cut = cut_rows(facet.name, differences, _ROWS[facet.matters])
    is_asked = asked("facet") == facet.name or cut.is_whole_asked or bool(wanted)
    # Circumstances such as the host differ between any two jobs: they are there when asked for
    is_open = is_asked or facet.matters != "circumstance"
    return ShownFacet(facet, cut, is_open)


def _holds(row: Difference, words: str, wanted: str) -> bool:
    """Return whether a difference, whose key the page shows as these words, holds a text."""
    texts = (row.key, words, row.key_before, row.before, row.after, row.part)
    return any(wanted in str(text).lower() for text in texts if text is not None)


class ShownDifference(NamedTuple):
    """A difference as its row shows it.

    Attributes:
        key: what differs, in words.
        word: what kind of difference it is.
        texts: both values, cut around the place where they first differ; empty where there is none.
        lines: of a text, each with its sign.
        left_lines: how many lines are not shown.
    """

    difference: Difference
    key: str
    word: str
    texts: tuple[str, str]
    lines: list[tuple[str, str]]
    left_lines: int


def shown_row(row: Difference, facet: str) -> ShownDifference:
    """Return a difference of a facet as its row shows it."""
    before, after = _value(facet, row.key, row.before), _value(facet, row.key, row.after)
    if before == after:
        # What the page leaves out of a value, such as parts of a second, is what differs
        before, after = formats.text(row.before), formats.text(row.after)
    if before and after:
        before, after = narrowed(before, after, _WIDTH)
    return ShownDifference(
        difference=row,
        key=_key_words(facet, row.key),
        word=_STATE_WORDS[row.kind],
        texts=(before, after),
        lines=[(line[:1], line) for line in row.lines[:_LINES]],
        left_lines=max(0, len(row.lines) - _LINES) + row.lines_omitted,
    )


def _key_words(facet: str, key: str) -> str:
    """Return what differs, with words for the field at its end: `step toy, exit code`."""
    if facet not in _FACETS_OF_FIELDS | _FACETS_OF_FILES:
        return key
    if key in _FIELD_WORDS or facet in _FACETS_OF_FILES:
        return _FIELD_WORDS.get(key, key)
    owner, _, field = key.rpartition(".")
    if owner and field in _FIELD_WORDS:
        return f"{owner}, {_FIELD_WORDS[field]}"
    return key


def _value(facet: str, key: str, value: Any) -> str:
    if value is None:
        return ""
    if facet in _FACETS_OF_FIELDS | _FACETS_OF_FILES:
        for ending, shown in _FORMATS.items():
            if key.endswith(ending):
                return shown(value)
    if isinstance(value, str):
        value = value.replace("\n", " ")  # messages of several lines stand on one here
    text = formats.text(value)
    digest = _DIGEST.fullmatch(text)
    return digest[1] if digest else readable(text)


class ProductionsQuestion(NamedTuple):
    """Which two campaigns or releases the address asks about."""

    by: str
    a: str | None
    b: str | None
    experiment: str | None


class ShownStage(NamedTuple):
    """A stage of two productions as the page shows it: what differs, or cannot be compared."""

    stage: ComparedStage
    facets: list[tuple[StageFacet, Cut]]


@pages.get("/diff", endpoint="productions")
def show_productions() -> Response:
    """Show two campaigns or releases stage by stage; without both in the address, ask for them.

    Two ids of jobs lead to the comparison of these jobs.
    """
    by = RELEASE if asked("by") == RELEASE else CAMPAIGN
    question = ProductionsQuestion(by, asked("a"), asked("b"), experiment_asked())
    if question.a is None or question.b is None:
        return _productions_page(question, None)
    if is_job_id(question.a) and is_job_id(question.b):
        jobs = difference_page(question.a, question.b, experiment=question.experiment)
        return Response(status=303, headers={"Location": jobs})
    with get_service().reading() as connection:
        comparison = compare_productions(
            connection,
            by,
            question.a,
            question.b,
            experiment=question.experiment,
            limit=_MOST_DIFFERENCES,
        )
    return _productions_page(question, comparison)


def _productions_page(
    question: ProductionsQuestion, comparison: ProductionComparison | None
) -> Response:
    title = "Two releases" if question.by == RELEASE else "Two campaigns"
    if comparison is None:
        first_line = "What differs between two productions, stage by stage?"
        return answer(
            "comparisons/stages.html",
            title=title,
            question=question,
            first_line=first_line,
            comparison=None,
            swapped=None,
            whole="",
        )
    a, b = comparison.a.name, comparison.b.name
    stages, same = [], []
    for number, stage in enumerate(comparison.stages, start=1):
        shown = _shown_stage(number, stage)
        if shown.facets or _is_of_one(stage):
            stages.append(shown)
        if _is_same_stage(stage):
            same.append(stage.stage or "jobs without a stage")
    return answer(
        "comparisons/stages.html",
        twin=productions_page(question.by, a, b, question.experiment),
        title=title,
        question=question,
        first_line=comparison.first_line,
        comparison=comparison,
        stages=stages,
        same=same,
        swapped=productions_page(question.by, b, a, question.experiment),
        command=command_line(f"diff --{question.by}s", a, b, experiment=question.experiment),
        readable=readable,
        whole=asked_section(),
    )


def _shown_stage(number: int, stage: ComparedStage) -> ShownStage:
    facets = []
    for facet in stage.facets:
        name = f"{facet.name}-{number}"
        is_wanted = asked_section() in ("", name)
        if is_wanted and (facet.count or facet.problems):
            facets.append((facet, cut_rows(name, facet.differences, _ROWS_OF_STAGE)))
    return ShownStage(stage, facets)


def _is_of_one(stage: ComparedStage) -> bool:
    """Return whether the page shows all stages, and this one is in one production alone."""
    return not stage.facets and not asked_section()


def _is_same_stage(stage: ComparedStage) -> bool:
    return bool(stage.facets) and not any(facet.count or facet.problems for facet in stage.facets)


@pages.get("/recipes", endpoint="recipes")
def list_recipes() -> Response:
    """Show the recipes whose jobs have more than one result."""
    experiment = experiment_asked()
    with get_service().reading() as connection:
        page = list_divergent(
            connection, experiment=experiment, limit=_RECIPE_ROWS, cursor=asked("cursor")
        )
    return answer(
        "comparisons/recipes.html",
        twin=address(
            "/recipes",
            {"experiment": experiment, "limit": str(_RECIPE_ROWS), "cursor": asked("cursor")},
        ),
        recipes=page.recipes,
        next_page=next_page(page.next),
    )


@pages.get("/recipes/<recipe_id>", endpoint="recipe")
def show_recipe_page(recipe_id: str) -> Response:
    """Show one recipe."""
    service = get_service()
    with service.reading() as connection:
        recipe = show_recipe(connection, service.store, recipe_id)
    return answer(
        "comparisons/recipe.html",
        twin=f"/recipes/{recipe_id}",
        recipe=recipe,
        names=_letters(recipe),
        outputs=cut_rows("outputs", recipe.outputs, _FACTS),
        differences=cut_rows("differences", recipe.differences, _FACTS),
        first_line=_first_line(recipe),
    )


def _letters(recipe: RecipeAnswer) -> dict[str, str]:
    """Return a letter for each result, which stands for its long id in tables."""
    letters = {}
    for letter, result in zip(ascii_uppercase, recipe.results, strict=False):
        if result.result_id is not None:
            letters[result.result_id] = letter
    return letters


def _first_line(recipe: RecipeAnswer) -> str:
    jobs, results = counted(recipe.job_count, "job"), recipe.result_count
    if recipe.is_divergent:
        return f"{jobs} of this recipe gave {results} different results: it is not deterministic."
    if results == 0:
        return f"{jobs} of this recipe; none has a result that can be compared."
    if recipe.job_count == 1:
        return "1 job had this recipe, so no other result can be compared with its own."
    return f"{jobs} of this recipe agree: they have the same result."
