"""`jobprov serve` and `jobprov migrate`."""

import atexit
import os
import shlex
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import click

from jobprov.app.commands.terminal.hints import exports, own_command
from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    settings_with,
)
from jobprov.app.commands.terminal.progress import shown_progress
from jobprov.app.config import Settings
from jobprov.app.serving.server import serve as serve_forever
from jobprov.app.wiring import archive_problem
from jobprov.provenance.db.upkeep.key_widths import widen_keys
from jobprov.provenance.db.upkeep.migrating import (
    current_revision,
    finds_parts_of_names,
    is_current,
    newest_revision,
    upgrade,
    upgrade_local,
)
from jobprov.provenance.services.alerts.rules import read_alert_rules

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
    """Serve the pages and the interface until told to stop.

    A local SQLite database is brought up to date first, after a copy of it; on PostgreSQL run
    `jobprov migrate`.
    """
    settings = settings_with(**options)
    settings.data.mkdir(parents=True, exist_ok=True)
    if settings.alerts is not None:
        read_alert_rules(settings.alerts)  # said now, and not in the log an hour later
    if not is_current(settings.database_url):
        copy = upgrade_local(settings.database_url)
        if copy is not None:
            click.echo(f"The database was brought up to date; a copy of the old one is {copy}.")
    if is_current(settings.database_url):
        _check_archive(settings)
    serve_forever(settings, lambda address: _announce(settings, address, demo=demo))


def _check_archive(settings: Settings) -> None:
    """Make sure that database and archive belong together, before anything listens.

    In a process of its own: the threads of an S3 client do not survive the fork of the workers.

    Raises:
        ConflictError: they do not.
        UnreachableError: one of them does not answer.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as processes:
        error = processes.submit(archive_problem, settings).result()
    if error is not None:
        raise error


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
    settings = settings_with(data=data)
    settings.data.mkdir(parents=True, exist_ok=True)
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


def _announce(settings: Settings, address: str, *, demo: bool) -> None:
    """Say where the service is, who may write, and start the demo beside it."""
    click.echo(f"jobprov serves {address} from {settings.data}. Stop it with Ctrl-C.")
    line = exports(settings, address)
    if line is not None:
        click.echo(f"So that commands in another terminal find it, type there:\n  {line}")
    is_open = settings.token_issuers is None and settings.login is None
    if is_open and not _has_tokens(settings):
        click.echo(
            "There is no write token yet, so records are taken from this machine only.\n"
            f"Make one: {own_command()} token create --experiment NAME --name WHAT-FOR"
        )
    if demo:
        _begin_demo(settings, address)
    sys.stdout.flush()


def _has_tokens(settings: Settings) -> bool:
    from jobprov.provenance.db.connections.engines import open_database  # noqa: PLC0415
    from jobprov.provenance.services.intake.tokens import TokenBook  # noqa: PLC0415

    database = open_database(settings.database_url)
    try:
        return TokenBook(database.reading).exist()
    finally:
        database.dispose()


def _begin_demo(settings: Settings, address: str) -> None:
    """Start `jobprov demo` beside the service, unless it was run before."""
    if (settings.data / "demo").is_dir():
        place = f"--url {address} --data {shlex.quote(str(settings.data))}"
        click.echo(
            f"The demo production is there already: {address}/ shows it. This runs another:\n"
            f"  {own_command()} demo {place}"
        )
        return
    click.echo("The demo production runs now, for a minute or two; the pages fill as its jobs end.")
    command = [
        sys.executable,
        "-m",
        "jobprov.app.commands.service.demo",
        "--url",
        address,
        "--data",
        str(settings.data),
    ]
    running = subprocess.Popen(
        command, env={**os.environ, "JOBPROV_DATABASE_URL": settings.database_url}
    )
    # Its jobs would report to a service that is stopped
    atexit.register(running.terminate)


COMMANDS = {"serve": serve, "migrate": migrate}
EXAMPLES = {
    "serve": ("jobprov serve --data /srv/jobprov --host 0.0.0.0 --workers 4",),
    "migrate": ("jobprov migrate",),
}
