"""`jobprov attention`: whether production is all right, and since when not."""

import sys
from collections.abc import Iterator

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.attention import Attention, Need
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.times import minute_text


@click.command()
@click.option(
    "--since",
    default="24h",
    show_default=True,
    metavar="TIME",
    help="A cause of failures is new where no job failed of it before: 90m, 24h, 7d.",
)
@asks_service
def attention(*, client: Client, since: str, as_json: bool) -> None:
    """Show what needs somebody now, since when, and how much of it.

    Exit code 1 where anything does.
    """
    answer = client.attention(since=since)
    emit(answer, "\n".join(_lines(answer)), as_json=as_json)
    sys.exit(1 if answer.needs or answer.problems else 0)


def _lines(answer: Attention) -> Iterator[str]:
    for problem in answer.problems:
        yield f"The service cannot record. {problem}"
    if not answer.needs and not answer.problems:
        yield "Nothing needs attention."
        return
    if not answer.needs:
        return
    yield table(answer.needs, _COLUMNS)
    if answer.left_out:
        yield f"There are {counted(answer.left_out, 'thing')} more of these kinds."


_COLUMNS: Columns[Need] = {
    "SINCE": lambda need: need.since and minute_text(need.since),
    "KIND": lambda need: need.kind,
    "EXPERIMENT": lambda need: need.experiment,
    "WHAT": lambda need: need.words,
}


COMMANDS = {"attention": attention}
EXAMPLES = {"attention": ("jobprov attention", "jobprov attention --since 7d")}
