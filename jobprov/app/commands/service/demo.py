"""`jobprov demo`: run and record the demo production against a running service."""

import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec

from jobprov.app.commands.terminal.asking import token_of
from jobprov.app.commands.terminal.hints import own_command
from jobprov.app.commands.terminal.opening import (
    data_option,
    json_option,
    opened_service,
    option_with_default,
    settings_with,
    url_option,
)
from jobprov.provenance.launchers.hook_file import put_hook
from jobprov.provenance.services.code.repositories import enqueue_resolutions, register_repository
from jobprov.provenance.services.demo.production import run_demo
from jobprov.provenance.services.writing import Writing


@click.command()
@option_with_default("--slots", click.IntRange(1, 64), 2, "Jobs at a time.")
@url_option
@data_option
@json_option
def demo(*, slots: int, url: str | None, data: str | None, as_json: bool) -> None:
    """Run a real small production under the hook, recorded by a service that runs on this machine.

    Its git repository is registered with the service, as an operator would; so this needs the
    service's own data folder.
    """
    signal.signal(signal.SIGTERM, _end)
    settings = settings_with(data=data, url=url)
    with opened_service(settings) as service, tempfile.TemporaryDirectory() as folder:
        hook = Path(folder) / "job-end-hook.pyz"
        put_hook(hook)
        result = run_demo(
            url=settings.url,
            token=token_of(settings),
            data=settings.data,
            hook=hook,
            report=lambda line: click.echo(line, err=as_json),
            register_repository=lambda name, path: service.write(_registration(name, path)),
            slots=slots,
            command=own_command(),
        )
    if as_json:
        click.echo(msgspec.json.encode(result).decode())


def _end(number: int, _frame: object) -> None:
    """End the demo as Ctrl-C does, which stops its jobs and removes what is in /tmp."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def _registration(name: str, path: str) -> Any:
    """Return the use case that registers a repository and has waiting software resolved.

    A repository that is registered already is left as it is.
    """

    def register(writing: Writing) -> None:
        register_repository(writing, name, path)
        enqueue_resolutions(writing.connection)

    return register


COMMANDS = {"demo": demo}

if __name__ == "__main__":
    demo()
EXAMPLES = {
    "demo": ("jobprov demo",),
}
