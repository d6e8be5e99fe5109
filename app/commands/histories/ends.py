"""`jobprov roots`, `leaves`, `orphans`, `paths` and `common-ancestors`: whole histories."""

import sys
from itertools import islice
from typing import Any

import click

from jobprov.app.commands.histories.options import file_question
from jobprov.app.commands.lookup.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    file_name,
    json_option,
    pair_options,
    table,
    url_option,
)
from jobprov.provenance.lineage.sentences import leaves_words, use_words
from jobprov.provenance.lineage.words import counted

_LISTED = 20


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), help="Files at most; 100 by default.")
@file_question
def roots(*, file: str, url: str | None, as_json: bool, **query: Any) -> None:
    """Tell which files FILE goes back to, and that were made from no others."""
    found = client_for(url).roots(file, **query)
    placeholders = sum(row["is_placeholder"] for row in found["files"])
    head = f"{found['file']['name']} goes back to {counted(found['count'], 'file')}"
    if placeholders:
        head += f"; no recorded job made {placeholders} of those below"
    emit(found, _listed(f"{head}.", found), as_json=as_json)


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), help="Files at most; 100 by default.")
@file_question
def leaves(*, file: str, url: str | None, as_json: bool, **query: Any) -> None:
    """Tell what last was made of FILE: the files that no other was made from."""
    found = client_for(url).leaves(file, **query)
    if found["readers"] is not None:
        emit(found, f"{found['file']['name']}: {leaves_words(found)}", as_json=as_json)
        return
    emit(
        found,
        _listed(f"{counted(found['count'], 'file')} came last of {found['file']['name']}.", found),
        as_json=as_json,
    )


def _listed(head: str, found: dict[str, Any]) -> str:
    """Return a sentence and the files below it, with what is left out."""
    lines = [head]
    if found["files"]:
        lines.append(
            table(found["files"], {"name": "FILE", "data_tier": "TIER", "experiment": "EXPERIMENT"})
        )
    if found["next"]:
        lines.append(
            f"{found['count'] - len(found['files'])} more: --limit, or --json with `next`."
        )
    if found["is_truncated"]:
        lines.append("The history is larger than what was walked.")
    return "\n".join(lines)


@click.command()
@click.option("--isolated", is_flag=True, help="Only files of which no file was made either.")
@click.option("--unread", is_flag=True, help="Only files that no job read either.")
@click.option("--namespace", help="Only files of this namespace.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="Files at most.",
)
@click.option("--experiment", help="Only files of this experiment.")
@url_option
@json_option
def orphans(
    *, limit: int, isolated: bool, unread: bool, url: str | None, as_json: bool, **query: Any
) -> None:
    """List the files that records or catalogs name and that no recorded job made."""
    found = list(
        islice(client_for(url).orphans(isolated=isolated, unread=unread, **query), limit + 1)
    )
    rows, is_more = found[:limit], len(found) > limit
    shown = [{**row, "uses": use_words(row)} for row in rows]
    text = (
        table(shown, {"name": "FILE", "experiment": "EXPERIMENT", "uses": "USE"})
        if rows
        else _none(query)
    )
    text += "\nThere are more: --limit." if is_more else ""
    emit({"files": rows, "is_truncated": is_more}, text, as_json=as_json)


def _none(query: dict[str, Any]) -> str:
    is_named = query["experiment"] is not None or query["namespace"] is not None
    return (
        "There is none, or a name is not spelt as it is recorded." if is_named else "There is none."
    )


@click.command()
@click.argument("a", type=file_name)
@click.argument("b", type=file_name)
@click.option("--limit", type=click.IntRange(1, 100), help="Paths at most; 10 by default.")
@click.option("--as-of", metavar="TIME", help="Only what had been recorded at this time.")
@pair_options
@url_option
@json_option
def paths(*, a: str, b: str, url: str | None, as_json: bool, **query: Any) -> None:
    """Tell how the younger of the files A and B was made from the older.

    Exit code 1 where it was not.
    """
    found = client_for(url).paths(a, b, **query)
    emit(found, _paths_text(found), as_json=as_json)
    sys.exit(0 if found["paths"] else 1)


def _paths_text(found: dict[str, Any]) -> str:
    if found["older"] is None:
        return f"Neither of {found['a']['name']} and {found['b']['name']} was made from the other."
    older, younger = (
        found[key]["name"] for key in (("a", "b") if found["older"] == "a" else ("b", "a"))
    )
    more = ", and there are more" if found["is_truncated"] else ""
    lines = [f"{younger} was made from {older} in {counted(len(found['paths']), 'way')}{more}:"]
    for path in found["paths"]:
        lines += [
            "",
            f"{counted(path['jobs'], 'job')}{'' if path['is_sure'] else ', not all links are sure'}",
        ]
        lines += [f"  {_step(node)}" for node in path["nodes"]]
    return "\n".join(lines)


def _step(node: dict[str, Any]) -> str:
    if node["kind"] == "file":
        return str(node["name"])
    return f"  -> {node['stage'] or 'job'} {node['job_id'][:8]} {node['state']}"


@click.command("common-ancestors")
@click.argument("a", type=file_name)
@click.argument("b", type=file_name)
@click.option(
    "--hub",
    type=click.IntRange(1, 1_000_000),
    help="A file that more jobs read is left out; 100 by default.",
)
@click.option("--limit", type=click.IntRange(1, 1000), help="Files at most; 100 by default.")
@click.option("--as-of", metavar="TIME", help="Only what had been recorded at this time.")
@pair_options
@url_option
@json_option
def common_ancestors(*, a: str, b: str, url: str | None, as_json: bool, **query: Any) -> None:
    """Tell what the files A and B were both made from. Exit code 1 where it is nothing."""
    found = client_for(url).common_ancestors(a, b, **query)
    emit(found, _common_text(found), as_json=as_json)
    sys.exit(0 if found["count"] else 1)


def _common_text(found: dict[str, Any]) -> str:
    count = counted(found["count"], "file") if found["count"] else "no file"
    lines = [
        f"{found['a']['name']} and {found['b']['name']} were both made from {count}, the nearest first."
    ]
    if found["hub_count"]:
        lines.append(f"Left out: {counted(found['hub_count'], 'file')} that many jobs read.")
    if found["ancestors"]:
        rows = [
            {**row, "nearest": "nearest" if row["is_nearest"] else ""}
            for row in found["ancestors"][:_LISTED]
        ]
        titles = {"name": "FILE", "jobs_to_a": "JOBS TO A", "jobs_to_b": "JOBS TO B", "nearest": ""}
        lines.append(table(rows, titles))
    return "\n".join(lines)


COMMANDS = {
    "roots": roots,
    "leaves": leaves,
    "orphans": orphans,
    "paths": paths,
    "common-ancestors": common_ancestors,
}
