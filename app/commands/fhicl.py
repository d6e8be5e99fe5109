"""`jobprov fhicl`: FHiCL files, expanded, evaluated, named and compared, as the reference does. Needs no service."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from app.commands.opening import F, emit, json_option
from provenance import fhicl as reader


def _search_path_option(function: F) -> F:
    return click.option(
        "--search-path",
        multiple=True,
        help="Where included files are looked for; FHICL_FILE_PATH by default. May be repeated.",
    )(function)


@click.group()
def fhicl() -> None:
    """Read FHiCL files, with FHICL_FILE_PATH or --search-path."""


@fhicl.command()
@click.argument("file")
@_search_path_option
def expand(*, file: str, search_path: tuple[str, ...]) -> None:
    """Print FILE with its includes in."""
    sys.stdout.buffer.write(_load(file, search_path).expanded)


@fhicl.command()
@click.argument("file")
@click.option("--annotate", is_flag=True, help="Say where each value comes from, behind it.")
@click.option("--prefix-annotate", is_flag=True, help="Say where each value comes from, above it.")
@_search_path_option
@json_option
def dump(*, file: str, annotate: bool, prefix_annotate: bool, search_path: tuple[str, ...], as_json: bool) -> None:
    """Print what FILE evaluates to, as fhicl-dump does."""
    configuration = _load(file, search_path)
    if annotate:
        text = configuration.to_annotated_string()
    elif prefix_annotate:
        text = configuration.to_prefix_annotated_string()
    else:
        text = configuration.to_indented_string()
    if as_json:
        emit(configuration.as_tree(), "", as_json=True)
    else:
        click.echo(text.rstrip("\n"))


@fhicl.command("id")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@_search_path_option
@json_option
def identify(*, files: tuple[str, ...], search_path: tuple[str, ...], as_json: bool) -> None:
    """Print the ParameterSetID of each file, as art computes it."""
    found = {file: _load(file, search_path).parameter_set_id for file in files}
    emit(found, "\n".join(f"{identity}  {file}" for file, identity in found.items()), as_json=as_json)


@fhicl.command()
@click.argument("before")
@click.argument("after")
@_search_path_option
@json_option
def diff(*, before: str, after: str, search_path: tuple[str, ...], as_json: bool) -> None:
    """Compare what two files evaluate to, by parameter; exit code 1 where they differ."""
    found: Any = reader.diff(_load(before, search_path), _load(after, search_path))
    document = [_change_json(change) for change in found.changes]
    emit(document, "\n".join(found.lines()) or "They evaluate to the same.", as_json=as_json)
    if found:
        sys.exit(1)


@fhicl.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def conformance(*, folder: Path) -> None:
    """Judge this reader by the reference's answers in FOLDER; exit code 1 where any differs."""
    from provenance.fhicl.conformance import score  # noqa: PLC0415 - slow, and seldom wanted

    scores = score(folder)
    click.echo("\n".join(line for found in scores for line in found.lines()))
    if any(found.good < found.total for found in scores):
        sys.exit(1)


def _change_json(change: reader.Change) -> dict[str, Any]:
    places = {
        side: {"file": origin.file, "line": origin.line} if origin else None
        for side, origin in (("origin_before", change.origin_before), ("origin_after", change.origin_after))
    }
    found = {name: getattr(change, name) for name in ("kind", "path", "path_before", "before", "after")}
    return {**found, **places}


def _load(file: str, search_path: Sequence[str]) -> Any:
    return reader.load(file, list(search_path) or None)


COMMANDS = {"fhicl": fhicl}
