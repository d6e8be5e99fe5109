"""Two jobs side by side over HTTP, and recipes with more than one result."""

from datetime import UTC, datetime

from flask import Response
from marshmallow import fields, validate

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.comparisons.companions import JobCompanions
from jobprov.provenance.answers.comparisons.jobs import JobComparison
from jobprov.provenance.answers.comparisons.recipes import DivergentRecipes, RecipeAnswer
from jobprov.provenance.answers.comparisons.stages import ProductionComparison
from jobprov.provenance.answers.reruns.reproduction import Reproduction
from jobprov.provenance.schemas.production_queries import ProductionsQuery
from jobprov.provenance.schemas.queries import ExperimentQuery, RecipesQuery
from jobprov.provenance.services.comparisons.jobs import (
    DIFFERENCES_A_FACET,
    compare_jobs,
    find_companions,
)
from jobprov.provenance.services.comparisons.recipes import list_divergent, show_recipe
from jobprov.provenance.services.comparisons.stages import compare_productions
from jobprov.provenance.services.reruns.reproduction import reproduction_facts

comparisons_section = Section("comparisons", "Two jobs, or two productions, side by side.")
_MOST = 10_000
recipes_section = Section("recipes", "What jobs have in common that should come out alike.")


class DiffQuery(ExperimentQuery):
    """How much of a comparison."""

    limit = fields.Integer(
        validate=validate.Range(min=1, max=_MOST),
        load_default=DIFFERENCES_A_FACET,
        metadata={"description": "Differences a facet at most."},
    )


@comparisons_section.get(
    "/jobs/<before>/diff/<after>", JobComparison, query=DiffQuery, errors=(300, 404)
)
def get_diff(before: str, after: str) -> Response:
    """Return what differs from the first job to the second, by facet.

    The facets are configuration by parameter, code, inputs, outputs and all else.
    """
    query = asked(DiffQuery)
    service = get_service()
    names = checked_name(before, "job_id"), checked_name(after, "job_id")
    with service.reading() as connection:
        comparison = compare_jobs(
            connection, service.store, *names, deciding=service.physics_variables, **query
        )
    return json_answer(comparison)


@comparisons_section.get(
    "/jobs/<job_id>/diff", JobCompanions, query=ExperimentQuery, errors=(300, 404)
)
def get_companions(job_id: str) -> Response:
    """Return which jobs one would compare a job with.

    They are other attempts, siblings that succeeded, and runs of the same recipe.
    """
    query = asked(ExperimentQuery)
    with get_service().reading() as connection:
        return json_answer(find_companions(connection, checked_name(job_id, "job_id"), **query))


@comparisons_section.get(
    "/diff", ProductionComparison, query=ProductionsQuery, errors=(300, 404, 413)
)
def get_productions() -> Response:
    """Return what differs from one campaign or release to another, stage by stage.

    Each value comes with how many jobs have it.
    """
    query = asked(ProductionsQuery)
    names = query.pop("by"), query.pop("a"), query.pop("b")
    with get_service().reading() as connection:
        return json_answer(compare_productions(connection, *names, **query))


@recipes_section.get("/recipes", DivergentRecipes, query=RecipesQuery)
def get_recipes() -> Response:
    """Return the recipes whose jobs have more than one result."""
    query = asked(RecipesQuery)
    with get_service().reading() as connection:
        return json_answer(list_divergent(connection, **query))


@recipes_section.get("/reproduction", Reproduction)
def get_reproduction() -> Response:
    """Return which share of recipes was reproduced when last run again."""
    with get_service().reading() as connection:
        return json_answer(reproduction_facts(connection, datetime.now(UTC)))


@recipes_section.get("/recipes/<recipe_id>", RecipeAnswer, errors=(404, 422))
def get_recipe(recipe_id: str) -> Response:
    """Return a recipe: its results with the jobs that had them, the outputs that differ, and what else differs."""
    service = get_service()
    name = checked_name(recipe_id, "recipe_id")
    with service.reading() as connection:
        return json_answer(show_recipe(connection, service.store, name))
