"""`jobprov samples`: what an analysis has of each sample and data tier."""

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, json_option, url_option
from jobprov.app.commands.terminal.tables import table
from jobprov.app.csv_rows import Cell
from jobprov.provenance.answers.tasks.samples import SampleCell
from jobprov.provenance.lineage.words import counted, number

_COLUMNS = {
    "sample": "SAMPLE",
    "data_tier": "TIER",
    "files": "FILES",
    "events": "EVENTS",
    "definitions": "DEFINITION",
    "releases": "RELEASE",
}


@click.command()
@click.argument("experiment")
@url_option
@json_option
def samples(*, experiment: str, url: str | None, as_json: bool) -> None:
    """List the samples of EXPERIMENT by data tier: files and events, done of expected."""
    client = client_for(url)
    answer = client.samples(experiment)
    if not answer.samples:
        refuse_unknown_names(client, {"experiment": experiment})
    rows = [_row(sample.sample, cell) for sample in answer.samples for cell in sample.cells]
    text = table(rows, _COLUMNS)
    if answer.archived:
        text += f"\n{counted(len(answer.archived), 'obsolete pass')} left out."
    emit(answer, text, as_json=as_json)


def _row(sample: str, cell: SampleCell) -> dict[str, Cell]:
    return {
        "sample": sample,
        "data_tier": cell.data_tier,
        "files": _done(cell.files, cell.expected_files),
        "events": _done(cell.events, cell.expected_events),
        "definitions": ", ".join(cell.definitions),
        "releases": ", ".join(cell.releases),
    }


def _done(count: int, expected: int | None) -> str:
    total = "" if expected is None else f" of {number(expected)}"
    return f"{number(count)}{total}"


COMMANDS = {"samples": samples}
EXAMPLES = {
    "samples": ("jobprov samples toyexp",),
}
