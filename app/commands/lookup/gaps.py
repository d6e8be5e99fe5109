"""`jobprov gaps`: what would stop reruns in ten years, and how to close it now.

The reruns are those of a task, stage or campaign.
"""

import sys
from typing import Any

import click
from msgspec.structs import asdict

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option, table, url_option
from jobprov.provenance.answers.lookup import GapCounts
from jobprov.provenance.lineage.words import counted, proof_line

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
    counts = client_for(url).gaps(**filters)
    emit(counts, _text(counts), as_json=as_json)
    sys.exit(1 if counts.gaps else 0)


def _text(counts: GapCounts) -> str:
    if not counts.job_count:
        return "No job matches: none is recorded yet, or a name is not spelled as it was recorded."
    lines = [counted(counts.job_count, "job")]
    if counts.gaps:
        lines.append(table([asdict(gap) for gap in counts.gaps], _COLUMNS))
    else:
        lines.append("no gaps")
    lines.append(proof_line(counts.proof))
    return "\n".join(lines)


COMMANDS = {"gaps": gaps}
