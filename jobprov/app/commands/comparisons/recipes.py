"""`jobprov recipes`: which jobs should have come out alike and did not."""

import sys

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, experiment_option
from jobprov.provenance.answers.comparisons.recipes import (
    DifferingOutput,
    DivergentRecipe,
    JobsOfResult,
    RecipeAnswer,
)
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted

_LISTED = 20


@click.command()
@click.argument("recipe_id", metavar="[RECIPE]", required=False)
@experiment_option
@asks_service
def recipes(
    *, recipe_id: str | None, experiment: str | None, client: Client, as_json: bool
) -> None:
    """List the recipes whose jobs have more than one result, or show what differs between the jobs of one.

    Exit code 1 where there are such recipes, or results of RECIPE differ.
    """
    if recipe_id is not None:
        recipe = client.recipe(recipe_id)
        emit(recipe, _recipe_text(recipe), as_json=as_json)
        sys.exit(int(recipe.is_divergent))
    divergent = list(client.recipes(experiment=experiment))
    text = "\n".join(_line(recipe) for recipe in divergent)
    if not divergent:
        refuse_unknown_names(client, {"experiment": experiment})
        text = "No recipe has more than one result."
    emit({"recipes": divergent}, text, as_json=as_json)
    sys.exit(int(bool(divergent)))


def _line(recipe: DivergentRecipe) -> str:
    results = [result for result in recipe.results if result.result_id is not None]
    stage = results[0].example.task.stage or "no stage"
    jobs = counted(recipe.job_count, "job")
    return f"{recipe.recipe_id}  {stage}: {jobs}, {len(results)} results"


def _recipe_text(recipe: RecipeAnswer) -> str:
    jobs, results = counted(recipe.job_count, "job"), counted(recipe.result_count, "result")
    lines = [f"{recipe.recipe_id}: {jobs}, {results}"]
    lines += [_result_line(result) for result in recipe.results]
    lines += [_output_line(output) for output in recipe.outputs[:_LISTED]]
    for fact in recipe.differences[:_LISTED]:
        values = [str(value)[:40] for value in fact.values.values()]
        lines.append(f"  {fact.field}: {' | '.join(values)}")
    return "\n".join(lines)


def _result_line(result: JobsOfResult) -> str:
    jobs = counted(result.job_count, "job")
    examples = [job.job_id for job in result.jobs[:3]]
    return f"  {result.result_id or 'no result'}: {jobs}, such as {', '.join(examples)}"


def _output_line(output: DifferingOutput) -> str:
    name = next(name for name in output.names.values() if name)
    digests = [str(digest)[:30] for digest in output.digests.values()]
    return f"  differs: {name} ({', '.join(digests)})"


COMMANDS = {"recipes": recipes}
EXAMPLES = {
    "recipes": ("jobprov recipes --experiment toyexp",),
}
