"""What `jobprov serve` does: bring the database up to date, look at the archive, listen.

Apart from the command, which says that it starts before any of this is imported: database, web
framework and server take a second, on a busy machine many.
"""

import atexit
import os
import shlex
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import click

from jobprov.app.commands.terminal.hints import exports, own_command
from jobprov.app.config import Settings
from jobprov.app.serving.claims import held_database
from jobprov.app.serving.server import serve as serve_forever
from jobprov.app.wiring import archive_state
from jobprov.provenance.catalogs.opening import read_catalogs
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.upkeep.migrating import current_revision, is_current, upgrade_local
from jobprov.provenance.services.alerts.rules import read_alert_rules
from jobprov.provenance.services.intake.tokens import TokenBook


def start(settings: Settings, *, demo: bool) -> None:
    """Serve until told to stop; with `demo`, run the demo production beside it."""
    # What is wrong in a file is said now, and not in the log an hour later
    if settings.alerts is not None:
        read_alert_rules(settings.alerts)
    read_catalogs(settings.catalogs)
    with held_database(settings.database_url):
        _prepare_database(settings)
        serve_forever(settings, lambda address: _announce(settings, address, demo=demo))


def _prepare_database(settings: Settings) -> None:
    """Bring a local database up to date, and make sure that the archive belongs to it."""
    if not is_current(settings.database_url):
        if current_revision(settings.database_url) is not None:
            click.echo(
                "It brings the database up to date first; one of millions of jobs takes minutes.",
                err=True,
            )
        copy = upgrade_local(settings.database_url)
        if copy is not None:
            click.echo(f"The database was brought up to date; a copy of the old one is {copy}.")
    if is_current(settings.database_url):
        _check_archive(settings)


def _check_archive(settings: Settings) -> None:
    """Make sure that database and archive belong together, before anything listens.

    In a process of its own: the threads of an S3 client do not survive the fork of the workers.

    Raises:
        ConflictError: they do not.
        UnreachableError: one of them does not answer.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as processes:
        state = processes.submit(archive_state, settings).result()
    if state.problem is not None:
        raise state.problem
    if state.lacks_jobs:
        click.echo(
            "The archive holds records, and this database has no job. Is it the right one "
            "(JOBPROV_DATABASE_URL)? If the old one is lost, stop before anything is recorded: "
            f"`{own_command()} rebuild-database --into ADDRESS` fills an empty one from the "
            "archive.",
            err=True,
        )


def _announce(settings: Settings, address: str, *, demo: bool) -> None:
    """Say where the service is, who may write, and start the demo beside it."""
    lines = [f"jobprov serves {address} from {settings.data}. Stop it with Ctrl-C."]
    line = exports(settings, address)
    if line is not None:
        lines += ["So that commands in another terminal find it, type there:", f"  {line}"]
    is_open = settings.token_issuers is None and settings.login is None
    if is_open and not _has_tokens(settings):
        lines += [
            "There is no write token yet, so records are taken from this machine only.",
            f"Make one: {own_command()} token create --experiment NAME --name WHAT-FOR",
        ]
    click.echo("\n".join(lines))  # at once: who waits for the first line may read on
    if demo:
        _begin_demo(settings, address)
    sys.stdout.flush()


def _has_tokens(settings: Settings) -> bool:
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
    click.echo(
        "The demo production runs now. It takes two minutes of CPU, so a minute or two, or longer "
        "where others use the machine; the pages fill as its jobs end."
    )
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
