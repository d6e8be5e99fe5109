"""The service that commands ask; and `jobprov lineage`."""

from typing import Any

import click

from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    file_name,
    json_option,
    settings_with,
    url_option,
)
from jobprov.provenance.client import Client

FORMS = ["text", "json", "dot", "svg", "prov-json", "prov-n", "openlineage", "csv"]


def client_for(url: str | None) -> Client:
    """Return a client of the service at `url`, or of the settings'."""
    settings = settings_with(url=url)
    return Client(settings.url, settings.token or None)


@click.command()
@click.argument("file", type=file_name)
@click.option(
    "--direction",
    type=click.Choice(["ancestors", "descendants", "both"]),
    default="both",
    show_default=True,
)
@click.option("--depth", type=click.IntRange(1, 1000), help="So many jobs away at most.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=200,
    show_default=True,
    help="Files and jobs at most.",
)
@click.option(
    "--version", type=click.IntRange(1), help="Which version of the file; the newest by default."
)
@click.option(
    "--kind", type=click.Choice(["file", "job"]), help="Only files, or only jobs, joined directly."
)
@click.option("--role", help="Files that a job used so: primary, secondary, shared, configuration.")
@click.option("--stage", help="Jobs of this stage, and the files that they made; so the next ones.")
@click.option("--state", help="Jobs in this state: running, succeeded, failed, killed or lost.")
@click.option("--started-after", metavar="TIME", help="Jobs that started at or after this time.")
@click.option("--started-before", metavar="TIME", help="Jobs that started before this time.")
@click.option("--software", help="Jobs that used code of this name.")
@click.option("--revision", help="Jobs that ran this commit or tag.")
@click.option("--as-of", metavar="TIME", help="Only what had been recorded at this time.")
@click.option("--format", "form", type=click.Choice(FORMS), default="text", show_default=True)
@click.option("--namespace", help="Needed where several namespaces know the name.")
@experiment_option
@url_option
@json_option
def lineage(*, file: str, form: str, url: str | None, as_json: bool, **query: Any) -> None:
    """Draw or export the history around FILE."""
    client = client_for(url)
    if as_json or form == "json":
        emit(client.lineage(file, **query), "", as_json=True)
    else:
        click.echo(client.lineage_text(file, form, **query).rstrip("\n"))


COMMANDS = {"lineage": lineage}
