"""`jobprov serve` and `jobprov migrate`."""

from importlib.metadata import version
from typing import Any

import click

from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    make_data_folder,
    settings_with,
)
from jobprov.app.commands.terminal.progress import shown_progress

_NO_NAME_INDEX = (
    "Search finds files by the beginning of their names, and by a part of the newest names alone: "
    "the database lacks trigrams (on PostgreSQL: install its contrib modules, have an owner of the "
    "database run `CREATE EXTENSION pg_trgm`, and run `jobprov migrate` again)."
)


@click.command()
@click.option("--host", help="Address to listen on; JOBPROV_HOST by default.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; JOBPROV_PORT by default, 0 takes a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Worker processes; more than one needs PostgreSQL.",
)
@click.option("--demo", is_flag=True, help="Also run and record the demo production, once.")
@data_option
def serve(*, demo: bool, **options: Any) -> None:
    """Serve the pages and the HTTP interface until told to stop.

    A local SQLite database is brought up to date first, after a copy of it; on PostgreSQL run
    `jobprov migrate`.
    """
    settings = settings_with(**options)
    make_data_folder(settings)
    click.echo(f"jobprov {version('jobprov')} starts on {settings.data}.", err=True)
    from jobprov.app.commands.service.start import start  # noqa: PLC0415 - takes a second

    start(settings, demo=demo)


@click.command()
@click.option(
    "--wide-keys",
    is_flag=True,
    help="Also make all keys eight bytes wide (PostgreSQL; writes every table anew).",
)
@json_option
@data_option
def migrate(*, wide_keys: bool, data: str | None, as_json: bool) -> None:
    """Bring the database's schema up to date.

    On PostgreSQL keys are four bytes wide, which is enough for two billion rows per table.
    `--wide-keys` is for databases that come near that (`jobprov_keys_used` in /metrics): stop the
    service first, and have as much disk free as the database takes.
    """
    # Not while the command is only asked for its help
    from jobprov.provenance.db.upkeep.key_widths import widen_keys  # noqa: PLC0415
    from jobprov.provenance.db.upkeep.migrating import (  # noqa: PLC0415
        current_revision,
        finds_parts_of_names,
        newest_revision,
        upgrade,
    )

    settings = settings_with(data=data)
    make_data_folder(settings)
    before = current_revision(settings.database_url)
    with shown_progress(as_json=as_json):
        upgrade(settings.database_url)
        widened = wide_keys and widen_keys(settings.database_url)
    after = newest_revision()
    text = (
        f"The schema is up to date ({after})."
        if before == after
        else f"The schema went from {before or 'nothing'} to {after}."
    )
    if wide_keys:
        text += (
            " Keys are eight bytes wide."
            if widened
            else " On SQLite each key is as wide as it has to be."
        )
    finds_parts = finds_parts_of_names(settings.database_url)
    if not finds_parts:
        text += f" {_NO_NAME_INDEX}"
    answer = {
        "before": before,
        "after": after,
        "wide_keys": widened,
        "finds_parts_of_names": finds_parts,
    }
    emit(answer, text, as_json=as_json)


COMMANDS = {"serve": serve, "migrate": migrate}
EXAMPLES = {
    "serve": ("jobprov serve --data /srv/jobprov --host 0.0.0.0 --workers 4",),
    "migrate": ("jobprov migrate",),
}
