"""What `jobprov agent` and `jobprov launch` share: options, and turns of submitting orders."""

import fcntl
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from jobprov.app.commands.orders.witness import look
from jobprov.app.commands.terminal.opening import option_with_default, settings_with, url_option
from jobprov.provenance.answers.orders.workflows import WorkflowStanding
from jobprov.provenance.client import Client
from jobprov.provenance.errors import ConflictError, UnreachableError
from jobprov.provenance.launchers.condor.launcher import CondorLauncher
from jobprov.provenance.launchers.hook_file import put_hook
from jobprov.provenance.launchers.job import Launcher
from jobprov.provenance.launchers.local.launcher import LocalLauncher
from jobprov.provenance.launchers.resubmitting import FileCommands
from jobprov.provenance.services.agents.order_jobs import Workshop
from jobprov.provenance.services.agents.submission import OrderRunner, Turn

_WITNESS_SECONDS = 60
_DAYS = 30
AGAIN = "The next look tries again."


class LaunchingOptions(NamedTuple):
    """The options of commands that submit jobs, as `launching_options` adds them.

    Attributes:
        kind: `condor` or `local`.
        folder: for the jobs' folders; None for `jobprov-agent`.
        slots: local jobs at a time.
        lines: more lines for every submit file.
        hook: None for one that is built.
        interval, follow_interval: seconds between looks, and between looks into the catalog.
        witnesses: whether what HTCondor saw of jobs is reported, too.
        output_dir: for what retries make; None for the jobs' folders.
    """

    kind: str
    folder: Path | None
    slots: int
    schedd: str | None
    lines: tuple[str, ...]
    hook: Path | None
    interval: float
    follow_interval: float
    witnesses: bool
    output_dir: Path | None


def launching_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that submit jobs."""
    for option in reversed((
        option_with_default(
            "--launcher", click.Choice(["condor", "local"]), "condor",
            "HTCondor, or this machine, for trials.", to="kind",
        ),
        click.option(
            "--folder", type=click.Path(path_type=Path),
            help="For the jobs' folders; jobprov-agent by default.",
        ),
        option_with_default("--slots", click.IntRange(1, 1000), 2, "Local jobs at a time."),
        click.option("--schedd", help="Name of the schedd, where it is not this machine's own."),
        click.option(
            "--submit-line", "lines", multiple=True, help="One more line for every submit file.",
        ),
        click.option("--hook", type=click.Path(path_type=Path), help="The hook; built by default."),
        option_with_default(
            "--interval", click.FloatRange(0.1, 3600), 10, "Seconds between looks."
        ),
        option_with_default(
            "--follow-interval", click.FloatRange(0.1, 86400), 300,
            "Seconds between looks into the catalog for new files of sources that stages follow.",
        ),
        click.option(
            "--witness/--no-witness", "witnesses", default=True,
            help="Report what HTCondor saw of jobs, once a minute.",
        ),
        click.option(
            "--output-dir", type=click.Path(path_type=Path),
            help=(
                "For outputs of retries whose own stage-out nobody recorded; "
                "the jobs' folders by default."
            ),
        ),
        url_option,
    )):  # fmt: skip
        function = option(function)
    return function


def every(seconds: float) -> Callable[[], bool]:
    """Return a function that answers whether so many seconds have passed since it last said yes.

    The first answer is yes.
    """
    last: float | None = None

    def is_due() -> bool:
        nonlocal last
        if last is not None and time.monotonic() - last < seconds:
            return False
        last = time.monotonic()
        return True

    return is_due


def say_problems(standing: WorkflowStanding) -> None:
    """Say which sources that stages follow could not be asked; the next look asks again."""
    for stage in standing.stages:
        if stage.follow_problem:
            click.echo(f"{standing.name}, stage {stage.stage}: {stage.follow_problem}", err=True)


def folder_of(options: LaunchingOptions) -> Path:
    """Return the folder of a command that submits jobs."""
    return (options.folder or Path("jobprov-agent")).resolve()


@contextmanager
def runner_of(
    client: Client, experiment: str, options: LaunchingOptions, workflow: str | None
) -> Iterator[Callable[[], Turn | None]]:
    """Yield a function that takes one turn; it returns None if the service does not answer.

    Only one runner works in a folder at a time.
    """
    folder = folder_of(options)
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_with(url=client.url)
    is_local = options.kind == "local"
    workshop = Workshop(
        client,
        experiment,
        folder,
        _hook(options.hook, folder),
        needs_tickets=bool(settings.token or settings.token_file),
        names_jobs=is_local,
        output_dir=options.output_dir.resolve() if options.output_dir else None,
        commands=FileCommands(settings.fetch_command, settings.store_command),
    )
    runner = OrderRunner(
        client,
        _launcher(options, folder / "jobs"),
        workshop,
        holder=f"{socket.gethostname()}:{folder}",
        workflow=workflow,
        report=lambda line: click.echo(line, err=True),
    )
    witnesses = options.witnesses and not is_local
    is_witness_due = every(_WITNESS_SECONDS)

    def turn() -> Turn | None:
        try:
            done = runner.turn()
            if words := done.words():
                click.echo(words, err=True)
            if witnesses and is_witness_due():
                look(settings, folder / "witness.db", experiment=experiment, schedd=options.schedd)
        except UnreachableError as problem:
            click.echo(f"{problem} {AGAIN}", err=True)
            return None
        return done

    with _alone(folder):
        yield turn


def _hook(file: Path | None, folder: Path) -> Path:
    """Return the hook that jobs get: a file that was named, or one built in the folder."""
    if file is not None:
        return file.resolve()
    built = folder / "job-end-hook.pyz"
    put_hook(built)
    return built


def _launcher(options: LaunchingOptions, folder: Path) -> Launcher:
    if options.kind == "local":
        return LocalLauncher(folder, options.slots)
    return CondorLauncher(
        folder,
        schedd=options.schedd,
        since=time.time() - _DAYS * 86400,
        lines=options.lines,
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # The kernel drops this lock when the process ends, however it ends
    with (folder / "lock").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"Another agent or launch works in {folder}; give this one another --folder."
            ) from None
        yield
