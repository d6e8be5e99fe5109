"""`jobprov export`: a job in the words of PROV, OpenLineage and in-toto."""

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import experiment_option, url_option
from jobprov.provenance.bundle.description.exports import FORMS


@click.command()
@click.argument("job_id", metavar="ID")
@click.option(
    "--format", "form", type=click.Choice(list(FORMS)), default="openlineage", show_default=True
)
@experiment_option
@url_option
def export(*, job_id: str, form: str, experiment: str | None, url: str | None) -> None:
    """Print the job in the words of PROV, OpenLineage or in-toto, as its bundle holds them."""
    click.echo(client_for(url).export(job_id, form, experiment=experiment), nl=False)


COMMANDS = {"export": export}
