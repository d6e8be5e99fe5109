"""`jobprov roots`, `leaves` and `orphans`: where histories end."""

from itertools import islice
from typing import Any

import click

from jobprov.app.commands.histories.options import file_question
from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, option_with_default
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.histories.ends import FileRoots, Orphan
from jobprov.provenance.answers.histories.lineage import LineageFile
from jobprov.provenance.client import Client
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.sentences import differing_contents
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.histories.sentences import leaves_sentence, orphan_use

_END_COLUMNS: Columns[LineageFile] = {
    "FILE": lambda file: file.name,
    "TIER": lambda file: file.data_tier,
    "EXPERIMENT": lambda file: file.experiment,
}
_ORPHAN_COLUMNS: Columns[Orphan] = {
    "FILE": lambda file: file.name,
    "EXPERIMENT": lambda file: file.experiment,
    "USE": orphan_use,
}


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), help="At most this many files; default 100.")
@file_question
def roots(*, file: str, client: Client, as_json: bool, **query: Any) -> None:
    """List the files that FILE goes back to and that were made from no others."""
    answer = client.roots(file, **query)
    sentence = f"{answer.file.name} goes back to {counted(answer.count, 'file')}"
    if unmade := sum(root.is_placeholder for root in answer.files):
        sentence += f"; no recorded job made {unmade} of those below"
    emit(answer, _text(f"{sentence}.", answer), as_json=as_json)


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), help="At most this many files; default 100.")
@file_question
def leaves(*, file: str, client: Client, as_json: bool, **query: Any) -> None:
    """List the final products of FILE: made from it, and no other file was made from them."""
    answer = client.leaves(file, **query)
    if answer.readers is not None:
        text = f"{answer.file.name}: {leaves_sentence(answer)}"
    else:
        products = counted(answer.count, "final product")
        text = _text(f"{products} came from {answer.file.name}.", answer)
    emit(answer, text, as_json=as_json)


def _text(sentence: str, ends: FileRoots) -> str:
    """Return a sentence, the files below it, and what is left out."""
    lines = [sentence]
    if differing := [file.name for file in ends.files if file.contents_differ]:
        lines.append(differing_contents(differing))
    if ends.files:
        lines.append(table(ends.files, _END_COLUMNS))
    if ends.next:
        left = ends.count - len(ends.files)
        lines.append(f"{left} more: raise --limit, or follow `next` of --json.")
    if ends.is_truncated:
        lines.append("The history is too long to be walked whole.")
    return "\n".join(lines)


@click.command()
@click.option(
    "--isolated", is_flag=True, help="Only files from which no other file was made either."
)
@click.option("--unread", is_flag=True, help="Only files that no job read either.")
@click.option("--namespace", help="Only files of this namespace.")
@option_with_default("--limit", click.IntRange(1, 1_000_000), 100, "At most this many files.")
@click.option("--experiment", help="Only files of this experiment.")
@asks_service
def orphans(
    *,
    limit: int,
    isolated: bool,
    unread: bool,
    namespace: str | None,
    experiment: str | None,
    client: Client,
    as_json: bool,
) -> None:
    """List the files that records or catalogs name and that no recorded job made."""
    every = client.orphans(
        isolated=isolated, unread=unread, namespace=namespace, experiment=experiment
    )
    first = list(islice(every, limit + 1))
    files, is_truncated = first[:limit], len(first) > limit
    if files:
        text = table(files, _ORPHAN_COLUMNS)
    else:
        _refuse_unknown_place(client, experiment, namespace)
        text = "No such file is known."
    if is_truncated:
        text += "\nThere are more: raise --limit."
    emit({"files": files, "is_truncated": is_truncated}, text, as_json=as_json)


def _refuse_unknown_place(client: Client, experiment: str | None, namespace: str | None) -> None:
    """Make sure that files are recorded of an experiment and a namespace without orphans.

    Raises:
        NotFoundError: none is.
    """
    refuse_unknown_names(client, {"experiment": experiment})
    if namespace is None:
        return
    if next(client.files(experiment=experiment, namespace=namespace, limit=1), None) is None:
        raise NotFoundError(f"No file of namespace {namespace} is recorded.")


COMMANDS = {"roots": roots, "leaves": leaves, "orphans": orphans}
EXAMPLES = {
    "roots": ("jobprov roots toyexp_demo-2026_0001_merge_dimuon.root",),
    "leaves": ("jobprov leaves toyexp_demo-2026_0001_gen_0004.root",),
    "orphans": ("jobprov orphans --experiment toyexp --unread",),
}
