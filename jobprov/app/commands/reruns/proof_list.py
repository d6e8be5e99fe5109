"""`jobprov proofs`: which recipes did not come out as recorded when they were rerun."""

import sys

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.reruns.proofs import CampaignProofs, NotProvenRecipe, ProofList
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, proof_line

_COLUMNS: Columns[CampaignProofs] = {
    "EXPERIMENT": lambda campaign: campaign.experiment,
    "CAMPAIGN": lambda campaign: campaign.campaign or "none",
    "PROVEN BY RERUN": lambda campaign: proof_line(campaign.proof),
}


@click.command()
@click.option("--experiment", help="Recipes of this experiment alone.")
@asks_service
def proofs(*, experiment: str | None, client: Client, as_json: bool) -> None:
    """List how campaigns stand, and the recipes that did not pass, with what would accept them.

    Exit code 1 where a recipe failed or differs.
    """
    listed = client.proofs(experiment=experiment)
    if not listed.campaigns:
        refuse_unknown_names(client, {"experiment": experiment})
    emit(listed, _text(listed), as_json=as_json)
    sys.exit(int(any(recipe.state != "unproven" for recipe in listed.recipes)))


def _text(listed: ProofList) -> str:
    if not listed.campaigns:
        return "No job is over yet."
    recipes = [_recipe(recipe) for recipe in listed.recipes]
    return "\n".join([table(listed.campaigns, _COLUMNS), *recipes])


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
