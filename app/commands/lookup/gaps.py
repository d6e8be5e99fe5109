"""`jobprov gaps`: what would stop reruns of a task, stage or campaign in ten years, and how to close it now."""

import sys
from typing import Any

import click

from jobprov.app.commands.lookup.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option, table, url_option

_COLUMNS = {"code": "GAP", "stops": "STOPS", "job_count": "JOBS", "how_to_close": "HOW TO CLOSE IT"}


@click.command()
@click.option("--task-id", help="Jobs of this task.")
@click.option("--campaign", help="Jobs of this campaign.")
@click.option("--stage", help="Jobs of this stage.")
@click.option("--experiment", help="Jobs of this experiment.")
@url_option
@json_option
def gaps(*, url: str | None, as_json: bool, **filters: Any) -> None:
    """Count the gaps of jobs by code, with how to close them; exit code 1 where there are any."""
    found = client_for(url).gaps(**filters)
    emit(found, _text(found), as_json=as_json)
    sys.exit(1 if found["gaps"] else 0)


def _text(found: dict[str, Any]) -> str:
    if not found["job_count"]:
        return "No job was found: none is recorded yet, or a name is not spelt as it is recorded."
    return f"{found['job_count']} jobs\n" + (
        table(found["gaps"], _COLUMNS) if found["gaps"] else "no gaps"
    )


COMMANDS = {"gaps": gaps}
