"""The pages of recipes: which have more than one result, and what differs between one's jobs."""

from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import cut_rows
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked, experiment_asked, here
from jobprov.app.wiring import get_service
from jobprov.provenance.services.comparisons.recipes import list_divergent, show_recipe

_ROWS = 50


def add_routes(blueprint: Blueprint) -> None:
    """Put the pages on the blueprint."""
    blueprint.add_url_rule("/recipes", view_func=show_list, endpoint="recipes")
    blueprint.add_url_rule("/recipes/<recipe_id>", view_func=show_page, endpoint="recipe")


def show_list() -> Response:
    """Show the recipes whose jobs have more than one result."""
    with get_service().reading() as connection:
        found = list_divergent(
            connection, experiment=experiment_asked(), limit=_ROWS, cursor=asked("cursor")
        )
    return answer(
        "comparisons/recipes.html",
        twin="/recipes",
        recipes=found["recipes"],
        next_page=here(cursor=found["next"]) if found["next"] else None,
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
        names={
            row["result_id"]: chr(ord("A") + place)
            for place, row in enumerate(recipe["results"])
            if row["result_id"]
        },
        outputs=cut_rows("outputs", recipe["outputs"], 30),
        differences=cut_rows("differences", recipe["differences"], 30),
        first_line=_first_line(recipe),
    )


def _first_line(recipe: dict[str, object]) -> str:
    jobs, results = counted(int(str(recipe["job_count"])), "job"), int(str(recipe["result_count"]))
    if recipe["is_divergent"]:
        return f"{jobs} of this recipe gave {results} different results: it is not deterministic."
    if results == 0:
        return f"{jobs} of this recipe; none has a result that can be compared."
    return f"{jobs} of this recipe agree in {counted(results, 'result')}."
