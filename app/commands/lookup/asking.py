"""`jobprov lookup` and `job`: questions to a running service, answered in words or JSON."""

from typing import Any

import click

from jobprov.app.commands.lookup.sentences import file_text, job_text
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    file_name,
    json_option,
    settings_with,
    url_option,
)
from jobprov.provenance.client import Client


def client_for(url: str | None) -> Client:
    """Return a client of the service at `url`, or of the settings'."""
    settings = settings_with(url=url)
    return Client(settings.url, settings.token or None)


@click.command()
@click.argument("file", type=file_name)
@click.option("--namespace", help="Needed where several namespaces know the name.")
@experiment_option
@url_option
@json_option
def lookup(*, file: str, url: str | None, as_json: bool, **where: Any) -> None:
    """Tell what made FILE, from what, with which configuration and code."""
    client = client_for(url)
    shown = client.file(file, **where)
    producer = shown["producer"]
    job = client.job(producer["job_id"], experiment=producer["experiment"]) if producer else None
    emit({**shown, "job": job}, file_text(shown, job, client.url), as_json=as_json)


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--log", "log_name", help="Print this log of the job instead.")
@click.option(
    "--tail", type=click.IntRange(1, 100_000), help="With --log: only so many last lines."
)
@experiment_option
@url_option
@json_option
def job(
    *,
    job_id: str,
    log_name: str | None,
    tail: int | None,
    experiment: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show the job with this job id or batch id."""
    client = client_for(url)
    if log_name is not None:
        click.echo(client.log(job_id, log_name, experiment=experiment, tail=tail), nl=False)
        return
    shown = client.job(job_id, experiment=experiment)
    emit(shown, job_text(shown, client.url), as_json=as_json)


COMMANDS = {"lookup": lookup, "job": job}
