"""Recipes over HTTP: those with more than one result, and what differs."""

from datetime import UTC, datetime

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.comparisons import DivergentRecipes, RecipeAnswer
from jobprov.provenance.answers.reruns import Reproduction
from jobprov.provenance.schemas.queries import RecipesQuery
from jobprov.provenance.services.comparisons.recipes import list_divergent, show_recipe
from jobprov.provenance.services.reruns.reproduction import reproduction_facts

section = Section("recipes", "What jobs have in common that should come out alike.")


@section.call(
    "GET",
    "/recipes",
    answers={200: DivergentRecipes},
    parameters=parameters(RecipesQuery),
    errors=(401, 422),
)
def get_recipes() -> Response:
    """Return the recipes whose jobs have more than one result."""
    query = asked(RecipesQuery)
    with get_service().reading() as connection:
        return json_answer(list_divergent(connection, **query))


@section.call("GET", "/reproduction", answers={200: Reproduction}, errors=(401,))
def get_reproduction() -> Response:
    """Return which share of recipes was reproduced when last run again."""
    with get_service().reading() as connection:
        return json_answer(reproduction_facts(connection, datetime.now(UTC)))


@section.call("GET", "/recipes/<recipe_id>", answers={200: RecipeAnswer}, errors=(401, 404, 422))
def get_recipe(recipe_id: str) -> Response:
    """Return a recipe: its results with the jobs that had them, the outputs that differ, and what else differs."""
    service = get_service()
    name = checked_name(recipe_id, "recipe_id")
    with service.reading() as connection:
        return json_answer(show_recipe(connection, service.store, name))
