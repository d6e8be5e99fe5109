"""`jobprov fhicl`: FHiCL files, expanded, evaluated, named and compared, as the reference does.

It needs no service.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from jobprov.app.commands.configurations.running import AsRunCommand, run_as_asked
from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import F, emit, json_option
from jobprov.provenance import fhicl as reader
from jobprov.provenance.fhicl.reading.lookup import PERMISSIVE, POLICIES, places_of
from jobprov.provenance.services.comparisons.sentences import readable


def _search_path_option(function: F) -> F:
    return click.option(
        "--search-path",
        multiple=True,
        help=(
            "Folders where included files are looked for, `:` between them; FHICL_FILE_PATH by "
            "default. May be repeated."
        ),
    )(function)


def _policy_option(function: F) -> F:
    return click.option(
        "-l",
        "--lookup-policy",
        "policy",
        type=click.Choice(POLICIES),
        default=PERMISSIVE,
        help="How names become paths, as fhicl-dump has it; permissive, as art does, by default.",
    )(function)


@click.group(cls=Group)
def fhicl() -> None:
    """Read FHiCL files, with FHICL_FILE_PATH or --search-path."""


@fhicl.command()
@click.argument("file")
@_search_path_option
@_policy_option
@json_option
def expand(*, file: str, search_path: tuple[str, ...], policy: str, as_json: bool) -> None:
    """Print FILE with its includes, even if the result is not valid FHiCL."""
    expansion = reader.expand(file, _folders(search_path), policy=policy)
    if as_json:
        files = [asdict(opened_file) for opened_file in expansion.files]
        emit({"expanded": expansion.text().decode("latin-1"), "files": files}, "", as_json=True)
    else:
        sys.stdout.buffer.write(expansion.text())


@fhicl.command(cls=AsRunCommand)
@click.argument("file")
@click.option("--annotate", is_flag=True, help="Show behind each value where it comes from.")
@click.option("--prefix-annotate", is_flag=True, help="Show above each value where it comes from.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code is the answer.")
@_search_path_option
@_policy_option
@json_option
def dump(
    *,
    file: str,
    annotate: bool,
    prefix_annotate: bool,
    quiet: bool,
    search_path: tuple[str, ...],
    policy: str,
    as_json: bool,
) -> None:
    """Print what FILE evaluates to, as fhicl-dump does."""
    if annotate + prefix_annotate + quiet > 1:
        raise click.UsageError("Only one of --annotate, --prefix-annotate and --quiet goes.")
    configuration = run_as_asked(_load(file, search_path, policy), file)
    if quiet:
        return
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


@fhicl.command("id", cls=AsRunCommand)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@_search_path_option
@_policy_option
@json_option
def identify(
    *, files: tuple[str, ...], search_path: tuple[str, ...], policy: str, as_json: bool
) -> None:
    """Print the ParameterSetID of each file, as art computes it."""
    identities = {}
    for file in files:
        configuration = run_as_asked(_load(file, search_path, policy), file)
        identities[file] = configuration.parameter_set_id
    lines = [f"{identity}  {file}" for file, identity in identities.items()]
    emit(identities, "\n".join(lines), as_json=as_json)


@fhicl.command(cls=AsRunCommand)
@click.argument("key")
@click.argument("file")
@_search_path_option
@_policy_option
@json_option
def get(*, key: str, file: str, search_path: tuple[str, ...], policy: str, as_json: bool) -> None:
    """Print the value of one parameter of FILE, for scripts; KEY is like a.b[2].c.

    A string without its quotes, true, false, a number; a table or sequence in canonical form.
    """
    configuration = run_as_asked(_load(file, search_path, policy), file)
    value = configuration.value(key)
    text = value if isinstance(value, str) else readable(configuration.canonical_value(key))
    emit(value, text, as_json=as_json)


@fhicl.command()
@click.argument("name")
@click.option(
    "-a", "--all", "is_all", is_flag=True, help="Print all matches, the one that is used first."
)
@_search_path_option
def which(*, name: str, is_all: bool, search_path: tuple[str, ...]) -> None:
    """Print where the search path has the file that `#include "NAME"` means; exit code 1 if nowhere."""
    paths = places_of(_folders(search_path) or reader.default_search_path(), name)
    if not paths:
        click.echo(f"jobprov: no folder of the search path has {name}.", err=True)
        sys.exit(1)
    click.echo("\n".join(paths if is_all else paths[:1]))


@fhicl.command()
@click.argument("before")
@click.argument("after")
@_search_path_option
@_policy_option
@json_option
def diff(
    *, before: str, after: str, search_path: tuple[str, ...], policy: str, as_json: bool
) -> None:
    """Compare what two files evaluate to, by parameter; exit code 1 where they differ."""
    difference: Any = reader.diff(
        _load(before, search_path, policy), _load(after, search_path, policy)
    )
    document = [_change_json(change) for change in difference.changes]
    emit(document, "\n".join(difference.lines()) or "They evaluate to the same.", as_json=as_json)
    if difference:
        sys.exit(1)


@fhicl.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@json_option
def conformance(*, folder: Path | None, as_json: bool) -> None:
    """Compare this reader with the reference's answers in FOLDER, or in folder `fhicl` of JOBPROV_SHARED; exit code 1 where any differs."""
    # Slow, and seldom wanted
    from jobprov.provenance.fhicl.conformance import score  # noqa: PLC0415

    scores = score(folder or Path(os.environ.get("JOBPROV_SHARED", "../shared")) / "fhicl")
    lines: list[str] = []
    for part in scores:
        lines += part.lines()
    emit(
        [asdict(part) for part in scores],
        "\n".join(lines),
        as_json=as_json,
    )
    if any(part.good < part.total for part in scores):
        sys.exit(1)


def _change_json(change: reader.Change) -> dict[str, object]:
    return {
        "kind": change.kind,
        "path": change.path,
        "path_before": change.path_before,
        "before": change.before,
        "after": change.after,
        "origin_before": _origin_json(change.origin_before),
        "origin_after": _origin_json(change.origin_after),
    }


def _origin_json(origin: reader.Origin | None) -> dict[str, object] | None:
    return {"file": origin.file, "line": origin.line} if origin else None


def _load(file: str, search_path: Sequence[str], policy: str) -> reader.Configuration:
    return reader.load(file, _folders(search_path), policy=policy)


def _folders(search_path: Sequence[str]) -> list[str] | None:
    """Return the folders of the option; None where it was not given."""
    return [folder for part in search_path for folder in part.split(":")] or None


COMMANDS = {"fhicl": fhicl}
EXAMPLES = {
    "fhicl expand": ("jobprov fhicl expand reco.fcl --search-path job:/opt/exp/fcl",),
    "fhicl dump": ("jobprov fhicl dump reco.fcl --annotate",),
    "fhicl id": ("jobprov fhicl id reco.fcl --art-release 3.14",),
    "fhicl get": ("jobprov fhicl get physics.producers.smear.efficiency reco.fcl",),
    "fhicl which": ("jobprov fhicl which services.fcl --all",),
    "fhicl diff": ("jobprov fhicl diff before.fcl after.fcl",),
    "fhicl conformance": ("jobprov fhicl conformance",),
}
