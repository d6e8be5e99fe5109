"""`jobprov paths` and `common-ancestors`: how two files are related."""

import sys
from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, file_name, pair_options
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.histories.lineage import LineageNode
from jobprov.provenance.answers.histories.relations import (
    CommonAncestor,
    CommonAncestors,
    FilePaths,
)
from jobprov.provenance.answers.names import short_job
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.sentences import differing_contents
from jobprov.provenance.lineage.words import counted

_MOST_LISTED = 20
_COLUMNS: Columns[CommonAncestor] = {
    "FILE": lambda ancestor: ancestor.name,
    "JOBS TO A": lambda ancestor: ancestor.jobs_to_a,
    "JOBS TO B": lambda ancestor: ancestor.jobs_to_b,
    "": lambda ancestor: "nearest" if ancestor.is_nearest else "",
}


@click.command()
@click.argument("a", type=file_name)
@click.argument("b", type=file_name)
@click.option("--limit", type=click.IntRange(1, 100), help="At most this many paths; default 10.")
@click.option("--as-of", metavar="TIME", help="Only what had been recorded by this time.")
@pair_options
@asks_service
def paths(*, a: str, b: str, client: Client, as_json: bool, **query: Any) -> None:
    """Show how the younger of the files A and B was made from the older.

    Exit code 1 where it was not.
    """
    answer = client.paths(a, b, **query)
    emit(answer, _paths_text(answer), as_json=as_json)
    sys.exit(0 if answer.paths else 1)


def _paths_text(answer: FilePaths) -> str:
    if answer.older is None:
        return f"Neither of {answer.a.name} and {answer.b.name} was made from the other."
    older, younger = answer.a.name, answer.b.name
    if answer.older == "b":
        older, younger = younger, older
    ways = counted(len(answer.paths), "way")
    if answer.is_truncated:
        ways += ", and there are more"
    lines = [f"{younger} was made from {older} in {ways}:"]
    for path in answer.paths:
        title = counted(path.jobs, "job")
        if not path.is_sure:
            title += ", not all links are certain"
        lines += ["", title]
        lines += [f"  {_step(node)}" for node in path.nodes]
    return "\n".join(lines)


def _step(node: LineageNode) -> str:
    if node.kind == "file":
        differ = " (jobs read different contents)" if node.contents_differ is True else ""
        return f"{node.name}{differ}"
    return f"  -> {node.stage or 'job'} {short_job(str(node.job_id))} {node.state}"


@click.command("common-ancestors")
@click.argument("a", type=file_name)
@click.argument("b", type=file_name)
@click.option(
    "--hub",
    type=click.IntRange(1, 1_000_000),
    help="Leave out files that more jobs than this read; default 100.",
)
@click.option("--limit", type=click.IntRange(1, 1000), help="At most this many files; default 100.")
@click.option("--as-of", metavar="TIME", help="Only what had been recorded by this time.")
@pair_options
@asks_service
def common_ancestors(*, a: str, b: str, client: Client, as_json: bool, **query: Any) -> None:
    """List what the files A and B were both made from. Exit code 1 where there is nothing."""
    answer = client.common_ancestors(a, b, **query)
    emit(answer, common_text(answer), as_json=as_json)
    sys.exit(0 if answer.count else 1)


def common_text(answer: CommonAncestors) -> str:
    """Return what both files were made from, in words."""
    names = f"{answer.a.name} and {answer.b.name}"
    if answer.count:
        count = counted(answer.count, "file")
        lines = [f"{names} were both made from {count}, the nearest first."]
    else:
        lines = [f"No file is known from which both {names} were made."]
    if answer.hub_count:
        lines.append(f"Left out: {counted(answer.hub_count, 'file')} that many jobs read.")
    if differing := [file.name for file in answer.ancestors if file.contents_differ]:
        lines.append(differing_contents(differing))
    if answer.ancestors:
        lines.append(table(answer.ancestors[:_MOST_LISTED], _COLUMNS))
    return "\n".join(lines)


COMMANDS = {"paths": paths, "common-ancestors": common_ancestors}
EXAMPLES = {
    "paths": ("jobprov paths gen_0004.root merge_dimuon.root --experiment toyexp",),
    "common-ancestors": ("jobprov common-ancestors merge_dimuon.root merge_sideband.root",),
}
