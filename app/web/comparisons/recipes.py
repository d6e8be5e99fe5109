"""The pages of recipes: which have more than one result, and what differs between one's jobs."""

from string import ascii_uppercase

from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import cut_rows
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked, experiment_asked, here
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.comparisons import RecipeAnswer
from jobprov.provenance.services.comparisons.recipes import list_divergent, show_recipe

_ROWS = 50
_FACTS = 30


def add_routes(blueprint: Blueprint) -> None:
    """Put the pages on the blueprint."""
    blueprint.add_url_rule("/recipes", view_func=show_list, endpoint="recipes")
    blueprint.add_url_rule("/recipes/<recipe_id>", view_func=show_page, endpoint="recipe")


def show_list() -> Response:
    """Show the recipes whose jobs have more than one result."""
    with get_service().reading() as connection:
        page = list_divergent(
            connection, experiment=experiment_asked(), limit=_ROWS, cursor=asked("cursor")
        )
    next_page = None if page.next is None else here(cursor=page.next)
    return answer(
        "comparisons/recipes.html",
        twin="/recipes",
        recipes=page.recipes,
        next_page=next_page,
    )


def show_page(recipe_id: str) -> Response:
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
    return f"{jobs} of this recipe agree in {counted(results, 'result')}."
