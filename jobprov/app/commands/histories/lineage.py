"""`jobprov lineage`: the history of a file, drawn or exported."""

from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    file_name,
    option_with_default,
)
from jobprov.provenance.client import Client

FORMS = ["text", "json", "dot", "svg", "prov-json", "prov-n", "openlineage", "csv"]


@click.command()
@click.argument("file", type=file_name)
@option_with_default("--direction", click.Choice(["ancestors", "descendants", "both"]), "both")
@click.option("--depth", type=click.IntRange(1, 1000), help="At most this many jobs away.")
@option_with_default("--limit", click.IntRange(1, 1000), 200, "At most this many files and jobs.")
@click.option(
    "--version", type=click.IntRange(1), help="Which version of the file; the newest by default."
)
@click.option(
    "--kind", type=click.Choice(["file", "job"]), help="Only files, or only jobs, linked directly."
)
@click.option(
    "--role", help="Only files in this role: primary, secondary, shared or configuration."
)
@click.option("--stage", help="Only jobs of this stage, and the files that they made.")
@click.option(
    "--state", help="Only jobs in this state: running, succeeded, failed, killed or lost."
)
@click.option(
    "--started-after", metavar="TIME", help="Only jobs that started at or after this time."
)
@click.option("--started-before", metavar="TIME", help="Only jobs that started before this time.")
@click.option("--software", help="Only jobs that used code of this name.")
@click.option("--revision", help="Only jobs that ran this commit or tag.")
@click.option("--as-of", metavar="TIME", help="Only what had been recorded by this time.")
@option_with_default("--format", click.Choice(FORMS), "text", to="form")
@click.option("--namespace", help="Needed where several namespaces know the name.")
@experiment_option
@asks_service
def lineage(*, file: str, form: str, client: Client, as_json: bool, **query: Any) -> None:
    """Draw or export the history around FILE."""
    if as_json or form == "json":
        emit(client.lineage(file, **query), "", as_json=True)
    else:
        click.echo(client.lineage_text(file, form, **query).rstrip("\n"))


COMMANDS = {"lineage": lineage}
EXAMPLES = {
    "lineage": (
        "jobprov lineage toyexp_demo-2026_0001_merge_dimuon.root",
        "jobprov lineage gen_0004.root --direction descendants --format svg > gen_0004.svg",
    ),
}
