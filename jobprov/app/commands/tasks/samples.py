"""`jobprov samples`: what an analysis has of each sample and data tier."""

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.provenance.answers.tasks.samples import SampleCell
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, number

_TITLES = ("SAMPLE", "TIER", "FILES", "EVENTS", "DEFINITION", "RELEASE")


@click.command()
@click.argument("experiment")
@asks_service
def samples(*, experiment: str, client: Client, as_json: bool) -> None:
    """List the samples of EXPERIMENT by data tier: files and events, done of expected."""
    answer = client.samples(experiment)
    if not answer.samples:
        refuse_unknown_names(client, {"experiment": experiment})
    rows = [_row(sample.sample, cell) for sample in answer.samples for cell in sample.cells]
    text = cell_table(_TITLES, rows)
    if answer.archived:
        text += f"\n{counted(len(answer.archived), 'obsolete pass')} left out."
    emit(answer, text, as_json=as_json)


def _row(sample: str, cell: SampleCell) -> tuple[str, ...]:
    return (
        sample,
        cell.data_tier,
        _done(cell.files, cell.expected_files),
        _done(cell.events, cell.expected_events),
        ", ".join(cell.definitions),
        ", ".join(cell.releases),
    )


def _done(count: int, expected: int | None) -> str:
    total = "" if expected is None else f" of {number(expected)}"
    return f"{number(count)}{total}"


COMMANDS = {"samples": samples}
EXAMPLES = {
    "samples": ("jobprov samples toyexp",),
}
