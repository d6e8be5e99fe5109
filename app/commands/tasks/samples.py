"""`jobprov samples`: what an analysis has of each sample and data tier."""

from typing import Any

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option, table, url_option
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
    """List the samples of EXPERIMENT by data tier: files and events done, of how many expected."""
    found = client_for(url).samples(experiment)
    rows = [_row(row["sample"], cell) for row in found["samples"] for cell in row["cells"]]
    archived = (
        f"\n{counted(len(found['archived']), 'obsolete pass')} left out."
        if found["archived"]
        else ""
    )
    emit(found, table(rows, _COLUMNS) + archived, as_json=as_json)


def _row(sample: str, cell: dict[str, Any]) -> dict[str, Any]:
    counts = {
        name: number(cell[name])
        + (f" of {number(cell[expected])}" if cell[expected] is not None else "")
        for name, expected in (("files", "expected_files"), ("events", "expected_events"))
    }
    lists = {name: ", ".join(cell[name]) for name in ("definitions", "releases")}
    return {"sample": sample, "data_tier": cell["data_tier"], **counts, **lists}


COMMANDS = {"samples": samples}
