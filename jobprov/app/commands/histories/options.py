"""Options of every command that asks about the history of one file."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import experiment_option, file_name

F = TypeVar("F", bound=Callable[..., Any])


def file_question(function: F) -> F:
    """Add the file that a question is about, its version, the moment, and the service to ask."""
    options = (
        click.argument("file", type=file_name),
        click.option("--namespace", help="Needed where several namespaces know the name."),
        click.option("--version", type=click.IntRange(1), help="Which version of the file."),
        click.option("--as-of", metavar="TIME", help="Only what had been recorded by this time."),
        experiment_option,
        asks_service,
    )
    for option in reversed(options):
        function = option(function)
    return function
