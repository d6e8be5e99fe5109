"""`jobprov comparators set|show`: how an experiment has the outputs of reruns compared."""

import json
from pathlib import Path

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, read_toml_or_json
from jobprov.provenance.client import Client


@click.group(cls=Group)
def comparators() -> None:
    """Declare and show how outputs of reruns are compared."""


@comparators.command("set")
@click.argument("experiment")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@asks_service
def set_(*, experiment: str, file: Path, client: Client, as_json: bool) -> None:
    """Declare the comparators of EXPERIMENT from a TOML or JSON file, as a whole.

    The new version applies from then on.
    """
    answer = client.declare_comparators(experiment, read_toml_or_json(file))
    change = "declared" if answer.is_new else "had been declared before"
    sentence = f"Version {answer.version} of the comparators of {experiment} {change}."
    emit(answer, sentence, as_json=as_json)


@comparators.command()
@click.argument("experiment")
@click.option(
    "--version", type=click.IntRange(1), help="An earlier version; the newest by default."
)
@asks_service
def show(*, experiment: str, version: int | None, client: Client, as_json: bool) -> None:
    """Show the comparators of EXPERIMENT."""
    shown = client.comparators(experiment, version=version)
    lines = [f"version {shown.version} of {len(shown.versions)}"]
    lines += [json.dumps(rule, ensure_ascii=False) for rule in shown.comparators["output"]]
    emit(shown, "\n".join(lines), as_json=as_json)


COMMANDS = {"comparators": comparators}
EXAMPLES = {
    "comparators set": ("jobprov comparators set toyexp comparators.toml",),
    "comparators show": ("jobprov comparators show toyexp",),
}
