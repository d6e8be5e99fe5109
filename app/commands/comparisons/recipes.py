"""`jobprov recipes`: which jobs should have come out alike and did not."""

import sys
from typing import Any

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, experiment_option, json_option, url_option
from jobprov.provenance.lineage.words import counted

_LISTED = 20


@click.command()
@click.argument("recipe_id", metavar="[RECIPE]", required=False)
@experiment_option
@url_option
@json_option
def recipes(
    *, recipe_id: str | None, experiment: str | None, url: str | None, as_json: bool
) -> None:
    """List the recipes whose jobs have more than one result, or tell what differs between the jobs of one.

    Exit code 1 where there are such recipes, or results of RECIPE differ.
    """
    client = client_for(url)
    if recipe_id is not None:
        recipe = client.recipe(recipe_id)
        emit(recipe, _recipe_text(recipe), as_json=as_json)
        sys.exit(1 if recipe["is_divergent"] else 0)
    found = list(client.recipes(experiment=experiment))
    none = "No recipe has more than one result"
    none += (
        "." if experiment is None else ", or the experiment's name is not spelt as it is recorded."
    )
    emit({"recipes": found}, _list_text(found) or none, as_json=as_json)
    sys.exit(1 if found else 0)


def _list_text(found: list[dict[str, Any]]) -> str:
    lines = []
    for recipe in found:
        results = [row for row in recipe["results"] if row["result_id"]]
        stage = results[0]["example"]["task"]["stage"] or "no stage"
        lines.append(
            f"{recipe['recipe_id']}  {stage}: {counted(recipe['job_count'], 'job')}, "
            f"{len(results)} results"
        )
    return "\n".join(lines)


def _recipe_text(recipe: dict[str, Any]) -> str:
    lines = [
        (
            f"{recipe['recipe_id']}: {counted(recipe['job_count'], 'job')}, "
            f"{counted(recipe['result_count'], 'result')}"
        )
    ]
    for row in recipe["results"]:
        jobs = ", ".join(job["job_id"] for job in row["jobs"][:3])
        lines.append(
            f"  {row['result_id'] or 'no result'}: {counted(row['job_count'], 'job')}, such as "
            f"{jobs}"
        )
    for output in recipe["outputs"][:_LISTED]:
        name = next(name for name in output["names"].values() if name)
        lines.append(
            f"  differs: {name} "
            f"({', '.join(str(digest)[:30] for digest in output['digests'].values())})"
        )
    lines += [
        f"  {fact['field']}: {' | '.join(str(value)[:40] for value in fact['values'].values())}"
        for fact in recipe["differences"][:_LISTED]
    ]
    return "\n".join(lines)


COMMANDS = {"recipes": recipes}
