"""`jobprov find` and `files`: names that hold a text, and files by a pattern of their names."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    list_limit_option,
    option_with_default,
    task_option,
)
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.lookup.files import ListedFile
from jobprov.provenance.answers.search import Hits, KindCount
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, number, shown, size
from jobprov.provenance.records.files.names import full_name

_KINDS: Mapping[str, str] = {
    "file": "file",
    "job": "job",
    "task": "task",
    "campaign": "campaign",
    "stage": "stage",
    "site": "site",
    "host": "host",
    "software": "package",
    "commit": "commit",
    "module": "module",
    "parameter": "parameter",
    "message": "message",
}
"""Kinds of names, each with the word that is counted."""
_COLUMNS: Columns[ListedFile] = {
    "NAME": lambda file: shown(full_name(file.name, file.namespace)),
    "SIZE": lambda file: size(file.size_bytes),
    "EVENTS": lambda file: file.event_count,
    "TIER": lambda file: file.data_tier,
    "VERSIONS": lambda file: file.version_count,
    "STATE": lambda file: file.state,
    "TASK": lambda file: file.task_id,
    "EXPERIMENT": lambda file: file.experiment,
}
_MOST_A_PAGE = 1000


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--kind", type=click.Choice(list(_KINDS)), help="Only names of this kind.")
@option_with_default("--limit", click.IntRange(1, _MOST_A_PAGE), 10, "How many of a kind at most.")
@asks_service
def find(
    *, text: tuple[str, ...], kind: str | None, limit: int, client: Client, as_json: bool
) -> None:
    """Find names that hold each word of TEXT, in any case; exit code 1 where there are none.

    Then it offers names that are spelled much like TEXT.

    Files, tasks, campaigns, stages, sites, hosts, software, modules, parameters and messages of
    failures are found by any part of their names, jobs and commits by the beginning of their ids.
    """
    words = " ".join(text).strip()
    if not words:
        raise click.BadParameter("is empty; type a part of a name.", param_hint="TEXT")
    found = client.find(words, kind=kind, limit=limit)
    if found.hits or as_json:
        emit(found, _hits_text(found, client.url), as_json=as_json)
    else:
        click.echo("\n".join(_nothing_found(found, client.url)), err=True)
    if found.note:
        click.echo(found.note, err=True)
    if not found.hits:
        sys.exit(1)


def _nothing_found(found: Hits, url: str) -> Iterator[str]:
    """Yield that nothing was found, and what is spelled much like it."""
    yield f"Nothing found for {shown(found.text)}."
    if found.near:
        yield "Did you mean:"
    for hit in found.near:
        kind = _KINDS.get(hit.kind, hit.kind)
        detail = f", {shown(hit.detail)}" if hit.detail else ""
        yield f"  {shown(hit.text)}  ({kind}{detail})"
        yield f"    {url}{hit.url}"


def _hits_text(found: Hits, url: str) -> str:
    """Return the hits kind by kind, each with its address."""
    lines: list[str] = []
    for count in found.counts:
        hits = [hit for hit in found.hits if hit.kind == count.kind]
        lines += ["", _heading(count, len(hits))]
        for hit in hits:
            detail = f"  ({shown(hit.detail)})" if hit.detail else ""
            lines += [f"  {shown(hit.text)}{detail}", f"    {url}{hit.url}"]
    return "\n".join(lines[1:])


def _heading(count: KindCount, listed: int) -> str:
    heading = counted(count.count, _KINDS.get(count.kind, count.kind))
    if count.has_more:
        heading = f"more than {heading}"
    if count.count > listed:
        heading += f", of which {number(listed)}"
    return f"{heading}:"


@click.command()
@click.argument("pattern")
@click.option("--namespace", help="Files of this namespace.")
@task_option("Files made by jobs of this task.")
@click.option("--data-tier", help="Files of this data tier.")
@list_limit_option
@experiment_option
@asks_service
def files(*, pattern: str, limit: int, client: Client, as_json: bool, **filters: Any) -> None:
    """List files whose name fits PATTERN, in order; exit code 1 where there are none.

    In PATTERN, * stands for any letters and ? for one: '*dimuon*'.
    """
    listed: list[ListedFile] = []
    # one more than is listed tells whether there are more
    page = min(limit + 1, _MOST_A_PAGE)
    for file in client.files(name=pattern, limit=page, **filters):
        listed.append(file)
        if len(listed) > limit:
            break
    has_more, listed = len(listed) > limit, listed[:limit]
    if listed or as_json:
        text = table(listed, _COLUMNS)
        if has_more:
            text += "\nThere are more: raise --limit."
        emit(listed, text, as_json=as_json)
    else:
        click.echo(f"No file is named {shown(pattern + _hint(pattern))}.", err=True)
    if not listed:
        sys.exit(1)


def _hint(pattern: str) -> str:
    if "*" in pattern or "?" in pattern:
        return ""
    return f"; '*{pattern}*' finds those that hold it"


COMMANDS = {"find": find, "files": files}
EXAMPLES = {
    "find": (
        "jobprov find dimuon",
        "jobprov find dimuon mass .json",
        "jobprov find 'no space left' --kind message",
    ),
    "files": ("jobprov files 'toyexp_demo*_dimuon.root'",),
}
