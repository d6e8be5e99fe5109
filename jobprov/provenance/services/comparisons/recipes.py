"""Recipes that had more than one result.

They show which jobs are not deterministic, without running anything again. A job is compared with
others of the same recipe (provenance.records.recipes): what came out, and where else they differ.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.addresses import recipe_page
from jobprov.provenance.answers.comparisons.recipes import (
    DifferingFact,
    DifferingOutput,
    DivergentRecipe,
    DivergentRecipes,
    ExampleOfResult,
    JobsOfResult,
    RecipeAnswer,
)
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.db.queries.comparisons.recipes import (
    ResultRow,
    divergent_recipes,
    jobs_with,
    results_of,
)
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.job_record import JobRecord, Output
from jobprov.provenance.records.recipes import is_comparable, parse_recipe, recipe_text, result_text
from jobprov.provenance.services.comparisons.differences import Record
from jobprov.provenance.services.ledger.witnessed_jobs import read_witnesses
from jobprov.provenance.services.paging import check_limit, next_cursor

MOST = 500
_JOBS_A_RESULT = 20
_RESULTS_SHOWN = 20
_SYSTEM = ("locale", "timezone", "libraries_sha256")
_VARIABLES = "environment.variables."


class _Example(NamedTuple):
    """The first job of a result.

    Attributes:
        raw: its record as plain values.
    """

    result_id: str
    record: JobRecord
    raw: Record


def read_recipe(text: str, field: str = "recipe_id") -> bytes:
    """Return what the database holds of a recipe id.

    Raises:
        BadInputError: it is not a recipe id.
    """
    recipe = parse_recipe(text)
    if recipe is None:
        form = "a recipe id: r1: or r1w: and 32 hexadecimal digits"
        raise BadInputError(f"{field}: {text[:60]!r} is not {form}.", {field: [f"not {form}"]})
    return recipe


def list_divergent(
    connection: Connection,
    *,
    experiment: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> DivergentRecipes:
    """Return a page of the recipes with results that differ.

    Raises:
        BadInputError: the limit is out of range, or the cursor cannot be read.
    """
    check_limit(limit, MOST)
    after = None if cursor is None else read_recipe(cursor, "cursor")
    # One more than the page holds: where it is there, another page follows
    recipes = divergent_recipes(connection, experiment=experiment, after=after, limit=limit + 1)
    by_recipe: dict[bytes, list[ResultRow]] = {}
    for row in results_of(connection, recipes[:limit]):
        by_recipe.setdefault(row.recipe, []).append(row)
    divergent = {recipe: rows for recipe, rows in by_recipe.items() if _is_divergent(rows)}
    first_jobs: list[int] = []
    for rows in divergent.values():
        first_jobs += [row.first for row in rows]
    summaries = summaries_of(connection, first_jobs)
    page = [_divergent(recipe, rows, summaries) for recipe, rows in divergent.items()]
    return DivergentRecipes(page, next_cursor(recipes, limit, recipe_text))


def show_recipe(connection: Connection, store: Store, recipe_id: str) -> RecipeAnswer:
    """Return a recipe's results with the jobs that had them, and in what these jobs differ.

    Raises:
        BadInputError: no recipe id.
        NotFoundError: no recorded job has it.
    """
    recipe = read_recipe(recipe_id)
    rows = results_of(connection, [recipe])
    if not rows:
        raise NotFoundError(f"No recorded job has the recipe {recipe_id}.")
    shown = rows[:_RESULTS_SHOWN]
    jobs_by_result: dict[ResultRow, list[int]] = {}
    all_jobs: list[int] = []
    for row in shown:
        jobs = jobs_with(connection, recipe, row.result, limit=_JOBS_A_RESULT)
        jobs_by_result[row] = jobs
        all_jobs += jobs
    summaries = summaries_of(connection, all_jobs)
    results = []
    for row, jobs in jobs_by_result.items():
        shown_jobs = [summaries[job] for job in jobs]
        results.append(JobsOfResult(_result_id(row), row.job_count, shown_jobs))
    examples = _examples(connection, store, shown)
    return RecipeAnswer(
        recipe_id=recipe_id,
        job_count=sum(row.job_count for row in rows),
        result_count=sum(row.result is not None for row in rows),
        is_divergent=_is_divergent(rows),
        results=results,
        outputs=_differing_outputs(examples),
        differences=_differing_facts(examples),
        url=recipe_page(recipe_id),
    )


def _is_divergent(rows: Sequence[ResultRow]) -> bool:
    """Return whether two results of one algorithm differ.

    Results of two algorithms cannot be compared.
    """
    results = [row.result for row in rows if row.result is not None]
    return any(is_comparable(first, second) for first, second in combinations(results, 2))


def _divergent(
    recipe: bytes, rows: Sequence[ResultRow], summaries: Mapping[int, JobSummary]
) -> DivergentRecipe:
    recipe_id = recipe_text(recipe)
    results = []
    for row in rows[:_RESULTS_SHOWN]:
        results.append(ExampleOfResult(_result_id(row), row.job_count, summaries[row.first]))
    job_count = sum(row.job_count for row in rows)
    return DivergentRecipe(recipe_id, job_count, results, recipe_page(recipe_id))


def _result_id(row: ResultRow) -> str | None:
    return None if row.result is None else result_text(row.result)


def _examples(connection: Connection, store: Store, rows: Sequence[ResultRow]) -> list[_Example]:
    """Return the first job of each result; jobs without a result are left out."""
    with_result = [row.first for row in rows if row.result is not None]
    witnesses = read_witnesses(connection, store, with_result)
    examples = []
    for row in rows:
        if row.result is not None:
            reading = witnesses[row.first].merged()
            examples.append(_Example(result_text(row.result), reading.record, reading.raw))
    return examples


def _differing_outputs(examples: Sequence[_Example]) -> list[DifferingOutput]:
    """Return outputs, by their place in the record, whose digests differ between results."""
    most_outputs = max((len(example.record.outputs or ()) for example in examples), default=0)
    differing = []
    for position in range(most_outputs):
        digests: dict[str, str | None] = {}
        names: dict[str, str | None] = {}
        for example in examples:
            name, digest = None, None
            outputs = example.record.outputs or []
            if position < len(outputs):
                name, digest = outputs[position].name, _digest_of(outputs[position])
            names[example.result_id] = name
            digests[example.result_id] = digest
        if len(set(digests.values())) > 1:
            differing.append(DifferingOutput(position, names, digests))
    return differing


def _digest_of(output: Output) -> str | None:
    return output.content_digest or output.sha256 or next(iter(output.checksums or ()), None)


def _differing_facts(examples: Sequence[_Example]) -> list[DifferingFact]:
    """Return the facts outside of the recipe in which the jobs differ.

    These are host, processor, system and variables.
    """
    by_result = {example.result_id: _facts(example.raw) for example in examples}
    fields: set[str] = set()
    for facts in by_result.values():
        fields |= facts.keys()
    differing = []
    for field in sorted(fields, key=_variables_last):
        values = {result_id: facts.get(field) for result_id, facts in by_result.items()}
        # Compared as text: values of any JSON type come here, lists and objects too
        if len({str(value) for value in values.values()}) > 1:
            differing.append(DifferingFact(field, values))
    return differing


def _variables_last(field: str) -> tuple[bool, str]:
    return field.startswith(_VARIABLES), field


def _facts(raw: Record) -> dict[str, object]:
    """Return by path what the recipe leaves out of a record."""
    environment, host = raw.get("environment") or {}, raw.get("host") or {}
    plain = {name: value for name, value in host.items() if isinstance(value, str | int | float)}
    system = {name: environment[name] for name in _SYSTEM if name in environment}
    return {
        **_prefixed("host.", plain),
        **_prefixed("environment.os.", environment.get("os") or {}),
        **_prefixed("environment.", system),
        **_prefixed(_VARIABLES, environment.get("variables") or {}),
    }


def _prefixed(prefix: str, members: Record) -> dict[str, object]:
    return {f"{prefix}{name}": value for name, value in members.items()}
