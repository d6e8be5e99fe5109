"""`jobprov proofs`: which recipes did not come out as recorded when they were rerun."""

import sys

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, json_option, url_option
from jobprov.app.commands.terminal.tables import table
from jobprov.provenance.answers.reruns.proofs import NotProvenRecipe, ProofList
from jobprov.provenance.lineage.words import counted, proof_line

_COLUMNS = {"experiment": "EXPERIMENT", "campaign": "CAMPAIGN", "proof": "PROVEN BY RERUN"}


@click.command()
@click.option("--experiment", help="Recipes of this experiment alone.")
@url_option
@json_option
def proofs(*, experiment: str | None, url: str | None, as_json: bool) -> None:
    """List how campaigns stand, and the recipes that did not pass, with what would accept them.

    Exit code 1 where a recipe failed or differs.
    """
    client = client_for(url)
    listed = client.proofs(experiment=experiment)
    if not listed.campaigns:
        refuse_unknown_names(client, {"experiment": experiment})
    emit(listed, _text(listed), as_json=as_json)
    sys.exit(int(any(recipe.state != "unproven" for recipe in listed.recipes)))


def _text(listed: ProofList) -> str:
    if not listed.campaigns:
        return "No job is over yet."
    rows = []
    for campaign in listed.campaigns:
        row = {
            "experiment": campaign.experiment,
            "campaign": campaign.campaign or "none",
            "proof": proof_line(campaign.proof),
        }
        rows.append(row)
    return "\n".join([table(rows, _COLUMNS), *(_recipe(recipe) for recipe in listed.recipes)])


def _recipe(recipe: NotProvenRecipe) -> str:
    jobs = counted(recipe.job_count, "job")
    lines = [
        "",
        f"{recipe.recipe_id or 'no recipe'}  {recipe.state}, {jobs} such as {recipe.job_id}",
    ]
    if recipe.message:
        lines.append(f"  {recipe.message}")
    if recipe.comparators:
        command = f"jobprov comparators set {recipe.experiment} comparators.toml"
        lines += [f"  This would accept it; add it to your file, then {command}:"]
        lines += [f"    {line}" for line in recipe.comparators.splitlines()]
    return "\n".join(lines)


COMMANDS = {"proofs": proofs}
EXAMPLES = {
    "proofs": ("jobprov proofs --experiment toyexp",),
}
