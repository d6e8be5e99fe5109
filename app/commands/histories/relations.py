"""`jobprov paths` and `common-ancestors`: how two files are related."""

import sys
from typing import Any

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    file_name,
    json_option,
    pair_options,
    url_option,
)
from jobprov.app.commands.terminal.tables import table
from jobprov.app.csv_rows import Cell
from jobprov.provenance.answers.histories.lineage import LineageNode
from jobprov.provenance.answers.histories.relations import (
    CommonAncestor,
    CommonAncestors,
    FilePaths,
)
from jobprov.provenance.answers.names import short_job
from jobprov.provenance.lineage.words import counted

_MOST_LISTED = 20
_COLUMNS = {"name": "FILE", "jobs_to_a": "JOBS TO A", "jobs_to_b": "JOBS TO B", "nearest": ""}


@click.command()
@click.argument("a", type=file_name)
@click.argument("b", type=file_name)
@click.option("--limit", type=click.IntRange(1, 100), help="At most this many paths; default 10.")
@click.option("--as-of", metavar="TIME", help="Only what had been recorded by this time.")
@pair_options
@url_option
@json_option
def paths(*, a: str, b: str, url: str | None, as_json: bool, **query: Any) -> None:
    """Show how the younger of the files A and B was made from the older.

    Exit code 1 where it was not.
    """
    answer = client_for(url).paths(a, b, **query)
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
        return str(node.name)
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
@url_option
@json_option
def common_ancestors(*, a: str, b: str, url: str | None, as_json: bool, **query: Any) -> None:
    """List what the files A and B were both made from. Exit code 1 where there is nothing."""
    answer = client_for(url).common_ancestors(a, b, **query)
    emit(answer, _common_text(answer), as_json=as_json)
    sys.exit(0 if answer.count else 1)


def _common_text(answer: CommonAncestors) -> str:
    count = counted(answer.count, "file") if answer.count else "no file"
    names = f"{answer.a.name} and {answer.b.name}"
    lines = [f"{names} were both made from {count}, the nearest first."]
    if answer.hub_count:
        lines.append(f"Left out: {counted(answer.hub_count, 'file')} that many jobs read.")
    if answer.ancestors:
        rows = [_row(ancestor) for ancestor in answer.ancestors[:_MOST_LISTED]]
        lines.append(table(rows, _COLUMNS))
    return "\n".join(lines)


def _row(ancestor: CommonAncestor) -> dict[str, Cell]:
    return {
        "name": ancestor.name,
        "jobs_to_a": ancestor.jobs_to_a,
        "jobs_to_b": ancestor.jobs_to_b,
        "nearest": "nearest" if ancestor.is_nearest else "",
    }


COMMANDS = {"paths": paths, "common-ancestors": common_ancestors}
EXAMPLES = {
    "paths": ("jobprov paths gen_0004.root merge_dimuon.root --experiment toyexp",),
    "common-ancestors": ("jobprov common-ancestors merge_dimuon.root merge_sideband.root",),
}
